#pragma once
/* Before the threads start: what a death of the server left open in the store is ended there, for everybody to see. */
#include "signalbox/base/err.h"
#include "signalbox/store/store.h"

/* Main. Blocks on the store. `max_event_bytes` as of the configuration. *ended gets the number of sessions that were
 * open. */
must_check enum err recover_sessions(struct store *store, size_t max_event_bytes, size_t *ended);
/* What is left in DATA/wire of sessions that the store does not know: they were erased, and the server died before all of
 * them was gone. `visit` gets each one's id, borrowed. Main. Blocks on the disk. */
must_check enum err recover_erased(struct store *store, const char *data_directory,
                                   void (*visit)(void *context, const char *session_id), void *context);
