#include "maintenance_audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "signalbox/role/maintenance.h"

/* An entry holds what was shown, which may be long: so a page is bounded in bytes too, but for its last item. */
enum { PAGE_BYTES = 1 << 20 };

struct page {
    struct list_request *request;
    size_t limit;
    int64_t last; /* number of the last one in it */
    bool more;
};

/* Digits only; 0 for an empty text. */
static bool parse_after(const char *text, int64_t *out)
{
    int64_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number)) {
            return false;
        }
    }
    *out = number;
    return *text == '\0';
}

/* Room for one more. False: it goes to the next page. */
static bool open_item(struct page *page)
{
    struct buffer *items = &page->request->items;
    if (page->request->count == page->limit || items->length >= PAGE_BYTES) {
        page->more = true;
        return false;
    }
    if (page->request->count > 0 && !page->request->lines) {
        buffer_byte(items, ',');
    }
    return true;
}

static bool close_item(struct page *page, int64_t number)
{
    if (page->request->lines) {
        buffer_byte(&page->request->items, '\n');
    }
    page->request->count++;
    page->last = number;
    return buffer_ok(&page->request->items);
}

static bool add_rule(void *context, const struct stored_rule *rule)
{
    struct page *page = context;
    if (!open_item(page)) {
        return false;
    }
    stored_rule_json(&page->request->items, rule);
    return close_item(page, rule->key);
}

static bool add_entry(void *context, const struct audit_entry *entry)
{
    struct page *page = context;
    if (!open_item(page)) {
        return false;
    }
    audit_entry_json(&page->request->items, entry);
    return close_item(page, entry->number);
}

enum err maintenance_list_audit(struct store_reader *reader, struct list_request *request)
{
    struct page page = {.request = request, .limit = request->limit};
    if (page.limit == 0) {
        page.limit = MAINTENANCE_LIST_DEFAULT;
    } else if (page.limit > MAINTENANCE_LIST_MAX) {
        page.limit = MAINTENANCE_LIST_MAX;
    }
    int64_t after = 0;
    if (!parse_after(request->after, &after)) {
        return ERR_INVAL;
    }
    enum err err;
    /* One more than asked for tells whether there is a next page. */
    if (request->kind == LIST_RULES) {
        const struct rule_filter filter = {
            .user = request->user, .session_id = request->session_id, .workspace = request->workspace};
        err = reader->operations->list_rules(reader, after, page.limit + 1, &filter, add_rule, &page);
    } else {
        const struct audit_filter filter = {.user = request->user, .session_id = request->session_id,
                                            .outcome = request->outcome, .since = request->since,
                                            .until = request->until};
        err = reader->operations->list_audit(reader, after, request->newest_first, page.limit + 1, &filter,
                                             add_entry, &page);
    }
    if (err == ERR_OK && page.more) {
        snprintf(request->next, sizeof(request->next), "%" PRId64, page.last);
    }
    return err;
}
