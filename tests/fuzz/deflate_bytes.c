/*
 * permessage-deflate: the offers in a client's header ("o" and the text), a compressed message of a client ("i" and its
 * payload), and a message of ours there and back ("d" and its text).
 */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/deflate.h"
#include "signalbox/base/frame.h"

enum { MOST = 64 * 1024 };

static struct deflater *deflater;
static struct inflater *inflater;

static void offers(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, true);
    const char *accepted = deflate_accept(text);
    FUZZ_CHECK(!accepted || strstr(text, "permessage-deflate"));
    /* What is answered is an offer that would be accepted, too, and with the same window. */
    FUZZ_CHECK(!accepted || deflate_accept(accepted) == accepted);
    free(text);
}

static void message(const uint8_t *data, size_t size)
{
    struct buffer first = {0}, again = {0};
    char *payload = fuzz_copy(data, size, false);
    enum err err = inflate_message(inflater, payload, size, MOST, &first);
    FUZZ_CHECK(err == ERR_OK || err == ERR_TOOBIG || err == ERR_SYNTAX);
    FUZZ_CHECK(first.length <= MOST + 1);
    /* Nothing is remembered from one to the next. */
    FUZZ_CHECK(inflate_message(inflater, payload, size, MOST, &again) == err);
    FUZZ_CHECK(first.length == again.length && (!first.length || !memcmp(first.data, again.data, first.length)));
    buffer_free(&first);
    buffer_free(&again);
    free(payload);
}

static void there_and_back(const uint8_t *data, size_t size)
{
    struct buffer frame = {0}, back = {0};
    char *text = fuzz_copy(data, size, false);
    if (deflate_frame(deflater, text, size, &frame)) {
        const char *payload;
        size_t length;
        FUZZ_CHECK((unsigned char)frame.data[0] == 0xc1);
        FUZZ_CHECK(frame_read(frame.data, &payload, &length) == frame.length);
        FUZZ_CHECK(length <= size - size / 8);
        FUZZ_CHECK(inflate_message(inflater, payload, length, size, &back) == ERR_OK);
        FUZZ_CHECK(back.length == size && !memcmp(back.data, text, size));
    } else {
        FUZZ_CHECK(frame.length == 0 && buffer_ok(&frame));
    }
    buffer_free(&frame);
    buffer_free(&back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!deflater && (deflater_new(&deflater) || inflater_new(&inflater))) {
        abort();
    }
    if (size && data[0] == 'o') {
        offers(data + 1, size - 1);
    } else if (size && data[0] == 'i') {
        message(data + 1, size - 1);
    } else if (size && data[0] == 'd') {
        there_and_back(data + 1, size - 1);
    }
    return 0;
}
