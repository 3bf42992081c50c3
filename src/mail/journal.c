#include "signalbox/mail/journal.h"

#include <stdlib.h>

#include "signalbox/base/need.h"

struct journal_batch *journal_batch_new(void)
{
    struct journal_batch *batch = need_zero(sizeof(*batch));
    batch->mail.kind = JOURNAL_BATCH;
    batch->last = &batch->first;
    return batch;
}

struct journal_item *journal_batch_add(struct journal_batch *batch, enum journal_item_kind kind)
{
    struct journal_item *item = need_zero(sizeof(*item));
    item->kind = kind;
    *batch->last = item;
    batch->last = &item->next;
    batch->items++;
    return item;
}

static void item_free(struct journal_item *item)
{
    switch (item->kind) {
    case JOURNAL_EVENT:
        if (item->event.credit) {
            credit_give(item->event.credit, item->event.credit_bytes);
            credit_put(item->event.credit);
        }
        event_discard(&item->event.event);
        break;
    case JOURNAL_BLOB:
        if (item->blob.credit) {
            credit_give(item->blob.credit, item->blob.credit_bytes);
            credit_put(item->blob.credit);
        }
        blobs_free(item->blob.blob);
        break;
    case JOURNAL_FEED:
        event_discard(&item->event.event);
        break;
    case JOURNAL_ROW:
        session_row_clear(&item->row);
        break;
    case JOURNAL_FORWARD:
        if (item->forward.mail) {
            item->forward.refuse(item->forward.mail, item->forward.to, item->forward.kind);
        }
        break;
    case JOURNAL_ANSWER:
        stored_answer_clear(&item->answer);
        break;
    case JOURNAL_RULE:
        stored_rule_clear(&item->rule);
        break;
    case JOURNAL_RULE_REMOVE:
        free(item->rule_id);
        break;
    case JOURNAL_AUDIT:
        audit_entry_clear(&item->audit);
        break;
    case JOURNAL_PENDING:
    case JOURNAL_PURGE:
    case JOURNAL_EXPIRE:
    case JOURNAL_FORGET:
        break;
    }
    topic_put(item->topic);
    free(item);
}

void journal_batch_free(struct journal_batch *batch)
{
    if (!batch) {
        return;
    }
    while (batch->first) {
        struct journal_item *item = batch->first;
        batch->first = item->next;
        item_free(item);
    }
    free(batch);
}
