#define _GNU_SOURCE
/* From texts to a snapshot: the value of each option. */
#include "config_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err config_build_fail(struct config_build *build, enum config_option_index index, enum err err,
                           const char *format, ...)
{
    const struct config_raw *raw = &build->draft.options[index];
    const char *file = raw->by_set ? "--set" : build->config->file;
    va_list arguments;
    va_start(arguments, format);
    err = config_error_set_list(build->error, err, file, raw->by_set ? 0 : raw->line, format, arguments);
    va_end(arguments);
    return err;
}

char *config_path_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

char *config_path_absolute(const char *base, const char *path)
{
    char *absolute = NULL;
    const char *home = getenv("HOME");
    int written;
    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home != NULL && home[0] == '/') {
        written = asprintf(&absolute, "%s%s", home, path + 1);
    } else if (path[0] == '/') {
        written = asprintf(&absolute, "%s", path);
    } else {
        written =
            asprintf(&absolute, "%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/", path);
    }
    return written < 0 ? NULL : absolute;
}

/* Paths of the file start at its folder, those of --set at the working directory. */
static char *path_of(const struct config_build *build, const struct config_raw *raw,
                     const char *path)
{
    char *base = raw->by_set || build->config->file == NULL
                     ? getcwd(NULL, 0)
                     : config_path_folder(build->config->file);
    char *absolute = base != NULL ? config_path_absolute(base, path) : NULL;
    free(base);
    return absolute;
}

bool config_bool_parse(const char *text, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < array_size(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static enum err build_bool(struct config_build *build, enum config_option_index index,
                           const char *text, bool *out)
{
    if (config_bool_parse(text, out)) {
        return ERR_OK;
    }
    return config_build_fail(build, index, ERR_INVAL, "%s: \"%s\" is neither true nor false",
                             config_options[index].key, text);
}

static enum err build_number(struct config_build *build, enum config_option_index index,
                             const char *text, int64_t *out)
{
    const struct config_option *option = &config_options[index];
    char *reason = NULL;
    if (config_number_parse(option->key, option->type, option->minimum, option->maximum, text, out,
                            &reason)) {
        return ERR_OK;
    }
    enum err err =
        config_build_fail(build, index, ERR_INVAL, "%s", reason != NULL ? reason : "out of memory");
    free(reason);
    return err;
}

static enum err build_level(struct config_build *build, enum config_option_index index,
                            const char *text, enum log_level *out)
{
    if (log_level_parse(text, out)) {
        return ERR_OK;
    }
    return config_build_fail(build, index, ERR_INVAL,
                             "%s: \"%s\" is none of debug, info, warn, error",
                             config_options[index].key, text);
}

static enum err build_durability(struct config_build *build, enum config_option_index index,
                                 const char *text, enum config_durability *out)
{
    if (strcmp(text, "process") == 0) {
        *out = DURABILITY_PROCESS;
    } else if (strcmp(text, "power") == 0) {
        *out = DURABILITY_POWER;
    } else {
        return config_build_fail(build, index, ERR_INVAL,
                                 "%s: \"%s\" is neither process nor power",
                                 config_options[index].key, text);
    }
    return ERR_OK;
}

static enum err build_writes(struct config_build *build, enum config_option_index index,
                             const char *text, enum config_socket_writes *out)
{
    static const char *const names[] = {"auto", "io_uring", "send"};
    for (size_t i = 0; i < array_size(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum config_socket_writes)i;
            return ERR_OK;
        }
    }
    return config_build_fail(build, index, ERR_INVAL, "%s: \"%s\" is none of auto, io_uring, send",
                             config_options[index].key, text);
}

static enum err build_policy(struct config_build *build, enum config_option_index index,
                             const char *text, enum config_policy *out)
{
    for (int i = 0; config_policy_names[i] != NULL; i++) {
        if (strcmp(config_policy_names[i], text) == 0) {
            *out = (enum config_policy)i;
            return ERR_OK;
        }
    }
    return config_build_fail(build, index, ERR_INVAL, "%s: \"%s\" is none of ask, read-only, trust",
                             config_options[index].key, text);
}

static enum err build_action(struct config_build *build, enum config_option_index index,
                             const char *text, enum config_action *out)
{
    if (config_action_parse(text, out)) {
        return ERR_OK;
    }
    return config_build_fail(build, index, ERR_INVAL, "%s: \"%s\" is neither reject nor cancel",
                             config_options[index].key, text);
}

static enum err build_root(struct config_build *build, enum config_option_index index,
                           const char *text, struct config_list *out)
{
    const struct config_raw *raw = &build->draft.options[index];
    char *path = path_of(build, raw, text);
    char *root = path != NULL ? realpath(path, NULL) : NULL;
    enum err err = ERR_NOMEM;
    struct stat status;
    if (root != NULL && stat(root, &status) == 0 && S_ISDIR(status.st_mode)) {
        err = config_list_add(out, root);
    } else if (path != NULL) {
        const char *why = root != NULL ? "is no folder" : err_text(err_from_errno(errno));
        err = config_build_fail(build, index, root != NULL ? ERR_INVAL : err_from_errno(errno),
                                "%s: %s: %s", config_options[index].key, path, why);
    }
    free(path);
    free(root);
    return err;
}

static enum err build_list(struct config_build *build, enum config_option_index index,
                           struct config_list *out)
{
    const struct config_raw *raw = &build->draft.options[index];
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < raw->values.count; i++) {
        const char *text = raw->values.items[i];
        if (*text == '\0') {
            err = config_build_fail(build, index, ERR_INVAL, "%s: an item is empty",
                                    config_options[index].key);
        } else if (config_options[index].type == CONFIG_PATHS) {
            err = build_root(build, index, text, out);
        } else {
            err = config_list_add(out, text);
        }
    }
    return err;
}

static enum err build_text(char *text, char **out)
{
    *out = text;
    return text != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err build_option(struct config_build *build, enum config_option_index index)
{
    const struct config_option *option = &config_options[index];
    const struct config_raw *raw = &build->draft.options[index];
    void *field = config_option_field(build->config, option);
    const char *text =
        raw->given && raw->values.count > 0 ? raw->values.items[0] : option->fallback;
    switch (option->type) {
    case CONFIG_BOOL:
        return build_bool(build, index, text, field);
    case CONFIG_COUNT:
    case CONFIG_MS:
    case CONFIG_BYTES:
        return build_number(build, index, text, field);
    case CONFIG_LEVEL:
        return build_level(build, index, text, field);
    case CONFIG_DURABILITY:
        return build_durability(build, index, text, field);
    case CONFIG_WRITES:
        return build_writes(build, index, text, field);
    case CONFIG_ACTION:
        return build_action(build, index, text, field);
    case CONFIG_POLICY:
        return build_policy(build, index, text, field);
    case CONFIG_ADDRESS:
        return build_text(strdup(text), field);
    case CONFIG_PATH:
        return *text == '\0' ? ERR_OK : build_text(path_of(build, raw, text), field);
    case CONFIG_LIST:
    case CONFIG_PATHS:
        return build_list(build, index, field);
    }
    return ERR_INVAL;
}

static enum err default_data(struct config_build *build)
{
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int written = -1;
    if (xdg != NULL && xdg[0] == '/') {
        written = asprintf(&build->config->data, "%s/signalbox", xdg);
    } else if (home != NULL && home[0] == '/') {
        written = asprintf(&build->config->data, "%s/.local/share/signalbox", home);
    } else {
        return config_build_fail(
            build, CONFIG_OPTION_data, ERR_INVAL,
            "data: is not set, and neither XDG_DATA_HOME nor HOME says where it would be");
    }
    if (written < 0) {
        build->config->data = NULL;
        return ERR_NOMEM;
    }
    return ERR_OK;
}

enum err config_build_options(struct config_build *build)
{
    enum err err = ERR_OK;
    for (int i = 0; err == ERR_OK && i < CONFIG_OPTION_COUNT; i++) {
        err = build_option(build, (enum config_option_index)i);
    }
    if (err == ERR_OK && build->config->data == NULL) {
        err = default_data(build);
    }
    return err;
}
