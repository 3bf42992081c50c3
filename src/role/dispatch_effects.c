/* What a step of the dispatcher lets out: one batch, released by the journal after its commit. */
#include "dispatch_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/base/pause.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/timer.h"

struct journal_item *dispatch_out(struct dispatch *dispatch, enum journal_item_kind kind, struct topic *topic)
{
    if (!dispatch->batch) {
        dispatch->batch = journal_batch_new();
    }
    struct journal_item *item = journal_batch_add(dispatch->batch, kind);
    item->topic = topic ? topic_get(topic) : NULL;
    return item;
}

void dispatch_forward(struct dispatch *dispatch, struct mail *mail, struct mailbox *to, uint32_t kind,
                      void (*refuse)(struct mail *mail, struct mailbox *to, uint32_t kind))
{
    if (dispatch->at_once) {
        mail->kind = kind;
        mailbox_push(to, mail);
        return;
    }
    struct journal_item *item = dispatch_out(dispatch, JOURNAL_FORWARD, NULL);
    item->forward.mail = mail;
    item->forward.to = to;
    item->forward.kind = kind;
    item->forward.refuse = refuse;
}

void dispatch_touch(struct dispatch *dispatch, struct held *held)
{
    if (!held->touched) {
        held->touched = true;
        held->touched_next = dispatch->touched;
        dispatch->touched = held;
    }
}

/* ---- Events ---- */

/* All of a text says where it began, so that who sees only its end knows its place. One is open at a time. */
static uint64_t block_of(struct session *session, enum event_kind kind)
{
    enum event_block block = event_block(kind);
    uint64_t began = block == EVENT_NO_BLOCK ? 0 : session->block_from;
    if (block == EVENT_BLOCK_END) {
        session->block_from = 0;
    } else if (block == EVENT_BLOCK_PIECE && !began) {
        session->block_from = session->head;
    }
    return began;
}

void dispatch_record(struct dispatch *dispatch, struct held *held, struct event *event, struct credit *credit,
                     uint32_t credit_bytes)
{
    struct session *session = held->session;
    session->head++;
    /* A clock that was set back does not make a log run backwards. */
    session->last_ts = event->at_wall_ms > session->last_ts ? event->at_wall_ms : session->last_ts;
    session->updated_at = session->last_ts;
    event->began = block_of(session, event->kind);
    event_number(event, session->head, session->last_ts);
    struct journal_item *item = dispatch_out(dispatch, JOURNAL_EVENT, held->topic);
    item->event.event = *event;
    item->event.seq = session->head;
    item->event.ts = session->last_ts;
    item->event.credit = credit;
    item->event.credit_bytes = credit_bytes;
    dispatch_touch(dispatch, held);
}

struct journal_item *dispatch_blob(struct dispatch *dispatch, struct held *held, struct blob *blob)
{
    struct journal_item *item = dispatch_out(dispatch, JOURNAL_BLOB, held->topic);
    item->blob.blob = blob;
    item->blob.at = dispatch->now.wall_ms;
    dispatch_touch(dispatch, held);
    return item;
}

static void sink_event(void *context, struct session *session, struct event *event)
{
    dispatch_record(context, session->owner, event, NULL, 0);
}

/* ---- The feed of all sessions ---- */

static void feed(struct dispatch *dispatch, struct buffer *text)
{
    struct frame *frame = NULL;
    need_ok(buffer_ok(text) ? frame_text(&frame, text->data, text->length) : ERR_NOMEM);
    struct journal_item *item = dispatch_out(dispatch, JOURNAL_FEED, dispatch->wiring.feed);
    item->event.event.frame = frame;
    buffer_free(text);
}

static void put_end(struct buffer *text, const struct permission *permission)
{
    static const char *const outcomes[] = {[OUTCOME_PENDING] = NULL,
                                           [OUTCOME_ALLOWED] = "allowed",
                                           [OUTCOME_REJECTED] = "rejected",
                                           [OUTCOME_TIMEOUT] = "timeout",
                                           [OUTCOME_CANCELLED] = "cancelled"};
    json_field_string(text, "requestId", permission->ask->request_id);
    json_field_string(text, "toolName", permission->ask->tool_name);
    json_field_string(text, "outcome", outcomes[permission->outcome]);
    if (permission->outcome == OUTCOME_ALLOWED || permission->outcome == OUTCOME_REJECTED) {
        json_key(text, "by");
        buffer_byte(text, '{');
        json_field_string(text, "user", permission->by_user);
        json_field_string(text, "rule", permission->by_rule);
        json_field_string(text, "policy", permission->by_policy);
        buffer_byte(text, '}');
    }
    json_field_string(text, "reason", permission->cancel_reason);
}

static void sink_permission_feed(void *context, struct session *session, const struct permission *permission, bool waiting)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct buffer text = {0};
    held->pending_batch = dispatch->batches + 1; /* the batch of this step, which has what follows at least */
    dispatch->waiting += waiting ? 1 : -1;
    buffer_text(&text, waiting ? "{\"type\":\"permission_waiting\"" : "{\"type\":\"permission_ended\"");
    json_field_string(&text, "sessionId", session->id);
    if (waiting) {
        json_field_raw(&text, "request", permission->request_json);
    } else {
        put_end(&text, permission);
    }
    json_field_i64(&text, "waiting", dispatch->waiting);
    json_field_i64(&text, "at", dispatch->now.wall_ms);
    buffer_byte(&text, '}');
    feed(dispatch, &text);
}

static void *sink_arm(void *context, struct session *session, int what, int64_t after_ms, const char *request_id);

static void feed_changed(struct dispatch *dispatch, struct held *held)
{
    struct buffer text = {0};
    buffer_text(&text, "{\"type\":\"session_changed\"");
    session_summary(held->session, &text);
    buffer_byte(&text, '}');
    feed(dispatch, &text);
    held->head_told = held->session->head;
    held->feed_deadline = sink_arm(dispatch, held->session, DEADLINE_FEED, FEED_PERIOD_MS, NULL);
}

void dispatch_feed_removed(struct dispatch *dispatch, struct held *held)
{
    struct buffer text = {0};
    buffer_text(&text, "{\"type\":\"session_removed\"");
    json_field_string(&text, "sessionId", held->session->id);
    buffer_byte(&text, '}');
    feed(dispatch, &text);
}

void dispatch_feed(struct dispatch *dispatch, struct held *held)
{
    held->feed_deadline = NULL;
    if (held->feed_due) {
        held->feed_due = false;
        feed_changed(dispatch, held);
    }
}

/* ---- Agents and deadlines ---- */

static void order_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    agent_order_free(container_of(mail, struct agent_order, mail));
}

static void filling_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    agent_filling_free(container_of(mail, struct history_request, mail));
}

/* The order goes to the agent by way of history, which knows what the content's blobs are. */
static void order_filled(struct dispatch *dispatch, const struct held *held, struct agent_order *order)
{
    struct history_request *request;
    need_ok(history_request_new(&request));
    order->kind = ORDER_PROMPT;
    request->kind = HISTORY_PROMPT;
    request->session_key = held->session->key;
    request->content = order->content;
    order->content = NULL;
    request->owner = order;
    request->reply_to = dispatch->wiring.agent;
    request->reply_kind = AGENT_MAIL_FILLED;
    dispatch_forward(dispatch, &request->mail, dispatch->wiring.history, 0, filling_refuse);
}

static void sink_order(void *context, struct session *session, enum agent_order_kind kind, const char *turn_id,
                       const char *content, const char *request_id, const char *option_id)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct agent_order *order = need_zero(sizeof(*order));
    *order = (struct agent_order){.topic = topic_get(held->topic), .run = session->run, .kind = kind,
                                  .turn_id = need_copy(turn_id), .content = need_copy(content),
                                  .request_id = need_copy(request_id), .option_id = need_copy(option_id)};
    if (kind == ORDER_PROMPT_BLOBS) {
        order_filled(dispatch, held, order);
        return;
    }
    dispatch_forward(dispatch, &order->mail, dispatch->wiring.agent, AGENT_MAIL_ORDER, order_refuse);
}

static void start_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    agent_start_free(container_of(mail, struct agent_start, mail));
}

static void sink_start_agent(void *context, struct session *session)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct agent_start *start = need_zero(sizeof(*start));
    *start = (struct agent_start){.topic = topic_get(held->topic), .run = session->run,
                                  .agent = need_copy(session->agent), .workspace = need_copy(session->workspace),
                                  .resume = need_copy(session->agent_session), .titled = session->titled,
                                  .read_only = !strcmp(session->policy, session_policy_name(POLICY_READ_ONLY))};
    dispatch_forward(dispatch, &start->mail, dispatch->wiring.agent, AGENT_MAIL_START, start_refuse);
    dispatch_touch(dispatch, held);
}

void deadline_free(struct deadline *deadline)
{
    topic_put(deadline->topic);
    free(deadline->request_id);
    free(deadline);
}

static void *sink_arm(void *context, struct session *session, int what, int64_t after_ms, const char *request_id)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct deadline *deadline = need_zero(sizeof(*deadline));
    *deadline = (struct deadline){.at = instant_after_ms(dispatch->now.at, after_ms), .what = (enum deadline_what)what,
                                  .topic = topic_get(held->topic), .run = session->run,
                                  .request_id = need_copy(request_id)};
    deadline->mail.kind = TIMER_ARM;
    mailbox_push(dispatch->wiring.timer, &deadline->mail);
    return deadline;
}

static void sink_disarm(void *context, void *handle)
{
    struct dispatch *dispatch = context;
    struct deadline *deadline = handle;
    CHECK(!deadline->cancelled);
    deadline->cancelled = true;
    deadline->cancel_mail.kind = TIMER_CANCEL;
    mailbox_push(dispatch->wiring.timer, &deadline->cancel_mail);
}

/* ---- Answers ---- */

static struct answer_mail *answer_mail_new(const struct reply_address *reply, const char *id, enum command_type type,
                                           enum answer_code code, const char *message, const char *fields)
{
    struct answer_mail *mail = need_zero(sizeof(*mail));
    *mail = (struct answer_mail){.serial = reply->serial, .id = need_copy(id), .command = type,
                                 .answer = {.code = code, .message = need_copy(message), .fields = need_copy(fields)}};
    if (code != ANSWER_OK) {
        metric_add(METRIC_COMMANDS_REFUSED, 1);
    }
    return mail;
}

/* What was to tell of success tells of the opposite. */
static void answer_refuse_mail(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    struct answer_mail *answer = container_of(mail, struct answer_mail, mail);
    answer_clear(&answer->answer);
    answer->answer.code = ANSWER_STORAGE_UNAVAILABLE;
    answer->id_reused = false;
    answer->answer.message = strdup("it could not be recorded");
    mail->kind = kind;
    mailbox_push(to, mail);
}

void dispatch_answer(struct dispatch *dispatch, const struct dispatch_command *command, enum answer_code code,
                     const char *message, const char *fields)
{
    struct answer_mail *mail =
        answer_mail_new(&command->reply, command->command->id, command->command->type, code, message, fields);
    mail->session_id = need_copy(command->command->session_id);
    dispatch_forward(dispatch, &mail->mail, command->reply.to, command->reply.kind, answer_refuse_mail);
    if (command->entry) {
        dispatch_answers_finish(dispatch, command->entry, code, message, fields);
    }
}

void dispatch_answer_reused(struct dispatch *dispatch, const struct dispatch_command *command)
{
    struct answer_mail *mail =
        answer_mail_new(&command->reply, command->command->id, command->command->type, ANSWER_BAD_MESSAGE,
                        "this `id` was another command's", ",\"field\":\"id\"");
    mail->id_reused = true;
    dispatch_forward(dispatch, &mail->mail, command->reply.to, command->reply.kind, answer_refuse_mail);
}

void dispatch_refuse_now(struct dispatch *dispatch, const struct dispatch_command *command, enum answer_code code,
                         const char *message)
{
    struct answer_mail *mail =
        answer_mail_new(&command->reply, command->command->id, command->command->type, code, message, NULL);
    mail->session_id = need_copy(command->command->session_id);
    mail->mail.kind = command->reply.kind;
    mailbox_push(command->reply.to, &mail->mail);
    if (command->entry) {
        dispatch_answers_drop(dispatch, command->entry, code, message);
    }
}

static void sink_answer(void *context, const struct caller *caller, enum answer_code code, const char *message,
                        const char *fields)
{
    dispatch_answer(context, caller->reply, code, message, fields);
}

struct kept_reply {
    struct reply_address reply;
    char *id;
    enum command_type type;
    struct remembered *entry; /* NULL: the answer is not remembered */
};

static void *sink_keep_reply(void *context, const struct caller *caller)
{
    (void)context;
    const struct dispatch_command *command = caller->reply;
    struct kept_reply *kept = need_zero(sizeof(*kept));
    *kept = (struct kept_reply){.reply = command->reply, .id = need_copy(command->command->id),
                                .type = command->command->type, .entry = command->entry};
    return kept;
}

static void sink_answer_kept(void *context, void *handle, enum answer_code code, const char *message, const char *fields)
{
    struct kept_reply *kept = handle;
    struct answer_mail *mail = answer_mail_new(&kept->reply, kept->id, kept->type, code, message, fields);
    dispatch_forward(context, &mail->mail, kept->reply.to, kept->reply.kind, answer_refuse_mail);
    if (kept->entry) {
        dispatch_answers_finish(context, kept->entry, code, message, fields);
    }
    dispatch_drop_reply(kept);
}

void dispatch_drop_reply(void *handle)
{
    struct kept_reply *kept = handle;
    free(kept->id);
    free(kept);
}

void dispatch_effects_init(struct dispatch *dispatch)
{
    dispatch->sink = (struct session_sink){.context = dispatch,
                                           .event = sink_event,
                                           .order = sink_order,
                                           .start_agent = sink_start_agent,
                                           .answer = sink_answer,
                                           .arm = sink_arm,
                                           .disarm = sink_disarm,
                                           .keep_reply = sink_keep_reply,
                                           .answer_kept = sink_answer_kept,
                                           .permission_feed = sink_permission_feed};
    dispatch_permission_init(&dispatch->sink);
}

/* ---- The end of a step ---- */

static void settle(struct dispatch *dispatch, struct held *held)
{
    struct session *session = held->session;
    dispatch_count_agent(dispatch, held);
    if (session->pending_count != held->pending_told) {
        held->pending_told = session->pending_count;
        struct journal_item *item = dispatch_out(dispatch, JOURNAL_PENDING, held->topic);
        item->pending.count = (uint32_t)session->pending_count;
        item->pending.oldest_created_at = session->pending ? session->pending->created_at : 0;
    }
    if (session->phase == PHASE_CLOSED && !held->closed) {
        held->closed = true;
        dispatch->open_sessions--;
    }
    if (session->changed) {
        session->changed = false;
        held->feed_due = true;
        held_row(held, &dispatch_out(dispatch, JOURNAL_ROW, NULL)->row);
    }
    /* What is asked about may change while it waits: whoever sees the requests of all sessions is told that there is more to read. */
    if (session->pending_count && session->head != held->head_told) {
        held->feed_due = true;
    }
    if (held->feed_due && !held->feed_deadline) {
        dispatch_feed(dispatch, held);
    }
}

bool dispatch_settled(const struct dispatch *dispatch, const struct held *held)
{
    return !held->touched && held->batch <= atomic_load_explicit(dispatch->wiring.released, memory_order_acquire);
}

void dispatch_flush(struct dispatch *dispatch)
{
    do {
        for (struct held *held = dispatch->touched; held; held = held->touched_next) {
            settle(dispatch, held);
        }
    } while (dispatch_places_look(dispatch));
    dispatch->batches += dispatch->batch ? 1 : 0;
    while (dispatch->touched) {
        struct held *held = dispatch->touched;
        dispatch->touched = held->touched_next;
        held->touched = false;
        held->batch = dispatch->batch ? dispatch->batches : held->batch;
        dispatch_use(dispatch, held);
    }
    if (dispatch->batch) {
        dispatch->batch->number = dispatch->batches;
        pause_at(PAUSE_ASSIGN_COMMIT);
        mailbox_push(dispatch->wiring.journal, &dispatch->batch->mail);
        dispatch->batch = NULL;
    }
}
