#define _GNU_SOURCE
#include "world.h"

#include "plain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_US = 100000, RETRIES_MAX = 100, SLOW_BUFFER = 4096, SLOW_SEGMENT = 1448 };

struct world *watcher_world(const struct watcher *w)
{
    return w->session->world;
}

static void problem(struct watcher *w, const char *what)
{
    struct world *world = watcher_world(w);
    world_problem(world, "watcher %zu of session %s at %llu: %s", (size_t)(w - world->watchers),
                  w->session->id, (unsigned long long)w->next, what);
}

static void opening_ends(struct watcher *w)
{
    struct world *world = watcher_world(w);
    world->opening--;
    watcher_connect_next(world);
}

// ---- Opening ----

static void start(struct watcher *w)
{
    struct world *world = watcher_world(w);
    struct connect_options options = {.source = w->source,
                                      .receive_buffer = w->small ? SLOW_BUFFER : 0,
                                      .segment = w->small ? SLOW_SEGMENT : 0,
                                      .deflate = world->options->deflate};
    char path[96];
    if (world->options->plain) {
        plain_watch_path(w->session, path, sizeof path);
        options.path = path;
    }
    w->state = WATCHER_OPENING;
    world->opening++;
    if (!connection_connect(&w->connection, &world->target, &options)) {
        die("cannot connect: %s", strerror(errno));
    }
}

void watcher_connect_next(struct world *world)
{
    while (world->queue != NULL && world->opening < world->options->handshakes) {
        struct watcher *w = world->queue;
        world->queue = w->queued;
        if (world->queue == NULL) {
            world->queue_last = &world->queue;
        }
        start(w);
    }
}

void watcher_connect(struct watcher *w)
{
    struct world *world = watcher_world(w);
    w->state = WATCHER_QUEUED;
    w->queued = NULL;
    w->bytes = 0;
    w->events = 0;
    w->folded = 0;
    *world->queue_last = w;
    world->queue_last = &w->queued;
    watcher_connect_next(world);
}

void watcher_drop(struct watcher *w, bool reset)
{
    bool opening = w->state == WATCHER_OPENING;
    if (w->state == WATCHER_QUEUED) {
        return; // it is on its way anyway
    }
    connection_drop(&w->connection, reset);
    w->state = WATCHER_OFF;
    if (opening) {
        opening_ends(w);
    }
}

void watcher_subscribe(struct watcher *w)
{
    char text[320];
    int length;
    if (w->next > 1) {
        length = snprintf(
            text, sizeof text,
            "{\"type\":\"subscribe\",\"id\":\"s\",\"sessionId\":\"%s\",\"after\":{\"epoch\":"
            "\"%s\",\"seq\":%llu}}",
            w->session->id, w->session->epoch, (unsigned long long)w->next - 1);
    } else {
        length = snprintf(
            text, sizeof text,
            "{\"type\":\"subscribe\",\"id\":\"s\",\"sessionId\":\"%s\",\"history\":\"full\"}",
            w->session->id);
    }
    w->state = WATCHER_SUBSCRIBING;
    w->opened = clock_us();
    connection_send(&w->connection, text, (size_t)length);
}

void watcher_unsubscribe(struct watcher *w)
{
    char text[160];
    int length =
        snprintf(text, sizeof text, "{\"type\":\"unsubscribe\",\"id\":\"u\",\"sessionId\":\"%s\"}",
                 w->session->id);
    connection_send(&w->connection, text, (size_t)length);
}

void watcher_forget(struct watcher *w)
{
    w->next = 1;
    w->text = 0;
    w->stamp = 0;
    w->sum = 0;
    w->head = 0;
}

// ---- Messages ----

static void live(struct watcher *w, int64_t now)
{
    const struct watcher_hooks *hooks = watcher_world(w)->hooks;
    w->state = WATCHER_LIVE;
    w->lived = now;
    if (hooks->live != NULL) {
        hooks->live(w);
    }
}

static void take_subscribed(struct watcher *w, const struct scan *s, int64_t now)
{
    struct session *session = w->session;
    const struct watcher_hooks *hooks = watcher_world(w)->hooks;
    char epoch[sizeof session->epoch];
    value_copy(&s->fields[SCAN_EPOCH], epoch, sizeof epoch);
    if (session->epoch[0] == '\0') {
        memcpy(session->epoch, epoch, sizeof epoch);
    }
    w->head = value_number(&s->fields[SCAN_HEAD], 0);
    w->replayed = value_is(&s->fields[SCAN_MODE], "replay");
    if (strcmp(session->epoch, epoch) != 0 || value_is(&s->fields[SCAN_MODE], "reset")) {
        problem(w, "the history is another one");
    } else if (w->replayed != (w->head >= w->next)) {
        problem(w, "a mode of subscribed that does not fit its head");
    }
    w->state = WATCHER_REPLAY;
    uint32_t generation = w->connection.generation;
    if (hooks->subscribed != NULL) {
        hooks->subscribed(w);
    }
    if (!w->replayed && w->state == WATCHER_REPLAY && w->connection.generation == generation) {
        live(w, now);
    }
}

static void take_control(struct watcher *w, const struct scan *s, int64_t now)
{
    const struct value *type = &s->fields[SCAN_TYPE];
    const struct watcher_hooks *hooks = watcher_world(w)->hooks;
    if (value_is(type, "connected")) {
        uint32_t generation = w->connection.generation;
        if (hooks->connected != NULL) {
            hooks->connected(w);
        }
        if (w->state == WATCHER_SUBSCRIBING && w->connection.generation == generation) {
            watcher_subscribe(w);
        }
    } else if (value_is(type, "subscribed")) {
        take_subscribed(w, s, now);
    } else if (value_is(type, "replay_complete")) {
        if (w->state != WATCHER_REPLAY || w->next != w->head + 1 ||
            value_number(&s->fields[SCAN_SEQ], 0) != w->head) {
            problem(w, "a replay_complete that is not at the head");
        }
        live(w, now);
    } else if (value_is(type, "unsubscribed")) {
        if (hooks->unsubscribed != NULL) {
            hooks->unsubscribed(w);
        }
    } else if (value_is(type, "nack")) {
        char text[200];
        snprintf(text, sizeof text, "refused: %.*s", (int)s->fields[SCAN_CODE].length,
                 s->fields[SCAN_CODE].at != NULL ? s->fields[SCAN_CODE].at : "");
        problem(w, text);
    }
}

// The stamps of the chunks whose last byte has come.
static void take_stamps(struct watcher *w, int64_t now)
{
    struct world *world = watcher_world(w);
    const struct record *r = &w->session->record;
    bool counts = !w->silent && w->next > w->head && w->state == WATCHER_LIVE;
    for (; w->stamp < r->stamp_count && r->stamps[w->stamp].end <= w->text; w->stamp++) {
        int64_t at = r->stamps[w->stamp].at;
        if (counts && at >= world->measure_from && at < world->measure_to) {
            histogram_add(&world->latency, (uint64_t)(now > at ? now - at : 0));
        }
    }
}

static bool take_event(struct watcher *w, const struct facts *facts)
{
    bool folded = facts->from < facts->seq;
    if (facts->seq < w->next) {
        problem(w, "an event that was there before");
        return false;
    }
    if (folded ? facts->from > w->next : facts->seq != w->next) {
        problem(w, "an event after a hole");
        return false;
    }
    if (facts->kind == KIND_TEXT_DELTA || facts->kind == KIND_TEXT_COMPLETE) {
        bool whole = facts->kind == KIND_TEXT_COMPLETE;
        uint64_t wanted = folded || !whole ? facts->begin : facts->end;
        // In a replay a complete text may stand for deltas that came before other events.
        bool may_catch_up = folded || (whole && w->state == WATCHER_REPLAY);
        if (may_catch_up ? w->text < facts->begin || w->text > facts->end : w->text != wanted) {
            problem(w, "text with a hole or a repetition");
            return false;
        }
        w->text = facts->end;
    }
    w->sum += facts->sum;
    w->next = facts->seq + 1;
    return true;
}

static void message(struct connection *c, const char *text, size_t length, int64_t now)
{
    struct watcher *w = (struct watcher *)c; // its first member
    struct world *world = watcher_world(w);
    struct facts facts;
    struct scan scan;
    const char *why = NULL;
    w->bytes += length;
    if (!record_take(&w->session->record, text, length, &facts, &scan, &why)) {
        problem(w, why);
        watcher_drop(w, false);
        return;
    }
    if (facts.kind == KIND_CONTROL) {
        take_control(w, &scan, now);
        return;
    }
    if (w->session->record.asked[0] != '\0') {
        world_answer(world, w->session);
    }
    world->deliveries++;
    world->delivered_bytes += length;
    world->wire_bytes += c->frame;
    w->events++;
    w->folded += facts.from < facts.seq;
    if (!take_event(w, &facts)) {
        watcher_drop(w, false);
        return;
    }
    take_stamps(w, now);
    if (facts.permission != PERMISSION_NONE && world->hooks->permission != NULL) {
        world->hooks->permission(w, facts.permission, now);
    }
    if (world->hooks->event != NULL) {
        world->hooks->event(w);
    }
}

static void opened(struct connection *c)
{
    struct watcher *w = (struct watcher *)c;
    w->state = WATCHER_SUBSCRIBING;
    w->retries = 0;
    if (watcher_world(w)->options->plain) {
        live(w, clock_us()); // who is connected watches
    }
    opening_ends(w);
}

static void closed(struct connection *c, int code, const char *why)
{
    struct watcher *w = (struct watcher *)c;
    struct world *world = watcher_world(w);
    bool opening = w->state == WATCHER_OPENING;
    w->state = WATCHER_OFF;
    if (opening) {
        world->refused++;
        opening_ends(w);
        if (++w->retries < RETRIES_MAX) {
            world->retries++;
            timer_arm(&world->loop, &w->timer, clock_us() + RETRY_US);
            return;
        }
    }
    char text[200];
    snprintf(text, sizeof text, "closed by the server: %d %s", code, why);
    problem(w, text);
}

static const struct connection_events events = {.open = opened, .text = message, .closed = closed};

static void fire(struct timer *timer)
{
    struct watcher *w = (struct watcher *)((char *)timer - offsetof(struct watcher, timer));
    const struct watcher_hooks *hooks = watcher_world(w)->hooks;
    if (w->state == WATCHER_OFF && w->retries > 0) {
        watcher_connect(w);
    } else if (hooks->timer != NULL) {
        hooks->timer(w);
    }
}

void watcher_init(struct watcher *w, struct session *s, size_t index)
{
    long addresses = s->world->options->addresses;
    *w = (struct watcher){.session = s, .state = WATCHER_OFF, .timer.fire = fire, .next = 1};
    // 127.0.1.1 and so on: each has all the ports for itself.
    w->source = 0x7f000101U + (uint32_t)(index % (size_t)addresses);
    connection_init(&w->connection, &s->world->loop, &events);
}
