#pragma once
/* What the files of factory-factory's dialect share. */
#include "core/dialect_internal.h"

enum { FACTORY_FACTORY_LOAD_ID_MAX = 256, FACTORY_FACTORY_MESSAGE_ID_MAX = 160 };

struct factory_factory_state {
    uint64_t commands; /* so many so far, for ids of their own */
    uint64_t load;     /* the command of the last `load_session` */
    int64_t pending;   /* requests that wait, as far as the client was told */
    bool names_load;
    char load_id[FACTORY_FACTORY_LOAD_ID_MAX + 1]; /* what the client calls it */
};

/* Ids of commands: a letter, a number, a colon; but a prompt's is made of the client's own id for it, so that everybody
 * can be told of the prompt by that, and the client may send it once more. */
enum factory_factory_purpose { FOR_LOAD = 'l', FOR_WATCH = 'w', FOR_ANSWER = 'r', FOR_PENDING = 'p', FOR_OTHER = 'o' };

/* A command whose id says what it was for. */
struct buffer *factory_factory_command_open(struct dialect_out *out, const struct dialect_client *client,
                                            const char *type, enum factory_factory_purpose purpose);
/* The id of a prompt's command. */
void factory_factory_prompt_id(const char *session_id, const char *message_id, char *id, size_t size);
/* The client's own id in one of a prompt; NULL: it is another one's. */
const char *factory_factory_own_id(const char *session_id, const char *id);
void factory_factory_watch(struct dialect_out *out, const struct dialect_client *client,
                           enum factory_factory_purpose purpose, const char *history);
/* `id`: what the client calls it; NULL: it did not ask. */
void factory_factory_load(struct dialect_out *out, const struct dialect_client *client, const char *id);
void factory_factory_put_error(struct dialect_out *out, const char *why, const char *code);
void factory_factory_put_rejected(struct dialect_out *out, const char *message_id, const char *why, const char *code);

/* dialect_factory_factory_events.c: what goes to its clients */
extern void (*const factory_factory_events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *);
void factory_factory_put_runtime(struct buffer *text, struct json_object *state, int64_t at);
void factory_factory_put_request(struct buffer *text, struct json_object *request);

/* dialect_factory_factory_messages.c: what comes from them */
extern const struct dialect_message factory_factory_messages[];
