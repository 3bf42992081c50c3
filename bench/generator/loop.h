// One thread's epoll and timers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at;   // monotonic microseconds
    size_t place; // in the heap, from 1; 0: not armed
    void (*fire)(struct timer *timer);
};

// What epoll's events lead to; embedded in what has the descriptor.
struct source {
    void (*ready)(struct source *source, uint32_t events);
};

struct loop {
    int epoll;
    struct timer **heap;
    size_t timers;
    size_t room;
};

int64_t clock_us(void); // monotonic microseconds, the clock of the agents' stamps

void loop_open(struct loop *loop);
void loop_close(struct loop *loop);

void timer_arm(struct loop *loop, struct timer *timer, int64_t at);
void timer_cancel(struct loop *loop, struct timer *timer);

// Runs until `done` says so (asked every 10 ms; NULL: never) or the time has come. True when done.
bool loop_run(struct loop *loop, bool (*done)(void *context), void *context, int64_t until);

// From here on SIGINT, SIGTERM and SIGHUP end the program in order: the next look at them does, which waits and loops take
// now and then. What stands behind atexit() is done.
void signals_open(void);
void signals_look(void);

// Ends the program with a message: nothing here goes on without memory or descriptors.
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *take(void *old, size_t size); // realloc that does not fail
