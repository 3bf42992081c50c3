#pragma once
/*
 * Closed turns are folded in the store (core/fold.h), the oldest first: a window of rows at a time
 * is read and folded here, and written by the journal between two groups, as one transaction. Every
 * window that was written leaves a right log, so this may end anywhere. A turn that is longer than
 * a window is gone through again, until that changes nothing: then it is done, and the store says
 * so together with the last window. Maintenance's own.
 */
#include "signalbox/base/mailbox.h"
#include "signalbox/store/store.h"

struct folding;
/* `box` gets MAINTENANCE_FOLDED. */
must_check enum err folding_new(struct folding **out, struct store_reader *reader,
                                struct mailbox *dispatch, struct mailbox *box);
void folding_free(struct folding *folding); /* NULL is fine */
/* Goes on with the next window, if none is under way and a turn ended before `after_ms` (0: never).
 * `wall_ms` is now. True: there is more to look at, after whatever else waits. */
must_check bool folding_go_on(struct folding *folding, int64_t after_ms, int64_t wall_ms);
/* Takes MAINTENANCE_FOLDED. */
void folding_written(struct folding *folding);
