#define _GNU_SOURCE
/* Reads what a configuration comes from and makes a snapshot of it, or says why not. */
#include "config_private.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"

enum err config_source_init(struct config_source *source, const char *file)
{
    *source = (struct config_source){0};
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = '\0';
        source->program_dir = config_path_folder(self);
        if (source->program_dir == NULL) {
            return ERR_NOMEM;
        }
    }
    if (file == NULL) {
        return ERR_OK;
    }
    char *working = getcwd(NULL, 0);
    if (working == NULL) {
        return err_from_errno(errno);
    }
    /* The shell has replaced ~ where it was meant. */
    source->file = file[0] == '~' ? NULL : config_path_absolute(working, file);
    if (file[0] == '~' && asprintf(&source->file, "%s/%s", working, file) < 0) {
        source->file = NULL;
    }
    free(working);
    return source->file != NULL ? ERR_OK : ERR_NOMEM;
}

void config_source_free(struct config_source *source)
{
    free(source->file);
    free(source->program_dir);
    config_list_free(&source->set);
    *source = (struct config_source){0};
}

enum err config_source_set(struct config_source *source, const char *key_and_value)
{
    return config_list_add(&source->set, key_and_value);
}

enum err config_source_set_key(struct config_source *source, const char *key, const char *value)
{
    char *text = NULL;
    if (asprintf(&text, "%s=%s", key, value) < 0) {
        return ERR_NOMEM;
    }
    return config_list_take(&source->set, text);
}

static enum err apply_set(struct config_build *build, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return config_error_set(build->error, ERR_SYNTAX, "--set", 0, "\"%s\" is not KEY=VALUE",
                                text);
    }
    char *key = strndup(text, (size_t)(equals - text));
    if (key == NULL) {
        return ERR_NOMEM;
    }
    enum config_option_index index = config_option_find(key);
    if (index == CONFIG_OPTION_COUNT) {
        enum err err =
            config_error_set(build->error, ERR_SYNTAX, "--set", 0, "no such option '%s'", key);
        free(key);
        return err;
    }
    free(key);
    struct config_raw *raw = &build->draft.options[index];
    if (!raw->by_set || !config_type_is_list(config_options[index].type)) {
        config_list_free(&raw->values);
    }
    raw->by_set = true;
    raw->given = true;
    if (equals[1] == '\0' && config_type_is_list(config_options[index].type)) {
        config_list_free(&raw->values);
        return ERR_OK;
    }
    return config_list_add(&raw->values, equals + 1);
}

static enum err read_file(struct config_build *build, enum config_option_index named_by,
                          const char *path, char **text, size_t *length)
{
    enum err err = file_read(path, CONFIG_FILE_LIMIT, text, length);
    if (err == ERR_OK && memchr(*text, '\0', *length) != NULL) {
        free(*text);
        *text = NULL;
        return config_error_set(build->error, ERR_SYNTAX, path, 0,
                                "holds a NUL byte, so it is no text");
    }
    if (err == ERR_OK) {
        return ERR_OK;
    }
    const char *why = err == ERR_TOOBIG ? "is larger than 1 MiB" : err_text(err);
    const char *key =
        named_by < CONFIG_OPTION_COUNT ? config_options[named_by].key : "configuration";
    return config_error_set(build->error, err, path, 0, "%s cannot be read: %s", key, why);
}

static void digest(const char *text, size_t length, const uint8_t more[CONFIG_DIGEST_SIZE],
                   uint8_t out[CONFIG_DIGEST_SIZE])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, CONFIG_DIGEST_SIZE, more);
    sha256_update(&context, length, (const uint8_t *)text);
    sha256_digest(&context, CONFIG_DIGEST_SIZE, out);
}

/* The draft, of the file and of what --set lays over it; `text_digest` is of the file's bytes. */
static enum err read_draft(struct config_build *build, uint8_t text_digest[CONFIG_DIGEST_SIZE])
{
    enum err err = ERR_OK;
    if (build->config->file != NULL) {
        static const uint8_t nothing[CONFIG_DIGEST_SIZE];
        char *text = NULL;
        size_t length = 0;
        err = read_file(build, CONFIG_OPTION_COUNT, build->config->file, &text, &length);
        if (err == ERR_OK) {
            digest(text, length, nothing, text_digest);
            err = config_parse(&build->draft, text, build->config->file, build->error);
        }
        free(text);
    }
    for (size_t i = 0; err == ERR_OK && i < build->source->set.count; i++) {
        err = apply_set(build, build->source->set.items[i]);
    }
    return err;
}

static bool same_value(const struct config_option *option, const void *a, const void *b)
{
    if (option->type == CONFIG_BOOL) {
        return *(const bool *)a == *(const bool *)b;
    }
    if (config_type_is_number(option->type)) {
        return *(const int64_t *)a == *(const int64_t *)b;
    }
    if (option->type == CONFIG_DURABILITY) {
        return *(const enum config_durability *)a == *(const enum config_durability *)b;
    }
    if (option->type == CONFIG_WRITES) {
        return *(const enum config_socket_writes *)a == *(const enum config_socket_writes *)b;
    }
    CHECK(option->type == CONFIG_ADDRESS || option->type == CONFIG_PATH);
    const char *x = *(char *const *)a;
    const char *y = *(char *const *)b;
    return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

static enum err keep_value(const struct config_option *option, void *to, const void *from)
{
    if (option->type == CONFIG_BOOL) {
        *(bool *)to = *(const bool *)from;
    } else if (config_type_is_number(option->type)) {
        *(int64_t *)to = *(const int64_t *)from;
    } else if (option->type == CONFIG_DURABILITY) {
        *(enum config_durability *)to = *(const enum config_durability *)from;
    } else if (option->type == CONFIG_WRITES) {
        *(enum config_socket_writes *)to = *(const enum config_socket_writes *)from;
    } else {
        const char *text = *(char *const *)from;
        char *copy = text != NULL ? strdup(text) : NULL;
        if (text != NULL && copy == NULL) {
            return ERR_NOMEM;
        }
        free(*(char **)to);
        *(char **)to = copy;
    }
    return ERR_OK;
}

static enum err keep_running(struct config *config, const struct config *running)
{
    enum err err = ERR_OK;
    for (int i = 0; err == ERR_OK && running != NULL && i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *option = &config_options[i];
        void *now = config_option_field(config, option);
        const void *before = config_option_field(running, option);
        if (option->when == CONFIG_RESTART && !same_value(option, now, before)) {
            err = config_list_add(&config->restart_needed, option->key);
            if (err == ERR_OK) {
                err = keep_value(option, now, before);
            }
        }
    }
    return err;
}

/* json-c tells a byte; people want a line. */
static int line_of(const char *text, size_t length, const char *message)
{
    const char *at = strstr(message, "at byte ");
    size_t offset = at != NULL ? strtoul(at + strlen("at byte "), NULL, 10) : 0;
    int line = at != NULL;
    for (size_t i = 0; line > 0 && i < offset && i < length; i++) {
        line += text[i] == '\n';
    }
    return line;
}

static enum err check_theme(struct config_build *build)
{
    struct config *config = build->config;
    struct json_parser *parser = NULL;
    struct json_object *object = NULL;
    enum err err = json_parser_new(&parser, CONFIG_JSON_DEPTH);
    if (err != ERR_OK) {
        return err;
    }
    err = json_parse(parser, config->theme, config->theme_length, &object);
    if (err != ERR_OK && err != ERR_NOMEM) {
        const char *message = json_parser_message(parser);
        err =
            config_error_set(build->error, err, config->theme_file,
                             line_of(config->theme, config->theme_length, message), "%s", message);
    } else if (err == ERR_OK && !json_object_is_type(object, json_type_object)) {
        err = config_error_set(build->error, ERR_INVAL, config->theme_file, 1,
                               "a theme is a JSON object");
    }
    json_object_put(object);
    json_parser_free(parser);
    return err;
}

static enum err load_theme(struct config_build *build)
{
    struct config *config = build->config;
    static const uint8_t nothing[CONFIG_DIGEST_SIZE];
    enum err err = ERR_OK;
    if (config->theme_file == NULL) {
        config->theme = strdup("{}");
        config->theme_length = 2;
        err = config->theme != NULL ? ERR_OK : ERR_NOMEM;
    } else {
        err = read_file(build, CONFIG_OPTION_theme_file, config->theme_file, &config->theme,
                        &config->theme_length);
        if (err == ERR_OK) {
            err = check_theme(build);
        }
    }
    if (err == ERR_OK) {
        digest(config->theme, config->theme_length, nothing, config_box(config)->theme_digest);
    }
    return err;
}

static enum err load(struct config_build *build, const struct config *running)
{
    struct config *config = build->config;
    uint8_t text[CONFIG_DIGEST_SIZE] = {0};
    uint8_t tokens[CONFIG_DIGEST_SIZE] = {0};
    enum err err = read_draft(build, text);
    if (err == ERR_OK) {
        err = config_build_options(build);
    }
    if (err == ERR_OK) {
        err = config_check_address(build);
    }
    if (err == ERR_OK) {
        err = keep_running(config, running);
    }
    if (err == ERR_OK && running != NULL) {
        err = config_check_address(build);
    }
    if (err == ERR_OK) {
        err = config_check(build);
    }
    if (err == ERR_OK) {
        err = config_build_permissions(build);
    }
    if (err == ERR_OK) {
        err = config_build_agents(build);
    }
    if (err == ERR_OK && config->tokens_file != NULL) {
        err = tokens_load(&config->tokens, config->tokens_file, tokens, build->error);
    }
    if (err == ERR_OK) {
        err = load_theme(build);
    }
    if (err == ERR_OK) {
        digest((const char *)tokens, sizeof(tokens), text, config_box(config)->settings_digest);
    }
    return err;
}

enum err config_load(struct config **out, const struct config_source *source,
                     const struct config *running, struct config_error *error)
{
    struct config_box *box = calloc(1, sizeof(*box));
    if (box == NULL) {
        return config_error_set(error, ERR_NOMEM, NULL, 0, "out of memory");
    }
    ref_init(&box->ref);
    struct config_build build = {.config = &box->config, .source = source, .error = error};
    box->config.file = source->file != NULL ? strdup(source->file) : NULL;
    box->config.program_dir = source->program_dir != NULL ? strdup(source->program_dir) : NULL;
    enum err err = ERR_OK;
    if ((source->file != NULL && box->config.file == NULL) ||
        (source->program_dir != NULL && box->config.program_dir == NULL)) {
        err = ERR_NOMEM;
    }
    if (err == ERR_OK) {
        err = load(&build, running);
    }
    config_draft_free(&build.draft);
    if (err != ERR_OK) {
        config_destroy(box);
        return config_error_set(error, err, NULL, 0, "%s", err_text(err));
    }
    *out = &box->config;
    return ERR_OK;
}
