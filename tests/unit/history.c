/* The history and the maintenance thread, asked as socket and handler threads ask them. */
#include "signalbox/role/history.h"

#include <json-c/json.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/check.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/role/maintenance.h"
#include "support/test.h"

enum { BACK = 77 };

static struct store *store;
static struct history *history;
static struct maintenance *maintenance;
static struct mailbox *box;

static void append_kind(int64_t key, uint64_t seq, const char *kind, const char *json, size_t length)
{
    struct store_write write = {
        .kind = STORE_EVENT,
        .session_key = key,
        .seq = seq,
        .event_kind = kind,
        .json = json,
        .json_length = length,
    };
    CU_ASSERT_EQUAL_FATAL(store->operations->append(store, &write), ERR_OK);
}

static void append(int64_t key, uint64_t seq, const char *json, size_t length)
{
    append_kind(key, seq, "error", json, length);
}

/* An event that stays whatever is folded. */
#define EVENT(n) "{\"seq\":" #n ",\"type\":\"error\"}"
enum { EVENT_LENGTH = sizeof(EVENT(1)) - 1 };

static void append_row(int64_t key, const char *id, int64_t updated_at, bool closed)
{
    struct session_row row = {
        .key = key,
        .id = (char *)(uintptr_t)id,
        .agent = (char *)(uintptr_t) "shell",
        .workspace = (char *)(uintptr_t) "/srv/\"work\"",
        .phase = (char *)(uintptr_t)(closed ? "closed" : "idle"),
        .updated_at = updated_at,
        .closed = closed,
    };
    struct store_write write = {.kind = STORE_SESSION, .session_key = key, .row = &row};
    CU_ASSERT_EQUAL_FATAL(store->operations->append(store, &write), ERR_OK);
}

static void begin(void)
{
    CU_ASSERT_EQUAL_FATAL(store_memory_open(&store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(history_start(&history, store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&maintenance, store, NULL, NULL), ERR_OK);
    for (uint64_t seq = 1; seq <= 9; seq++) {
        char text[EVENT_LENGTH + 1];
        snprintf(text, sizeof(text), "{\"seq\":%u,\"type\":\"error\"}", (unsigned)seq % 10);
        append(1, seq, text, EVENT_LENGTH);
    }
}

static void end(void)
{
    history_stop(history);
    maintenance_stop(maintenance);
    maintenance_free(maintenance);
    store->operations->close(store);
    mailbox_free(box);
}

static struct mail *next_mail(void)
{
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        mailbox_wait(box, INSTANT_NEVER);
    }
    CU_ASSERT_EQUAL(mail->kind, BACK);
    return mail;
}

static struct history_request *new_request(enum history_request_kind kind, uint64_t from,
                                           uint64_t to, size_t max_bytes, size_t max_events)
{
    struct history_request *request;
    CU_ASSERT_EQUAL_FATAL(history_request_new(&request), ERR_OK);
    request->reply_to = box;
    request->reply_kind = BACK;
    request->kind = kind;
    request->session_key = 1;
    request->began = from - 1;
    request->from = from;
    request->to = to;
    request->whole = true;
    request->max_bytes = max_bytes;
    request->max_events = max_events;
    return request;
}

static void ask(struct history_request *request)
{
    history_ask(history, request);
    CU_ASSERT_PTR_EQUAL(next_mail(), &request->mail);
}

static void expect(struct history_request *request, const char *bytes, size_t events, uint64_t last)
{
    char *text = strndup(request->bytes.length ? request->bytes.data : "", request->bytes.length);
    CU_ASSERT_EQUAL(request->result, ERR_OK);
    TEST_TEXT(text, bytes);
    free(text);
    CU_ASSERT_EQUAL(request->events, events);
    CU_ASSERT_EQUAL(request->last, last);
    history_request_free(request);
}

static void events_come_as_an_array_of_json(void)
{
    begin();
    struct history_request *request = new_request(HISTORY_JSON, 2, 4, 1000, 0);
    ask(request);
    expect(request, EVENT(2) "," EVENT(3) "," EVENT(4), 3, 4);
    request = new_request(HISTORY_JSON, 2, 9, 1000, 2);
    ask(request);
    expect(request, EVENT(2) "," EVENT(3), 2, 3);
    request = new_request(HISTORY_JSON, 2, 9, EVENT_LENGTH + 1, 0); /* reached within the second */
    ask(request);
    expect(request, EVENT(2) "," EVENT(3), 2, 3);
    request = new_request(HISTORY_JSON, 2, 9, 0, 0); /* one event at least */
    ask(request);
    expect(request, EVENT(2), 1, 2);
    append_row(1, "one", 1, false);
    request = new_request(HISTORY_JSON, 10, 20, 1000, 0); /* what is not in the log of a session that is there */
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_IO);
    CU_ASSERT_EQUAL(request->last, 9);
    history_request_free(request);
    request = new_request(HISTORY_JSON, 5, 4, 1000, 0);
    ask(request);
    expect(request, "", 0, 4);
    end();
}

/* RFC 6455, section 5.2: 0x81 is a whole text message; 126 and 127 say that a longer length
 * follows. */
static void events_come_as_frames(void)
{
    begin();
    struct history_request *request = new_request(HISTORY_FRAMES, 8, 9, 1000, 0);
    ask(request);
    expect(request, "\x81\x18" EVENT(8) "\x81\x18" EVENT(9), 2, 9);
    CU_ASSERT_EQUAL(EVENT_LENGTH, 0x18);

    size_t sizes[] = {126, 70000};
    for (uint64_t i = 0; i < 2; i++) {
        struct buffer text = {0};
        buffer_format(&text, "{\"seq\":%d,\"type\":\"error\",\"x\":\"", 10 + (int)i);
        while (text.length < sizes[i] - 2) {
            buffer_byte(&text, 'x');
        }
        buffer_append(&text, "\"}", 2);
        append(1, 10 + i, text.data, text.length);
        buffer_free(&text);
    }
    request = new_request(HISTORY_FRAMES, 10, 11, 1 << 20, 0);
    ask(request);
    CU_ASSERT_EQUAL_FATAL(request->bytes.length, 4 + 126 + 10 + 70000);
    CU_ASSERT_EQUAL(memcmp(request->bytes.data, "\x81\x7e\x00\x7e{\"", 6), 0);
    CU_ASSERT_EQUAL(memcmp(request->bytes.data + 130, "\x81\x7f\0\0\0\0\0\x01\x11\x70{\"", 12), 0);
    CU_ASSERT_EQUAL(request->last, 11);
    history_request_free(request);
    end();
}

static void a_session_is_found_by_its_id(void)
{
    begin();
    append_row(1, "one", 10, false);
    struct history_request *request = new_request(HISTORY_SESSION, 0, 0, 0, 0);
    snprintf(request->session_id, sizeof(request->session_id), "one");
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_OK);
    CU_ASSERT_EQUAL(request->row.key, 1);
    CU_ASSERT_EQUAL(request->row.head, 9);
    /* The same struct may ask again. */
    snprintf(request->session_id, sizeof(request->session_id), "two");
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_NOENT);
    history_request_free(request);
    end();
}

static void what_many_wait_for_is_answered_to_each(void)
{
    begin();
    enum { COUNT = 300 };
    for (size_t i = 0; i < COUNT; i++) {
        /* Some want the same range, some the same beginning of another, some their own. */
        uint64_t from = i % 5 == 0 ? 2 : 1;
        uint64_t to = i % 3 == 0 ? 9 : 7;
        struct history_request *request =
            new_request(HISTORY_JSON, from, to, i % 7 == 0 ? 2 * EVENT_LENGTH : 1000, 0);
        request->cookie[0] = i;
        history_ask(history, request);
    }
    bool back[COUNT] = {false};
    for (size_t i = 0; i < COUNT; i++) {
        struct mail *mail = next_mail();
        struct history_request *request =
            (struct history_request *)(void *)((char *)mail -
                                               offsetof(struct history_request, mail));
        size_t cookie = request->cookie[0];
        CU_ASSERT_FALSE(back[cookie]);
        back[cookie] = true;
        CU_ASSERT_EQUAL(request->result, ERR_OK);
        uint64_t last = cookie % 7 == 0 ? request->from + 1 : request->to;
        CU_ASSERT_EQUAL(request->last, last);
        CU_ASSERT_EQUAL(request->events, last - request->from + 1);
        CU_ASSERT_EQUAL(request->bytes.length, request->events * (EVENT_LENGTH + 1) - 1);
        CU_ASSERT_EQUAL(request->bytes.data[7], (char)('0' + request->from));
        history_request_free(request);
    }
    end();
}

static void what_is_left_at_the_stop_is_answered(void)
{
    begin();
    enum { COUNT = 200 };
    for (size_t i = 0; i < COUNT; i++) {
        history_ask(history, new_request(HISTORY_JSON, i % 9 + 1, 9, 1000, 0));
    }
    history_stop(history);
    for (size_t i = 0; i < COUNT; i++) {
        struct mail *mail = mailbox_take(box);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mail);
        struct history_request *request =
            (struct history_request *)(void *)((char *)mail -
                                               offsetof(struct history_request, mail));
        CU_ASSERT_TRUE(request->result == ERR_OK || request->result == ERR_STOPPING);
        CU_ASSERT_TRUE(request->result == ERR_OK || request->bytes.length == 0);
        history_request_free(request);
    }
    history = NULL; /* history_stop takes it */
    end();
}

/* A store that breaks in the middle of reading. */
static enum err broken_events(struct store_reader *reader, int64_t session_key, uint64_t from,
                              uint64_t to, store_event_visit *visit, void *context)
{
    (void)reader;
    (void)session_key;
    (void)to;
    (void)visit(context, from, "{}", 2);
    return ERR_CORRUPT;
}

static enum err broken_session(struct store_reader *reader, const char *id, struct session_row *out)
{
    (void)reader;
    (void)id;
    (void)out;
    return ERR_CORRUPT;
}

static enum err broken_list(struct store_reader *reader, int64_t updated_at, int64_t key,
                            size_t limit, bool open_only, store_row_visit *visit, void *context)
{
    (void)reader;
    (void)updated_at;
    (void)key;
    (void)limit;
    (void)open_only;
    (void)visit;
    (void)context;
    return ERR_IO;
}

static enum err broken_audit(struct store_reader *reader, int64_t after, bool newest_first, size_t limit,
                             const struct audit_filter *filter, store_audit_visit *visit, void *context)
{
    (void)reader;
    (void)after;
    (void)newest_first;
    (void)limit;
    (void)filter;
    const struct audit_entry entry = {.number = 1, .action = (char *)(uintptr_t) "decision"};
    (void)visit(context, &entry);
    return ERR_CORRUPT;
}

static struct store_operations broken_operations;
static struct store_reader broken_reader = {.operations = &broken_operations};

static enum err broken_open(struct store *which, struct store_reader **out)
{
    (void)which;
    *out = &broken_reader;
    return ERR_OK;
}

static enum err broken_find(struct store_reader *reader, int64_t session_key)
{
    (void)reader;
    (void)session_key;
    return ERR_CORRUPT;
}

static void broken_close(struct store_reader *reader)
{
    (void)reader;
}

static struct list_request *new_list(const char *after, size_t limit, bool open_only)
{
    struct list_request *request;
    CU_ASSERT_EQUAL_FATAL(list_request_new(&request), ERR_OK);
    request->reply_to = box;
    request->reply_kind = BACK;
    snprintf(request->after, sizeof(request->after), "%s", after);
    request->limit = limit;
    request->open_only = open_only;
    return request;
}

static void ask_list(struct list_request *request)
{
    maintenance_ask(maintenance, request);
    CU_ASSERT_PTR_EQUAL(next_mail(), &request->mail);
}

static void a_store_that_cannot_be_read_is_an_error(void)
{
    begin();
    history_stop(history);
    maintenance_stop(maintenance);
    maintenance_free(maintenance);
    broken_operations = (struct store_operations){
        .name = "broken",
        .reader_open = broken_open,
        .reader_close = broken_close,
        .read_events = broken_events,
        .read_session = broken_session,
        .find_session = broken_find,
        .list_sessions = broken_list,
        .list_audit = broken_audit,
    };
    struct store broken = {.operations = &broken_operations};
    CU_ASSERT_EQUAL_FATAL(history_start(&history, &broken), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&maintenance, &broken, NULL, NULL), ERR_OK);
    struct history_request *request = new_request(HISTORY_JSON, 3, 9, 1000, 0);
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_CORRUPT);
    CU_ASSERT_EQUAL(request->bytes.length, 0);
    CU_ASSERT_EQUAL(request->last, 2);
    request->kind = HISTORY_SESSION;
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_IO);
    history_request_free(request);
    struct list_request *page = new_list("", 10, false);
    for (int kind = 0; kind < 2; kind++) {
        page->kind = kind ? LIST_AUDIT : LIST_SESSIONS;
        ask_list(page);
        CU_ASSERT_EQUAL(page->result, ERR_IO);
        CU_ASSERT_EQUAL(page->items.length, 0);
    }
    list_request_free(page);
    end();
}

static void lists_come_in_pages(void)
{
    begin();
    for (int64_t key = 1; key <= 5; key++) {
        char id[8];
        snprintf(id, sizeof(id), "s%d", (int)key);
        append_row(key, id, 100 + key / 2, key == 3);
    }
    /* By change and key, newest first: 5 and 4 (102), 3 and 2 (101), 1 (100). */
    char after[48] = "";
    static const char *const expected[3][2] = {{"s5", "s4"}, {"s3", "s2"}, {"s1", NULL}};
    static const char *const next[] = {"102.4", "101.2", ""};
    for (size_t i = 0; i < 3; i++) {
        struct list_request *page = new_list(after, 2, false);
        ask_list(page);
        CU_ASSERT_EQUAL(page->result, ERR_OK);
        TEST_TEXT(page->next, next[i]);
        struct buffer array = {0};
        buffer_byte(&array, '[');
        buffer_append(&array, page->items.data, page->items.length);
        buffer_append(&array, "]", 2);
        struct json_object *items = json_tokener_parse(array.data);
        CU_ASSERT_EQUAL_FATAL(json_object_get_type(items), json_type_array);
        CU_ASSERT_EQUAL(json_object_array_length(items), expected[i][1] ? 2 : 1);
        for (size_t j = 0; j < json_object_array_length(items); j++) {
            struct json_object *item = json_object_array_get_idx(items, j);
            TEST_TEXT(json_object_get_string(json_object_object_get(item, "sessionId")),
                      expected[i][j]);
            TEST_TEXT(json_object_get_string(json_object_object_get(item, "workspace")),
                      "/srv/\"work\"");
        }
        json_object_put(items);
        buffer_free(&array);
        snprintf(after, sizeof(after), "%s", page->next);
        list_request_free(page);
    }
    struct list_request *page = new_list("", 2, true);
    page->limit = 3;
    ask_list(page);
    TEST_TEXT(page->next, "101.2");
    list_request_free(page);
    page = new_list("", 0, true);
    ask_list(page);
    TEST_TEXT(page->next, "");
    buffer_byte(&page->items, '\0');
    CU_ASSERT_PTR_NOT_NULL(strstr(page->items.data, "s4"));
    CU_ASSERT_PTR_NULL(strstr(page->items.data, "s3"));
    list_request_free(page);
    end();
}

static void a_position_that_is_none_is_refused(void)
{
    begin();
    static const char *const wrong[] = {
        "x",
        "1",
        "1.",
        ".1",
        "1.x",
        "-1.2",
        "1.-2",
        " 1.2",
        "1.2 ",
        "1.2.3",
        "01.2",
        "1.0",
        "+1.2",
        "99999999999999999999.1",
        "1.99999999999999999999",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct list_request *page = new_list(wrong[i], 2, false);
        ask_list(page);
        CU_ASSERT_EQUAL(page->result, ERR_INVAL);
        list_request_free(page);
    }
    struct list_request *page = new_list("0.1", 2, false);
    ask_list(page);
    CU_ASSERT_EQUAL(page->result, ERR_OK);
    list_request_free(page);
    end();
}

/* ---- Rules and the audit ---- */

static void append_entry(const char *user, const char *request)
{
    struct audit_entry entry = {
        .at = 1000, .action = (char *)(uintptr_t) "decision", .user = (char *)(uintptr_t)user,
        .outcome = (char *)(uintptr_t) "allowed", .request = (char *)(uintptr_t)request};
    struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
    CU_ASSERT_EQUAL_FATAL(store->operations->append(store, &write), ERR_OK);
}

static void expect_items(struct list_request *page, const char *items, const char *next)
{
    ask_list(page);
    CU_ASSERT_EQUAL(page->result, ERR_OK);
    buffer_byte(&page->items, '\0');
    TEST_TEXT(page->items.length > 1 ? page->items.data : "", items);
    TEST_TEXT(page->next, next);
}

static void pages_of_rules_and_of_the_audit(void)
{
    begin();
    for (const char *id = "r1\0r2\0r3\0"; *id; id += 3) {
        struct stored_rule rule = {.id = (char *)(uintptr_t)id,
                                   .user = (char *)(uintptr_t)(id[1] == '2' ? "ben" : "ann")};
        struct store_write write = {.kind = STORE_RULE, .rule = &rule};
        CU_ASSERT_EQUAL_FATAL(store->operations->append(store, &write), ERR_OK);
        append_entry(rule.user, NULL);
    }
#define RULE(id, user) "{\"ruleId\":\"" id "\",\"user\":\"" user "\",\"createdAt\":0,\"expiresAt\":null}"
#define ENTRY(number, user)                                                                        \
    "{\"number\":" number ",\"at\":1000,\"action\":\"decision\",\"outcome\":\"allowed\","             \
    "\"alwaysAllow\":false,\"user\":\"" user "\"}"
    struct list_request *page = new_list("", 2, false);
    page->kind = LIST_RULES;
    expect_items(page, RULE("r1", "ann") "," RULE("r2", "ben"), "2");
    CU_ASSERT_EQUAL(page->count, 2);
    memcpy(page->after, page->next, sizeof(page->after)); /* the same one asks for the next */
    expect_items(page, RULE("r3", "ann"), "");
    page->after[0] = '\0';
    page->user = strdup("ben");
    expect_items(page, RULE("r2", "ben"), "");
    list_request_free(page);

    page = new_list("", 2, false);
    page->kind = LIST_AUDIT;
    expect_items(page, ENTRY("1", "ann") "," ENTRY("2", "ben"), "2");
    memcpy(page->after, page->next, sizeof(page->after));
    expect_items(page, ENTRY("3", "ann"), "");
    page->after[0] = '\0';
    page->newest_first = page->lines = true;
    expect_items(page, ENTRY("3", "ann") "\n" ENTRY("2", "ben") "\n", "2");
    page->outcome = strdup("rejected");
    expect_items(page, "", "");
    static const char *const wrong[] = {"x", "-1", "1.", " 1", "1x", "99999999999999999999"};
    for (size_t i = 0; i < array_size(wrong); i++) {
        snprintf(page->after, sizeof(page->after), "%s", wrong[i]);
        ask_list(page);
        CU_ASSERT_EQUAL(page->result, ERR_INVAL);
    }
    list_request_free(page);
    end();
}

/* What was shown may be long: then a page has fewer, and the next one goes on behind the last. */
static void a_page_of_the_audit_has_a_bound_in_bytes(void)
{
    begin();
    enum { LONG = 400000 };
    char *request = malloc(LONG + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(request);
    memset(request, ' ', LONG);
    memcpy(request + LONG - 2, "{}", 3);
    for (int i = 0; i < 7; i++) {
        append_entry("ann", request);
    }
    free(request);
    struct list_request *page = new_list("", 100, false);
    page->kind = LIST_AUDIT;
    static const struct {
        size_t count;
        const char *next;
    } pages[] = {{3, "3"}, {3, "6"}, {1, ""}};
    for (size_t i = 0; i < array_size(pages); i++) {
        ask_list(page);
        CU_ASSERT_EQUAL(page->result, ERR_OK);
        CU_ASSERT_EQUAL(page->count, pages[i].count);
        TEST_TEXT(page->next, pages[i].next);
        memcpy(page->after, page->next, sizeof(page->after));
    }
    list_request_free(page);
    end();
}

static enum err empty_list(struct store_reader *reader, int64_t updated_at, int64_t key,
                           size_t limit, bool open_only, store_row_visit *visit, void *context)
{
    (void)broken_list(reader, updated_at, key, limit, open_only, visit, context);
    return ERR_OK;
}

static _Atomic(int) maintained;
static struct mail maintained_mail = {.kind = BACK};

static enum err count_maintain(struct store_reader *reader)
{
    (void)reader;
    maintained++;
    mailbox_push(box, &maintained_mail);
    return ERR_OK;
}

static void the_store_is_maintained_every_second(void)
{
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", 0), ERR_OK);
    broken_operations = (struct store_operations){
        .name = "counting",
        .reader_open = broken_open,
        .reader_close = broken_close,
        .maintain = count_maintain,
        .list_sessions = empty_list,
    };
    struct store counting = {.operations = &broken_operations};
    clock_fake_start();
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&maintenance, &counting, NULL, NULL), ERR_OK);
    for (int round = 1; round <= 3; round++) {
        /* An answered question shows that the thread waits with its deadline set. */
        struct list_request *page = new_list("", 1, false);
        ask_list(page);
        clock_fake_advance(999);
        ask_list(page);
        CU_ASSERT_EQUAL(maintained, round - 1);
        clock_fake_advance(1);
        CU_ASSERT_PTR_EQUAL(next_mail(), &maintained_mail);
        CU_ASSERT_EQUAL(maintained, round);
        ask_list(page);
        list_request_free(page);
    }
    maintenance_stop(maintenance);
    maintenance_free(maintenance);
    clock_fake_stop();
    mailbox_free(box);
}

/* The thread that appends calls, and no second goes by. */
static void the_store_is_maintained_when_it_asks_for_it(void)
{
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", 0), ERR_OK);
    broken_operations = (struct store_operations){
        .name = "counting",
        .reader_open = broken_open,
        .reader_close = broken_close,
        .maintain = count_maintain,
        .list_sessions = empty_list,
    };
    struct store counting = {.operations = &broken_operations};
    store_call_keeper(&counting); /* nobody is there yet */
    clock_fake_start();
    maintained = 0;
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&maintenance, &counting, NULL, NULL), ERR_OK);
    CU_ASSERT_PTR_EQUAL(next_mail(), &maintained_mail); /* the first thing that it does */
    for (int round = 2; round <= 4; round++) {
        store_call_keeper(&counting);
        CU_ASSERT_PTR_EQUAL(next_mail(), &maintained_mail);
        CU_ASSERT_EQUAL(maintained, round);
    }
    struct list_request *page = new_list("", 1, false);
    ask_list(page); /* which is no reason for it */
    ask_list(page);
    list_request_free(page);
    CU_ASSERT_EQUAL(maintained, 4);
    maintenance_stop(maintenance);
    store_call_keeper(&counting);
    maintenance_free(maintenance);
    clock_fake_stop();
    mailbox_free(box);
}

static void append_answer(uint8_t name, int64_t at)
{
    struct stored_answer answer = {.name = {.bytes = {name}}, .at = at, .code = (char *)(uintptr_t) "ok"};
    struct store_write write = {.kind = STORE_ANSWER, .answer = &answer};
    CU_ASSERT_EQUAL_FATAL(store->operations->append(store, &write), ERR_OK);
}

static struct mail *dispatchers_mail(void)
{
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        mailbox_wait(box, INSTANT_NEVER);
    }
    return mail;
}

static void ask_for_time(void)
{
    struct list_request *page = new_list("", 1, false);
    ask_list(page);
    list_request_free(page);
}

/* The dispatcher, played by this test, is asked to let a few go; when it has, the next few are. */
static void answers_of_yesterday_are_to_go(void)
{
    CU_ASSERT_EQUAL_FATAL(store_memory_open(&store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", 0), ERR_OK);
    clock_fake_start();
    int64_t now = clock_wall_ms();
    append_answer(1, now - ANSWER_LIFE_MS + 500);
    append_answer(2, now - ANSWER_LIFE_MS + 600);
    append_answer(3, now);
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&maintenance, store, NULL, box), ERR_OK);
    ask_for_time();
    clock_fake_advance(999);
    ask_for_time(); /* and nothing else came */
    clock_fake_advance(1);
    for (unsigned left = 2; left > 0; left--) {
        struct expire_note *note = container_of(dispatchers_mail(), struct expire_note, mail);
        CU_ASSERT_EQUAL_FATAL(note->mail.kind, DISPATCH_EXPIRE);
        CU_ASSERT_EQUAL(note->before, now + 1000 - ANSWER_LIFE_MS);
        ask_for_time(); /* one at a time */
        struct store_write write = {.kind = STORE_EXPIRE, .before = note->before, .limit = 1};
        CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
        note->mail.kind = note->reply_kind;
        mailbox_push(note->reply_to, &note->mail);
    }
    ask_for_time();
    struct store_reader *reader;
    struct stored_answer answer;
    const struct digest kept = {.bytes = {3}};
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->read_answer(reader, &kept, &answer), ERR_OK);
    stored_answer_clear(&answer);
    reader->operations->reader_close(reader);
    maintenance_stop(maintenance);
    maintenance_free(maintenance);
    clock_fake_stop();
    store->operations->close(store);
    mailbox_free(box);
}

TEST_MAIN("history", TEST(events_come_as_an_array_of_json), TEST(events_come_as_frames),
          TEST(a_session_is_found_by_its_id), TEST(what_many_wait_for_is_answered_to_each),
          TEST(what_is_left_at_the_stop_is_answered), TEST(a_store_that_cannot_be_read_is_an_error),
          TEST(lists_come_in_pages), TEST(a_position_that_is_none_is_refused), TEST(pages_of_rules_and_of_the_audit),
          TEST(a_page_of_the_audit_has_a_bound_in_bytes),
          TEST(the_store_is_maintained_every_second), TEST(the_store_is_maintained_when_it_asks_for_it),
          TEST(answers_of_yesterday_are_to_go))
