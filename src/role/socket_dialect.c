/*
 * Clients of other systems: what they say and hear is translated here, by the tables of core/dialect.h. Events are
 * translated once for all of them, beside the tail's own frames; or by history, in a replay.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/core/craft.h"
#include "socket_internal.h"

/* An event is at most a few brackets deeper than what an agent may send. */
enum { EVENT_DEPTH_MAX = 4096 };
_Static_assert((int)TOPIC_FORMS_MAX == (int)DIALECTS_MAX, "an event has a form for each dialect");

enum err speech_new(struct client *client, const struct client_take *take)
{
    struct socket_thread *thread = client->thread;
    if (!thread->event_parser && json_parser_new(&thread->event_parser, EVENT_DEPTH_MAX)) {
        thread->event_parser = NULL;
        return ERR_NOMEM;
    }
    struct speech *speech = calloc(1, sizeof(*speech) + take->dialect->state_size);
    if (!speech) {
        return ERR_NOMEM;
    }
    speech->dialect = take->dialect;
    speech->form = (unsigned)dialect_index(take->dialect);
    memcpy(speech->session_id, take->session_id, sizeof(speech->session_id));
    client->speech = speech;
    return ERR_OK;
}

void speech_free(struct client *client)
{
    struct speech *speech = client->speech;
    if (speech && speech->dialect->state_free) {
        speech->dialect->state_free(speech->state);
    }
    free(speech);
    client->speech = NULL;
}

/* ---- Messages and control messages ---- */

static bool watches(const struct dialect_client *asked, const char *session_id)
{
    struct client *client = asked->engine;
    for (const struct expected *expected = client->expected; expected; expected = expected->next) {
        if (!expected->dropped && !strcmp(expected->session_id, session_id)) {
            return true;
        }
    }
    return subscription_find(client, session_id);
}

static struct dialect_client describe(struct client *client)
{
    const struct config *config = client->thread->config;
    struct speech *speech = client->speech;
    return (struct dialect_client){
        .state = speech->state,
        .session_id = speech->session_id,
        .user = client->identity.user,
        .agent = config->agent_count ? config->agents[0].name : NULL,
        .workspace = config->workspace_roots.count ? config->workspace_roots.items[0] : NULL,
        .now_ms = clock_wall_ms(),
        .watches = watches,
        .engine = client,
    };
}

/* What is REST only for others. */
static void list_permissions(struct client *client, struct json_object *message)
{
    struct command *command = NULL;
    struct command_error error = {0};
    const char *id = json_get_string(message, "id");
    if (command_parse_body(COMMAND_LIST_PERMISSIONS, NULL, &command, &error) || !(command->id = strdup(id ? id : ""))) {
        command_free(command);
        client_drop(client); /* without memory: it comes back */
        return;
    }
    client_command(client, command, false);
}

static void run_command(struct client *client, const struct dialect_command *command)
{
    struct json_object *message = NULL;
    if (json_parse(client->thread->event_parser, command->text, command->length, &message)) {
        client_drop(client);
        return;
    }
    const char *type = json_get_string(message, "type");
    if (type && !strcmp(type, command_name(COMMAND_LIST_PERMISSIONS))) {
        list_permissions(client, message);
    } else {
        client_parsed(client, message, command->by_key);
    }
    json_object_put(message);
}

/* Frames first: an answer to one of the commands comes behind them. Frees `out`. */
static void carry_out(struct client *client, struct dialect_out *out)
{
    struct dialect_command command;
    size_t at = 0;
    bool fine = dialect_out_ok(out);
    if (fine && out->frames.length) {
        buffer_append(&client->control, out->frames.data, out->frames.length);
        fine = buffer_ok(&client->control);
    }
    if (!fine) {
        client_drop(client);
    }
    while (client->state == CLIENT_OPEN && dialect_next_command(out, &at, &command)) {
        run_command(client, &command);
    }
    if (out->close_code && client->state == CLIENT_OPEN) {
        client_close(client, out->close_code, out->close_why);
    }
    dialect_out_free(out);
    client_ready(client);
}

void speech_message(struct client *client, const char *text, size_t length)
{
    struct json_object *message = NULL;
    struct json_parser *parser = client->thread->parser;
    struct dialect_out out = {.dialect = client->speech->dialect};
    const struct dialect_client asked = describe(client);
    enum err err = json_parse(parser, text, length, &message);
    if (err) {
        enum answer_code code = err == ERR_NOMEM ? ANSWER_INTERNAL : ANSWER_BAD_JSON;
        dialect_refuse(&out, &asked, answer_code_name(code), json_parser_message(parser));
        metric_add(METRIC_COMMANDS_REFUSED, 1);
    } else {
        dialect_message(&out, &asked, message);
    }
    json_object_put(message);
    carry_out(client, &out);
}

void speech_control(struct client *client, const char *json, size_t length)
{
    struct json_object *control = NULL;
    if (json_parse(client->thread->event_parser, json, length, &control)) {
        client_drop(client); /* without memory: it comes back */
        return;
    }
    struct dialect_out out = {.dialect = client->speech->dialect};
    const struct dialect_client asked = describe(client);
    dialect_control(&out, &asked, control);
    json_object_put(control);
    carry_out(client, &out);
}

void speech_listed(struct client *client)
{
    if (!client->speech || --client->speech->lists) {
        return;
    }
    for (struct subscription *s = client->subscriptions; s; s = s->next) {
        if (!s->asked) {
            subscription_due(s);
        }
    }
}

static void send_pending(void *context, const struct buffer *text)
{
    client_send(context, text);
}

void speech_say_pending(struct client *client, const struct frame *subscribed)
{
    struct socket_thread *thread = client->thread;
    struct json_object *control = NULL;
    if (!memmem(frame_json(subscribed), frame_json_length(subscribed), "\"pending\":[{", 12)) {
        return; /* as almost always */
    }
    if ((!thread->event_parser && json_parser_new(&thread->event_parser, EVENT_DEPTH_MAX)) ||
        json_parse(thread->event_parser, frame_json(subscribed), frame_json_length(subscribed), &control)) {
        client_drop(client); /* without memory: it comes back */
        return;
    }
    craft_pending(control, send_pending, client);
    json_object_put(control);
}

/* ---- Events ---- */

static enum err make_form(struct client *client, const struct topic_run *run, uint64_t seq)
{
    struct socket_thread *thread = client->thread;
    const struct speech *speech = client->speech;
    struct buffer frames = {0};
    size_t length;
    const char *native = topic_run_frame(run, seq, &length);
    enum err err = dialect_events(speech->dialect, thread->event_parser, native, length, false, &frames);
    if (err) {
        topic_form_give_up(run, seq, speech->form);
        log_error("an event cannot be translated", "dialect", "%s", speech->dialect->name, "error", "%s", err_text(err),
                  NULL);
    } else {
        err = topic_form_give(run, seq, speech->form, frames.data, frames.length);
    }
    buffer_free(&frames);
    return err;
}

static enum topic_form_state form_of(struct subscription *subscription, const struct topic_run *run, uint64_t seq,
                                     const char **bytes, size_t *length)
{
    struct topic *topic = subscription->watched->topic;
    struct client *client = subscription->client;
    enum topic_form_state state = topic_form_find(topic, run, seq, client->speech->form, bytes, length);
    if (state != TOPIC_FORM_YOURS) {
        return state;
    }
    return make_form(client, run, seq) ? TOPIC_FORM_NOMEM
                                       : topic_form_find(topic, run, seq, client->speech->form, bytes, length);
}

bool speech_next(struct subscription *subscription, struct client_turn *turn)
{
    struct client *client = subscription->client;
    struct topic_run *run = &turn->run;
    enum topic_form_state state = TOPIC_FORM_THERE;
    for (uint64_t seq = run->from; seq <= run->last && state == TOPIC_FORM_THERE; seq++) {
        const char *bytes = NULL;
        size_t length = 0;
        state = form_of(subscription, run, seq, &bytes, &length);
        if (state == TOPIC_FORM_THERE && length) {
            topic_run_cut(run, seq, seq);
            turn->bytes = bytes;
            turn->length = length;
            turn->form = true;
            return true;
        }
        if (state == TOPIC_FORM_THERE) {
            client->thread->written.events++;
            subscription->cursor = seq + 1;
        }
    }
    /* Of events that are nothing here a turn has an end, too; and nobody waits for another thread. */
    turn->budget -= state == TOPIC_FORM_THERE && run->length < turn->budget ? run->length : turn->budget;
    topic_chunk_put(run->chunk);
    if (state == TOPIC_FORM_NOMEM) {
        client_drop(client); /* it comes back */
    } else {
        subscription_due(subscription);
    }
    return false;
}
