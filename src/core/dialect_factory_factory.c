/*
 * factory-factory's chat: a connection for a session, which its URL names. What happens is a part (`session_delta`), and a
 * part of a batch in a replay. Texts have offsets, prompts and the runtime have states, so all of it may come again.
 */
#include "core/dialect_factory_factory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct buffer *factory_factory_command_open(struct dialect_out *out, const struct dialect_client *client,
                                            const char *type, enum factory_factory_purpose purpose)
{
    struct factory_factory_state *state = client->state;
    char id[32];
    snprintf(id, sizeof(id), "%c%" PRIu64 ":", purpose, ++state->commands);
    struct buffer *text = dialect_command_open(out, type, id);
    if (purpose != FOR_PENDING) {
        json_field_string(text, "sessionId", client->session_id);
    }
    return text;
}

void factory_factory_prompt_id(const char *session_id, const char *message_id, char *id, size_t size)
{
    snprintf(id, size, "ff:%s:%s", session_id, message_id);
}

const char *factory_factory_own_id(const char *session_id, const char *id)
{
    const char *rest = dialect_after(id, "ff:");
    rest = rest ? dialect_after(rest, session_id) : NULL;
    return rest && *rest == ':' ? rest + 1 : NULL;
}

/* ---- Answers to what a client said ---- */

void factory_factory_put_error(struct dialect_out *out, const char *why, const char *code)
{
    struct buffer *text = dialect_frame_open(out, "error");
    json_field_string(text, "message", why);
    json_field_string(text, "code", code);
    dialect_frame_close(out);
}

void factory_factory_put_rejected(struct dialect_out *out, const char *message_id, const char *why,
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
    const char *own = factory_factory_own_id(client->session_id, id);
    const char *why = dialect_text(nack, "message"), *code = dialect_text(nack, "code");
    if (own) {
        factory_factory_put_rejected(out, own, why, code);
    } else if (*id != FOR_WATCH && *id != FOR_PENDING) { /* the prompt behind a watch says what is wrong */
        factory_factory_put_error(out, why, code);
    }
}

/* What the client had is void: all of it follows, in batches. */
static void loaded(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *subscribed)
{
    struct factory_factory_state *state = client->state;
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
    factory_factory_put_runtime(text, subscribed, client->now_ms);
    if (state->pending) {
        struct json_object *request = json_object_array_get_idx(pending, 0);
        dialect_object_open(text, "pendingInteractiveRequest");
        factory_factory_put_request(text, request);
        json_field_object(text, "input", json_get(request, "toolInput")); /* as it is called here */
        dialect_put_date(text, "timestamp", dialect_number(request, "createdAt", 0));
        dialect_object_close(text);
    }
    json_field_string(text, "loadRequestId", state->names_load ? state->load_id : NULL);
    dialect_frame_close(out);
}

void factory_factory_watch(struct dialect_out *out, const struct dialect_client *client, enum factory_factory_purpose purpose,
                           const char *history)
{
    struct buffer *text = factory_factory_command_open(out, client, "subscribe", purpose);
    json_field_string(text, "history", history);
    dialect_command_close(out, false);
}

void factory_factory_load(struct dialect_out *out, const struct dialect_client *client, const char *id)
{
    struct factory_factory_state *state = client->state;
    state->names_load = id;
    snprintf(state->load_id, sizeof(state->load_id), "%s", id ? id : "");
    factory_factory_watch(out, client, FOR_LOAD, "full");
    state->load = state->commands;
}

/*
 * Their page has a place for one request: the last one that came hides those before it, and when that is over it shows none, though
 * others wait. So it is told again of these, the oldest last.
 */
static void ask_pending(struct dialect_out *out, const struct dialect_client *client)
{
    factory_factory_command_open(out, client, "list_permissions", FOR_PENDING);
    dialect_command_close(out, false);
}

static void put_pending(struct dialect_out *out, const struct dialect_client *client,
                        struct json_object *requests)
{
    size_t count = json_object_is_type(requests, json_type_array) ? json_object_array_length(requests) : 0;
    for (size_t i = count; i-- > 0;) {
        struct json_object *request = json_object_array_get_idx(requests, i);
        if (!strcmp(dialect_text(request, "sessionId"), client->session_id)) {
            factory_factory_put_request(dialect_part_open(out, "permission_request"), request);
            dialect_part_close(out);
        }
    }
}

static void pending_changed(struct dialect_out *out, const struct dialect_client *client, int64_t pending)
{
    struct factory_factory_state *state = client->state;
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
        if (((struct factory_factory_state *)client->state)->pending) {
            ask_pending(out, client); /* the past had others, which are over */
        }
    } else if (!strcmp(type, "ack") && *dialect_text(control, "id") == FOR_PENDING) {
        put_pending(out, client, json_get(control, "permissions"));
    } else if (!strcmp(type, "nack")) {
        refused_command(out, client, control);
    } else if (!strcmp(type, "subscribed")) {
        loaded(out, client, control);
    } else if (!strcmp(type, "ack") && json_get_bool(control, "again", false) &&
               factory_factory_own_id(client->session_id, dialect_text(control, "id"))) {
        /* Who sends a prompt again does not know what became of it. By now that may be anything, and it was said once
         * already, to whoever was there; so all is told anew. */
        factory_factory_load(out, client, NULL);
    }
}

static void refused(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *message, const char *code, const char *why)
{
    (void)client;
    const char *id = json_get_string(message, "id");
    if (id && !strcmp(dialect_text(message, "type"), "queue_message") &&
        strlen(id) <= FACTORY_FACTORY_MESSAGE_ID_MAX) {
        factory_factory_put_rejected(out, id, why, code);
    } else {
        factory_factory_put_error(out, why, code);
    }
}

const struct dialect dialect_factory_factory = {
    .name = "factory-factory",
    .subprotocol = "factory-factory.v1",
    .path = "/chat",
    .needs_session = true,
    .events = factory_factory_events,
    .part_open = "{\"type\":\"session_delta\",\"data\":",
    .part_close = "}",
    .batch_open = "{\"type\":\"session_replay_batch\",\"replayEvents\":[",
    .batch_close = "]}",
    .state_size = sizeof(struct factory_factory_state),
    .control = control,
    .messages = factory_factory_messages,
    .refused = refused,
};
