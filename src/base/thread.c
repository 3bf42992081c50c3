#define _GNU_SOURCE
#include "signalbox/base/thread.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/rcu.h"

enum { NAME_SIZE = 16 }; /* what pthread_setname_np takes */

static const char *const role_names[] = {
#define X(symbol, name) [THREAD_##symbol] = name,
    THREAD_ROLES(X)
#undef X
};

_Thread_local enum thread_role thread_role_current = THREAD_NONE;
static _Thread_local char thread_name_current[NAME_SIZE] = "none";

struct start {
    enum thread_role role;
    int index;
    bool rcu_reader;
    void (*run)(void *context);
    void *context;
};

static void *begin(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    thread_adopt(start.role, start.index);
    if (start.rcu_reader) {
        rcu_thread_register();
    }
    start.run(start.context);
    if (start.rcu_reader) {
        rcu_thread_unregister();
    }
    return NULL;
}

enum err thread_start(struct thread *thread, enum thread_role role, int index, bool rcu_reader,
                      void (*run)(void *context), void *context)
{
    struct start *start = malloc(sizeof(*start));
    if (!start) {
        return ERR_NOMEM;
    }
    *start = (struct start){role, index, rcu_reader, run, context};

    /* The new thread inherits the mask, so there is no moment in which it could take a signal. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t handle;
    int failure = pthread_create(&handle, NULL, begin, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        free(start);
        return err_from_errno(failure);
    }
    thread->handle = handle;
    thread->started = true;
    return ERR_OK;
}

void thread_join(struct thread *thread)
{
    if (!thread->started) {
        return;
    }
    CHECK(pthread_join(thread->handle, NULL) == 0);
    thread->started = false;
}

void thread_leave(struct thread *thread)
{
    if (thread->started) {
        CHECK(pthread_detach(thread->handle) == 0);
        thread->started = false;
    }
}

void thread_adopt(enum thread_role role, int index)
{
    thread_role_current = role;
    if (index >= 0) {
        snprintf(thread_name_current, NAME_SIZE, "%s/%d", role_names[role], index);
    } else {
        snprintf(thread_name_current, NAME_SIZE, "%s", role_names[role]);
    }
    /*
     * json-c changes to the locale "C" and back for each text that it parses. Where it is that already, this costs
     * nothing; else it makes two locales and throws them away, which was a tenth of the agent thread.
     */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain) {
        uselocale(plain); /* glibc's own object: needs no memory and is not freed */
    }
    /* The name of the first thread is the name of the process, which should stay the program's. */
    if (gettid() != getpid()) {
        pthread_setname_np(pthread_self(), thread_name_current);
    }
}

enum thread_role thread_role(void)
{
    return thread_role_current;
}

const char *thread_name(void)
{
    return thread_name_current;
}

void thread_check_failed(enum thread_role expected)
{
    char what[64];
    snprintf(what, sizeof(what), "this is thread %s", role_names[expected]);
    check_failed(__FILE__, __LINE__, what);
}
