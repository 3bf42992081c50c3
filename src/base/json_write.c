#include <string.h>

#include "json_plain.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

void json_key(struct buffer *out, const char *key)
{
    if (out->length == 0 || out->data[out->length - 1] != '{') {
        buffer_byte(out, ',');
    }
    buffer_byte(out, '"');
    buffer_text(out, key);
    buffer_append(out, "\":", 2);
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void put_escape(struct buffer *out, uint8_t byte)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char hex[] = "0123456789abcdef";
    const char *found = byte ? strchr(from, byte) : NULL;

    if (found) {
        buffer_append(out, (char[]){'\\', to[found - from]}, 2);
    } else {
        buffer_append(out, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
    }
}

/* What follows a plain run: one byte to escape, or a run of what is not ASCII. Returns how many
 * bytes it took. */
static size_t put_special(struct buffer *out, const char *text, size_t length)
{
    if ((uint8_t)text[0] < 0x80) {
        put_escape(out, (uint8_t)text[0]);
        return 1;
    }
    size_t run = 1;
    while (run < length && (uint8_t)text[run] >= 0x80) {
        run++;
    }
    size_t bad;
    size_t good = utf8_valid_prefix(text, run, &bad);
    buffer_append(out, text, good);
    if (bad) {
        buffer_append(out, REPLACEMENT, 3);
    }
    return good + bad;
}

void json_put_string(struct buffer *out, const char *text, size_t length)
{
    buffer_reserve(out, length + 2);
    buffer_byte(out, '"');
    size_t at = 0;
    while (at < length) {
        size_t run = at + json_plain_prefix(text + at, length - at, true);
        while (run < length && is_plain((uint8_t)text[run])) {
            run++;
        }
        buffer_append(out, text + at, run - at);
        at = run;
        if (at < length) {
            at += put_special(out, text + at, length - at);
        }
    }
    buffer_byte(out, '"');
}

void json_put_object(struct buffer *out, struct json_object *value)
{
    size_t length;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    if (!text) {
        out->failed = true;
        return;
    }
    /* Outside of strings all is ASCII, so mending cannot touch the structure. */
    while (length > 0) {
        size_t bad;
        size_t good = utf8_valid_prefix(text, length, &bad);
        buffer_append(out, text, good);
        if (bad) {
            buffer_append(out, REPLACEMENT, 3);
        }
        text += good + bad;
        length -= good + bad;
    }
}

void json_put_i64(struct buffer *out, int64_t number)
{
    buffer_i64(out, number);
}

void json_put_bool(struct buffer *out, bool value)
{
    buffer_text(out, value ? "true" : "false");
}

void json_field_string(struct buffer *out, const char *key, const char *text)
{
    if (text) {
        json_field_text(out, key, text, strlen(text));
    }
}

void json_field_text(struct buffer *out, const char *key, const char *text, size_t length)
{
    if (text) {
        json_key(out, key);
        json_put_string(out, text, length);
    }
}

void json_field_i64(struct buffer *out, const char *key, int64_t number)
{
    json_key(out, key);
    json_put_i64(out, number);
}

void json_field_bool(struct buffer *out, const char *key, bool value)
{
    json_key(out, key);
    json_put_bool(out, value);
}

void json_field_object(struct buffer *out, const char *key, struct json_object *value)
{
    if (value) {
        json_key(out, key);
        json_put_object(out, value);
    }
}

void json_field_raw(struct buffer *out, const char *key, const char *json)
{
    if (json) {
        json_key(out, key);
        buffer_text(out, json);
    }
}
