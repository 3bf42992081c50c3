/* How agents start and end: the real thread, the real guard, real processes. */
#include "flow/agent_world.h"

static void what_cannot_start_says_why(void)
{
    world_begin("");
    start("missing");
    struct agent_notice notice = hear_notice(NOTICE_FAILED);
    TEST_TEXT(notice.code, "agent_unavailable");
    TEST_TEXT(notice.message,
              "The program was not found: signalbox-no-such-program. Install it with: make it yourself");
    agent_notice_clear(&notice);
    start("unheard-of");
    expect_end(NOTICE_FAILED, "No agent of the name unheard-of is configured");
    start_of(world.topic, 1, "scripted", "/no/such/folder");
    expect_end(NOTICE_FAILED, "The agent could not be started: No such file or directory: /no/such/folder");
    write_file("a.sh", "echo 'no licence' >&2; echo >&2; exit 3");
    start("a");
    notice = hear_notice(NOTICE_FAILED);
    TEST_TEXT(notice.code, "agent_failed");
    TEST_TEXT(notice.message, "The agent exited with status 3: no licence");
    agent_notice_clear(&notice);
    world_end();
}

static void a_guard_that_is_not_there(void)
{
    world_begin_with("", "/no/such/guard");
    start("scripted");
    expect_end(NOTICE_FAILED, "signalbox-guard");
    world_end();
    world_begin_with("", "/bin/false"); /* no guard at all */
    start("scripted");
    expect_end(NOTICE_FAILED, "guard (signalbox-guard) ended unexpectedly");
    world_end();
}

static void nodes_last_word_is_its_error(void)
{
    world_begin("");
    write_agent("a.sh", "printf 'x.js:1\\n\\nError: boom\\n    at y\\n\\nNode.js v20.1.0\\n' >&2; exit 1");
    start_ready("a");
    expect_end(NOTICE_EXITED, "status 1: Error: boom");
    world_end();
}

static void one_that_is_refused_is_ended(void)
{
    world_begin("");
    start("refusing");
    struct agent_notice notice = hear_notice(NOTICE_FAILED);
    CU_ASSERT(notice.auth_required);
    agent_notice_clear(&notice);
    notice = hear_notice(NOTICE_EXITED);
    agent_notice_clear(&notice);
    world_end();
}

static void a_death_in_a_turn_is_told(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"half a\"},{\"kill\":\"KILL\"}]}");
    bool complete = false;
    struct heard heard;
    for (heard = hear(); heard.is_event; heard = hear()) {
        complete = complete || heard.kind == EVENT_TEXT_COMPLETE;
        heard_free(&heard);
    }
    CU_ASSERT(complete);
    CU_ASSERT_EQUAL(heard.notice.kind, NOTICE_EXITED);
    TEST_TEXT(heard.notice.message, "The agent was ended by signal 9 (Killed). If nobody killed it, the machine was out of memory.");
    heard_free(&heard);
    world_end();
}

/* A session's next process may be started while the one before is on its way out. */
static void runs_follow_each_other(void)
{
    world_begin("");
    for (uint64_t run = 1; run <= 3; run++) {
        start_of(world.topic, run, "scripted", world.folder);
        struct agent_notice notice = hear_notice(NOTICE_READY);
        agent_notice_clear(&notice);
        prompt_to(world.topic, run, "turn-1", "{\"steps\":[{\"exit\":0}]}");
        expect_end(NOTICE_EXITED, "status 0");
    }
    start_of(world.topic, 4, "stubborn", world.folder);
    struct agent_notice notice = hear_notice(NOTICE_READY);
    agent_notice_clear(&notice);
    start_of(world.topic, 5, "scripted", world.folder); /* nobody ended the fourth: its time is over */
    bool exited = false, ready = false;
    while (!exited || !ready) {
        struct heard heard = hear();
        exited = exited || (heard.run == 4 && heard.notice.kind == NOTICE_EXITED && !heard.is_event);
        ready = ready || (heard.run == 5 && heard.notice.kind == NOTICE_READY && !heard.is_event);
        heard_free(&heard);
    }
    world_end();
}

static pid_t hear_pid(void)
{
    char *text = hear_text("pid:");
    pid_t pid = (pid_t)strtol(text + 4, NULL, 10);
    free(text);
    CU_ASSERT_FATAL(pid > 0);
    return pid;
}

/* It keeps the agent's stdout open, in a session of its own. */
static void grandchildren_do_not_hold_up_the_end(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"spawn\":\"exec sleep 1000\",\"holdStdout\":true},{\"exit\":0}]}");
    pid_t pid = hear_pid();
    expect_end(NOTICE_EXITED, "status 0");
    until(is_gone, pid);
    world_end();
}

static void stop_ends_even_the_stubborn(void)
{
    world_begin("");
    start_ready("stubborn");
    prompt("{\"steps\":[{\"ignoreCancel\":true},{\"spawn\":\"trap '' TERM; sleep 1000\"},{\"sleep\":1000000}]}");
    pid_t pid = hear_pid();
    order(ORDER_CANCEL);
    order(ORDER_STOP);
    expect_end(NOTICE_EXITED, "The agent was stopped.");
    until(is_gone, pid);
    start_of(world.topic, 2, "stubborn", world.folder);
    struct agent_notice notice = hear_notice(NOTICE_READY);
    agent_notice_clear(&notice);
    order_to(world.topic, 2, ORDER_KILL, NULL, NULL);
    expect_end(NOTICE_EXITED, "did not react in time");
    world_end();
}

/* It can say nothing any more. */
static void one_that_closes_its_output_is_ended(void)
{
    world_begin("");
    write_agent("a.sh", "exec >&-; sleep 1000");
    start_ready("a");
    expect_end(NOTICE_EXITED, "The agent was ended by signal 15");
    world_end();
}

/* It can be told nothing any more. */
static void one_that_closes_its_input_is_ended(void)
{
    world_begin("");
    write_agent("a.sh", "exec <&-; touch closed; sleep 1000");
    start_ready("a");
    char path[100];
    snprintf(path, sizeof(path), "%s/closed", world.folder);
    for (int i = 0; i < WAIT_MS && access(path, F_OK) != 0; i++) {
        usleep(1000);
    }
    prompt("x");
    expect_end(NOTICE_EXITED, "The agent was ended by signal 15");
    world_end();
}

enum { AGENTS = 6 };
static pid_t spawned[AGENTS];

static bool are_left(int64_t count)
{
    int64_t left = 0;
    for (int i = 0; i < AGENTS; i++) {
        left += !is_gone(spawned[i]);
    }
    return left == count;
}

/* The server stops: everything that is left ends, and is told of; a guard that hangs is not waited for, and what it would have
 * ended is ended for it. */
static void stopping_leaves_nobody(void)
{
    world_begin("");
    struct topic *topics[AGENTS];
    for (int i = 0; i < AGENTS; i++) {
        char id[32];
        snprintf(id, sizeof(id), "session-of-%d", i);
        topics[i] = new_topic(id);
        start_of(topics[i], 1, i % 2 ? "stubborn" : "scripted", world.folder);
        struct agent_notice notice = hear_notice(NOTICE_READY);
        agent_notice_clear(&notice);
        prompt_to(topics[i], 1, "turn-1", "{\"steps\":[{\"spawn\":\"exec sleep 1000\"},{\"sleep\":1000000}]}");
        spawned[i] = hear_pid();
    }
    pid_t guard = child_of(getpid(), "signalbox-guard");
    CU_ASSERT_FATAL(guard > 0);
    pid_t held = child_of(guard, "signalbox-scrip");
    CU_ASSERT_FATAL(held > 0);
    CU_ASSERT_EQUAL(kill(guard, SIGSTOP), 0);

    agent_stream_stop(world.stream);
    int ended = 0;
    for (struct mail *mail; (mail = mailbox_take(world.inbox));) {
        struct heard heard = hear_mail(mail);
        if (!heard.is_event && heard.notice.kind == NOTICE_EXITED) {
            ended++;
            CU_ASSERT_PTR_NOT_NULL(strstr(heard.notice.message, "The server is stopping."));
        }
        heard_free(&heard);
    }
    CU_ASSERT_EQUAL(ended, AGENTS);
    CU_ASSERT_EQUAL(metric_read(METRIC_AGENTS_RUNNING), 0);
    until(is_gone, held);
    until(are_left, 0);
    for (int i = 0; i < AGENTS; i++) {
        topic_put(topics[i]);
    }

    /* What comes too late is freed. */
    start("scripted");
    order(ORDER_STOP);
    agent_stream_free(world.stream);
    const struct agent_wiring wiring = {.config = world.config,
                                        .dispatch = world.inbox,
                                        .credit = world.credit,
                                        .guard_path = world.guard,
                                        .version = "0.0.0"};
    CU_ASSERT_EQUAL_FATAL(agent_stream_start(&world.stream, &wiring), ERR_OK);
    world_end();
}

TEST_MAIN("agent_process", TEST(what_cannot_start_says_why), TEST(a_guard_that_is_not_there),
          TEST(nodes_last_word_is_its_error), TEST(one_that_is_refused_is_ended), TEST(a_death_in_a_turn_is_told),
          TEST(runs_follow_each_other), TEST(grandchildren_do_not_hold_up_the_end), TEST(stop_ends_even_the_stubborn),
          TEST(one_that_closes_its_output_is_ended), TEST(one_that_closes_its_input_is_ended), TEST(stopping_leaves_nobody))
