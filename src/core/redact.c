/* Secrets in JSON: a walk over its parts, which copies what it does not replace. */
#include "signalbox/core/redact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

enum { DEPTH_MAX = 1000, FRAMES_AT_FIRST = 32 };

/* An object or an array that is open. */
struct frame {
    bool is_object, expects_key;
    bool secret;      /* all strings in it are */
    bool key_secret;  /* the last key: its value is */
    bool key_names;   /* the last key is `name` or `key` */
    bool key_value;   /* the last key is `value` */
    bool name_secret; /* {"name": "API_KEY", "value": ...} */
    size_t value_start, value_end; /* in the output: of the string under `value`; 0: none yet */
};

struct walk {
    struct buffer *out;
    const struct redact_secrets *secrets;
    const char *text;
    size_t at, length;
    struct frame *frames; /* [0]: outside of all */
    size_t depth, room;
    struct buffer decoded, cleaned;
};

/* ---- Strings ---- */

static bool hex4(const char *text, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = text[i] ? strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] | 0x20 : text[i]) : NULL;
        if (!found) {
            return false;
        }
        value = value << 4 | (uint32_t)(found - digits);
    }
    *out = value;
    return true;
}

static void put_code_point(struct buffer *out, uint32_t code)
{
    if (code < 0x80) {
        buffer_byte(out, (char)code);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    buffer_byte(out, (char)(leads[more] | code >> (6 * more)));
    while (more-- > 0) {
        buffer_byte(out, (char)(0x80 | (code >> (6 * more) & 0x3F)));
    }
}

/* The escape behind a backslash at text[0]; how many bytes it has with it, or 0. */
static size_t put_unescaped(struct buffer *out, const char *text, size_t length)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = length > 1 && text[1] ? strchr(from, text[1]) : NULL;
    if (simple) {
        buffer_byte(out, to[simple - from]);
        return 2;
    }
    uint32_t code, low;
    if (length < 6 || text[1] != 'u' || !hex4(text + 2, &code)) {
        return 0;
    }
    if (code >= 0xD800 && code < 0xDC00 && length >= 12 && text[6] == '\\' && text[7] == 'u' && hex4(text + 8, &low) &&
        low >= 0xDC00 && low < 0xE000) {
        put_code_point(out, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
        return 12;
    }
    put_code_point(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return 6;
}

static bool decode(struct walk *walk, const char *raw, size_t length)
{
    buffer_reset(&walk->decoded);
    for (size_t at = 0; at < length;) {
        const char *escape = memchr(raw + at, '\\', length - at);
        size_t plain = escape ? (size_t)(escape - raw) - at : length - at;
        buffer_append(&walk->decoded, raw + at, plain);
        at += plain;
        if (at < length) {
            size_t used = put_unescaped(&walk->decoded, raw + at, length - at);
            if (!used) {
                return false;
            }
            at += used;
        }
    }
    walk->out->failed = walk->out->failed || walk->decoded.failed;
    return buffer_ok(walk->out);
}

/* The string at walk->at, without its quotes; walk->at is behind it then. */
static bool next_string(struct walk *walk, const char **raw, size_t *length)
{
    size_t start = walk->at + 1;
    for (size_t at = start; at < walk->length; at++) {
        if (walk->text[at] == '\\') {
            at++;
        } else if (walk->text[at] == '"') {
            *raw = walk->text + start;
            *length = at - start;
            walk->at = at + 1;
            return true;
        }
    }
    return false;
}

static bool is_utf8(const char *text, size_t length)
{
    size_t bad;
    return utf8_valid_prefix(text, length, &bad) == length;
}

/* Writes the string; `text` is what it says. */
static void put_clean(struct walk *walk, const char *raw, size_t length, const char *text, size_t text_length)
{
    buffer_reset(&walk->cleaned);
    bool found = redact_text(&walk->cleaned, walk->secrets, text, text_length);
    walk->out->failed = walk->out->failed || walk->cleaned.failed;
    if (!buffer_ok(walk->out)) {
        return;
    }
    if (found) {
        json_put_string(walk->out, walk->cleaned.data, walk->cleaned.length);
    } else if (is_utf8(raw, length)) {
        buffer_byte(walk->out, '"');
        buffer_append(walk->out, raw, length);
        buffer_byte(walk->out, '"');
    } else {
        json_put_string(walk->out, text, text_length);
    }
}

static bool is(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

/* `value` stood before the `name` that makes it a secret. */
static void replace_value(struct walk *walk, struct frame *frame)
{
    static const char instead[] = "\"" REDACTED "\"";
    buffer_reset(&walk->cleaned);
    buffer_append(&walk->cleaned, walk->out->data + frame->value_end, walk->out->length - frame->value_end);
    if (!buffer_ok(&walk->cleaned)) {
        walk->out->failed = true;
        return;
    }
    walk->out->length = frame->value_start;
    buffer_text(walk->out, instead);
    buffer_append(walk->out, walk->cleaned.data, walk->cleaned.length);
    frame->value_end = 0;
}

static bool take_string(struct walk *walk)
{
    struct frame *frame = &walk->frames[walk->depth];
    const char *raw;
    size_t length;
    if (!next_string(walk, &raw, &length)) {
        return false;
    }
    const char *text = raw;
    size_t text_length = length;
    if (memchr(raw, '\\', length)) {
        if (!decode(walk, raw, length)) {
            return false;
        }
        text = walk->decoded.data;
        text_length = walk->decoded.length;
    }
    if (frame->is_object && frame->expects_key) {
        frame->key_secret = redact_is_secret_name(text, text_length);
        frame->key_names = is(text, text_length, "name") || is(text, text_length, "key");
        frame->key_value = is(text, text_length, "value");
        put_clean(walk, raw, length, text, text_length);
        return true;
    }
    size_t start = walk->out->length;
    bool secret = frame->secret || frame->key_secret || (frame->key_value && frame->name_secret);
    if (secret && length > 0) {
        buffer_text(walk->out, "\"" REDACTED "\"");
    } else {
        put_clean(walk, raw, length, text, text_length);
    }
    if (frame->key_value) {
        frame->value_start = start;
        frame->value_end = walk->out->length;
    } else if (frame->key_names && redact_is_secret_name(text, text_length)) {
        frame->name_secret = true;
        if (frame->value_end && buffer_ok(walk->out)) {
            replace_value(walk, frame);
        }
    }
    return true;
}

/* ---- Everything else ---- */

static bool open_frame(struct walk *walk, bool is_object)
{
    const struct frame *outer = &walk->frames[walk->depth];
    bool secret = outer->secret || outer->key_secret || (outer->key_value && outer->name_secret);
    if (walk->depth == DEPTH_MAX) {
        return false;
    }
    if (walk->depth + 1 == walk->room) {
        struct frame *frames = realloc(walk->frames, 2 * walk->room * sizeof(*frames));
        if (!frames) {
            walk->out->failed = true;
            return false;
        }
        walk->frames = frames;
        walk->room *= 2;
    }
    walk->frames[++walk->depth] = (struct frame){.is_object = is_object, .expects_key = is_object, .secret = secret};
    return true;
}

static bool close_frame(struct walk *walk, bool is_object)
{
    if (walk->depth == 0 || walk->frames[walk->depth].is_object != is_object) {
        return false;
    }
    walk->depth--;
    return true;
}

static bool take_part(struct walk *walk)
{
    struct frame *frame = &walk->frames[walk->depth];
    char byte = walk->text[walk->at];
    if (byte == '"') {
        return take_string(walk);
    }
    walk->at++;
    switch (byte) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return true;
    case '{':
    case '[':
        buffer_byte(walk->out, byte);
        return open_frame(walk, byte == '{');
    case '}':
    case ']':
        buffer_byte(walk->out, byte);
        return close_frame(walk, byte == '}');
    case ',':
        frame->expects_key = frame->is_object;
        frame->key_secret = frame->key_names = frame->key_value = false;
        break;
    case ':':
        frame->expects_key = false;
        break;
    default: /* numbers and words */
        if (byte < 0x20 || byte > 0x7E) {
            return false;
        }
    }
    buffer_byte(walk->out, byte);
    return true;
}

enum err redact_json(struct buffer *out, const struct redact_secrets *secrets, const char *text, size_t length)
{
    struct walk walk = {.out = out, .secrets = secrets, .text = text, .length = length, .room = FRAMES_AT_FIRST};
    size_t before = out->length;
    walk.frames = calloc(walk.room, sizeof(*walk.frames));
    if (!walk.frames) {
        return ERR_NOMEM;
    }
    buffer_reserve(out, length);
    bool fine = true;
    while (fine && walk.at < length) {
        fine = take_part(&walk);
    }
    fine = fine && walk.depth == 0;
    bool memory = buffer_ok(out);
    free(walk.frames);
    buffer_free(&walk.decoded);
    buffer_free(&walk.cleaned);
    if (fine && memory) {
        return ERR_OK;
    }
    out->length = before;
    return memory ? ERR_SYNTAX : ERR_NOMEM;
}
