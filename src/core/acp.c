#include "signalbox/core/acp.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "core/acp_trouble.h"
#include "core/acp_update.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

enum {
    PROTOCOL_VERSION = 1,
    MESSAGE_TEXT_MIN = 64, /* so that every character fits into a message */
};

/* A bit for each allowed next state. */
static const unsigned next_states[] = {
    [ACP_NEW] = 1u << ACP_INITIALIZING | 1u << ACP_ENDED,
    [ACP_INITIALIZING] = 1u << ACP_OPENING | 1u << ACP_FAILED | 1u << ACP_ENDED,
    [ACP_OPENING] = 1u << ACP_READY | 1u << ACP_FAILED | 1u << ACP_ENDED,
    [ACP_READY] = 1u << ACP_ENDED,
    [ACP_FAILED] = 1u << ACP_ENDED,
    [ACP_ENDED] = 0,
};

void acp_enter(struct acp_peer *peer, enum acp_state next)
{
    CHECK((next_states[peer->state] & 1u << next) != 0);
    peer->state = next;
}

enum err acp_peer_new(struct acp_peer **out, const struct acp_options *options,
                      const struct acp_sink *sink)
{
    struct acp_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    peer->sink = *sink;
    peer->session_id = strdup(options->session_id);
    peer->cwd = strdup(options->cwd);
    peer->version = strdup(options->version);
    peer->run = options->run;
    peer->keep_title = options->keep_title;
    peer->max_message_text =
        options->max_message_text > MESSAGE_TEXT_MIN ? options->max_message_text : MESSAGE_TEXT_MIN;
    delta_window_init(&peer->window, options->delta_window_ms);
    if (peer->session_id == NULL || peer->cwd == NULL || peer->version == NULL) {
        acp_peer_free(peer);
        return ERR_NOMEM;
    }
    *out = peer;
    return ERR_OK;
}

void acp_peer_free(struct acp_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    acp_block_free(&peer->block);
    acp_tools_free(&peer->tools);
    acp_asks_free(&peer->asks);
    json_object_put(peer->auth_methods);
    json_object_put(peer->modes);
    free(peer->turn_id);
    free(peer->agent_session);
    free(peer->session_id);
    free(peer->cwd);
    free(peer->version);
    buffer_free(&peer->event);
    buffer_free(&peer->line);
    buffer_free(&peer->text);
    free(peer);
}

void acp_peer_time(struct acp_peer *peer, struct instant now, int64_t wall_ms)
{
    peer->now = now;
    peer->wall_ms = wall_ms;
}

static bool over(const struct acp_peer *peer)
{
    return peer->state == ACP_ENDED || peer->error != ERR_OK;
}

void acp_peer_start(struct acp_peer *peer)
{
    if (over(peer)) {
        return;
    }
    acp_enter(peer, ACP_INITIALIZING);
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_INITIALIZE, "initialize");
    json_field_i64(out, "protocolVersion", PROTOCOL_VERSION);
    json_field_raw(out, "clientCapabilities",
                   "{\"fs\":{\"readTextFile\":false,\"writeTextFile\":false},\"terminal\":false}");
    buffer_text(out, ",\"clientInfo\":{\"name\":\"signalbox\",\"title\":\"Signalbox\"");
    json_field_string(out, "version", peer->version);
    buffer_byte(out, '}');
    acp_rpc_send(peer);
}

enum err acp_peer_message(struct acp_peer *peer, struct json_object *message)
{
    if (over(peer)) {
        return peer->error;
    }
    peer->line_at = peer->now;
    enum err err = acp_rpc_take(peer, message);
    peer->line_at = (struct instant){0};
    return peer->error != ERR_OK ? peer->error : err;
}

/* `text` is the reason, malloc'd; passes on. */
static void fail(struct acp_peer *peer, char *text, bool auth_required)
{
    acp_enter(peer, ACP_FAILED);
    struct agent_notice notice = {
        .kind = NOTICE_FAILED,
        .code = strdup("agent_failed"),
        .message = text,
        .auth_required = auth_required,
    };
    acp_notice(peer, &notice);
}

static void initialized(struct acp_peer *peer, struct json_object *result)
{
    int64_t version;
    if (!json_get_i64(result, "protocolVersion", &version)) {
        fail(peer, acp_trouble(peer, "The agent answered initialize without a protocolVersion."),
             false);
        return;
    }
    if (version != PROTOCOL_VERSION) {
        buffer_reset(&peer->text);
        buffer_format(&peer->text,
                      "The agent speaks version %lld of the Agent Client Protocol; only version %d "
                      "is supported.",
                      (long long)version, PROTOCOL_VERSION);
        fail(peer, acp_take(peer, &peer->text, ACP_TEXT_MAX), false);
        return;
    }
    peer->auth_methods = json_object_get(json_get(result, "authMethods"));
    acp_enter(peer, ACP_OPENING);
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_SESSION_NEW, "session/new");
    json_field_string(out, "cwd", peer->cwd);
    json_field_raw(out, "mcpServers", "[]");
    acp_rpc_send(peer);
}

static void opened(struct acp_peer *peer, struct json_object *result)
{
    const char *session = json_get_string(result, "sessionId");
    if (session == NULL) {
        fail(peer, acp_trouble(peer, "The agent answered session/new without a sessionId."), false);
        return;
    }
    peer->agent_session = strdup(session);
    if (peer->agent_session == NULL) {
        peer->error = ERR_NOMEM;
        return;
    }
    acp_enter(peer, ACP_READY);
    struct agent_notice notice = {
        .kind = NOTICE_READY,
        .acp_session_id = acp_copy(peer, session, ACP_TEXT_MAX),
    };
    acp_notice(peer, &notice);
    acp_update_opened(peer, result);
}

/* The turn is over for the watchers before anybody is told: its text is complete and its tools
 * are closed. */
static void end_turn(struct acp_peer *peer, struct agent_notice *notice)
{
    acp_block_end(peer, false);
    acp_tools_close(peer, "Not finished when the turn ended.");
    notice->kind = NOTICE_TURN_ENDED;
    notice->turn_id = peer->turn_id;
    peer->turn_id = NULL;
    peer->cancelling = false;
    acp_notice(peer, notice);
}

/* Token counts: ACP's own field, or where Gemini has them. */
static char *copy_usage(struct acp_peer *peer, struct json_object *result)
{
    struct json_object *usage = json_get(result, "usage");
    struct json_object *count =
        json_get(json_get(json_get(result, "_meta"), "quota"), "token_count");
    buffer_reset(&peer->text);
    if (json_object_is_type(usage, json_type_object)) {
        acp_put_clean(&peer->text, usage);
    } else if (json_object_is_type(count, json_type_object)) {
        buffer_byte(&peer->text, '{');
        json_field_object(&peer->text, "inputTokens", json_get(count, "input_tokens"));
        json_field_object(&peer->text, "outputTokens", json_get(count, "output_tokens"));
        buffer_byte(&peer->text, '}');
    } else {
        return NULL;
    }
    return acp_take_json(peer, &peer->text);
}

static void prompted(struct acp_peer *peer, struct json_object *result)
{
    /* Without a reason the answer still ends the turn. */
    const char *reason = json_get_string(result, "stopReason");
    struct agent_notice notice = {
        .stop_reason = acp_copy(peer, reason != NULL ? reason : "end_turn", ACP_TEXT_MAX),
        .usage = copy_usage(peer, result),
    };
    end_turn(peer, &notice);
}

static void prompt_refused(struct acp_peer *peer, struct json_object *error)
{
    int64_t code = 0;
    bool has_code = json_get_i64(error, "code", &code);
    struct agent_notice notice = {0};
    if (has_code && code == RPC_CANCELLED && peer->cancelling) {
        notice.stop_reason = acp_copy(peer, "cancelled", ACP_TEXT_MAX);
    } else {
        notice.stop_reason = acp_copy(peer, "error", ACP_TEXT_MAX);
        notice.code = acp_copy(peer, "agent_error", ACP_TEXT_MAX);
        notice.auth_required = has_code && code == RPC_AUTH_REQUIRED;
        notice.message = notice.auth_required ? acp_trouble_login(peer, error)
                                              : acp_trouble_error(peer, NULL, error);
    }
    end_turn(peer, &notice);
}

static void start_refused(struct acp_peer *peer, const char *method, struct json_object *error)
{
    int64_t code = 0;
    bool login = json_get_i64(error, "code", &code) && code == RPC_AUTH_REQUIRED;
    fail(peer, login ? acp_trouble_login(peer, error) : acp_trouble_error(peer, method, error),
         login);
}

static const struct {
    const char *method;
    void (*result)(struct acp_peer *peer, struct json_object *result);
} calls[] = {
    [ACP_CALL_INITIALIZE] = {"initialize", initialized},
    [ACP_CALL_SESSION_NEW] = {"session/new", opened},
    [ACP_CALL_PROMPT] = {"session/prompt", prompted},
};

void acp_answered(struct acp_peer *peer, enum acp_call call, struct json_object *result,
                  struct json_object *error)
{
    if (error == NULL) {
        calls[call].result(peer, result);
    } else if (call == ACP_CALL_PROMPT) {
        prompt_refused(peer, error);
    } else {
        start_refused(peer, calls[call].method, error);
    }
}

/* A line end in JSON is white space, but ends the message for the agent. */
static void put_on_one_line(struct buffer *out, const char *json)
{
    while (*json != '\0') {
        size_t length = strcspn(json, "\r\n");
        buffer_append(out, json, length);
        json += length;
        if (*json != '\0') {
            buffer_byte(out, ' ');
            json++;
        }
    }
}

void acp_peer_prompt(struct acp_peer *peer, const char *turn_id, const char *content)
{
    if (over(peer)) {
        return;
    }
    CHECK(peer->state == ACP_READY && peer->turn_id == NULL);
    acp_block_end(peer, true); /* what the agent said between turns */
    peer->turn_id = strdup(turn_id);
    if (peer->turn_id == NULL) {
        peer->error = ERR_NOMEM;
        return;
    }
    peer->turn_count++;
    delta_window_open(&peer->window);
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_PROMPT, "session/prompt");
    json_field_string(out, "sessionId", peer->agent_session);
    json_key(out, "prompt");
    put_on_one_line(out, content);
    acp_rpc_send(peer);
}

void acp_peer_cancel(struct acp_peer *peer)
{
    if (over(peer) || peer->turn_id == NULL) {
        return;
    }
    peer->cancelling = true;
    struct buffer *out = acp_rpc_notify(peer, "session/cancel");
    json_field_string(out, "sessionId", peer->agent_session);
    acp_rpc_send(peer);
}

struct instant acp_peer_deadline(const struct acp_peer *peer)
{
    return over(peer) ? INSTANT_NEVER : peer->window.due;
}

void acp_peer_tick(struct acp_peer *peer)
{
    if (!over(peer) && instant_reached(peer->window.due, peer->now)) {
        acp_flush(peer);
    }
}

void acp_peer_end(struct acp_peer *peer, const char *why)
{
    CHECK(peer->state != ACP_ENDED);
    bool told = peer->state == ACP_READY || peer->state == ACP_FAILED;
    acp_block_end(peer, peer->turn_id == NULL);
    acp_tools_close(peer, "Not finished when the agent ended.");
    acp_enter(peer, ACP_ENDED);
    struct agent_notice notice = {
        .kind = told ? NOTICE_EXITED : NOTICE_FAILED,
        .code = told ? NULL : strdup("agent_failed"),
        .message = acp_copy(peer, why, ACP_TEXT_MAX),
    };
    acp_notice(peer, &notice);
}

bool acp_peer_in_turn(const struct acp_peer *peer)
{
    return peer->turn_id != NULL;
}

size_t acp_peer_asks(const struct acp_peer *peer)
{
    return peer->asks.open_count;
}

const char *acp_peer_waits_for(const struct acp_peer *peer)
{
    return peer->call != ACP_CALL_NONE ? calls[peer->call].method : NULL;
}

enum err acp_peer_error(const struct acp_peer *peer)
{
    return peer->error;
}
