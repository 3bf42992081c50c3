#pragma once
/* What reaches the dispatcher: its inbox carries commands, agents' events and notices, fired deadlines, sessions read
 * back from the store, and what the server itself has to say. */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/heap.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/core/agent.h"
#include "signalbox/core/blob.h"
#include "signalbox/core/command.h"
#include "signalbox/core/session.h"
#include "signalbox/mail/client.h"
#include "signalbox/mail/journal.h"
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
    DISPATCH_ANSWER,       /* struct history_request, on its way back: whether a command was answered before */
    DISPATCH_EXPIRE,       /* struct expire_note */
    DISPATCH_LOOKED,       /* struct look_request (mail/list.h), on its way back */
    DISPATCH_AGENT_BLOBS,  /* struct agent_blobs_mail */
    DISPATCH_CHECKED,      /* struct history_request, on its way back: whether the blobs of a prompt are there */
    DISPATCH_FOLD,         /* struct fold_note (mail/journal.h) */
    DISPATCH_ERASED,       /* struct erased_note: a session is gone from the store */
};

/* How long an answer is remembered. */
enum { ANSWER_LIFE_MS = 24 * 60 * 60 * 1000 };

/* How the answer to a command is remembered under its id (docs/protocol.md, "Ids"). */
enum remember {
    REMEMBER_NOT,        /* no id, or nothing that changes anything */
    REMEMBER_CONNECTION, /* user, client, id; in memory only: the client cannot come back */
    REMEMBER_CLIENT,     /* user, client, id */
    REMEMBER_KEY,        /* user and id, an Idempotency-Key */
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
    bool tells_again;  /* an answer that was given before says `again` */
    enum remember remember;  /* with `name` and `body`: dispatch_command_remember */
    struct digest name, body;
    /* Maintenance has looked at a create_session, or history at the blobs of a prompt, and refuses it if `refusal` is not
     * OK. */
    bool checked;
    struct answer refusal;   /* owned */
    struct credit *credit;   /* COMMAND_STORE_BLOB: referenced; so many bytes of it were taken */
    uint32_t credit_bytes;
    struct dispatch_command *parked_next; /* the dispatcher's */
    struct remembered *entry;             /* the dispatcher's: where its answer is to be remembered; NULL: nowhere */
};
must_check enum err dispatch_command_new(struct dispatch_command **out);
void dispatch_command_free(struct dispatch_command *command); /* NULL is fine */
/* Names the command, complete with its identity, so that it is done once: for who read it, since it takes its time
 * (a hash of the whole command). A command without an id, or one that is never remembered, stays as it is. */
void dispatch_command_remember(struct dispatch_command *command, enum remember how);

/* The dispatcher's, to itself, by way of the journal. */
struct erased_note {
    struct mail mail;
    struct topic *topic; /* referenced */
};
void erased_note_free(struct erased_note *note);

struct agent_event_mail {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;
    struct event event;
    struct credit *credit; /* referenced; `credit_bytes` of it were taken */
    uint32_t credit_bytes;
};
/* What the agent's next event or notice refers to. */
struct agent_blobs_mail {
    struct mail mail;
    struct topic *topic; /* referenced */
    uint64_t run;
    struct blob *blob;     /* one, owned */
    struct credit *credit; /* as above */
    uint32_t credit_bytes;
};
void agent_blobs_mail_free(struct agent_blobs_mail *mail); /* without giving the credit back */
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
    DEADLINE_SETTING = ARM_SETTING,   /* an agent did not answer a change of settings */
    DEADLINE_AGENT_IDLE = ARM_AGENT_IDLE, /* an agent has had nothing to do */
    DEADLINE_PROOF = ARM_PROOF,           /* an agent has been ready for a time */
    DEADLINE_LOOK = ARM_LOOK,         /* the disk did not tell in time where a request's paths lead */
    DEADLINE_FEED,                    /* a session's next session_changed may go out */
    DEADLINE_IDLE,                    /* of no session: which ones are idle is looked at */
    DEADLINE_KEEP,                    /* of no session: which agents may be started is looked at */
    DEADLINE_RULES,                   /* of no session: a rule expires */
};
struct deadline {
    struct mail mail;          /* to the timer and back */
    struct mail cancel_mail;   /* to the timer */
    struct heap_node node;     /* the timer's */
    struct instant at;
    bool cancelled;            /* the dispatcher's: set when it asked for that */
    enum deadline_what what;
    struct topic *topic;       /* referenced; NULL for DEADLINE_IDLE, DEADLINE_KEEP and DEADLINE_RULES */
    uint64_t run;              /* which agent run or turn it was for */
    char *request_id;          /* DEADLINE_PERMISSION, DEADLINE_LOOK; DEADLINE_SETTING: its token */
};

struct server_note {
    struct mail mail;
    bool ok;
    char reason[160];
};

/* Maintenance's: answers from before `before` are to be forgotten, some of them. It comes back to `reply_to` as
 * `reply_kind` after the commit, unless the server stops. It is a part of who sends it, and nobody else frees it. */
struct expire_note {
    struct mail mail;
    struct mailbox *reply_to;
    uint32_t reply_kind;
    int64_t before; /* wall ms */
};

/* Of clients that keep their id over reconnects: the second one with an id closes the first. */
struct client_note {
    struct mail mail;
    struct identity identity;
    struct mailbox *box; /* of its socket thread */
    uint64_t serial;
    uint64_t arrived; /* as in struct client_take */
    bool gone;
};
