#pragma once
/*
 * Dialects: the WebSocket messages of other agent hosts, for their clients (docs/dialects.md). A dialect is a table: what a
 * client asks for it by, what becomes of an event, of a control message, and of a client's message. The engine behind it
 * (numbers, replay, permissions, slow watchers) speaks the native protocol only: a dialect reads its JSON and writes it.
 *
 * - An *event* (of a session, or of the feed of all sessions) becomes frames by a pure function: the same bytes for every
 *   client, whenever it came, so they are made once and shared. So nothing in them may depend on what a client has seen.
 *   In a replay, which is folded, they may be others (`replay`): there a whole text stands for its deltas.
 *   A dialect has no positions: a session that its client watches already is subscribed to again with all its history only,
 *   since what has not been sent of the first subscription is not sent any more.
 * - A *control message* and a client's *message* are one client's own. They may use the dialect's state of that client,
 *   and come to frames, to commands, or to the end of the connection.
 *
 * No thread, no clock, no I/O; a `struct dialect_out` belongs to one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"
#include "signalbox/base/json.h"

/* How many there may be: each event in memory has a place for each (share/topic.h). */
enum { DIALECTS_MAX = 6, DIALECT_KEY_MAX = 256 };

/* A command for the engine: the JSON text of a native command (core/command.h), or of one that is REST only by its
 * name (`list_permissions`, `get_session`). */
struct dialect_command {
    const char *text;
    size_t length;
    /* Its `id` is as good as an Idempotency-Key: the client may say it again on another connection. */
    bool by_key;
};

/* What comes of something. All zero at first; dialect_out_free. */
struct dialect_out {
    const struct dialect *dialect;
    struct buffer frames;   /* WebSocket frames, one behind the other */
    struct buffer commands; /* see dialect_next_command */
    uint16_t close_code;    /* 0: the connection stays */
    const char *close_why;  /* static */
    /* The writer's: */
    struct buffer text, batch;
    bool replay; /* what is written is a piece of a folded replay: parts go into batches */
};
void dialect_out_free(struct dialect_out *out);
/* False: memory ran out, and what is in it is not whole. */
bool dialect_out_ok(const struct dialect_out *out);
/* The command behind `*at` (0 at first), which moves behind it. False: there is none. */
must_check bool dialect_next_command(const struct dialect_out *out, size_t *at, struct dialect_command *command);

/* What a dialect may know of the client that it answers. */
struct dialect_client {
    void *state;            /* the dialect's own, `state_size` bytes, zero at first; this client's */
    const char *session_id; /* that the URL names; empty for none */
    const char *user;
    const char *agent, *workspace; /* for a session whose maker does not say; NULL: none is configured */
    int64_t now_ms;         /* wall clock */
    /* Whether the client watches this session, or has asked to. */
    bool (*watches)(const struct dialect_client *client, const char *session_id);
    void *engine;
};

struct dialect {
    const char *name;
    const char *subprotocol;
    const char *path;        /* of its WebSocket; NULL: none of its own */
    bool native;             /* it is the native protocol: all below is NULL */
    bool needs_session;      /* its URL names a session: `?sessionId=` */
    /* By enum event_kind, EVENT_KIND_COUNT of them; NULL: nothing is shown of it. */
    void (*const *events)(struct dialect_out *out, struct json_object *event);
    /* Of the feed's messages, for who watches all sessions. NULL: nothing. */
    void (*waiting)(struct dialect_out *out, struct json_object *event); /* permission_waiting */
    void (*ended)(struct dialect_out *out, struct json_object *event);   /* permission_ended */
    /* Parts (dialect_part_*) stand in a frame of their own, between the first two; in a replay many stand in one frame,
     * between the others, commas between them. NULL: a part is a frame. */
    const char *part_open, *part_close, *batch_open, *batch_close;
    size_t state_size;
    void (*state_free)(void *state);
    void (*control)(struct dialect_out *out, const struct dialect_client *client, struct json_object *control);
    const char *kind;        /* the member of a message that names it; NULL: `type` */
    const struct dialect_message *messages; /* what its clients say; its last one has no name */
    /* A message that is none of these, or whose field is missing or wrong (`message` may be no object at all). */
    void (*refused)(struct dialect_out *out, const struct dialect_client *client, struct json_object *message,
                    const char *code, const char *why);
};

/* One kind of message of a dialect's clients. */
struct field;
struct dialect_message {
    const char *name; /* what its `type` says */
    const char *help;
    const struct field *fields; /* checked before it is taken */
    void (*take)(struct dialect_out *out, const struct dialect_client *client, struct json_object *message);
};

size_t dialect_count(void);
const struct dialect *dialect_at(size_t index); /* index < dialect_count() */
int dialect_index(const struct dialect *dialect);
/* By what a client offers, or by where it connects. NULL: none. */
const struct dialect *dialect_by_subprotocol(const char *name, size_t length);
const struct dialect *dialect_by_path(const char *path);

/*
 * What these WebSocket frames, each a native event, are in the dialect, behind what `frames` has already. `replay`: they
 * are one piece of a replay. ERR_NOMEM; ERR_CORRUPT for what is no event.
 */
must_check enum err dialect_events(const struct dialect *dialect, struct json_parser *parser, const char *native,
                                   size_t length, bool replay, struct buffer *frames);
/* A native control message for this client. */
void dialect_control(struct dialect_out *out, const struct dialect_client *client, struct json_object *control);
/* What a client said. */
void dialect_message(struct dialect_out *out, const struct dialect_client *client, struct json_object *message);
/* What was no JSON at all. */
void dialect_refuse(struct dialect_out *out, const struct dialect_client *client, const char *code, const char *why);

/* What its clients say, as a JSON Schema (2020-12), made from the table that messages are checked with. Not for one that is
 * native: it has no table of its own. */
void dialect_schema_write(struct buffer *out, const struct dialect *dialect);
