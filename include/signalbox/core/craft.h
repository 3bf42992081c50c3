#pragma once
/* What craft's clients get over HTTP (docs/dialects.md): sessions and their messages, in craft's words, made of what the
 * native protocol has. Pure. */
#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"
#include "signalbox/base/json.h"

/* A session as it stands in lists (core/session.h, session_summary), but for the end: its messages follow, then `]}`. */
void craft_session_open(struct buffer *out, struct json_object *session);

/* Reads the events of a session, in order. A call of a tool becomes a message when it is over. */
struct craft_reader;
must_check enum err craft_reader_new(struct craft_reader **out);
void craft_reader_free(struct craft_reader *reader); /* NULL is fine */
/* The event's message, if it has one, with a comma in front of all but the first. ERR_NOMEM. */
must_check enum err craft_read(struct craft_reader *reader, struct buffer *out, struct json_object *event);
/* What is open at the end. */
void craft_read_end(struct craft_reader *reader, struct buffer *out);
/* The open requests of a `subscribed`, each as a message of its own for `put`: craft's clients know no other way to hear of
 * them. */
void craft_pending(struct json_object *subscribed, void (*put)(void *context, const struct buffer *text), void *context);
