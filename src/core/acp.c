#include "signalbox/core/acp.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_open.h"
#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "core/acp_setting.h"
#include "core/acp_trouble.h"
#include "core/content.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

enum {
    MESSAGE_TEXT_MIN = 64, /* so that every character fits into a message */
    EVENT_BYTES_MIN = 16 * 1024, /* so that what cannot be cut fits into an event */
    USAGE_MAX = 4096,
};

/* A bit for each allowed next state. */
static const unsigned next_states[] = {
    [ACP_NEW] = 1u << ACP_INITIALIZING | 1u << ACP_ENDED,
    [ACP_INITIALIZING] = 1u << ACP_OPENING | 1u << ACP_FAILED | 1u << ACP_ENDED,
    [ACP_OPENING] = 1u << ACP_SETTLING | 1u << ACP_READY | 1u << ACP_FAILED | 1u << ACP_ENDED,
    [ACP_SETTLING] = 1u << ACP_READY | 1u << ACP_ENDED,
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
    peer->offers = options->offers;
    peer->read_only = options->read_only;
    peer->max_message_text =
        options->max_message_text > MESSAGE_TEXT_MIN ? options->max_message_text : MESSAGE_TEXT_MIN;
    peer->max_event_bytes =
        options->max_event_bytes > EVENT_BYTES_MIN ? options->max_event_bytes : EVENT_BYTES_MIN;
    delta_window_init(&peer->window, options->delta_window_ms);
    peer->agent_session = options->resume != NULL ? strdup(options->resume) : NULL;
    peer->login = options->login != NULL ? strdup(options->login) : NULL;
    if (peer->session_id == NULL || peer->cwd == NULL || peer->version == NULL ||
        (options->resume != NULL && peer->agent_session == NULL) ||
        (options->login != NULL && peer->login == NULL)) {
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
    acp_files_free(&peer->files);
    acp_terminals_free(&peer->terminals);
    acp_settings_free(peer);
    for (size_t i = 0; i < ACP_CALLS_MAX; i++) {
        acp_outstanding_clear(&peer->calls[i]);
    }
    json_object_put(peer->auth_methods);
    free(peer->memory_why);
    free(peer->login);
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

bool acp_peer_is_over(const struct acp_peer *peer)
{
    return peer->state == ACP_ENDED || peer->error != ERR_OK;
}

void acp_peer_start(struct acp_peer *peer)
{
    if (acp_peer_is_over(peer)) {
        return;
    }
    acp_open_start(peer);
}

enum err acp_peer_message(struct acp_peer *peer, struct json_object *message)
{
    if (acp_peer_is_over(peer)) {
        return peer->error;
    }
    peer->line_at = peer->now;
    enum err err = acp_rpc_take(peer, message);
    peer->line_at = (struct instant){0};
    return peer->error != ERR_OK ? peer->error : err;
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
    if (peer->text.length > USAGE_MAX) {
        /* Not token counts alone, whatever it is: shown as it came, by an event that can be cut. */
        char *whole = acp_take_json(peer, &peer->text);
        struct buffer *out = acp_event_open(peer, EVENT_AGENT_UPDATE);
        buffer_text(out, ",\"update\":{\"sessionUpdate\":\"usage\"");
        json_field_raw(out, "usage", whole);
        buffer_byte(out, '}');
        acp_event_send(peer, EVENT_AGENT_UPDATE);
        free(whole);
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

void acp_answered(struct acp_peer *peer, const struct acp_outstanding *call,
                  struct json_object *result, struct json_object *error)
{
    switch (call->call) {
    case ACP_CALL_PROMPT:
        if (error == NULL) {
            prompted(peer, result);
        } else {
            prompt_refused(peer, error);
        }
        break;
    case ACP_CALL_SET_MODE:
    case ACP_CALL_SET_OPTION:
    case ACP_CALL_SET_MODEL:
        acp_setting_answered(peer, call, result, error);
        break;
    default:
        acp_open_answered(peer, call->call, result, error);
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

/* The session refuses what it knows that this agent cannot take; but a prompt that waited for its first start was taken
 * without knowing. */
static const char *cannot_take(struct acp_peer *peer, const char *content)
{
    enum { ALL = AGENT_CAN_IMAGE | AGENT_CAN_AUDIO | AGENT_CAN_EMBED };
    if ((peer->can & ALL) == ALL) {
        return NULL;
    }
    struct json_object *blocks = NULL;
    if (json_parse_own(content, &blocks) != ERR_OK) { /* checked when it came in */
        peer->error = ERR_NOMEM;
        return NULL;
    }
    unsigned needs = content_needs(blocks);
    json_object_put(blocks);
    return content_refusal(needs, peer->can);
}

void acp_peer_prompt(struct acp_peer *peer, const char *turn_id, const char *content)
{
    if (acp_peer_is_over(peer)) {
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
    const char *refusal = cannot_take(peer, content);
    if (refusal != NULL) {
        struct agent_notice notice = {
            .stop_reason = acp_copy(peer, "error", ACP_TEXT_MAX),
            .code = acp_copy(peer, "unsupported", ACP_TEXT_MAX),
            .message = acp_trouble(peer, refusal),
        };
        end_turn(peer, &notice);
        return;
    }
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_PROMPT, "session/prompt");
    json_field_string(out, "sessionId", peer->agent_session);
    json_key(out, "prompt");
    put_on_one_line(out, content);
    acp_rpc_send(peer);
}

void acp_peer_prompt_refused(struct acp_peer *peer, const char *turn_id, const char *stop_reason,
                             const char *code, const char *message)
{
    if (acp_peer_is_over(peer)) {
        return;
    }
    CHECK(peer->turn_id == NULL);
    struct agent_notice notice = {
        .kind = NOTICE_TURN_ENDED,
        .turn_id = acp_copy(peer, turn_id, ACP_TEXT_MAX),
        .stop_reason = acp_copy(peer, stop_reason, ACP_TEXT_MAX),
        .code = acp_copy(peer, code, ACP_TEXT_MAX),
        .message = acp_copy(peer, message, ACP_TEXT_MAX),
    };
    acp_notice(peer, &notice);
}

void acp_peer_cancel(struct acp_peer *peer)
{
    if (acp_peer_is_over(peer) || peer->turn_id == NULL) {
        return;
    }
    peer->cancelling = true;
    struct buffer *out = acp_rpc_notify(peer, "session/cancel");
    json_field_string(out, "sessionId", peer->agent_session);
    acp_rpc_send(peer);
}

void acp_peer_read_only(struct acp_peer *peer, bool read_only)
{
    peer->read_only = read_only;
}

void acp_peer_close(struct acp_peer *peer)
{
    if (acp_peer_is_over(peer) || peer->state != ACP_READY || !peer->can_close ||
        acp_rpc_outstanding(peer) == ACP_CALLS_MAX) {
        return;
    }
    /* Nobody waits for the answer: the process is ended, in order, whatever it says. */
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_CLOSE, "session/close");
    json_field_string(out, "sessionId", peer->agent_session);
    acp_rpc_send(peer);
}

struct instant acp_peer_deadline(const struct acp_peer *peer)
{
    if (acp_peer_is_over(peer)) {
        return INSTANT_NEVER;
    }
    return peer->state == ACP_SETTLING ? instant_earlier(peer->settle_at, peer->window.due)
                                       : peer->window.due;
}

void acp_peer_tick(struct acp_peer *peer)
{
    if (!acp_peer_is_over(peer) && instant_reached(peer->window.due, peer->now)) {
        acp_flush(peer);
    }
    if (!acp_peer_is_over(peer) && peer->state == ACP_SETTLING && instant_reached(peer->settle_at, peer->now)) {
        acp_open_settled(peer);
    }
}

/* It was asked to go on with its old session, and has neither done nor refused it. */
static bool is_coming_back(const struct acp_peer *peer)
{
    bool asked = peer->state == ACP_SETTLING;
    for (size_t i = 0; i < ACP_CALLS_MAX; i++) {
        asked = asked || peer->calls[i].call == ACP_CALL_SESSION_LOAD ||
                peer->calls[i].call == ACP_CALL_SESSION_RESUME;
    }
    return asked;
}

void acp_peer_end(struct acp_peer *peer, const char *why)
{
    CHECK(peer->state != ACP_ENDED);
    bool coming_back = is_coming_back(peer);
    bool told = peer->state == ACP_READY || peer->state == ACP_FAILED;
    acp_block_end(peer, peer->turn_id == NULL);
    acp_tools_close(peer, "Not finished when the agent ended.");
    acp_enter(peer, ACP_ENDED);
    struct agent_notice notice = {
        .kind = told ? NOTICE_EXITED : NOTICE_FAILED,
        .code = told ? NULL : strdup("agent_failed"),
        .message = acp_copy(peer, why, ACP_TEXT_MAX),
        .coming_back = coming_back,
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
    const char *method = NULL;
    for (size_t i = 0; i < ACP_CALLS_MAX; i++) {
        const struct acp_outstanding *call = &peer->calls[i];
        if (call->call == ACP_CALL_PROMPT) {
            return call->method;
        }
        method = call->call != ACP_CALL_NONE && method == NULL ? call->method : method;
    }
    return method;
}

enum err acp_peer_error(const struct acp_peer *peer)
{
    return peer->error;
}
