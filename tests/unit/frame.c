#include "signalbox/base/frame.h"

#include "support/test.h"

static const unsigned char *wire(const struct frame *frame)
{
    return (const unsigned char *)frame_wire(frame);
}

/* Makes a sealed text frame of this length and returns its header's length. */
static size_t sealed_header(size_t length, unsigned char header[FRAME_HEADER_MAX])
{
    char *text = malloc(length + 1);
    struct frame *frame = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, 'x', length + 1);
    CU_ASSERT_EQUAL_FATAL(frame_text(&frame, text, length), ERR_OK);
    CU_ASSERT_EQUAL(frame_json_length(frame), length);
    CU_ASSERT_EQUAL(memcmp(frame_json(frame), text, length), 0);
    size_t size = frame_wire_length(frame) - length;
    CU_ASSERT_TRUE_FATAL(size <= FRAME_HEADER_MAX);
    memcpy(header, wire(frame), size);
    frame_put(frame);
    free(text);
    return size;
}

static void lengths_use_the_shortest_form(void)
{
    unsigned char header[FRAME_HEADER_MAX];
    CU_ASSERT_EQUAL(sealed_header(0, header), 2);
    CU_ASSERT_EQUAL(header[0], 0x81);
    CU_ASSERT_EQUAL(header[1], 0);
    CU_ASSERT_EQUAL(sealed_header(125, header), 2);
    CU_ASSERT_EQUAL(header[1], 125);
    CU_ASSERT_EQUAL(sealed_header(126, header), 4);
    CU_ASSERT_EQUAL(memcmp(header, "\x81\x7e\x00\x7e", 4), 0);
    CU_ASSERT_EQUAL(sealed_header(65535, header), 4);
    CU_ASSERT_EQUAL(memcmp(header, "\x81\x7e\xff\xff", 4), 0);
    CU_ASSERT_EQUAL(sealed_header(65536, header), 10);
    CU_ASSERT_EQUAL(memcmp(header, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10), 0);
}

static void control_frames_have_their_opcode(void)
{
    char bytes[FRAME_HEADER_MAX + 4];
    CU_ASSERT_EQUAL(frame_header(bytes + FRAME_HEADER_MAX, 9, 4), 2);
    CU_ASSERT_EQUAL((unsigned char)bytes[FRAME_HEADER_MAX - 2], 0x89);
    CU_ASSERT_EQUAL(bytes[FRAME_HEADER_MAX - 1], 4);
}

static void the_prefix_goes_before_the_text(void)
{
    static const char prefix[] = "{\"seq\":18446744073709551615,\"ts\":1767323045678";
    static const char tail[] = ",\"type\":\"complete\"}";
    static const char whole[] =
        "{\"seq\":18446744073709551615,\"ts\":1767323045678,\"type\":\"complete\"}";
    struct frame *frame = NULL;
    CU_ASSERT_EQUAL_FATAL(frame_new(&frame, tail, sizeof(tail) - 1), ERR_OK);
    CU_ASSERT_EQUAL(frame_json_length(frame), sizeof(tail) - 1);
    frame_seal(frame, prefix, sizeof(prefix) - 1);
    CU_ASSERT_EQUAL(frame_json_length(frame), sizeof(whole) - 1);
    CU_ASSERT_EQUAL(memcmp(frame_json(frame), whole, sizeof(whole) - 1), 0);
    CU_ASSERT_EQUAL(frame_wire_length(frame), 2 + sizeof(whole) - 1);
    CU_ASSERT_EQUAL(wire(frame)[1], sizeof(whole) - 1);
    frame_put(frame);
}

static void the_largest_prefix_and_header_fit(void)
{
    char prefix[FRAME_ROOM - FRAME_HEADER_MAX];
    size_t length = 70000;
    char *text = calloc(1, length);
    struct frame *frame = NULL;
    memset(prefix, 'p', sizeof(prefix));
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(frame_new(&frame, text, length), ERR_OK);
    frame_seal(frame, prefix, sizeof(prefix));
    CU_ASSERT_EQUAL(frame->start, 0);
    CU_ASSERT_EQUAL(frame_json_length(frame), sizeof(prefix) + length);
    CU_ASSERT_EQUAL(wire(frame)[1], 127);
    frame_put(frame);
    free(text);
}

static void too_long_a_text_is_refused(void)
{
    struct frame *frame = NULL;
    CU_ASSERT_EQUAL(frame_new(&frame, "", UINT32_MAX), ERR_TOOBIG);
    CU_ASSERT_PTR_NULL(frame);
}

static void get_and_put(size_t number, void *context)
{
    (void)number;
    for (int round = 0; round < 10000; round++) {
        frame_put(frame_get(context));
    }
    frame_put(context); /* the reference that this thread was given */
}

static void references_of_many_threads(void)
{
    enum { THREADS = 4 };
    struct frame *frame = NULL;
    CU_ASSERT_EQUAL_FATAL(frame_text(&frame, "{}", 2), ERR_OK);
    for (int thread = 0; thread < THREADS; thread++) {
        CU_ASSERT_PTR_EQUAL(frame_get(frame), frame);
    }
    struct test_threads threads = test_threads_start(THREADS, get_and_put, frame);
    test_threads_join(&threads);
    CU_ASSERT_EQUAL(frame->ref.count, 1);
    frame_put(frame);
    frame_put(NULL);
}

static void what_is_written_is_read(void)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    char *text = calloc(1, 70000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct frame *frame = NULL;
        CU_ASSERT_EQUAL_FATAL(frame_text(&frame, text, lengths[i]), ERR_OK);
        const char *payload;
        size_t length;
        CU_ASSERT_EQUAL(frame_read(frame_wire(frame), &payload, &length), frame_wire_length(frame));
        CU_ASSERT_PTR_EQUAL(payload, frame_json(frame));
        CU_ASSERT_EQUAL(length, lengths[i]);
        frame_put(frame);
    }
    free(text);
}

TEST_MAIN("frame", TEST(what_is_written_is_read), TEST(lengths_use_the_shortest_form), TEST(control_frames_have_their_opcode),
          TEST(the_prefix_goes_before_the_text), TEST(the_largest_prefix_and_header_fit),
          TEST(too_long_a_text_is_refused), TEST(references_of_many_threads))
