#pragma once
/*
 * The dispatcher: the one thread that changes sessions. It takes commands, agents' events and notices and fired
 * deadlines from its inbox, steps the core, and hands everything that comes out of a step to the journal as one batch.
 * It does no I/O and parses no JSON but its own.
 */
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/journal.h"
#include "signalbox/share/config.h"
#include "signalbox/share/credit.h"
#include "signalbox/share/topic.h"

struct dispatch_wiring {
    struct config_store *config;
    struct mailbox *journal, *timer, *agent, *history, *maintenance;
    struct mailbox *wirelog; /* may be NULL: there is none */
    struct mailbox *const *socket_boxes;
    const _Atomic(uint64_t) *released; /* the journal's: see journal_released */
    const struct topic_limits *limits;
    struct topic_map *topics;
    struct topic *feed;          /* of all sessions */
    const char *generation;      /* of the store: a part of every epoch */
    int64_t next_key, open_sessions;
    size_t answers_in_memory;    /* of commands that had an id; older ones are asked of the store */
};

struct dispatch;
/* The inbox is made first (dispatch_new), since the others push into it; the thread starts when all are there. */
must_check enum err dispatch_new(struct dispatch **out, size_t rest_places);
struct mailbox *dispatch_inbox(struct dispatch *dispatch);
/* An answer of the last 24 hours is in the store. Main, before dispatch_start. */
void dispatch_note_answer(struct dispatch *dispatch, const struct digest *name);
/* A rule is in the store. Main, before dispatch_start. */
must_check enum err dispatch_note_rule(struct dispatch *dispatch, const struct stored_rule *rule);
must_check enum err dispatch_start(struct dispatch *dispatch, const struct dispatch_wiring *wiring);
/* Refuses what is new (`shutting_down`), tells all agents to end, and returns when they have: main, before it stops the
 * threads. Pushes to the inbox; `done` is called by the dispatcher's thread. */
void dispatch_drain(struct dispatch *dispatch, void (*done)(void *context), void *context);
/* Ends the thread after what is in the inbox. */
void dispatch_stop(struct dispatch *dispatch);
/* Frees sessions and topics; the journal and the timer must have ended. NULL is fine. */
void dispatch_free(struct dispatch *dispatch);
