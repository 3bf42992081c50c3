#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_shape.h"
#include "core/acp_tool.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

/* After all of it went out, or was passed over. */
static void trim_output(struct acp_tool *tool)
{
    /* Not at each step, so that the bytes are not moved all the time. */
    if (tool->terminal && tool->output.text.length > 2 * (size_t)ACP_TOOL_OUTPUT_KEPT) {
        tool->output_dropped += delta_text_trim(&tool->output, ACP_TOOL_OUTPUT_KEPT);
    }
}

static void add_output(struct acp_peer *peer, struct acp_tool *tool, const char *data,
                       size_t length)
{
    tool->terminal = true;
    delta_text_add(&tool->output, data, length, SIZE_MAX);
    if (!buffer_ok(&tool->output.text)) {
        peer->error = ERR_NOMEM;
        return;
    }
    if (tool->muted) {
        delta_text_mark_sent(&tool->output);
        trim_output(tool);
        return;
    }
    size_t waiting;
    delta_text_rest(&tool->output, &waiting);
    bool much = tool->terminal_count > 0 && waiting > ACP_TOOL_DELTA_MAX;
    if (waiting > 0 && (delta_window_add(&peer->window, peer->now) || much)) {
        acp_flush(peer);
    }
}

void acp_tool_add_output(struct acp_peer *peer, struct acp_tool *tool, const char *data,
                         size_t length)
{
    for (size_t part; length > 0 && peer->error == ERR_OK; data += part, length -= part) {
        part = length < ACP_TOOL_DELTA_MAX ? length : ACP_TOOL_DELTA_MAX;
        add_output(peer, tool, data, part);
    }
}

/* Codex and (to clients that ask for it) Claude give a command's output as pieces in `_meta`,
 * beside a content block of type `terminal` that has none. */
static const char *const output_keys[] = {"terminal_output_delta", "terminal_output"};

void acp_tool_terminal(struct acp_peer *peer, struct acp_tool *tool, struct json_object *meta)
{
    for (size_t i = 0; i < array_size(output_keys); i++) {
        size_t length;
        const char *data = json_get_text(json_get(meta, output_keys[i]), "data", &length);
        if (data == NULL) {
            continue;
        }
        add_output(peer, tool, data, length);
    }
    struct json_object *exit = json_get(meta, "terminal_exit");
    if (json_object_is_type(exit, json_type_object)) {
        int64_t code = 0;
        tool->exited = true;
        tool->exit_failed = json_get_string(exit, "signal") != NULL ||
                            (json_get_i64(exit, "exit_code", &code) && code != 0);
    }
}

/* A command that goes on after its turn (Codex leaves it running when it is cancelled): its result
 * is out, so what it still says is told piece by piece. */
void acp_tool_terminal_late(struct acp_peer *peer, const struct acp_tool *tool,
                            struct json_object *meta)
{
    for (size_t i = 0; i < array_size(output_keys); i++) {
        size_t length;
        const char *data = json_get_text(json_get(meta, output_keys[i]), "data", &length);
        if (data == NULL) {
            continue;
        }
        struct buffer *out = acp_event_open(peer, EVENT_AGENT_UPDATE);
        buffer_text(out, ",\"update\":{\"sessionUpdate\":\"late_output\"");
        json_field_string(out, "toolUseId", tool->use_id);
        json_field_text(out, "data", data, length);
        buffer_byte(out, '}');
        acp_event_send(peer, EVENT_AGENT_UPDATE);
    }
}

void acp_tool_content(struct acp_peer *peer, struct acp_tool *tool, bool content, bool raw_output)
{
    tool->content_waits |= content;
    tool->raw_waits |= raw_output;
    if (delta_window_add(&peer->window, peer->now)) {
        acp_flush(peer);
    }
}

/* True if the content is text that begins with what went out as output; the rest is then ready
 * to go out. */
static bool extends_output(struct acp_peer *peer, struct acp_tool *tool)
{
    struct delta_text *old = &tool->output;
    if (tool->terminal || tool->content_whole || !acp_shape_only_text(tool->content)) {
        return false;
    }
    buffer_reset(&peer->text);
    acp_shape_join_text(&peer->text, tool->content);
    struct delta_text grown = {.sent = old->sent, .sent_units = old->sent_units};
    if (peer->text.length > 0) {
        delta_text_add(&grown, peer->text.data, peer->text.length, SIZE_MAX);
    }
    if (!buffer_ok(&peer->text) || !buffer_ok(&grown.text)) {
        peer->error = ERR_NOMEM;
    } else if (grown.text.length >= old->sent &&
               (old->sent == 0 || memcmp(grown.text.data, old->text.data, old->sent) == 0)) {
        delta_text_free(old);
        *old = grown;
        return true;
    }
    delta_text_free(&grown);
    return false;
}

/* An output that is too long for an event is cut so that what is shown reads as one, and says that something is missing:
 * offsets count what is shown. */
static void send_output(struct acp_peer *peer, struct acp_tool *tool, const char *text, size_t length,
                        struct instant line_at)
{
    enum { OTHERS = 512 }; /* what the event has beside its text */
    struct buffer shown = {0};
    struct buffer json = {0};
    struct digest name;
    struct blob *blob = NULL;
    json_put_string(&json, text, length);
    bool fits = json.length + OTHERS <= peer->max_event_bytes;
    enum err err = buffer_ok(&json) ? ERR_OK : ERR_NOMEM;
    buffer_free(&json);
    if (err == ERR_OK && !fits) {
        err = cut_text(text, length, CUT_PREVIEW, &peer->known, &shown, &name, &blob);
        buffer_format(&shown, "\n[%zu bytes are left out here]\n", length - shown.length);
    }
    if (err != ERR_OK || !buffer_ok(&shown)) {
        peer->error = ERR_NOMEM;
        blobs_free(blob);
        buffer_free(&shown);
        return;
    }
    acp_blobs(peer, blob);
    struct span delta = fits ? (struct span){text, length} : (struct span){shown.data, shown.length};
    struct buffer *out = acp_delta_open(peer, EVENT_TOOL_OUTPUT);
    json_field_string(out, "toolUseId", tool->use_id);
    json_field_i64(out, "offset", (int64_t)tool->shown_units);
    json_field_text(out, "delta", delta.text, delta.length);
    if (!fits) {
        char id[BLOB_ID_SIZE];
        blob_id(&name, id);
        buffer_format(out, ",\"refs\":[{\"path\":\"/delta\",\"blob\":\"%s\",\"bytes\":%zu}]", id, length);
    }
    tool->shown_units += utf8_utf16_length(delta.text, delta.length);
    acp_delta_send(peer, EVENT_TOOL_OUTPUT, line_at);
    buffer_free(&shown);
}

static void mute(struct acp_peer *peer, struct acp_tool *tool, struct instant line_at)
{
    static const char words[] =
        "\n[Signalbox: there is more output than is shown while it comes; the result has its end]\n";
    tool->muted = true;
    struct buffer *out = acp_delta_open(peer, EVENT_TOOL_OUTPUT);
    json_field_string(out, "toolUseId", tool->use_id);
    json_field_i64(out, "offset", (int64_t)tool->shown_units);
    json_field_string(out, "delta", words);
    acp_delta_send(peer, EVENT_TOOL_OUTPUT, line_at);
}

void acp_tool_flush(struct acp_peer *peer, struct acp_tool *tool, struct instant line_at)
{
    bool content = tool->content_waits && !extends_output(peer, tool);
    bool raw_output = tool->raw_waits;
    tool->content_waits = tool->raw_waits = false;
    tool->content_whole |= content;
    if (content || raw_output) {
        struct buffer *out = acp_delta_open(peer, EVENT_TOOL_UPDATE);
        json_field_string(out, "toolUseId", tool->use_id);
        acp_field_clean(out, "content", content ? tool->content : NULL);
        acp_field_clean(out, "rawOutput", raw_output ? tool->raw_output : NULL);
        acp_delta_send(peer, EVENT_TOOL_UPDATE, line_at);
    }
    if (tool->muted) {
        delta_text_mark_sent(&tool->output);
    }
    size_t length;
    const char *rest = delta_text_rest(&tool->output, &length);
    if (length == 0) {
        return;
    }
    send_output(peer, tool, rest, length, line_at);
    delta_text_mark_sent(&tool->output);
    if (tool->terminal_count > 0 && tool->output.sent_units > ACP_TOOL_OUTPUT_SHOWN) {
        mute(peer, tool, line_at);
    }
    trim_output(tool);
}

static bool from_keys(struct buffer *out, struct json_object *object, const char *const *keys,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *text = json_get_text(object, keys[i], &length);
        if (text != NULL && length > 0) {
            buffer_append(out, text, length);
            return true;
        }
    }
    return false;
}

/* Where a result's text may be, the best place first. */
static void find_text(struct buffer *out, const struct acp_tool *tool)
{
    static const char *const output[] = {"output", "stdout", "formatted_output",
                                         "aggregated_output"};
    static const char *const words[] = {"content", "error", "message"};
    struct json_object *raw = tool->raw_output;
    if (acp_shape_join_text(out, tool->content)) {
        return;
    }
    if (json_object_is_type(raw, json_type_string)) {
        buffer_append(out, json_object_get_string(raw), (size_t)json_object_get_string_len(raw));
    } else if (!from_keys(out, raw, output, array_size(output)) &&
               !(tool->terminal && tool->output.text.length > 0)) {
        from_keys(out, raw, words, array_size(words));
    }
    if (out->length == 0 && tool->terminal && tool->output.text.length > 0) {
        if (tool->output_dropped > 0) {
            buffer_format(out, "[%llu bytes before this are left out]\n",
                          (unsigned long long)tool->output_dropped);
        }
        buffer_append(out, tool->output.text.data, tool->output.text.length);
    }
}

static bool is_text(struct json_object *value, const struct buffer *text)
{
    return json_object_is_type(value, json_type_string) &&
           (size_t)json_object_get_string_len(value) == text->length &&
           (text->length == 0 ||
            memcmp(json_object_get_string(value), text->data, text->length) == 0);
}

/* Most agents give a tool's text in `content` and once or twice more in `rawOutput`. True if
 * `value` is more than that. */
static bool is_more(struct json_object *value, const struct buffer *text)
{
    if (!json_object_is_type(value, json_type_object)) {
        return value != NULL && !is_text(value, text);
    }
    json_object_object_foreach(value, key, member)
    {
        if (strcmp(key, "_meta") != 0 && is_more(member, text)) {
            return true;
        }
    }
    return false;
}

/* Without the members that only repeat the text. */
static void put_more(struct buffer *out, struct json_object *value, const struct buffer *text)
{
    if (!json_object_is_type(value, json_type_object)) {
        acp_put_clean(out, value);
        return;
    }
    buffer_byte(out, '{');
    bool first = true;
    json_object_object_foreach(value, key, member)
    {
        if (strcmp(key, "_meta") == 0 || is_text(member, text)) {
            continue;
        }
        buffer_text(out, first ? "" : ",");
        first = false;
        json_put_string(out, key, strlen(key));
        buffer_byte(out, ':');
        put_more(out, member, text);
    }
    buffer_byte(out, '}');
}

void acp_tool_result(struct acp_peer *peer, struct acp_tool *tool, bool is_error, const char *why)
{
    if (tool->terminal) {
        delta_text_end(&tool->output);
    }
    size_t waiting;
    delta_text_rest(&tool->output, &waiting);
    if (waiting > 0) {
        delta_window_add(&peer->window, peer->now);
    }
    acp_flush(peer); /* uses the scratch buffers, too */
    buffer_reset(&peer->text);
    find_text(&peer->text, tool);
    if (peer->text.length == 0 && why != NULL) {
        buffer_text(&peer->text, why);
    }
    if (!buffer_ok(&peer->text)) {
        peer->error = ERR_NOMEM;
    }
    struct buffer *out = acp_event_open(peer, EVENT_TOOL_RESULT);
    json_field_string(out, "toolUseId", tool->use_id);
    json_field_string(out, "toolName", tool->name);
    json_field_text(out, "result", peer->text.length > 0 ? peer->text.data : "", peer->text.length);
    if (tool->content != NULL && !acp_shape_only_text(tool->content)) {
        acp_field_clean(out, "content", tool->content);
    }
    if (is_more(tool->raw_output, &peer->text)) {
        json_key(out, "rawOutput");
        put_more(out, tool->raw_output, &peer->text);
    }
    json_field_bool(out, "isError", is_error);
    acp_event_send(peer, EVENT_TOOL_RESULT);
}
