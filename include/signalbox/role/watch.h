#pragma once
/*
 * The watch thread: it sees by inotify(7) that the configuration, tokens or theme file changed,
 * loads and checks everything, and publishes the new snapshot or keeps the old one. It watches
 * folders, not files, so a file that is replaced by rename, deleted and made again, or reached
 * through links that are exchanged, is seen all the same; and it compares contents, so a touch is
 * no change.
 *
 * A refused change is logged once and reported to the store (config_store_ok tells /readyz). Where
 * inotify cannot be had the server runs on without watching, and the log says so.
 */
#include "signalbox/base/err.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/share/config.h"

enum watch_change {
    WATCH_CONFIG, /* the configuration or the tokens file */
    WATCH_THEME,
};

struct watch;

/*
 * `store`, `source` and `context` must outlive the watch; `source` belongs to it until watch_free.
 * `changed` is called in the watch thread, after the publication, once per kind of change; it must
 * not block.
 */
must_check enum err watch_new(struct watch **out, struct config_store *store,
                              const struct config_source *source,
                              void (*changed)(void *context, enum watch_change what),
                              void *context);
/* What changed between loading the first snapshot and this call is seen too. Main. */
must_check enum err watch_start(struct watch *watch);
/* Returns when the thread has ended. Fine if it was never started; NULL is fine. Main. */
void watch_stop(struct watch *watch);
void watch_free(struct watch *watch); /* after watch_stop; NULL is fine */

/* Looks now, as SIGHUP asks for, also where there is no inotify. Any thread, async-signal-safe. */
void watch_look(struct watch *watch);
/* The mailbox behind watch_look, for metrics. */
const struct mailbox *watch_mailbox(const struct watch *watch);
