#include "signalbox/base/deflate.h"

#include <stdint.h>

#include "signalbox/base/frame.h"
#include "support/test.h"

static const char plain[] = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
static const char with_bits[] =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

static void good_offers_are_accepted(void)
{
    static const char *const offers[] = {
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=10;server_no_context_takeover",
        " permessage-deflate ; client_no_context_takeover ; client_max_window_bits = \"8\" ",
        "x-webkit-deflate-frame, permessage-deflate",
        ", ,permessage-bzip; level=9 , permessage-deflate; client_max_window_bits,",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; unknown, permessage-deflate; client_no_context_takeover",
    };
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        TEST_TEXT(deflate_accept(offers[i]), plain);
    }
    TEST_TEXT(deflate_accept("permessage-deflate; server_max_window_bits=15"), with_bits);
    TEST_TEXT(deflate_accept("permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=\"15\""),
              with_bits);
}

static void other_offers_are_declined(void)
{
    static const char *const offers[] = {
        "", " ", ",", "deflate", "Permessage-Deflate", "permessage-deflatex", "x-webkit-deflate-frame",
        /* what we cannot keep */
        "permessage-deflate; server_max_window_bits=14", "permessage-deflate; server_max_window_bits=8",
        /* what is no offer of that extension */
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=015", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=100", "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_no_context_takeover=1", "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9", "permessage-deflate; level=3",
        /* what is no header of that kind */
        "permessage-deflate;", "permessage-deflate; =", "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"9", "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate client_max_window_bits", "permessage-deflate, \"", "permessage-deflate; a b", "; permessage-deflate",
    };
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        CU_ASSERT_PTR_NULL(deflate_accept(offers[i]));
        if (deflate_accept(offers[i])) {
            printf("\n    accepted: %s\n", offers[i]);
        }
    }
}

/* ---- There and back ---- */

static struct deflater *deflater;
static struct inflater *inflater;

static void begin(void)
{
    CU_ASSERT_EQUAL_FATAL(deflater_new(&deflater), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(inflater_new(&inflater), ERR_OK);
}

static void finish(void)
{
    deflater_free(deflater);
    inflater_free(inflater);
    deflater_free(NULL);
    inflater_free(NULL);
}

static size_t payload_of(const struct buffer *frame, const char **payload)
{
    size_t length;
    CU_ASSERT_EQUAL((unsigned char)frame->data[0], 0xc1); /* whole, compressed, a text */
    CU_ASSERT_EQUAL(frame_read(frame->data, payload, &length), frame->length);
    return length;
}

/* Text like ours: the same names again and again, with something new in between. */
static void write_events(struct buffer *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_format(text, "{\"seq\":%zu,\"type\":\"tool_output\",\"toolCallId\":\"call-%zu\",\"text\":\"%zx\"}", i, i * 77, i * i * i);
    }
}

static void what_is_compressed_comes_back(void)
{
    begin();
    for (size_t count = 3; count < 3000; count = count * 2 + 1) {
        struct buffer text = {0}, frame = {0}, back = {0};
        const char *payload;
        write_events(&text, count);
        CU_ASSERT_TRUE_FATAL(deflate_frame(deflater, text.data, text.length, &frame));
        CU_ASSERT_TRUE(frame.length < text.length * 7 / 8 + FRAME_HEADER_MAX);
        size_t length = payload_of(&frame, &payload);
        CU_ASSERT_EQUAL_FATAL(inflate_message(inflater, payload, length, text.length, &back), ERR_OK);
        CU_ASSERT_EQUAL(back.length, text.length);
        CU_ASSERT_EQUAL(memcmp(back.data, text.data, text.length), 0);
        /* Behind what is there already. */
        size_t first = frame.length;
        CU_ASSERT_TRUE(deflate_frame(deflater, text.data, text.length, &frame));
        CU_ASSERT_EQUAL(frame.length, first * 2); /* nothing is remembered of the one before */
        CU_ASSERT_EQUAL(memcmp(frame.data, frame.data + first, first), 0);
        buffer_free(&text);
        buffer_free(&frame);
        buffer_free(&back);
    }
    finish();
}

static void what_does_not_pay_is_left(void)
{
    begin();
    struct buffer frame = {0};
    char noise[4000];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        state = state * 1664525 + 1013904223;
        noise[i] = (char)(state >> 24);
    }
    buffer_text(&frame, "before");
    CU_ASSERT_FALSE(deflate_frame(deflater, noise, sizeof(noise), &frame));
    CU_ASSERT_FALSE(deflate_frame(deflater, "{}", 2, &frame));
    CU_ASSERT_FALSE(deflate_frame(deflater, "", 0, &frame));
    CU_ASSERT_EQUAL(frame.length, 6);
    CU_ASSERT_TRUE(buffer_ok(&frame));
    buffer_free(&frame);
    finish();
}

/* ---- What clients send ---- */

static enum err inflate_bytes(const void *bytes, size_t length, size_t most, const char *expected)
{
    struct buffer back = {0};
    enum err err = inflate_message(inflater, bytes, length, most, &back);
    if (!err && expected) {
        CU_ASSERT_EQUAL(back.length, strlen(expected));
        CU_ASSERT_EQUAL(memcmp(back.length ? back.data : "", expected, back.length), 0);
    }
    CU_ASSERT_TRUE(back.capacity <= 2 * (most + 2 * 4096)); /* no more than that was ever asked for */
    buffer_free(&back);
    return err;
}

static void the_examples_of_the_rfc_are_read(void)
{
    begin();
    static const unsigned char hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};             /* 7.2.3.1 */
    static const unsigned char stored[] = {0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00}; /* 7.2.3.3 */
    static const unsigned char final[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};       /* 7.2.3.4 */
    static const unsigned char two[] = {0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}; /* 7.2.3.5 */
    CU_ASSERT_EQUAL(inflate_bytes(hello, sizeof(hello), 100, "Hello"), ERR_OK);
    CU_ASSERT_EQUAL(inflate_bytes(stored, sizeof(stored), 5, "Hello"), ERR_OK);
    CU_ASSERT_EQUAL(inflate_bytes(final, sizeof(final), 5, "Hello"), ERR_OK);
    CU_ASSERT_EQUAL(inflate_bytes(two, sizeof(two), 5, "Hello"), ERR_OK);
    CU_ASSERT_EQUAL(inflate_bytes("\0", 1, 0, ""), ERR_OK); /* an empty one, 7.2.3.6 */
    CU_ASSERT_EQUAL(inflate_bytes(hello, sizeof(hello), 4, NULL), ERR_TOOBIG);
    finish();
}

static void what_is_no_such_message_is_refused(void)
{
    begin();
    CU_ASSERT_EQUAL(inflate_bytes("\xff\xff\xff", 3, 100, NULL), ERR_SYNTAX);
    CU_ASSERT_EQUAL(inflate_bytes("Hello, this is no deflate", 25, 100, NULL), ERR_SYNTAX);
    CU_ASSERT_EQUAL(inflate_bytes("\xf2\x48\xcd", 3, 100, NULL), ERR_SYNTAX);     /* cut off within a block */
    CU_ASSERT_EQUAL(inflate_bytes("\x00\x05\x00\xfa\xffHe", 7, 100, NULL), ERR_SYNTAX);
    /* And the next one is read as if nothing had been. */
    static const unsigned char hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    CU_ASSERT_EQUAL(inflate_bytes(hello, sizeof(hello), 100, "Hello"), ERR_OK);
    finish();
}

static void a_bomb_is_not_inflated(void)
{
    begin();
    enum { MOST = 1 << 20, LENGTH = 100 << 20 };
    struct buffer frame = {0};
    char *zeros = calloc(1, LENGTH);
    const char *payload;
    CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
    CU_ASSERT_TRUE_FATAL(deflate_frame(deflater, zeros, LENGTH, &frame));
    size_t length = payload_of(&frame, &payload);
    CU_ASSERT_TRUE(length < MOST);
    CU_ASSERT_EQUAL(inflate_bytes(payload, length, MOST, NULL), ERR_TOOBIG);
    free(zeros);
    buffer_free(&frame);
    finish();
}

TEST_MAIN("deflate", TEST(good_offers_are_accepted), TEST(other_offers_are_declined), TEST(what_is_compressed_comes_back),
          TEST(what_does_not_pay_is_left), TEST(the_examples_of_the_rfc_are_read), TEST(what_is_no_such_message_is_refused),
          TEST(a_bomb_is_not_inflated))
