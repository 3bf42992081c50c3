/* What agents say and are told: the real thread, the real guard, real processes. */
#include "flow/agent_world.h"

static void a_turn_is_carried_both_ways(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"hello\"}]}");
    struct heard heard = hear();
    while (!heard.is_event || heard.kind != EVENT_TEXT_DELTA) {
        heard_free(&heard);
        heard = hear();
    }
    TEST_TEXT(json_get_string(heard.event, "delta"), "hello");
    TEST_TEXT(json_get_string(heard.event, "sessionId"), "session-1");
    TEST_TEXT(json_get_string(heard.event, "turnId"), "turn-1");
    CU_ASSERT_EQUAL(heard.run, 1);
    heard_free(&heard);
    expect_turn_end("end_turn");
    order(ORDER_STOP);
    expect_end(NOTICE_EXITED, "The agent was stopped.");
    world_end();
}

static void the_agent_gets_its_answer(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"permission\":{\"tool\":{\"title\":\"ls\"}}}]}");
    struct agent_notice notice = hear_notice(NOTICE_PERMISSION);
    order_to(world.topic, 1, ORDER_PERMISSION, notice.ask->request_id, "allow_once");
    agent_notice_clear(&notice);
    char *text = hear_text("answer:");
    TEST_TEXT(text, "answer:allow_once");
    free(text);
    expect_turn_end("end_turn");
    world_end();
}

static void a_cancel_is_heard(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"waiting\"},{\"waitCancel\":true}]}");
    free(hear_text("waiting"));
    order(ORDER_CANCEL);
    expect_turn_end("cancelled");
    world_end();
}

static void arguments_and_environment_arrive(void)
{
    world_begin("");
    write_agent("a.sh", "read -r l; printf '{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\","
                        "\"update\":{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":"
                        "\"%s|%s|%s\"}}}}\\n' \"$1\" \"$WORD\" \"$PWD\"; read -r l");
    start_ready("a");
    prompt("x");
    char *text = hear_text("");
    char expected[128];
    snprintf(expected, sizeof(expected), "first argument|from config|%s", world.folder);
    TEST_TEXT(text, expected);
    free(text);
    world_end();
}

/* Noise, batches, blank lines, carriage returns, brackets ten thousand deep, half lines: the turn goes on. */
static void garbage_disturbs_nobody(void)
{
    world_begin("");
    start_ready("scripted");
    int64_t garbage = metric_read(METRIC_AGENT_GARBAGE);
    struct buffer script = {0};
    buffer_text(&script, "{\"steps\":[{\"raw\":\"garbage {\"},{\"raw\":\"\"},{\"raw\":\"  \\r\"},"
                         "{\"raw\":\"[{\\\"jsonrpc\\\":\\\"2.0\\\"}]\"},{\"raw\":\"null\"},{\"rawHex\":\"00ff0a\"},{\"raw\":\"");
    for (int i = 0; i < 10000; i++) {
        buffer_byte(&script, '[');
    }
    buffer_text(&script, "\"},{\"raw\":\"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"method\\\":\\\"x\\\"}\\r\"},"
                         "{\"splitWrites\":3},{\"text\":\"good\"},{\"stderr\":\"a line\"},{\"stderr\":200000},"
                         "{\"request\":{\"method\":\"fs/read_text_file\",\"params\":{}}}]}");
    char *text = buffer_take(&script);
    prompt(text);
    free(text);
    free(hear_text("good"));
    text = hear_text("reply:");
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "-32601"));
    free(text);
    expect_turn_end("end_turn");
    CU_ASSERT_EQUAL(metric_read(METRIC_AGENT_GARBAGE) - garbage, 5);
    world_end();
}

static void a_line_of_megabytes_is_a_line(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"bigLine\":3000000},{\"text\":\"small\"},{\"bigLine\":100000}]}");
    size_t bytes = 0;
    struct agent_notice notice = hear_notice_counting(NOTICE_TURN_ENDED, &bytes);
    agent_notice_clear(&notice);
    CU_ASSERT_EQUAL(bytes, 3100005);
    world_end();
}

static void a_line_over_the_limit_ends_the_agent(void)
{
    world_begin("max-agent-line-bytes = 65536");
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"before\"},{\"bigLine\":300000},{\"waitCancel\":true}]}");
    expect_end(NOTICE_EXITED, "a line of more than 65536 bytes (max-agent-line-bytes)");
    world_end();
}

static void what_an_agent_says_last_counts(void)
{
    world_begin("");
    start_ready("scripted");
    prompt("{\"steps\":[{\"raw\":\"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"method\\\":\\\"session/update\\\",\\\"params\\\":{"
           "\\\"sessionId\\\":\\\"${sessionId}\\\",\\\"update\\\":{\\\"sessionUpdate\\\":\\\"agent_message_chunk\\\","
           "\\\"content\\\":{\\\"type\\\":\\\"text\\\",\\\"text\\\":\\\"last\\\"}}}}\",\"noNewline\":true},{\"exit\":0}]}");
    free(hear_text("last"));
    expect_end(NOTICE_EXITED, "The agent exited with status 0");
    world_end();
}

static bool stalls_reached(int64_t count)
{
    return metric_read(METRIC_AGENT_STALLS) >= count;
}

/* Nothing is given back: the agent is not read any more. Everything is: all of it arrives. */
static void without_credit_an_agent_is_not_read(void)
{
    enum { CHUNKS = 3000, SIZE = 1000 };
    world_begin("credit-session-bytes = 65536\ndelta-window-ms = 0");
    start_ready("scripted");
    world.keep_credit = true;
    int64_t stalls = metric_read(METRIC_AGENT_STALLS);
    prompt("{\"steps\":[{\"chunks\":3000,\"size\":1000}]}");
    until(stalls_reached, stalls + 1);
    /* Another agent is not concerned. */
    struct topic *other = new_topic("session-2");
    start_of(other, 7, "scripted", world.folder);
    size_t bytes = 0;
    struct agent_notice notice = hear_notice_counting(NOTICE_READY, &bytes);
    agent_notice_clear(&notice);
    CU_ASSERT(world.kept_bytes > 0);
    CU_ASSERT(world.kept_bytes < 4 * 65536);

    world.keep_credit = false;
    give_kept_credit();
    notice = hear_notice_counting(NOTICE_TURN_ENDED, &bytes);
    agent_notice_clear(&notice);
    CU_ASSERT_EQUAL(bytes, CHUNKS * SIZE);
    CU_ASSERT(stalls_reached(stalls + 2));
    topic_put(other);
    world_end();
}

/* More than a pipe holds, and the agent reads nothing until it is told to: nobody else waits for it. */
static void a_prompt_waits_in_the_queue(void)
{
    enum { SIZE = 300000 };
    world_begin("");
    write_agent("a.sh", "while [ ! -e go ]; do sleep 0.02; done\n"
                        "n=$(head -n 1 | wc -c)\n"
                        "printf '{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\",\"update\":{"
                        "\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"got:%s\"}}}}\\n' $n\n"
                        "cat >/dev/null");
    start_ready("a");
    char *text = calloc(1, SIZE + 1);
    memset(text, 'x', SIZE);
    prompt(text);
    free(text);
    struct topic *other = new_topic("session-2");
    start_of(other, 1, "scripted", world.folder);
    struct agent_notice notice = hear_notice(NOTICE_READY);
    agent_notice_clear(&notice);
    prompt_to(other, 1, "turn-1", "{\"text\":\"meanwhile\"}");
    free(hear_text("meanwhile"));
    expect_turn_end("end_turn");
    write_file("go", "");
    text = hear_text("got:");
    CU_ASSERT(strtol(text + 4, NULL, 10) > SIZE);
    free(text);
    topic_put(other);
    world_end();
}

static bool lines_reached(int64_t count)
{
    return metric_read(METRIC_AGENT_LINES) >= count;
}

/* The clock stands still, and the first text is out already; what follows waits for the window. */
static void the_window_follows_the_clock(void)
{
    world_begin("");
    clock_fake_start();
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"first\"}]}");
    free(hear_text("first"));
    expect_turn_end("end_turn");
    int64_t lines = metric_read(METRIC_AGENT_LINES);
    prompt("{\"steps\":[{\"text\":\"one\"},{\"text\":\"two\"},{\"text\":\"three\"},{\"waitCancel\":true}]}");
    free(hear_text("one"));
    until(lines_reached, lines + 3);
    CU_ASSERT_PTR_NULL(mailbox_take(world.inbox));
    clock_fake_advance(49);
    until(lines_reached, lines + 3);
    CU_ASSERT_PTR_NULL(mailbox_take(world.inbox));
    clock_fake_advance(11); /* the window has some slack */
    char *text = hear_text("");
    TEST_TEXT(text, "twothree");
    free(text);
    clock_fake_stop();
    world_end();
}

/* Each gets its slice: who says little is heard beside two who never stop, and all that is said is taken whole. */
static void those_who_flood_take_turns(void)
{
    enum { CHUNKS = 20000, SIZE = 40 };
    world_begin("");
    write_agent("a.sh", "exec yes 'no JSON'");
    write_agent("b.sh", "exec yes '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"made/up\"}'");
    start_ready("scripted");
    struct topic *floods[2] = {new_topic("session-2"), new_topic("session-3")};
    for (size_t i = 0; i < 2; i++) {
        start_of(floods[i], 1, i == 0 ? "a" : "b", world.folder);
        struct agent_notice notice = hear_notice(NOTICE_READY);
        agent_notice_clear(&notice);
    }
    until(lines_reached, metric_read(METRIC_AGENT_LINES) + 50000);
    prompt("{\"text\":\"little\"}");
    free(hear_text("little"));
    expect_turn_end("end_turn");
    prompt("{\"steps\":[{\"chunks\":20000,\"size\":40}]}");
    size_t bytes = 0;
    struct agent_notice notice = hear_notice_counting(NOTICE_TURN_ENDED, &bytes);
    agent_notice_clear(&notice);
    CU_ASSERT_EQUAL(bytes, CHUNKS * SIZE);
    for (size_t i = 0; i < 2; i++) {
        order_to(floods[i], 1, ORDER_KILL, NULL, NULL);
        notice = hear_notice(NOTICE_EXITED);
        agent_notice_clear(&notice);
        topic_put(floods[i]);
    }
    world_end();
}

static void orders_for_another_process_are_dropped(void)
{
    world_begin("");
    start_ready("scripted");
    prompt_to(world.topic, 2, "turn-2", "{\"text\":\"of another\"}");
    order_to(world.topic, 0, ORDER_KILL, NULL, NULL);
    prompt("{\"text\":\"mine\"}");
    free(hear_text("mine"));
    expect_turn_end("end_turn");
    world_end();
}

/* Requests that the agent does not wait for, and whose answers it does not read: it is not read either, and no memory
 * is filled with answers. When it reads again all goes on. */
static void answers_that_are_not_read_are_bounded(void)
{
    world_begin("");
    write_agent("a.sh", "read -r l\n"
                        "awk 'BEGIN { for (i = 0; i < 60000; i++) printf \"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":%d,"
                        "\\\"method\\\":\\\"no/such\\\",\\\"params\\\":{}}\\n\", i; }' &\n"
                        "while [ ! -e go ]; do sleep 0.02; done\n"
                        "head -n 60000 | wc -l >got; wait; answers=$(cat got)\n"
                        "printf '{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\",\"update\":{"
                        "\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"got:%s\"}}}}\\n' "
                        "$answers\ncat >/dev/null");
    start_ready("a");
    int64_t lines = metric_read(METRIC_AGENT_LINES);
    prompt("x");
    until(lines_reached, lines + 9000); /* what fits into the bound */
    struct topic *other = new_topic("session-2");
    start_of(other, 1, "scripted", world.folder);
    struct agent_notice notice = hear_notice(NOTICE_READY);
    agent_notice_clear(&notice);
    CU_ASSERT(metric_read(METRIC_AGENT_LINES) < lines + 30000);
    write_file("go", "");
    char *text = hear_text("got:");
    TEST_TEXT(text, "got:60000");
    free(text);
    topic_put(other);
    world_end();
}

TEST_MAIN("agent", TEST(a_turn_is_carried_both_ways), TEST(the_agent_gets_its_answer), TEST(a_cancel_is_heard),
          TEST(arguments_and_environment_arrive), TEST(garbage_disturbs_nobody), TEST(a_line_of_megabytes_is_a_line),
          TEST(a_line_over_the_limit_ends_the_agent), TEST(what_an_agent_says_last_counts),
          TEST(without_credit_an_agent_is_not_read), TEST(a_prompt_waits_in_the_queue),
          TEST(the_window_follows_the_clock), TEST(those_who_flood_take_turns),
          TEST(orders_for_another_process_are_dropped),
          TEST(answers_that_are_not_read_are_bounded))
