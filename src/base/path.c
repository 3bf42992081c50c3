#include "signalbox/base/path.h"

#include <string.h>

#include "signalbox/base/buffer.h"

char *path_join(const char *folder, const char *name)
{
    struct buffer path = {0};
    buffer_text(&path, folder);
    if (strcmp(folder, "/")) {
        buffer_byte(&path, '/');
    }
    buffer_text(&path, name);
    char *whole = buffer_take(&path);
    buffer_free(&path);
    return whole;
}
