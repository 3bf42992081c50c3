/*
 * Recorded sessions of real agents (tests/transcripts) played into a peer. The lines that the
 * recording's client sent drive the host: its prompts, cancels and permission answers are given at
 * their places. What a watcher has in the end is compared with what this file reads out of the
 * recording by itself.
 *
 * The recording's client and our host differ in one thing. It sometimes sent a prompt into a
 * running turn: here it waits for the end of the turn, as the server would make it wait. Where it
 * loaded a session, our host does: then nothing of what the agent replays may come out.
 */
#include "signalbox/base/json.h"
#include "support/acp_host.h"
#include "support/test.h"

#ifndef TEST_SOURCE_DIR
#error "TEST_SOURCE_DIR names the folder that has transcripts/"
#endif

enum { TURNS_MAX = 32, CALLS_MAX = 128 };

/* A tool call as the recording has it. */
struct said_call {
    char id[128];
    struct json_object *fields; /* merged */
    int turn;
};

struct play {
    struct host host;
    int64_t last_ms;
    char session[128];  /* of the recording's main session */
    int64_t new_id;     /* the recording's id of session/new or session/load */
    bool loads;         /* it is session/load */
    int64_t prompt_id;  /* of the running turn's prompt, -1 */
    int64_t waiting_id; /* of a prompt that was sent too early, -1 */

    char *text[TURNS_MAX + 1], *thoughts[TURNS_MAX + 1]; /* [0]: outside of turns */
    struct said_call calls[CALLS_MAX];
    size_t call_count;
    size_t others; /* updates that have no event of their own */
    struct json_object *usage, *commands;

    char asked_id[64]; /* the request that the last permission notice named, by the agent's id */
    struct {
        char agent[64], *ours;
    } asks[64];
    size_t ask_count;
};

static char *join(char *to, const char *more)
{
    size_t length = to != NULL ? strlen(to) : 0;
    char *joined = realloc(to, length + strlen(more) + 1);
    if (joined == NULL) {
        abort();
    }
    strcpy(joined + length, more);
    return joined;
}

/* -2 where there is none, or it is another's text id. */
static int64_t number(struct json_object *object, const char *key)
{
    int64_t value;
    return json_get_i64(object, key, &value) ? value : -2;
}

static int turn_index(const struct play *play)
{
    return play->host.turn + 1;
}

static bool is_final(const char *status)
{
    return status != NULL && (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0);
}

static struct said_call *said(struct play *play, const char *id)
{
    for (size_t i = play->call_count; i-- > 0;) {
        if (strcmp(play->calls[i].id, id) == 0 && play->calls[i].turn == play->host.turn) {
            return &play->calls[i];
        }
    }
    CU_ASSERT_FATAL(play->call_count < CALLS_MAX);
    struct said_call *call = &play->calls[play->call_count++];
    snprintf(call->id, sizeof call->id, "%s", id);
    call->turn = play->host.turn;
    call->fields = json_object_new_object();
    json_object_object_add(call->fields, "kind", json_object_new_string("other"));
    json_object_object_add(call->fields, "status", json_object_new_string("pending"));
    return call;
}

static void expect_call(struct play *play, struct json_object *fields)
{
    struct said_call *call = said(play, json_get_string(fields, "toolCallId"));
    json_object_object_foreach(fields, key, value)
    {
        if (value != NULL && strcmp(key, "sessionUpdate") != 0) {
            json_object_object_add(call->fields, key, json_object_get(value));
        }
    }
}

static void expect_update(struct play *play, struct json_object *update)
{
    const char *kind = json_get_string(update, "sessionUpdate");
    const char *text = json_get_string(json_get(update, "content"), "text");
    int turn = turn_index(play);
    if (play->loads && turn == 0 && strcmp(kind, "usage_update") != 0 &&
        strcmp(kind, "available_commands_update") != 0) {
        return; /* said before */
    }
    if (strcmp(kind, "agent_message_chunk") == 0) {
        play->text[turn] = join(play->text[turn], text);
    } else if (strcmp(kind, "agent_thought_chunk") == 0) {
        play->thoughts[turn] = join(play->thoughts[turn], text);
    } else if (strncmp(kind, "tool_call", 9) == 0) {
        expect_call(play, update);
    } else if (strcmp(kind, "usage_update") == 0) {
        json_object_put(play->usage);
        play->usage = json_object_get(update);
    } else if (strcmp(kind, "available_commands_update") == 0) {
        json_object_put(play->commands);
        play->commands = json_object_get(update);
    } else {
        play->others++;
    }
}

static bool is_method(struct json_object *message, const char *method)
{
    const char *name = json_get_string(message, "method");
    return name != NULL && strcmp(name, method) == 0;
}

static bool is_main(const struct play *play, struct json_object *message)
{
    const char *session = json_get_string(json_get(message, "params"), "sessionId");
    return session != NULL && strcmp(session, play->session) == 0;
}

static void prompt(struct play *play, int64_t id)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(host_last_notice(&play->host, NOTICE_READY));
    play->prompt_id = id;
    host_prompt(&play->host);
    CU_ASSERT_FATAL(play->host.turns <= TURNS_MAX);
}

/* A permission answer of the recording, given by our name of the request; ours must look the same.
 */
static void answer_permission(struct play *play, struct json_object *message)
{
    const char *agent_id = json_object_get_string(json_get(message, "id"));
    struct json_object *outcome = json_get(json_get(message, "result"), "outcome");
    if (outcome == NULL) {
        return; /* of fs/write_text_file, which we refuse */
    }
    for (size_t i = play->ask_count; i-- > 0;) {
        if (strcmp(play->asks[i].agent, agent_id) == 0 && play->asks[i].ours != NULL) {
            acp_peer_permission(play->host.peer, play->asks[i].ours,
                                json_get_string(outcome, "optionId"));
            free(play->asks[i].ours);
            play->asks[i].ours = NULL;
            CU_ASSERT_EQUAL(json_object_equal(host_last_sent(&play->host), message), 1);
            return;
        }
    }
    CU_FAIL("an answer to a request that was not asked");
}

static void play_out(struct play *play, struct json_object *message)
{
    int64_t id = number(message, "id");
    if (is_method(message, "initialize")) {
        acp_peer_start(play->host.peer);
    } else if (is_method(message, "session/new") || is_method(message, "session/load")) {
        play->new_id = play->new_id < 0 ? id : play->new_id;
    } else if (is_method(message, "session/prompt") && is_main(play, message)) {
        if (acp_peer_in_turn(play->host.peer)) {
            play->waiting_id = id;
        } else {
            prompt(play, id);
        }
    } else if (is_method(message, "session/cancel") && is_main(play, message)) {
        acp_peer_cancel(play->host.peer);
    } else if (json_get(message, "method") == NULL) {
        answer_permission(play, message);
    }
}

static void answer(struct play *play, int64_t id, struct json_object *message)
{
    struct json_object *given = NULL;
    CU_ASSERT_EQUAL(json_object_deep_copy(message, &given, NULL), 0);
    json_object_object_add(given, "id", json_object_new_int64(id));
    host_say_object(&play->host, given);
    json_object_put(given);
}

static int64_t last_call_id(const struct play *play)
{
    int64_t id = -1;
    for (size_t i = 0; i < play->host.sent_count; i++) {
        if (json_get(play->host.sent[i], "method") != NULL) {
            id = number(play->host.sent[i], "id") >= 0 ? number(play->host.sent[i], "id") : id;
        }
    }
    return id;
}

static void play_session_response(struct play *play, struct json_object *message)
{
    struct json_object *given = NULL;
    CU_ASSERT_EQUAL(json_object_deep_copy(message, &given, NULL), 0);
    struct json_object *result = json_get(given, "result");
    const char *session = json_get_string(result, "sessionId");
    if (session != NULL) {
        snprintf(play->session, sizeof play->session, "%s", session);
    }
    /* An agent that can is asked to resume instead, and is ready at once. */
    bool settles = strcmp(at(host_last_sent(&play->host), "method"), "session/load") == 0;
    answer(play, last_call_id(play), given);
    CU_ASSERT_EQUAL(host_last_notice(&play->host, NOTICE_READY) == NULL, settles);
    CU_ASSERT_TRUE(play->loads || !settles);
    if (json_get(result, "models") != NULL) {
        CU_ASSERT_PTR_NOT_NULL(host_last_event(&play->host, EVENT_CONFIG_OPTIONS));
    }
    play->new_id = INT64_MAX;
    json_object_put(given);
}

static void play_response(struct play *play, struct json_object *message)
{
    int64_t id = number(message, "id");
    if (id == 0) {
        answer(play, last_call_id(play), message);
    } else if (id == play->new_id) {
        play_session_response(play, message);
    } else if (id == play->prompt_id) {
        answer(play, last_call_id(play), message);
        const char *reason = json_get_string(json_get(message, "result"), "stopReason");
        struct agent_notice *ended = host_last_notice(&play->host, NOTICE_TURN_ENDED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(ended);
        TEST_TEXT(ended->stop_reason, reason != NULL ? reason : "error");
        CU_ASSERT_EQUAL(ended->message != NULL, reason == NULL);
        play->prompt_id = -1;
        if (play->waiting_id >= 0) {
            prompt(play, play->waiting_id);
            play->waiting_id = -1;
        }
    } else {
        /* To a request that our host does not make, or that it made at another time. */
        play->waiting_id = id == play->waiting_id ? -1 : play->waiting_id;
        size_t notices = play->host.notice_count;
        answer(play, 1000000 + id, message);
        CU_ASSERT_EQUAL(play->host.notice_count, notices);
    }
}

static void play_request(struct play *play, struct json_object *message)
{
    bool asks = is_method(message, "session/request_permission");
    size_t notices = play->host.notice_count;
    if (asks && is_main(play, message)) {
        expect_call(play, json_get(json_get(message, "params"), "toolCall"));
    }
    host_say_object(&play->host, message);
    if (!asks) {
        TEST_TEXT(at(host_last_sent(&play->host), "error/code"), "-32601");
        return;
    }
    CU_ASSERT_EQUAL_FATAL(play->host.notice_count, notices + 1);
    struct permission_ask *ask = play->host.notices[notices].ask;
    CU_ASSERT_PTR_NOT_NULL_FATAL(ask);
    CU_ASSERT_TRUE(ask->command[0] != '\0' && ask->description[0] != '\0');
    CU_ASSERT_EQUAL(ask->option_count,
                    json_object_array_length(json_get(json_get(message, "params"), "options")));
    snprintf(play->asks[play->ask_count].agent, sizeof play->asks[0].agent, "%s",
             json_object_get_string(json_get(message, "id")));
    play->asks[play->ask_count++].ours = strdup(ask->request_id);
    CU_ASSERT_FATAL(play->ask_count < 64);
}

static void play_in(struct play *play, struct json_object *message)
{
    if (is_method(message, "session/update")) {
        if (is_main(play, message) || play->session[0] == '\0') {
            expect_update(play, json_get(json_get(message, "params"), "update"));
        }
        CU_ASSERT_EQUAL(host_say_object(&play->host, message), ERR_OK);
    } else if (json_get(message, "method") != NULL && json_get(message, "id") != NULL) {
        play_request(play, message);
    } else if (json_get(message, "method") != NULL) {
        CU_ASSERT_EQUAL(host_say_object(&play->host, message), ERR_OK);
    } else {
        play_response(play, message);
    }
}

static void play_line(struct play *play, char *line)
{
    struct json_object *entry = json_tokener_parse(line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    int64_t t = number(entry, "t");
    /* The clock runs as it did, and ticks come when they are due. */
    while (play->last_ms < t) {
        play->last_ms++;
        host_advance(&play->host, 1);
        if (instant_reached(acp_peer_deadline(play->host.peer), play->host.now)) {
            host_tick(&play->host);
        }
    }
    bool out = strcmp(json_get_string(entry, "dir"), "out") == 0;
    (out ? play_out : play_in)(play, json_get(entry, "msg"));
    CU_ASSERT_EQUAL(acp_peer_error(play->host.peer), ERR_OK);
    json_object_put(entry);
}

static void check_texts(const struct play *play)
{
    for (int turn = -1; turn < play->host.turns; turn++) {
        char *text = join(NULL, "");
        char *thoughts = join(NULL, "");
        for (size_t i = 0; i < play->host.block_count; i++) {
            const struct seen_block *block = &play->host.blocks[i];
            CU_ASSERT_FALSE(block->open);
            if (block->turn == turn && block->thought) {
                thoughts = join(thoughts, block->text);
            } else if (block->turn == turn) {
                text = join(text, block->text);
            }
        }
        TEST_TEXT(text, play->text[turn + 1] != NULL ? play->text[turn + 1] : "");
        TEST_TEXT(thoughts, play->thoughts[turn + 1] != NULL ? play->thoughts[turn + 1] : "");
        free(text);
        free(thoughts);
    }
}

static void check_field(const struct seen_tool *seen, const struct said_call *said,
                        const char *ours, const char *theirs)
{
    struct json_object *a = json_get(seen->fields, ours);
    struct json_object *b = json_get(said->fields, theirs);
    CU_ASSERT_EQUAL(a == NULL, b == NULL);
    if (a != NULL && b != NULL && json_object_equal(a, b) != 1) {
        TEST_TEXT(json_object_to_json_string(a), json_object_to_json_string(b));
    }
}

/* The result's text, where all the content is one text. */
static void check_result(const struct seen_tool *seen, const struct said_call *said)
{
    const char *status = json_get_string(said->fields, "status");
    struct json_object *content = json_get(said->fields, "content");
    CU_ASSERT_PTR_NOT_NULL_FATAL(seen->result);
    CU_ASSERT_EQUAL(json_get_bool(seen->result, "isError", false),
                    !is_final(status) || strcmp(status, "failed") == 0);
    if (content != NULL && json_object_array_length(content) == 1) {
        const char *text =
            json_get_string(json_get(json_object_array_get_idx(content, 0), "content"), "text");
        if (text != NULL) {
            TEST_TEXT(json_get_string(seen->result, "result"), text);
            CU_ASSERT_PTR_NULL(json_get(seen->result, "content"));
        }
    }
}

static void check_calls(const struct play *play)
{
    CU_ASSERT_EQUAL_FATAL(play->host.tool_count, play->call_count);
    for (size_t i = 0; i < play->call_count; i++) {
        const struct seen_tool *seen = &play->host.tools[i];
        const struct said_call *said = &play->calls[i];
        CU_ASSERT_EQUAL(seen->turn, said->turn);
        check_field(seen, said, "title", "title");
        check_field(seen, said, "kind", "kind");
        check_field(seen, said, "locations", "locations");
        if (json_get(said->fields, "rawInput") != NULL) {
            check_field(seen, said, "toolInput", "rawInput");
        }
        if (!is_final(json_get_string(said->fields, "status"))) {
            check_field(seen, said, "status", "status");
        }
        check_result(seen, said);
    }
}

static void check_rest(struct play *play)
{
    size_t others = 0;
    for (size_t i = 0; i < play->host.event_count; i++) {
        others += play->host.events[i].kind == EVENT_AGENT_UPDATE;
    }
    CU_ASSERT_EQUAL(others, play->others);
    if (play->usage != NULL) {
        struct json_object *usage = host_last_event(&play->host, EVENT_USAGE);
        CU_ASSERT_EQUAL(json_object_equal(json_get(usage, "used"), json_get(play->usage, "used")),
                        1);
        CU_ASSERT_EQUAL(json_object_equal(json_get(usage, "cost"), json_get(play->usage, "cost")),
                        1);
    }
    if (play->commands != NULL) {
        CU_ASSERT_EQUAL(json_object_array_length(
                            json_get(host_last_event(&play->host, EVENT_COMMANDS), "commands")),
                        json_object_array_length(json_get(play->commands, "availableCommands")));
    }
}

static void finish(struct play *play)
{
    host_close(&play->host);
    for (size_t i = 0; i <= TURNS_MAX; i++) {
        free(play->text[i]);
        free(play->thoughts[i]);
    }
    for (size_t i = 0; i < play->call_count; i++) {
        json_object_put(play->calls[i].fields);
    }
    for (size_t i = 0; i < play->ask_count; i++) {
        free(play->asks[i].ours);
    }
    json_object_put(play->usage);
    json_object_put(play->commands);
}

/* `load`: the agent's id of the session that the recording begins with by loading it; NULL: it opens a new one. */
static void play_file(const char *name, const char *load, int turns, size_t calls)
{
    char path[512];
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    struct play play = {.new_id = -1, .prompt_id = -1, .waiting_id = -1, .loads = load != NULL};
    snprintf(play.session, sizeof play.session, "%s", load != NULL ? load : "");
    snprintf(path, sizeof path, "%s/transcripts/%s.jsonl", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    host_open(&play.host, &(struct host_options){50, 256 * 1024, 1, load, NULL, 0, 0});
    while ((length = getline(&line, &size, file)) > 0) {
        play_line(&play, line);
    }
    fclose(file);
    free(line);
    acp_peer_end(play.host.peer, "the recording is over");
    CU_ASSERT_EQUAL(play.host.notices[play.host.notice_count - 1].kind, NOTICE_EXITED);
    check_texts(&play);
    check_calls(&play);
    check_rest(&play);
    CU_ASSERT_EQUAL(play.host.turns, turns);
    CU_ASSERT_EQUAL(play.host.tool_count, calls);
    if (play.host.turns != turns || play.host.tool_count != calls) {
        printf("    %s: %d turns, %zu calls\n", name, play.host.turns, play.host.tool_count);
    }
    finish(&play);
}

static void gemini(void)
{
    play_file("gemini", NULL, 12, 9);
}

static void gemini_extra(void)
{
    play_file("gemini-extra", NULL, 6, 5);
}

static void gemini_life(void)
{
    play_file("gemini-life", NULL, 2, 0);
}

static void gemini_load(void)
{
    play_file("gemini-load", "ff61e5d7-e6be-4ba5-b031-1139388bc081", 1, 0);
}

static void opencode(void)
{
    play_file("opencode", NULL, 12, 9);
}

static void opencode_extra(void)
{
    play_file("opencode-extra", NULL, 6, 5);
}

static void opencode_life(void)
{
    play_file("opencode-life", NULL, 2, 0);
}

static void opencode_load(void)
{
    play_file("opencode-load", "ses_e07424965ffeKGrm5V5u6WpFnP", 1, 0);
}

static void sdk_example(void)
{
    play_file("sdk-example", NULL, 4, 6);
}

TEST_MAIN("acp_transcripts", TEST(gemini), TEST(gemini_extra), TEST(gemini_life), TEST(gemini_load),
          TEST(opencode), TEST(opencode_extra), TEST(opencode_life), TEST(opencode_load),
          TEST(sdk_example))
