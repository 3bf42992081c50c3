// One client of a crowd: its connections, its commands, and what it is told.
#define _GNU_SOURCE
#include "crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_US = 100000,      // when a connection was refused
    AGAIN_US = 300000,      // when a command was refused for the moment
    RETRIES_MAX = 600,      // of one connection, with a server that is up
    ASK_AGAIN_ONE_OF = 3,   // reconnects that send an answered prompt once more
    SLOW_BUFFER = 4096,
    SLOW_SEGMENT = 1448,
};

static void problem(struct client *c, const char *what)
{
    world_problem(&c->crowd->world, "client %zu of session %s at %llu: %s", c->index,
                  c->place != NULL ? c->place->id : "-", (unsigned long long)c->model.next, what);
}

// ---- Opening ----

void client_connect(struct client *c)
{
    struct crowd *crowd = c->crowd;
    long addresses = crowd->world.options->addresses;
    // 127.0.1.1 and so on: each has all the ports for itself.
    struct connect_options options = {
        .source = 0x7f000101U + (uint32_t)(c->index % (size_t)addresses),
        .receive_buffer = c->small ? SLOW_BUFFER : 0,
        .segment = c->small ? SLOW_SEGMENT : 0,
        .client = c->id};
    if (c->state != CLIENT_OFF) {
        return;
    }
    timer_cancel(&crowd->world.loop, &c->timer);
    c->state = CLIENT_OPENING;
    c->born = crowd->starts;
    c->lags = false;
    if (!connection_connect(&c->connection, &crowd->world.target, &options)) {
        if (errno != ECONNREFUSED && errno != EADDRNOTAVAIL) {
            die("cannot connect: %s", strerror(errno));
        }
        c->state = CLIENT_OFF;
        client_connect_at(c, clock_us() + RETRY_US);
    }
}

void client_connect_at(struct client *c, int64_t at)
{
    timer_arm(&c->crowd->world.loop, &c->timer, at);
}

void client_drop(struct client *c, bool reset)
{
    connection_drop(&c->connection, reset);
    c->state = CLIENT_OFF;
}

void client_subscribe(struct client *c)
{
    char text[320];
    int length;
    if (c->model.next > 1) {
        length = snprintf(
            text, sizeof text,
            "{\"type\":\"subscribe\",\"id\":\"s\",\"sessionId\":\"%s\",\"after\":{\"epoch\":"
            "\"%s\",\"seq\":%llu}}",
            c->place->id, c->place->epoch, (unsigned long long)c->model.next - 1);
    } else {
        length = snprintf(
            text, sizeof text,
            "{\"type\":\"subscribe\",\"id\":\"s\",\"sessionId\":\"%s\",\"history\":\"full\"}",
            c->place->id);
    }
    c->state = CLIENT_SUBSCRIBING;
    c->seen = c->place->head;
    connection_send(&c->connection, text, (size_t)length);
    if (c->crowd->hooks->asked != NULL) {
        c->crowd->hooks->asked(c);
    }
}

void client_unsubscribe(struct client *c)
{
    char text[160];
    int length =
        snprintf(text, sizeof text, "{\"type\":\"unsubscribe\",\"id\":\"u\",\"sessionId\":\"%s\"}",
                 c->place->id);
    connection_send(&c->connection, text, (size_t)length);
}

// ---- Commands ----

static void send_command(struct client *c, struct command *command)
{
    if (c->state > CLIENT_OPEN) {
        c->crowd->resent += command->sent > 0;
        command->sent++;
        connection_send(&c->connection, command->text, strlen(command->text));
    }
}

struct command *client_command(struct client *c, enum command_kind kind, struct place *place,
                               json_object *o)
{
    static const char *const types[] = {
        [COMMAND_CREATE] = "create_session", [COMMAND_PROMPT] = "prompt",
        [COMMAND_ANSWER] = "permission_response", [COMMAND_RESUME] = "resume_queue",
        [COMMAND_CLOSE] = "close_session"};
    struct command *command = take(NULL, sizeof *command);
    struct command **last = &c->commands;
    *command = (struct command){.kind = kind, .place = place};
    snprintf(command->id, sizeof command->id, "c%lu", c->command_count++);
    json_object_object_add(o, "type", json_object_new_string(types[kind]));
    json_object_object_add(o, "id", json_object_new_string(command->id));
    command->text = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    if (command->text == NULL) {
        die("out of memory");
    }
    json_object_put(o);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = command;
    send_command(c, command);
    return command;
}

void client_prompt(struct client *c, const struct prompt *prompt, const char *steps)
{
    struct place *place = c->place;
    char *script = NULL;
    json_object *o = json_object_new_object();
    place->prompts =
        take(place->prompts, (place->prompt_count + 1) * sizeof *place->prompts);
    place->prompts[place->prompt_count] = *prompt;
    if (asprintf(&script, "{\"seed\":%u,\"steps\":%s}", prompt->seed, steps) < 0) {
        die("out of memory");
    }
    json_object_object_add(o, "sessionId", json_object_new_string(place->id));
    json_object_object_add(o, "text", json_object_new_string(script));
    free(script);
    struct command *command = client_command(c, COMMAND_PROMPT, place, o);
    command->prompt = place->prompt_count++;
}

static void command_free(struct command *command)
{
    if (command != NULL) {
        free(command->text);
        free(command);
    }
}

static void send_again(struct client *c)
{
    for (struct command *command = c->commands; command != NULL && c->state > CLIENT_OPEN;
         command = command->next) {
        send_command(c, command);
    }
}

static const char *member(json_object *o, const char *key)
{
    json_object *value = NULL;
    return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : "";
}

static void take_ack(struct client *c, struct command *command, json_object *o)
{
    if (command->kind == COMMAND_CREATE) {
        snprintf(command->place->id, sizeof command->place->id, "%s", member(o, "sessionId"));
    } else if (command->kind == COMMAND_PROMPT) {
        struct prompt *prompt = &command->place->prompts[command->prompt];
        const char *message = member(o, "messageId");
        if (*message == '\0' ||
            (prompt->message[0] != '\0' && strcmp(prompt->message, message) != 0)) {
            problem(c, "a prompt that was sent again got another answer");
        }
        snprintf(prompt->message, sizeof prompt->message, "%s", message);
    }
}

static bool is_fine(const struct command *command, const char *code)
{
    // Others answered first, or the request ended by itself; a queue may be gone.
    static const char *const late[] = {"already_resolved", "expired", "cancelled", "not_found",
                                       "closed", NULL};
    for (size_t i = 0; late[i] != NULL; i++) {
        if (command->kind != COMMAND_PROMPT && command->kind != COMMAND_CREATE &&
            strcmp(code, late[i]) == 0) {
            return true;
        }
    }
    return command->kind == COMMAND_RESUME;
}

static void take_answer(struct client *c, json_object *o, bool ack)
{
    const char *id = member(o, "id");
    struct command **at = &c->commands;
    while (*at != NULL && strcmp((*at)->id, id) != 0) {
        at = &(*at)->next;
    }
    struct command *command = *at;
    if (command == NULL) {
        // What was asked once more, or sent on two connections: the same answer.
        if (ack && c->answered != NULL && strcmp(c->answered->id, id) == 0) {
            take_ack(c, c->answered, o);
        }
        return;
    }
    if (!ack && strcmp(member(o, "retryable"), "true") == 0) {
        c->crowd->refused_for_now++;
        timer_arm(&c->crowd->world.loop, &c->again, clock_us() + AGAIN_US);
        return;
    }
    *at = command->next;
    command->next = NULL;
    if (ack) {
        take_ack(c, command, o);
    } else if (!is_fine(command, member(o, "code"))) {
        char text[200];
        snprintf(text, sizeof text, "a command was refused: %s %s", member(o, "code"),
                 member(o, "message"));
        problem(c, text);
    }
    if (ack && command->kind == COMMAND_PROMPT) {
        command_free(c->answered);
        c->answered = command;
    } else {
        command_free(command);
    }
    if (c->crowd->hooks->answered != NULL) {
        c->crowd->hooks->answered(c);
    }
}

// ---- Messages ----

static void trigger(struct client *c, enum trigger what)
{
    if (c->crowd->trigger == what && !c->crowd->down) {
        c->crowd->trigger = TRIGGER_NONE;
        crowd_kill(c->crowd);
    }
}

static void note_event(struct client *c, json_object *o)
{
    struct place *place = c->place;
    uint64_t seq = c->model.next - 1;
    uint64_t sum = 0;
    place->head = seq > place->head ? seq : place->head;
    if (!model_is_fixed(o, &sum)) {
        return;
    }
    if (seq >= place->room) {
        size_t room = 2 * seq + 64;
        place->sums = take(place->sums, room * sizeof *place->sums);
        memset(place->sums + place->room, 0, (room - place->room) * sizeof *place->sums);
        place->room = room;
    }
    if (place->sums[seq] != 0 && place->sums[seq] != sum) {
        problem(c, "an event that was another for someone else");
    }
    place->sums[seq] = sum;
}

static void live(struct client *c)
{
    c->state = CLIENT_LIVE;
    c->lived = clock_us();
    if (c->crowd->hooks->live != NULL) {
        c->crowd->hooks->live(c);
    }
}

static void take_event(struct client *c, json_object *o)
{
    json_object *from = NULL;
    bool folded = json_object_object_get_ex(o, "from", &from);
    if (c->state != CLIENT_REPLAY && c->state != CLIENT_LIVE) {
        problem(c, "an event of a session that is not watched");
        return;
    }
    const char *why = model_take(&c->model, o, folded || c->lags || c->state == CLIENT_REPLAY);
    if (why != NULL) {
        char text[300];
        snprintf(text, sizeof text, "%s: %.200s", why,
                 json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        problem(c, text);
        client_drop(c, false); // it stays away: what follows would be wrong as well
        return;
    }
    c->crowd->events++;
    note_event(c, o);
    if (c->state == CLIENT_LIVE) {
        trigger(c, TRIGGER_EVENT);
    }
    if (c->crowd->hooks->event != NULL) {
        c->crowd->hooks->event(c);
    }
}

static void take_subscribed(struct client *c, json_object *o)
{
    const char *epoch = member(o, "epoch");
    const char *mode = member(o, "mode");
    struct place *place = c->place;
    if (place->epoch[0] == '\0') {
        snprintf(place->epoch, sizeof place->epoch, "%s", epoch);
    }
    c->head = strtoull(member(o, "head"), NULL, 10);
    bool is_live = strcmp(mode, "live") == 0;
    if (strcmp(place->epoch, epoch) != 0 || strcmp(mode, "reset") == 0) {
        problem(c, "the history is another one");
    } else if (is_live != (c->head + 1 == c->model.next)) {
        problem(c, "a mode of subscribed that does not fit its head");
    } else if (c->head < c->seen) {
        problem(c, "events that someone saw are gone");
    }
    c->state = CLIENT_REPLAY;
    if (is_live) {
        live(c);
    }
}

static void take_connected(struct client *c)
{
    struct crowd *crowd = c->crowd;
    unsigned long generation = c->connection.generation;
    crowd->reconnects++;
    c->retries = 0;
    c->homeless = false;
    c->state = CLIENT_ASIDE;
    if (crowd->hooks->connected != NULL) {
        crowd->hooks->connected(c);
    }
    if (c->state != CLIENT_ASIDE || c->connection.generation != generation) {
        return;
    }
    send_again(c);
    if (c->answered != NULL && crowd_below(crowd, ASK_AGAIN_ONE_OF) == 0) {
        crowd->asked_again++;
        send_command(c, c->answered);
    }
    if (c->place != NULL && c->place->id[0] != '\0') {
        client_subscribe(c);
    }
}

static void take_control(struct client *c, const char *type, json_object *o)
{
    const struct crowd_hooks *hooks = c->crowd->hooks;
    if (strcmp(type, "connected") == 0) {
        take_connected(c);
    } else if (strcmp(type, "ack") == 0 || strcmp(type, "nack") == 0) {
        if (strcmp(member(o, "id"), "s") == 0) {
            if (strcmp(member(o, "retryable"), "true") != 0) {
                problem(c, "a subscribe was refused");
            }
            timer_arm(&c->crowd->world.loop, &c->again, clock_us() + AGAIN_US);
            return;
        }
        take_answer(c, o, type[0] == 'a');
        if (type[0] == 'a') {
            trigger(c, TRIGGER_ACK);
        }
    } else if (strcmp(type, "subscribed") == 0 && c->state == CLIENT_SUBSCRIBING) {
        take_subscribed(c, o);
    } else if (strcmp(type, "replay_complete") == 0) {
        uint64_t seq = strtoull(member(o, "seq"), NULL, 10);
        if (c->state != CLIENT_REPLAY || seq + 1 != c->model.next || seq != c->head) {
            problem(c, "a replay_complete that is not at the head");
        }
        live(c);
    } else if (strcmp(type, "unsubscribed") == 0) {
        c->state = CLIENT_ASIDE;
        if (hooks->left != NULL) {
            hooks->left(c);
        }
    } else if (strcmp(type, "lagging") == 0) {
        c->lags = true;
    } else if (strcmp(type, "shutting_down") == 0) {
        c->homeless = true;
        c->back_at = clock_us() + 1000 * strtoll(member(o, "reconnectAfterMs"), NULL, 10);
    }
}

static void message(struct connection *connection, const char *text, size_t length, int64_t now)
{
    static json_tokener *parser;
    struct client *c = (struct client *)connection; // its first member
    json_object *seq = NULL;
    (void)now;
    if (parser == NULL && (parser = json_tokener_new()) == NULL) {
        die("out of memory");
    }
    json_tokener_reset(parser);
    json_object *o = json_tokener_parse_ex(parser, text, (int)length);
    const char *type = o != NULL && json_object_is_type(o, json_type_object) ? member(o, "type") : "";
    if (*type == '\0') {
        problem(c, "a message that is no JSON object with a type");
    } else if (json_object_object_get_ex(o, "seq", &seq) && strcmp(type, "replay_complete") != 0) {
        take_event(c, o);
    } else {
        take_control(c, type, o);
    }
    json_object_put(o);
}

static void opened(struct connection *connection)
{
    struct client *c = (struct client *)connection;
    c->state = CLIENT_OPEN;
    if (c->crowd->hooks->open != NULL) {
        c->crowd->hooks->open(c);
    }
}

static void closed(struct connection *connection, int code, const char *why)
{
    struct client *c = (struct client *)connection;
    struct crowd *crowd = c->crowd;
    bool opening = c->state == CLIENT_OPENING;
    int64_t at = clock_us() + (int64_t)crowd_below(crowd, 2 * RETRY_US);
    c->state = CLIENT_OFF;
    if (opening) {
        crowd->world.refused++;
        c->retries += !crowd->down;
        if (c->retries < RETRIES_MAX) {
            client_connect_at(c, at);
            return;
        }
    } else if (code == 3000 || c->homeless || crowd->down || c->born != crowd->starts) {
        client_connect_at(c, c->homeless && c->back_at > at ? c->back_at : at);
        return;
    }
    char text[200];
    snprintf(text, sizeof text, "closed by the server: %d %s", code, why);
    problem(c, text);
    client_connect_at(c, at);
}

static const struct connection_events events = {.open = opened, .text = message, .closed = closed};

static void fire(struct timer *timer)
{
    struct client *c = (struct client *)((char *)timer - offsetof(struct client, timer));
    if (c->state == CLIENT_OFF) {
        client_connect(c);
    } else if (c->crowd->hooks->timer != NULL) {
        c->crowd->hooks->timer(c);
    }
}

static void fire_again(struct timer *timer)
{
    struct client *c = (struct client *)((char *)timer - offsetof(struct client, again));
    send_again(c);
    if (c->state == CLIENT_SUBSCRIBING) {
        client_subscribe(c);
    }
}

void client_init(struct client *c, struct crowd *crowd, size_t index, struct place *place)
{
    *c = (struct client){.crowd = crowd, .index = index, .place = place, .timer.fire = fire,
                         .again.fire = fire_again};
    snprintf(c->id, sizeof c->id, "crowd-%08x-%06zu", crowd->world.options->seed, index);
    model_open(&c->model);
    connection_init(&c->connection, &crowd->world.loop, &events);
}

void client_free(struct client *c)
{
    connection_drop(&c->connection, false);
    timer_cancel(&c->crowd->world.loop, &c->timer);
    timer_cancel(&c->crowd->world.loop, &c->again);
    model_clear(&c->model);
    while (c->commands != NULL) {
        struct command *command = c->commands;
        c->commands = command->next;
        command_free(command);
    }
    command_free(c->answered);
    c->answered = NULL;
}
