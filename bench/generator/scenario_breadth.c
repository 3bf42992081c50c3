// What does it cost to deliver the events of many sessions to a few watchers each, on this server
// and on others?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdlib.h>

int scenario_breadth(const struct options *o)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    settings_for(&settings, o, NULL);
    report_open(&r, "breadth", o);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    stream_offer(w, o->seconds, &run);
    stream_finish(w, &r, report_run(&r, "breadth"), &run);
    world_close(w);
    free(w);
    return report_close(&r);
}
