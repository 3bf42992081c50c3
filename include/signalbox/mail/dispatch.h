#pragma once
/* What reaches the dispatcher: its inbox carries commands, agents' events and notices, fired deadlines, sessions read
 * back from the store, and what the server itself has to say. */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/heap.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/core/agent.h"
#include "signalbox/core/command.h"
#include "signalbox/core/session.h"
#include "signalbox/mail/client.h"
#include "signalbox/share/credit.h"
#include "signalbox/share/topic.h"

enum dispatch_mail_kind {
    DISPATCH_COMMAND = 1,  /* struct dispatch_command */
    DISPATCH_AGENT_EVENT,  /* struct agent_event_mail */
    DISPATCH_AGENT_NOTICE, /* struct agent_notice_mail */
    DISPATCH_DEADLINE,     /* struct deadline, fired, by its `mail` */
    DISPATCH_DEADLINE_CANCELLED, /* struct deadline, by its `cancel_mail` */
    DISPATCH_SESSION,      /* struct history_request, on its way back */
    DISPATCH_STORE,        /* struct server_note: `ok` */
    DISPATCH_STOP,         /* struct server_note */
    DISPATCH_CLIENT,       /* struct client_note: a client with an id of its own has come or gone */
};

/*
 * A command of a client. Made with dispatch_command_new, filled, pushed into the dispatcher's inbox (over REST after
 * a reservation of one place), and answered exactly once to `reply`.
 */
struct dispatch_command {
    struct mail mail;
    struct command *command; /* owned */
    struct identity identity;
    struct reply_address reply;
    bool over_rest;
    bool history_none; /* what `subscribe` without `history` means for this client */
    struct dispatch_command *parked_next; /* the dispatcher's */
};
must_check enum err dispatch_command_new(struct dispatch_command **out);
void dispatch_command_free(struct dispatch_command *command); /* NULL is fine */

struct agent_event_mail {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;
    struct event event;
    struct credit *credit; /* referenced; `credit_bytes` of it were taken */
    uint32_t credit_bytes;
};
struct agent_notice_mail {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;
    struct agent_notice notice;
};

/*
 * A deadline. The dispatcher makes it and gives it to the timer (TIMER_ARM, by `mail`); it comes back by `mail` when it
 * has fired, and, if the dispatcher asked for that (`cancelled`, TIMER_CANCEL by `cancel_mail`), by `cancel_mail`, behind
 * the other. So arming and cancelling need no memory, and the dispatcher frees it when the last mail is back.
 */
enum deadline_what {
    DEADLINE_PERMISSION = ARM_PERMISSION,
    DEADLINE_CANCEL = ARM_CANCEL,     /* an agent did not end a cancelled turn */
    DEADLINE_AGENT_START = ARM_START,
    DEADLINE_FEED,                    /* a session's next session_changed may go out */
};
struct deadline {
    struct mail mail;          /* to the timer and back */
    struct mail cancel_mail;   /* to the timer */
    struct heap_node node;     /* the timer's */
    struct instant at;
    bool cancelled;            /* the dispatcher's: set when it asked for that */
    enum deadline_what what;
    struct topic *topic;       /* referenced */
    uint64_t run;              /* which agent run or turn it was for */
    char *request_id;          /* DEADLINE_PERMISSION */
};

struct server_note {
    struct mail mail;
    bool ok;
    char reason[160];
};

/* Of clients that keep their id over reconnects: the second one with an id closes the first. */
struct client_note {
    struct mail mail;
    struct identity identity;
    struct mailbox *box; /* of its socket thread */
    uint64_t serial;
    bool gone;
};
