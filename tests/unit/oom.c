/* Running out of memory at every single allocation of base/: returned, and nothing leaks (under
 * ASan). */
#include <unistd.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/frame.h"
#include "signalbox/base/heap.h"
#include "signalbox/base/json.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "support/oom.h"
#include "support/test.h"

/* True if everything that failed did so for want of memory. */
static bool is_fine(enum err err)
{
    return err == ERR_OK || err == ERR_NOMEM;
}

static bool build_text(void)
{
    struct buffer buffer = {0};
    for (int line = 0; line < 200; line++) {
        buffer_format(&buffer, "line %d", line);
        json_put_string(&buffer, "text\n", 5);
    }
    bool whole = buffer_ok(&buffer);
    size_t length = buffer.length;
    char *text = buffer_take(&buffer);
    bool fine = buffer.data == NULL && (text == NULL || (whole && strlen(text) == length));
    free(text);
    return fine;
}

static bool make_frame(void)
{
    struct frame *frame = NULL;
    enum err err = frame_text(&frame, "{}", 2);
    frame_put(frame);
    return is_fine(err) && (err == ERR_OK) == (frame != NULL);
}

static bool fill_heap(void)
{
    struct heap heap = {0};
    struct heap_node nodes[200] = {0};
    bool fine = true;
    for (size_t index = 0; index < 200; index++) {
        nodes[index].at.ns = (int64_t)(200 - index);
        size_t before = heap.count;
        enum err err = heap_add(&heap, &nodes[index]);
        fine &= is_fine(err) && heap.count == before + (err == ERR_OK);
        fine &= (nodes[index].index > 0) == (err == ERR_OK);
    }
    heap_free(&heap);
    return fine;
}

static bool make_parser(void)
{
    struct json_parser *parser = NULL;
    enum err err = json_parser_new(&parser, 10);
    json_parser_free(parser);
    return is_fine(err);
}

static bool make_mailbox(void)
{
    struct mailbox *box = NULL;
    enum err err = mailbox_new(&box, "test", 1);
    mailbox_free(box);
    return is_fine(err);
}

static bool make_map(void)
{
    struct rcu_map *map = NULL;
    enum err err = rcu_map_new(&map, 8);
    rcu_map_free(map);
    return is_fine(err);
}

static void do_nothing(void *context)
{
    (void)context;
}

static bool run_thread(void)
{
    struct thread thread = {0};
    enum err err = thread_start(&thread, THREAD_TIMER, -1, false, do_nothing, NULL);
    thread_join(&thread);
    return is_fine(err);
}

static bool write_and_read(void)
{
    static const char path[] = TEST_BINARY_DIR "/oom-test-file";
    char *text = NULL;
    size_t length;
    enum err err = file_write_atomic(path, "text", 4, 0600);
    if (!err) {
        err = file_read(path, 10, &text, &length);
        unlink(path);
    }
    free(text);
    return is_fine(err) && (err == ERR_OK) == (text != NULL);
}

static void each_allocation_may_fail(void)
{
    static const struct {
        const char *name;
        bool (*run)(void);
    } scenes[] = {
        {"text", build_text},    {"frame", make_frame},     {"heap", fill_heap},
        {"parser", make_parser}, {"mailbox", make_mailbox}, {"map", make_map},
        {"thread", run_thread},  {"file", write_and_read},
    };
    for (size_t index = 0; index < sizeof(scenes) / sizeof(scenes[0]); index++) {
        bool all_fine;
        size_t failed = oom_each(scenes[index].run, &all_fine);
        if (!all_fine || failed == 0) {
            printf("\n    scene %s, %zu failures\n", scenes[index].name, failed);
        }
        CU_ASSERT_TRUE(all_fine);
        CU_ASSERT_TRUE(failed > 0); /* else nothing was tried */
    }
}

TEST_MAIN("oom", TEST(each_allocation_may_fail))
