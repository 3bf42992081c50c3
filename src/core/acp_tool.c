#include "core/acp_tool.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_shape.h"
#include "signalbox/base/json.h"

/* What changed in a call since it was last shown. */
struct changes {
    bool status, title, kind, locations, input, content, raw_output;
};

static bool is_final(const char *status)
{
    return status != NULL && (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0);
}

static void forget_fields(struct acp_tool *tool)
{
    free(tool->title);
    free(tool->kind);
    free(tool->status);
    json_object_put(tool->input);
    json_object_put(tool->locations);
    json_object_put(tool->content);
    json_object_put(tool->raw_output);
    delta_text_free(&tool->output);
    tool->title = tool->kind = tool->status = NULL;
    tool->input = tool->locations = tool->content = tool->raw_output = NULL;
    tool->content_waits = tool->raw_waits = false;
    tool->shown_units = 0;
}

static void tool_free(struct acp_tool *tool)
{
    if (tool != NULL) {
        forget_fields(tool);
        free(tool->agent_id);
        free(tool->name);
        free(tool);
    }
}

static void free_list(struct acp_tool *tool)
{
    while (tool != NULL) {
        struct acp_tool *next = tool->next;
        tool_free(tool);
        tool = next;
    }
}

void acp_tools_free(struct acp_tools *tools)
{
    free_list(tools->open);
    free_list(tools->closed);
    *tools = (struct acp_tools){0};
}

static struct acp_tool *find(struct acp_tool *list, const char *agent_id)
{
    while (list != NULL && strcmp(list->agent_id, agent_id) != 0) {
        list = list->next;
    }
    return list;
}

static bool set_text(struct acp_peer *peer, char **field, const char *text)
{
    if (text == NULL || (*field != NULL && strcmp(*field, text) == 0)) {
        return false;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        peer->error = ERR_NOMEM;
        return false;
    }
    free(*field);
    *field = copy;
    return true;
}

static bool set_json(struct json_object **field, struct json_object *value)
{
    if (value == NULL || (*field != NULL && json_object_equal(*field, value) == 1)) {
        return false;
    }
    json_object_put(*field);
    *field = json_object_get(value);
    return true;
}

static struct json_object *get_array(struct json_object *fields, const char *key)
{
    struct json_object *value = json_get(fields, key);
    return json_object_is_type(value, json_type_array) ? value : NULL;
}

static struct changes merge(struct acp_peer *peer, struct acp_tool *tool,
                            struct json_object *fields, enum acp_upsert how)
{
    const char *status = json_get_string(fields, "status");
    if (how == ACP_UPSERT_PERMISSION && is_final(status)) {
        status = NULL; /* nothing that is still asked for is over */
    }
    struct changes changed = {
        .title = set_text(peer, &tool->title, json_get_string(fields, "title")),
        .kind = set_text(peer, &tool->kind, json_get_string(fields, "kind")),
        .status = set_text(peer, &tool->status, status),
        .locations = set_json(&tool->locations, get_array(fields, "locations")),
        .input = set_json(&tool->input, json_get(fields, "rawInput")),
        .content = set_json(&tool->content, get_array(fields, "content")),
        .raw_output = set_json(&tool->raw_output, json_get(fields, "rawOutput")),
    };
    return changed;
}

/* How much of the title's beginning names a tool: "bash", "read_file: a.txt", "Bash(ls)", but not
 * "Read the file". */
static size_t name_in_title(const char *title)
{
    size_t length = 0;
    while (isalnum((unsigned char)title[length]) || title[length] == '_' ||
           (length > 0 && title[length] == '-')) {
        length++;
    }
    bool ends = title[length] == '\0' || title[length] == ':' || title[length] == '(';
    return ends && !isdigit((unsigned char)title[0]) ? length : 0;
}

static char *choose_name(const struct acp_tool *tool, struct json_object *fields)
{
    const char *name = json_get_string(fields, "name");
    if (name == NULL) {
        name = json_get_string(json_get(json_get(fields, "_meta"), "claudeCode"), "toolName");
    }
    if (name == NULL) {
        name = json_get_string(json_get(fields, "_meta"), "toolName"); /* Qwen's */
    }
    if (name != NULL) {
        return strdup(name);
    }
    size_t length = tool->title != NULL ? name_in_title(tool->title) : 0;
    return length > 0 ? strndup(tool->title, length) : strdup(tool->kind);
}

void acp_tool_put_input(struct buffer *out, struct json_object *input)
{
    if (input == NULL) {
        buffer_text(out, "{}");
    } else if (json_object_is_type(input, json_type_object)) {
        json_put_object(out, input);
    } else {
        buffer_byte(out, '{');
        json_field_object(out, "value", input);
        buffer_byte(out, '}');
    }
}

const char *acp_tool_parent(const struct acp_peer *peer, struct json_object *fields)
{
    struct json_object *meta = json_get(fields, "_meta");
    const char *parent_id = json_get_string(json_get(meta, "claudeCode"), "parentToolUseId");
    if (parent_id == NULL) {
        parent_id = json_get_string(meta, "parentToolCallId"); /* Qwen's */
    }
    if (parent_id == NULL) {
        return NULL;
    }
    struct acp_tool *parent = find(peer->tools.open, parent_id);
    if (parent == NULL) {
        parent = find(peer->tools.closed, parent_id);
    }
    return parent != NULL ? parent->use_id : NULL;
}

static void send_start(struct acp_peer *peer, const struct acp_tool *tool,
                       struct json_object *fields)
{
    enum { INTENT_MAX = 256 }; /* longer is a text that the tool works on, not what it is for */
    acp_block_end(peer, true);
    struct buffer *out = acp_event_open(peer, EVENT_TOOL_START);
    json_field_string(out, "toolUseId", tool->use_id);
    json_field_string(out, "toolName", tool->name);
    json_key(out, "toolInput");
    acp_tool_put_input(out, tool->input);
    const char *intent = json_get_string(tool->input, "description");
    if (intent != NULL && strlen(intent) <= INTENT_MAX) {
        json_field_string(out, "toolIntent", intent);
    }
    json_field_string(out, "toolDisplayName", tool->title);
    json_field_string(out, "kind", tool->kind);
    acp_shape_put_locations(out, tool->locations);
    json_field_string(out, "parentToolUseId", acp_tool_parent(peer, fields));
    acp_event_send(peer, EVENT_TOOL_START);
}

static void send_update(struct acp_peer *peer, const struct acp_tool *tool, struct changes changed)
{
    if (!changed.status && !changed.title && !changed.kind && !changed.locations &&
        !changed.input && !changed.content && !changed.raw_output) {
        return;
    }
    struct buffer *out = acp_event_open(peer, EVENT_TOOL_UPDATE);
    json_field_string(out, "toolUseId", tool->use_id);
    json_field_string(out, "status", changed.status ? tool->status : NULL);
    json_field_string(out, "title", changed.title ? tool->title : NULL);
    json_field_string(out, "kind", changed.kind ? tool->kind : NULL);
    acp_field_clean(out, "content", changed.content ? tool->content : NULL);
    acp_shape_put_locations(out, changed.locations ? tool->locations : NULL);
    if (changed.input) {
        json_key(out, "toolInput");
        acp_tool_put_input(out, tool->input);
    }
    acp_field_clean(out, "rawOutput", changed.raw_output ? tool->raw_output : NULL);
    acp_event_send(peer, EVENT_TOOL_UPDATE);
}

static void remember(struct acp_tools *tools, struct acp_tool *tool)
{
    tool->next = tools->closed;
    tools->closed = tool;
    if (++tools->closed_count <= ACP_TOOLS_CLOSED_MAX) {
        return;
    }
    struct acp_tool **last = &tools->closed;
    while ((*last)->next != NULL) {
        last = &(*last)->next;
    }
    tool_free(*last);
    *last = NULL;
    tools->closed_count--;
}

static void close_tool(struct acp_peer *peer, struct acp_tool *tool, bool is_error, const char *why)
{
    acp_tool_result(peer, tool, is_error, why);
    struct acp_tool **link = &peer->tools.open;
    while (*link != tool) {
        link = &(*link)->next;
    }
    *link = tool->next;
    peer->tools.open_count--;
    forget_fields(tool);
    tool->closed_turn = peer->turn_count;
    remember(&peer->tools, tool);
}

void acp_tools_close(struct acp_peer *peer, const char *why)
{
    while (peer->tools.open != NULL) {
        struct acp_tool *tool = peer->tools.open;
        /* A command that has ended has its result, though the agent did not say that the call is
         * over. */
        close_tool(peer, tool, !tool->exited || tool->exit_failed, tool->exited ? NULL : why);
    }
}

void acp_tools_flush(struct acp_peer *peer, struct instant line_at)
{
    for (struct acp_tool *tool = peer->tools.open; tool != NULL; tool = tool->next) {
        acp_tool_flush(peer, tool, line_at);
    }
}

static struct acp_tool *start(struct acp_peer *peer, const char *agent_id,
                              struct json_object *fields, enum acp_upsert how)
{
    struct acp_tools *tools = &peer->tools;
    if (tools->open_count == ACP_TOOLS_OPEN_MAX) {
        close_tool(peer, tools->open, true, "The agent has too many tool calls open.");
    }
    struct acp_tool *tool = calloc(1, sizeof *tool);
    if (tool == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    snprintf(tool->use_id, sizeof tool->use_id, "t%" PRIu64 "-%" PRIu64, peer->run,
             peer->tool_count + 1);
    tool->agent_id = strdup(agent_id);
    merge(peer, tool, fields, how);
    /* ACP's defaults. The status in `fields` is shown as an update, since tool_start has none. */
    if (tool->kind == NULL) {
        set_text(peer, &tool->kind, "other");
    }
    if (tool->status == NULL) {
        set_text(peer, &tool->status, "pending");
    }
    tool->name = tool->kind != NULL ? choose_name(tool, fields) : NULL;
    if (tool->agent_id == NULL || tool->name == NULL || peer->error != ERR_OK) {
        tool_free(tool);
        peer->error = ERR_NOMEM;
        return NULL;
    }
    peer->tool_count++;
    send_start(peer, tool, fields);
    struct acp_tool **link = &tools->open;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = tool;
    tools->open_count++;
    return tool;
}

/*
 * Ids may come again: the SDK's example numbers its calls from 1 in every turn. A permission is
 * only asked for something that is still to be done; an update of a call that was closed is late,
 * and opens nothing.
 */
static bool is_another(const struct acp_peer *peer, const struct acp_tool *closed,
                       struct json_object *fields, enum acp_upsert how)
{
    bool earlier = peer->turn_id == NULL || closed->closed_turn != peer->turn_count;
    return how == ACP_UPSERT_PERMISSION ||
           (how == ACP_UPSERT_CALL && (earlier || !is_final(json_get_string(fields, "status"))));
}

/* What comes for a closed call is shown as it is: nothing is kept to compare it with. */
static void send_late(struct acp_peer *peer, const struct acp_tool *closed,
                      struct json_object *fields)
{
    struct acp_tool late = {0};
    memcpy(late.use_id, closed->use_id, sizeof late.use_id);
    struct changes changed = merge(peer, &late, fields, ACP_UPSERT_UPDATE);
    send_update(peer, &late, changed);
    acp_tool_terminal_late(peer, closed, json_get(fields, "_meta"));
    forget_fields(&late);
}

static void show(struct acp_peer *peer, struct acp_tool *tool, struct json_object *fields,
                 struct changes changed)
{
    bool final = is_final(tool->status);
    bool new_content = changed.content, new_raw = changed.raw_output;
    changed.content = changed.raw_output = false; /* go through the window */
    if (final) {
        changed.status = false; /* the result says it, and has the newest content */
        tool->content_waits = tool->raw_waits = false;
    }
    send_update(peer, tool, changed);
    if (new_content) {
        acp_terminal_attach(peer, tool);
    }
    acp_tool_terminal(peer, tool, json_get(fields, "_meta"));
    if (final) {
        close_tool(peer, tool, strcmp(tool->status, "failed") == 0, NULL);
    } else if (new_content || new_raw) {
        acp_tool_content(peer, tool, new_content, new_raw);
    }
}

const struct acp_tool *acp_tool_upsert(struct acp_peer *peer, struct json_object *fields,
                                       enum acp_upsert how)
{
    const char *agent_id = json_get_string(fields, "toolCallId");
    if (agent_id == NULL) {
        return NULL;
    }
    struct acp_tool *tool = find(peer->tools.open, agent_id);
    struct changes changed;
    if (tool != NULL) {
        changed = merge(peer, tool, fields, how);
    } else {
        struct acp_tool *closed = find(peer->tools.closed, agent_id);
        if (closed != NULL && !is_another(peer, closed, fields, how)) {
            send_late(peer, closed, fields);
            return closed;
        }
        tool = start(peer, agent_id, fields, how);
        if (tool == NULL) {
            return NULL;
        }
        changed = (struct changes){
            .status = strcmp(tool->status, "pending") != 0,
            .content = tool->content != NULL && json_object_array_length(tool->content) > 0,
            .raw_output = tool->raw_output != NULL,
        };
    }
    show(peer, tool, fields, changed);
    return tool;
}
