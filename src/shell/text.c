#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 256 * 1024, TAIL_BYTES = 256 * 1024, NOTE_BYTES = 128 };

static const char replacement[] = "\xEF\xBF\xBD";

static size_t fill_head(struct text_capture *c, const char *bytes, size_t size)
{
    size_t left = HEAD_BYTES - c->head_length;
    size_t take = size < left ? size : left;
    if (c->head_length + take > c->head_room) {
        size_t room = c->head_room == 0 ? 4096 : c->head_room;
        while (room < c->head_length + take) {
            room *= 2;
        }
        char *head = realloc(c->head, room);
        if (head == NULL) {
            c->short_of_memory = true;
            return 0;
        }
        c->head = head;
        c->head_room = room;
    }
    if (take > 0) {
        memcpy(c->head + c->head_length, bytes, take);
        c->head_length += take;
    }
    return take;
}

void text_add(struct text_capture *c, const char *bytes, size_t size)
{
    size_t taken = c->tail_length > 0 ? 0 : fill_head(c, bytes, size);
    bytes += taken;
    size -= taken;
    if (size == 0) {
        return;
    }
    if (c->tail == NULL) {
        c->tail = malloc(TAIL_BYTES);
        if (c->tail == NULL) {
            c->short_of_memory = true;
            return;
        }
    }
    while (size > 0) {
        size_t at = c->tail_length % TAIL_BYTES;
        size_t take = size < TAIL_BYTES - at ? size : TAIL_BYTES - at;
        memcpy(c->tail + at, bytes, take);
        c->tail_length += take;
        bytes += take;
        size -= take;
    }
}

void text_release(struct text_capture *c)
{
    free(c->head);
    free(c->tail);
    *c = (struct text_capture){0};
}

size_t text_cut(const struct text_capture *c)
{
    return c->tail_length > TAIL_BYTES ? c->tail_length - TAIL_BYTES : 0;
}

// The length of the well-formed character at `s` (Unicode, table 3-7), or 0; then *bad is the
// length of what one U+FFFD stands for, and *unfinished says that more bytes could have made it
// good.
static size_t character(const unsigned char *s, size_t size, size_t *bad, bool *unfinished)
{
    *bad = 1;
    *unfinished = false;
    if (s[0] < 0x80) {
        return 1;
    }
    size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4) {
        return 0;
    }
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < length; i++) {
        if (i == size) {
            *unfinished = true;
            return 0;
        }
        if (s[i] < low || s[i] > high) {
            return 0;
        }
        *bad = i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

// `to` has room for three bytes for each byte of `from`.
static size_t clean(char *to, const char *from, size_t size, bool more)
{
    size_t out = 0;
    for (size_t i = 0; i < size;) {
        size_t bad;
        bool unfinished;
        size_t length = character((const unsigned char *)from + i, size - i, &bad, &unfinished);
        if (length > 0) {
            memcpy(to + out, from + i, length);
            out += length;
            i += length;
        } else if (unfinished && more) {
            break;
        } else {
            memcpy(to + out, replacement, 3);
            out += 3;
            i += bad;
        }
    }
    return out;
}

static size_t copy_tail(const struct text_capture *c, char *to)
{
    if (c->tail_length <= TAIL_BYTES) {
        if (c->tail_length > 0) {
            memcpy(to, c->tail, c->tail_length);
        }
        return c->tail_length;
    }
    size_t at = c->tail_length % TAIL_BYTES;
    memcpy(to, c->tail + at, TAIL_BYTES - at);
    memcpy(to + TAIL_BYTES - at, c->tail, at);
    return TAIL_BYTES;
}

json_object *text_json(const struct text_capture *c, bool more)
{
    size_t raw_room = c->head_length + (c->tail_length > 0 ? TAIL_BYTES : 0);
    char *raw = malloc(raw_room + 1);
    char *text = malloc(3 * raw_room + NOTE_BYTES);
    json_object *json = NULL;
    if (raw != NULL && text != NULL) {
        size_t cut = text_cut(c);
        if (c->head_length > 0) {
            memcpy(raw, c->head, c->head_length);
        }
        size_t length;
        if (cut == 0) {
            size_t size = c->head_length + copy_tail(c, raw + c->head_length);
            length = clean(text, raw, size, more);
        } else {
            length = clean(text, raw, c->head_length, true);
            size_t size = copy_tail(c, raw);
            size_t skip = 0;
            while (skip < 3 && ((unsigned char)raw[skip] & 0xC0) == 0x80) {
                skip++;
            }
            length += (size_t)snprintf(text + length, NOTE_BYTES,
                                       "\n[... %zu bytes of output are not kept ...]\n", cut);
            length += clean(text + length, raw + skip, size - skip, more);
        }
        json = json_object_new_string_len(text, (int)length);
    }
    free(raw);
    free(text);
    return json;
}

json_object *text_shortened(const char *text, size_t characters)
{
    size_t end = 0;
    size_t count = 0;
    size_t fits = 0; // end of the text when one place is kept for the ellipsis
    while (text[end] != '\0' && text[end] != '\n' && count < characters) {
        if (count + 1 == characters) {
            fits = end;
        }
        do {
            end++;
        } while (((unsigned char)text[end] & 0xC0) == 0x80);
        count++;
    }
    if (text[end] == '\0') {
        return json_object_new_string_len(text, (int)end);
    }
    size_t keep = count == characters ? fits : end;
    char *shortened = malloc(keep + 4);
    if (shortened == NULL) {
        return NULL;
    }
    memcpy(shortened, text, keep);
    memcpy(shortened + keep, "\xE2\x80\xA6", 4);
    json_object *json = json_object_new_string(shortened);
    free(shortened);
    return json;
}
