#pragma once
/*
 * Memory for the dispatcher, who alone must not go on half: it changes sessions, and a change that is recorded in part
 * is worse than a server that stops. So when its small allocations fail, the process ends with a log line, and the
 * next start finishes what was open, as after any other death (docs/architecture.md, "When memory runs out").
 *
 * Never for sizes that a client or an agent chooses: their texts arrive allocated, and who received them returned
 * ERR_NOMEM if there was none.
 */
#include <stddef.h>

#include "signalbox/base/err.h"

void *need_zero(size_t size);                 /* calloc(1, size) */
char *need_copy(const char *text);            /* strdup; NULL stays NULL */
void need_ok(enum err err);                   /* ends the process on ERR_NOMEM and on any other failure */
