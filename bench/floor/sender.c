#define _GNU_SOURCE
#include "sender.h"

#include "generator/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// A thread wakes at most so often: what became due in between goes out at once, as it does where
// the kernel wakes a thread late.
enum { TICK_US = 1000 };

struct sender {
    pthread_t thread;
    struct watcher **watchers; // by plan
    size_t room;
};

static struct sender *senders;
static size_t sender_count;
static size_t next_sender;
static const struct plan *plans;
static size_t plan_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;

// One send for each frame. True when all frames before `until` are sent.
static bool push(struct watcher *w, const struct plan *p, size_t until)
{
    while (w->frame < until) {
        size_t begin = w->frame > 0 ? p->ends[w->frame - 1] : 0;
        size_t left = p->ends[w->frame] - begin - w->offset;
        ssize_t sent = send(w->fd, p->bytes + begin + w->offset, left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            return false;
        }
        if (sent < 0) {
            w->frame = p->frames; // it is closed
            return true;
        }
        if ((size_t)sent < left) {
            w->offset += (size_t)sent;
            return false;
        }
        w->offset = 0;
        w->frame++;
    }
    return true;
}

static void sleep_until(int64_t at)
{
    struct timespec time = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {
    }
}

static void *run(void *argument)
{
    struct sender *s = argument;
    pthread_mutex_lock(&lock);
    while (plans == NULL) {
        pthread_cond_wait(&begun, &lock);
    }
    pthread_mutex_unlock(&lock);
    int64_t now = clock_us();
    for (size_t n = 0; n < plan_count * plans[0].chunks; n++) {
        const struct plan *p = &plans[n % plan_count];
        int64_t due = plan_due(p, n / plan_count);
        if (due > now) {
            now = clock_us();
        }
        if (due > now) {
            sleep_until(due > now + TICK_US ? due : now + TICK_US);
            now = clock_us();
        }
        for (struct watcher *w = s->watchers[n % plan_count]; w != NULL; w = w->next) {
            push(w, p, plan_frames(p, n / plan_count));
        }
    }
    // Those who did not read as fast.
    for (bool all = false; !all; sleep_until(clock_us() + TICK_US)) {
        all = true;
        for (size_t i = 0; i < plan_count; i++) {
            for (struct watcher *w = s->watchers[i]; w != NULL; w = w->next) {
                all = (w->gone || push(w, &plans[i], plans[i].frames)) && all;
            }
        }
    }
    return NULL;
}

void senders_open(size_t threads)
{
    senders = take(NULL, threads * sizeof *senders);
    sender_count = threads;
    for (size_t i = 0; i < threads; i++) {
        char name[16];
        senders[i] = (struct sender){0};
        if (pthread_create(&senders[i].thread, NULL, run, &senders[i]) != 0) {
            die("no thread");
        }
        snprintf(name, sizeof name, "send/%u", (unsigned)(i % 1000));
        pthread_setname_np(senders[i].thread, name);
    }
}

void senders_add(size_t plan, struct watcher *w)
{
    struct sender *s = &senders[next_sender++ % sender_count];
    if (plan >= s->room) {
        size_t room = 2 * plan + 64;
        s->watchers = take(s->watchers, room * sizeof *s->watchers);
        memset(s->watchers + s->room, 0, (room - s->room) * sizeof *s->watchers);
        s->room = room;
    }
    w->next = s->watchers[plan];
    s->watchers[plan] = w;
}

void senders_begin(const struct plan *all, size_t count)
{
    for (size_t i = 0; i < sender_count; i++) {
        struct sender *s = &senders[i];
        if (s->room < count) {
            s->watchers = take(s->watchers, count * sizeof *s->watchers);
            memset(s->watchers + s->room, 0, (count - s->room) * sizeof *s->watchers);
            s->room = count;
        }
    }
    pthread_mutex_lock(&lock);
    plan_count = count;
    plans = all;
    pthread_cond_broadcast(&begun);
    pthread_mutex_unlock(&lock);
}
