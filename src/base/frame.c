#include "signalbox/base/frame.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"

enum { OPCODE_TEXT = 1, FIN = 0x80, LENGTH_16 = 126, LENGTH_64 = 127 };

enum err frame_new(struct frame **out, const void *text, size_t length)
{
    if (length > UINT32_MAX - FRAME_ROOM) {
        return ERR_TOOBIG;
    }
    struct frame *frame = malloc(sizeof(*frame) + FRAME_ROOM + length);
    if (!frame) {
        return ERR_NOMEM;
    }
    ref_init(&frame->ref);
    frame->start = FRAME_ROOM;
    frame->payload = FRAME_ROOM;
    frame->end = FRAME_ROOM + (uint32_t)length;
    if (length > 0) {
        memcpy(frame->data + FRAME_ROOM, text, length);
    }
    *out = frame;
    return ERR_OK;
}

void frame_seal(struct frame *frame, const char *prefix, size_t prefix_length)
{
    CHECK(prefix_length <= FRAME_ROOM - FRAME_HEADER_MAX);
    CHECK(frame->start == FRAME_ROOM); /* not sealed yet: a header has at least 2 bytes */
    frame->payload -= (uint32_t)prefix_length;
    char *payload = frame->data + frame->payload;
    if (prefix_length > 0) {
        memcpy(payload, prefix, prefix_length);
    }
    size_t header = frame_header(payload, OPCODE_TEXT, frame->end - frame->payload);
    frame->start = frame->payload - (uint32_t)header;
}

enum err frame_text(struct frame **out, const void *text, size_t length)
{
    enum err err = frame_new(out, text, length);
    if (!err) {
        frame_seal(*out, NULL, 0);
    }
    return err;
}

struct frame *frame_get(struct frame *frame)
{
    ref_get(&frame->ref);
    return frame;
}

void frame_put(struct frame *frame)
{
    if (frame && ref_put(&frame->ref)) {
        free(frame);
    }
}

/* RFC 6455, section 5.2: 7 bits of length, or 126 and 16 bits, or 127 and 64 bits, the shortest
 * that fits. */
size_t frame_header(char *before_payload, uint8_t opcode, uint64_t payload_length)
{
    size_t header = payload_length < LENGTH_16 ? 2 : payload_length <= UINT16_MAX ? 4 : 10;
    uint8_t *at = (uint8_t *)before_payload - header;

    at[0] = (uint8_t)(FIN | opcode);
    at[1] = header == 2 ? (uint8_t)payload_length : header == 4 ? LENGTH_16 : LENGTH_64;
    for (size_t index = header; index > 2; index--) {
        at[index - 1] = (uint8_t)payload_length;
        payload_length >>= 8;
    }
    return header;
}

size_t frame_read(const char *frame, const char **payload, size_t *payload_length)
{
    const uint8_t *at = (const uint8_t *)frame;
    size_t header = at[1] < LENGTH_16 ? 2 : at[1] == LENGTH_16 ? 4 : 10;
    uint64_t length = header == 2 ? at[1] : 0;
    for (size_t index = 2; index < header; index++) {
        length = length << 8 | at[index];
    }
    *payload = frame + header;
    *payload_length = length;
    return header + length;
}
