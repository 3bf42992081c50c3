#pragma once
/* A dialect on the bench: what becomes of an event, a control message, or a client's message, as text. */
#include "signalbox/core/dialect.h"

struct dialect_bench {
    const struct dialect *dialect;
    struct json_parser *parser; /* of what clients say */
    struct json_parser *own;    /* of our own messages, which may be a little deeper */
    struct dialect_client client;
    bool watching; /* what `watches` says */
};
/* By its subprotocol; its client is of the session "s1". */
struct dialect_bench *dialect_bench_new(const char *subprotocol);
void dialect_bench_free(struct dialect_bench *bench);

/*
 * What comes of it, the caller's: a line for each frame ("< {...}"), each command ("> {...}", ">> {...}" for one by key)
 * and a close ("x 3001"). Every frame and command is checked to be JSON with a `type`; every command to be one that the
 * server takes the form of.
 */
char *dialect_bench_event(struct dialect_bench *bench, const char *event, bool replay);
char *dialect_bench_control(struct dialect_bench *bench, const char *control);
char *dialect_bench_message(struct dialect_bench *bench, const char *message);

/* Each kind of event, by enum event_kind, with every member that it may have; then the feed's two; then NULL. */
extern const char *const dialect_samples[];
/* For each sample: without each of its members, and with each one of each wrong type. */
void dialect_bench_wrong_events(struct dialect_bench *bench);
/* For each message of the dialect, made from `samples` (one for each, in order, with every member): a required member that
 * is missing, and members of wrong types, are refused by a frame, and come to no command. */
void dialect_bench_wrong_messages(struct dialect_bench *bench, const char *const *samples);

/*
 * Plays lines: `= EVENT` and `~ EVENT` (in a replay), `< CONTROL MESSAGE`, `!` (it watches the session, or no more), and
 * anything else is what the client says. What comes of them is checked as above; what is ours and no JSON is left out.
 */
void dialect_bench_play(struct dialect_bench *bench, const char *text, size_t length);
