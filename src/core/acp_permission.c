#include "core/acp_permission.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

enum { ASKS_MAX = 1024 };           /* open at once; a bound for agents that only ask */
enum { COMMAND_MAX = 1024 * 1024 }; /* bytes; a person must see the whole of what is to run */

struct acp_ask {
    struct acp_ask *next;
    struct json_object *id; /* the agent's, in its own type */
    char request_id[];      /* ours */
};

static void ask_free(struct acp_ask *ask)
{
    json_object_put(ask->id);
    free(ask);
}

void acp_asks_free(struct acp_asks *asks)
{
    while (asks->open != NULL) {
        struct acp_ask *next = asks->open->next;
        ask_free(asks->open);
        asks->open = next;
    }
}

static struct acp_ask *add(struct acp_peer *peer, struct json_object *id)
{
    struct buffer name = {0};
    buffer_format(&name, "p-%s-%" PRIu64 "-%" PRIu64, peer->session_id, peer->run,
                  ++peer->asks.count);
    struct acp_ask *ask = buffer_ok(&name) ? malloc(sizeof *ask + name.length + 1) : NULL;
    if (ask != NULL) {
        ask->next = NULL;
        ask->id = json_object_get(id);
        memcpy(ask->request_id, name.data, name.length);
        ask->request_id[name.length] = '\0';
        struct acp_ask **link = &peer->asks.open;
        while (*link != NULL) {
            link = &(*link)->next;
        }
        *link = ask;
        peer->asks.open_count++;
    } else {
        peer->error = ERR_NOMEM;
    }
    buffer_free(&name);
    return ask;
}

static enum option_kind option_kind(const char *name)
{
    static const struct {
        const char *name;
        enum option_kind kind;
    } kinds[] = {
        {"allow_once", OPTION_ALLOW_ONCE},
        {"allow_always", OPTION_ALLOW_ALWAYS},
        {"reject_once", OPTION_REJECT_ONCE},
        {"reject_always", OPTION_REJECT_ALWAYS},
    };
    for (size_t i = 0; i < array_size(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return kinds[i].kind;
        }
    }
    return OPTION_OTHER;
}

/* An option that cannot be answered by its id is none. */
static const char *usable_id(struct json_object *option)
{
    size_t length;
    const char *id = json_get_text(option, "optionId", &length);
    return id != NULL && strlen(id) == length ? id : NULL;
}

static size_t count_options(struct json_object *options)
{
    size_t count = 0;
    if (json_object_is_type(options, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(options); i++) {
            count += usable_id(json_object_array_get_idx(options, i)) != NULL;
        }
    }
    return count;
}

static void copy_options(struct acp_peer *peer, struct permission_ask *ask,
                         struct json_object *options, size_t count)
{
    ask->options = calloc(count, sizeof *ask->options);
    if (ask->options == NULL) {
        peer->error = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < json_object_array_length(options); i++) {
        struct json_object *given = json_object_array_get_idx(options, i);
        const char *id = usable_id(given);
        if (id == NULL) {
            continue;
        }
        const char *name = json_get_string(given, "name");
        const char *kind = json_get_string(given, "kind");
        struct permission_option *option = &ask->options[ask->option_count++];
        option->option_id = strdup(id); /* as it is: the answer must name it */
        option->name = acp_copy(peer, name != NULL ? name : id, ACP_TEXT_MAX);
        option->kind_name = acp_copy(peer, kind != NULL ? kind : "other", ACP_TEXT_MAX);
        option->kind = option_kind(option->kind_name != NULL ? option->kind_name : "");
        if (option->option_id == NULL) {
            peer->error = ERR_NOMEM;
        }
    }
}

static void put_plan(struct buffer *out, const struct acp_tool *tool)
{
    size_t length;
    const char *plan = json_get_text(tool->input, "plan", &length);
    if (plan != NULL && strcmp(tool->kind, "switch_mode") == 0) {
        json_put_string(out, plan, length);
    } else {
        buffer_text(out, "null");
    }
}

static struct permission_ask *make_ask(struct acp_peer *peer, const char *request_id,
                                       const struct acp_tool *tool, struct json_object *options)
{
    struct permission_ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    struct buffer *text = &peer->text;
    ask->request_id = acp_copy(peer, request_id, ACP_TEXT_MAX);
    ask->turn_id = acp_copy(peer, peer->turn_id, ACP_TEXT_MAX);
    ask->tool_use_id = acp_copy(peer, tool->use_id, ACP_TEXT_MAX);
    ask->tool_name = acp_copy(peer, tool->name, ACP_TEXT_MAX);
    ask->kind = acp_copy(peer, tool->kind, ACP_TEXT_MAX);
    buffer_reset(text);
    acp_command_write(text, tool);
    ask->command = acp_take(peer, &peer->text, COMMAND_MAX);
    acp_command_describe(text, tool);
    ask->description = acp_take(peer, &peer->text, ACP_TEXT_MAX);
    acp_tool_put_input(text, tool->input);
    ask->tool_input = acp_take_json(peer, &peer->text);
    if (tool->locations != NULL && json_object_array_length(tool->locations) > 0) {
        acp_put_clean(text, tool->locations);
        ask->locations = acp_take_json(peer, &peer->text);
    }
    put_plan(text, tool);
    ask->plan_content = acp_take_json(peer, &peer->text);
    copy_options(peer, ask, options, count_options(options));
    return ask;
}

void acp_permission_request(struct acp_peer *peer, struct json_object *id,
                            struct json_object *params)
{
    struct json_object *call = json_get(params, "toolCall");
    struct json_object *options = json_get(params, "options");
    const char *wrong = NULL;
    if (!acp_rpc_our_session(peer, params)) {
        wrong = "Invalid params: unknown session";
    } else if (json_get_string(call, "toolCallId") == NULL) {
        wrong = "Invalid params: toolCall has no toolCallId";
    } else if (count_options(options) == 0) {
        wrong = "Invalid params: no option to choose from";
    }
    if (wrong != NULL) {
        acp_rpc_error(peer, id, RPC_INVALID_PARAMS, wrong, NULL);
        return;
    }
    if (peer->asks.open_count == ASKS_MAX) {
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, "Too many permission requests are open", NULL);
        return;
    }
    const struct acp_tool *tool = acp_tool_upsert(peer, call, ACP_UPSERT_PERMISSION);
    acp_flush(peer);
    struct acp_ask *open = tool != NULL ? add(peer, id) : NULL;
    if (open == NULL) {
        return;
    }
    struct agent_notice notice = {.kind = NOTICE_PERMISSION};
    notice.ask = make_ask(peer, open->request_id, tool, options);
    acp_notice(peer, &notice);
}

static void answer(struct acp_peer *peer, struct json_object *id, const char *option_id)
{
    buffer_reset(&peer->text);
    if (option_id != NULL) {
        buffer_text(&peer->text, "{\"outcome\":{\"outcome\":\"selected\"");
        json_field_string(&peer->text, "optionId", option_id);
        buffer_text(&peer->text, "}}");
    } else {
        buffer_text(&peer->text, "{\"outcome\":{\"outcome\":\"cancelled\"}}");
    }
    char *result = acp_take_json(peer, &peer->text);
    if (result != NULL) {
        acp_rpc_result(peer, id, result);
    }
    free(result);
}

/* Takes it out of the open ones, so that it is answered once. */
static void settle(struct acp_peer *peer, struct acp_ask **link, const char *option_id)
{
    struct acp_ask *ask = *link;
    *link = ask->next;
    peer->asks.open_count--;
    answer(peer, ask->id, option_id);
    ask_free(ask);
}

void acp_peer_permission(struct acp_peer *peer, const char *request_id, const char *option_id)
{
    if (peer->state == ACP_ENDED || peer->error != ERR_OK) {
        return;
    }
    for (struct acp_ask **link = &peer->asks.open; *link != NULL; link = &(*link)->next) {
        if (strcmp((*link)->request_id, request_id) == 0) {
            settle(peer, link, option_id);
            return;
        }
    }
}

bool acp_permission_withdraw(struct acp_peer *peer, struct json_object *id)
{
    for (struct acp_ask **link = &peer->asks.open; *link != NULL; link = &(*link)->next) {
        if (acp_rpc_same_id((*link)->id, id)) {
            struct agent_notice notice = {
                .kind = NOTICE_PERMISSION_WITHDRAWN,
                .request_id = acp_copy(peer, (*link)->request_id, ACP_TEXT_MAX),
            };
            settle(peer, link, NULL);
            acp_notice(peer, &notice);
            return true;
        }
    }
    return false;
}
