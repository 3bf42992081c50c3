#pragma once
/*
 * The inside of an ACP peer, shared by its files:
 *   acp.c             its life: start, prompts, the end
 *   acp_open.c        from initialize to a session: login, resume, load, new
 *   acp_setting.c     modes, config options and models, and changing them
 *   acp_rpc.c         JSON-RPC: lines out, messages in, ids of both directions
 *   acp_update.c      session/update, one function a kind
 *   acp_block.c       the open message or thought
 *   acp_tool.c        tool calls; acp_tool_text.c their output and results
 *   acp_permission.c  session/request_permission; acp_command.c the words for it
 *   acp_files.c       fs/read_text_file, fs/write_text_file; acp_path.c the paths that agents name
 *   acp_terminal.c    terminal/create and so on
 *   acp_out.c         events and notices; cut.c keeps them short
 */
#include "core/acp_block.h"
#include "core/acp_files.h"
#include "core/acp_permission.h"
#include "core/acp_terminal.h"
#include "core/acp_tool.h"
#include "core/cut.h"
#include "core/delta.h"
#include "signalbox/base/buffer.h"
#include "signalbox/core/acp.h"

#define ACP_STATES(X)                                                                              \
    X(NEW)          /* nothing was said yet */                                                     \
    X(INITIALIZING) /* initialize is out */                                                        \
    X(OPENING)      /* authenticate, session/resume, load or new is out */                         \
    X(SETTLING)     /* loaded, and what the agent replays may still be coming */                   \
    X(READY)                                                                                       \
    X(FAILED) /* told by NOTICE_FAILED; the process is still there */                              \
    X(ENDED)  /* nothing goes out any more */

enum acp_state {
#define X(symbol) ACP_##symbol,
    ACP_STATES(X)
#undef X
};

/* Our own requests. Those that open the session come one after the other; afterwards there is at
 * most one prompt, beside some changes of settings. */
enum acp_call {
    ACP_CALL_NONE,
    ACP_CALL_INITIALIZE,
    ACP_CALL_AUTHENTICATE,
    ACP_CALL_SESSION_NEW,
    ACP_CALL_SESSION_LOAD,
    ACP_CALL_SESSION_RESUME,
    ACP_CALL_PROMPT,
    ACP_CALL_SET_MODE,
    ACP_CALL_SET_OPTION,
    ACP_CALL_SET_MODEL,
    ACP_CALL_CLOSE,
};
enum { ACP_CALLS_MAX = 32 };

/* One that has no answer yet. */
struct acp_outstanding {
    enum acp_call call; /* ACP_CALL_NONE: the place is free */
    const char *method; /* a constant */
    int64_t id;
    char *token; /* of a change of settings: whose it is; NULL for none */
    char *what;  /* of one: the mode or the model that is to be */
};

struct acp_peer {
    struct acp_sink sink;
    char *session_id, *cwd, *version;
    char *login; /* the method to authenticate with; NULL for none */
    uint64_t run;
    size_t max_message_text, max_event_bytes;
    bool keep_title;
    unsigned offers; /* enum acp_offer */
    bool read_only;

    enum acp_state state;
    enum err error; /* sticky: memory ran out, and what went out has a hole */
    struct instant now;
    int64_t wall_ms;
    struct instant line_at; /* of the agent's line that is being worked on; ns 0: none */

    struct acp_outstanding calls[ACP_CALLS_MAX];
    int64_t next_id;
    char *agent_session;              /* the agent's id of the session; NULL until it is known */
    struct json_object *auth_methods; /* of the initialize response */
    unsigned can;                     /* enum agent_can, of the initialize response */
    bool can_load, can_resume, can_close;
    bool logged_in;           /* authenticate was tried */
    bool replaying;           /* what comes of the conversation was said before */
    enum agent_memory memory; /* of the session as it is being opened */
    char *memory_why;         /* why it was lost; NULL where nothing is to be said */
    struct instant settle_at,
        settle_by; /* SETTLING: the replay is over when nothing came until then */

    struct json_object *modes;   /* availableModes */
    char *mode;                  /* the one that was shown last; NULL for none */
    struct json_object *options; /* the agent's configOptions */
    struct json_object *models; /* {currentModelId, availableModels} of agents that still have it */

    char *turn_id;       /* NULL outside a turn */
    uint64_t turn_count; /* of prompts so far */
    bool cancelling;     /* session/cancel was sent in this turn */

    struct delta_window window;
    struct acp_block block;
    struct acp_tools tools;
    struct acp_asks asks;
    struct acp_files files;
    struct acp_terminals terminals;
    uint64_t message_count, tool_count;

    struct cut_known known; /* blobs that are on their way to the store, or there */

    struct buffer event; /* scratch for one event */
    struct buffer line;  /* scratch for one line to the agent */
    struct buffer text;  /* scratch for the text that goes into one of them */
};

/* The state's allowed next states are a table in acp.c. */
void acp_enter(struct acp_peer *peer, enum acp_state next);
/* Nothing goes out any more. */
bool acp_peer_is_over(const struct acp_peer *peer);
/* The answer to our own request; `error` NULL when it is a result (which may be NULL: a JSON
 * null). `call` is borrowed, and its place is free again. */
void acp_answered(struct acp_peer *peer, const struct acp_outstanding *call,
                  struct json_object *result, struct json_object *error);
