#pragma once
/* Before the threads start: what a death of the server left open in the store is ended there, for everybody to see. */
#include "signalbox/base/err.h"
#include "signalbox/store/store.h"

/* Main. Blocks on the store. `max_event_bytes` as of the configuration. *ended gets the number of sessions that were
 * open. */
must_check enum err recover_sessions(struct store *store, size_t max_event_bytes, size_t *ended);
