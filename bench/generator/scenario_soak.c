// Does the server grow when sessions and clients come and go, again and again?
#define _GNU_SOURCE
#include "scenario.h"

#include "crowd.h"
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS = 10,
    SHORT_ROUNDS = 4,
    SECOND = 1, // what the last one is compared with, counted from 0
    TICK_US = 20000,
    STALL_US = 1500000,
    AWAY_US = 500000,
    MUCH = 20000,
    QUIET_SECONDS = 60,
    REST_SECONDS = 120,
    LONG_SECONDS = 300, // a shorter soak says nothing about memory
    // The server keeps the youngest 65,536 answers in memory: all places are taken before anything is measured.
    ANSWERS = 70000,
    ANSWERING = 4,
    IN_FLIGHT = 50,
    FILLING = 20,
    TEXTS = 12,
};

enum plan { PLAN_DROP, PLAN_LEAVE, PLAN_STALL, PLAN_COUNT };

static uint64_t done[PLAN_COUNT];
static bool over;
static size_t asked;
static size_t answers;

// ---- Taking all places for answers ----

static void ask_one(struct client *c)
{
    json_object *o = json_object_new_object();
    asked++;
    json_object_object_add(o, "sessionId", json_object_new_string("nobody"));
    client_command(c, COMMAND_RESUME, NULL, o);
}

static void came(struct client *c)
{
    for (int i = 0; i < IN_FLIGHT && asked < ANSWERS; i++) {
        ask_one(c);
    }
}

static void was_answered(struct client *c)
{
    answers++;
    if (asked < ANSWERS) {
        ask_one(c);
    }
}

static bool are_answered(void *crowd)
{
    (void)crowd;
    return answers == ANSWERS;
}

static void fill_answers(struct crowd *crowd)
{
    static const struct crowd_hooks hooks = {.connected = came, .answered = was_answered};
    static struct client clients[ANSWERING];
    crowd->hooks = &hooks;
    asked = 0;
    answers = 0;
    for (size_t i = 0; i < ANSWERING; i++) {
        client_init(&clients[i], crowd, 2000000 + i, NULL);
        client_connect(&clients[i]);
    }
    world_wait(&crowd->world, are_answered, REST_SECONDS, "all commands to be answered");
    for (size_t i = 0; i < ANSWERING; i++) {
        client_free(&clients[i]);
    }
}

// ---- Coming and going ----

static void live(struct client *c)
{
    uint64_t mean = 60000000ULL / (uint64_t)c->crowd->world.options->churn;
    c->plan = (long)crowd_below(c->crowd, PLAN_COUNT);
    if (!over) {
        timer_arm(&c->crowd->world.loop, &c->timer,
                  clock_us() + (int64_t)crowd_below(c->crowd, 2 * mean));
    }
}

static void left(struct client *c)
{
    client_subscribe(c);
}

static void timer(struct client *c)
{
    struct crowd *crowd = c->crowd;
    if (c->connection.paused) {
        connection_pause(&c->connection, false);
        live(c);
        return;
    }
    if (over || c->state != CLIENT_LIVE) {
        return;
    }
    done[c->plan]++;
    switch ((enum plan)c->plan) {
    case PLAN_DROP:
        client_drop(c, crowd_below(crowd, 2) == 0);
        client_connect_at(c, clock_us() + (int64_t)crowd_below(crowd, AWAY_US));
        break;
    case PLAN_LEAVE:
        client_unsubscribe(c);
        break;
    case PLAN_STALL:
    case PLAN_COUNT:
        connection_pause(&c->connection, true);
        timer_arm(&crowd->world.loop, &c->timer, clock_us() + STALL_US);
        break;
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
        const struct model *m = &c->model;
        if (c->state != CLIENT_LIVE || c->connection.paused || c->commands != NULL) {
            continue;
        }
        if (m->open != NULL && crowd_below(crowd, 20) == 0) { // others time out
            crowd_answer(c, crowd_below(crowd, 2) == 0);
        } else if (!m->busy && m->queued == 0 && crowd_below(crowd, 20) == 0) {
            if (crowd_below(crowd, 10) == 0) {
                crowd_say_much(c, MUCH);
            } else {
                crowd_say(c, crowd->world.options->rate, crowd_below(crowd, 2) == 0);
            }
        }
    }
    timer_arm(&crowd->world.loop, timer, clock_us() + TICK_US);
}

// ---- Quiet ----

static bool has(const char *metrics, const char *line)
{
    const char *at = metrics != NULL ? strstr(metrics, line) : NULL;
    return at != NULL && at[-1] == '\n';
}

// Nobody is connected, no agent runs, and every session has left memory.
static bool is_quiet(void *context)
{
    static int64_t asked_at;
    struct crowd *crowd = context;
    if (clock_us() < asked_at + 100000) {
        return false;
    }
    char *metrics = http_get(&crowd->world.target, "/metrics", 5);
    bool quiet = has(metrics, "signalbox_connections 0\n") &&
                 has(metrics, "signalbox_sessions_in_memory 0\n") &&
                 has(metrics, "signalbox_agents_running 0\n");
    free(metrics);
    asked_at = clock_us();
    return quiet;
}

static bool are_done(void *context)
{
    const struct crowd *crowd = context;
    for (size_t i = 0; i < crowd->client_count; i++) {
        if (crowd->clients[i].commands != NULL) {
            return false;
        }
    }
    return true;
}

static void close_sessions(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->place_count; i++) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "sessionId", json_object_new_string(crowd->places[i].id));
        client_command(&crowd->clients[i], COMMAND_CLOSE, &crowd->places[i], o);
    }
    world_wait(&crowd->world, are_done, REST_SECONDS, "the sessions to be closed");
}

// ---- Filling the store's page cache ----

// 32 MiB of pages, which fill as fast as events are written: so many long texts, each twice in the log.
static void fill_pages(struct crowd *crowd)
{
    static const struct crowd_hooks none;
    static const char *const agents[] = {"scripted", NULL};
    crowd->hooks = &none;
    crowd_fill(crowd, FILLING, FILLING, agents);
    for (size_t i = 0; i < FILLING; i++) {
        for (int text = 0; text < TEXTS; text++) {
            crowd_say_much(&crowd->clients[i], MUCH);
        }
    }
    world_wait(&crowd->world, crowd_rests, REST_SECONDS, "the store's pages to be filled");
    close_sessions(crowd);
    crowd_empty(crowd);
    world_wait(&crowd->world, is_quiet, QUIET_SECONDS, "the server to be quiet");
}

// ---- The run ----

// The connection over which /metrics was asked for lives a moment longer than its answer: the least of a second counts.
static void sample_quiet(struct crowd *crowd, struct sample *out)
{
    server_sample(&crowd->world.server, out);
    for (int i = 0; i < 10; i++) {
        struct sample next;
        world_wait(&crowd->world, NULL, 0.1, NULL);
        server_sample(&crowd->world.server, &next);
        if (next.descriptors <= out->descriptors) {
            *out = next;
        }
    }
}

static void round_of(struct crowd *crowd, double seconds, struct sample *out)
{
    static const struct crowd_hooks hooks = {.live = live, .left = left, .timer = timer};
    static const struct crowd_hooks none;
    static const char *const agents[] = {"scripted", "impatient", NULL};
    const struct options *o = crowd->world.options;
    over = false;
    crowd->hooks = &none;
    crowd_fill(crowd, (size_t)o->sessions, (size_t)(o->watchers / o->sessions * o->sessions), agents);
    crowd->hooks = &hooks;
    for (size_t i = 0; i < crowd->client_count; i++) {
        crowd->clients[i].small = i % 5 == 0;
        client_connect(&crowd->clients[i]);
        if (crowd->clients[i].state == CLIENT_LIVE) {
            live(&crowd->clients[i]);
        }
    }
    ticking = crowd;
    ticker = (struct timer){.fire = tick};
    tick(&ticker);
    world_wait(&crowd->world, NULL, seconds, NULL);
    over = true;
    timer_cancel(&crowd->world.loop, &ticker);
    if (world_wait(&crowd->world, crowd_rests, REST_SECONDS, "all to be at rest")) {
        crowd_audit(crowd);
    }
    close_sessions(crowd);
    crowd_empty(crowd);
    world_wait(&crowd->world, is_quiet, QUIET_SECONDS, "the server to be quiet");
    sample_quiet(crowd, out);
}

int scenario_soak(const struct options *o)
{
    static const struct crowd_hooks none;
    // Sessions leave memory soon, so that what is left between two rounds is the server's own.
    static const char *const settings[] = {"session-idle-ms=200", "tail-bytes=64K", NULL};
    struct crowd *crowd = take(NULL, sizeof *crowd);
    struct sample samples[ROUNDS];
    struct report r;
    report_open(&r, "soak", o);
    crowd_open(crowd, o, settings, &none);
    bool is_long = o->seconds >= LONG_SECONDS;
    if (is_long) {
        fill_answers(crowd);
        fill_pages(crowd);
    }
    int wanted = is_long ? ROUNDS : SHORT_ROUNDS;
    int rounds = 0;
    for (; rounds < wanted && crowd->world.errors == 0; rounds++) {
        round_of(crowd, o->seconds / wanted, &samples[rounds]);
        json_object *row = report_run(&r, "quiet");
        report_number(row, "rss_mb", (double)samples[rounds].rss_kb / 1024);
        report_number(row, "descriptors", (double)samples[rounds].descriptors);
        report_number(row, "threads", (double)samples[rounds].threads);
        report_number(row, "connections", (double)crowd->reconnects);
        report_number(row, "dropped", (double)done[PLAN_DROP]);
        report_number(row, "left", (double)done[PLAN_LEAVE]);
        report_number(row, "stalled", (double)done[PLAN_STALL]);
        report_number(row, "sessions", (double)crowd->made);
        report_number(row, "turns", (double)crowd->turns);
        report_number(row, "events_checked", (double)crowd->events);
    }
    if (rounds == wanted) {
        const struct sample *last = &samples[wanted - 1];
        const struct sample *second = &samples[SECOND];
        double ratio = (double)last->rss_kb / (double)second->rss_kb;
        if (is_long) {
            report_aim(&r, "memory after the last tenth, of that after the second", ratio, 1.05, false);
            if (ratio > 1.05) {
                world_problem(&crowd->world, "memory grew to %.3f of what it was", ratio);
            }
        }
        if (last->threads != second->threads || last->descriptors != second->descriptors) {
            world_problem(&crowd->world, "%ld threads and %ld descriptors, %ld and %ld before",
                          last->threads, last->descriptors, second->threads, second->descriptors);
        }
    }
    json_object *row = report_run(&r, "all");
    report_world(&r, row, &crowd->world);
    crowd_close(crowd);
    free(crowd);
    return report_close(&r);
}
