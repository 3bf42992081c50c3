#pragma once
/*
 * Session events: what a session's log is made of (docs/protocol.md, "From the server: session events").
 *
 * An event is built as the *tail* of its JSON object, `,"type":"...","sessionId":"..." ... }`, in a frame with
 * room in front; the dispatcher seals it with `{"seq":N,"ts":T`, and `,"began":B` where it is more of a block. So it is encoded
 * once, where it was made.
 */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/err.h"
#include "signalbox/base/frame.h"

/*
 * Every kind has its rule of folding (docs/protocol.md, "What is folded"), so a new kind without one does not
 * compile:
 *   KEEP   stays                     LAST   only the last one of its kind stays
 *   DELTA  dropped when its message is complete, else joined to one
 *   WHOLE  a finished message        TOOL_* the parts of a tool call
 *   MESSAGE a user's message: its last status stays
 */
#define EVENT_KINDS(X)                                                                             \
    X(SESSION_CREATED, "session_created", KEEP)                                                    \
    X(SESSION_CLOSED, "session_closed", KEEP)                                                      \
    X(STATUS, "status", LAST)                                                                      \
    X(USER_MESSAGE, "user_message", MESSAGE)                                                       \
    X(TURN_STARTED, "turn_started", KEEP)                                                          \
    X(TEXT_DELTA, "text_delta", DELTA)                                                             \
    X(TEXT_COMPLETE, "text_complete", WHOLE)                                                       \
    X(THOUGHT_DELTA, "thought_delta", DELTA)                                                       \
    X(THOUGHT_COMPLETE, "thought_complete", WHOLE)                                                 \
    X(TOOL_START, "tool_start", TOOL_START)                                                        \
    X(TOOL_OUTPUT, "tool_output", TOOL_OUTPUT)                                                     \
    X(TOOL_UPDATE, "tool_update", TOOL_UPDATE)                                                     \
    X(TOOL_RESULT, "tool_result", TOOL_RESULT)                                                     \
    X(PLAN, "plan", LAST)                                                                          \
    X(COMMANDS, "commands", LAST)                                                                  \
    X(MODE, "mode", LAST)                                                                          \
    X(CONFIG_OPTIONS, "config_options", LAST)                                                      \
    X(PROMPT_CAPABILITIES, "prompt_capabilities", KEEP)                                            \
    X(USAGE, "usage", LAST)                                                                        \
    X(TITLE, "title", LAST)                                                                        \
    X(POLICY, "policy", LAST)                                                                      \
    X(PERMISSION_REQUEST, "permission_request", KEEP)                                              \
    X(PERMISSION_RESOLVED, "permission_resolved", KEEP)                                            \
    X(PERMISSION_TIMEOUT, "permission_timeout", KEEP)                                              \
    X(PERMISSION_CANCELLED, "permission_cancelled", KEEP)                                          \
    X(COMPLETE, "complete", KEEP)                                                                  \
    X(ERROR, "error", KEEP)                                                                        \
    X(AGENT_UPDATE, "agent_update", KEEP)

enum event_kind {
#define X(symbol, name, fold) EVENT_##symbol,
    EVENT_KINDS(X)
#undef X
        EVENT_KIND_COUNT
};

const char *event_name(enum event_kind kind);
/* -1 for a name that is no kind of ours. */
int event_kind_of(const char *name);

/* One event on its way, not yet numbered. */
struct event {
    enum event_kind kind;
    struct frame *frame;    /* unsealed tail; the event owns this reference */
    uint64_t began;         /* of more of a text or a thought: the number of the event that began it; 0: none, or itself */
    int64_t at_wall_ms;     /* its `ts`, unless an earlier number has a later one */
    struct instant line_at; /* when the agent's line was read; ns 0 for events of our own making */
};

/*
 * Building: event_open writes `,"type":...,"sessionId":...` and, when `turn_id` is not NULL, `"turnId"`; then the
 * fields, by json_field_*; event_close writes the brace and makes the event. `out` is scratch and is reset by
 * event_open. ERR_NOMEM when anything could not be allocated.
 */
void event_open(struct buffer *out, enum event_kind kind, const char *session_id, const char *turn_id);
must_check enum err event_close(struct buffer *out, enum event_kind kind, int64_t at_wall_ms, struct event *event);
void event_discard(struct event *event);

/* Whether the event is a piece of a text or a thought, and whether it ends one. */
enum event_block { EVENT_NO_BLOCK, EVENT_BLOCK_PIECE, EVENT_BLOCK_END };
enum event_block event_block(enum event_kind kind);

enum { EVENT_STAMPS_MAX = 82 }; /* what event_number writes in front */
/* Seals the event's frame with its number, its stamp, and `began`. Once. */
void event_number(struct event *event, uint64_t seq, int64_t ts_wall_ms);
