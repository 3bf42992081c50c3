/*
 * A session is erased: a closed one, with its events, its content and what is said on its wires. Its decisions stay in
 * the audit; its rules went when it was closed.
 *
 * Until that is committed, the store still has its row, and whoever asks for it would have it read back. So it stays in
 * memory and says that it is not there, and leaves when the journal has sent this thread its own note.
 */
#include "dispatch_internal.h"

#include <stdlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/need.h"
#include "signalbox/mail/wirelog.h"

static void wirelog_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    free(container_of(mail, struct wirelog_purge, mail));
}

static void note_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    erased_note_free(container_of(mail, struct erased_note, mail));
}

/* Who did it, and to what: the one trace that is left, in the transaction that erases. */
static void record(struct dispatch *dispatch, const struct session *session, const struct dispatch_command *command)
{
    const struct caller caller = dispatch_caller(command);
    struct audit_entry *entry = &dispatch_out(dispatch, JOURNAL_AUDIT, NULL)->audit;
    *entry = (struct audit_entry){
        .at = dispatch->now.wall_ms,
        .action = need_copy("session_erased"),
        .session_id = need_copy(session->id),
        .workspace = need_copy(session->workspace),
        .agent = need_copy(session->agent),
        .by = need_copy("user"),
        .user = need_copy(caller.user),
    };
    dispatch_audit_from(entry, &caller);
    log_info("session erased", "session", "%s", session->id, "user", "%s", caller.user, NULL);
}

/* Behind the commit, for who sees to it that nothing is left. */
static void tell(struct dispatch *dispatch, const struct held *held)
{
    if (dispatch->wiring.wirelog) {
        struct wirelog_purge *purge;
        need_ok(wirelog_purge_new(&purge, held->session->id));
        dispatch_forward(dispatch, &purge->mail, dispatch->wiring.wirelog, WIRELOG_PURGE, wirelog_refuse);
    }
    struct erased_note *note = need_zero(sizeof(*note));
    note->topic = topic_get(held->topic);
    dispatch_forward(dispatch, &note->mail, dispatch->inbox, DISPATCH_ERASED, note_refuse);
}

void dispatch_erase(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    struct session *session = held->session;
    if (session->phase != PHASE_CLOSED || !dispatch_at_rest(held)) {
        dispatch_answer(dispatch, command, ANSWER_BUSY, "the session is not closed, or is not at rest yet", NULL);
        return;
    }
    if (held->feed_deadline) {
        dispatch->sink.disarm(dispatch->sink.context, held->feed_deadline);
        held->feed_deadline = NULL;
    }
    held->feed_due = false;
    held->erased = true;
    record(dispatch, session, command);
    dispatch_out(dispatch, JOURNAL_PURGE, held->topic)->purge_key = session->key;
    dispatch_feed_removed(dispatch, held);
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, NULL);
    tell(dispatch, held);
}

void dispatch_erased(struct dispatch *dispatch, struct erased_note *note)
{
    struct held *held = note->topic->session;
    if (held && !dispatch->ending) {
        topic_map_remove(dispatch->wiring.topics, held->topic);
        held_free(dispatch, held);
    }
    erased_note_free(note);
}
