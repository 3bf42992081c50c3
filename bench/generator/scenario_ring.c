// How many events a second go all the way (numbered, committed, delivered), and how late is one at
// a rate that is no load?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>

enum { FLOOD_SECONDS = 600 };

static const char *const no_window[] = {"delta-window-ms=0", NULL};
static const struct watcher_hooks none;

// As fast as the agents can: the server holds them back, so that is its own speed.
static void flood(const struct options *o, struct report *r)
{
    struct world *w = take(NULL, sizeof *w);
    struct stream_run run;
    char steps[128];
    world_open(w, o, no_window);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    long each = o->deltas / o->sessions;
    snprintf(steps, sizeof steps, "[{\"chunks\":%ld,\"size\":%ld,\"stamp\":true}]", each, o->size);
    server_sample(&w->server, &run.watched);
    double own = own_cpu();
    int64_t begin = clock_us();
    uint64_t before = w->deliveries;
    for (size_t i = 0; i < w->session_count; i++) {
        world_prompt(w, &w->sessions[i], steps, false);
    }
    world_wait(w, world_finished, FLOOD_SECONDS, "everything to be delivered");
    double seconds = (double)(clock_us() - begin) / 1e6;
    server_sample(&w->server, &run.end);
    own = own_cpu() - own;
    double rate = (double)each * (double)o->sessions / seconds;
    json_object *row = report_run(r, "flood");
    report_number(row, "events_per_s", rate);
    report_number(row, "deliveries_per_s", (double)(w->deliveries - before) / seconds);
    report_latency(row, "latency_held_back", &w->latency);
    report_server(row, &run.watched, &run.end, w->deliveries - before);
    report_number(row, "generator_cores", own / seconds);
    world_audit(w);
    report_world(r, row, w);
    report_aim(r, "events a second through the whole ring", rate, 50000, true);
    world_close(w);
    free(w);
}

static void steady(const struct options *o, struct report *r)
{
    struct world *w = take(NULL, sizeof *w);
    struct stream_run run;
    struct options each = *o;
    each.rate = o->rate / o->sessions;
    world_open(w, &each, no_window);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    stream_play(w, o->seconds, &run);
    json_object *row = report_run(r, "steady");
    double p99 = (double)histogram_at(&w->latency, 0.99) / 1000;
    stream_finish(w, r, row, &run);
    report_aim(r, "p99 from the agent's line to the watcher, ms", p99, 5, false);
    world_close(w);
    free(w);
}

int scenario_ring(const struct options *o)
{
    struct report r;
    report_open(&r, "ring", o);
    for (long i = 0; i < o->rounds; i++) {
        flood(o, &r);
        steady(o, &r);
    }
    return report_close(&r);
}
