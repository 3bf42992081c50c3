/*
 * An agent that sends nonsense: the messages of recorded sessions with one value somewhere in them
 * replaced or left out, in any order. Whatever comes, a watcher sees a session by the rules
 * (support/acp_host.c checks them), and every turn that is answered ends.
 */
#define _GNU_SOURCE
#include "signalbox/base/json.h"
#include "support/acp_host.h"
#include "support/test.h"

enum { LINES_MAX = 1024, STEPS = 4000, ROUNDS = 6, LINE_MAX = 20000 };

static struct json_object *lines[LINES_MAX];
static size_t line_count;

/* xorshift64 with a fixed seed, so that a failure comes again. */
static uint64_t state = 1442695040888963407u;
static size_t below(size_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % bound);
}

static void load(const char *name)
{
    char path[512];
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    snprintf(path, sizeof path, "%s/transcripts/%s.jsonl", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while ((length = getline(&line, &size, file)) > 0) {
        struct json_object *entry = json_tokener_parse(line);
        const char *direction = json_get_string(entry, "dir");
        if (length < LINE_MAX && strcmp(direction, "in") == 0 && line_count < LINES_MAX) {
            lines[line_count++] = json_object_get(json_get(entry, "msg"));
        }
        json_object_put(entry);
    }
    free(line);
    fclose(file);
}

static struct json_object *nonsense(void)
{
    switch (below(9)) {
    case 0:
        return NULL;
    case 1:
        return json_object_new_int64((int64_t)below(3));
    case 2:
        return json_object_new_double(-1.5);
    case 3:
        return json_object_new_string("\xF0\x9F");
    case 4:
        return json_object_new_string("completed");
    case 5:
        return json_object_new_array();
    case 6:
        return json_object_new_object();
    case 7:
        return json_object_new_boolean(1);
    default:
        return json_object_new_string_len("a\0b", 3);
    }
}

/* Replaces or removes one member, the deeper the rarer. */
static void spoil(struct json_object *value)
{
    if (json_object_is_type(value, json_type_array) && json_object_array_length(value) > 0) {
        size_t at_index = below(json_object_array_length(value));
        struct json_object *item = json_object_array_get_idx(value, at_index);
        if (below(4) > 0 && item != NULL) {
            spoil(item);
        } else {
            json_object_array_put_idx(value, at_index, nonsense());
        }
        return;
    }
    if (!json_object_is_type(value, json_type_object) || json_object_object_length(value) == 0) {
        return;
    }
    size_t chosen = below((size_t)json_object_object_length(value));
    size_t i = 0;
    char *name = NULL;
    struct json_object *inner = NULL;
    json_object_object_foreach(value, key, member)
    {
        if (i++ == chosen) {
            name = strdup(key);
            inner = member;
        }
    }
    bool deeper =
        json_object_is_type(inner, json_type_object) || json_object_is_type(inner, json_type_array);
    if (deeper && below(5) > 0) {
        spoil(inner);
    } else if (below(4) == 0) {
        json_object_object_del(value, name);
    } else {
        json_object_object_add(value, name, nonsense());
    }
    free(name);
}

/* The recorded session's name is replaced, so that it is the host's own. */
static void adopt(struct json_object *message)
{
    struct json_object *params = json_get(message, "params");
    if (json_get(params, "sessionId") != NULL && below(50) > 0) {
        json_object_object_add(params, "sessionId", json_object_new_string("s"));
    }
}

/* What the agent has the host do: asked for as wrongly as all the rest. */
static const char *const services[] = {
    "{\"id\":1,\"method\":\"fs/read_text_file\",\"params\":{\"sessionId\":\"s\",\"path\":\"/w/a\",\"line\":2,\"limit\":3}}",
    "{\"id\":2,\"method\":\"fs/write_text_file\",\"params\":{\"sessionId\":\"s\",\"path\":\"/w/b\",\"content\":\"c\"}}",
    "{\"id\":3,\"method\":\"terminal/create\",\"params\":{\"sessionId\":\"s\",\"command\":\"x\",\"args\":[\"y\"],"
    "\"env\":[{\"name\":\"A\",\"value\":\"b\"}],\"cwd\":\"/w/d\",\"outputByteLimit\":9}}",
    "{\"id\":4,\"method\":\"terminal/output\",\"params\":{\"sessionId\":\"s\",\"terminalId\":\"term-1-1\"}}",
    "{\"id\":5,\"method\":\"terminal/wait_for_exit\",\"params\":{\"sessionId\":\"s\",\"terminalId\":\"term-1-1\"}}",
    "{\"id\":6,\"method\":\"terminal/kill\",\"params\":{\"sessionId\":\"s\",\"terminalId\":\"term-1-2\"}}",
    "{\"id\":7,\"method\":\"terminal/release\",\"params\":{\"sessionId\":\"s\",\"terminalId\":\"term-1-2\"}}",
    "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":5}}",
    "{\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\",\"update\":{\"sessionUpdate\":\"tool_call\",\"toolCallId\":"
    "\"t\",\"content\":[{\"type\":\"terminal\",\"terminalId\":\"term-1-1\"}]}}}",
};

/* And what comes of it, whether it was asked for or not. */
static void serve(struct host *host)
{
    struct file_call call = {.outcome = (enum file_outcome)below(FILE_FAILED + 1), .error = EIO};
    acp_peer_file(host->peer, below(host->file_count + 2), &call);
    uint64_t number = 1 + below(3);
    switch (below(4)) {
    case 0:
        acp_peer_terminal_started(host->peer, number, below(4) == 0 ? "not" : NULL);
        break;
    case 1:
        acp_peer_terminal_exited(host->peer, number, (int)below(3) - 1, (int)below(70));
        break;
    default:
        acp_peer_terminal_output(host->peer, number, "some \xe2\x82 output", below(14));
    }
}

static void step(struct host *host)
{
    serve(host);
    struct json_object *message = NULL;
    CU_ASSERT_EQUAL(json_object_deep_copy(lines[below(line_count)], &message, NULL), 0);
    adopt(message);
    if (below(3) == 0) {
        spoil(message);
    }
    enum err err = host_say_object(host, message);
    CU_ASSERT_TRUE(err == ERR_OK || err == ERR_SYNTAX);
    json_object_put(message);
    host_advance(host, (int64_t)below(40));
    if (below(2) == 0) {
        host_tick(host);
    }
    struct agent_notice *asked = host_last_notice(host, NOTICE_PERMISSION);
    if (asked != NULL && below(4) == 0) {
        acp_peer_permission(host->peer, asked->ask->request_id, below(2) ? "x" : NULL);
    }
    if (!acp_peer_in_turn(host->peer)) {
        host_prompt(host);
    } else if (below(60) == 0) {
        acp_peer_cancel(host->peer);
    } else if (below(30) == 0) {
        host_answer_prompt(host, "{\"stopReason\":\"end_turn\"}");
        CU_ASSERT_FALSE(acp_peer_in_turn(host->peer));
    }
}

static void nonsense_ends_in_order(void)
{
    load("gemini");
    load("opencode");
    load("sdk-example");
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        for (int times = 0; times < 8; times++) {
            CU_ASSERT_TRUE_FATAL(line_count < LINES_MAX);
            lines[line_count++] = json_tokener_parse(services[i]);
        }
    }
    CU_ASSERT_TRUE_FATAL(line_count > 200);
    for (int round = 0; round < ROUNDS; round++) {
        struct host host;
        host_open_ready(&host, &(struct host_options){50, 100 + below(1000), 1, NULL, NULL, 0, ACP_OFFER_FS | ACP_OFFER_TERMINAL}, NULL);
        for (int i = 0; i < STEPS / ROUNDS; i++) {
            step(&host);
        }
        acp_peer_end(host.peer, "over");
        CU_ASSERT_EQUAL(acp_peer_error(host.peer), ERR_OK);
        for (size_t i = 0; i < host.tool_count; i++) {
            CU_ASSERT_PTR_NOT_NULL(host.tools[i].result);
        }
        for (size_t i = 0; i < host.block_count; i++) {
            CU_ASSERT_FALSE(host.blocks[i].open);
        }
        host_close(&host);
    }
    while (line_count > 0) {
        json_object_put(lines[--line_count]);
    }
}

TEST_MAIN("acp_hostile", TEST(nonsense_ends_in_order))
