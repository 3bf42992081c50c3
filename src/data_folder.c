#include "data_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/share/config.h"

char *data_folder(const char *config_file)
{
    struct config_source source = {0};
    struct config *config = NULL;
    struct config_error error = {0};
    enum err err = config_source_init(&source, config_file);
    if (!err) {
        err = config_load(&config, &source, NULL, &error);
    }
    char *folder = err ? NULL : strdup(config->data);
    if (!folder) {
        char *text = config_error_text(&error);
        fprintf(stderr, "signalbox: %s\n", text ? text : "out of memory");
        free(text);
    }
    config_error_free(&error);
    config_put(config);
    config_source_free(&source);
    return folder;
}
