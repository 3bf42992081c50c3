// Do watchers that do not read, or read slowly, cost the others anything? Runs without and with
// them, in turn.
#define _GNU_SOURCE
#include "scenario.h"

#include <stdio.h>

enum { HALVES_MAX = 32, DEAF_US = 180000, READS_US = 20000 };

enum how { READING, STALLED, SLOW };

static long behind; // of those that stall, when they begin to read again

static int64_t slow_until; // who reads slowly reads a tenth of the time, until then

static void read_again(struct watcher *w)
{
    int64_t now = clock_us();
    bool pause = now < slow_until && !w->connection.paused;
    connection_pause(&w->connection, pause);
    if (now < slow_until) {
        timer_arm(&watcher_world(w)->loop, &w->timer, now + (pause ? DEAF_US : READS_US));
    }
}

static void one_run(const struct options *o, struct report *r, const char *label, enum how how,
                    double *p99, double *growth)
{
    static const struct watcher_hooks hooks = {.timer = read_again};
    struct world *w = take(NULL, sizeof *w);
    struct stream_run run;
    world_open(w, o, NULL);
    world_add_watchers(w, (size_t)o->watchers, 0, &hooks);
    // Those that stall have small windows in all runs, and are counted in none.
    for (long i = 0; i < o->stalled; i++) {
        w->watchers[i].small = true;
        w->watchers[i].silent = true;
    }
    stream_connect(w, 0, &run);
    int64_t begin = clock_us();
    int64_t end = begin + (int64_t)(o->stall * 1e6);
    slow_until = how == SLOW ? end : 0;
    for (long i = 0; how != READING && i < o->stalled; i++) {
        connection_pause(&w->watchers[i].connection, true);
        timer_arm(&w->loop, &w->watchers[i].timer, how == STALLED ? end : begin + DEAF_US);
    }
    stream_play(w, o->stall, &run);
    behind = 0;
    for (long i = 0; i < o->stalled; i++) {
        behind += (long)(w->watchers[i].session->record.next - w->watchers[i].next);
    }
    json_object *row = report_run(r, label);
    report_number(row, "stalled_behind_events",
                  o->stalled > 0 ? (double)behind / (double)o->stalled : 0);
    *p99 = (double)histogram_at(&w->latency, 0.99) / 1000;
    *growth = (double)(run.end.rss_kb - run.begin.rss_kb);
    stream_finish(w, r, row, &run);
    world_close(w);
    free(w);
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

int scenario_stalled(const struct options *o)
{
    struct report r;
    double p99[3][HALVES_MAX];
    double growth[3][HALVES_MAX];
    long rounds = o->rounds < HALVES_MAX ? o->rounds : HALVES_MAX;
    report_open(&r, "stalled", o);
    for (long i = 0; i < rounds; i++) {
        one_run(o, &r, "without", READING, &p99[0][i], &growth[0][i]);
        one_run(o, &r, "with", STALLED, &p99[1][i], &growth[1][i]);
        one_run(o, &r, "slow", SLOW, &p99[2][i], &growth[2][i]);
    }
    double more = median(growth[1], rounds) - median(growth[0], rounds);
    report_aim(&r, "p99 of the others, with / without",
               median(p99[1], rounds) / median(p99[0], rounds), 1.2, false);
    report_aim(&r, "p99 of the others, with slow ones / without",
               median(p99[2], rounds) / median(p99[0], rounds), 1.2, false);
    if (o->stalled > 0) {
        report_aim(&r, "more RSS for each that stalls, KB", more / (double)o->stalled, 32, false);
    }
    return report_close(&r);
}
