/* The files thread and its mail. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "files_internal.h"
#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/files.h"
#include "signalbox/role/files.h"

/* Who stops may be gone, and the mailboxes with it, by the time a hanging file system lets the thread go on: an answer
 * is given only in the state ANSWERING, which is never left for LEFT. */
enum state { WORKING, ANSWERING, LEFT };

struct files {
    struct mailbox *box;
    struct thread thread;
    struct mail stop;
    int ended; /* eventfd */
    _Atomic(int) state;
};

/* False when nobody is there any more. */
static bool answer(struct files *files, struct file_request *request)
{
    int working = WORKING;
    if (!atomic_compare_exchange_strong(&files->state, &working, ANSWERING)) {
        return false;
    }
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
    atomic_store(&files->state, WORKING);
    return true;
}

static void files_run(void *context)
{
    struct files *files = context;
    thread_check(THREAD_FILES);
    for (bool stop = false; !stop;) {
        mailbox_wait(files->box, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(files->box));) {
            if (mail->kind == FILES_STOP) {
                stop = true;
                continue;
            }
            CHECK(mail->kind == FILES_REQUEST);
            struct file_request *request = container_of(mail, struct file_request, mail);
            metric_add(METRIC_AGENT_FILES, 1);
            files_work(&request->call);
            if (!answer(files, request)) {
                return;
            }
        }
    }
    uint64_t one = 1;
    ssize_t ignored = write(files->ended, &one, sizeof(one));
    (void)ignored; /* the counter is not full: it is written once */
}

enum err files_start(struct files **out)
{
    struct files *files = calloc(1, sizeof(*files));
    if (!files) {
        return ERR_NOMEM;
    }
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    files->ended = fd < 0 ? -errno : fd_lift(fd);
    enum err err = files->ended < 0 ? err_from_errno(-files->ended) : mailbox_new(&files->box, "files", 0);
    if (!err) {
        /* It is no reader of RCU: grace periods must not depend on a disk. */
        err = thread_start(&files->thread, THREAD_FILES, -1, false, files_run, files);
    }
    if (err) {
        mailbox_free(files->box);
        fd_close(files->ended);
        free(files);
        return err;
    }
    *out = files;
    return ERR_OK;
}

struct mailbox *files_mailbox(struct files *files)
{
    return files->box;
}

static bool wait_ended(struct files *files, int64_t patience_ms)
{
    struct instant deadline = instant_after_ms(clock_now(), patience_ms);
    for (;;) {
        struct pollfd waited = {.fd = files->ended, .events = POLLIN};
        if (poll(&waited, 1, clock_poll_timeout(deadline)) > 0) {
            return true;
        }
        if (instant_reached(deadline, clock_now())) {
            return false;
        }
    }
}

void files_stop(struct files *files, int64_t patience_ms)
{
    if (!files) {
        return;
    }
    files->stop.kind = FILES_STOP;
    mailbox_push(files->box, &files->stop);
    while (!wait_ended(files, patience_ms)) {
        int working = WORKING;
        if (atomic_compare_exchange_strong(&files->state, &working, LEFT)) {
            thread_leave(&files->thread);
            log_error("a file system hangs: the files thread is left at its work", NULL);
            return;
        }
    }
    thread_join(&files->thread);
}

void files_free(struct files *files)
{
    if (!files || atomic_load(&files->state) == LEFT) {
        return;
    }
    mailbox_free(files->box);
    fd_close(files->ended);
    free(files);
}
