/* A session that is being erased is not there any more, also while that is not recorded yet. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "ids_world.h"

enum { MANY = 1000 };

/* Holds the store's mutex, so that nothing is recorded, until it is let go. */
struct holder {
    struct store_reader *reader;
    _Atomic(bool) holds, done;
};

static bool wait_within(void *context, const struct session_row *row)
{
    struct holder *holder = context;
    (void)row;
    atomic_store(&holder->holds, true);
    while (!atomic_load(&holder->done)) {
        sched_yield();
    }
    return false;
}

static void hold(size_t number, void *context)
{
    struct holder *holder = context;
    (void)number;
    (void)holder->reader->operations->list_sessions(holder->reader, 0, 0, 1, false, wait_within, holder);
}

static void close_session_of_world(void)
{
    struct agent_notice_mail *exit = agent_exits();
    uint64_t closed = send(NULL, "{'type':'close_session','sessionId':'$'}");
    mailbox_push(dispatch_inbox(world.dispatch), &exit->mail);
    answer_free(answer_of(closed));
}

static uint64_t send_bare(enum command_type type)
{
    struct dispatch_command *command;
    struct command_error error;
    CU_ASSERT_EQUAL_FATAL(dispatch_command_new(&command), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(command_parse_body(type, NULL, &command->command, &error), ERR_OK);
    command->command->session_id = strdup(world.session);
    snprintf(command->identity.user, sizeof(command->identity.user), "ann");
    command->reply = (struct reply_address){.to = world.answers, .kind = ANSWER, .serial = ++world.serial};
    mailbox_push(dispatch_inbox(world.dispatch), &command->mail);
    return world.serial;
}

static void expect_answer(uint64_t serial, enum answer_code code)
{
    struct answer_mail *mail = answer_of(serial);
    CU_ASSERT_EQUAL(mail->answer.code, code);
    answer_free(mail);
}

static void only_a_closed_one_is_erased(void)
{
    world_begin(MANY);
    expect_answer(send_bare(COMMAND_ERASE_SESSION), ANSWER_BUSY);
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_OK);
    close_session_of_world();
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_OK);
    expect_answer(send_bare(COMMAND_ERASE_SESSION), ANSWER_OK);
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_NOT_FOUND);
    expect_answer(send_bare(COMMAND_ERASE_SESSION), ANSWER_NOT_FOUND);
    world_restart();
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_NOT_FOUND);
    world_end();
}

static void nobody_reads_it_back_before_that_is_recorded(void)
{
    world_begin(MANY);
    close_session_of_world();
    struct holder holder = {0};
    CU_ASSERT_EQUAL_FATAL(world.store->operations->reader_open(world.store, &holder.reader), ERR_OK);
    struct test_threads thread = test_threads_start(1, hold, &holder);
    while (!atomic_load(&holder.holds)) {
        sched_yield();
    }
    uint64_t erased = send_bare(COMMAND_ERASE_SESSION);
    uint64_t got = send_bare(COMMAND_GET_SESSION);
    uint64_t again = send_bare(COMMAND_ERASE_SESSION);
    uint64_t prompted = send(NULL, "{'type':'prompt','sessionId':'$','text':'do'}");
    atomic_store(&holder.done, true);
    expect_answer(erased, ANSWER_OK);
    expect_answer(got, ANSWER_NOT_FOUND);
    expect_answer(again, ANSWER_NOT_FOUND);
    expect_answer(prompted, ANSWER_NOT_FOUND);
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_NOT_FOUND); /* behind the note that it is gone */
    test_threads_join(&thread);
    holder.reader->operations->reader_close(holder.reader);
    struct topic *topic = topic_map_find(world.topics, world.session);
    CU_ASSERT_PTR_NULL(topic);
    topic_put(topic);
    world_end();
}

/* It is tried until it is recorded; if the server ends before, it did not happen. */
static void what_cannot_be_recorded_is_not_erased(void)
{
    world_begin(MANY);
    close_session_of_world();
    store_memory_fail(world.store, ERR_NOSPC);
    uint64_t erased = send_bare(COMMAND_ERASE_SESSION);
    world_stop_flow();
    expect_answer(erased, ANSWER_STORAGE_UNAVAILABLE);
    world_free();
    store_memory_fail(world.store, ERR_OK);
    world_start();
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_OK);
    expect_answer(send_bare(COMMAND_ERASE_SESSION), ANSWER_OK);
    expect_answer(send_bare(COMMAND_GET_SESSION), ANSWER_NOT_FOUND);
    world_end();
}

TEST_MAIN("erase", TEST(only_a_closed_one_is_erased), TEST(nobody_reads_it_back_before_that_is_recorded),
          TEST(what_cannot_be_recorded_is_not_erased))
