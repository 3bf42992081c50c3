// What does it cost to join a long session, and to come back to one after a short gap?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>

enum { MAKE_SECONDS = 300, JOIN_SECONDS = 60, EVENT_BYTES = 400 };

static const char *const no_window[] = {"delta-window-ms=0", NULL};
static const struct watcher_hooks none;

static bool joined(void *world)
{
    const struct world *w = world;
    const struct watcher *last = &w->watchers[w->watcher_count - 1];
    return last->state == WATCHER_LIVE || w->errors > 0;
}

static void join(struct world *w, struct watcher *watcher)
{
    watcher_connect(watcher);
    world_wait(w, joined, JOIN_SECONDS, "a watcher that joins");
}

int scenario_join(const struct options *o)
{
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct histogram times = {0};
    struct histogram bytes = {0};
    char steps[256];
    report_open(&r, "join", o);
    world_open(w, o, no_window);
    world_add_watchers(w, 1, 1, &none);
    stream_connect(w, 1, &run);
    snprintf(steps, sizeof steps,
             "[{\"chunks\":%ld,\"size\":%ld,\"stamp\":true},"
             "{\"repeat\":{\"times\":%ld,\"steps\":[{\"tool\":{\"output\":1024}}]}}]",
             o->deltas, o->size, o->tools);
    world_prompt(w, &w->sessions[0], steps, true);
    world_wait(w, world_finished, MAKE_SECONDS, "the session to be made");

    struct watcher *fresh = &w->watchers[1];
    const struct record *record = &w->sessions[0].record;
    server_sample(&w->server, &run.watched);
    for (long i = 0; i < o->joins && w->errors == 0; i++) {
        watcher_forget(fresh);
        join(w, fresh);
        histogram_add(&times, (uint64_t)(fresh->lived - fresh->opened));
        histogram_add(&bytes, fresh->bytes);
        watcher_drop(fresh, false);
    }
    server_sample(&w->server, &run.end);
    uint64_t events = fresh->events;
    // Back after a gap: a position that far behind the head.
    uint64_t gap = (uint64_t)o->gap;
    uint64_t behind = 0;
    uint64_t unfolded = 0;
    if (w->errors == 0 && record->next > gap + 1) {
        fresh->next = record->next - gap;
        fresh->text = record->length; // the stream ends with events that have no text
        join(w, fresh);
        behind = fresh->events;
        unfolded = behind - fresh->folded;
        watcher_drop(fresh, false);
    }
    uint64_t bound = record->content_bytes + EVENT_BYTES * record->staying;
    json_object *row = report_run(&r, "join");
    report_number(row, "log_events", (double)(record->next - 1));
    report_latency(row, "join_time", &times);
    report_number(row, "join_events", (double)events);
    report_number(row, "join_bytes", (double)histogram_at(&bytes, 0.5));
    report_number(row, "bytes_bound", (double)bound);
    report_number(row, "events_after_gap", (double)behind);
    report_server(row, &run.watched, &run.end, 0);
    world_audit(w);
    report_world(&r, row, w);
    report_aim(&r, "bytes of a join / (texts, inputs, results, and 400 for each event that stays)",
               (double)bytes.max / (double)bound, 1, false);
    report_aim(&r, "events after a gap in the tail, / the gap", (double)behind / (double)gap, 1,
               false);
    report_aim(&r, "those that came as they were, / the gap", (double)unfolded / (double)gap, 1,
               true);
    world_close(w);
    free(w);
    return report_close(&r);
}
