/*
 * factory-factory's chat: a connection for a session, which its URL names. What happens is a part (`session_delta`), and a
 * part of a batch in a replay. Texts have offsets, prompts and the runtime have states, so all of it may come again.
 */
#include "core/dialect_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOAD_ID_MAX = 256, MESSAGE_ID_MAX = 160, REQUEST_MAX = 256, OPTION_MAX = 4096 };

struct state {
    uint64_t commands; /* so many so far, for ids of their own */
    uint64_t load;     /* the command of the last `load_session` */
    int64_t pending;   /* requests that wait, as far as the client was told */
    bool names_load;
    char load_id[LOAD_ID_MAX + 1]; /* what the client calls it */
};

/* Ids of commands: a letter, a number, a colon; but a prompt's is made of the client's own id for it, so that everybody
 * can be told of the prompt by that, and the client may send it once more. */
enum purpose { FOR_LOAD = 'l', FOR_WATCH = 'w', FOR_ANSWER = 'r', FOR_PENDING = 'p', FOR_OTHER = 'o' };

static struct buffer *command_open(struct dialect_out *out, const struct dialect_client *client,
                                   const char *type, enum purpose purpose)
{
    struct state *state = client->state;
    char id[32];
    snprintf(id, sizeof(id), "%c%" PRIu64 ":", purpose, ++state->commands);
    struct buffer *text = dialect_command_open(out, type, id);
    if (purpose != FOR_PENDING) {
        json_field_string(text, "sessionId", client->session_id);
    }
    return text;
}

static void prompt_id(const char *session_id, const char *message_id, char *id, size_t size)
{
    snprintf(id, size, "ff:%s:%s", session_id, message_id);
}

/* The client's own id in one of a prompt; NULL: it is another one's. */
static const char *own_id(const char *session_id, const char *id)
{
    const char *rest = dialect_after(id, "ff:");
    rest = rest ? dialect_after(rest, session_id) : NULL;
    return rest && *rest == ':' ? rest + 1 : NULL;
}

/* ---- Events ---- */

/* Order is the number of the event that began the message: it names a text for their client, which joins what has the
 * same one, and of two messages that which began later has the higher one, whoever sees them. */
static void put_order(struct buffer *text, struct json_object *event)
{
    json_field_i64(text, "order", dialect_number(event, "began", dialect_number(event, "seq", 0)));
}

static struct buffer *message_open(struct dialect_out *out, struct json_object *event, const char *id,
                                   const char *type)
{
    struct buffer *text = dialect_part_open(out, "agent_message");
    json_field_string(text, "messageId", id);
    put_order(text, event);
    dialect_object_open(text, "data");
    json_field_string(text, "type", type);
    return text;
}

static void message_close(struct dialect_out *out, struct json_object *event)
{
    dialect_copy(&out->text, "parent_tool_use_id", event, "parentToolUseId");
    dialect_object_close(&out->text);
    dialect_part_close(out);
}

static void put_stream(struct dialect_out *out, struct json_object *event, const char *id,
                       const struct buffer *members)
{
    struct buffer *text = message_open(out, event, id, "stream_event");
    dialect_object_open(text, "event");
    buffer_append(text, members->data, members->length);
    dialect_object_close(text);
    message_close(out, event);
}

static const struct dialect_stream stream = {.put = put_stream};

static void thought(struct dialect_out *out, struct json_object *event)
{
    dialect_stream_text(out, event, &stream);
}

static void put_text(struct dialect_out *out, struct json_object *event, int64_t offset, const char *from)
{
    struct buffer *text = dialect_part_open(out, "assistant_text_delta");
    dialect_copy(text, "messageId", event, "messageId");
    put_order(text, event);
    json_field_i64(text, "offset", offset);
    dialect_copy(text, "text", event, from);
    dialect_copy(text, "parent_tool_use_id", event, "parentToolUseId");
    dialect_part_close(out);
}

static void text_delta(struct dialect_out *out, struct json_object *event)
{
    put_text(out, event, dialect_number(event, "offset", 0), "delta");
}

static void text_complete(struct dialect_out *out, struct json_object *event)
{
    if (out->replay) {
        put_text(out, event, 0, "text");
    }
}

static struct buffer *progress_open(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_part_open(out, "tool_progress");
    dialect_copy(text, "tool_use_id", event, "toolUseId");
    dialect_copy(text, "tool_name", event, "toolName");
    return text;
}

static void put_progress(struct buffer *text, struct json_object *event)
{
    dialect_copy(text, "acpKind", event, "kind");
    json_field_object(text, "acpLocations", json_get(event, "locations"));
    json_field_object(text, "acpContent", json_get(event, "content"));
    json_field_object(text, "refs", json_get(event, "refs"));
}

static void tool_start(struct dialect_out *out, struct json_object *event)
{
    dialect_stream_tool(out, event, &stream, dialect_text(event, "toolUseId"),
                        dialect_text(event, "toolName"), json_get(event, "toolInput"));
    struct buffer *text = progress_open(out, event);
    json_field_string(text, "acpStatus", "pending");
    put_progress(text, event);
    dialect_part_close(out);
}

static void tool_output(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = progress_open(out, event);
    json_field_string(text, "acpStatus", "in_progress");
    json_field_i64(text, "offset", dialect_number(event, "offset", 0));
    dialect_copy(text, "delta", event, "delta");
    dialect_part_close(out);
}

static void tool_update(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = progress_open(out, event);
    dialect_copy(text, "acpStatus", event, "status");
    dialect_copy(text, "title", event, "title");
    json_field_object(text, "toolInput", json_get(event, "toolInput"));
    put_progress(text, event);
    dialect_part_close(out);
}

static void tool_result(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = progress_open(out, event);
    bool failed = json_get_bool(event, "isError", false);
    json_field_string(text, "acpStatus", failed ? "failed" : "completed");
    put_progress(text, event);
    dialect_part_close(out);
    text = message_open(out, event, NULL, "user");
    dialect_object_open(text, "message");
    json_field_string(text, "role", "user");
    json_key(text, "content");
    buffer_byte(text, '[');
    dialect_put_tool_result(text, event);
    buffer_text(text, "]}");
    message_close(out, event);
}

static void plan(struct dialect_out *out, struct json_object *event)
{
    struct buffer entries = {0};
    buffer_text(&entries, "{\"type\":\"acp_plan\"");
    json_field_object(&entries, "entries", json_get(event, "entries"));
    buffer_byte(&entries, '}');
    struct buffer *text = dialect_part_open(out, "task_notification");
    json_field_text(text, "message", entries.data, entries.length);
    text->failed |= entries.failed;
    buffer_free(&entries);
    dialect_part_close(out);
}

static void commands(struct dialect_out *out, struct json_object *event)
{
    struct json_object *list = json_get(event, "commands");
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    struct buffer *text = dialect_part_open(out, "slash_commands");
    json_key(text, "slashCommands");
    buffer_byte(text, '[');
    for (size_t i = 0; i < count; i++) {
        struct json_object *command = json_object_array_get_idx(list, i);
        buffer_text(text, i ? ",{" : "{");
        json_field_string(text, "name", dialect_text(command, "name"));
        json_field_string(text, "description", dialect_text(command, "description"));
        dialect_copy(text, "argumentHint", command, "hint");
        buffer_byte(text, '}');
    }
    buffer_byte(text, ']');
    dialect_part_close(out);
}

static void config_options(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_part_open(out, "config_options_update");
    json_field_object(text, "configOptions", json_get(event, "options"));
    dialect_part_close(out);
}

static void usage(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = message_open(out, event, NULL, "result");
    dialect_object_open(text, "result");
    json_field_object(text, "used", json_get(event, "used"));
    json_field_object(text, "size", json_get(event, "size"));
    json_field_object(text, "cost", json_get(event, "cost"));
    dialect_object_close(text);
    message_close(out, event);
}

static void complete(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = message_open(out, event, NULL, "result");
    dialect_object_open(text, "result");
    dialect_copy(text, "stopReason", event, "stopReason");
    json_field_object(text, "durationMs", json_get(event, "durationMs"));
    json_field_object(text, "usage", json_get(event, "usage"));
    dialect_object_close(text);
    message_close(out, event);
}

static void agent_update(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = message_open(out, event, NULL, "system");
    json_field_string(text, "subtype", "agent_update");
    json_field_object(text, "update", json_get(event, "update"));
    json_field_object(text, "refs", json_get(event, "refs"));
    message_close(out, event);
}

/* ---- States ---- */

static const struct {
    const char *phase, *theirs, *process, *activity;
} phases[] = {
    {"starting", "starting", "unknown", "IDLE"}, {"idle", "idle", "alive", "IDLE"},
    {"running", "running", "alive", "WORKING"},  {"waiting", "running", "alive", "WORKING"},
    {"stopped", "idle", "stopped", "IDLE"},      {"failed", "error", "stopped", "IDLE"},
    {"closed", "idle", "stopped", "IDLE"},
};

static void put_runtime(struct buffer *text, struct json_object *state, int64_t at)
{
    const char *phase = dialect_text(state, "phase");
    size_t i = 0;
    while (i + 1 < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i].phase, phase)) {
        i++;
    }
    dialect_object_open(text, "sessionRuntime");
    json_field_string(text, "phase", phases[i].theirs);
    json_field_string(text, "processState", phases[i].process);
    json_field_string(text, "activity", phases[i].activity);
    if (!strcmp(phases[i].theirs, "error")) {
        dialect_copy(text, "errorMessage", state, "detail");
    }
    dialect_put_date(text, "updatedAt", at);
    dialect_object_close(text);
}

static void status(struct dialect_out *out, struct json_object *event)
{
    put_runtime(dialect_part_open(out, "session_runtime_updated"), event,
                dialect_number(event, "ts", 0));
    dialect_part_close(out);
}

/* A prompt of one of our clients has the id that the client gave it, also for all others. */
static void put_prompt_id(struct buffer *text, struct json_object *event)
{
    const char *given = json_get_string(event, "promptId");
    given = given ? given : dialect_text(json_get(event, "cause"), "id");
    const char *own = own_id(dialect_text(event, "sessionId"), given);
    json_field_string(text, "id", own ? own : dialect_text(event, "messageId"));
}

static void put_state(struct dialect_out *out, struct json_object *event, const char *state)
{
    struct buffer *text = dialect_part_open(out, "message_state_changed");
    put_prompt_id(text, event);
    json_field_string(text, "newState", state);
    json_field_object(text, "queuePosition", json_get(event, "position"));
    dialect_object_open(text, "userMessage");
    dialect_copy(text, "text", event, "text");
    dialect_put_date(text, "timestamp", dialect_number(event, "ts", 0));
    put_order(text, event);
    json_field_object(text, "content", json_get(event, "content"));
    dialect_object_close(text);
    dialect_part_close(out);
}

static void user_message(struct dialect_out *out, struct json_object *event)
{
    static const char accepted[] = "ACCEPTED";
    static const char *const states[][2] = {{"accepted", accepted},
                                            {"queued", accepted},
                                            {"processing", "DISPATCHED"},
                                            {"withdrawn", "CANCELLED"}};
    const char *state = NULL;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        state = strcmp(states[i][0], dialect_text(event, "status")) ? state : states[i][1];
    }
    if (!state) {
        return;
    }
    /* A replay has only the last state, and who waits for the message's acceptance still waits for that. */
    if (out->replay && state != accepted) {
        put_state(out, event, accepted);
    }
    put_state(out, event, state);
}

static void turn_started(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_part_open(out, "message_state_changed");
    put_prompt_id(text, event);
    json_field_string(text, "newState", "COMMITTED");
    dialect_part_close(out);
}

static void error(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_frame_open(out, "error");
    dialect_copy(text, "message", event, "error");
    dialect_copy(text, "code", event, "code");
    dialect_frame_close(out);
}

/* ---- Permission requests ---- */

static void put_request(struct buffer *text, struct json_object *request)
{
    dialect_copy(text, "requestId", request, "requestId");
    dialect_copy(text, "toolName", request, "toolName");
    dialect_copy(text, "toolUseId", request, "toolUseId");
    json_field_object(text, "toolInput", json_get(request, "toolInput"));
    if (json_get(request, "planContent")) {
        json_field_object(text, "planContent", json_get(request, "planContent"));
    } else {
        json_field_raw(text, "planContent", "null");
    }
    json_field_object(text, "acpOptions", json_get(request, "acpOptions"));
    dialect_copy(text, "command", request, "command");
    json_field_object(text, "refs", json_get(request, "refs"));
}

static void permission_request(struct dialect_out *out, struct json_object *event)
{
    put_request(dialect_part_open(out, "permission_request"), json_get(event, "request"));
    dialect_part_close(out);
}

/* Answered, too: it is gone, for whoever has not answered. */
static void permission_ended(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_part_open(out, "permission_cancelled");
    dialect_copy(text, "requestId", event, "requestId");
    dialect_copy(text, "outcome", event, "outcome");
    json_field_object(text, "by", json_get(event, "by"));
    dialect_copy(text, "reason", event, "reason");
    dialect_part_close(out);
}

/* Not here: what the session is called, its policy, and the agent's modes have no words. That it was made or closed is
 * told by its runtime. */
static void (*const events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *) = {
    [EVENT_STATUS] = status,
    [EVENT_USER_MESSAGE] = user_message,
    [EVENT_TURN_STARTED] = turn_started,
    [EVENT_TEXT_DELTA] = text_delta,
    [EVENT_TEXT_COMPLETE] = text_complete,
    [EVENT_THOUGHT_DELTA] = thought,
    [EVENT_THOUGHT_COMPLETE] = thought,
    [EVENT_TOOL_START] = tool_start,
    [EVENT_TOOL_OUTPUT] = tool_output,
    [EVENT_TOOL_UPDATE] = tool_update,
    [EVENT_TOOL_RESULT] = tool_result,
    [EVENT_PLAN] = plan,
    [EVENT_COMMANDS] = commands,
    [EVENT_CONFIG_OPTIONS] = config_options,
    [EVENT_USAGE] = usage,
    [EVENT_PERMISSION_REQUEST] = permission_request,
    [EVENT_PERMISSION_RESOLVED] = permission_ended,
    [EVENT_PERMISSION_TIMEOUT] = permission_ended,
    [EVENT_PERMISSION_CANCELLED] = permission_ended,
    [EVENT_COMPLETE] = complete,
    [EVENT_ERROR] = error,
    [EVENT_AGENT_UPDATE] = agent_update,
};

/* ---- Answers to what a client said ---- */

static void put_error(struct dialect_out *out, const char *why, const char *code)
{
    struct buffer *text = dialect_frame_open(out, "error");
    json_field_string(text, "message", why);
    json_field_string(text, "code", code);
    dialect_frame_close(out);
}

static void put_rejected(struct dialect_out *out, const char *message_id, const char *why,
                         const char *code)
{
    struct buffer *text = dialect_part_open(out, "message_state_changed");
    json_field_string(text, "id", message_id);
    json_field_string(text, "newState", "REJECTED");
    json_field_string(text, "errorMessage", why);
    json_field_string(text, "code", code);
    dialect_part_close(out);
}

static void refused_command(struct dialect_out *out, const struct dialect_client *client,
                            struct json_object *nack)
{
    const char *id = dialect_text(nack, "id");
    const char *own = own_id(client->session_id, id);
    const char *why = dialect_text(nack, "message"), *code = dialect_text(nack, "code");
    if (own) {
        put_rejected(out, own, why, code);
    } else if (*id != FOR_WATCH && *id != FOR_PENDING) { /* the prompt behind a watch says what is wrong */
        put_error(out, why, code);
    }
}

/* What the client had is void: all of it follows, in batches. */
static void loaded(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *subscribed)
{
    struct state *state = client->state;
    struct json_object *pending = json_get(subscribed, "pending");
    char id[32];
    snprintf(id, sizeof(id), "%c%" PRIu64 ":", FOR_LOAD, state->load);
    if (strcmp(id, dialect_text(subscribed, "id"))) {
        return; /* a later one counts */
    }
    bool waits = json_object_is_type(pending, json_type_array);
    state->pending = waits ? (int64_t)json_object_array_length(pending) : 0;
    struct buffer *text = dialect_frame_open(out, "session_snapshot");
    buffer_text(text, ",\"messages\":[],\"queuedMessages\":[]");
    put_runtime(text, subscribed, client->now_ms);
    if (state->pending) {
        struct json_object *request = json_object_array_get_idx(pending, 0);
        dialect_object_open(text, "pendingInteractiveRequest");
        put_request(text, request);
        json_field_object(text, "input", json_get(request, "toolInput")); /* as it is called here */
        dialect_put_date(text, "timestamp", dialect_number(request, "createdAt", 0));
        dialect_object_close(text);
    }
    json_field_string(text, "loadRequestId", state->names_load ? state->load_id : NULL);
    dialect_frame_close(out);
}

static void watch(struct dialect_out *out, const struct dialect_client *client, enum purpose purpose,
                  const char *history)
{
    struct buffer *text = command_open(out, client, "subscribe", purpose);
    json_field_string(text, "history", history);
    dialect_command_close(out, false);
}

/* `id`: what the client calls it; NULL: it did not ask. */
static void load(struct dialect_out *out, const struct dialect_client *client, const char *id)
{
    struct state *state = client->state;
    state->names_load = id;
    snprintf(state->load_id, sizeof(state->load_id), "%s", id ? id : "");
    watch(out, client, FOR_LOAD, "full");
    state->load = state->commands;
}

/*
 * Their page has a place for one request: the last one that came hides those before it, and when that is over it shows none, though
 * others wait. So it is told again of these, the oldest last.
 */
static void ask_pending(struct dialect_out *out, const struct dialect_client *client)
{
    command_open(out, client, "list_permissions", FOR_PENDING);
    dialect_command_close(out, false);
}

static void put_pending(struct dialect_out *out, const struct dialect_client *client,
                        struct json_object *requests)
{
    size_t count = json_object_is_type(requests, json_type_array) ? json_object_array_length(requests) : 0;
    for (size_t i = count; i-- > 0;) {
        struct json_object *request = json_object_array_get_idx(requests, i);
        if (!strcmp(dialect_text(request, "sessionId"), client->session_id)) {
            put_request(dialect_part_open(out, "permission_request"), request);
            dialect_part_close(out);
        }
    }
}

static void pending_changed(struct dialect_out *out, const struct dialect_client *client, int64_t pending)
{
    struct state *state = client->state;
    if (pending > 0 && pending < state->pending) {
        ask_pending(out, client);
    }
    state->pending = pending;
}

static void control(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *control)
{
    const char *type = dialect_text(control, "type");
    if (!strcmp(type, "permission_queue_status")) {
        pending_changed(out, client, dialect_number(control, "pending", 0));
    } else if (!strcmp(type, "replay_complete")) {
        if (((struct state *)client->state)->pending) {
            ask_pending(out, client); /* the past had others, which are over */
        }
    } else if (!strcmp(type, "ack") && *dialect_text(control, "id") == FOR_PENDING) {
        put_pending(out, client, json_get(control, "permissions"));
    } else if (!strcmp(type, "nack")) {
        refused_command(out, client, control);
    } else if (!strcmp(type, "subscribed")) {
        loaded(out, client, control);
    } else if (!strcmp(type, "ack") && json_get_bool(control, "again", false) &&
               own_id(client->session_id, dialect_text(control, "id"))) {
        /* Who sends a prompt again does not know what became of it. By now that may be anything, and it was said once
         * already, to whoever was there; so all is told anew. */
        load(out, client, NULL);
    }
}

/* ---- Messages ---- */

static void load_session(struct dialect_out *out, const struct dialect_client *client,
                         struct json_object *message)
{
    load(out, client, json_get_string(message, "loadRequestId"));
}

/* Who says something without having loaded the session hears what comes of it. */
static void see_to_watch(struct dialect_out *out, const struct dialect_client *client)
{
    if (!client->watches(client, client->session_id)) {
        watch(out, client, FOR_WATCH, "turn");
    }
}

static bool put_attachment(struct buffer *text, struct json_object *attachment)
{
    const char *data = json_get_string(attachment, "data");
    const char *type = json_get_string(attachment, "type");
    const char *name = json_get_string(attachment, "name");
    if (!data || !type) {
        return false;
    }
    bool image = dialect_after(type, "image/");
    buffer_text(text, image ? "{\"type\":\"image\"" : "{\"type\":\"resource\",\"resource\":{");
    if (!image) {
        json_key(text, "uri");
        buffer_text(text, "\"attachment:///");
        for (const char *at = name ? name : "file"; *at; at++) {
            bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                         (*at >= 'A' && *at <= 'Z') || strchr("-._~", *at);
            buffer_format(text, plain ? "%c" : "%%%02X", (unsigned char)*at);
        }
        buffer_byte(text, '"');
    }
    json_field_string(text, "mimeType", type);
    bool is_text = !strcmp(dialect_text(attachment, "contentType"), "text");
    json_field_string(text, image ? "data" : is_text ? "text" : "blob", data);
    buffer_text(text, image ? "}" : "}}");
    return true;
}

static void queue_message(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *own = dialect_text(message, "id");
    struct json_object *attachments = json_get(message, "attachments");
    size_t count = attachments ? json_object_array_length(attachments) : 0;
    struct buffer content = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++) {
        buffer_text(&content, i ? "," : "");
        fine = put_attachment(&content, json_object_array_get_idx(attachments, i));
    }
    if (!fine || (!count && !*dialect_text(message, "text"))) {
        put_rejected(out, own,
                     fine ? "a message needs a `text` or `attachments`"
                          : "an attachment needs its `type` and `data`",
                     "bad_message");
        buffer_free(&content);
        return;
    }
    see_to_watch(out, client);
    char id[512];
    prompt_id(client->session_id, own, id, sizeof(id));
    struct buffer *text = dialect_command_open(out, "prompt", id);
    json_field_string(text, "sessionId", client->session_id);
    dialect_copy(text, "text", message, "text");
    if (count) {
        json_key(text, "content");
        buffer_byte(text, '[');
        buffer_append(text, content.data, content.length);
        buffer_byte(text, ']');
    }
    text->failed |= content.failed;
    buffer_free(&content);
    dialect_command_close(out, true);
}

static void user_input(struct dialect_out *out, const struct dialect_client *client,
                       struct json_object *message)
{
    see_to_watch(out, client);
    dialect_copy(command_open(out, client, "prompt", FOR_OTHER), "text", message, "text");
    dialect_command_close(out, false);
}

/* By the client's id, or by ours, which prompts of other kinds of clients have. */
static void remove_queued(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *name = dialect_text(message, "messageId");
    const char *digits = dialect_after(name, "u-");
    bool ours = digits && *digits && strspn(digits, "0123456789") == strlen(digits);
    char id[512];
    prompt_id(client->session_id, name, id, sizeof(id));
    json_field_string(command_open(out, client, "withdraw", FOR_OTHER), "messageId", ours ? name : id);
    dialect_command_close(out, false);
}

static void simple(struct dialect_out *out, const struct dialect_client *client, const char *type)
{
    command_open(out, client, type, FOR_OTHER);
    dialect_command_close(out, false);
}

static void stop(struct dialect_out *out, const struct dialect_client *client,
                 struct json_object *message)
{
    (void)message;
    simple(out, client, "cancel");
}

/* The agent starts with the first prompt; what waits since it ended goes on. */
static void resume(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    (void)message;
    simple(out, client, "resume_queue");
}

static void answer(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    struct json_object *option = json_get(message, "optionId"), *allow = json_get(message, "allow");
    if (!option && !allow) {
        put_error(out, "an answer needs `optionId` or `allow`", "bad_message");
        return;
    }
    struct buffer *text = command_open(out, client, "permission_response", FOR_ANSWER);
    json_field_object(text, "requestId", json_get(message, "requestId"));
    json_field_object(text, "optionId", option);
    json_field_object(text, "allow", option ? NULL : allow);
    dialect_command_close(out, false);
}

static void set_option(struct dialect_out *out, const struct dialect_client *client,
                       const char *name, struct json_object *value)
{
    struct buffer *text = command_open(out, client, "set_config_option", FOR_OTHER);
    json_field_string(text, "configId", name);
    json_field_object(text, "value", value);
    dialect_command_close(out, false);
}

static void set_config_option(struct dialect_out *out, const struct dialect_client *client,
                              struct json_object *message)
{
    set_option(out, client, dialect_text(message, "configId"), json_get(message, "value"));
}

/* By the category that ACP has for it. */
static void set_model(struct dialect_out *out, const struct dialect_client *client,
                      struct json_object *message)
{
    set_option(out, client, "model", json_get(message, "model"));
}

static void set_thinking_budget(struct dialect_out *out, const struct dialect_client *client,
                                struct json_object *message)
{
    set_option(out, client, "thought_level", json_get(message, "max_tokens"));
}

#define ROW(word, text, function, ...)                                                             \
    {                                                                                              \
        .name = word, .help = text, .take = function,                                              \
        .fields = (const struct field[]){__VA_ARGS__{.name = NULL}}                                \
    }

static const struct dialect_message messages[] = {
    ROW("load_session", "Asks for all of the session, and for what comes.", load_session,
        O("loadRequestId", STRING, "Comes back in the snapshot.", .maximum = LOAD_ID_MAX), ),
    ROW("queue_message", "A prompt. With an `id` that was said before it is the same one.",
        queue_message,
        F("id", STRING, "The client's own.", .minimum = 1, .maximum = MESSAGE_ID_MAX),
        O("text", STRING, "What to say."),
        O("attachments", ARRAY, "Objects with `type`, a media type, `data`, and `name`; the data is "
                                "base64, or a text where `contentType` is `text`."),
        O("settings", OBJECT, "Not looked at."), ),
    ROW("remove_queued_message", "Takes a prompt back.", remove_queued,
        F("messageId", STRING, "The prompt.", .minimum = 1, .maximum = MESSAGE_ID_MAX), ),
    ROW("user_input", "A prompt.", user_input, F("text", STRING, "What to say.", .minimum = 1), ),
    ROW("stop", "Cancels what the agent does.", stop, ),
    ROW("start", "Goes on with what is queued.", resume, ),
    ROW("resume_queued_messages", "The same.", resume, ),
    ROW("permission_response", "Answers a request.", answer,
        F("requestId", STRING, "The request.", .minimum = 1, .maximum = REQUEST_MAX),
        O("optionId", STRING, "One of its `acpOptions`; decides alone.", .minimum = 1,
          .maximum = OPTION_MAX),
        O("allow", BOOL, "Yes or no."), O("answers", OBJECT, "Not looked at."), ),
    ROW("set_config_option", "Changes one of the agent's options.", set_config_option,
        F("configId", STRING, "The option.", .minimum = 1, .maximum = OPTION_MAX),
        F("value", ANY, "Its value."), ),
    ROW("set_model", "Changes the agent's option of category `model`.", set_model,
        F("model", STRING, "Its value.", .minimum = 1, .maximum = OPTION_MAX), ),
    ROW("set_thinking_budget", "Changes the agent's option of category `thought_level`.",
        set_thinking_budget, F("max_tokens", ANY, "Its value."), ),
    {.name = NULL},
};

static void refused(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *message, const char *code, const char *why)
{
    (void)client;
    const char *id = json_get_string(message, "id");
    if (id && !strcmp(dialect_text(message, "type"), "queue_message") &&
        strlen(id) <= MESSAGE_ID_MAX) {
        put_rejected(out, id, why, code);
    } else {
        put_error(out, why, code);
    }
}

const struct dialect dialect_factory_factory = {
    .name = "factory-factory",
    .subprotocol = "factory-factory.v1",
    .path = "/chat",
    .needs_session = true,
    .events = events,
    .part_open = "{\"type\":\"session_delta\",\"data\":",
    .part_close = "}",
    .batch_open = "{\"type\":\"session_replay_batch\",\"replayEvents\":[",
    .batch_close = "]}",
    .state_size = sizeof(struct state),
    .control = control,
    .messages = messages,
    .refused = refused,
};
