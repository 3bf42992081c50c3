#pragma once
/*
 * Replays, folded: the history thread's own.
 *
 * Who asks gets a piece; the fold that it came from is kept for the next one. Bounds: a slice reads
 * at most SLICE_ROWS rows, then the next replay has its turn; folds in work and kept take at most
 * FOLDS_MEMORY_MAX together (but for the first), and are kept for KEEP_MS; so are the last pieces,
 * for others who want the same, PIECES_BYTES_MAX of them. One that went is made anew from where it
 * was.
 */
#include "signalbox/base/clock.h"
#include "signalbox/mail/history.h"

struct folds;
must_check enum err folds_new(struct folds **out, struct store_reader *reader);
/* Everybody who waits has been answered before (folds_refuse). NULL is fine. */
void folds_free(struct folds *folds);
/* Takes a HISTORY_FRAMES or HISTORY_JSON; it is answered by a later step. */
void folds_ask(struct folds *folds, struct history_request *request);
/* One slice of one replay. False: nothing is to be done until somebody asks, or until folds_due. */
must_check bool folds_step(struct folds *folds);
/* When what is kept is too old; `now` lets it go. */
struct instant folds_due(const struct folds *folds);
void folds_expire(struct folds *folds, struct instant now);
/* Answers all who wait with this error. */
void folds_refuse(struct folds *folds, enum err err);
