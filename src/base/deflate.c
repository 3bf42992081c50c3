#include "signalbox/base/deflate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"

enum {
    WINDOW_BITS = 15,
    LEVEL = 3,           /* 1 takes nine tenths of the time for a twentieth more bytes */
    MEMORY_LEVEL = 8,
    OPCODE_TEXT = 0x1,
    RSV1 = 0x40,         /* beside the opcode: the message is compressed */
    INFLATE_STEP = 4096,
};

/* What every flushed block ends with, and no message carries (RFC 7692, 7.2.1 and 7.2.2). */
static const unsigned char end[] = {0x00, 0x00, 0xff, 0xff};

/* ---- To clients ---- */

struct deflater {
    z_stream stream;
};

enum err deflater_new(struct deflater **out)
{
    struct deflater *deflater = calloc(1, sizeof(*deflater));
    if (!deflater) {
        return ERR_NOMEM;
    }
    if (deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(deflater);
        return ERR_NOMEM;
    }
    *out = deflater;
    return ERR_OK;
}

void deflater_free(struct deflater *deflater)
{
    if (deflater) {
        deflateEnd(&deflater->stream);
        free(deflater);
    }
}

bool deflate_frame(struct deflater *deflater, const char *text, size_t length, struct buffer *out)
{
    size_t most = length - length / 8, before = out->length;
    char *room = most <= sizeof(end) || length > UINT32_MAX ? NULL
                                                           : buffer_reserve(out, FRAME_HEADER_MAX + most + sizeof(end));
    if (!room) {
        return false;
    }
    z_stream *stream = &deflater->stream;
    CHECK(deflateReset(stream) == Z_OK);
    stream->next_in = (unsigned char *)(uintptr_t)text;
    stream->avail_in = (uInt)length;
    stream->next_out = (unsigned char *)room + FRAME_HEADER_MAX;
    stream->avail_out = (uInt)(most + sizeof(end));
    /* All is flushed if room is left behind it (zlib.h). */
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0) {
        return false;
    }
    size_t made = most + sizeof(end) - stream->avail_out;
    CHECK(made > sizeof(end) && !memcmp(room + FRAME_HEADER_MAX + made - sizeof(end), end, sizeof(end)));
    made -= sizeof(end);
    size_t header = frame_header(room + FRAME_HEADER_MAX, OPCODE_TEXT | RSV1, made);
    memmove(room, room + FRAME_HEADER_MAX - header, header + made);
    out->length = before + header + made;
    return true;
}

/* ---- From clients ---- */

struct inflater {
    z_stream stream;
};

enum err inflater_new(struct inflater **out)
{
    struct inflater *inflater = calloc(1, sizeof(*inflater));
    if (!inflater) {
        return ERR_NOMEM;
    }
    if (inflateInit2(&inflater->stream, -WINDOW_BITS) != Z_OK) {
        free(inflater);
        return ERR_NOMEM;
    }
    *out = inflater;
    return ERR_OK;
}

void inflater_free(struct inflater *inflater)
{
    if (inflater) {
        inflateEnd(&inflater->stream);
        free(inflater);
    }
}

/* All of what is given, at most up to `most` bytes of `out` behind `begin`. */
static enum err inflate_part(z_stream *stream, const void *part, size_t length, size_t begin, size_t most,
                             struct buffer *out)
{
    stream->next_in = (unsigned char *)(uintptr_t)part;
    stream->avail_in = (uInt)length;
    for (;;) {
        size_t left = most - (out->length - begin);
        size_t step = left < INFLATE_STEP ? left + 1 : INFLATE_STEP; /* a byte more tells that it is longer */
        char *room = buffer_reserve(out, step);
        if (!room) {
            return ERR_NOMEM;
        }
        stream->next_out = (unsigned char *)room;
        stream->avail_out = (uInt)step;
        int result = inflate(stream, Z_SYNC_FLUSH);
        out->length += step - stream->avail_out;
        if (out->length - begin > most) {
            return ERR_TOOBIG;
        }
        if (result == Z_STREAM_END) { /* a final block: what follows is another one (RFC 7692, 7.2.3.5) */
            if (inflateReset(stream) != Z_OK) {
                return ERR_SYNTAX;
            }
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return result == Z_MEM_ERROR ? ERR_NOMEM : ERR_SYNTAX;
        }
        if (stream->avail_in == 0 && stream->avail_out > 0) {
            return ERR_OK; /* all of it, and all that comes of it */
        }
        if (result == Z_BUF_ERROR && stream->avail_out == step) {
            return ERR_SYNTAX; /* nothing goes on */
        }
    }
}

enum err inflate_message(struct inflater *inflater, const void *payload, size_t length, size_t most, struct buffer *out)
{
    z_stream *stream = &inflater->stream;
    size_t begin = out->length;
    if (length > UINT32_MAX || inflateReset(stream) != Z_OK) {
        return ERR_SYNTAX;
    }
    enum err err = inflate_part(stream, payload, length, begin, most, out);
    if (!err) {
        err = inflate_part(stream, end, sizeof(end), begin, most, out);
    }
    /* The end of a message is the end of a block. */
    return !err && stream->data_type & 128 ? ERR_OK : err ? err : ERR_SYNTAX;
}
