#pragma once
/*
 * permessage-deflate (RFC 7692) without context takeover: every message is compressed by itself, so the same bytes go to all who
 * negotiated it, and nothing is kept for a connection.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"

/*
 * What is agreed to of a Sec-WebSocket-Extensions header (RFC 7692, section 7.1): the first of its offers that we can keep, NULL
 * for none. The text is the answer's header. One that demands a smaller window than ours is declined, since then not everybody
 * could be sent the same; so is one that is not well-formed. Pure.
 */
const char *deflate_accept(const char *offers);

/* One thread's. Some 270 KB. */
struct deflater;
must_check enum err deflater_new(struct deflater **out);
void deflater_free(struct deflater *deflater); /* NULL is fine */
/*
 * Appends a text message as one compressed frame of a server, header and all. False: it does not pay (an eighth at least
 * must be saved), or there is no memory for it; then `out` is as it was.
 */
must_check bool deflate_frame(struct deflater *deflater, const char *text, size_t length, struct buffer *out);

/* One thread's. Some 40 KB. */
struct inflater;
must_check enum err inflater_new(struct inflater **out);
void inflater_free(struct inflater *inflater); /* NULL is fine */
/* The message behind the payload of a compressed one, appended. ERR_TOOBIG: it is longer than `most` (no more than that is ever
 * made of it); ERR_SYNTAX: it is no such thing; ERR_NOMEM. */
must_check enum err inflate_message(struct inflater *inflater, const void *payload, size_t length, size_t most,
                                    struct buffer *out);
