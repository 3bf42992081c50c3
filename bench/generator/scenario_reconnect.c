// Does anybody lose anything, or get it twice, when connections break at random moments?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

// How a connection will end.
enum plan { PLAN_LATER, PLAN_BEFORE_SUBSCRIBE, PLAN_IN_REPLAY, PLAN_LEAVE, PLAN_COUNT };

enum { AWAY_US = 300000 };

static uint64_t done[PLAN_COUNT];
static bool over; // nobody is dropped any more

static uint64_t below(struct watcher *w, uint64_t bound)
{
    return world_random(watcher_world(w)) % bound;
}

static void drop(struct watcher *w)
{
    struct world *world = watcher_world(w);
    done[w->plan]++;
    watcher_drop(w, below(w, 2) == 0);
    timer_arm(&world->loop, &w->timer, clock_us() + (int64_t)below(w, AWAY_US));
}

// Each watcher breaks --churn times a minute or so: a time between 0 and twice the mean.
static void arm(struct watcher *w)
{
    struct world *world = watcher_world(w);
    uint64_t mean = 60000000ULL / (uint64_t)world->options->churn;
    timer_arm(&world->loop, &w->timer, clock_us() + (int64_t)below(w, 2 * mean));
}

static void begin(struct watcher *w)
{
    static const enum plan plans[] = {PLAN_LATER,     PLAN_LATER,     PLAN_BEFORE_SUBSCRIBE,
                                      PLAN_IN_REPLAY, PLAN_IN_REPLAY, PLAN_LEAVE};
    w->plan = over ? PLAN_LATER : (long)plans[below(w, sizeof plans / sizeof plans[0])];
    w->events = 0;
}

static void connected(struct watcher *w)
{
    begin(w);
    if (w->plan == PLAN_BEFORE_SUBSCRIBE) {
        drop(w);
    }
}

static void event(struct watcher *w)
{
    if (!over && w->plan == PLAN_IN_REPLAY && w->state == WATCHER_REPLAY &&
        (w->next > w->head || below(w, 4) == 0)) {
        drop(w); // also between the last event and replay_complete
    }
}

static void live(struct watcher *w)
{
    if (!over) {
        arm(w);
    }
}

static void unsubscribed(struct watcher *w)
{
    w->state = WATCHER_SUBSCRIBING;
    begin(w);
    w->plan = w->plan == PLAN_BEFORE_SUBSCRIBE ? PLAN_LATER : w->plan;
    watcher_subscribe(w);
}

static void timer(struct watcher *w)
{
    if (w->state == WATCHER_OFF) {
        watcher_connect(w);
    } else if (over || w->state != WATCHER_LIVE) {
        return;
    } else if (w->plan == PLAN_LEAVE) {
        done[PLAN_LEAVE]++;
        watcher_unsubscribe(w);
    } else {
        w->plan = PLAN_LATER;
        drop(w);
    }
}

static void prompt(struct world *w)
{
    const struct options *o = w->options;
    char steps[512];
    long turns = 4;
    long long chunks = (long long)(o->seconds * (double)o->rate) / turns;
    snprintf(steps, sizeof steps,
             "[{\"repeat\":{\"times\":%ld,\"steps\":[{\"chunks\":%lld,\"size\":%ld,\"rate\":%ld,"
             "\"stamp\":\"due\"},"
             "{\"tool\":{\"output\":2000}}%s]}}]",
             turns, chunks, o->size, o->rate,
             o->permissions > 0 ? ",{\"permission\":{\"tool\":\"asked\"}}" : "");
    for (size_t i = 0; i < w->session_count; i++) {
        world_prompt(w, &w->sessions[i], steps, true);
    }
}

int scenario_reconnect(const struct options *o)
{
    static const struct watcher_hooks hooks = {.connected = connected,
                                               .event = event,
                                               .live = live,
                                               .unsubscribed = unsubscribed,
                                               .timer = timer};
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    report_open(&r, "reconnect", o);
    world_open(w, o, NULL);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    w->hooks = &hooks;
    w->measure_from = clock_us();
    over = false;
    prompt(w);
    for (size_t i = 0; i < w->watcher_count; i++) {
        begin(&w->watchers[i]);
        arm(&w->watchers[i]);
    }
    stream_measure(w, o->seconds, &run);
    over = true;
    json_object *row = report_run(&r, "reconnect");
    report_number(row, "dropped_live", (double)done[PLAN_LATER]);
    report_number(row, "dropped_before_subscribe", (double)done[PLAN_BEFORE_SUBSCRIBE]);
    report_number(row, "dropped_in_replay", (double)done[PLAN_IN_REPLAY]);
    report_number(row, "left_and_joined", (double)done[PLAN_LEAVE]);
    stream_finish(w, &r, row, &run);
    world_close(w);
    free(w);
    return report_close(&r);
}
