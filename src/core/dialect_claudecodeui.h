#pragma once
/* What the files of claudecodeui's dialect share. */
#include "core/dialect_internal.h"

enum { CLAUDECODEUI_REQUEST_MAX = 220 };

struct claudecodeui_state {
    uint64_t commands; /* so many so far, for ids of their own */
    char *first_prompt; /* the `prompt` of a session that is being made: its members, but for the session */
    bool listed;        /* it has been told what waits */
};

/* What a command was for is told by its id: a letter, a number, a colon, and a name. */
enum claudecodeui_purpose {
    FOR_LIST = 'l',   /* what waits, for a client that has come */
    FOR_SYNC = 'y',   /* what waits in this session */
    FOR_CREATE = 'c',
    FOR_WATCH = 'w',  /* the stream of this session */
    FOR_STATUS = 's', /* the same, and its state */
    FOR_PROMPT = 'p',
    FOR_ABORT = 'a',
    FOR_ANSWER = 'r', /* to this request */
    FOR_ACTIVE = 'v',
};

/* A command whose id says what it was for. */
struct buffer *claudecodeui_command_open(struct dialect_out *out, const struct dialect_client *client, const char *type,
                                         enum claudecodeui_purpose purpose, const char *name);
void claudecodeui_watch(struct dialect_out *out, const struct dialect_client *client, enum claudecodeui_purpose purpose,
                        const char *session_id, const char *history);
/* `session_id` NULL, or "": of none. */
void claudecodeui_put_error(struct dialect_out *out, const char *session_id, const char *why, const char *code);

/* dialect_claudecodeui_events.c: what goes to its clients */
extern void (*const claudecodeui_events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *);
void claudecodeui_waiting(struct dialect_out *out, struct json_object *event);
void claudecodeui_ended(struct dialect_out *out, struct json_object *event);
void claudecodeui_put_status(struct buffer *text, struct json_object *state);
void claudecodeui_put_request(struct dialect_out *out, struct json_object *request);
void claudecodeui_put_queue(struct dialect_out *out, int64_t pending, int64_t at);

/* dialect_claudecodeui_messages.c: what comes from them */
extern const struct dialect_message claudecodeui_messages[];
