/*
 * claudecodeui's chat and its interactive permissions. A session's stream is Anthropic's, a message for each block; what
 * is asked goes to everybody, by the feed of all sessions. What the clients say of a session names it, so all that is kept
 * of a client is what it waits for.
 */
#include "core/dialect_claudecodeui.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COME_BACK = 3001 };

static void state_free(void *state)
{
    free(((struct claudecodeui_state *)state)->first_prompt);
}

struct buffer *claudecodeui_command_open(struct dialect_out *out, const struct dialect_client *client,
                                         const char *type, enum claudecodeui_purpose purpose, const char *name)
{
    struct claudecodeui_state *state = client->state;
    char id[32 + CLAUDECODEUI_REQUEST_MAX];
    snprintf(id, sizeof(id), "%c%" PRIu64 ":%s", purpose, ++state->commands, name);
    return dialect_command_open(out, type, id);
}

/* ---- Answers to what a client said ---- */

void claudecodeui_put_error(struct dialect_out *out, const char *session_id, const char *why,
                            const char *code)
{
    struct buffer *text = dialect_frame_open(out, "claude-error");
    json_field_string(text, "error", why);
    if (session_id && *session_id) {
        json_field_string(text, "sessionId", session_id);
    } else {
        json_field_raw(text, "sessionId", "null");
    }
    json_field_string(text, "code", code);
    dialect_frame_close(out);
}

static void put_permission_error(struct dialect_out *out, const char *request_id, const char *why,
                                 const char *code)
{
    struct buffer *text = dialect_frame_open(out, "permission-error");
    json_field_string(text, "requestId", request_id);
    json_field_string(text, "error", why);
    json_field_string(text, "code", code);
    dialect_frame_close(out);
}

static void put_aborted(struct dialect_out *out, const char *session_id, bool success)
{
    struct buffer *text = dialect_frame_open(out, "session-aborted");
    json_field_string(text, "sessionId", session_id);
    json_field_string(text, "provider", "claude");
    json_field_bool(text, "success", success);
    dialect_frame_close(out);
}

void claudecodeui_watch(struct dialect_out *out, const struct dialect_client *client, enum claudecodeui_purpose purpose,
                        const char *session_id, const char *history)
{
    struct buffer *text = claudecodeui_command_open(out, client, "subscribe", purpose, session_id);
    json_field_string(text, "sessionId", session_id);
    json_field_string(text, "history", history);
    dialect_command_close(out, false);
}

static void list_waiting(struct dialect_out *out, const struct dialect_client *client)
{
    claudecodeui_command_open(out, client, "list_permissions", FOR_LIST, "");
    dialect_command_close(out, false);
}

/* All of it, also to who was told before: a request that is known by its id changes nothing. */
static void told(struct dialect_out *out, const struct dialect_client *client,
                 struct json_object *requests)
{
    size_t count = json_object_array_length(requests);
    for (size_t i = 0; i < count; i++) {
        claudecodeui_put_request(out, json_object_array_get_idx(requests, i));
    }
    claudecodeui_put_queue(out, (int64_t)count, client->now_ms);
}

static void synchronized(struct dialect_out *out, const char *session_id,
                         struct json_object *requests)
{
    struct buffer *text = dialect_frame_open(out, "permission-sync-response");
    json_field_string(text, "sessionId", session_id);
    json_key(text, "pendingRequests");
    buffer_byte(text, '[');
    bool first = true;
    for (size_t i = 0; i < json_object_array_length(requests); i++) {
        struct json_object *request = json_object_array_get_idx(requests, i);
        if (strcmp(dialect_text(request, "sessionId"), session_id)) {
            continue;
        }
        buffer_text(text, first ? "{" : ",{");
        first = false;
        dialect_copy(text, "requestId", request, "requestId");
        dialect_copy(text, "toolName", request, "toolName");
        json_field_object(text, "input", json_get(request, "toolInput"));
        json_field_i64(text, "timestamp", dialect_number(request, "createdAt", 0));
        dialect_copy(text, "sessionId", request, "sessionId");
        dialect_copy(text, "summary", request, "command");
        dialect_object_close(text);
    }
    buffer_byte(text, ']');
    dialect_frame_close(out);
}

static void created(struct dialect_out *out, const struct dialect_client *client,
                    const char *session_id)
{
    struct claudecodeui_state *state = client->state;
    struct buffer *text = dialect_frame_open(out, "session-created");
    json_field_string(text, "sessionId", session_id);
    dialect_frame_close(out);
    claudecodeui_watch(out, client, FOR_WATCH, session_id, "full");
    text = claudecodeui_command_open(out, client, "prompt", FOR_PROMPT, session_id);
    json_field_string(text, "sessionId", session_id);
    buffer_text(text, state->first_prompt ? state->first_prompt : "");
    dialect_command_close(out, false);
    free(state->first_prompt);
    state->first_prompt = NULL;
}

static void active(struct dialect_out *out, struct json_object *items)
{
    struct buffer *text = dialect_frame_open(out, "active-sessions");
    buffer_text(text, ",\"sessions\":{\"claude\":[");
    bool first = true;
    size_t count = json_object_is_type(items, json_type_array) ? json_object_array_length(items) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        const char *phase = dialect_text(item, "phase"), *id = dialect_text(item, "sessionId");
        if (!strcmp(phase, "running") || !strcmp(phase, "waiting")) {
            buffer_text(text, first ? "" : ",");
            json_put_string(text, id, strlen(id));
            first = false;
        }
    }
    buffer_text(text, "]}");
    dialect_frame_close(out);
}

/* The name in a command's id; its purpose goes to *purpose, 0 for none. */
static const char *purpose_of(struct json_object *control, char *purpose)
{
    const char *id = dialect_text(control, "id");
    const char *colon = strchr(id, ':');
    *purpose = colon ? *id : '\0';
    return colon ? colon + 1 : "";
}

static void acknowledged(struct dialect_out *out, const struct dialect_client *client,
                         struct json_object *ack)
{
    char purpose;
    const char *name = purpose_of(ack, &purpose);
    struct json_object *requests = json_get(ack, "permissions");
    if (purpose == FOR_LIST && json_object_is_type(requests, json_type_array)) {
        ((struct claudecodeui_state *)client->state)->listed = true;
        told(out, client, requests);
    } else if (purpose == FOR_SYNC && json_object_is_type(requests, json_type_array)) {
        synchronized(out, name, requests);
    } else if (purpose == FOR_CREATE) {
        created(out, client, dialect_text(ack, "sessionId"));
    } else if (purpose == FOR_ABORT) {
        put_aborted(out, name, true);
    }
}

static void refused_command(struct dialect_out *out, const struct dialect_client *client,
                            struct json_object *nack)
{
    struct claudecodeui_state *state = client->state;
    const char *why = dialect_text(nack, "message"), *code = dialect_text(nack, "code");
    char purpose;
    const char *name = purpose_of(nack, &purpose);
    switch (purpose) {
    case FOR_LIST:
        break; /* the store fails: asked again when it works */
    case FOR_ANSWER:
        put_permission_error(out, name, why, code);
        break;
    case FOR_ABORT:
        put_aborted(out, name, false);
        claudecodeui_put_error(out, name, why, code);
        break;
    case FOR_CREATE:
        free(state->first_prompt);
        state->first_prompt = NULL;
        claudecodeui_put_error(out, NULL, why, code);
        break;
    case FOR_WATCH:
        break; /* the prompt that follows says what is wrong */
    case '\0':
        dialect_close(out, COME_BACK, "the permission requests cannot be followed");
        break;
    default:
        claudecodeui_put_error(out, name, why, code);
    }
}

static void listed(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *sessions)
{
    char purpose;
    purpose_of(sessions, &purpose);
    if (purpose == FOR_ACTIVE) {
        active(out, json_get(sessions, "items"));
    } else if (((struct claudecodeui_state *)client->state)->listed) {
        /* It was so slow that what it missed is gone; what has ended meanwhile can be told by a new connection only. */
        dialect_close(out, COME_BACK, "too far behind the permission requests");
    } else {
        list_waiting(out, client);
    }
}

static void control(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *control)
{
    const char *type = dialect_text(control, "type");
    char purpose;
    if (!strcmp(type, "connected")) {
        dialect_command_open(out, "watch_sessions", NULL);
        dialect_command_close(out, false);
    } else if (!strcmp(type, "sessions")) {
        listed(out, client, control);
    } else if (!strcmp(type, "ack")) {
        acknowledged(out, client, control);
    } else if (!strcmp(type, "nack")) {
        refused_command(out, client, control);
    } else if (!strcmp(type, "store")) {
        if (json_get_bool(control, "ok", false) && !((struct claudecodeui_state *)client->state)->listed) {
            list_waiting(out, client);
        }
    } else if (!strcmp(type, "subscribed") && purpose_of(control, &purpose) && purpose == FOR_STATUS) {
        claudecodeui_put_status(dialect_frame_open(out, "session-status"), control);
        dialect_frame_close(out);
    }
}

static void refused(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *message, const char *code, const char *why)
{
    (void)client;
    const char *type = dialect_text(message, "type");
    if (strstr(type, "permission-response")) {
        put_permission_error(out, dialect_text(message, "requestId"), why, code);
        return;
    }
    const char *session_id = json_get_string(message, "sessionId");
    claudecodeui_put_error(out, session_id ? session_id : json_get_string(json_get(message, "options"), "sessionId"),
                           why, code);
}

const struct dialect dialect_claudecodeui = {
    .name = "claudecodeui",
    .subprotocol = "claudecodeui.v1",
    .path = "/ws/claudecodeui",
    .events = claudecodeui_events,
    .waiting = claudecodeui_waiting,
    .ended = claudecodeui_ended,
    .state_size = sizeof(struct claudecodeui_state),
    .state_free = state_free,
    .control = control,
    .messages = claudecodeui_messages,
    .refused = refused,
};
