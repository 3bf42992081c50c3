#include "signalbox/role/maintenance.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "maintenance_audit.h"
#include "maintenance_create.h"
#include "maintenance_folders.h"
#include "maintenance_fold.h"
#include "maintenance_look.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/dispatch.h"

enum { STORE_EVERY_MS = 1000 };

struct maintenance {
    /* shared */
    struct mailbox *box;
    atomic_bool stopping;
    struct config_store *config;
    struct mailbox *dispatch;

    /* the maintenance thread's; main's before it starts and after it has ended */
    struct store *store;
    struct store_reader *reader;
    bool failing; /* the last maintenance of the store failed: said once */
    struct log_limit failures;
    struct expire_note expire;
    bool expiring; /* `expire` is under way: one at a time */
    struct folding *folding;
    bool fold_more; /* there is more of it to look at, when nothing else waits */

    struct thread thread;
};

static void reply(struct list_request *request, enum err result)
{
    request->result = result;
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

/* Digits only: no sign, no blank, no leading zero but "0" itself. */
static bool parse_number(const char **at, int64_t *out)
{
    const char *text = *at;
    int64_t number = 0;
    if (*text < '0' || *text > '9' || (*text == '0' && text[1] >= '0' && text[1] <= '9')) {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number)) {
            return false;
        }
    }
    *at = text;
    *out = number;
    return true;
}

static bool parse_position(const char *text, int64_t *updated_at, int64_t *key)
{
    return parse_number(&text, updated_at) && *text++ == '.' && parse_number(&text, key) &&
           *text == '\0' && *key > 0;
}

struct page {
    struct list_request *request;
    size_t limit, count;
    int64_t updated_at, key; /* of the last row in it */
    bool more;
};

static bool add_row(void *context, const struct session_row *row)
{
    struct page *page = context;
    if (page->count == page->limit) {
        page->more = true;
        return false;
    }
    struct buffer *out = &page->request->items;
    if (page->count > 0) {
        buffer_byte(out, ',');
    }
    buffer_byte(out, '{');
    json_field_string(out, "sessionId", row->id);
    json_field_string(out, "title", row->title ? row->title : "");
    json_field_string(out, "agent", row->agent);
    json_field_string(out, "workspace", row->workspace);
    json_field_string(out, "phase", row->phase);
    json_field_i64(out, "pending", row->pending);
    if (row->pending > 0) {
        json_field_i64(out, "oldestPendingAt", row->oldest_pending_at);
    }
    json_field_i64(out, "createdAt", row->created_at);
    json_field_i64(out, "updatedAt", row->updated_at);
    json_field_i64(out, "head", (int64_t)row->head);
    json_field_string(out, "policy", row->policy);
    json_field_string(out, "createdBy", row->created_by);
    buffer_byte(out, '}');
    page->count++;
    page->updated_at = row->updated_at;
    page->key = row->key;
    return buffer_ok(out);
}

static enum err list_sessions(struct maintenance *maintenance, struct list_request *request)
{
    int64_t updated_at = 0;
    int64_t key = 0;
    if (request->after[0] != '\0' && !parse_position(request->after, &updated_at, &key)) {
        return ERR_INVAL;
    }
    struct page page = {.request = request, .limit = request->limit};
    if (page.limit == 0) {
        page.limit = MAINTENANCE_LIST_DEFAULT;
    } else if (page.limit > MAINTENANCE_LIST_MAX) {
        page.limit = MAINTENANCE_LIST_MAX;
    }
    /* One more than asked for tells whether there is a next page. */
    enum err err = maintenance->reader->operations->list_sessions(
        maintenance->reader, updated_at, key, page.limit + 1, request->open_only, add_row, &page);
    if (err == ERR_OK && page.more) {
        snprintf(request->next, sizeof(request->next), "%" PRId64 ".%" PRId64, page.updated_at,
                 page.key);
    }
    return err;
}

/* Not of the store; what is wrong with a folder is the asker's to know. */
static enum err list_folders(struct maintenance *maintenance, struct list_request *request)
{
    const struct config *config = config_current_get(maintenance->config);
    enum err err = maintenance_list_folders(config, request);
    config_put(config);
    return err == ERR_OK && !buffer_ok(&request->items) ? ERR_NOMEM : err;
}

static enum err list(struct maintenance *maintenance, struct list_request *request)
{
    buffer_reset(&request->items);
    request->next[0] = '\0';
    request->count = 0;
    if (request->kind == LIST_FOLDERS) {
        return list_folders(maintenance, request);
    }
    enum err err = request->kind == LIST_SESSIONS ? list_sessions(maintenance, request)
                                                  : maintenance_list_audit(maintenance->reader, request);
    if (err == ERR_OK && !buffer_ok(&request->items)) {
        err = ERR_NOMEM;
    }
    if (err != ERR_OK && err != ERR_NOMEM && err != ERR_INVAL) {
        static const char *const names[] = {
            [LIST_SESSIONS] = "sessions", [LIST_RULES] = "rules", [LIST_AUDIT] = "audit"};
        uint32_t left_out;
        if (log_limit_pass(&maintenance->failures, 6, &left_out)) {
            log_error("a list cannot be read", "list", "%s", names[request->kind], "error", "%s",
                      err_text(err), "left_out", "%u", left_out, NULL);
        }
        err = ERR_IO;
    }
    return err;
}

/* ---- Answers that are older than a day ---- */

static bool note_oldest(void *context, const struct digest *name, int64_t at)
{
    (void)name;
    *(int64_t *)context = at;
    return false;
}

/* A few at a time, so that what is being committed does not wait for it; the next few when these are gone. */
static void expire_answers(struct maintenance *maintenance)
{
    if (!maintenance->dispatch || maintenance->expiring || atomic_load(&maintenance->stopping)) {
        return;
    }
    int64_t before = clock_wall_ms() - ANSWER_LIFE_MS;
    int64_t oldest = INT64_MAX;
    if (maintenance->reader->operations->list_answers(maintenance->reader, INT64_MIN, note_oldest, &oldest) ||
        oldest >= before) {
        return; /* a failing store is told of by its maintenance */
    }
    maintenance->expiring = true;
    maintenance->expire = (struct expire_note){.mail.kind = DISPATCH_EXPIRE,
                                               .reply_to = maintenance->box,
                                               .reply_kind = MAINTENANCE_EXPIRED,
                                               .before = before};
    mailbox_push(maintenance->dispatch, &maintenance->expire.mail);
}

/* ---- Closed turns ---- */

static void fold_turns(struct maintenance *maintenance)
{
    if (!maintenance->dispatch || !maintenance->config || atomic_load(&maintenance->stopping)) {
        return;
    }
    const struct config *config = config_current_get(maintenance->config);
    int64_t after_ms = config->fold_after_ms;
    config_put(config);
    maintenance->fold_more = folding_go_on(maintenance->folding, after_ms, clock_wall_ms());
}

static void answer_all(struct maintenance *maintenance)
{
    struct mail *mail;
    while ((mail = mailbox_take(maintenance->box)) != NULL) {
        if (mail->kind == MAINTENANCE_CREATE) {
            maintenance_check_create(maintenance->config, maintenance->dispatch, mail);
            continue;
        }
        if (mail->kind == MAINTENANCE_LOOK) {
            maintenance_look(container_of(mail, struct look_request, mail));
            continue;
        }
        if (mail->kind == MAINTENANCE_EXPIRED) {
            maintenance->expiring = false;
            expire_answers(maintenance);
            continue;
        }
        if (mail->kind == MAINTENANCE_FOLDED) {
            folding_written(maintenance->folding);
            fold_turns(maintenance);
            continue;
        }
        CHECK(mail->kind == MAINTENANCE_LIST);
        struct list_request *request = container_of(mail, struct list_request, mail);
        enum err err = ERR_STOPPING;
        if (!atomic_load(&maintenance->stopping)) {
            err = list(maintenance, request);
        }
        if (err != ERR_OK) {
            buffer_free(&request->items);
        }
        reply(request, err);
    }
}

static void maintain_store(struct maintenance *maintenance)
{
    enum err err = maintenance->reader->operations->maintain(maintenance->reader);
    if (err != ERR_OK && !maintenance->failing) {
        log_error("store maintenance fails", "error", "%s", err_text(err), NULL);
    } else if (err == ERR_OK && maintenance->failing) {
        log_info("store maintenance works again", NULL);
    }
    maintenance->failing = err != ERR_OK;
}

static void run(void *context)
{
    struct maintenance *maintenance = context;
    thread_check(THREAD_MAINTENANCE);
    struct instant due = instant_after_ms(clock_now(), STORE_EVERY_MS);
    while (!atomic_load(&maintenance->stopping)) {
        answer_all(maintenance);
        struct instant now = clock_now();
        if (atomic_exchange(&maintenance->store->keeper_called, false)) {
            maintain_store(maintenance);
        }
        if (instant_reached(due, now)) {
            maintain_store(maintenance);
            expire_answers(maintenance);
            fold_turns(maintenance);
            due = instant_after_ms(clock_now(), STORE_EVERY_MS);
        }
        if (maintenance->fold_more) {
            fold_turns(maintenance);
        } else {
            mailbox_wait(maintenance->box, due);
        }
    }
    answer_all(maintenance);
}

void maintenance_free(struct maintenance *maintenance)
{
    if (!maintenance) {
        return;
    }
    folding_free(maintenance->folding);
    if (maintenance->reader) {
        maintenance->reader->operations->reader_close(maintenance->reader);
    }
    mailbox_free(maintenance->box);
    free(maintenance);
}

enum err maintenance_start(struct maintenance **out, struct store *store, struct config_store *config,
                           struct mailbox *dispatch)
{
    struct maintenance *maintenance = calloc(1, sizeof(*maintenance));
    if (!maintenance) {
        return ERR_NOMEM;
    }
    maintenance->store = store;
    maintenance->config = config;
    maintenance->dispatch = dispatch;
    enum err err = mailbox_new(&maintenance->box, "maintenance", 0);
    if (err == ERR_OK) {
        err = store->operations->reader_open(store, &maintenance->reader);
    }
    if (err == ERR_OK) {
        err = folding_new(&maintenance->folding, maintenance->reader, dispatch, maintenance->box);
    }
    if (err == ERR_OK) {
        err = thread_start(&maintenance->thread, THREAD_MAINTENANCE, -1, true, run, maintenance);
    }
    if (err != ERR_OK) {
        maintenance_free(maintenance);
        return err;
    }
    atomic_store(&store->keeper, maintenance->box);
    *out = maintenance;
    return ERR_OK;
}

void maintenance_ask(struct maintenance *maintenance, struct list_request *request)
{
    CHECK(request->reply_to != NULL);
    request->mail.kind = MAINTENANCE_LIST; /* one that came back has the asker's kind */
    mailbox_push(maintenance->box, &request->mail);
}

void maintenance_stop(struct maintenance *maintenance)
{
    if (!maintenance) {
        return;
    }
    atomic_store(&maintenance->store->keeper, NULL); /* nobody appends any more */
    atomic_store(&maintenance->stopping, true);
    mailbox_poke(maintenance->box);
    thread_join(&maintenance->thread);
    /* Asked while the thread was ending. */
    answer_all(maintenance);
}

struct mailbox *maintenance_mailbox(struct maintenance *maintenance)
{
    return maintenance->box;
}
