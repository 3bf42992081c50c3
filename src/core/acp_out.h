#pragma once
/* What the peer lets out: events and notices. */
#include <json-c/json.h>
#include <stddef.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"
#include "signalbox/core/agent.h"
#include "signalbox/core/blob.h"

struct acp_peer;

/* Sends what the delta window holds. */
void acp_flush(struct acp_peer *peer);
/* Opens an event of the running turn, after a flush, so that order is kept; the caller adds
 * fields and calls acp_event_send. One at a time. */
struct buffer *acp_event_open(struct acp_peer *peer, enum event_kind kind);
void acp_event_send(struct acp_peer *peer, enum event_kind kind);
/* The same for a part of a flush itself. `line_at`: when the first line of the batch was read. */
struct buffer *acp_delta_open(struct acp_peer *peer, enum event_kind kind);
void acp_delta_send(struct acp_peer *peer, enum event_kind kind, struct instant line_at);

/* Hands over what is to be stored before what refers to it; NULL is fine. */
void acp_blobs(struct acp_peer *peer, struct blob *blobs);

/* Hands the notice's contents over; nothing goes out when memory ran out while it was made, but
 * for the last one of a peer (NOTICE_EXITED, NOTICE_FAILED). */
void acp_notice(struct acp_peer *peer, struct agent_notice *notice);

enum { ACP_TEXT_MAX = 4096 };
/* A copy for a notice: well-formed UTF-8 without NULs, cut at `limit` bytes with an ellipsis.
 * NULL for NULL, and when memory ran out (then the peer's error is set). */
char *acp_copy(struct acp_peer *peer, const char *text, size_t limit);
/* The buffer's text as such a copy; the buffer is empty then. */
char *acp_take(struct acp_peer *peer, struct buffer *text, size_t limit);
/* The buffer's JSON text as a copy, as it stands. */
char *acp_take_json(struct acp_peer *peer, struct buffer *json);

/* Writes a value without the `_meta` members in it (facts of the agent's own, kept by the wire
 * log). */
void acp_put_clean(struct buffer *out, struct json_object *value);
/* NULL writes nothing. */
void acp_field_clean(struct buffer *out, const char *key, struct json_object *value);
