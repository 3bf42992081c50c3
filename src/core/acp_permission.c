#include "core/acp_permission.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "core/acp_shape.h"
#include "core/cut.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/command.h"

enum { ASKS_MAX = 1024 };           /* open at once; a bound for agents that only ask */
enum { REMEMBER_PART = 8 };        /* the part of an event that is left for `rememberOptions` */
enum { REQUEST_ROOM = 2048 };       /* bytes of what is neither cut nor the agent's: ids, times, keys */

struct acp_ask {
    struct acp_ask *next;
    struct json_object *id; /* the agent's, in its own type */
    bool service;           /* no permission request, but a service that is refused */
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
        ask->service = false;
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

/* An option that cannot be answered by its id, since no `permission_response` can name it, is
 * none. */
static const char *usable_id(struct json_object *option)
{
    size_t length;
    const char *id = json_get_text(option, "optionId", &length);
    bool usable = id != NULL && strlen(id) == length && length > 0 &&
                  length <= COMMAND_AGENT_ID_MAX && utf8_valid(id, length);
    return usable ? id : NULL;
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

/* How long they are where they are shown. They are not cut: an answer names them. */
static size_t measure_options(struct acp_peer *peer, struct json_object *options)
{
    enum { KEYS = 40 };
    size_t bytes = 0;
    buffer_reset(&peer->text);
    for (size_t i = 0; i < json_object_array_length(options); i++) {
        struct json_object *option = json_object_array_get_idx(options, i);
        const char *const texts[] = {usable_id(option), json_get_string(option, "name"),
                                     json_get_string(option, "kind")};
        for (size_t j = 0; texts[0] != NULL && j < array_size(texts); j++) {
            const char *text = texts[j] != NULL ? texts[j] : texts[0];
            size_t length = strlen(text);
            json_put_string(&peer->text, text, j > 0 && length > ACP_TEXT_MAX ? ACP_TEXT_MAX : length);
        }
        bytes += KEYS;
    }
    bytes += peer->text.length;
    if (!buffer_ok(&peer->text)) {
        peer->error = ERR_NOMEM;
    }
    buffer_reset(&peer->text);
    return bytes;
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

/* ---- Kept short ---- */

static char *span_copy(struct acp_peer *peer, struct span value)
{
    char *copy = value.text != NULL ? strndup(value.text, value.length) : NULL;
    if (value.text != NULL && copy == NULL) {
        peer->error = ERR_NOMEM;
    }
    return copy;
}

/* Everything but the command, which a person judges by and which is cut last. */
static void put_others(struct buffer *out, const struct acp_tool *tool, const char *description)
{
    buffer_byte(out, '{');
    json_field_string(out, "toolName", tool->name);
    json_field_string(out, "description", description);
    json_field_string(out, "kind", tool->kind);
    json_key(out, "toolInput");
    acp_tool_put_input(out, tool->input);
    if (tool->locations != NULL && json_object_array_length(tool->locations) > 0) {
        acp_shape_put_locations(out, tool->locations);
    }
    json_key(out, "planContent");
    put_plan(out, tool);
    buffer_byte(out, '}');
}

/* A string that is shown, as text. */
static char *string_copy(struct acp_peer *peer, struct span value)
{
    struct buffer text = {0};
    struct span inside;
    if (span_string(value, &inside)) {
        cut_decode(&text, inside);
    }
    char *copy = acp_take(peer, &text, SIZE_MAX);
    buffer_free(&text);
    return copy;
}

static void set_refs(struct acp_peer *peer, struct permission_ask *ask, const struct cut *cut,
                     const struct buffer *command_ref)
{
    static const char *const prefixes[] = {"", "/request"};
    char **const fields[] = {&ask->refs, &ask->event_refs};
    if (command_ref->length == 0 && !cut_has_refs(cut)) {
        return;
    }
    for (size_t i = 0; i < array_size(fields); i++) {
        buffer_reset(&peer->text);
        if (command_ref->length > 0) {
            buffer_format(&peer->text, "{\"path\":\"%s/command\"", prefixes[i]);
            buffer_append(&peer->text, command_ref->data, command_ref->length);
            buffer_text(&peer->text, cut_has_refs(cut) ? "," : "");
        }
        cut_write_refs(cut, prefixes[i], &peer->text);
        *fields[i] = acp_take_json(peer, &peer->text);
    }
}

static size_t encoded_length(struct acp_peer *peer, const struct buffer *text)
{
    struct buffer json = {0};
    json_put_string(&json, text->data != NULL ? text->data : "", text->length);
    size_t length = json.length;
    if (!buffer_ok(&json)) {
        peer->error = ERR_NOMEM;
    }
    buffer_free(&json);
    return length;
}

/* The command in `room` bytes; one that does not fit says that it goes on. `ref` gets the rest of its reference. */
static void set_command(struct acp_peer *peer, struct permission_ask *ask, struct buffer *command,
                        size_t room, struct buffer *ref)
{
    enum { NOTE_MAX = 96 };
    if (encoded_length(peer, command) <= room) {
        ask->command = acp_take(peer, command, SIZE_MAX);
    } else {
        struct buffer text = {0};
        struct digest name;
        struct blob *blob = NULL;
        char id[BLOB_ID_SIZE];
        enum err err = cut_text(command->data, command->length, room - NOTE_MAX, &peer->known, &text,
                                &name, &blob);
        if (err != ERR_OK) {
            peer->error = err;
        } else {
            acp_blobs(peer, blob);
            blob_id(&name, id);
            json_field_string(ref, "blob", id);
            json_field_i64(ref, "bytes", (int64_t)command->length);
            buffer_byte(ref, '}');
            buffer_format(&text, "\n\xE2\x80\xA6 [cut here: the whole command has %zu bytes]",
                          command->length);
            ask->command = acp_take(peer, &text, SIZE_MAX);
            ask->command_cut = true;
        }
        buffer_free(&text);
    }
}

static void fill_ask(struct acp_peer *peer, struct permission_ask *ask, const struct acp_tool *tool,
                     size_t options_bytes)
{
    struct buffer command = {0};
    struct buffer others = {0};
    struct buffer ref = {0};
    struct cut cut = {.count = 0};
    /* Something is left for the rules that can be made of it, which are found later. */
    size_t room = peer->max_event_bytes - peer->max_event_bytes / REMEMBER_PART - REQUEST_ROOM - options_bytes;
    acp_command_write(&command, tool);
    acp_command_describe(&peer->text, tool);
    char *description = acp_take(peer, &peer->text, ACP_TEXT_MAX);
    put_others(&others, tool, description);
    free(description);
    if (!buffer_ok(&command) || !buffer_ok(&others)) {
        peer->error = ERR_NOMEM;
    }
    /* Half of it is enough for the others, unless the command leaves them more. */
    size_t wanted = encoded_length(peer, &command);
    if (peer->error == ERR_OK) {
        peer->error = cut_begin(&cut, (struct span){others.data, others.length},
                                wanted < room / 2 ? room - wanted : room / 2, 2, &peer->known);
    }
    if (peer->error == ERR_OK) {
        acp_blobs(peer, cut_take_blobs(&cut));
        ask->tool_name = string_copy(peer, cut_value(&cut, "toolName"));
        ask->description = string_copy(peer, cut_value(&cut, "description"));
        ask->kind = string_copy(peer, cut_value(&cut, "kind"));
        ask->tool_input = span_copy(peer, cut_value(&cut, "toolInput"));
        ask->locations = span_copy(peer, cut_value(&cut, "locations"));
        ask->plan_content = span_copy(peer, cut_value(&cut, "planContent"));
        set_command(peer, ask, &command, room - cut_length(&cut), &ref);
        if (!buffer_ok(&ref)) {
            peer->error = ERR_NOMEM;
        }
        set_refs(peer, ask, &cut, &ref);
    }
    cut_free(&cut);
    buffer_free(&command);
    buffer_free(&others);
    buffer_free(&ref);
}

static struct permission_ask *make_ask(struct acp_peer *peer, const char *request_id,
                                       const struct acp_tool *tool, struct json_object *options,
                                       size_t options_bytes)
{
    struct permission_ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    ask->request_id = acp_copy(peer, request_id, ACP_TEXT_MAX);
    ask->turn_id = acp_copy(peer, peer->turn_id, ACP_TEXT_MAX);
    ask->tool_use_id = acp_copy(peer, tool->use_id, ACP_TEXT_MAX);
    copy_options(peer, ask, options, count_options(options));
    buffer_reset(&peer->text);
    if (peer->error == ERR_OK) {
        fill_ask(peer, ask, tool, options_bytes);
    }
    if (peer->error == ERR_OK) {
        acp_reach(peer, ask, tool);
    }
    return ask;
}

void acp_permission_request(struct acp_peer *peer, struct json_object *id,
                            struct json_object *params)
{
    struct json_object *call = json_get(params, "toolCall");
    struct json_object *options = json_get(params, "options");
    size_t options_bytes = count_options(options) > 0 ? measure_options(peer, options) : 0;
    const char *wrong = NULL;
    if (peer->error != ERR_OK) {
        return;
    }
    if (!acp_rpc_our_session(peer, params)) {
        wrong = "Invalid params: unknown session";
    } else if (json_get_string(call, "toolCallId") == NULL) {
        wrong = "Invalid params: toolCall has no toolCallId";
    } else if (count_options(options) == 0) {
        wrong = "Invalid params: no option to choose from";
    } else if (options_bytes > peer->max_event_bytes / 4) {
        wrong = "Invalid params: the options are too long to be shown";
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
    notice.ask = make_ask(peer, open->request_id, tool, options, options_bytes);
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
    if (ask->service) {
        acp_rpc_error(peer, ask->id, RPC_FORBIDDEN,
                      "The session is read-only: no file is written and no command is run", NULL);
    } else {
        answer(peer, ask->id, option_id);
    }
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

void acp_peer_refuse(struct acp_peer *peer, const char *request_id)
{
    acp_peer_permission(peer, request_id, NULL);
}

void acp_service_refuse(struct acp_peer *peer, struct json_object *id, struct buffer *wanted)
{
    if (peer->asks.open_count == ASKS_MAX) {
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, "Too many requests are open", NULL);
        return;
    }
    char *what = acp_take(peer, wanted, ACP_TEXT_MAX);
    struct acp_ask *open = what != NULL ? add(peer, id) : NULL;
    if (open != NULL) {
        open->service = true;
        buffer_format(wanted, "the session is read-only, and the agent was refused %s", what);
        struct agent_notice notice = {
            .kind = NOTICE_SERVICE_REFUSED,
            .request_id = acp_copy(peer, open->request_id, ACP_TEXT_MAX),
            .message = acp_take(peer, wanted, SIZE_MAX),
        };
        acp_notice(peer, &notice);
    }
    free(what);
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
