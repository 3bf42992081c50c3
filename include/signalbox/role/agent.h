#pragma once
/*
 * The agent-stream thread: it owns every agent's process (each under a signalbox-guard of its own), the pipes to it,
 * and its acp_peer. It is told by mail (mail/agent.h) to start and to end them and what to say to them, and tells the
 * dispatcher what they say. It decides nothing about a session.
 *
 * What one agent says keeps its order. An agent that was started is told of by exactly one last notice, NOTICE_EXITED
 * or NOTICE_FAILED, after everything it said; so is one that could not be started (NOTICE_FAILED). An agent that
 * could not be initialised gets both.
 *
 * An agent is not read while its session's or the server's credit is used up, or while it does not read what it
 * is answered.
 */
#include <stdbool.h>

#include "signalbox/base/err.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/share/config.h"
#include "signalbox/share/credit.h"

/* All of it must outlive the agent_stream; the texts are borrowed too. */
struct agent_wiring {
    struct config_store *config;
    struct mailbox *dispatch; /* gets DISPATCH_AGENT_EVENT and DISPATCH_AGENT_NOTICE */
    struct mailbox *files;    /* gets FILES_REQUEST, and answers to this thread's mailbox; NULL: no files */
    struct credit_pool *credit;
    const char *guard_path; /* of signalbox-guard */
    const char *version;    /* the server's, told to agents */
    struct mailbox *wirelog; /* gets WIRELOG_* (mail/wirelog.h); NULL: nobody keeps what is said */
    bool wirelog_always;     /* every line, whatever the configuration wants kept */
};

struct agent_stream;
/* Main. SIGCHLD must not be ignored. SIGPIPE may be anything: it is blocked in this thread, as all signals are. */
must_check enum err agent_stream_start(struct agent_stream **out, const struct agent_wiring *wiring);
/* Where struct agent_start and struct agent_order go. Any thread, until agent_stream_free. */
struct mailbox *agent_stream_mailbox(struct agent_stream *stream);
/* Ends at once what agents are left (the dispatcher has ended them in order before, normally), then the thread. Returns
 * within about four seconds, even if a guard hangs. NULL is fine. Main. */
void agent_stream_stop(struct agent_stream *stream);
/* After agent_stream_stop, when nobody sends mail or gives credit back any more: the mailbox is where returning credit
 * wakes this thread, so it stays until the journal has stopped. NULL is fine. Main. */
void agent_stream_free(struct agent_stream *stream);
