/* What claudecodeui's clients are shown: events of a session, and what is asked in all of them. */
#include "core/dialect_claudecodeui.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void claudecodeui_put_status(struct buffer *text, struct json_object *state)
{
    const char *phase = dialect_text(state, "phase");
    dialect_copy(text, "sessionId", state, "sessionId");
    json_field_string(text, "provider", "claude");
    json_field_bool(text, "isProcessing", !strcmp(phase, "running") || !strcmp(phase, "waiting"));
}

static void status(struct dialect_out *out, struct json_object *event)
{
    struct buffer *text = dialect_frame_open(out, "session-status");
    claudecodeui_put_status(text, event);
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
void (*const claudecodeui_events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *) = {
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

void claudecodeui_put_request(struct dialect_out *out, struct json_object *request)
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

void claudecodeui_put_queue(struct dialect_out *out, int64_t pending, int64_t at)
{
    struct buffer *text = dialect_frame_open(out, "permission-queue-status");
    json_field_i64(text, "pending", pending);
    json_field_i64(text, "processing", 0);
    json_field_i64(text, "timestamp", at);
    dialect_frame_close(out);
}

static void queue_of(struct dialect_out *out, struct json_object *event)
{
    claudecodeui_put_queue(out, dialect_number(event, "waiting", 0), dialect_number(event, "at", 0));
}

void claudecodeui_waiting(struct dialect_out *out, struct json_object *event)
{
    claudecodeui_put_request(out, json_get(event, "request"));
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

void claudecodeui_ended(struct dialect_out *out, struct json_object *event)
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
