#pragma once
/*
 * The inside of an ACP peer, shared by its files:
 *   acp.c             its life: initialize, session/new, prompts, the end
 *   acp_rpc.c         JSON-RPC: lines out, messages in, ids of both directions
 *   acp_update.c      session/update, one function a kind
 *   acp_block.c       the open message or thought
 *   acp_tool.c        tool calls; acp_tool_text.c their output and results
 *   acp_permission.c  session/request_permission; acp_command.c the words for it
 *   acp_out.c         events and notices
 */
#include "core/acp_block.h"
#include "core/acp_permission.h"
#include "core/acp_tool.h"
#include "core/delta.h"
#include "signalbox/base/buffer.h"
#include "signalbox/core/acp.h"

#define ACP_STATES(X)                                                                              \
    X(NEW)          /* nothing was said yet */                                                     \
    X(INITIALIZING) /* initialize is out */                                                        \
    X(OPENING)      /* session/new is out */                                                       \
    X(READY)                                                                                       \
    X(FAILED) /* told by NOTICE_FAILED; the process is still there */                              \
    X(ENDED)  /* nothing goes out any more */

enum acp_state {
#define X(symbol) ACP_##symbol,
    ACP_STATES(X)
#undef X
};

/* Our own requests. There is never more than one without an answer. */
enum acp_call { ACP_CALL_NONE, ACP_CALL_INITIALIZE, ACP_CALL_SESSION_NEW, ACP_CALL_PROMPT };

struct acp_peer {
    struct acp_sink sink;
    char *session_id, *cwd, *version;
    uint64_t run;
    size_t max_message_text;
    bool keep_title;

    enum acp_state state;
    enum err error; /* sticky: memory ran out, and what went out has a hole */
    struct instant now;
    int64_t wall_ms;
    struct instant line_at; /* of the agent's line that is being worked on; ns 0: none */

    enum acp_call call;
    int64_t call_id, next_id;
    char *agent_session;              /* the agent's id of the session; NULL until it is known */
    struct json_object *auth_methods; /* of the initialize response */
    struct json_object *modes;        /* availableModes of the session/new response */

    char *turn_id;       /* NULL outside a turn */
    uint64_t turn_count; /* of prompts so far */
    bool cancelling;     /* session/cancel was sent in this turn */

    struct delta_window window;
    struct acp_block block;
    struct acp_tools tools;
    struct acp_asks asks;
    uint64_t message_count, tool_count;

    struct buffer event; /* scratch for one event */
    struct buffer line;  /* scratch for one line to the agent */
    struct buffer text;  /* scratch for the text that goes into one of them */
};

/* The state's allowed next states are a table in acp.c. */
void acp_enter(struct acp_peer *peer, enum acp_state next);
/* The answer to our own request; `error` NULL when it is a result (which may be NULL: a JSON
 * null). */
void acp_answered(struct acp_peer *peer, enum acp_call call, struct json_object *result,
                  struct json_object *error);
