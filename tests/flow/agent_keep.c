/* Agents that say nothing, and agents with limits: the real thread, the real guard, real processes. */
#include "flow/agent_world.h"

#define SCRIPTED(name, more) "agent " name " { command = {'" TEST_BINARY_DIR "/signalbox-scripted-agent'}\n" more "\n}\n"

/* ---- Silence ---- */

static int64_t hear_silence(enum agent_notice_kind kind)
{
    struct agent_notice notice = hear_notice(kind);
    int64_t ms = notice.silent_ms;
    agent_notice_clear(&notice);
    return ms;
}

static void a_silent_agent_is_told_of_until_it_speaks(void)
{
    world_begin("agent-silence-ms = 3600000\n" SCRIPTED("quiet", "agent-silence-ms = 60"));
    start_ready("quiet");
    prompt("{\"steps\":[{\"text\":\"before\"},{\"waitCancel\":true},{\"text\":\"after\"}]}");
    CU_ASSERT_EQUAL(hear_silence(NOTICE_SILENT), 60);
    order(ORDER_CANCEL);
    hear_silence(NOTICE_HEARD);
    expect_turn_end("cancelled");
    world_end();
}

static void a_turn_that_hangs_is_told_of(void)
{
    world_begin(SCRIPTED("quiet", "agent-silence-ms = 40\nagent-hang-ms = 80"));
    start_ready("quiet");
    prompt("{\"steps\":[{\"waitCancel\":true}]}");
    CU_ASSERT_EQUAL(hear_silence(NOTICE_SILENT), 40);
    CU_ASSERT_EQUAL(hear_silence(NOTICE_HANGS), 80);
    world_end();
}

/* While a person is asked, and between turns, nothing is expected: another agent's silences say how long that was. */
static void who_asked_is_not_silent(void)
{
    world_begin(SCRIPTED("quiet", "agent-silence-ms = 60"));
    start_ready("quiet");
    prompt("{\"steps\":[{\"permission\":{}}]}");
    struct agent_notice asked = hear_notice(NOTICE_PERMISSION);
    struct topic *other = new_topic("session-2");
    start_of(other, 2, "quiet", world.folder);
    hear_silence(NOTICE_READY);
    for (int i = 0; i < 3; i++) {
        char turn[16];
        snprintf(turn, sizeof(turn), "turn-%d", i);
        prompt_to(other, 2, turn, "{\"steps\":[{\"waitCancel\":true}]}");
        for (bool silent = false, ended = false; !ended;) {
            struct heard heard = hear();
            if (!heard.is_event) {
                CU_ASSERT_EQUAL_FATAL(heard.run, 2); /* of the other one, nothing is told */
                silent |= heard.notice.kind == NOTICE_SILENT;
                ended = heard.notice.kind == NOTICE_TURN_ENDED;
                CU_ASSERT_TRUE(silent || !ended);
                if (heard.notice.kind == NOTICE_SILENT) {
                    order_to(other, 2, ORDER_CANCEL, NULL, NULL);
                }
            }
            heard_free(&heard);
        }
    }
    order_to(world.topic, 1, ORDER_PERMISSION, asked.ask->request_id, "allow_once");
    agent_notice_clear(&asked);
    expect_turn_end("end_turn");
    topic_put(other);
    world_end();
}

/* ---- What it was waited for ---- */

static void a_kill_says_what_was_waited_for(void)
{
    world_begin("");
    write_file("a.sh", "cat >/dev/null");
    start("a");
    order(ORDER_KILL);
    expect_end(NOTICE_FAILED, "The agent did not answer initialize in time and was killed.");
    world_end();

    world_begin("");
    write_file("a.sh", "read l; echo '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":1}}'; echo opened >&2\n"
                       "read l; echo '{\"jsonrpc\":\"2.0\",\"method\":\"x\"}'; cat >/dev/null; exit"); /* no exec: it would close stdout */
    int64_t lines = metric_read(METRIC_AGENT_LINES);
    start("a");
    while (metric_read(METRIC_AGENT_LINES) < lines + 2) {
        usleep(2000);
    }
    order(ORDER_KILL);
    expect_end(NOTICE_FAILED, "The agent did not answer session/new in time and was killed.");
    world_end();

    world_begin("");
    write_agent("a.sh", "trap '' TERM INT HUP; while :; do sleep 1000; done"); /* reads nothing more, ignores all */
    start_ready("a");
    prompt("hello");
    order(ORDER_CANCEL);
    order(ORDER_KILL);
    expect_end(NOTICE_EXITED, "The agent did not end its cancelled turn in time and was killed.");
    world_end();
}

/* ---- Limits ---- */

static void over_a_limit(const char *agent, const char *script, const char *expected)
{
    world_begin(agent);
    start_ready("strained");
    prompt(script);
    expect_end(NOTICE_EXITED, expected);
    world_end();
}

static void an_agent_over_its_limit_ends_and_says_why(void)
{
    over_a_limit(SCRIPTED("strained", "cpu-limit-seconds = 1"), "{\"steps\":[{\"strain\":{\"cpuMs\":60000}}]}",
                 "ended by signal 24 (CPU time limit exceeded). It used more processor time than its limit allows "
                 "(cpu-limit-seconds = 1).");
    over_a_limit(SCRIPTED("strained", "open-files-limit = 64"), "{\"steps\":[{\"strain\":{\"files\":1000}}]}",
                 "status 1: open: Too many open files. It opened more files than its limit allows "
                 "(open-files-limit = 64).");
    over_a_limit(SCRIPTED("strained", "file-size-limit = 2M"), "{\"steps\":[{\"strain\":{\"file\":100000000}}]}",
                 "ended by signal 25 (File size limit exceeded). It wrote a longer file than its limit allows "
                 "(file-size-limit = 2097152).");
}

/* By a program that is the same in all presets: what a sanitizer reserves is over any limit. */
static void an_agent_over_its_memory_ends_and_says_why(void)
{
    world_begin("agent big { command = {'/bin/sh', '-c', '. ./b.sh'}\nmemory-limit = 200M\n}");
    write_agent("b.sh", "read l; exec perl -e '$n = 400000000; $x = \"a\" x $n; sleep 1000'");
    start_ready("big");
    prompt("hello");
    struct agent_notice notice = hear_notice(NOTICE_EXITED);
    CU_ASSERT_PTR_NOT_NULL(strstr(notice.message, "(memory-limit = 209715200)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(notice.message, "It wanted more memory"));
    agent_notice_clear(&notice);
    world_end();
}

static void an_agent_stands_back(void)
{
    world_begin("agent kind { command = {'/bin/sh', '-c', '. ./b.sh'}\nnice = 7\noom-score-adj = 321\nopen-files-limit = 99\n}");
    write_agent("b.sh", "echo \"$(nice) $(cat /proc/self/oom_score_adj) $(ulimit -n)\" >&2; exit 4");
    start_ready("kind");
    expect_end(NOTICE_EXITED, "status 4: 7 321 99");
    world_end();
}

TEST_MAIN("agent_keep", TEST(a_silent_agent_is_told_of_until_it_speaks), TEST(a_turn_that_hangs_is_told_of),
          TEST(who_asked_is_not_silent), TEST(a_kill_says_what_was_waited_for),
          TEST(an_agent_over_its_limit_ends_and_says_why), TEST(an_agent_over_its_memory_ends_and_says_why),
          TEST(an_agent_stands_back))
