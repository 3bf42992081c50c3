#pragma once
/* Pages of rules and of the audit, for the maintenance thread. */
#include "signalbox/mail/list.h"
#include "signalbox/store/store.h"

/* Fills the items, the count and `next` of a request for LIST_RULES or LIST_AUDIT. ERR_INVAL: `after` is no number; else
 * what the store returns. Blocks. */
must_check enum err maintenance_list_audit(struct store_reader *reader, struct list_request *request);
