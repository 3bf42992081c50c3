#pragma once
/*
 * The Agent Client Protocol, seen from its client: one peer is one agent process that serves one session
 * (initialize, session/new, then prompts). Pure: it is given parsed lines, orders and the time, and it calls its
 * sink with lines to write, events and notices. It holds the delta window (docs/architecture.md, "The way of one
 * token") and knows the open message, the tool calls and the agent's own requests.
 *
 * All of it belongs to the agent-stream thread; every sink function is called within the call that led to it.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/err.h"
#include "signalbox/core/agent.h"
#include "signalbox/core/blob.h"
#include "signalbox/core/host_calls.h"

struct acp_sink {
    void *context;
    /* One line to the agent's stdin, newline included. Borrowed for the call. */
    void (*send)(void *context, const char *line, size_t length);
    /* The event and its frame pass to the callee. */
    void (*event)(void *context, struct event *event);
    /* What the next event or notice refers to, a list by `next`: to be stored before it. Passes to the callee. */
    void (*blobs)(void *context, struct blob *blobs);
    /* The notice's contents pass to the callee (agent_notice_clear). */
    void (*notice)(void *context, struct agent_notice *notice);

    /* The rest is only called where it is offered (acp_options.offers). */

    /* A file is to be read or written; acp_peer_file answers. The call's contents pass to the callee on success. */
    enum err (*file)(void *context, uint64_t serial, struct file_call *call);
    /* A command is to be run. On success acp_peer_terminal_started says whether it runs, later; on failure `why` (of
     * TERMINAL_WHY_SIZE bytes) may say more. */
    enum err (*terminal_start)(void *context, uint64_t number, const struct terminal_command *command, char *why);
    /* End it, with all that it started: in order, or at once, and then it is not spoken of any more. */
    void (*terminal_end)(void *context, uint64_t number, bool at_once);
};

/* What is done for an agent that asks for it; told to it in `initialize`. */
enum acp_offer { ACP_OFFER_FS = 1, ACP_OFFER_TERMINAL = 2 };

struct acp_options {
    const char *session_id; /* Signalbox's own; copied */
    const char *cwd;        /* absolute; copied */
    /* Makes messageId, toolUseId and requestId unique over restarts of agent and server: no earlier run of this
     * session had this number. */
    uint64_t run;
    int64_t delta_window_ms;
    size_t max_message_text; /* bytes of one text message before the server ends it and begins another */
    size_t max_event_bytes;  /* of an event that is no message text: what is longer is cut and kept as blobs */
    const char *version;     /* of clientInfo */
    bool keep_title;         /* a person has named the session: the agent's own title for it is no `title` event */
    const char *resume;      /* the agent's id of the session from an earlier run, to be resumed or loaded; NULL for
                                none. Copied */
    const char *login;       /* the authMethod to authenticate with when the agent wants a login; NULL for none.
                                Copied */
    unsigned offers;         /* of enum acp_offer */
    bool read_only;          /* see acp_peer_read_only */
};

struct acp_peer;
must_check enum err acp_peer_new(struct acp_peer **out, const struct acp_options *options, const struct acp_sink *sink);
void acp_peer_free(struct acp_peer *peer);

/* The time of what follows: the agent's line was read, or the order taken, at this moment. */
void acp_peer_time(struct acp_peer *peer, struct instant now, int64_t wall_ms);

/* Sends `initialize`; session/resume, load or new follow by themselves, then NOTICE_READY or NOTICE_FAILED. What an
 * agent replays of the conversation while it loads a session is no event. */
void acp_peer_start(struct acp_peer *peer);
/* One message of the agent. Borrowed. Unknown methods are answered by -32601, bad ones by -32600 or -32602;
 * ERR_SYNTAX (nothing was done) if it is no JSON-RPC message at all. */
enum err acp_peer_message(struct acp_peer *peer, struct json_object *message);
/* A prompt turn: `content` is the JSON text of an array of ContentBlocks. Only after NOTICE_READY, one at a time. */
void acp_peer_prompt(struct acp_peer *peer, const char *turn_id, const char *content);
/* A turn whose prompt cannot be given to the agent: it ends at once (NOTICE_TURN_ENDED). `code` and `message` NULL where it
 * is no error. As acp_peer_prompt, in its place. */
void acp_peer_prompt_refused(struct acp_peer *peer, const char *turn_id, const char *stop_reason, const char *code,
                             const char *message);
/* session/cancel for the running turn. */
void acp_peer_cancel(struct acp_peer *peer);
/* Answers an open permission request; one that is no longer open is ignored. `option_id` NULL: cancelled. */
void acp_peer_permission(struct acp_peer *peer, const char *request_id, const char *option_id);

/* From now on, what is offered to the agent changes nothing: no file is written, no command is run (NOTICE_SERVICE_REFUSED,
 * which acp_peer_refuse follows); or it is as ever again. What is under way goes on. */
void acp_peer_read_only(struct acp_peer *peer, bool read_only);
/* Answers a request of which NOTICE_SERVICE_REFUSED told; one that is no longer open is ignored. */
void acp_peer_refuse(struct acp_peer *peer, const char *request_id);

/* session/set_mode (`option_id` NULL) or session/set_config_option, or session/set_model of agents that still have that
 * (the option `model`). `value` is a JSON text. Answered by NOTICE_SETTING; without a `token` only when it was refused,
 * and not at all where it is so already. Only after NOTICE_READY. */
void acp_peer_set(struct acp_peer *peer, const char *token, const char *option_id, const char *value);
/* Nobody waits for that change any more: $/cancel_request, if it is still open. The agent answers all the same. */
void acp_peer_set_late(struct acp_peer *peer, const char *token);
/* session/close, if the agent has it: the session will not be resumed. The process is to be ended afterwards. */
void acp_peer_close(struct acp_peer *peer);

/* What the sink was asked for. Of calls, serials and numbers that are not known any more nothing is done. Borrowed. */

/* The file was read or written, or not. */
void acp_peer_file(struct acp_peer *peer, uint64_t serial, const struct file_call *call);
/* True while so many files are on their way that the agent is not to be read. */
bool acp_peer_is_full(const struct acp_peer *peer);
/* The command runs, or (`why` not NULL) cannot. Before everything else about it. */
void acp_peer_terminal_started(struct acp_peer *peer, uint64_t number, const char *why);
void acp_peer_terminal_output(struct acp_peer *peer, uint64_t number, const char *bytes, size_t length);
/* Its own process has ended, with this status or (`code` -1) by this signal. After all that it wrote. */
void acp_peer_terminal_exited(struct acp_peer *peer, uint64_t number, int code, int signal);

/* When acp_peer_tick wants to be called next (INSTANT_NEVER: not at all), and the call: sends what windows hold. */
struct instant acp_peer_deadline(const struct acp_peer *peer);
void acp_peer_tick(struct acp_peer *peer);

/* The process is gone (or its stdout is closed): what is open is ended for the watchers, then NOTICE_EXITED with
 * `why`, or NOTICE_FAILED if it never became ready and nothing was told of that yet. Always one of them, and it is
 * the last. Nothing is sent any more, and every later call does nothing. Once. */
void acp_peer_end(struct acp_peer *peer, const char *why);

/* True while a prompt's answer is outstanding, and after acp_peer_end if it never came. */
bool acp_peer_in_turn(const struct acp_peer *peer);

/* How many of its permission requests wait for an answer. */
size_t acp_peer_asks(const struct acp_peer *peer);
/* True while files that it asked for are on their way. */
bool acp_peer_has_files(const struct acp_peer *peer);
/* The method of our request that it has not answered yet, the prompt's before others; NULL: it owes us nothing. */
const char *acp_peer_waits_for(const struct acp_peer *peer);

/* ERR_NOMEM once memory ran out within any call: something did not go out, so the peer says nothing more, and the
 * process is to be ended (acp_peer_end still tells the watchers what it can). */
enum err acp_peer_error(const struct acp_peer *peer);
