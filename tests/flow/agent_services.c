/* What is done for an agent that asks for it: files and terminals, with the real threads, guards and processes. */
#include "flow/agent_world.h"

#include <fcntl.h>

/* What a turn said. */
struct said {
    struct buffer text, output, result; /* its text, its tools' output while they ran, and their results */
};
static struct said said;

static void said_free(void)
{
    buffer_free(&said.text);
    buffer_free(&said.output);
    buffer_free(&said.result);
}

static void add(struct buffer *to, struct json_object *event, const char *key)
{
    size_t length = 0;
    const char *text = json_get_text(event, key, &length);
    buffer_append(to, text ? text : "", length);
}

static uint64_t ready_count;

/* False when the turn has ended. */
static bool hear_some(void)
{
    struct heard heard = hear();
    bool ended = !heard.is_event && heard.notice.kind == NOTICE_TURN_ENDED;
    bool is_ready = !heard.is_event && heard.notice.kind == NOTICE_READY;
    bool is_other = !heard.is_event && heard.notice.kind == NOTICE_EXITED; /* an earlier run of another session */
    CU_ASSERT_FATAL(heard.is_event || ended || is_ready || (is_other && ready_count > 0));
    ready_count += is_ready;
    if (heard.is_event && heard.kind == EVENT_TEXT_DELTA) {
        add(&said.text, heard.event, "delta");
    } else if (heard.is_event && heard.kind == EVENT_TOOL_OUTPUT) {
        add(&said.output, heard.event, "delta");
    } else if (heard.is_event && heard.kind == EVENT_TOOL_RESULT) {
        add(&said.result, heard.event, "result");
    }
    heard_free(&heard);
    return !ended;
}

static void clear_said(void)
{
    buffer_reset(&said.text);
    buffer_reset(&said.output);
    buffer_reset(&said.result);
}

/* Plays the steps; what they said is in `said`. */
static void play(const char *steps)
{
    struct buffer script = {0};
    buffer_format(&script, "{\"steps\":[%s]}", steps);
    buffer_byte(&script, '\0');
    clear_said();
    prompt(script.data);
    while (hear_some()) {
    }
    buffer_byte(&said.text, '\0');
    buffer_byte(&said.output, '\0');
    buffer_byte(&said.result, '\0');
    buffer_free(&script);
}

static void expect(const char *part)
{
    if (!strstr(said.text.data, part)) {
        printf("\n    got      %s\n    expected %s\n", said.text.data, part);
        CU_FAIL("what was said");
    }
}

#define REQUEST(method, members) "{\"request\":{\"method\":\"" method "\",\"params\":{" members "}}}"
#define OF(number)               "\"terminalId\":\"term-1-" #number "\""

static void begin(void)
{
    world_begin("delta-window-ms = 0\n");
    start_ready("served");
}

static void end(void)
{
    world_end();
    said_free();
}

static void files_are_read_and_written(void)
{
    begin();
    char steps[1024];
    snprintf(steps, sizeof(steps),
             REQUEST("fs/write_text_file", "\"path\":\"%s/new/a.txt\",\"content\":\"one\\ntwo\\n\"") ","
             REQUEST("fs/read_text_file", "\"path\":\"%s/new/../new/a.txt\",\"line\":2") ","
             REQUEST("fs/read_text_file", "\"path\":\"%s/nothing\"") ","
             REQUEST("fs/read_text_file", "\"path\":\"/etc/passwd\""),
             world.folder, world.folder, world.folder);
    play(steps);
    expect("reply:{}");
    expect("\"content\":\"two\\n\"");
    expect("-32002");
    expect("outside of the session's workspace");
    end();
}

/* More than may be on their way at once: the agent is not read meanwhile, and each is answered. */
static void many_files_at_once(void)
{
    begin();
    write_file("a.txt", "text");
    char steps[512];
    snprintf(steps, sizeof(steps),
             "{\"repeat\":{\"times\":60,\"steps\":[{\"request\":{\"method\":\"fs/read_text_file\",\"params\":{\"path\":"
             "\"%s/a.txt\"}},\"noWait\":true}]}}," REQUEST("fs/read_text_file", "\"path\":\"%s/a.txt\""),
             world.folder, world.folder);
    play(steps);
    size_t answers = 0;
    for (const char *found = said.text.data; (found = strstr(found, "\"content\":\"text\"")); found++) {
        answers++;
    }
    CU_ASSERT_EQUAL(answers, 61);
    end();
}

static void a_command_runs(void)
{
    begin();
    char steps[1024];
    snprintf(steps, sizeof(steps),
             REQUEST("terminal/create", "\"command\":\"/bin/sh\",\"args\":[\"-c\",\"pwd; echo $WORD; echo err >&2; cat; "
                                        "printf 'x\\\\377y'; exit 7\"],\"cwd\":\"%s\",\"env\":[{\"name\":\"WORD\",\"value\":\"given\"}]") ","
             REQUEST("terminal/wait_for_exit", OF(1)) "," REQUEST("terminal/output", OF(1)) ","
             REQUEST("terminal/wait_for_exit", OF(1)) "," REQUEST("terminal/release", OF(1)) ","
             REQUEST("terminal/output", OF(1)),
             world.folder);
    play(steps);
    expect("\"terminalId\":\"term-1-1\"");
    expect("\"exitCode\":7");
    char output[256];
    snprintf(output, sizeof(output), "given\\nerr\\nx\xef\xbf\xbdy\",\"truncated\":false,\"exitStatus\":{\"exitCode\":7");
    expect(output);
    expect("no such terminal");
    end();
}

static void what_cannot_run_is_an_error(void)
{
    begin();
    char link[128];
    snprintf(link, sizeof(link), "%s/out", world.folder);
    CU_ASSERT_EQUAL(symlink("/etc", link), 0);
    char steps[1024];
    snprintf(steps, sizeof(steps),
             REQUEST("terminal/create", "\"command\":\"signalbox-no-such-program\"") ","
             REQUEST("terminal/create", "\"command\":\"pwd\",\"cwd\":\"%s/out\"") ","
             REQUEST("terminal/create", "\"command\":\"pwd\",\"cwd\":\"%s/nowhere\""),
             world.folder, world.folder);
    play(steps);
    expect("No such file or directory: signalbox-no-such-program");
    expect("It leads out of the workspace (absolute links do): out");
    expect("No such file or directory: nowhere");
    end();
}

/* A place at which a command and the test meet: whoever comes first waits for the other. */
static void make_gate(void)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/gate", world.folder);
    CHECK(mkfifo(path, 0600) == 0);
}

static void pass_gate(int flags)
{
    char path[256], byte;
    snprintf(path, sizeof(path), "%s/gate", world.folder);
    int fd = open(path, flags | O_CLOEXEC);
    CHECK(fd >= 0);
    if (flags == O_RDONLY) {
        CHECK(read(fd, &byte, 1) == 1);
    }
    close(fd);
}

static void killed_and_released(void)
{
    begin();
    make_gate();
    play(REQUEST("terminal/create", "\"command\":\"echo $$; exec sleep 1000\"") ","
         REQUEST("terminal/kill", OF(1)) "," REQUEST("terminal/wait_for_exit", OF(1)) ","
         REQUEST("terminal/create", "\"command\":\"trap '' TERM; echo > gate; sleep 1000\""));
    expect("\"signal\":\"SIGTERM\"");
    pass_gate(O_RDONLY); /* from now on it ignores SIGTERM */
    play(REQUEST("terminal/kill", OF(2)) "," REQUEST("terminal/wait_for_exit", OF(2)) ","
         REQUEST("terminal/create", "\"command\":\"sleep\",\"args\":[\"1000\"]") ","
         REQUEST("terminal/release", OF(3)));
    expect("\"signal\":\"SIGKILL\"");
    end();
}

static bool no_terminals(int64_t argument)
{
    return metric_read(METRIC_TERMINALS_RUNNING) == argument;
}

#define SHOW(more)                                                                                                     \
    "{\"update\":{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"run\",\"content\":[{\"type\":"      \
    "\"terminal\"," OF(1) "}]" more "}}"

static pid_t said_pid(void)
{
    pid_t pid = (pid_t)strtol(said.output.data ? said.output.data : "", NULL, 10);
    CU_ASSERT_FATAL(pid > 1);
    return pid;
}

/* A grandchild in a session of its own, whose pid is the first line of the tool's output. */
#define GRANDCHILD REQUEST("terminal/create", "\"command\":\"setsid sleep 1000 </dev/null & echo $!; sleep 0.2; echo out; wait\"") "," SHOW("")

static void hear_output(void)
{
    while (!said.output.data || !memchr(said.output.data, '\n', said.output.length)) {
        CU_ASSERT_FATAL(hear_some());
    }
    buffer_byte(&said.output, '\0');
}

static void nothing_outlives_the_agent(void)
{
    /* It dies, it exits (when a cancel tells it to), it is stopped, it is killed. */
    static const char *const last[] = {"{\"kill\":\"KILL\"}", "{\"exit\":0}", "{\"waitCancel\":true}",
                                       "{\"waitCancel\":true}"};
    for (size_t i = 0; i < 4; i++) {
        begin();
        clear_said();
        char script[1024];
        snprintf(script, sizeof(script), "{\"steps\":[{\"ignoreCancel\":true}," GRANDCHILD ",{\"waitCancel\":true},%s]}", last[i]);
        prompt(script);
        hear_output();
        pid_t pid = said_pid();
        CU_ASSERT_FALSE(is_gone(pid));
        if (i == 2) {
            order(ORDER_STOP);
        } else if (i == 3) {
            order(ORDER_KILL);
        } else {
            order(ORDER_CANCEL);
        }
        struct agent_notice notice = hear_notice(NOTICE_EXITED);
        agent_notice_clear(&notice);
        until(is_gone, pid);
        until(no_terminals, 0);
        end();
    }
}

/* The thread is stopped while they run. */
static void nothing_outlives_the_thread(void)
{
    begin();
    clear_said();
    prompt("{\"steps\":[" GRANDCHILD ",{\"waitCancel\":true}]}");
    hear_output();
    pid_t pid = said_pid();
    end();
    until(is_gone, pid);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], *text;
    size_t length;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    CU_ASSERT_EQUAL_FATAL(file_read(path, 4096, &text, &length), ERR_OK);
    const char *end = strrchr(text, ')');
    pid_t parent = end ? (pid_t)strtol(end + 4, NULL, 10) : 0;
    free(text);
    return parent;
}

/* A guard that hangs ends nobody: then we do. */
static void nothing_outlives_a_guard_that_hangs(void)
{
    begin();
    clear_said();
    prompt("{\"steps\":[" GRANDCHILD ",{\"waitCancel\":true}]}");
    hear_output();
    pid_t pid = said_pid();
    pid_t guard = parent_of(parent_of(pid)); /* the shell is between them */
    CU_ASSERT_EQUAL_FATAL(parent_of(guard), getpid());
    CU_ASSERT_EQUAL(kill(guard, SIGSTOP), 0);
    end();
    CU_ASSERT_EQUAL(metric_read(METRIC_TERMINALS_RUNNING), 0);
    until(is_gone, pid);
}

static void what_a_command_leaves_behind_is_ended(void)
{
    begin();
    play(REQUEST("terminal/create", "\"command\":\"setsid sleep 1000 & echo $!\"") "," SHOW("") ","
         REQUEST("terminal/wait_for_exit", OF(1)));
    expect("\"exitCode\":0"); /* though the pipe is still open */
    pid_t pid = said_pid();
    until(is_gone, pid);
    until(no_terminals, 0);
    end();
}

/* A tool call shows it: while it runs, and in the result. A flood is held back by credit, and cut. */
static void a_flood_is_shown_up_to_a_bound(void)
{
    begin();
    play(REQUEST("terminal/create", "\"command\":\"head -c 20000000 /dev/zero | tr '\\\\000' x; echo; echo end\"") "," SHOW("") ","
         REQUEST("terminal/wait_for_exit", OF(1)) ",{\"update\":{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\","
         "\"status\":\"completed\"}}");
    CU_ASSERT(said.output.length > 4 << 20 && said.output.length < 6 << 20);
    CU_ASSERT_PTR_NOT_NULL(strstr(said.output.data, "more output than is shown"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said.result.data, "bytes before this are left out")); /* its rest is a blob */
    end();
}

static void no_credit_no_output(void)
{
    begin();
    world.keep_credit = true;
    clear_said();
    make_gate();
    prompt("{\"steps\":[" REQUEST("terminal/create", "\"command\":\"read x < gate; exec yes\"") "," SHOW("") ",{\"waitCancel\":true}]}");
    for (bool shown = false; !shown;) {
        struct heard heard = hear();
        shown = heard.is_event && heard.kind == EVENT_TOOL_START;
        heard_free(&heard);
    }
    pass_gate(O_WRONLY); /* what it says before it is shown would come at once, whatever credit there is */
    while (world.kept_bytes < 1 << 20) {
        CU_ASSERT_FATAL(hear_some());
    }
    /* The thread does something else meanwhile, and would have read far more than this. */
    struct topic *other = new_topic("session-2");
    for (uint64_t run = 1; run <= 3; run++) {
        start_of(other, run, "scripted", world.folder);
        while (ready_count < run) {
            CU_ASSERT_FATAL(hear_some());
        }
    }
    topic_put(other);
    CU_ASSERT(world.kept_bytes < 2 << 20);
    give_kept_credit(); /* and it goes on */
    while (world.kept_bytes < 1 << 20) {
        CU_ASSERT_FATAL(hear_some());
    }
    world.keep_credit = false;
    give_kept_credit();
    order(ORDER_CANCEL);
    while (hear_some()) {
    }
    ready_count = 0;
    CU_ASSERT(no_terminals(1)); /* a cancel is the agent's to follow */
    end();
}

static void too_many(void)
{
    begin();
    play("{\"repeat\":{\"times\":32,\"steps\":[" REQUEST("terminal/create", "\"command\":\"true\"") "]}},"
         REQUEST("terminal/create", "\"command\":\"true\""));
    expect("too many terminals");
    play(REQUEST("terminal/release", OF(1)) "," REQUEST("terminal/create", "\"command\":\"true\""));
    expect("\"terminalId\":\"term-1-33\"");
    end();
}

TEST_MAIN("agent services", TEST(files_are_read_and_written), TEST(many_files_at_once), TEST(a_command_runs),
          TEST(what_cannot_run_is_an_error), TEST(killed_and_released), TEST(nothing_outlives_the_agent),
          TEST(nothing_outlives_the_thread), TEST(nothing_outlives_a_guard_that_hangs), TEST(what_a_command_leaves_behind_is_ended),
          TEST(a_flood_is_shown_up_to_a_bound), TEST(no_credit_no_output), TEST(too_many))
