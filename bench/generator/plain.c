#define _GNU_SOURCE
#include "plain.h"

#include "floor/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_SECONDS = 60, OPENING = 32 };

struct publisher {
    struct connection connection;
    struct plan plan;
    size_t next; // frame
};

static struct world *world;
static struct publisher *publishers;
static size_t count;
static size_t begun; // connections
static size_t opened;
static struct timer timer;
static size_t chunk; // the next one, counted over all sessions

// ---- Opening ----

static void open_next(void)
{
    char path[64];
    struct publisher *p = &publishers[begun];
    snprintf(path, sizeof path, "/pub/%.40s", world->sessions[begun].id);
    struct connect_options options = {.path = path};
    begun++;
    if (!connection_connect(&p->connection, &world->target, &options)) {
        die("a publisher cannot connect: %s", strerror(errno));
    }
}

static void is_open(struct connection *c)
{
    (void)c;
    opened++;
    if (begun < count) {
        open_next();
    }
}

// What the server says to a publisher does not matter.
static void said(struct connection *c, const char *text, size_t length, int64_t now)
{
    (void)c;
    (void)text;
    (void)length;
    (void)now;
}

static void was_closed(struct connection *c, int code, const char *why)
{
    (void)c;
    die("a publisher was closed: %d %s", code, why);
}

static const struct connection_events events = {
    .open = is_open, .text = said, .closed = was_closed};

static bool are_open(void *context)
{
    (void)context;
    return opened == count;
}

void plain_open(struct world *w)
{
    world = w;
    count = w->session_count;
    begun = opened = chunk = 0;
    publishers = take(NULL, count * sizeof *publishers);
    for (size_t i = 0; i < count; i++) {
        struct session *s = &w->sessions[i];
        *s = (struct session){.world = w, .seed = w->options->seed + (uint32_t)i};
        snprintf(s->id, sizeof s->id, "plain%017zu", i); // as long as Signalbox's
        record_open(&s->record);
        s->record.idle = true;
        publishers[i] = (struct publisher){0};
        connection_init(&publishers[i].connection, &w->loop, &events);
    }
    for (size_t i = 0; i < OPENING && i < count; i++) {
        open_next();
    }
    world_wait(w, are_open, OPEN_SECONDS, "the publishers");
}

void plain_close(struct world *w)
{
    timer_cancel(&w->loop, &timer);
    for (size_t i = 0; i < count; i++) {
        connection_drop(&publishers[i].connection, false);
        free(publishers[i].plan.bytes);
        free(publishers[i].plan.ends);
    }
    free(publishers);
    publishers = NULL;
    count = 0;
}

void plain_watch_path(const struct session *s, char *path, size_t size)
{
    snprintf(path, size, "/sub/%s", s->id);
}

// ---- Publishing ----

static void publish(struct publisher *p, size_t until)
{
    for (; p->next < until; p->next++) {
        // The plan's frames are those of a server: without a mask.
        size_t begin = p->next > 0 ? p->plan.ends[p->next - 1] : 0;
        size_t length = p->plan.ends[p->next] - begin;
        const char *frame = p->plan.bytes + begin;
        size_t header = (frame[1] & 0x7f) < 126 ? 2 : (frame[1] & 0x7f) == 126 ? 4 : 10;
        connection_send(&p->connection, frame + header, length - header);
    }
}

static void publish_due(struct timer *self)
{
    int64_t now = clock_us();
    size_t chunks = publishers[0].plan.chunks;
    for (; chunk < count * chunks; chunk++) {
        struct publisher *p = &publishers[chunk % count];
        int64_t due = plan_due(&p->plan, chunk / count);
        if (due > now) {
            timer_arm(&world->loop, self, due);
            return;
        }
        publish(p, plan_frames(&p->plan, chunk / count));
    }
}

void plain_offer(struct world *w, int64_t begin, double seconds)
{
    const struct options *o = w->options;
    long long chunks = (long long)(seconds * (double)o->rate);
    for (size_t i = 0; i < count; i++) {
        struct session *s = &w->sessions[i];
        struct plan *plan = &publishers[i].plan;
        char script[160];
        double offset = 1e6 * (double)i / (double)count / (double)o->rate;
        snprintf(plan->id, sizeof plan->id, "%.23s", s->id);
        snprintf(script, sizeof script,
                 "{\"seed\":%u,\"chunks\":%lld,\"size\":%ld,\"rate\":%ld,\"at\":%lld}", s->seed,
                 chunks > 0 ? chunks : 1, o->size, o->rate, (long long)(begin + (int64_t)offset));
        if (plan_make(plan, script, 1) != NULL) {
            die("no plan");
        }
        record_expect(&s->record, s->seed, (size_t)o->size, false);
        s->prompted++;
        s->record.idle = false;
    }
    timer.fire = publish_due;
    timer_arm(&w->loop, &timer, begin);
}
