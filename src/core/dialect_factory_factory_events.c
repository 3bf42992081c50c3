/* What factory-factory's clients are shown of a session: its events, its states, and what it asks. */
#include "core/dialect_factory_factory.h"

#include <string.h>

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

void factory_factory_put_runtime(struct buffer *text, struct json_object *state, int64_t at)
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
    factory_factory_put_runtime(dialect_part_open(out, "session_runtime_updated"), event,
                                dialect_number(event, "ts", 0));
    dialect_part_close(out);
}

/* A prompt of one of our clients has the id that the client gave it, also for all others. */
static void put_prompt_id(struct buffer *text, struct json_object *event)
{
    const char *given = json_get_string(event, "promptId");
    given = given ? given : dialect_text(json_get(event, "cause"), "id");
    const char *own = factory_factory_own_id(dialect_text(event, "sessionId"), given);
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

void factory_factory_put_request(struct buffer *text, struct json_object *request)
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
    factory_factory_put_request(dialect_part_open(out, "permission_request"), json_get(event, "request"));
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
void (*const factory_factory_events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *) = {
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
