#define _GNU_SOURCE
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_object *string(const char *text)
{
    return json_object_new_string(text);
}

static void copy(json_object *to, const char *name, json_object *from, const char *key)
{
    json_object *value;
    if (json_object_object_get_ex(from, key, &value)) {
        json_object_object_add(to, name, json_object_get(value));
    }
}

static bool flag(json_object *object, const char *name)
{
    return json_object_get_boolean(rpc_member(object, name, json_type_boolean));
}

static void tool_id(struct turn *t, json_object *spec, char *id, size_t room)
{
    const char *given = json_object_is_type(spec, json_type_string) ? json_object_get_string(spec)
                                                                    : rpc_text(spec, "id", NULL);
    if (given != NULL) {
        snprintf(id, room, "%s", given);
    } else {
        snprintf(id, room, "call_%u", ++t->session->tools);
    }
}

static void describe(json_object *call, json_object *spec, const char *id)
{
    json_object_object_add(call, "toolCallId", string(id));
    copy(call, "title", spec, "title");
    copy(call, "kind", spec, "kind");
    copy(call, "name", spec, "name");
    copy(call, "locations", spec, "locations");
    copy(call, "rawInput", spec, "input");
}

static json_object *default_options(void)
{
    return json_tokener_parse(
        "[{\"optionId\":\"allow_once\",\"name\":\"Allow once\",\"kind\":\"allow_once\"},"
        "{\"optionId\":\"allow_always\",\"name\":\"Always allow\",\"kind\":\"allow_always\"},"
        "{\"optionId\":\"reject_once\",\"name\":\"Reject\",\"kind\":\"reject_once\"}]");
}

// Sends the permission requests of one step. `how` holds options, onReject and parallel, or is
// NULL.
static enum progress request(struct turn *t, json_object *how, json_object *spec, const char *id)
{
    json_object *options = rpc_member(how, "options", json_type_array);
    json_object *parallel = rpc_member(how, "parallel", json_type_int);
    const char *on_reject = rpc_text(how, "onReject", NULL);
    int64_t count = parallel == NULL ? 1 : json_object_get_int64(parallel);
    t->rejected = false;
    t->end_on_reject = on_reject != NULL && strcmp(on_reject, "end") == 0;
    options = options != NULL ? json_object_get(options) : default_options();
    enum progress progress =
        count < 1 ? turn_bad(t, "permission: parallel is at least 1") : TURN_NEXT;
    for (int i = 1; i <= count && progress == TURN_NEXT; i++) {
        char own[128];
        snprintf(own, sizeof own, count == 1 ? "%s" : "%s-%d", id, i);
        json_object *call = json_object_new_object();
        describe(call, spec, own);
        json_object_object_add(call, "status", string("pending"));
        json_object *params = json_object_new_object();
        json_object_object_add(params, "sessionId", string(t->session->id));
        json_object_object_add(params, "toolCall", call);
        json_object_object_add(params, "options", json_object_get(options));
        progress = turn_ask(t, "session/request_permission", params, json_object_get(options),
                            count == 1 ? 0 : i);
    }
    json_object_put(options);
    return progress;
}

enum progress permission_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    json_object *spec = NULL;
    char id[96];
    json_object_object_get_ex(value, "tool", &spec);
    tool_id(t, spec, id, sizeof id);
    t->activity = turn_wait_answers;
    return request(t, value, spec, id);
}

static void send_content(struct turn *t, json_object *update, size_t length)
{
    struct tool *tool = &t->tool;
    json_object *diff = rpc_member(tool->spec, "diff", json_type_object);
    json_object *content = json_object_new_array();
    if (diff != NULL && tool->done == tool->pieces) {
        json_object *item = json_object_new_object();
        json_object_object_add(item, "type", string("diff"));
        copy(item, "path", diff, "path");
        copy(item, "oldText", diff, "oldText");
        copy(item, "newText", diff, "newText");
        json_object_array_add(content, item);
    }
    if (tool->output != NULL) {
        json_object *item = json_object_new_object();
        json_object_object_add(item, "type", string("content"));
        json_object_object_add(item, "content", agent_text_block(tool->output, length));
        json_object_array_add(content, item);
    }
    json_object_object_add(update, "content", content);
}

static json_object *new_update(struct turn *t, const char *status)
{
    json_object *update = agent_new_update("tool_call_update");
    json_object_object_add(update, "toolCallId", string(t->tool.id));
    if (status != NULL) {
        json_object_object_add(update, "status", string(status));
    }
    return update;
}

static size_t cut(const struct tool *tool, int64_t pieces)
{
    size_t at = pieces >= tool->pieces
                    ? tool->length
                    : (size_t)((double)tool->length * (double)pieces / (double)tool->pieces);
    while (at > 0 && at < tool->length && ((unsigned char)tool->output[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

// As Codex does it: the content only names a terminal, the output is in _meta, piece by piece.
static void send_terminal_piece(struct turn *t, json_object *update, size_t from, size_t to)
{
    struct tool *tool = &t->tool;
    json_object *item = json_object_new_object();
    json_object_object_add(item, "type", string("terminal"));
    json_object_object_add(item, "terminalId", string(tool->id));
    json_object *content = json_object_new_array();
    json_object_array_add(content, item);
    json_object_object_add(update, "content", content);
    json_object *delta = json_object_new_object();
    json_object_object_add(delta, "data",
                           json_object_new_string_len(tool->output + from, (int)(to - from)));
    json_object_object_add(delta, "terminal_id", string(tool->id));
    json_object *meta = json_object_new_object();
    json_object_object_add(meta, "terminal_output_delta", delta);
    json_object_object_add(update, "_meta", meta);
}

static void send_piece(struct turn *t)
{
    struct tool *tool = &t->tool;
    size_t from = cut(tool, tool->done);
    tool->done++;
    size_t to = cut(tool, tool->done);
    json_object *update = new_update(t, "in_progress");
    if (tool->terminal) {
        send_terminal_piece(t, update, from, to);
    } else {
        send_content(t, update, to);
    }
    agent_update(t->session, update);
}

static enum progress finish(struct turn *t, bool failed)
{
    struct tool *tool = &t->tool;
    tool->done = tool->pieces;
    if (!flag(tool->spec, "leaveOpen")) {
        json_object *update = new_update(t, failed ? "failed" : "completed");
        if (tool->terminal) {
            json_object *end = json_object_new_object();
            json_object_object_add(end, "exit_code", json_object_new_int(failed ? 1 : 0));
            json_object_object_add(end, "signal", NULL);
            json_object_object_add(end, "terminal_id", string(tool->id));
            json_object *meta = json_object_new_object();
            json_object_object_add(meta, "terminal_exit", end);
            json_object_object_add(update, "_meta", meta);
        } else if (!t->rejected &&
                   (tool->output != NULL || rpc_member(tool->spec, "diff", json_type_object))) {
            send_content(t, update, tool->length);
        }
        if (!t->rejected) {
            copy(update, "rawOutput", tool->spec, "rawOutput");
        }
        agent_update(t->session, update);
    }
    return t->rejected && t->end_on_reject ? turn_stop(t, "end_turn") : TURN_NEXT;
}

static enum progress tool_activity(struct turn *t, int64_t now)
{
    struct tool *tool = &t->tool;
    if (t->question_count > 0) {
        return TURN_WAITS;
    }
    if (t->rejected) {
        return finish(t, true);
    }
    if (tool->start == 0) {
        tool->start = now;
        agent_update(t->session, new_update(t, "in_progress"));
    }
    while (tool->done < tool->pieces) {
        int64_t due =
            tool->rate > 0 ? tool->start + (int64_t)((double)tool->done * 1e9 / tool->rate) : now;
        if (due > now || wire_pending(t->session->agent->wire) >= AGENT_BATCH) {
            t->wake = due;
            return TURN_WAITS;
        }
        send_piece(t);
    }
    return finish(t, flag(tool->spec, "fail"));
}

static bool read_output(struct turn *t, json_object *output, const char *alphabet_name)
{
    enum generator_alphabet alphabet =
        alphabet_name == NULL ? ALPHABET_ASCII : generator_alphabet_named(alphabet_name);
    struct tool *tool = &t->tool;
    free(tool->output);
    tool->output = NULL;
    tool->length = 0;
    if (output == NULL) {
        return true;
    }
    bool literal = json_object_is_type(output, json_type_string);
    int64_t size = literal ? json_object_get_string_len(output) : json_object_get_int64(output);
    if (alphabet == ALPHABET_UNKNOWN || size < 0 || size > 64 * 1024 * 1024 || (tool->output = malloc((size_t)size + 1)) == NULL) {
        return false;
    }
    tool->length = (size_t)size;
    if (literal) {
        memcpy(tool->output, json_object_get_string(output), tool->length);
    } else {
        generator_fill(&t->generator, alphabet, tool->output, tool->length);
    }
    return true;
}

enum progress tool_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    struct tool *tool = &t->tool;
    json_object *output = NULL;
    json_object *rate = NULL;
    json_object *permission = NULL;
    if (!json_object_is_type(value, json_type_object)) {
        return turn_bad(t, "tool: an object");
    }
    json_object_object_get_ex(value, "output", &output);
    json_object_object_get_ex(value, "rate", &rate);
    json_object_object_get_ex(value, "permission", &permission);
    const char *announce = rpc_text(value, "announce", NULL);
    bool by_permission = announce != NULL && strcmp(announce, "permission") == 0;
    tool->spec = value; // lives as long as the script
    tool->start = 0;
    tool->done = 0;
    tool->rate = json_object_get_double(rate);
    tool->pieces = json_object_get_int64(rpc_member(value, "outputChunks", json_type_int));
    tool->terminal = flag(value, "terminalMeta");
    t->rejected = false;
    tool_id(t, value, tool->id, sizeof tool->id);
    if (!read_output(t, output, rpc_text(value, "alphabet", NULL))) {
        return turn_bad(t, "tool: output is a text or a number of bytes in a known alphabet");
    }
    if (tool->output == NULL) {
        tool->pieces = 0;
    } else if (tool->terminal && tool->pieces < 1) {
        tool->pieces = 1;
    }
    if (!by_permission) {
        json_object *call = agent_new_update("tool_call");
        describe(call, value, tool->id);
        json_object_object_add(call, "status", string("pending"));
        if (rpc_member(value, "title", json_type_string) == NULL) {
            json_object_object_add(call, "title", string(tool->id));
        }
        agent_update(t->session, call);
    }
    t->activity = tool_activity;
    if (by_permission || json_object_is_type(permission, json_type_object) ||
        flag(value, "permission")) {
        return request(t, permission, value, tool->id);
    }
    return TURN_NEXT;
}
