#pragma once
/*
 * The threads of the house. Each has a role, whose name is its file, its name in the debugger and its name in
 * the docs; a function that belongs to a role asserts it first.
 */
#include <pthread.h>
#include <stdbool.h>

#include "signalbox/base/err.h"

#define THREAD_ROLES(X)                                                                            \
    X(NONE, "none")                                                                                \
    X(MAIN, "main")                                                                                \
    X(HTTP, "http")                                                                                \
    X(SOCKET, "socket")                                                                            \
    X(DISPATCH, "dispatch")                                                                        \
    X(AGENT, "agent")                                                                              \
    X(FILES, "files")                                                                              \
    X(TIMER, "timer")                                                                              \
    X(JOURNAL, "journal")                                                                          \
    X(HISTORY, "history")                                                                          \
    X(DEFLATE, "deflate")                                                                          \
    X(MAINTENANCE, "maintenance")                                                                  \
    X(WIRELOG, "wirelog")                                                                          \
    X(WATCH, "watch")

enum thread_role {
#define X(symbol, name) THREAD_##symbol,
    THREAD_ROLES(X)
#undef X
};

struct thread {
    pthread_t handle;
    bool started;
};

/* Starts `run(context)` as `role`; `index` >= 0 is appended to the name (socket/0). All signals are blocked in
 * it (main takes them), and it is registered with RCU for its life if `rcu_reader`. */
must_check enum err thread_start(struct thread *thread, enum thread_role role, int index, bool rcu_reader,
                                 void (*run)(void *context), void *context);
/* Waits for its end. Fine on one that was never started. */
void thread_join(struct thread *thread);
/* Nobody will wait for its end any more. */
void thread_leave(struct thread *thread);

/* For threads that we did not start (main, CivetWeb's). */
void thread_adopt(enum thread_role role, int index);
/* Tests step roles without threads: adopt the role, step, and go back. */
enum thread_role thread_role(void);
/* "socket/0"; thread-local storage. */
const char *thread_name(void);

void thread_check_failed(enum thread_role expected) __attribute__((noreturn, cold));
extern _Thread_local enum thread_role thread_role_current;
static inline void thread_check(enum thread_role role)
{
    if (__builtin_expect(thread_role_current != role, 0)) {
        thread_check_failed(role);
    }
}
