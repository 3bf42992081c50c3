// Is anything lost, repeated, reordered or done twice, when connections break at every moment and
// the server is killed again and again?
#define _GNU_SOURCE
#include "scenario.h"

#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How a connection will end.
enum plan {
    PLAN_LATER,
    PLAN_OPENING, // in the middle of the handshake
    PLAN_OPEN,    // after it, before `connected`
    PLAN_CONNECTED,
    PLAN_ASKED, // `subscribe` is on its way
    PLAN_IN_REPLAY,
    PLAN_LEAVE, // unsubscribe, and again
    PLAN_COUNT
};

static const char *const plan_names[PLAN_COUNT] = {
    "dropped_live",      "dropped_opening",   "dropped_opened",  "dropped_connected",
    "dropped_subscribe", "dropped_in_replay", "left_and_joined",
};

enum { AWAY_US = 300000, TICK_US = 20000, QUEUED_MAX = 3, REST_SECONDS = 180, UP_SECONDS = 60 };

static uint64_t done[PLAN_COUNT];
static bool over; // nobody is dropped, and nobody prompts, any more

// ---- Dropping ----

static void drop(struct client *c, enum plan plan)
{
    done[plan]++;
    client_drop(c, crowd_below(c->crowd, 2) == 0);
    client_connect_at(c, clock_us() + (int64_t)crowd_below(c->crowd, AWAY_US));
}

static void begin(struct client *c)
{
    static const enum plan plans[] = {PLAN_LATER,     PLAN_LATER, PLAN_OPEN,
                                      PLAN_CONNECTED, PLAN_ASKED, PLAN_IN_REPLAY,
                                      PLAN_IN_REPLAY, PLAN_LEAVE, PLAN_LEAVE};
    c->plan = over ? PLAN_LATER : (long)plans[crowd_below(c->crowd, sizeof plans / sizeof *plans)];
}

static void opened(struct client *c)
{
    begin(c);
    if (c->plan == PLAN_OPEN) {
        drop(c, PLAN_OPEN);
    }
}

static void connected(struct client *c)
{
    if (c->plan == PLAN_CONNECTED) {
        drop(c, PLAN_CONNECTED);
    }
}

static void asked(struct client *c)
{
    if (c->plan == PLAN_ASKED && !over) {
        drop(c, PLAN_ASKED);
    }
}

static void event(struct client *c)
{
    if (!over && c->plan == PLAN_IN_REPLAY && c->state == CLIENT_REPLAY &&
        (c->model.next > c->head || crowd_below(c->crowd, 4) == 0)) {
        drop(c, PLAN_IN_REPLAY); // also between the last event and replay_complete
    }
}

// Each client breaks --churn times a minute or so: a time between 0 and twice the mean.
static void live(struct client *c)
{
    if (!over) {
        uint64_t mean = 60000000ULL / (uint64_t)c->crowd->world.options->churn;
        timer_arm(&c->crowd->world.loop, &c->timer,
                  clock_us() + (int64_t)crowd_below(c->crowd, 2 * mean));
    }
}

static void left(struct client *c)
{
    begin(c);
    client_subscribe(c);
}

static void timer(struct client *c)
{
    if (over || c->state != CLIENT_LIVE) {
        return;
    }
    if (c->plan == PLAN_LEAVE) {
        done[PLAN_LEAVE]++;
        client_unsubscribe(c);
    } else {
        drop(c, PLAN_LATER);
    }
}

// ---- Prompts and answers ----

void crowd_tool_output(uint32_t seed, int index, char *text, size_t size)
{
    snprintf(text, size, "output %d of %u, in several pieces", index, seed);
}

void crowd_say(struct client *c, long rate, bool asks)
{
    struct crowd *crowd = c->crowd;
    char output[2][64];
    char steps[1024];
    long parts[4];
    for (size_t i = 0; i < 4; i++) {
        parts[i] = 1 + (long)crowd_below(crowd, (uint64_t)rate / 2 + 1);
    }
    struct prompt prompt = {.seed = crowd->seeds++,
                            .texts = parts[0] + parts[1] + parts[2],
                            .thoughts = parts[3],
                            .tools = asks ? 2 : 1};
    crowd_tool_output(prompt.seed, 0, output[0], sizeof output[0]);
    crowd_tool_output(prompt.seed, 1, output[1], sizeof output[1]);
    int length = snprintf(
        steps, sizeof steps,
        "[{\"chunks\":%ld,\"pattern\":\"count\",\"rate\":%ld},"
        "{\"plan\":[\"step %u\"]},"
        "{\"chunks\":%ld,\"kind\":\"thought\",\"pattern\":\"count\",\"rate\":%ld},"
        "{\"tool\":{\"output\":\"%s\",\"outputChunks\":4,\"rate\":40}},"
        "{\"chunks\":%ld,\"pattern\":\"count\",\"from\":%ld,\"rate\":%ld},",
        parts[0], rate, prompt.seed, parts[3], rate, output[0], parts[1], parts[0], rate);
    if (asks) {
        length += snprintf(steps + length, sizeof steps - (size_t)length,
                           "{\"tool\":{\"output\":\"%s\",\"permission\":true}},", output[1]);
    }
    snprintf(steps + length, sizeof steps - (size_t)length,
             "{\"usage\":{\"used\":%u,\"size\":100000}},"
             "{\"chunks\":%ld,\"pattern\":\"count\",\"from\":%ld,\"rate\":%ld}]",
             prompt.seed, parts[2], parts[0] + parts[1], rate);
    client_prompt(c, &prompt, steps);
}

void crowd_say_much(struct client *c, long numbers)
{
    char steps[96];
    struct prompt prompt = {.seed = c->crowd->seeds++, .texts = numbers};
    snprintf(steps, sizeof steps, "[{\"chunks\":%ld,\"pattern\":\"count\"}]", numbers);
    client_prompt(c, &prompt, steps);
}

void crowd_answer(struct client *c, bool allowed)
{
    json_object *answer = json_object_new_object();
    json_object_object_add(answer, "requestId", json_object_new_string(c->model.open->id));
    json_object_object_add(answer, "allowed", json_object_new_boolean(allowed));
    client_command(c, COMMAND_ANSWER, c->place, answer);
}

static void act(struct client *c)
{
    struct crowd *crowd = c->crowd;
    const struct model *m = &c->model;
    bool turn = m->turns != NULL && m->turns->stop[0] == '\0';
    if (m->open != NULL && crowd_below(crowd, 10) == 0) {
        crowd_answer(c, crowd_below(crowd, 4) > 0);
    }
    // Also into a turn, so that there are queues for the kills to find.
    bool idle = !turn && m->queued == 0;
    if (c->commands == NULL && m->queued < QUEUED_MAX && crowd_below(crowd, idle ? 15 : 300) == 0) {
        crowd_say(c, crowd->world.options->rate, crowd_below(crowd, 3) == 0);
    }
}

static struct timer ticker;
static struct crowd *ticking;

static void tick(struct timer *timer)
{
    struct crowd *crowd = ticking;
    size_t each = crowd->client_count / crowd->place_count;
    if (over) {
        return;
    }
    for (size_t i = 0; i < crowd->place_count; i++) {
        struct client *c = &crowd->clients[i + crowd_below(crowd, each) * crowd->place_count];
        if (c->state == CLIENT_LIVE) {
            act(c);
        } else if (c->state == CLIENT_OPENING && crowd_below(crowd, 4) == 0) {
            drop(c, PLAN_OPENING);
        }
    }
    timer_arm(&crowd->world.loop, timer, clock_us() + TICK_US);
}

// ---- The run ----

static double part(struct crowd *crowd, double mean)
{
    return mean * (0.5 + (double)crowd_below(crowd, 1000) / 1000);
}

static bool is_down(void *context)
{
    const struct crowd *crowd = context;
    return crowd->down;
}

// Each third time in the middle of anything, the moment that somebody got an ack, or an event.
static void kill_and_start(struct crowd *crowd)
{
    crowd_read_pauses(crowd);
    crowd->trigger = (enum trigger)(crowd->starts % 3);
    loop_run(&crowd->world.loop, is_down, crowd, clock_us() + (int64_t)(part(crowd, 0.5) * 1e6));
    crowd->trigger = TRIGGER_NONE;
    if (!crowd->down) {
        crowd_kill(crowd); // at any moment
    }
    world_wait(&crowd->world, NULL, part(crowd, 0.1), NULL);
    crowd_start(crowd);
    world_wait(&crowd->world, crowd_is_up, UP_SECONDS, "the server to serve again");
}

static void report_pauses(struct crowd *crowd, json_object *row)
{
    json_object *pauses = json_object_new_object();
    for (size_t i = 0; i < crowd->pause_count; i++) {
        uint64_t count = crowd->pauses[i].before + crowd->pauses[i].now;
        report_number(pauses, crowd->pauses[i].name, (double)count);
        if (count == 0) {
            world_problem(&crowd->world, "there was no pause at %s", crowd->pauses[i].name);
        }
    }
    json_object_object_add(row, "pauses", pauses);
}

int scenario_torture(const struct options *o)
{
    static const struct crowd_hooks hooks = {.open = opened,
                                             .connected = connected,
                                             .asked = asked,
                                             .event = event,
                                             .live = live,
                                             .left = left,
                                             .timer = timer};
    static const struct crowd_hooks none;
    static const char *const agents[] = {"scripted", "impatient", NULL};
    // A tail that is soon fallen off: most who come back read from the store first, which folds the turns that
    // are over under them.
    static const char *const settings[] = {"tail-bytes=4096", "tail-events=16", "fold-after-ms=300", NULL};
    struct crowd *crowd = take(NULL, sizeof *crowd);
    struct report r;
    report_open(&r, "torture", o);
    setenv("SIGNALBOX_PAUSES", o->pauses, 1);
    over = false;
    crowd_open(crowd, o, settings, &none);
    crowd_fill(crowd, (size_t)o->sessions, (size_t)(o->watchers / o->sessions * o->sessions),
               agents);
    crowd->hooks = &hooks;
    for (size_t i = 0; i < crowd->client_count; i++) {
        client_connect(&crowd->clients[i]); // who made a session is there already
        if (crowd->clients[i].state == CLIENT_LIVE) {
            live(&crowd->clients[i]);
        }
    }
    ticking = crowd;
    ticker = (struct timer){.fire = tick};
    tick(&ticker);
    double mean = o->seconds / (double)(o->kills + 1);
    for (long i = 0; i < o->kills && crowd->world.errors == 0; i++) {
        world_wait(&crowd->world, NULL, part(crowd, mean), NULL);
        kill_and_start(crowd);
    }
    world_wait(&crowd->world, NULL, crowd->world.errors == 0 ? part(crowd, mean) : 0, NULL);
    over = true;
    if (world_wait(&crowd->world, crowd_rests, REST_SECONDS, "all to be at rest")) {
        crowd_audit(crowd);
    }
    crowd_read_pauses(crowd);
    json_object *row = report_run(&r, "torture");
    report_number(row, "clients", (double)crowd->client_count);
    report_number(row, "kills", (double)crowd->starts - 1);
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        report_number(row, plan_names[i], (double)done[i]);
    }
    report_number(row, "connections", (double)crowd->reconnects);
    report_number(row, "events_checked", (double)crowd->events);
    report_number(row, "prompts", (double)crowd->seeds - 1);
    report_number(row, "commands_sent_again", (double)crowd->resent);
    report_number(row, "turns", (double)crowd->turns);
    report_number(row, "turns_that_ended_by_themselves", (double)crowd->whole_turns);
    report_pauses(crowd, row);
    report_world(&r, row, &crowd->world);
    crowd_close(crowd);
    free(crowd);
    return report_close(&r);
}
