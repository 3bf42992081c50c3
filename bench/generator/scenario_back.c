// Do all come back at once who each missed a hundred events: to a server that went on, and to one
// that has just been started again?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAKE_SECONDS = 120, BACK_SECONDS = 120, STOP_SECONDS = 60, UP_SECONDS = 60, SAY_RATE = 500 };

static size_t away; // watchers that are not live

static void is_live(struct watcher *w)
{
    (void)w;
    away--;
}

static bool all_back(void *world)
{
    return away == 0 || ((struct world *)world)->errors > 0;
}

// One watcher of each session stays, so that it is known when all is said.
static bool stays(const struct world *w, const struct watcher *watcher)
{
    return (size_t)(watcher - w->watchers) < w->session_count;
}

static void miss(struct world *w)
{
    const struct options *o = w->options;
    char steps[128];
    for (size_t i = 0; i < w->watcher_count; i++) {
        if (!stays(w, &w->watchers[i])) {
            watcher_drop(&w->watchers[i], i % 2 == 0);
        }
    }
    snprintf(steps, sizeof steps, "[{\"chunks\":%ld,\"size\":%ld,\"rate\":%d,\"stamp\":\"due\"}]",
             o->gap, o->size, SAY_RATE);
    for (size_t i = 0; i < w->session_count; i++) {
        world_prompt(w, &w->sessions[i], steps, false);
    }
    world_wait(w, world_idle, MAKE_SECONDS, "what is missed to be said");
}

static void restart(struct world *w)
{
    connection_drop(&w->control, false);
    for (size_t i = 0; i < w->watcher_count; i++) {
        watcher_drop(&w->watchers[i], false);
    }
    server_terminate(&w->server);
    world_wait(w, world_server_ended, STOP_SECONDS, "the server to end");
    server_start_again(&w->server);
    world_wait(w, world_server_is_up, UP_SECONDS, "the server to serve again");
}

static void come(struct world *w, struct report *r, const char *label)
{
    struct histogram times = {0};
    struct sample begin;
    struct sample end;
    uint64_t deliveries = w->deliveries;
    uint64_t refused = w->refused;
    away = 0;
    server_sample(&w->server, &begin);
    double own = own_cpu();
    int64_t from = clock_us();
    for (size_t i = 0; i < w->watcher_count; i++) {
        if (w->watchers[i].state == WATCHER_OFF) {
            away++;
            watcher_connect(&w->watchers[i]);
        }
    }
    size_t count = away;
    world_wait(w, all_back, BACK_SECONDS, "all to be live again");
    double seconds = (double)(clock_us() - from) / 1e6;
    server_sample(&w->server, &end);
    own = own_cpu() - own;
    for (size_t i = 0; i < w->watcher_count; i++) {
        if (w->watchers[i].lived >= from) {
            histogram_add(&times, (uint64_t)(w->watchers[i].lived - from));
        }
    }
    json_object *row = report_run(r, label);
    report_number(row, "clients", (double)count);
    report_number(row, "events_each",
                  (double)(w->deliveries - deliveries) / (double)(count > 0 ? count : 1));
    report_number(row, "all_live_after_s", seconds);
    report_latency(row, "live_after", &times);
    report_number(row, "refused", (double)(w->refused - refused));
    report_server(row, &begin, &end, w->deliveries - deliveries);
    report_number(row, "generator_cores", own / seconds);
    char aim[64];
    snprintf(aim, sizeof aim, "seconds until all are live, %s", label);
    report_aim(r, aim, seconds, 5, false);
}

int scenario_back(const struct options *o)
{
    static const struct watcher_hooks hooks = {.live = is_live};
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    settings_for(&settings, o, "delta-window-ms=0");
    report_open(&r, "back", o);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    miss(w);
    w->hooks = &hooks;
    come(w, &r, "running");
    w->hooks = &none;
    world_wait(w, world_finished, MAKE_SECONDS, "everybody to have everything");
    if (w->server.ours && w->options->peer == NULL) {
        miss(w);
        restart(w);
        w->hooks = &hooks;
        come(w, &r, "started again");
        w->hooks = &none;
        world_wait(w, world_level, MAKE_SECONDS, "everybody to have everything");
    }
    world_audit(w);
    json_object *row = json_object_array_get_idx(r.runs, json_object_array_length(r.runs) - 1);
    report_world(&r, row, w);
    world_close(w);
    free(w);
    return report_close(&r);
}
