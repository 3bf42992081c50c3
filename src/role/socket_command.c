/* Messages from clients: what is answered here, and what goes on to the dispatcher. */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/metrics.h"
#include "socket_internal.h"

void client_answer(struct client *client, const struct answer *answer, const char *id)
{
    if (answer->code == ANSWER_OK && !id) {
        return; /* who gave no id wants no ack */
    }
    struct buffer *text = &client->thread->scratch;
    buffer_reset(text);
    answer_write(text, answer, id);
    client_send(client, text);
}

static void refuse(struct client *client, const char *id, enum answer_code code, const char *message, const char *field)
{
    struct buffer fields = {0};
    json_field_string(&fields, "field", field);
    struct answer answer = {.code = code, .message = strdup(message), .fields = buffer_take(&fields)};
    client_answer(client, &answer, id);
    answer_clear(&answer);
    metric_add(METRIC_COMMANDS_REFUSED, 1);
}

static void send_simple(struct client *client, const char *type, const char *id, const char *session_id,
                        const char *reason)
{
    struct buffer *text = &client->thread->scratch;
    buffer_reset(text);
    buffer_byte(text, '{');
    json_field_string(text, "type", type);
    json_field_string(text, "id", id);
    json_field_string(text, "sessionId", session_id);
    json_field_string(text, "reason", reason);
    buffer_byte(text, '}');
    client_send(client, text);
}

static void unsubscribe(struct client *client, const struct command *command)
{
    /* Also what the dispatcher has not answered yet. */
    for (struct expected *expected = client->expected; expected; expected = expected->next) {
        if (!strcmp(expected->session_id, command->session_id)) {
            expected->dropped = true;
        }
    }
    struct subscription *subscription = subscription_find(client, command->session_id);
    if (subscription) {
        subscription_end(subscription);
    }
    send_simple(client, "unsubscribed", command->id, command->session_id, "requested");
}

static void unwatch(struct client *client, const char *id)
{
    for (struct subscription *s = client->subscriptions; s; s = s->next) {
        if (s->feed) {
            for (struct list_id *waits; client->state == CLIENT_OPEN && (waits = subscription_list_id(s));) {
                refuse(client, waits->id, ANSWER_CANCELLED, "the sessions are no longer watched", NULL);
                free(waits);
            }
            if (client->state == CLIENT_OPEN) { /* else it has ended with the client */
                subscription_end(s);
            }
            break;
        }
    }
    const struct answer answer = {.code = ANSWER_OK};
    client_answer(client, &answer, id);
}

/* false: it was refused. */
static bool expect(struct client *client, const struct command *command)
{
    size_t known = client->subscription_count;
    for (const struct expected *e = client->expected; e; e = e->next) {
        known++;
    }
    if (known >= (size_t)client->thread->config->max_subscriptions &&
        !subscription_find(client, command->session_id)) {
        refuse(client, command->id, ANSWER_LIMIT_REACHED, "too many sessions are watched already (max-subscriptions)",
               NULL);
        return false;
    }
    if (strlen(command->session_id) > SESSION_ID_MAX) {
        refuse(client, command->id, ANSWER_NOT_FOUND, "there is no such session", "sessionId");
        return false;
    }
    struct expected *expected = calloc(1, sizeof(*expected));
    if (!expected) {
        refuse(client, command->id, ANSWER_INTERNAL, "out of memory", NULL);
        return false;
    }
    memcpy(expected->session_id, command->session_id, strlen(command->session_id));
    struct expected **last = &client->expected;
    while (*last) {
        last = &(*last)->next;
    }
    *last = expected;
    return true;
}

static void forward(struct client *client, struct command *command, bool by_key)
{
    struct socket_thread *thread = client->thread;
    struct dispatch_command *mail;
    if (dispatch_command_new(&mail)) {
        refuse(client, command->id, ANSWER_INTERNAL, "out of memory", NULL);
        command_free(command);
        return;
    }
    mail->command = command;
    mail->identity = client->identity;
    mail->history_none = client->history_none;
    mail->tells_again = by_key;
    mail->reply = (struct reply_address){.to = thread->box, .kind = CLIENT_MAIL_ANSWER, .serial = client->serial};
    client->in_flight++;
    if (command->type == COMMAND_LIST_PERMISSIONS) {
        client->speech->lists++; /* nobody else can ask for it here */
    }
    dispatch_command_remember(mail, by_key             ? REMEMBER_KEY
                                    : client->keeps_id ? REMEMBER_CLIENT
                                                       : REMEMBER_CONNECTION);
    mailbox_push(thread->wiring.dispatch, &mail->mail);
}

void client_command(struct client *client, struct command *command, bool by_key)
{
    const struct answer done = {.code = ANSWER_OK};
    switch (command->type) {
    case COMMAND_PING:
        send_simple(client, "pong", command->id, NULL, NULL);
        break;
    case COMMAND_UNSUBSCRIBE:
        unsubscribe(client, command);
        break;
    case COMMAND_WATCH_SESSIONS:
        subscription_watch_all(client, command->id);
        break;
    case COMMAND_UNWATCH_SESSIONS:
        unwatch(client, command->id);
        break;
    case COMMAND_SEEN:
        client_answer(client, &done, command->id); /* a hint: delivery needs none */
        break;
    case COMMAND_SUBSCRIBE:
        if (expect(client, command)) {
            forward(client, command, false);
            return;
        }
        break;
    default:
        forward(client, command, by_key);
        return;
    }
    command_free(command);
}

void client_parsed(struct client *client, struct json_object *message, bool by_key)
{
    struct command *command = NULL;
    struct command_error error = {0};
    enum err err = command_parse(message, &command, &error);
    if (err == ERR_OK) {
        client_command(client, command, by_key);
    } else if (err == ERR_SYNTAX) {
        refuse(client, error.id, error.code, error.message, error.field[0] ? error.field : NULL);
    } else {
        refuse(client, NULL, ANSWER_INTERNAL, err_text(err), NULL);
    }
    free(error.id);
}

void client_message(struct client *client, const char *text, size_t length)
{
    struct json_object *message = NULL;
    metric_add(METRIC_COMMANDS, 1);
    if (client->speech) {
        speech_message(client, text, length);
        return;
    }
    enum err err = json_parse(client->thread->parser, text, length, &message);
    if (err) {
        refuse(client, NULL, err == ERR_NOMEM ? ANSWER_INTERNAL : ANSWER_BAD_JSON,
               json_parser_message(client->thread->parser), NULL);
        return;
    }
    client_parsed(client, message, false);
    json_object_put(message);
}
