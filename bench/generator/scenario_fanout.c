// How late, and at what cost, do many watchers of few sessions get what the agent says?
#define _GNU_SOURCE
#include "scenario.h"

int scenario_fanout(const struct options *o)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    report_open(&r, "fanout", o);
    world_open(w, o, NULL);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    stream_offer(w, o->seconds, &run);
    stream_finish(w, &r, report_run(&r, "fanout"), &run);
    world_close(w);
    free(w);
    return report_close(&r);
}
