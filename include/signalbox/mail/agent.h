#pragma once
/* What reaches the agent-stream thread. */
#include <stdint.h>

#include "signalbox/base/mailbox.h"
#include "signalbox/core/agent.h"
#include "signalbox/mail/history.h"
#include "signalbox/share/topic.h"

enum agent_mail_kind {
    AGENT_MAIL_START = 1, /* struct agent_start */
    AGENT_MAIL_ORDER,     /* struct agent_order */
    AGENT_MAIL_FILE,      /* struct file_request (mail/files.h), back from the files thread */
    /* struct history_request on its way back: a prompt's content; its owner is the order */
    AGENT_MAIL_FILLED,
    AGENT_MAIL_STOP,      /* end all agents, then the thread */
};

/* Start a process for a session. Config names the agent; a session has at most one process. */
struct agent_start {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;
    char *agent;
    char *workspace;
    char *resume; /* the agent's own id of the session, from an earlier run; NULL for none */
    bool read_only; /* the session's policy, at the start; then ORDER_POLICY */
    bool titled; /* by a person: see acp_options.keep_title */
};

struct agent_order {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;        /* of the process it is for; an order for an earlier one is dropped */
    enum agent_order_kind kind;
    char *turn_id, *content, *request_id, *option_id;
};

/* An order whose content is filled from the store: `content` is the request's until it comes back. */
void agent_filling_free(struct history_request *request);

/* With what they hold; NULL is fine. For the receiver, and for who could not send them. */
void agent_start_free(struct agent_start *start);
void agent_order_free(struct agent_order *order);
