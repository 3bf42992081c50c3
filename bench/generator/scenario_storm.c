// Do ten thousand clients come back after a restart: spread over the window that they were told, and
// all at once?
#define _GNU_SOURCE
#include "scenario.h"

#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>

enum { COME_SECONDS = 180, STOP_SECONDS = 20, UP_SECONDS = 60, REST_SECONDS = 60, WAVE = 64 };

static struct crowd *storm;

// At first they come one after the other; the storm is later.
static void next_comes(struct client *c)
{
    size_t next = c->index + WAVE;
    if (next < storm->client_count) {
        client_connect(&storm->clients[next]);
    }
}

static uint64_t told_moments(const struct crowd *crowd, int64_t *first, int64_t *last)
{
    uint64_t told = 0;
    *first = INT64_MAX;
    *last = 0;
    for (size_t i = 0; i < crowd->client_count; i++) {
        const struct client *c = &crowd->clients[i];
        if (c->back_at > 0) {
            *first = c->back_at < *first ? c->back_at : *first;
            *last = c->back_at > *last ? c->back_at : *last;
            told++;
        }
    }
    return told;
}

static void run_one(const struct options *o, struct report *r, const char *label, const char *spread)
{
    static const struct crowd_hooks coming = {.live = next_comes};
    static const struct crowd_hooks none;
    static const char *const agents[] = {"scripted", NULL};
    const char *settings[] = {"max-clients=1000000", spread, NULL};
    struct crowd *crowd = take(NULL, sizeof *crowd);
    struct histogram late = {0};
    struct sample before;
    struct sample begin;
    struct sample after;
    int64_t first;
    int64_t last;
    crowd_open(crowd, o, settings, &none);
    storm = crowd;
    crowd_fill(crowd, (size_t)o->sessions, (size_t)o->watchers, agents);
    for (size_t i = 0; i < crowd->place_count; i++) {
        crowd_say(&crowd->clients[i], o->rate, false);
    }
    crowd->hooks = &coming;
    for (size_t i = 0; i < WAVE && i < crowd->client_count; i++) {
        client_connect(&crowd->clients[i]);
        if (crowd->clients[i].state == CLIENT_LIVE) {
            next_comes(&crowd->clients[i]);
        }
    }
    world_wait(&crowd->world, crowd_rests, COME_SECONDS, "all to be there");
    crowd->hooks = &none;
    server_sample(&crowd->world.server, &before);
    // The stop interrupts it. Only one: with more this program would still be reading what came before the stop when
    // the server is back.
    crowd_say(&crowd->clients[0], 10 * o->rate, false);
    world_wait(&crowd->world, NULL, 0.5, NULL);
    crowd->world.refused = 0;
    int64_t stopped = clock_us();
    crowd_terminate(crowd);
    world_wait(&crowd->world, crowd_ended, STOP_SECONDS, "the server to end");
    double stop = (double)(clock_us() - stopped) / 1e6;
    crowd_start(crowd);
    world_wait(&crowd->world, crowd_is_up, UP_SECONDS, "the server to serve again");
    int64_t up = clock_us();
    double own = own_cpu();
    server_sample(&crowd->world.server, &begin);
    world_wait(&crowd->world, crowd_is_live, COME_SECONDS, "all to be back");
    double back = (double)(clock_us() - up) / 1e6;
    server_sample(&crowd->world.server, &after);
    own = own_cpu() - own;
    uint64_t told = told_moments(crowd, &first, &last);
    for (size_t i = 0; i < crowd->client_count; i++) {
        const struct client *c = &crowd->clients[i];
        int64_t from = c->back_at > up ? c->back_at : up;
        histogram_add(&late, (uint64_t)(c->lived > from ? c->lived - from : 0));
    }
    world_wait(&crowd->world, crowd_rests, REST_SECONDS, "all to be at rest");
    crowd_audit(crowd);
    json_object *row = report_run(r, label);
    report_number(row, "clients", (double)crowd->client_count);
    report_number(row, "told_when_to_come_back", (double)told);
    report_number(row, "window_s", told > 0 ? (double)(last - first) / 1e6 : 0);
    report_number(row, "stop_s", stop);
    report_number(row, "all_back_s_after_it_serves", back);
    report_latency(row, "from_the_moment_to_live", &late);
    report_number(row, "rss_mb_before", (double)before.rss_kb / 1024);
    report_number(row, "rss_mb_after", (double)after.rss_kb / 1024);
    report_server(row, &begin, &after, 0);
    report_number(row, "generator_cores", own / back);
    if (told != crowd->client_count) {
        world_problem(&crowd->world, "%llu of %zu clients were told when to come back",
                      (unsigned long long)told, crowd->client_count);
    }
    report_world(r, row, &crowd->world);
    crowd_close(crowd);
    free(crowd);
}

int scenario_storm(const struct options *o)
{
    struct report r;
    report_open(&r, "storm", o);
    run_one(o, &r, "spread", "reconnect-spread-ms=5000");
    run_one(o, &r, "at once", "reconnect-spread-ms=0");
    return report_close(&r);
}
