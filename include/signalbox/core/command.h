#pragma once
/*
 * What clients ask for, over WebSocket or REST alike (docs/protocol.md, "From the client: commands"). One table
 * names every field of every command; the parser, the JSON Schemas (`signalbox schema`) and /openapi.json are made
 * from it, so they cannot drift.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/digest.h"
#include "signalbox/base/err.h"
#include "signalbox/core/blob.h"

/* Bytes of an id that an agent has made up, and that comes back to it: of an option, a mode, a setting. */
enum { COMMAND_AGENT_ID_MAX = 4096 };

enum command_type {
    COMMAND_SUBSCRIBE,
    COMMAND_UNSUBSCRIBE,
    COMMAND_WATCH_SESSIONS,
    COMMAND_UNWATCH_SESSIONS,
    COMMAND_CREATE_SESSION,
    COMMAND_CLOSE_SESSION,
    COMMAND_PROMPT,
    COMMAND_WITHDRAW,
    COMMAND_RESUME_QUEUE,
    COMMAND_CANCEL,
    COMMAND_PERMISSION_RESPONSE,
    COMMAND_SET_POLICY,
    COMMAND_SET_MODE,
    COMMAND_SET_CONFIG_OPTION,
    COMMAND_SEEN,
    COMMAND_PING,
    COMMAND_LIST_PERMISSIONS, /* REST only: GET /v1/permissions */
    COMMAND_GET_SESSION,      /* REST only: GET /v1/sessions/{id} */
    COMMAND_DELETE_RULE,      /* REST only: DELETE /v1/rules/{id} */
    COMMAND_ERASE_SESSION,    /* REST only: DELETE /v1/sessions/{id}?purge=1, when it is closed */
    COMMAND_STORE_BLOB,       /* REST only: POST /v1/sessions/{id}/blobs */
    COMMAND_AGENT_STATES,     /* REST only: GET /v1/agents, the part that only the dispatcher knows */
    COMMAND_TYPE_COUNT
};

enum flag { FLAG_ABSENT = -1, FLAG_NO = 0, FLAG_YES = 1 };
enum history_mode { HISTORY_DEFAULT, HISTORY_FULL, HISTORY_TURN, HISTORY_NONE };

/* A blob that a prompt names. */
struct blob_use {
    struct digest name;
    size_t index; /* of the block in `content` */
};

/* One command, parsed and checked for form. Texts are malloc'd, NULL where absent, and valid UTF-8. */
struct command {
    enum command_type type;
    char *id; /* of the client's making */
    char *session_id, *message_id, *request_id, *turn_id;
    char *agent, *workspace, *title;
    char *text;
    char *content; /* JSON text of an array of ACP content blocks */
    unsigned content_needs; /* what an agent must be able to take for them: enum agent_can */
    char *option_id, *decision, *message;
    enum flag allowed, allow, always_allow, all;
    char *updated_input; /* JSON text */
    char *rule_id;
    char *remember_scope, *remember_match;
    int64_t remember_expires_at; /* 0: absent */
    char *policy, *mode_id, *config_id;
    char *value; /* JSON text */
    bool has_after;
    char *after_epoch;
    uint64_t after_seq;
    enum history_mode history;
    uint64_t seq;
    /* A prompt's: data that was taken out of its blocks, and what blobs the client itself names in them. The one blob of
     * COMMAND_STORE_BLOB. */
    struct blob *blobs;
    struct blob_use *uses;
    size_t use_count;
};
void command_free(struct command *command);

/* The codes of nacks and problem documents (docs/protocol.md). */
#define ANSWER_CODES(X)                                                                            \
    X(OK, "ok", 200)                                                                               \
    X(BAD_JSON, "bad_json", 400)                                                                   \
    X(BAD_MESSAGE, "bad_message", 400)                                                             \
    X(UNKNOWN_TYPE, "unknown_type", 400)                                                           \
    X(UNKNOWN_OPTION, "unknown_option", 400)                                                       \
    X(UNSUPPORTED, "unsupported", 400)                                                             \
    X(UNAUTHENTICATED, "unauthenticated", 401)                                                     \
    X(FORBIDDEN, "forbidden", 403)                                                                 \
    X(NOT_FOUND, "not_found", 404)                                                                 \
    X(ALREADY_RESOLVED, "already_resolved", 409)                                                   \
    X(CLOSED, "closed", 409)                                                                       \
    X(BUSY, "busy", 409)                                                                           \
    X(EXPIRED, "expired", 410)                                                                     \
    X(CANCELLED, "cancelled", 410)                                                                 \
    X(TOO_LARGE, "too_large", 413)                                                                 \
    X(RATE_LIMITED, "rate_limited", 429)                                                           \
    X(QUEUE_FULL, "queue_full", 429)                                                               \
    X(LIMIT_REACHED, "limit_reached", 429)                                                         \
    X(INTERNAL, "internal", 500)                                                                   \
    X(AGENT_UNAVAILABLE, "agent_unavailable", 503)                                                 \
    X(AGENT_FAILED, "agent_failed", 503)                                                           \
    X(STORAGE_UNAVAILABLE, "storage_unavailable", 503)                                             \
    X(SHUTTING_DOWN, "shutting_down", 503)

enum answer_code {
#define X(symbol, name, status) ANSWER_##symbol,
    ANSWER_CODES(X)
#undef X
        ANSWER_CODE_COUNT
};
const char *answer_code_name(enum answer_code code);
/* false if it is none of ours. */
bool answer_code_parse(const char *name, enum answer_code *out);
int answer_code_status(enum answer_code code); /* HTTP */
/* Whether the same command may succeed later without being changed. */
bool answer_code_retryable(enum answer_code code);

/* The answer to a command, before anybody's framing: `fields` is what an ack adds (`,"messageId":"..."`), or what a
 * nack adds beside code and message. */
struct answer {
    enum answer_code code;
    char *message;     /* of a refusal, for people; NULL for OK */
    char *fields;      /* JSON members, each with its leading comma; NULL for none */
};
void answer_clear(struct answer *answer);

/* Why a text is no command. */
struct command_error {
    enum answer_code code;  /* BAD_JSON, BAD_MESSAGE, UNKNOWN_TYPE; of a prompt's blocks NOT_FOUND, TOO_LARGE too */
    char field[64];         /* empty where none is to blame */
    char message[192];
    char *id;               /* the command's id, where it could be read; malloc'd */
};

/*
 * From a parsed WebSocket message. ERR_SYNTAX fills *error, whose `id` the caller frees; ERR_NOMEM. On success the caller
 * owns *out. `history` is HISTORY_DEFAULT where the message has none, or has `after`.
 */
must_check enum err command_parse(struct json_object *message, struct command **out, struct command_error *error);
/* From a REST body (may be NULL: no body) for a command whose type the route has chosen. `id`, `sessionId` and `requestId`
 * come from the header Idempotency-Key and the path: the caller sets them afterwards, and the body's are not looked at. */
must_check enum err command_parse_body(enum command_type type, struct json_object *body, struct command **out,
                                       struct command_error *error);
const char *command_name(enum command_type type);
/* Equal for commands that ask for the same, whatever their `id`: all fields of the table, in its order. Over REST after
 * what stands in the path is set. Any thread. */
void command_digest(const struct command *command, struct digest *out);
/* Whether its answer is remembered under its `id` (docs/protocol.md, "Ids"): whatever may change something. */
bool command_is_remembered(enum command_type type);

/* Wraps an answer as the WebSocket message `ack` or `nack` (`"id"` left out when NULL). */
void answer_write(struct buffer *out, const struct answer *answer, const char *id);

/* All message types of both directions as one JSON Schema document (2020-12). */
void schema_write(struct buffer *out);
/* The OpenAPI 3.1 description of the REST paths. */
void openapi_write(struct buffer *out, const char *version);
