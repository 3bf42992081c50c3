#define _GNU_SOURCE
#include "signalbox/role/watch.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "watch_paths.h"

enum {
    /* An editor's rename, chmod and write are looked at as one change. */
    SETTLE_MS = 50,
    /* A file that was emptied, made or taken away is not what its writer means: the rest is waited
       for. */
    UNFINISHED_MS = 1000,
    DELAY_MAX_MS = 3000,
    ROUNDS_MAX = 8, /* of arming and reading, while somebody exchanges links under our hands */
    EVENTS_SIZE = 16 * 1024,
    NAMES_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                 IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD,
    FILE_MASK = NAMES_MASK | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB,
    FOLDER_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT,
    UNFINISHED = IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM,
};

struct watch {
    /* fixed */
    struct config_store *store;
    const struct config_source *source;
    void (*changed)(void *context, enum watch_change what);
    void *context;
    struct mailbox *box;
    struct thread thread;
    /* shared */
    atomic_bool stopping, asked;
    /* the watch thread's */
    int inotify; /* -1: not to be had */
    struct watch_paths paths;
    struct config_error refused; /* the last one, until a load is fine */
    bool complained;             /* that a folder cannot be watched */
    /* When to look, and when at the latest; INSTANT_NEVER: nothing has happened. */
    struct instant due, latest;
};

enum err watch_new(struct watch **out, struct config_store *store,
                   const struct config_source *source,
                   void (*changed)(void *context, enum watch_change what), void *context)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return ERR_NOMEM;
    }
    *watch = (struct watch){.store = store,
                            .source = source,
                            .changed = changed,
                            .context = context,
                            .inotify = -1,
                            .due = INSTANT_NEVER};
    enum err err = mailbox_new(&watch->box, "watch", 0);
    if (err != ERR_OK) {
        free(watch);
        return err;
    }
    *out = watch;
    return ERR_OK;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    fd_close(watch->inotify);
    watch_paths_free(&watch->paths);
    config_error_free(&watch->refused);
    mailbox_free(watch->box);
    free(watch);
}

/* ---- Which folders are watched ---- */

/* The files of the snapshot in force, and the one for which the last load was refused: it may be
 * mended or appear. */
static enum err wanted_paths(const struct watch *watch, struct watch_paths *wanted)
{
    const struct config *config = config_current_get(watch->store);
    const char *const files[] = {watch->source->file, config->tokens_file, config->theme_file,
                                 watch->refused.file};
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i] != NULL && files[i][0] == '/') {
            err = watch_paths_add(wanted, files[i]);
        }
    }
    config_put(config);
    return err;
}

static void complain(struct watch *watch, const char *folder, int number)
{
    if (!watch->complained) {
        log_warn("a folder cannot be watched, changes in it are seen on SIGHUP only", "folder",
                 "%s", folder, "reason", "%s", err_text(err_from_errno(number)), NULL);
    }
    watch->complained = true;
}

static bool has_wd(const struct watch_paths *paths, int wd)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (paths->items[i].wd == wd) {
            return true;
        }
    }
    return false;
}

/* Takes `wanted` over. */
static void arm(struct watch *watch, struct watch_paths *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        struct watch_path *path = &wanted->items[i];
        path->wd =
            inotify_add_watch(watch->inotify, path->folder, path->is_file ? FILE_MASK : NAMES_MASK);
        if (path->wd < 0 && path->is_file) {
            complain(watch, path->folder, errno);
        }
    }
    for (size_t i = 0; i < watch->paths.count; i++) {
        int wd = watch->paths.items[i].wd;
        if (wd >= 0 && !has_wd(wanted, wd)) {
            /* One that is gone with its folder fails, which is as good. */
            (void)inotify_rm_watch(watch->inotify, wd);
        }
    }
    watch_paths_free(&watch->paths);
    watch->paths = *wanted;
}

/* True when what is watched had to change: then what was read before may be old. */
static bool rearm(struct watch *watch)
{
    struct watch_paths wanted = {0};
    if (watch->inotify < 0) {
        return false;
    }
    enum err err = wanted_paths(watch, &wanted);
    if (err != ERR_OK) {
        log_error("what to watch cannot be told", "reason", "%s", err_text(err), NULL);
        watch_paths_free(&wanted);
        return false;
    }
    bool differs = !watch_paths_equal(&wanted, &watch->paths);
    /* Also when nothing differs: a folder may have been replaced by another of its name. */
    arm(watch, &wanted);
    return differs;
}

/* ---- Loading ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void refuse(struct watch *watch, struct config_error *error)
{
    bool known = watch->refused.reason != NULL && same_text(watch->refused.file, error->file) &&
                 watch->refused.line == error->line &&
                 same_text(watch->refused.reason, error->reason);
    if (!known) {
        metric_add(METRIC_CONFIG_ERRORS, 1);
        char *where = config_error_where(error);
        log_error("configuration refused, the one before stays in force", "at", "%s", where,
                  "reason", "%s", error->reason, NULL);
        free(where);
        config_store_report(watch->store, error);
    }
    config_error_free(&watch->refused);
    watch->refused = *error;
}

static void warn_restart(const struct config *config)
{
    for (size_t i = 0; i < config->restart_needed.count; i++) {
        log_warn("an option was changed that needs a restart, its value stays", "option", "%s",
                 config->restart_needed.items[i], NULL);
    }
}

/* Takes both over. */
static void accept(struct watch *watch, const struct config *running, struct config *config)
{
    bool settings = !config_same_settings(running, config);
    bool theme = !config_same_theme(running, config);
    config_put(running);
    if (settings || theme) {
        config_store_publish(watch->store, config);
        metric_add(METRIC_CONFIG_RELOADS, 1);
    }
    if (watch->refused.reason != NULL) {
        log_info("configuration is fine again", NULL);
        config_error_free(&watch->refused);
        config_store_report(watch->store, NULL);
    }
    if (settings) {
        log_info("configuration published", "file", "%s", watch->source->file, NULL);
        warn_restart(config);
        watch->changed(watch->context, WATCH_CONFIG);
    }
    if (theme) {
        log_info("theme published", NULL);
        watch->changed(watch->context, WATCH_THEME);
    }
    if (!settings && !theme) {
        config_put(config);
    }
}

static void load(struct watch *watch)
{
    struct config_error error = {0};
    struct config *config = NULL;
    const struct config *running = config_current_get(watch->store);
    if (config_load(&config, watch->source, running, &error) == ERR_OK) {
        accept(watch, running, config);
    } else {
        config_put(running);
        refuse(watch, &error);
    }
}

/* Arms first and reads then, so a change is either read or still to be told of. */
static void look(struct watch *watch)
{
    int rounds = 0;
    (void)rearm(watch);
    do {
        load(watch);
    } while (rearm(watch) && ++rounds < ROUNDS_MAX);
}

/* ---- The thread ---- */

static bool concerns_us(const struct watch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        return true;
    }
    for (size_t i = 0; i < watch->paths.count; i++) {
        const struct watch_path *path = &watch->paths.items[i];
        if (path->wd == event->wd && ((event->mask & FOLDER_GONE) != 0 ||
                                      (event->len > 0 && strcmp(event->name, path->name) == 0))) {
            return true;
        }
    }
    return false;
}

static void note(struct watch *watch, const struct inotify_event *event)
{
    struct instant now = clock_now();
    if (watch->due.ns == INSTANT_NEVER.ns) {
        watch->latest = instant_after_ms(now, DELAY_MAX_MS);
    }
    struct instant due =
        instant_after_ms(now, (event->mask & UNFINISHED) != 0 ? UNFINISHED_MS : SETTLE_MS);
    watch->due = instant_earlier(due, watch->latest);
}

static void drain(struct watch *watch)
{
    _Alignas(struct inotify_event) char events[EVENTS_SIZE];
    ssize_t length;
    while (watch->inotify >= 0 && (length = read(watch->inotify, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + length;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            if (concerns_us(watch, event)) {
                note(watch, event);
            }
            at += sizeof(*event) + event->len;
        }
    }
}

static void run(void *context)
{
    struct watch *watch = context;
    look(watch);
    while (!atomic_load(&watch->stopping)) {
        struct pollfd waits[] = {{.fd = mailbox_fd(watch->box), .events = POLLIN},
                                 {.fd = watch->inotify, .events = POLLIN}};
        (void)poll(waits, 2, clock_poll_timeout(watch->due));
        mailbox_clear(watch->box);
        drain(watch);
        if (atomic_exchange(&watch->asked, false) || instant_reached(watch->due, clock_now())) {
            watch->due = INSTANT_NEVER;
            look(watch);
        }
    }
}

static void open_inotify(struct watch *watch)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int number = errno;
    if (fd >= 0) {
        watch->inotify = fd_lift(fd);
        number = -watch->inotify;
    }
    if (fd < 0 || watch->inotify < 0) {
        watch->inotify = -1;
        log_warn("files are not watched, changes are seen on SIGHUP only", "reason", "%s",
                 err_text(err_from_errno(number)), NULL);
    }
}

enum err watch_start(struct watch *watch)
{
    open_inotify(watch);
    return thread_start(&watch->thread, THREAD_WATCH, -1, true, run, watch);
}

void watch_stop(struct watch *watch)
{
    if (!watch) {
        return;
    }
    atomic_store(&watch->stopping, true);
    mailbox_poke(watch->box);
    thread_join(&watch->thread);
}

void watch_look(struct watch *watch)
{
    atomic_store(&watch->asked, true);
    mailbox_poke(watch->box);
}

const struct mailbox *watch_mailbox(const struct watch *watch)
{
    return watch->box;
}
