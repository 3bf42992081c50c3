/*
 * claudecodeui's chat and its interactive permissions. A session's stream is Anthropic's, a message for each block; what
 * is asked goes to everybody, by the feed of all sessions. What the clients say of a session names it, so all that is kept
 * of a client is what it waits for.
 */
#include "core/dialect_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_MAX = 200, REQUEST_MAX = 220, CWD_MAX = 4096, WORD_MAX = 128, COME_BACK = 3001 };

struct state {
    uint64_t commands; /* so many so far, for ids of their own */
    char *first_prompt; /* the `prompt` of a session that is being made: its members, but for the session */
    bool listed;        /* it has been told what waits */
};

static void state_free(void *state)
{
    free(((struct state *)state)->first_prompt);
}

/* What a command was for is told by its id: a letter, a number, a colon, and a name. */
enum purpose {
    FOR_LIST = 'l',   /* what waits, for a client that has come */
    FOR_SYNC = 'y',   /* what waits in this session */
    FOR_CREATE = 'c',
    FOR_WATCH = 'w',  /* the stream of this session */
    FOR_STATUS = 's', /* the same, and its state */
    FOR_PROMPT = 'p',
    FOR_ABORT = 'a',
    FOR_ANSWER = 'r', /* to this request */
    FOR_ACTIVE = 'v',
};

static struct buffer *command_open(struct dialect_out *out, const struct dialect_client *client,
                                   const char *type, enum purpose purpose, const char *name)
{
    struct state *state = client->state;
    char id[32 + REQUEST_MAX];
    snprintf(id, sizeof(id), "%c%" PRIu64 ":%s", purpose, ++state->commands, name);
    return dialect_command_open(out, type, id);
}

/* ---- Events of a session ---- */

static struct buffer *response_open(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_frame_open(out, "claude-response");
    dialect_copy(text, "sessionId", event, "sessionId");
    dialect_object_open(text, "data");
    return text;
}

static void response_close(struct dialect_out *out, struct json_object *event)
{
    dialect_copy(&out->text, "parent_tool_use_id", event, "parentToolUseId");
    dialect_object_close(&out->text);
    dialect_frame_close(out);
}

static void put_stream(struct dialect_out *out, struct json_object *event, const char *id,
                       const struct buffer *members)
{
    struct buffer *text = response_open(out, event);
    buffer_append(text, members->data, members->length);
    json_field_string(text, "messageId", id);
    response_close(out, event);
}

static const struct dialect_stream stream = {.put = put_stream, .messages = true};

static void text(struct dialect_out *out, struct json_object *event)
{
    dialect_stream_text(out, event, &stream);
}

static void tool_start(struct dialect_out *out, struct json_object *event)
{
    dialect_stream_tool(out, event, &stream, dialect_text(event, "toolUseId"),
                        dialect_text(event, "toolName"), json_get(event, "toolInput"));
}

static struct buffer *user_open(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = response_open(out, event);
    json_field_string(text, "type", "user");
    dialect_object_open(text, "message");
    json_field_string(text, "role", "user");
    json_key(text, "content");
    buffer_byte(text, '[');
    return text;
}

static void user_close(struct dialect_out *out, struct json_object *event)
{
    buffer_text(&out->text, "]}");
    response_close(out, event);
}

static void tool_result(struct dialect_out *out, struct json_object *event)
{
    dialect_put_tool_result(user_open(out, event), event);
    user_close(out, event);
}

static void tool_progress(struct dialect_out *out, struct json_object *event)
{
    static const char *const kept[] = {"offset", "delta",     "status",    "title", "kind",
                                       "content", "locations", "toolInput", "refs"};
    struct buffer *text = response_open(out, event);
    json_field_string(text, "type", "tool_progress");
    dialect_copy(text, "tool_use_id", event, "toolUseId");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_field_object(text, kept[i], json_get(event, kept[i]));
    }
    response_close(out, event);
}

/* Once, when the agent gets it: that is said last also in a replay. */
static void user_message(struct dialect_out *out, struct json_object *event)
{
    if (strcmp(dialect_text(event, "status"), "processing")) {
        return;
    }
    struct buffer *text = user_open(out, event);
    buffer_text(text, "{\"type\":\"text\"");
    dialect_copy(text, "text", event, "text");
    buffer_byte(text, '}');
    buffer_byte(text, ']');
    dialect_copy(text, "id", event, "messageId");
    buffer_byte(text, '}');
    response_close(out, event);
}

/* As Claude shows its own. */
static void plan(struct dialect_out *out, struct json_object *event)
{
    struct json_object *entries = json_get(event, "entries");
    struct json_object *input = json_object_new_object();
    struct json_object *todos = json_object_new_array();
    size_t count = json_object_is_type(entries, json_type_array) ? json_object_array_length(entries) : 0;
    bool fine = input && todos && !json_object_object_add(input, "todos", json_object_get(todos));
    for (size_t i = 0; fine && i < count; i++) {
        fine = !json_object_array_add(todos, json_object_get(json_object_array_get_idx(entries, i)));
    }
    char id[40];
    snprintf(id, sizeof(id), "plan-%" PRId64, dialect_number(event, "seq", 0));
    if (fine) {
        dialect_stream_tool(out, event, &stream, id, "TodoWrite", input);
    }
    out->text.failed |= !fine;
    json_object_put(todos);
    json_object_put(input);
}

static void usage(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = response_open(out, event);
    buffer_text(text, "\"type\":\"message_delta\",\"delta\":{},\"usage\":{");
    json_field_object(text, "used", json_get(event, "used"));
    json_field_object(text, "size", json_get(event, "size"));
    json_field_object(text, "cost", json_get(event, "cost"));
    dialect_object_close(text);
    response_close(out, event);
}

/* What has no word of its own: pictures in the answer, updates of unknown kinds. */
static void agent_update(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = response_open(out, event);
    buffer_text(text, "\"type\":\"system\",\"subtype\":\"agent_update\"");
    json_field_object(text, "update", json_get(event, "update"));
    json_field_object(text, "refs", json_get(event, "refs"));
    response_close(out, event);
}

static void put_status(struct buffer *text, struct json_object *state)
{
    const char *phase = dialect_text(state, "phase");
    dialect_copy(text, "sessionId", state, "sessionId");
    json_field_string(text, "provider", "claude");
    json_field_bool(text, "isProcessing", !strcmp(phase, "running") || !strcmp(phase, "waiting"));
}

static void status(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_frame_open(out, "session-status");
    put_status(text, event);
    dialect_copy(text, "detail", event, "detail");
    dialect_frame_close(out);
}

static void complete(struct dialect_out *out, struct json_object *event)
{
    const char *reason = dialect_text(event, "stopReason");
    bool failed = !strcmp(reason, "error") || !strcmp(reason, "agent_exited") ||
                  !strcmp(reason, "server_restarted");
    struct buffer *text = dialect_frame_open(out, "claude-complete");
    dialect_copy(text, "sessionId", event, "sessionId");
    json_field_i64(text, "exitCode", failed);
    json_field_bool(text, "isNewSession", json_get_bool(event, "first", false));
    json_field_string(text, "stopReason", reason);
    json_field_i64(text, "seq", dialect_number(event, "seq", 0));
    dialect_frame_close(out);
}

static void error(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_frame_open(out, "claude-error");
    dialect_copy(text, "error", event, "error");
    dialect_copy(text, "sessionId", event, "sessionId");
    dialect_copy(text, "code", event, "code");
    json_field_i64(text, "seq", dialect_number(event, "seq", 0)); /* it may come again, in a replay */
    dialect_frame_close(out);
}

/* Not here: what is asked comes by the feed, to who watches the session and who does not; and what the agent's modes,
 * options, commands and the session's name are has no words. */
static void (*const events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *) = {
    [EVENT_STATUS] = status,
    [EVENT_USER_MESSAGE] = user_message,
    [EVENT_TEXT_DELTA] = text,
    [EVENT_TEXT_COMPLETE] = text,
    [EVENT_THOUGHT_DELTA] = text,
    [EVENT_THOUGHT_COMPLETE] = text,
    [EVENT_TOOL_START] = tool_start,
    [EVENT_TOOL_OUTPUT] = tool_progress,
    [EVENT_TOOL_UPDATE] = tool_progress,
    [EVENT_TOOL_RESULT] = tool_result,
    [EVENT_PLAN] = plan,
    [EVENT_USAGE] = usage,
    [EVENT_COMPLETE] = complete,
    [EVENT_ERROR] = error,
    [EVENT_AGENT_UPDATE] = agent_update,
};

/* ---- Permission requests ---- */

static const struct {
    const char *kind, *category, *risk;
} kinds[] = {
    {"read", "file-read", "low"},     {"search", "file-read", "low"},
    {"think", "other", "low"},        {"switch_mode", "other", "low"},
    {"edit", "file-write", "medium"}, {"move", "file-write", "medium"},
    {"delete", "file-write", "high"}, {"execute", "system-command", "high"},
    {"fetch", "network", "medium"},
};

/* The last number of a request's id: it grows with each request of an agent's run. */
static int64_t number_of(const char *request_id)
{
    const char *last = strrchr(request_id, '-');
    return last ? strtoll(last + 1, NULL, 10) : 0;
}

static void put_request(struct dialect_out *out, struct json_object *request)
{
    const char *kind = dialect_text(request, "kind");
    const char *category = "other", *risk = "medium";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(kinds[i].kind, kind)) {
            category = kinds[i].category;
            risk = kinds[i].risk;
        }
    }
    struct buffer *text = dialect_frame_open(out, "permission-request");
    dialect_copy(text, "id", request, "requestId");
    dialect_copy(text, "sessionId", request, "sessionId");
    dialect_copy(text, "toolName", request, "toolName");
    json_field_object(text, "input", json_get(request, "toolInput"));
    dialect_object_open(text, "context");
    dialect_copy(text, "sessionId", request, "sessionId");
    dialect_copy(text, "toolUseId", request, "toolUseId");
    dialect_copy(text, "description", request, "description");
    json_field_object(text, "locations", json_get(request, "locations"));
    json_field_object(text, "planContent", json_get(request, "planContent"));
    json_field_object(text, "acpOptions", json_get(request, "acpOptions"));
    json_field_object(text, "refs", json_get(request, "refs"));
    dialect_object_close(text);
    dialect_copy(text, "summary", request, "command");
    json_field_string(text, "riskLevel", risk);
    json_field_string(text, "category", category);
    json_field_i64(text, "timestamp", dialect_number(request, "createdAt", 0));
    if (json_get(request, "expiresAt")) {
        json_field_object(text, "expiresAt", json_get(request, "expiresAt"));
    } else {
        json_field_raw(text, "expiresAt", "null");
    }
    json_field_i64(text, "sequenceNumber", number_of(dialect_text(request, "requestId")));
    dialect_frame_close(out);
}

static void put_queue(struct dialect_out *out, int64_t pending, int64_t at)
{
    struct buffer *text = dialect_frame_open(out, "permission-queue-status");
    json_field_i64(text, "pending", pending);
    json_field_i64(text, "processing", 0);
    json_field_i64(text, "timestamp", at);
    dialect_frame_close(out);
}

static void queue_of(struct dialect_out *out, struct json_object *event)
{
    put_queue(out, dialect_number(event, "waiting", 0), dialect_number(event, "at", 0));
}

static void waiting(struct dialect_out *out, struct json_object *event)
{
    put_request(out, json_get(event, "request"));
    queue_of(out, event);
}

/* Who: a person, or what answered in a person's place. */
static void put_by(struct buffer *text, struct json_object *by)
{
    static const char *const who[] = {"user", "rule", "policy"};
    for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
        const char *name = json_get_string(by, who[i]);
        if (name) {
            json_field_string(text, "by", i ? who[i] : name);
            return;
        }
    }
    json_field_string(text, "by", "");
}

static void ended(struct dialect_out *out, struct json_object *event)
{
    const char *outcome = dialect_text(event, "outcome");
    bool allowed = !strcmp(outcome, "allowed");
    struct buffer *text;
    if (!strcmp(outcome, "timeout")) {
        text = dialect_frame_open(out, "permission-timeout");
        dialect_copy(text, "toolName", event, "toolName");
        json_field_i64(text, "timestamp", dialect_number(event, "at", 0));
    } else if (allowed || !strcmp(outcome, "rejected")) {
        text = dialect_frame_open(out, "permission-resolved");
        json_field_string(text, "decision", allowed ? "allow" : "deny");
        put_by(text, json_get(event, "by"));
    } else {
        text = dialect_frame_open(out, "permission-cancelled");
        const char *reason = json_get_string(event, "reason");
        json_field_string(text, "reason", reason ? reason : "cancelled");
    }
    dialect_copy(text, "requestId", event, "requestId");
    dialect_copy(text, "sessionId", event, "sessionId");
    dialect_frame_close(out);
    queue_of(out, event);
}

/* ---- Answers to what a client said ---- */

static void put_error(struct dialect_out *out, const char *session_id, const char *why,
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

static void watch(struct dialect_out *out, const struct dialect_client *client, enum purpose purpose,
                  const char *session_id, const char *history)
{
    struct buffer *text = command_open(out, client, "subscribe", purpose, session_id);
    json_field_string(text, "sessionId", session_id);
    json_field_string(text, "history", history);
    dialect_command_close(out, false);
}

static void list_waiting(struct dialect_out *out, const struct dialect_client *client)
{
    command_open(out, client, "list_permissions", FOR_LIST, "");
    dialect_command_close(out, false);
}

/* All of it, also to who was told before: a request that is known by its id changes nothing. */
static void told(struct dialect_out *out, const struct dialect_client *client,
                 struct json_object *requests)
{
    size_t count = json_object_array_length(requests);
    for (size_t i = 0; i < count; i++) {
        put_request(out, json_object_array_get_idx(requests, i));
    }
    put_queue(out, (int64_t)count, client->now_ms);
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
    struct state *state = client->state;
    struct buffer *text = dialect_frame_open(out, "session-created");
    json_field_string(text, "sessionId", session_id);
    dialect_frame_close(out);
    watch(out, client, FOR_WATCH, session_id, "full");
    text = command_open(out, client, "prompt", FOR_PROMPT, session_id);
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
        ((struct state *)client->state)->listed = true;
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
    struct state *state = client->state;
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
        put_error(out, name, why, code);
        break;
    case FOR_CREATE:
        free(state->first_prompt);
        state->first_prompt = NULL;
        put_error(out, NULL, why, code);
        break;
    case FOR_WATCH:
        break; /* the prompt that follows says what is wrong */
    case '\0':
        dialect_close(out, COME_BACK, "the permission requests cannot be followed");
        break;
    default:
        put_error(out, name, why, code);
    }
}

static void listed(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *sessions)
{
    char purpose;
    purpose_of(sessions, &purpose);
    if (purpose == FOR_ACTIVE) {
        active(out, json_get(sessions, "items"));
    } else if (((struct state *)client->state)->listed) {
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
        if (json_get_bool(control, "ok", false) && !((struct state *)client->state)->listed) {
            list_waiting(out, client);
        }
    } else if (!strcmp(type, "subscribed") && purpose_of(control, &purpose) && purpose == FOR_STATUS) {
        put_status(dialect_frame_open(out, "session-status"), control);
        dialect_frame_close(out);
    }
}

/* ---- Messages ---- */

#define SESSION(kind)                                                                              \
    FIELD_ROW("sessionId", STRING, kind, "The session.", .minimum = 1, .maximum = SESSION_MAX)
#define REQUEST                                                                                    \
    F("requestId", STRING, "The `id` of the request.", .minimum = 1, .maximum = REQUEST_MAX)
#define UPDATED                                                                                    \
    O("updatedInput", ANY, "The tool's input; another one than was shown is refused.")

static void answer(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    static const char *const kept[] = {"requestId", "decision", "allow", "updatedInput", "message"};
    struct buffer *text = command_open(out, client, "permission_response", FOR_ANSWER,
                                       dialect_text(message, "requestId"));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_field_object(text, kept[i], json_get(message, kept[i]));
    }
    dialect_command_close(out, false);
}

static void synchronize(struct dialect_out *out, const struct dialect_client *client,
                        struct json_object *message)
{
    command_open(out, client, "list_permissions", FOR_SYNC, dialect_text(message, "sessionId"));
    dialect_command_close(out, false);
}

/* `data:image/png;base64,...` as a content block. False: it is none. */
static bool put_image(struct buffer *text, struct json_object *image)
{
    const char *data = dialect_after(dialect_text(image, "data"), "data:");
    const char *semicolon = data ? strchr(data, ';') : NULL;
    const char *base64 = semicolon ? dialect_after(semicolon, ";base64,") : NULL;
    if (!base64) {
        return false;
    }
    buffer_text(text, "{\"type\":\"image\"");
    json_field_text(text, "mimeType", data, (size_t)(semicolon - data));
    json_field_string(text, "data", base64);
    buffer_byte(text, '}');
    return true;
}

/* The members of a `prompt` but for its session. */
static bool put_prompt(struct buffer *text, struct json_object *message)
{
    struct json_object *images = json_get(json_get(message, "options"), "images");
    size_t count = images ? json_object_array_length(images) : 0;
    dialect_copy(text, "text", message, "command");
    if (!count) {
        return true;
    }
    json_key(text, "content");
    buffer_byte(text, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_text(text, i ? "," : "");
        if (!put_image(text, json_object_array_get_idx(images, i))) {
            return false;
        }
    }
    buffer_byte(text, ']');
    return true;
}

static void create(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *options, struct buffer *prompt)
{
    struct state *state = client->state;
    const char *agent = json_get_string(options, "agent"), *cwd = json_get_string(options, "cwd");
    agent = agent ? agent : client->agent;
    cwd = cwd ? cwd : client->workspace;
    if (state->first_prompt) {
        put_error(out, NULL, "the session before is not made yet", "busy");
        return;
    }
    if (!agent || !cwd) {
        put_error(out, NULL, "no agent or no workspace root is configured", "not_found");
        return;
    }
    state->first_prompt = buffer_take(prompt);
    out->text.failed |= !state->first_prompt;
    struct buffer *text = command_open(out, client, "create_session", FOR_CREATE, "");
    json_field_string(text, "agent", agent);
    json_field_string(text, "workspace", cwd);
    dialect_command_close(out, false);
}

static void command(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *message)
{
    struct json_object *options = json_get(message, "options");
    const char *session_id = json_get_string(options, "sessionId");
    struct buffer prompt = {0};
    if (!put_prompt(&prompt, message)) {
        put_error(out, session_id, "`options.images` must have `data` like data:image/png;base64,...",
                  "bad_message");
    } else if (session_id) {
        if (!client->watches(client, session_id)) {
            watch(out, client, FOR_WATCH, session_id, "turn");
        }
        struct buffer *text = command_open(out, client, "prompt", FOR_PROMPT, session_id);
        json_field_string(text, "sessionId", session_id);
        buffer_append(text, prompt.data, prompt.length);
        text->failed |= prompt.failed;
        dialect_command_close(out, false);
    } else {
        create(out, client, options, &prompt);
    }
    buffer_free(&prompt);
}

static void abort_session(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *session_id = dialect_text(message, "sessionId");
    struct buffer *text = command_open(out, client, "cancel", FOR_ABORT, session_id);
    json_field_string(text, "sessionId", session_id);
    dialect_command_close(out, false);
}

/* All of it comes: who asks looks at the session for the first time, or comes back and does not say what it has. Messages
 * and calls have ids, so what it has changes nothing. */
static void check(struct dialect_out *out, const struct dialect_client *client,
                  struct json_object *message)
{
    watch(out, client, FOR_STATUS, dialect_text(message, "sessionId"), "full");
}

static void get_active(struct dialect_out *out, const struct dialect_client *client,
                       struct json_object *message)
{
    (void)message;
    command_open(out, client, "watch_sessions", FOR_ACTIVE, "");
    dialect_command_close(out, false);
}

#define ROW(word, text, function, ...)                                                             \
    {                                                                                              \
        .name = word, .help = text, .take = function,                                              \
        .fields = (const struct field[]){__VA_ARGS__{.name = NULL}}                                \
    }

static const struct dialect_message messages[] = {
    ROW("permission-response", "Answers a request.", answer, REQUEST,
        FIELD_ROW("decision", WORD, FIELD_REQUIRED, "The answer.",
                  .words = "allow deny allow-session allow-always"),
        UPDATED, ),
    ROW("claude-permission-response", "The same, in an older form.", answer, REQUEST,
        F("allow", BOOL, "The answer."), UPDATED, O("message", STRING, "Why.", .maximum = CWD_MAX), ),
    ROW("permission-sync-request", "Asks what waits in a session.", synchronize,
        SESSION(FIELD_REQUIRED), ),
    ROW("claude-command", "A prompt, for a session or for a new one.", command,
        F("command", STRING, "The prompt.", .minimum = 1),
        O("options", OBJECT, "Where.",
          .members =
              (const struct field[]){
                  SESSION(0),
                  O("cwd", STRING, "The workspace of a new session.", .minimum = 1,
                    .maximum = CWD_MAX),
                  O("agent", STRING, "The agent of a new session.", .minimum = 1,
                    .maximum = WORD_MAX),
                  O("images", ARRAY, "Pictures, as data URLs in `data`."),
                  {.name = NULL}}), ),
    ROW("abort-session", "Cancels what a session does.", abort_session, SESSION(FIELD_REQUIRED),
        O("provider", STRING, "Not looked at."), ),
    ROW("check-session-status", "Asks for a session's state, and for its stream.", check,
        SESSION(FIELD_REQUIRED), O("provider", STRING, "Not looked at."), ),
    ROW("get-active-sessions", "Asks which sessions work.", get_active, ),
    {.name = NULL},
};

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
    put_error(out, session_id ? session_id : json_get_string(json_get(message, "options"), "sessionId"),
              why, code);
}

const struct dialect dialect_claudecodeui = {
    .name = "claudecodeui",
    .subprotocol = "claudecodeui.v1",
    .path = "/ws/claudecodeui",
    .events = events,
    .waiting = waiting,
    .ended = ended,
    .state_size = sizeof(struct state),
    .state_free = state_free,
    .control = control,
    .messages = messages,
    .refused = refused,
};
