#include "state.h"
#include "turn.h"

#include <stdlib.h>
#include <string.h>

static const char suffix[] = "\"}}}}\n";

// Everything up to the text itself is the same for a whole stream, so it is kept.
static bool make_prefix(struct turn *t, const char *kind, json_object *message_id)
{
    if (t->prefix != NULL && t->prefix_kind == kind && t->prefix_id == message_id) {
        return true;
    }
    json_object *params = json_object_new_object();
    json_object *update = agent_new_update(kind);
    if (message_id != NULL) {
        json_object_object_add(update, "messageId", json_object_get(message_id));
    }
    json_object_object_add(update, "content", agent_text_block("", 0));
    json_object_object_add(params, "sessionId", json_object_new_string(t->session->id));
    json_object_object_add(params, "update", update);
    json_object *message = json_object_new_object();
    json_object_object_add(message, "jsonrpc", json_object_new_string("2.0"));
    json_object_object_add(message, "method", json_object_new_string("session/update"));
    json_object_object_add(message, "params", params);
    size_t length;
    const char *line = json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN, &length);
    free(t->prefix);
    t->prefix = line == NULL ? NULL : strdup(line);
    json_object_put(message);
    if (t->prefix == NULL) {
        return false;
    }
    t->prefix_length = length - (sizeof suffix - 2);
    t->prefix_kind = kind;
    json_object_put(t->prefix_id);
    t->prefix_id = json_object_get(message_id);
    return true;
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static size_t escaped_length(const char *text, size_t length)
{
    size_t total = length;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!plain(c)) {
            total += c == '"' || c == '\\' ? 1 : 5;
        }
    }
    return total;
}

static char *escape(char *to, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (plain(c)) {
            *to++ = (char)c;
        } else if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else {
            memcpy(to, "\\u00", 4);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += 6;
        }
    }
    return to;
}

void turn_text(struct turn *t, const char *kind, json_object *message_id, const char *text,
               size_t length)
{
    state_text(t->session, kind, text, length);
    if (!make_prefix(t, kind, message_id)) {
        return;
    }
    size_t body = escaped_length(text, length);
    size_t size = t->prefix_length + body + sizeof suffix - 1;
    struct wire *w = t->session->agent->wire;
    char *at = wire_reserve(w, size);
    if (at == NULL) {
        return;
    }
    memcpy(at, t->prefix, t->prefix_length);
    at += t->prefix_length;
    if (body == length) {
        memcpy(at, text, length);
        at += length;
    } else {
        at = escape(at, text, length);
    }
    memcpy(at, suffix, sizeof suffix - 1);
    wire_commit(w, size);
}

void turn_say(struct turn *t, const char *text)
{
    turn_text(t, "agent_message_chunk", t->message_id, text, strlen(text));
}
