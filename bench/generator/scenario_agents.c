// Many agents that all stream at once: how late are their delta windows, and what do they cost?
#define _GNU_SOURCE
#include "scenario.h"

#include "late.h"

#include <stdio.h>

enum { SESSIONS_BESIDE = 50 };

int scenario_agents(const struct options *o)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct late begin;
    struct late end;
    char limit[40];
    const char *const settings[] = {limit, NULL};
    snprintf(limit, sizeof limit, "max-agents=%ld", o->sessions + SESSIONS_BESIDE);
    report_open(&r, "agents", o);
    world_open(w, o, settings);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    late_read(w, &begin);
    stream_play(w, o->seconds, &run);
    late_read(w, &end);
    json_object *row = report_run(&r, "agents");
    double p99 = late_report(row, &begin, &end, run.streamed);
    report_number(row, "rss_kb_an_agent",
                  (double)(run.end.rss_kb - run.start.rss_kb) / (double)o->sessions);
    stream_finish(w, &r, row, &run);
    report_aim(&r, "p99 of how late a delta window is, ms", p99, 10, false);
    world_close(w);
    free(w);
    return report_close(&r);
}
