// How long from an agent's question to the person who is to answer, and back to everybody who
// watches, when many agents ask?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum { TAIL_SECONDS = 1 };

static struct histogram
    to_person; // from the moment at which the agent was to ask to the request at a watcher
static struct histogram
    round_trip; // to the outcome at a watcher; the answer is given by the first who sees it
static int64_t begun;

// When question k of a session was due.
static int64_t due(const struct watcher *w, uint64_t k)
{
    const struct world *world = watcher_world(w);
    size_t index = (size_t)(w->session - world->sessions);
    double rate = (double)world->options->rate;
    return begun +
           (int64_t)(1e6 * ((double)k + (double)index / (double)world->session_count) / rate);
}

static void permission(struct watcher *w, enum permission what, int64_t now)
{
    const struct world *world = watcher_world(w);
    int64_t at = due(w, what == PERMISSION_ASKED ? w->asked++ : w->ended++);
    if (at >= world->measure_from && at < world->measure_to) {
        histogram_add(what == PERMISSION_ASKED ? &to_person : &round_trip,
                      (uint64_t)(now > at ? now - at : 0));
    }
}

static void prompt(struct world *w, double seconds)
{
    const struct options *o = w->options;
    long long questions = (long long)(seconds * (double)o->rate);
    begun = world_lead(w);
    for (size_t i = 0; i < w->session_count; i++) {
        json_object *steps = json_object_new_array();
        for (long long k = 0; k < questions; k++) {
            double offset =
                1e6 * ((double)k + (double)i / (double)w->session_count) / (double)o->rate;
            char step[128];
            snprintf(step, sizeof step, "{\"until\":%lld}", (long long)(begun + (int64_t)offset));
            json_object_array_add(steps, json_tokener_parse(step));
            snprintf(step, sizeof step, "{\"permission\":{\"tool\":\"ask-%lld\"}}", k);
            json_object_array_add(steps, json_tokener_parse(step));
        }
        world_prompt(w, &w->sessions[i], json_object_to_json_string(steps), false);
        json_object_put(steps);
    }
}

int scenario_permissions(const struct options *o)
{
    static const struct watcher_hooks hooks = {.permission = permission};
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    settings_for(&settings, o, NULL);
    report_open(&r, "permissions", o);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &hooks);
    stream_connect(w, 0, &run);
    prompt(w, o->warmup + o->seconds + TAIL_SECONDS);
    stream_measure_from(w, begun, o->seconds, &run);
    json_object *row = report_run(&r, "permissions");
    world_wait(w, world_finished, TAIL_SECONDS * 60, "all questions to be answered");
    report_number(row, "questions_offered_per_s", (double)o->rate * (double)w->session_count);
    report_number(row, "outcomes_delivered_per_s", (double)round_trip.count / o->seconds);
    report_latency(row, "question", &to_person);
    report_latency(row, "round_trip", &round_trip);
    stream_finish(w, &r, row, &run);
    world_close(w);
    free(w);
    return report_close(&r);
}
