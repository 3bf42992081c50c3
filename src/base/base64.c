#include "signalbox/base/base64.h"

#include <nettle/base64.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 48 * 1024 }; /* a multiple of 3: what is encoded piece by piece reads as one */

void base64_append(struct buffer *out, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    while (length > 0) {
        size_t step = length < STEP ? length : STEP;
        char *room = buffer_reserve(out, BASE64_ENCODE_RAW_LENGTH(step));
        if (!room) {
            return;
        }
        base64_encode_raw(room, step, from);
        out->length += BASE64_ENCODE_RAW_LENGTH(step);
        from += step;
        length -= step;
    }
}

bool base64_decode(struct buffer *out, const char *text, size_t length)
{
    struct base64_decode_ctx context;
    base64_decode_init(&context);
    while (length > 0) {
        size_t step = length < STEP ? length : STEP;
        size_t got = BASE64_DECODE_LENGTH(step);
        char *room = buffer_reserve(out, got);
        if (!room || !base64_decode_update(&context, &got, (uint8_t *)room, step, text)) {
            return false;
        }
        out->length += got;
        text += step;
        length -= step;
    }
    return base64_decode_final(&context) != 0;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_write(char *out, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < length; i++) {
        held = (held << 8 | from[i]) & 0xffff;
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            *out++ = digits[held >> bits & 63];
        }
    }
    if (bits > 0) {
        *out++ = digits[held << (6 - bits) & 63];
    }
    *out = '\0';
}

bool base64url_read(const char *text, void *bytes, size_t length)
{
    uint8_t *to = bytes;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < length;) {
        const char *digit = *text ? strchr(digits, *text) : NULL;
        if (!digit) {
            return false;
        }
        text++;
        held = (held << 6 | (unsigned)(digit - digits)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[i++] = (uint8_t)(held >> bits);
        }
    }
    /* No other text may stand for the same bytes. */
    return *text == '\0' && (held & ((1u << bits) - 1)) == 0;
}
