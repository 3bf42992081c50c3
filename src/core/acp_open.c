#include "core/acp_open.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "core/acp_setting.h"
#include "core/acp_trouble.h"
#include "signalbox/base/json.h"

enum {
    PROTOCOL_VERSION = 1,
    /* ACP wants session/load to be answered after the replay, but Gemini answers before it. So the
     * session is ready when nothing was replayed for so long, at the latest after SETTLE_MAX_MS. */
    SETTLE_MS = 250,
    SETTLE_MAX_MS = 5000,
};

void acp_open_start(struct acp_peer *peer)
{
    acp_enter(peer, ACP_INITIALIZING);
    struct buffer *out = acp_rpc_call(peer, ACP_CALL_INITIALIZE, "initialize");
    json_field_i64(out, "protocolVersion", PROTOCOL_VERSION);
    const char *fs = (peer->offers & ACP_OFFER_FS) != 0 ? "true" : "false";
    const char *terminal = (peer->offers & ACP_OFFER_TERMINAL) != 0 ? "true" : "false";
    json_key(out, "clientCapabilities");
    buffer_format(out,
                  "{\"fs\":{\"readTextFile\":%s,\"writeTextFile\":%s},\"terminal\":%s,"
                  "\"session\":{\"configOptions\":{\"boolean\":{}}}}",
                  fs, fs, terminal);
    buffer_text(out, ",\"clientInfo\":{\"name\":\"signalbox\",\"title\":\"Signalbox\"");
    json_field_string(out, "version", peer->version);
    buffer_byte(out, '}');
    acp_rpc_send(peer);
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

/* ---- What the agent can do ---- */

static bool has(struct json_object *capabilities, const char *name)
{
    struct json_object *value = json_get(capabilities, name);
    return value != NULL &&
           (!json_object_is_type(value, json_type_boolean) || json_object_get_boolean(value));
}

static void take_capabilities(struct acp_peer *peer, struct json_object *capabilities)
{
    struct json_object *prompt = json_get(capabilities, "promptCapabilities");
    struct json_object *session = json_get(capabilities, "sessionCapabilities");
    peer->can = (has(prompt, "image") ? (unsigned)AGENT_CAN_IMAGE : 0u) |
                (has(prompt, "audio") ? (unsigned)AGENT_CAN_AUDIO : 0u) |
                (has(prompt, "embeddedContext") ? (unsigned)AGENT_CAN_EMBED : 0u);
    peer->can_load = has(capabilities, "loadSession");
    peer->can_resume = has(session, "resume");
    peer->can_close = has(session, "close");
}

/* ---- The session ---- */

static void call_session(struct acp_peer *peer, enum acp_call call, const char *method)
{
    struct buffer *out = acp_rpc_call(peer, call, method);
    if (call != ACP_CALL_SESSION_NEW) {
        json_field_string(out, "sessionId", peer->agent_session);
    }
    json_field_string(out, "cwd", peer->cwd);
    json_field_raw(out, "mcpServers", "[]");
    acp_rpc_send(peer);
}

static void call_new(struct acp_peer *peer)
{
    peer->replaying = false;
    call_session(peer, ACP_CALL_SESSION_NEW, "session/new");
}

/* The earlier session cannot be had. `why` is malloc'd, or NULL. */
static void forget(struct acp_peer *peer, char *why)
{
    peer->memory = MEMORY_LOST;
    free(peer->memory_why);
    peer->memory_why = why;
    free(peer->agent_session);
    peer->agent_session = NULL;
    call_new(peer);
}

/* Resuming says nothing again, so it is tried before loading. */
static void open_session(struct acp_peer *peer, bool resume)
{
    if (peer->agent_session == NULL) {
        call_new(peer);
    } else if (resume && peer->can_resume) {
        peer->replaying = true; /* should it replay all the same */
        call_session(peer, ACP_CALL_SESSION_RESUME, "session/resume");
    } else if (peer->can_load) {
        peer->replaying = true;
        call_session(peer, ACP_CALL_SESSION_LOAD, "session/load");
    } else {
        forget(peer, peer->memory_why != NULL ? strdup(peer->memory_why)
                                              : acp_trouble(peer, "It cannot load sessions."));
    }
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
    take_capabilities(peer, json_get(result, "agentCapabilities"));
    acp_enter(peer, ACP_OPENING);
    open_session(peer, true);
}

static void ready(struct acp_peer *peer)
{
    peer->replaying = false;
    acp_enter(peer, ACP_READY);
    struct agent_notice notice = {
        .kind = NOTICE_READY,
        .acp_session_id = acp_copy(peer, peer->agent_session, ACP_TEXT_MAX),
        .memory = peer->memory,
        .message = acp_copy(peer, peer->memory_why, ACP_TEXT_MAX),
        .can = peer->can,
    };
    acp_notice(peer, &notice);
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
    ready(peer);
    acp_settings_opened(peer, result);
}

static void came_back(struct acp_peer *peer, enum acp_call call, struct json_object *result)
{
    peer->memory = MEMORY_KEPT;
    free(peer->memory_why);
    peer->memory_why = NULL;
    if (call == ACP_CALL_SESSION_RESUME) {
        ready(peer);
    } else {
        acp_enter(peer, ACP_SETTLING);
        peer->settle_by = instant_after_ms(peer->now, SETTLE_MAX_MS);
        acp_open_replayed(peer);
    }
    acp_settings_opened(peer, result);
}

void acp_open_replayed(struct acp_peer *peer)
{
    if (peer->state == ACP_SETTLING) {
        peer->settle_at = instant_earlier(instant_after_ms(peer->now, SETTLE_MS), peer->settle_by);
    }
}

void acp_open_settled(struct acp_peer *peer)
{
    ready(peer);
}

/* ---- Refusals ---- */

static bool wants_login(struct json_object *error)
{
    int64_t code = 0;
    return json_get_i64(error, "code", &code) && code == RPC_AUTH_REQUIRED;
}

static const char *method_of(enum acp_call call)
{
    switch (call) {
    case ACP_CALL_INITIALIZE:
        return "initialize";
    case ACP_CALL_AUTHENTICATE:
        return "authenticate";
    case ACP_CALL_SESSION_LOAD:
        return "session/load";
    case ACP_CALL_SESSION_RESUME:
        return "session/resume";
    default:
        return "session/new";
    }
}

static void refused(struct acp_peer *peer, enum acp_call call, struct json_object *error)
{
    if (wants_login(error) && call != ACP_CALL_INITIALIZE && acp_trouble_may_log_in(peer) &&
        !peer->logged_in) {
        peer->logged_in = true;
        struct buffer *out = acp_rpc_call(peer, ACP_CALL_AUTHENTICATE, "authenticate");
        json_field_string(out, "methodId", peer->login);
        acp_rpc_send(peer);
        return;
    }
    bool login = wants_login(error);
    if (!login && (call == ACP_CALL_SESSION_RESUME || call == ACP_CALL_SESSION_LOAD)) {
        free(peer->memory_why);
        peer->memory_why = acp_trouble_error(peer, method_of(call), error);
        if (call == ACP_CALL_SESSION_RESUME) {
            open_session(peer, false);
        } else {
            char *why = peer->memory_why;
            peer->memory_why = NULL;
            forget(peer, why);
        }
        return;
    }
    fail(peer,
         login ? acp_trouble_login(peer, error) : acp_trouble_error(peer, method_of(call), error),
         login);
}

void acp_open_answered(struct acp_peer *peer, enum acp_call call, struct json_object *result,
                       struct json_object *error)
{
    if (call == ACP_CALL_CLOSE) {
        return;
    }
    if (error != NULL) {
        refused(peer, call, error);
        return;
    }
    switch (call) {
    case ACP_CALL_INITIALIZE:
        initialized(peer, result);
        break;
    case ACP_CALL_AUTHENTICATE:
        open_session(peer, true);
        break;
    case ACP_CALL_SESSION_NEW:
        opened(peer, result);
        break;
    default:
        came_back(peer, call, result);
    }
}
