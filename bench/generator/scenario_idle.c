// What do connections cost that only wait, and sessions that only lie in the store?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdlib.h>

enum { SETTLE_SECONDS = 2, STOP_SECONDS = 60, UP_SECONDS = 60 };

int scenario_idle(const struct options *o)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    struct sample fresh;
    struct sample again;
    settings_for(&settings, o, NULL);
    report_open(&r, "idle", o);
    // What it needs with an empty store, and, at the end, with all these sessions in it.
    world_begin(w, o, settings.list);
    server_sample(&w->server, &fresh);
    world_close(w);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    world_wait(w, NULL, SETTLE_SECONDS, NULL);
    stream_connect(w, 0, &run);
    world_wait(w, NULL, SETTLE_SECONDS, NULL);
    stream_measure(w, o->seconds, &run);
    json_object *row = report_run(&r, "idle");
    double each = (double)(run.begin.rss_kb - run.start.rss_kb) / (double)w->watcher_count;
    report_number(row, "watchers", (double)w->watcher_count);
    report_number(row, "kernel_kb_a_watcher",
                  (double)(run.begin.tcp_kb - run.start.tcp_kb) / (double)w->watcher_count);
    report_number(row, "threads_before", (double)run.start.threads);
    double threads = (double)(run.begin.threads - run.start.threads);
    stream_finish(w, &r, row, &run);
    if (w->server.ours) {
        connection_drop(&w->control, false);
        for (size_t i = 0; i < w->watcher_count; i++) {
            watcher_drop(&w->watchers[i], false);
        }
        server_terminate(&w->server);
        world_wait(w, world_server_ended, STOP_SECONDS, "the server to end");
        server_start_again(&w->server);
        world_wait(w, world_server_is_up, UP_SECONDS, "the server to serve again");
        server_sample(&w->server, &again);
        report_number(row, "rss_mb_fresh", (double)fresh.rss_kb / 1024);
        report_number(row, "rss_mb_with_the_sessions_in_the_store", (double)again.rss_kb / 1024);
        report_aim(&r, "KB of RSS for a session in the store",
                   (double)(again.rss_kb - fresh.rss_kb) / (double)o->sessions, 0.5, false);
    }
    report_aim(&r, "KB of RSS for an idle connection", each, 4, false);
    report_aim(&r, "threads more", threads, 0, false);
    world_close(w);
    free(w);
    return report_close(&r);
}
