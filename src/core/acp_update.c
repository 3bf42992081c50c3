#include "core/acp_update.h"

#include <string.h>

#include "core/acp_open.h"
#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_setting.h"
#include "core/acp_shape.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

static struct json_object *get_array(struct json_object *object, const char *key)
{
    struct json_object *value = json_get(object, key);
    return json_object_is_type(value, json_type_array) ? value : NULL;
}

/* What has no name of its own in our protocol goes out as the agent sent it. */
static void send_other(struct acp_peer *peer, struct json_object *update)
{
    struct buffer *out = acp_event_open(peer, EVENT_AGENT_UPDATE);
    acp_field_clean(out, "update", update);
    acp_event_send(peer, EVENT_AGENT_UPDATE);
}

static bool take_chunk(struct acp_peer *peer, struct json_object *update, enum acp_block_kind kind)
{
    struct json_object *content = json_get(update, "content");
    const char *type = json_get_string(content, "type");
    size_t length;
    const char *text = json_get_text(content, "text", &length);
    if (type == NULL || strcmp(type, "text") != 0 || text == NULL) {
        /* An image in the middle of a message: what was said before it is shown before it, also to
         * who joins late. */
        if (type != NULL) {
            acp_block_end(peer, true);
        }
        return false;
    }
    acp_block_chunk(peer, kind, text, length, json_get_string(update, "messageId"),
                    acp_tool_parent(peer, update));
    return true;
}

static bool take_message(struct acp_peer *peer, struct json_object *update)
{
    return take_chunk(peer, update, ACP_BLOCK_TEXT);
}

static bool take_thought(struct acp_peer *peer, struct json_object *update)
{
    return take_chunk(peer, update, ACP_BLOCK_THOUGHT);
}

static bool take_tool_call(struct acp_peer *peer, struct json_object *update)
{
    return acp_tool_upsert(peer, update, ACP_UPSERT_CALL) != NULL || peer->error != ERR_OK;
}

static bool take_tool_update(struct acp_peer *peer, struct json_object *update)
{
    return acp_tool_upsert(peer, update, ACP_UPSERT_UPDATE) != NULL || peer->error != ERR_OK;
}

static bool take_plan(struct acp_peer *peer, struct json_object *update)
{
    struct json_object *entries = get_array(update, "entries");
    if (entries == NULL || !acp_shape_plan(entries)) {
        return false;
    }
    acp_block_end(peer, true);
    struct buffer *out = acp_event_open(peer, EVENT_PLAN);
    acp_field_clean(out, "entries", entries);
    acp_event_send(peer, EVENT_PLAN);
    return true;
}

/* Name, description and hint only: one agent hangs half a megabyte of `_meta` and more onto its
 * commands. */
static bool take_commands(struct acp_peer *peer, struct json_object *update)
{
    struct json_object *commands = get_array(update, "availableCommands");
    if (commands == NULL) {
        return false;
    }
    struct buffer *out = acp_event_open(peer, EVENT_COMMANDS);
    buffer_text(out, ",\"commands\":[");
    bool first = true;
    for (size_t i = 0; i < json_object_array_length(commands); i++) {
        struct json_object *command = json_object_array_get_idx(commands, i);
        const char *name = json_get_string(command, "name");
        if (name == NULL) {
            continue;
        }
        const char *description = json_get_string(command, "description");
        buffer_text(out, first ? "{" : ",{");
        first = false;
        json_field_string(out, "name", name);
        json_field_string(out, "description", description != NULL ? description : "");
        json_field_string(out, "hint", json_get_string(json_get(command, "input"), "hint"));
        buffer_byte(out, '}');
    }
    buffer_byte(out, ']');
    acp_event_send(peer, EVENT_COMMANDS);
    return true;
}

/* Some agents send this several times a turn with nothing but `_meta` in it; null clears the
 * title. */
static bool take_session_info(struct acp_peer *peer, struct json_object *update)
{
    struct json_object *title;
    if (!json_object_object_get_ex(update, "title", &title)) {
        return true;
    }
    if ((title != NULL && !json_object_is_type(title, json_type_string)) || peer->keep_title) {
        return false; /* shown as it came; a title that a person gave stays */
    }
    struct buffer *out = acp_event_open(peer, EVENT_TITLE);
    json_key(out, "title");
    json_put_object(out, title);
    acp_event_send(peer, EVENT_TITLE);
    struct agent_notice notice = {
        .kind = NOTICE_TITLE,
        .title = acp_copy(peer, json_object_get_string(title), ACP_TEXT_MAX),
    };
    acp_notice(peer, &notice);
    return true;
}

static bool take_usage(struct acp_peer *peer, struct json_object *update)
{
    if (!acp_shape_usage(update)) {
        return false;
    }
    struct buffer *out = acp_event_open(peer, EVENT_USAGE);
    acp_field_clean(out, "used", json_get(update, "used"));
    acp_field_clean(out, "size", json_get(update, "size"));
    acp_field_clean(out, "cost", json_get(update, "cost"));
    acp_event_send(peer, EVENT_USAGE);
    return true;
}

static const struct {
    const char *name;
    /* False: it is not as it should be. */
    bool (*take)(struct acp_peer *peer, struct json_object *update);
    bool conversation; /* a part of what was said, which a session that is loaded says again */
} kinds[] = {
    {"agent_message_chunk", take_message, true},
    {"agent_thought_chunk", take_thought, true},
    {"tool_call", take_tool_call, true},
    {"tool_call_update", take_tool_update, true},
    {"plan", take_plan, true},
    {"available_commands_update", take_commands, false},
    {"current_mode_update", acp_setting_mode_update, false},
    {"config_option_update", acp_setting_options_update, false},
    {"session_info_update", take_session_info, false},
    {"usage_update", take_usage, false},
};

/*
 * While the session's id is not known yet, everything is taken: agents send updates before the
 * response that names the session. Afterwards, updates of other sessions are left out: such are
 * child sessions of sub-agents, which only a client that advertises them should get, and their text
 * would be taken for the session's own.
 */
void acp_update(struct acp_peer *peer, struct json_object *params)
{
    struct json_object *update = json_get(params, "update");
    const char *session = json_get_string(params, "sessionId");
    if (!json_object_is_type(update, json_type_object) || session == NULL ||
        peer->state == ACP_FAILED ||
        (peer->agent_session != NULL && strcmp(session, peer->agent_session) != 0)) {
        return;
    }
    const char *name = json_get_string(update, "sessionUpdate");
    size_t i = 0;
    while (i < array_size(kinds) && (name == NULL || strcmp(kinds[i].name, name) != 0)) {
        i++;
    }
    bool known = i < array_size(kinds);
    if (peer->replaying && (!known || kinds[i].conversation)) {
        acp_open_replayed(peer); /* it is in our log, since it was said the first time */
    } else if (!known || !kinds[i].take(peer, update)) {
        send_other(peer, update);
    }
}
