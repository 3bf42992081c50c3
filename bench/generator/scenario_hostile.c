// Do agents that misbehave cost the sessions of others anything? Runs without any, with agents that
// only burn the processor, and with each kind, in turn.
#define _GNU_SOURCE
#include "scenario.h"

#include "late.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HALVES_MAX = 32, KINDS_MAX = 16, OPEN_SECONDS = 60, PROMPT_US = 200000 };

// Of hostile.sh; "none" and "spin" are what the others are compared with.
static const char *const kinds[] = {"none",    "spin", "text", "updates",
                                    "garbage", "huge", "deaf", "crash"};
enum { KINDS = sizeof kinds / sizeof kinds[0], NONE = 0, SPIN = 1 };

struct bad {
    size_t number; // of its create_session
    char id[64];
};

static struct {
    struct world *world;
    struct bad *agents;
    size_t count, open;
    struct timer again;
    bool crashing;
} hostile;

static void was_answered(struct world *w, size_t number, bool done, const struct scan *answer)
{
    for (size_t i = 0; i < hostile.count; i++) {
        struct bad *bad = &hostile.agents[i];
        if (bad->number == number && bad->id[0] == '\0') {
            if (!done) {
                world_problem(w, "a session of a hostile agent was refused");
            }
            value_copy(&answer->fields[SCAN_SESSION], bad->id, sizeof bad->id);
            hostile.open++;
        }
    }
}

static bool are_open(void *world)
{
    (void)world;
    return hostile.open == hostile.count;
}

static void prompt(const struct bad *bad)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "sessionId", json_object_new_string(bad->id));
    json_object_object_add(o, "text", json_object_new_string("go"));
    world_other(hostile.world, "prompt", o);
}

// Those that crash are started again, and again.
static void prompt_all(struct timer *timer)
{
    for (size_t i = 0; i < hostile.count; i++) {
        prompt(&hostile.agents[i]);
    }
    if (hostile.crashing) {
        timer_arm(&hostile.world->loop, timer, clock_us() + PROMPT_US);
    }
}

static void let_loose(struct world *w, const char *kind, size_t count)
{
    char agent[32];
    char workspace[256];
    snprintf(agent, sizeof agent, "hostile-%s", kind);
    snprintf(workspace, sizeof workspace, "%s/workspace", w->server.folder);
    memset(&hostile, 0, sizeof hostile);
    hostile.world = w;
    hostile.agents = take(NULL, count * sizeof *hostile.agents);
    hostile.count = count;
    hostile.crashing = strcmp(kind, "crash") == 0;
    hostile.again.fire = prompt_all;
    w->answered = was_answered;
    for (size_t i = 0; i < count; i++) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "agent", json_object_new_string(agent));
        json_object_object_add(o, "workspace", json_object_new_string(workspace));
        hostile.agents[i] = (struct bad){.number = w->commands};
        world_other(w, "create_session", o);
    }
    world_wait(w, are_open, OPEN_SECONDS, "the sessions of hostile agents");
    prompt_all(&hostile.again);
}

static double one_run(const struct options *o, struct report *r, size_t kind)
{
    // The breaker would end a crash loop, and the watch on silence says nothing of who floods.
    static const char *const settings[] = {"agent-breaker-failures=0", NULL};
    static const struct watcher_hooks none;
    struct world *w = take(NULL, sizeof *w);
    struct stream_run run;
    struct late begin;
    struct late end;
    world_open(w, o, settings);
    world_add_watchers(w, (size_t)o->watchers, 0, &none);
    stream_connect(w, 0, &run);
    if (kind != NONE) {
        let_loose(w, kinds[kind], (size_t)o->hostile);
    }
    late_read(w, &begin);
    stream_play(w, o->seconds, &run);
    late_read(w, &end);
    json_object *row = report_run(r, kinds[kind]);
    late_report(row, &begin, &end, run.streamed);
    double p99 = (double)histogram_at(&w->latency, 0.99) / 1000;
    stream_finish(w, r, row, &run);
    world_close(w);
    if (kind != NONE) {
        free(hostile.agents);
    }
    free(w);
    return p99;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, long count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool is_chosen(const struct options *o, size_t kind)
{
    size_t length = strlen(kinds[kind]);
    if (kind == NONE || o->kinds == NULL) {
        return true;
    }
    for (const char *at = o->kinds; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        if (strcspn(at, ",") == length && strncmp(at, kinds[kind], length) == 0) {
            return true;
        }
    }
    return false;
}

int scenario_hostile(const struct options *o)
{
    struct report r;
    double p99[KINDS][HALVES_MAX];
    long rounds = o->rounds < HALVES_MAX ? o->rounds : HALVES_MAX;
    if (o->url != NULL) {
        die("hostile: the agents are in the configuration of a server of its own");
    }
    report_open(&r, "hostile", o);
    for (long i = 0; i < rounds; i++) {
        for (size_t kind = 0; kind < KINDS; kind++) {
            p99[kind][i] = is_chosen(o, kind) ? one_run(o, &r, kind) : 0;
        }
    }
    double without = median(p99[NONE], rounds);
    for (size_t kind = SPIN; kind < KINDS; kind++) {
        char aim[80];
        snprintf(aim, sizeof aim, "p99 of the others, with %s / without", kinds[kind]);
        if (is_chosen(o, kind)) {
            report_aim(&r, aim, median(p99[kind], rounds) / without, 1.5, false);
        }
    }
    return report_close(&r);
}
