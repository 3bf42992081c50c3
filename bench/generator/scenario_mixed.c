// How late is what agents say who work as models do, while watchers join and leave, read slowly,
// and answer?
#define _GNU_SOURCE
#include "scenario.h"

#include <stdlib.h>

enum {
    ROVES_ONE_OF = 10, // leave and join again
    SLOW_ONE_OF = 20,  // read a tenth of the time
    AWAY_US = 1000000,
    DEAF_US = 180000,
    READS_US = 20000,
};

enum plan { PLAN_STAY, PLAN_ROVE, PLAN_SLOW };

static bool over;
static uint64_t left;

static void arm(struct watcher *w, uint64_t mean)
{
    struct world *world = watcher_world(w);
    timer_arm(&world->loop, &w->timer, clock_us() + (int64_t)(world_random(world) % (2 * mean)));
}

static uint64_t stay_us(const struct watcher *w)
{
    return 60000000ULL / (uint64_t)watcher_world(w)->options->churn;
}

static void live(struct watcher *w)
{
    if (!over && w->plan == PLAN_ROVE) {
        arm(w, stay_us(w));
    }
}

static void timer(struct watcher *w)
{
    if (w->plan == PLAN_ROVE && w->state == WATCHER_OFF) {
        watcher_connect(w);
    } else if (w->plan == PLAN_ROVE && w->state == WATCHER_LIVE && !over) {
        left++;
        watcher_drop(w, left % 2 == 0);
        arm(w, AWAY_US);
    } else if (w->plan == PLAN_SLOW && w->state == WATCHER_LIVE) {
        bool pause = !w->connection.paused && !over;
        timer_arm(&watcher_world(w)->loop, &w->timer, clock_us() + (pause ? DEAF_US : READS_US));
        connection_pause(&w->connection, pause);
    }
}

static void choose(struct world *w)
{
    for (size_t i = 0; i < w->watcher_count; i++) {
        struct watcher *watcher = &w->watchers[i];
        // By the round of the sessions, so that each session has some of each.
        size_t round = i / w->session_count + i % w->session_count;
        watcher->plan = round % ROVES_ONE_OF == 1   ? PLAN_ROVE
                        : round % SLOW_ONE_OF == 10 ? PLAN_SLOW
                                                    : PLAN_STAY;
        watcher->small = watcher->plan == PLAN_SLOW;
        watcher->silent = watcher->plan != PLAN_STAY;
    }
}

static void report_sizes(json_object *row, struct world *w, const struct histogram *sizes)
{
    json_object *o = json_object_new_object();
    double bytes = 0;
    double tools = 0;
    for (size_t i = 0; i < w->session_count; i++) {
        bytes += (double)w->sessions[i].record.bytes;
        tools += (double)w->sessions[i].record.tool_bytes;
        w->sessions[i].record.sizes = NULL;
    }
    report_number(o, "count", (double)sizes->count);
    report_number(o, "p1", (double)histogram_at(sizes, 0.01));
    report_number(o, "p50", (double)histogram_at(sizes, 0.5));
    report_number(o, "p99", (double)histogram_at(sizes, 0.99));
    report_number(o, "max", (double)sizes->max);
    json_object_object_add(row, "bytes_of_an_event_with_content", o);
    report_number(row, "percent_of_bytes_about_tools", bytes > 0 ? 100 * tools / bytes : 0);
}

int scenario_mixed(const struct options *o)
{
    static const struct watcher_hooks hooks = {.live = live, .timer = timer};
    struct world *w = take(NULL, sizeof *w);
    struct report r;
    struct stream_run run;
    struct settings settings;
    struct histogram sizes = {0};
    settings_for(&settings, o, "max-event-bytes=512K");
    report_open(&r, "mixed", o);
    world_open(w, o, settings.list);
    world_add_watchers(w, (size_t)o->watchers, 0, &hooks);
    choose(w);
    over = true;
    stream_connect(w, 0, &run);
    over = false;
    for (size_t i = 0; i < w->watcher_count; i++) {
        if (w->watchers[i].plan == PLAN_SLOW) {
            timer(&w->watchers[i]);
        } else if (w->watchers[i].plan == PLAN_ROVE) {
            arm(&w->watchers[i], stay_us(&w->watchers[i]));
        }
    }
    for (size_t i = 0; i < w->session_count; i++) {
        w->sessions[i].record.sizes = &sizes;
    }
    stream_work(w, o->seconds, o->permissions > 0, &run);
    over = true;
    json_object *row = report_run(&r, "mixed");
    report_sizes(row, w, &sizes);
    report_number(row, "left_and_joined", (double)left);
    stream_finish(w, &r, row, &run);
    world_close(w);
    free(w);
    return report_close(&r);
}
