#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/log.h"

/* Server notes that are the dispatcher's own. */
enum { DISPATCH_END = 1000 };

/* ---- Agents and deadlines ---- */

/* For the next start: after a death it reads from here on what is open. A turn says itself where it began. */
static void note_said(struct session *session, enum event_kind kind)
{
    bool opens = kind == EVENT_TEXT_DELTA || kind == EVENT_THOUGHT_DELTA || kind == EVENT_TOOL_START;
    if (opens && !session->turn.id && !session->said_from) {
        session->said_from = session->head + 1;
        session->changed = true;
    }
}

static void take_agent_event(struct dispatch *dispatch, struct agent_event_mail *mail)
{
    struct held *held = mail->topic->session;
    if (held && held->session->run == mail->run && session_has_agent(held->session)) {
        note_said(held->session, mail->event.kind);
        dispatch_record(dispatch, held, &mail->event, mail->credit, mail->credit_bytes);
    } else {
        /* Of a process that this session has already buried. */
        credit_give(mail->credit, mail->credit_bytes);
        credit_put(mail->credit);
        event_discard(&mail->event);
    }
    topic_put(mail->topic);
    free(mail);
}

static void take_agent_blobs(struct dispatch *dispatch, struct agent_blobs_mail *mail)
{
    struct held *held = mail->topic->session;
    if (held && held->session->run == mail->run && held->session->life != AGENT_NONE) {
        struct journal_item *item = dispatch_blob(dispatch, held, mail->blob);
        item->blob.credit = mail->credit;
        item->blob.credit_bytes = mail->credit_bytes;
        topic_put(mail->topic);
        free(mail);
    } else {
        credit_give(mail->credit, mail->credit_bytes);
        agent_blobs_mail_free(mail); /* of a process that this session has already buried */
    }
}

static void take_agent_notice(struct dispatch *dispatch, struct agent_notice_mail *mail)
{
    struct held *held = mail->topic->session;
    if (held && held->session->run == mail->run) {
        dispatch_step(dispatch, held);
        session_agent_notice(held->session, &dispatch->sink, &dispatch->now, &mail->notice);
    } else {
        agent_notice_clear(&mail->notice);
    }
    topic_put(mail->topic);
    free(mail);
}

/*
 * While nothing can be recorded, the order that an agent is to follow in time has not reached it. So what has passed is
 * armed again, and all of them begin anew when the orders go out.
 */
static void begin_again(struct dispatch *dispatch, struct held *held, const struct deadline *passed)
{
    const struct session_sink *sink = &dispatch->sink;
    const struct {
        void **handle;
        int what;
        int64_t after_ms;
    } orders[] = {
        {&held->session->turn.cancel_deadline, ARM_CANCEL, dispatch->config->cancel_timeout_ms},
        {&held->session->start_deadline, ARM_START, dispatch->config->agent_start_timeout_ms},
    };
    for (size_t i = 0; i < array_size(orders); i++) {
        void *handle = *orders[i].handle;
        if (handle && (!passed || handle == passed)) {
            *orders[i].handle = sink->arm(sink->context, held->session, orders[i].what, orders[i].after_ms, NULL);
            if (!passed) {
                sink->disarm(sink->context, handle);
            }
        }
    }
}

static void take_deadline(struct dispatch *dispatch, struct deadline *deadline)
{
    if (deadline->cancelled) {
        return; /* its other mail is behind this one */
    }
    struct held *held = deadline->topic ? deadline->topic->session : NULL;
    bool waits = deadline->what == DEADLINE_CANCEL || deadline->what == DEADLINE_AGENT_START;
    if (deadline->what == DEADLINE_IDLE) {
        dispatch->idle_armed = false;
        dispatch_idle_sweep(dispatch);
    } else if (deadline->what == DEADLINE_RULES) {
        dispatch->rules_deadline = NULL;
        if (!dispatch->ending) {
            dispatch_rules_expire(dispatch);
        }
    } else if (deadline->what == DEADLINE_KEEP) {
        dispatch_keep_tick(dispatch);
    } else if (deadline->what == DEADLINE_FEED) {
        if (held && !dispatch->ending) {
            dispatch_feed(dispatch, held);
        }
    } else if (held && !dispatch->ending && waits && dispatch->store_failing && !dispatch->draining) {
        begin_again(dispatch, held, deadline);
    } else if (held && !dispatch->ending) {
        struct session *session = held->session;
        dispatch_step(dispatch, held);
        switch (deadline->what) {
        case DEADLINE_PERMISSION:
            session_permission_expired(session, &dispatch->sink, &dispatch->now, deadline->request_id);
            break;
        case DEADLINE_LOOK:
            session_look_expired(session, &dispatch->sink, &dispatch->now, deadline->request_id);
            break;
        case DEADLINE_CANCEL:
            session_cancel_expired(session, &dispatch->sink, &dispatch->now);
            break;
        case DEADLINE_AGENT_START:
            session_start_expired(session, &dispatch->sink, &dispatch->now);
            break;
        case DEADLINE_SETTING:
            session_setting_expired(session, &dispatch->sink, &dispatch->now, deadline->request_id);
            break;
        case DEADLINE_AGENT_IDLE:
            session_idle_expired(session, &dispatch->sink, &dispatch->now);
            break;
        case DEADLINE_PROOF:
            session_proof_expired(session, &dispatch->sink, &dispatch->now);
            break;
        case DEADLINE_FEED:
        case DEADLINE_IDLE:
        case DEADLINE_RULES:
        case DEADLINE_KEEP:
            break;
        }
    }
    deadline_free(deadline);
}

/* ---- The server's own notes ---- */

static void take_store(struct dispatch *dispatch, struct server_note *note)
{
    if (note->ok && dispatch->store_failing && !dispatch->ending) {
        for (struct held *held = dispatch->sessions; held; held = held->next) {
            begin_again(dispatch, held, NULL);
        }
    }
    dispatch->store_failing = !note->ok;
    memcpy(dispatch->store_reason, note->reason, sizeof(note->reason));
    free(note);
}

static void begin_drain(struct dispatch *dispatch)
{
    dispatch->draining = true;
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        dispatch_step(dispatch, held);
        session_stop(held->session, &dispatch->sink, &dispatch->now);
    }
}

/* A session that comes back to memory later needs no note: no position below its head counts as whole. */
static void take_fold(struct dispatch *dispatch, struct fold_note *note)
{
    struct held *held = dispatch_find(dispatch, note->session_id);
    if (held) {
        topic_folded_to(held->topic, note->whole_from);
    }
    note->mail.kind = JOURNAL_FOLD;
    mailbox_push(dispatch->wiring.journal, &note->mail);
}

static void take_mail(struct dispatch *dispatch, struct mail *mail)
{
    switch (mail->kind) {
    case DISPATCH_COMMAND: {
        struct dispatch_command *command = container_of(mail, struct dispatch_command, mail);
        if (command->over_rest && !command->checked) { /* once: it may come back from maintenance */
            mailbox_release(dispatch->inbox, 1);
        }
        dispatch_take_command(dispatch, command);
        break;
    }
    case DISPATCH_AGENT_EVENT:
        take_agent_event(dispatch, container_of(mail, struct agent_event_mail, mail));
        break;
    case DISPATCH_AGENT_BLOBS:
        take_agent_blobs(dispatch, container_of(mail, struct agent_blobs_mail, mail));
        break;
    case DISPATCH_AGENT_NOTICE:
        take_agent_notice(dispatch, container_of(mail, struct agent_notice_mail, mail));
        break;
    case DISPATCH_DEADLINE:
        take_deadline(dispatch, container_of(mail, struct deadline, mail));
        break;
    case DISPATCH_DEADLINE_CANCELLED:
        deadline_free(container_of(mail, struct deadline, cancel_mail));
        break;
    case DISPATCH_SESSION:
        dispatch_loaded(dispatch, container_of(mail, struct history_request, mail));
        break;
    case DISPATCH_STORE:
        take_store(dispatch, container_of(mail, struct server_note, mail));
        break;
    case DISPATCH_CLIENT:
        dispatch_take_client(dispatch, container_of(mail, struct client_note, mail));
        break;
    case DISPATCH_ANSWER:
        dispatch_answers_read(dispatch, container_of(mail, struct history_request, mail));
        break;
    case DISPATCH_CHECKED:
        dispatch_prompt_checked(dispatch, container_of(mail, struct history_request, mail));
        break;
    case DISPATCH_EXPIRE:
        dispatch_answers_expire(dispatch, container_of(mail, struct expire_note, mail));
        break;
    case DISPATCH_LOOKED:
        dispatch_looked(dispatch, container_of(mail, struct look_request, mail));
        break;
    case DISPATCH_FOLD:
        take_fold(dispatch, container_of(mail, struct fold_note, mail));
        break;
    case DISPATCH_ERASED:
        dispatch_erased(dispatch, container_of(mail, struct erased_note, mail));
        break;
    case DISPATCH_STOP:
        begin_drain(dispatch);
        break;
    default:
        CHECK(mail->kind == DISPATCH_END);
        dispatch->ending = true;
    }
}

static void dispatch_run(void *context)
{
    struct dispatch *dispatch = context;
    thread_check(THREAD_DISPATCH);
    bool told = false;
    dispatch->now.at = clock_now();
    dispatch->now.wall_ms = clock_wall_ms();
    dispatch_rules_arm(dispatch);
    while (!dispatch->ending) {
        mailbox_wait(dispatch->inbox, INSTANT_NEVER);
        dispatch->config = config_current_get(dispatch->wiring.config);
        dispatch->now.limits = &dispatch->limits;
        dispatch->now.at = clock_now();
        dispatch->now.wall_ms = clock_wall_ms();
        dispatch_keep_config(dispatch);
        mailbox_cork();
        dispatch_flush(dispatch);
        for (struct mail *mail; (mail = mailbox_take(dispatch->inbox));) {
            dispatch->now.at = clock_now();
            dispatch->now.wall_ms = clock_wall_ms();
            take_mail(dispatch, mail);
            dispatch_rules_settle(dispatch);
            dispatch_flush(dispatch);
        }
        mailbox_uncork();
        config_put(dispatch->config);
        dispatch->config = NULL;
        if (dispatch->draining && !dispatch->agents_running && !told) {
            told = true;
            dispatch->drained(dispatch->drained_context);
        }
    }
}

/* ---- Life ---- */

enum err dispatch_new(struct dispatch **out, size_t rest_places)
{
    struct dispatch *dispatch = calloc(1, sizeof(*dispatch));
    if (!dispatch) {
        return ERR_NOMEM;
    }
    dispatch->stop_note.mail.kind = DISPATCH_END;
    dispatch->drain_note.mail.kind = DISPATCH_STOP;
    dispatch_effects_init(dispatch);
    dispatch_keep_init(dispatch);
    dispatch_places_init(dispatch);
    enum err err = mailbox_new(&dispatch->inbox, "dispatch", rest_places);
    if (!err) {
        err = dispatch_clients_new(dispatch);
    }
    if (!err) {
        err = dispatch_answers_new(&dispatch->answers);
    }
    if (!err) {
        err = rule_set_new(&dispatch->now.rules);
    }
    if (err) {
        dispatch_free(dispatch);
        return err;
    }
    *out = dispatch;
    return ERR_OK;
}

struct mailbox *dispatch_inbox(struct dispatch *dispatch)
{
    return dispatch->inbox;
}

enum err dispatch_start(struct dispatch *dispatch, const struct dispatch_wiring *wiring)
{
    dispatch->wiring = *wiring;
    dispatch->next_key = wiring->next_key;
    dispatch_answers_limit(dispatch->answers, wiring->answers_in_memory);
    dispatch->open_sessions = wiring->open_sessions;
    return thread_start(&dispatch->thread, THREAD_DISPATCH, -1, true, dispatch_run, dispatch);
}

void dispatch_drain(struct dispatch *dispatch, void (*done)(void *context), void *context)
{
    dispatch->drained = done;
    dispatch->drained_context = context;
    mailbox_push(dispatch->inbox, &dispatch->drain_note.mail);
}

static void discard_command(struct dispatch *dispatch, struct dispatch_command *command, bool tell)
{
    if (tell) {
        dispatch_refuse_now(dispatch, command, ANSWER_SHUTTING_DOWN, "the server is stopping");
    }
    dispatch_command_free(command);
}

/* What came after the end: nothing of it happened. `tell`: who waits for an answer is still there. */
static void discard(struct dispatch *dispatch, bool tell)
{
    while (dispatch->loading) {
        struct loading *loading = dispatch->loading;
        dispatch->loading = loading->next;
        while (loading->first) {
            struct dispatch_command *command = loading->first;
            loading->first = command->parked_next;
            discard_command(dispatch, command, tell);
        }
        free(loading);
    }
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        while (held->parked) {
            struct dispatch_command *command = held->parked;
            held->parked = command->parked_next;
            discard_command(dispatch, command, tell);
        }
        held->parked_last = &held->parked;
    }
    dispatch_answers_discard(dispatch, tell);
    for (struct mail *mail; (mail = mailbox_take(dispatch->inbox));) {
        switch (mail->kind) {
        case DISPATCH_COMMAND:
            discard_command(dispatch, container_of(mail, struct dispatch_command, mail), tell);
            break;
        case DISPATCH_CHECKED: {
            struct history_request *request = container_of(mail, struct history_request, mail);
            discard_command(dispatch, request->owner, tell);
            history_request_free(request);
            break;
        }
        case DISPATCH_SESSION:
        case DISPATCH_ANSWER:
            history_request_free(container_of(mail, struct history_request, mail));
            break;
        case DISPATCH_LOOKED:
            look_request_free(container_of(mail, struct look_request, mail));
            break;
        case DISPATCH_AGENT_EVENT: {
            struct agent_event_mail *event = container_of(mail, struct agent_event_mail, mail);
            credit_put(event->credit);
            event_discard(&event->event);
            topic_put(event->topic);
            free(event);
            break;
        }
        case DISPATCH_AGENT_BLOBS:
            agent_blobs_mail_free(container_of(mail, struct agent_blobs_mail, mail));
            break;
        case DISPATCH_AGENT_NOTICE: {
            struct agent_notice_mail *notice = container_of(mail, struct agent_notice_mail, mail);
            agent_notice_clear(&notice->notice);
            topic_put(notice->topic);
            free(notice);
            break;
        }
        case DISPATCH_STOP:
        case DISPATCH_END:
        case DISPATCH_EXPIRE:
        case DISPATCH_FOLD:
            break;
        default:
            take_mail(dispatch, mail); /* frees only: deadlines, notes of clients and of the store */
        }
    }
}

void dispatch_stop(struct dispatch *dispatch)
{
    mailbox_push(dispatch->inbox, &dispatch->stop_note.mail);
    thread_join(&dispatch->thread);
    discard(dispatch, true);
}

static void waiters_free(struct session *session)
{
    while (session->close_waiters) {
        struct close_waiter *waiter = session->close_waiters;
        session->close_waiters = waiter->next;
        dispatch_drop_reply(waiter->reply);
        free(waiter);
    }
    while (session->setting_waiters) {
        struct setting_waiter *waiter = session->setting_waiters;
        session->setting_waiters = waiter->next;
        dispatch_drop_reply(waiter->reply);
        free(waiter->setting.option_id);
        free(waiter->setting.value);
        free(waiter->token);
        free(waiter);
    }
}

void dispatch_free(struct dispatch *dispatch)
{
    if (!dispatch) {
        return;
    }
    if (dispatch->inbox) {
        dispatch->ending = true;
        discard(dispatch, false);
    }
    while (dispatch->sessions) {
        struct held *held = dispatch->sessions;
        waiters_free(held->session);
        topic_map_remove(dispatch->wiring.topics, held->topic);
        held_free(dispatch, held);
    }
    dispatch_clients_free(dispatch);
    dispatch_keep_free(dispatch);
    journal_batch_free(dispatch->batch);
    dispatch_answers_free(dispatch->answers);
    rule_set_free(dispatch->now.rules);
    mailbox_free(dispatch->inbox);
    free(dispatch);
}
