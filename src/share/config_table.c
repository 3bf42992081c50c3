#define _GNU_SOURCE
/* The table of options as data, and what all of its values have in common. */
#include "config_private.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct config_option config_options[CONFIG_OPTION_COUNT] = {
#define X(type, field, key, fallback, minimum, maximum, when, help)                                \
    {                                                                                              \
        CONFIG_##type, offsetof(struct config, field),                                             \
        key,           fallback,                                                                   \
        minimum,       maximum,                                                                    \
        CONFIG_##when, help},
    CONFIG_OPTIONS(X)
#undef X
};

const struct config_agent_option config_agent_options[CONFIG_AGENT_OPTION_COUNT] = {
#define Y(key, type, fallback, help) {key, type, fallback, help},
    CONFIG_AGENT_OPTIONS(Y)
#undef Y
};

enum config_option_index config_option_find(const char *key)
{
    int index = 0;
    while (index < CONFIG_OPTION_COUNT && strcmp(config_options[index].key, key) != 0) {
        index++;
    }
    return (enum config_option_index)index;
}

void *config_option_field(const struct config *config, const struct config_option *option)
{
    return (char *)(uintptr_t)config + option->offset;
}

static int64_t suffix_factor(const char *suffix)
{
    static const char letters[] = "KMG";
    if (*suffix == '\0') {
        return 1;
    }
    const char *letter = strchr(letters, toupper((unsigned char)*suffix));
    if (letter == NULL || suffix[1] != '\0') {
        return 0;
    }
    return (int64_t)1 << (10 * (letter - letters + 1));
}

static const char *unit_name(enum config_type type)
{
    return type == CONFIG_MS ? " milliseconds" : type == CONFIG_BYTES ? " bytes" : "";
}

static bool number_reason(char **reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool number_reason(char **reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(reason, format, arguments) < 0) {
        *reason = NULL;
    }
    va_end(arguments);
    return false;
}

bool config_number_parse(const char *key, enum config_type type, int64_t minimum, int64_t maximum,
                         const char *text, int64_t *out, char **reason)
{
    if (!isdigit((unsigned char)*text)) {
        return number_reason(reason, "%s: \"%s\" is not a whole number", key, text);
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    int64_t factor = type == CONFIG_BYTES ? suffix_factor(end) : *end == '\0';
    if (factor == 0) {
        return number_reason(reason, "%s: \"%s\" is not a whole number%s", key, text,
                             type == CONFIG_BYTES ? ", with K, M or G behind it if wanted" : "");
    }
    int64_t value = 0;
    if (errno == ERANGE || __builtin_mul_overflow(number, factor, &value) || value < minimum ||
        value > maximum) {
        return number_reason(reason, "%s: %s is out of bounds: %" PRId64 " to %" PRId64 "%s", key,
                             text, minimum, maximum, unit_name(type));
    }
    *out = value;
    return true;
}

enum err config_list_take(struct config_list *list, char *text)
{
    char **items = text == NULL ? NULL : realloc(list->items, (list->count + 2) * sizeof(*items));
    if (items == NULL) {
        free(text);
        return ERR_NOMEM;
    }
    items[list->count] = text;
    items[list->count + 1] = NULL;
    list->items = items;
    list->count++;
    return ERR_OK;
}

enum err config_list_add(struct config_list *list, const char *text)
{
    return config_list_take(list, strdup(text));
}

enum err config_list_copy(struct config_list *to, const struct config_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        enum err err = config_list_add(to, from->items[i]);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

void config_list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct config_list){0};
}

bool config_list_equal(const struct config_list *a, const struct config_list *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = strcmp(a->items[i], b->items[i]) == 0;
    }
    return equal;
}

enum err config_error_set_list(struct config_error *error, enum err err, const char *file, int line,
                               const char *format, va_list arguments)
{
    if (error->reason != NULL) {
        return err;
    }
    config_error_free(error);
    error->file = file != NULL ? strdup(file) : NULL;
    error->line = line;
    if (vasprintf(&error->reason, format, arguments) < 0) {
        error->reason = NULL;
    }
    return err;
}

enum err config_error_set(struct config_error *error, enum err err, const char *file, int line,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum err result = config_error_set_list(error, err, file, line, format, arguments);
    va_end(arguments);
    return result;
}

void config_error_free(struct config_error *error)
{
    free(error->file);
    free(error->reason);
    *error = (struct config_error){0};
}

char *config_error_where(const struct config_error *error)
{
    char *where = NULL;
    if (error->file == NULL) {
        return NULL;
    }
    if (error->line == 0) {
        return strdup(error->file);
    }
    return asprintf(&where, "%s:%d", error->file, error->line) < 0 ? NULL : where;
}

char *config_error_text(const struct config_error *error)
{
    const char *reason = error->reason != NULL ? error->reason : "out of memory";
    char *where = config_error_where(error);
    char *text = NULL;
    int written =
        asprintf(&text, "%s%s%s", where != NULL ? where : "", where != NULL ? ": " : "", reason);
    free(where);
    return written < 0 ? NULL : text;
}

void config_draft_free(struct config_draft *draft)
{
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        config_list_free(&draft->options[i].values);
    }
    for (size_t i = 0; i < draft->agent_count; i++) {
        free(draft->agents[i].name);
        for (int j = 0; j < CONFIG_AGENT_OPTION_COUNT; j++) {
            config_list_free(&draft->agents[i].options[j].values);
        }
    }
    free(draft->agents);
    *draft = (struct config_draft){0};
}
