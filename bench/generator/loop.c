#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, ASK_US = 10000, LONGEST_US = 1000000 };

int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    signalled = number;
}

void signals_open(void)
{
    struct sigaction action = {.sa_handler = on_signal}; // without SA_RESTART: who waits wakes
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void signals_look(void)
{
    if (signalled) {
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, strsignal(signalled));
        exit(128 + signalled);
    }
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *take(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (memory == NULL) {
        die("out of memory");
    }
    return memory;
}

void loop_open(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll < 0) {
        die("epoll: %s", strerror(errno));
    }
}

void loop_close(struct loop *loop)
{
    close(loop->epoll);
    free(loop->heap);
    *loop = (struct loop){.epoll = -1};
}

// ---- Timers: a binary heap whose entries know their place ----

static void put(struct loop *loop, size_t place, struct timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

static void sift(struct loop *loop, size_t place, struct timer *timer)
{
    while (place > 1 && loop->heap[place / 2]->at > timer->at) {
        put(loop, place, loop->heap[place / 2]);
        place /= 2;
    }
    while (2 * place <= loop->timers) {
        size_t child = 2 * place;
        if (child < loop->timers && loop->heap[child + 1]->at < loop->heap[child]->at) {
            child++;
        }
        if (loop->heap[child]->at >= timer->at) {
            break;
        }
        put(loop, place, loop->heap[child]);
        place = child;
    }
    put(loop, place, timer);
}

void timer_cancel(struct loop *loop, struct timer *timer)
{
    size_t place = timer->place;
    if (place == 0) {
        return;
    }
    struct timer *last = loop->heap[loop->timers--];
    timer->place = 0;
    if (last != timer) {
        sift(loop, place, last);
    }
}

void timer_arm(struct loop *loop, struct timer *timer, int64_t at)
{
    timer_cancel(loop, timer);
    timer->at = at;
    if (loop->timers + 2 > loop->room) {
        loop->room = loop->room == 0 ? 64 : 2 * loop->room;
        loop->heap = take(loop->heap, loop->room * sizeof *loop->heap);
    }
    loop->timers++;
    sift(loop, loop->timers, timer);
}

static void fire_timers(struct loop *loop)
{
    int64_t now = clock_us();
    while (loop->timers > 0 && loop->heap[1]->at <= now) {
        struct timer *timer = loop->heap[1];
        timer_cancel(loop, timer);
        timer->fire(timer);
    }
}

bool loop_run(struct loop *loop, bool (*done)(void *context), void *context, int64_t until)
{
    static struct epoll_event events[EVENTS];
    int64_t ask = 0;
    for (;;) {
        int64_t now = clock_us();
        if (done != NULL && now >= ask) {
            if (done(context)) {
                return true;
            }
            ask = now + ASK_US;
        }
        if (now >= until) {
            return false;
        }
        int64_t next = done != NULL && ask < until ? ask : until;
        if (loop->timers > 0 && loop->heap[1]->at < next) {
            next = loop->heap[1]->at;
        }
        int64_t wait = next <= now ? 0 : next - now < LONGEST_US ? next - now : LONGEST_US;
        struct timespec limit = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        // Not epoll_wait, whose time is whole milliseconds: what is due would be that late.
        int count = epoll_pwait2(loop->epoll, events, EVENTS, &limit, NULL);
        if (count < 0 && errno != EINTR) {
            die("epoll_wait: %s", strerror(errno));
        }
        signals_look();
        for (int i = 0; i < count; i++) {
            struct source *source = events[i].data.ptr;
            source->ready(source, events[i].events);
        }
        fire_timers(loop);
    }
}
