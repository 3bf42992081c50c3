#pragma once
/*
 * The wirelog thread: it keeps what the server and the agents say to each other, where the configuration wants it
 * (wire-log), in DATA/wire/SESSION/RUN-PART.jsonl, with secrets taken out, and removes what is too old or too much. It
 * may wait for the disk as long as it takes: nobody waits for it. What it is sent stands in mail/wirelog.h.
 */
#include "signalbox/base/mailbox.h"
#include "signalbox/share/config.h"

struct wirelog;
/* `config` must outlive it; `version` (the server's) too. Main. */
must_check enum err wirelog_start(struct wirelog **out, struct config_store *config, const char *version);
/* Where lines go. Any thread. */
struct mailbox *wirelog_mailbox(struct wirelog *wirelog);
/* Removes everything of a session; what its agents still say is not kept. Any thread, does not wait for it. */
must_check enum err wirelog_purge(struct wirelog *wirelog, const char *session_id);
/* Writes what waits, for a second at most, and ends the thread. Nobody may send any more. NULL is fine. Main. */
void wirelog_stop(struct wirelog *wirelog);
