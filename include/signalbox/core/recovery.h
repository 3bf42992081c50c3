#pragma once
/*
 * What a death of the server left open in a session's log, and the events that end it: read the open part of the log,
 * then ask for them. Pure.
 */
#include <json-c/json.h>
#include <stdint.h>

#include "signalbox/base/err.h"
#include "signalbox/core/blob.h"
#include "signalbox/core/event.h"

struct recovery;
must_check enum err recovery_new(struct recovery **out, const char *session_id);
void recovery_free(struct recovery *recovery); /* NULL is fine */
/* The next event of the log, whole, in order, from where something was opened. Borrowed. ERR_CORRUPT: it is none; the next
 * one may be read all the same. */
must_check enum err recovery_read(struct recovery *recovery, struct json_object *event);
/* The requests that wait for an answer, oldest first, with what was shown of them (JSON text): for the audit, before
 * recovery_finish ends them. An error of `visit` stops it. Borrowed for the call. */
must_check enum err recovery_permissions(const struct recovery *recovery,
                                         enum err (*visit)(void *context, const char *request_id, const char *request),
                                         void *context);
/* The log is damaged: the status at the end is `failed`, and says so by this (borrowed until recovery_free). */
void recovery_set_apart(struct recovery *recovery, const char *detail);
/* Where what ends goes. What an event refers to passes to `blob` before it. An error stops it. */
struct recovery_sink {
    void *context;
    enum err (*event)(void *context, struct event *event);
    enum err (*blob)(void *context, struct blob *blob);
};
/*
 * Calls the sink for each event that ends what is open, in this order: text_complete or thought_complete,
 * tool_result{isError}, permission_cancelled, error, complete{stopReason:"server_restarted"}, status{stopped, or failed}. The event
 * passes to the sink. `status` always comes: no agent outlives its server. No event but message text is longer than
 * `max_event_bytes`.
 */
must_check enum err recovery_finish(struct recovery *recovery, int64_t wall_ms, size_t max_event_bytes,
                                    const struct recovery_sink *sink);
