#pragma once
/*
 * The files thread: reads and writes files of workspaces for agents that ask for it (fs/read_text_file,
 * fs/write_text_file), one after the other, so that no other thread waits for the disk. Nothing outside of a
 * request's workspace is touched, whatever links there are or are made meanwhile.
 */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/err.h"
#include "signalbox/base/mailbox.h"

struct files;
/* Main. */
must_check enum err files_start(struct files **out);
/* Where struct file_request goes (mail/files.h). Any thread. */
struct mailbox *files_mailbox(struct files *files);
/* Ends the thread after the request that it is at; what waits is dropped. A file system that hangs is waited for
 * `patience_ms`; then the thread is left to itself, and answers nobody any more. Nobody may send mail any more, and the
 * mailboxes of those who asked must still be there. NULL is fine. Main. */
void files_stop(struct files *files, int64_t patience_ms);
/* After files_stop. Of a thread that was left nothing is freed. NULL is fine. Main. */
void files_free(struct files *files);
