// Does an event, or a connection, cost more when there are 4, 16 and 64 times as many of
// everything?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 4, FACTOR = 4 };

struct costs {
    double event;      // microseconds of the server's CPU for each delivery
    double connection; // KB
};

static void one_run(const struct options *o, struct report *r, long times, struct costs *out)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct stream_run run;
    struct settings settings;
    struct options grown = *o;
    char label[24];
    grown.sessions *= times;
    grown.watchers *= times;
    settings_for(&settings, &grown, NULL);
    world_open(w, &grown, settings.list);
    world_add_watchers(w, (size_t)grown.watchers, 0, &none);
    stream_connect(w, 0, &run);
    stream_offer(w, o->seconds, &run);
    snprintf(label, sizeof label, "%ldx", times);
    json_object *row = report_run(r, label);
    report_number(row, "sessions", (double)grown.sessions);
    report_number(row, "watchers", (double)grown.watchers);
    out->event = 1e6 * (run.end.cpu - run.begin.cpu) / (double)(run.deliveries + 1);
    out->connection = (double)(run.watched.rss_kb - run.start.rss_kb) / (double)w->watcher_count;
    stream_finish(w, r, row, &run);
    world_close(w);
    free(w);
}

int scenario_growth(const struct options *o)
{
    struct report r;
    struct costs costs[STEPS];
    long times = 1;
    report_open(&r, "growth", o);
    for (int i = 0; i < STEPS; i++, times *= FACTOR) {
        one_run(o, &r, times, &costs[i]);
    }
    report_aim(&r, "CPU for an event, at 64x / at 1x", costs[STEPS - 1].event / costs[0].event, 1.3,
               false);
    if (costs[0].connection > 0) {
        report_aim(&r, "memory of a connection, at 64x / at 1x",
                   costs[STEPS - 1].connection / costs[0].connection, 1.3, false);
    }
    return report_close(&r);
}
