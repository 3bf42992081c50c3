#include "scan.h"

#include <string.h>

struct key {
    const char *text;
    size_t length;
};

#define X(name, text) {text, sizeof text - 1},
static const struct key keys[SCAN_COUNT] = {SCAN_FIELDS(X)};
#undef X

// One past the string's closing quote; `at` stands behind the opening one. NULL without an end.
static const char *string_end(const char *at, const char *end)
{
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL) {
            return NULL;
        }
        size_t slashes = 0;
        while (quote - slashes > at && quote[-1 - (ptrdiff_t)slashes] == '\\') {
            slashes++;
        }
        if (slashes % 2 == 0) {
            return quote + 1;
        }
        at = quote + 1;
    }
    return NULL;
}

static const char *value_end(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = string_end(at + 1, end);
            if (at == NULL || depth == 0) {
                return at;
            }
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}')) {
            return at;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        at++;
        if (depth == 0 && (c == '}' || c == ']')) {
            return at;
        }
    }
    return NULL;
}

static void note(struct scan *s, const char *key, size_t length, const char *value, size_t size)
{
    for (size_t i = 0; i < SCAN_COUNT; i++) {
        if (keys[i].length == length && memcmp(keys[i].text, key, length) == 0) {
            bool string = *value == '"';
            s->fields[i] = (struct value){
                .at = value + string, .length = size - (string ? 2 : 0), .string = string};
            return;
        }
    }
}

bool scan_object(struct scan *s, const char *text, size_t length)
{
    const char *at = text;
    const char *end = text + length;
    memset(s, 0, sizeof *s);
    if (length < 2 || *at != '{') {
        return false;
    }
    at++;
    while (at < end && *at == '"') {
        const char *key = at + 1;
        const char *key_end = string_end(key, end);
        if (key_end == NULL || key_end >= end || *key_end != ':') {
            return false;
        }
        const char *value = key_end + 1;
        at = value_end(value, end);
        if (at == NULL || at >= end) {
            return false;
        }
        note(s, key, (size_t)(key_end - 1 - key), value, (size_t)(at - value));
        if (*at == '}') {
            return at + 1 == end;
        }
        at++;
    }
    return at < end && *at == '}';
}

bool scan_inner(struct scan *s, const struct value *value)
{
    return value->at != NULL && scan_object(s, value->at, value->length);
}

bool value_is(const struct value *value, const char *text)
{
    return value->at != NULL && strlen(text) == value->length &&
           memcmp(value->at, text, value->length) == 0;
}

uint64_t value_number(const struct value *value, uint64_t fallback)
{
    uint64_t number = 0;
    if (value->at == NULL || value->length == 0 || value->length > 18) {
        return fallback;
    }
    for (size_t i = 0; i < value->length; i++) {
        if (value->at[i] < '0' || value->at[i] > '9') {
            return fallback;
        }
        number = number * 10 + (uint64_t)(value->at[i] - '0');
    }
    return number;
}

void value_copy(const struct value *value, char *to, size_t size)
{
    size_t length = value->length < size ? value->length : size - 1;
    if (value->at == NULL) {
        length = 0;
    }
    memcpy(to, value->at != NULL ? value->at : "", length);
    to[length] = '\0';
}
