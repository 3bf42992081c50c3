#pragma once
/* The history thread's: what prompts that name blobs are asked for and filled with. */
#include "signalbox/mail/history.h"

/* HISTORY_CHECK. ERR_NOENT and ERR_TOOBIG with request->last. */
enum err history_check_blobs(struct store_reader *reader, struct history_request *request);
/* HISTORY_PROMPT: request->content to request->bytes. ERR_NOENT: a blob is gone. */
enum err history_fill_prompt(struct store_reader *reader, struct history_request *request);
