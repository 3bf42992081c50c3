// How long does a commit take, checkpoints included, while many agents work, and which thread is
// the first to be full?
#define _GNU_SOURCE
#include "scenario.h"

#include "late.h"

#include <stdlib.h>

int scenario_commit(const struct options *o)
{
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    struct late begin;
    struct late end;
    settings_for(&settings, o, NULL);
    report_open(&r, "commit", o);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    late_read(w, &begin);
    stream_work(w, o->seconds, false, &run);
    late_read(w, &end);
    json_object *row = report_run(&r, "commit");
    late_report(row, &begin, &end, run.streamed);
    stream_finish(w, &r, row, &run);
    report_aim(&r, "p99 of a commit, ms", late_commit_p99(&begin, &end), 3, false);
    world_close(w);
    free(w);
    return report_close(&r);
}
