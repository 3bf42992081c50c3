/*
 * Memory that runs out: one session is played again and again, with the n-th allocation failing,
 * until none fails any more. Whatever fails, the peer says so, still ends, and (as the address
 * sanitizer tells) keeps nothing.
 */
#include "signalbox/core/acp.h"

#include "support/oom.h"
#include "support/test.h"

/* support/oom.h has the allocations of our own objects; these make the C library's copies two of
 * them. */
char *strndup(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit);
    char *copy = malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *strdup(const char *text)
{
    return strndup(text, strlen(text));
}

#define UPDATE(members)                                                                            \
    "{\"method\":\"session/"                                                                       \
    "update\",\"params\":{\"sessionId\":\"s\",\"update\":{\"sessionUpdate\":" members "}}}"

#define REQUEST(id, method, members)                                                               \
    "{\"id\":" #id ",\"method\":\"" method "\",\"params\":{\"sessionId\":\"s\"," members "}}"

/* "P": a prompt is given; "A": the permission is answered; "C": cancelled; "T": time passes; "F":
 * the file is read; "M": it is missing; "S", "O", "X": the terminal runs, writes, ends. */
static const char *const script[] = {
    "{\"id\":0,\"result\":{\"protocolVersion\":1,\"authMethods\":[]}}",
    "{\"id\":1,\"result\":{\"sessionId\":\"s\",\"modes\":{\"currentModeId\":\"m\","
    "\"availableModes\":"
    "[{\"id\":\"m\"}]},\"configOptions\":[],\"models\":{\"currentModelId\":\"x\"}}}",
    UPDATE("\"available_commands_update\",\"availableCommands\":[{\"name\":\"n\"}]"),
    UPDATE("\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"early\"}"),
    "P",
    UPDATE("\"agent_thought_chunk\",\"messageId\":\"1\",\"content\":{\"type\":\"text\",\"text\":"
           "\"a\"}"),
    UPDATE("\"agent_message_chunk\",\"messageId\":\"1\",\"content\":{\"type\":\"text\",\"text\":"
           "\"b\"}"),
    UPDATE("\"agent_message_chunk\",\"messageId\":\"2\",\"content\":{\"type\":\"text\",\"text\":"
           "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}"),
    "T",
    UPDATE(
        "\"tool_call\",\"toolCallId\":\"c\",\"title\":\"bash\",\"rawInput\":{\"command\":\"ls\"}"),
    "{\"id\":\"x\",\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"s\","
    "\"toolCall\":{\"toolCallId\":\"c\",\"kind\":\"execute\"},\"options\":"
    "[{\"optionId\":\"o\",\"kind\":\"allow_once\"}]}}",
    "A",
    UPDATE("\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"in_progress\",\"content\":[{"
           "\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"out\"}}]"),
    "T",
    UPDATE("\"tool_call_update\",\"toolCallId\":\"c\",\"content\":[{\"type\":\"diff\",\"path\":"
           "\"p\"}]"),
    "T",
    UPDATE("\"tool_call_update\",\"toolCallId\":\"d\",\"_meta\":{\"terminal_output\":{\"data\":"
           "\"output\"}}"),
    UPDATE(
        "\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"completed\",\"rawOutput\":\"r\""),
    UPDATE("\"tool_call_update\",\"toolCallId\":\"c\",\"title\":\"late\""),
    "{\"id\":\"y\",\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"s\","
    "\"toolCall\":{\"toolCallId\":\"e\",\"kind\":\"switch_mode\",\"rawInput\":{\"plan\":\"p\"},"
    "\"locations\":[{\"path\":\"a\"},{\"path\":\"/b\"}]},"
    "\"options\":[{\"optionId\":\"o\"}]}}",
    "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":\"y\"}}",
    /* LONG: so long that it is cut. */
    UPDATE("\"tool_call\",\"toolCallId\":\"f\",\"rawInput\":{\"text\":\"LONG\"}"),
    "{\"id\":\"z\",\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"s\","
    "\"toolCall\":{\"toolCallId\":\"f\",\"rawInput\":{\"command\":\"LONG\"}},"
    "\"options\":[{\"optionId\":\"o\"}]}}",
    "A",
    UPDATE("\"tool_call_update\",\"toolCallId\":\"f\",\"status\":\"completed\",\"rawOutput\":\"LONG\""),
    UPDATE("\"plan\",\"entries\":[]"),
    UPDATE("\"usage_update\",\"used\":1,\"size\":2,\"cost\":{\"amount\":0.5}"),
    UPDATE("\"session_info_update\",\"title\":\"t\""),
    UPDATE("\"something new\",\"x\":[1,{\"y\":null}]"),
    "{\"id\":9,\"method\":\"fs/read_text_file\"}",
    REQUEST(10, "fs/read_text_file", "\"path\":\"/w/a\""),
    "F",
    REQUEST(11, "fs/write_text_file", "\"path\":\"/w/a\",\"content\":\"text\""),
    "M",
    REQUEST(12, "terminal/create",
            "\"command\":\"x y\",\"cwd\":\"/w/d\",\"env\":[{\"name\":\"A\",\"value\":\"b\"}]"),
    "S",
    REQUEST(13, "terminal/wait_for_exit", "\"terminalId\":\"term-1-1\""),
    "O",
    UPDATE("\"tool_call\",\"toolCallId\":\"f\",\"content\":[{\"type\":\"terminal\",\"terminalId\":"
           "\"term-1-1\"}]"),
    "O",
    REQUEST(14, "terminal/output", "\"terminalId\":\"term-1-1\""),
    "X",
    REQUEST(15, "terminal/release", "\"terminalId\":\"term-1-1\""),
    "C",
    "{\"id\":2,\"result\":{\"stopReason\":\"cancelled\",\"usage\":{\"totalTokens\":1}}}",
    "P",
    "{\"id\":3,\"error\":{\"code\":400,\"message\":\"no\",\"data\":\"d\"}}",
};
enum { STEPS = sizeof script / sizeof script[0] };

static char *request_id;
static enum agent_notice_kind last_notice;

static void take_line(void *context, const char *line, size_t length)
{
    (void)context;
    CU_ASSERT_FATAL(length > 1 && line[length - 1] == '\n');
}

static void take_event(void *context, struct event *event)
{
    (void)context;
    event_discard(event);
}

static void take_blobs(void *context, struct blob *blobs)
{
    (void)context;
    blobs_free(blobs);
}

static void take_notice(void *context, struct agent_notice *notice)
{
    (void)context;
    last_notice = notice->kind;
    if (notice->kind == NOTICE_PERMISSION) {
        CU_ASSERT_TRUE(notice->ask->command != NULL && notice->ask->option_count == 1 &&
                       notice->ask->options[0].option_id != NULL);
        free(request_id);
        request_id = notice->ask->request_id;
        notice->ask->request_id = NULL;
    }
    agent_notice_clear(notice);
}

static uint64_t last_serial;
static char file_text[] = "text";

static enum err take_file(void *context, uint64_t serial, struct file_call *call)
{
    (void)context;
    last_serial = serial;
    file_call_clear(call);
    return ERR_OK;
}

static enum err take_command(void *context, uint64_t number, const struct terminal_command *command,
                             char *why)
{
    (void)context;
    (void)why;
    CU_ASSERT_TRUE(number == 1 && command->argument_count == 3);
    return ERR_OK;
}

static void take_command_end(void *context, uint64_t number, bool at_once)
{
    (void)context;
    CU_ASSERT_TRUE(number == 1 && at_once);
}

static void step(struct acp_peer *peer, const char *line, struct json_object *message, int64_t now)
{
    acp_peer_time(peer, (struct instant){now * 10000000}, now * 10);
    switch (line[0]) {
    case 'P':
        acp_peer_prompt(peer, "turn", "[]");
        break;
    case 'A':
        acp_peer_permission(peer, request_id != NULL ? request_id : "", "o");
        break;
    case 'C':
        acp_peer_cancel(peer);
        break;
    case 'T':
        acp_peer_time(peer, (struct instant){now * 10000000 + 100000000}, now * 10 + 100);
        acp_peer_tick(peer);
        break;
    case 'F':
        acp_peer_file(peer, last_serial, &(struct file_call){.content = file_text, .length = 4});
        break;
    case 'M':
        acp_peer_file(peer, last_serial, &(struct file_call){.outcome = FILE_MISSING});
        break;
    case 'S':
        acp_peer_terminal_started(peer, 1, NULL);
        break;
    case 'O':
        acp_peer_terminal_output(peer, 1, "out\xe2put", 7);
        break;
    case 'X':
        acp_peer_terminal_exited(peer, 1, 0, 0);
        break;
    default: {
        enum err err = acp_peer_message(peer, message);
        CU_ASSERT_EQUAL(err, acp_peer_error(peer));
    }
    }
}

static struct json_object *messages[STEPS];

/* True: it went well, or the failure was told. */
static bool play(void)
{
    struct acp_options options = {.session_id = "signal",
                                  .cwd = "/w",
                                  .run = 1,
                                  .delta_window_ms = 50,
                                  .max_message_text = 64,
                                  .version = "1",
                                  .offers = ACP_OFFER_FS | ACP_OFFER_TERMINAL};
    struct acp_sink sink = {NULL,      take_line,    take_event,      take_blobs, take_notice,
                            take_file, take_command, take_command_end};
    struct acp_peer *peer = NULL;
    enum err err = acp_peer_new(&peer, &options, &sink);
    if (err != ERR_OK) {
        return err == ERR_NOMEM;
    }
    acp_peer_start(peer);
    for (int i = 0; i < STEPS; i++) {
        step(peer, script[i], messages[i], i);
    }
    bool failed = atomic_load(&oom_countdown) < 0;
    bool told = acp_peer_error(peer) == (failed ? ERR_NOMEM : ERR_OK);
    acp_peer_end(peer, "over");
    bool ended = last_notice == NOTICE_EXITED || last_notice == NOTICE_FAILED;
    acp_peer_free(peer);
    free(request_id);
    request_id = NULL;
    return told && ended;
}

static struct json_object *parse(const char *line)
{
    static char text[64 * 1024];
    char *to = text;
    for (const char *at = line; *at;) {
        if (strncmp(at, "LONG", 4) != 0) {
            *to++ = *at++;
            continue;
        }
        memset(to, 'x', 40 * 1024);
        to += 40 * 1024;
        at += 4;
    }
    *to = '\0';
    return json_tokener_parse(text);
}

static void each_allocation_may_fail(void)
{
    for (int i = 0; i < STEPS; i++) {
        messages[i] = script[i][0] == '{' ? parse(script[i]) : NULL;
        CU_ASSERT_FATAL(messages[i] != NULL || script[i][0] != '{');
    }
    bool all_fine;
    CU_ASSERT_TRUE(oom_each(play, &all_fine) > 80);
    CU_ASSERT_TRUE(all_fine);
    for (int i = 0; i < STEPS; i++) {
        json_object_put(messages[i]);
    }
}

TEST_MAIN("acp_memory", TEST(each_allocation_may_fail))
