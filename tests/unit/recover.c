/* What a start of the server does with sessions that the last run left open, and with one whose log is damaged. */
#include "recover.h"

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/core/session.h"
#include "support/test.h"

enum { MAX_EVENT_BYTES = 1 << 20, TEXTS_MAX = 32 };

/* ---- A store whose reader, or whose writing of events, may fail ---- */

struct frail_reader {
    struct store_reader reader;
    struct store_reader *real;
};

static struct store *memory;
static enum err read_fails, append_fails; /* for FRAIL only */
static const int64_t FRAIL = 2;

static enum err frail_read_open(struct store_reader *reader, store_row_visit *visit, void *context)
{
    struct store_reader *real = container_of(reader, struct frail_reader, reader)->real;
    return real->operations->read_open(real, visit, context);
}

static enum err frail_read_events(struct store_reader *reader, int64_t key, uint64_t from, uint64_t to,
                                  store_event_visit *visit, void *context)
{
    struct store_reader *real = container_of(reader, struct frail_reader, reader)->real;
    return key == FRAIL && read_fails ? read_fails : real->operations->read_events(real, key, from, to, visit, context);
}

static void frail_reader_close(struct store_reader *reader)
{
    struct frail_reader *frail = container_of(reader, struct frail_reader, reader);
    frail->real->operations->reader_close(frail->real);
    free(frail);
}

static const struct store_operations frail_reader_operations = {
    .read_open = frail_read_open, .read_events = frail_read_events, .reader_close = frail_reader_close};

static enum err frail_reader_open(struct store *store, struct store_reader **out)
{
    (void)store;
    struct frail_reader *frail = calloc(1, sizeof(*frail));
    CHECK(frail && memory->operations->reader_open(memory, &frail->real) == ERR_OK);
    frail->reader.operations = &frail_reader_operations;
    *out = &frail->reader;
    return ERR_OK;
}

static enum err frail_append(struct store *store, const struct store_write *writes)
{
    (void)store;
    for (const struct store_write *write = writes; write && append_fails; write = write->next) {
        if (write->kind == STORE_EVENT && write->session_key == FRAIL) {
            return append_fails;
        }
    }
    return memory->operations->append(memory, writes);
}

static const struct store_operations frail_operations = {.append = frail_append, .reader_open = frail_reader_open};
static struct store frail = {.operations = &frail_operations};

static void begin(void)
{
    read_fails = append_fails = ERR_OK;
    CHECK(store_memory_open(&memory) == ERR_OK);
}

static void end(void)
{
    memory->operations->close(memory);
}

/* ---- Sessions that run ---- */

/* The events' texts, from number 1; the session runs since `open_from`. */
static void put(int64_t key, const char *id, uint64_t open_from, size_t count, const char *const *texts)
{
    struct store_write writes[TEXTS_MAX + 1] = {0};
    CHECK(count <= TEXTS_MAX);
    for (size_t i = 0; i < count; i++) {
        writes[i] = (struct store_write){.kind = STORE_EVENT, .session_key = key, .seq = i + 1, .event_kind = "other",
                                         .ts = 100, .json = texts[i], .json_length = strlen(texts[i]),
                                         .next = &writes[i + 1]};
    }
    const struct session_row row = {.key = key, .id = (char *)(uintptr_t)id, .agent = "a", .workspace = "/w",
                                    .policy = "ask", .phase = "running", .epoch = "e", .created_by = "local",
                                    .head = count, .open_from = open_from, .pending = 1, .oldest_pending_at = 50,
                                    .agent_state = "{\"acpSession\":\"x\"}"};
    writes[count] = (struct store_write){.kind = STORE_SESSION, .session_key = key, .row = &row};
    CHECK(memory->operations->append(memory, writes) == ERR_OK);
}

#define EVENT(seq, type, rest) "{\"seq\":" #seq ",\"ts\":100,\"type\":\"" type "\",\"sessionId\":\"s\"" rest "}"
static const char *const whole[] = {
    EVENT(1, "session_created", ""),
    EVENT(2, "turn_started", ",\"turnId\":\"t\""),
    EVENT(3, "text_delta", ",\"turnId\":\"t\",\"messageId\":\"m\",\"delta\":\"one \""),
    EVENT(4, "text_delta", ",\"turnId\":\"t\",\"messageId\":\"m\",\"delta\":\"two \""),
    EVENT(5, "permission_request", ",\"turnId\":\"t\",\"request\":{\"requestId\":\"p-s-1-1\"}"),
};
enum { WHOLE = 5 };

static void put_whole(int64_t key, const char *id)
{
    put(key, id, 2, WHOLE, whole);
}

/* `text` stands in the place of the event of this number. */
static void put_damaged(int64_t key, const char *id, size_t seq, const char *text)
{
    const char *texts[WHOLE];
    memcpy(texts, whole, sizeof(whole));
    texts[seq - 1] = text;
    put(key, id, 2, WHOLE, texts);
}

/* ---- What is there afterwards ---- */

static struct session_row row_of(const char *id)
{
    struct store_reader *reader;
    struct session_row row;
    CHECK(memory->operations->reader_open(memory, &reader) == ERR_OK);
    CHECK(reader->operations->read_session(reader, id, &row) == ERR_OK);
    reader->operations->reader_close(reader);
    return row;
}

static bool add_type(void *context, uint64_t seq, const char *json, size_t length)
{
    struct buffer *out = context;
    struct json_parser *parser;
    struct json_object *event = NULL;
    CHECK(json_parser_new(&parser, 64) == ERR_OK);
    CU_ASSERT_EQUAL(json_parse(parser, json, length, &event), ERR_OK);
    int64_t number = 0;
    CU_ASSERT_TRUE(json_get_i64(event, "seq", &number) && (uint64_t)number == seq);
    const char *type = json_get_string(event, "type");
    const char *text = json_get_string(event, strcmp(type, "status") ? "text" : "detail");
    buffer_format(out, "%s%s%s%s", out->length ? ", " : "", type, text ? ": " : "", text ? text : "");
    json_object_put(event);
    json_parser_free(parser);
    return true;
}

/* What was written behind number `from`, as a text that the caller frees. */
static char *added(int64_t key, uint64_t from)
{
    struct store_reader *reader;
    struct buffer out = {0};
    CHECK(memory->operations->reader_open(memory, &reader) == ERR_OK);
    CHECK(reader->operations->read_events(reader, key, from + 1, UINT64_MAX, add_type, &out) == ERR_OK);
    reader->operations->reader_close(reader);
    char *text = buffer_take(&out);
    return text ? text : strdup("");
}

static bool is_set_apart(const struct session_row *row)
{
    struct session *session = session_new(row->id);
    session_state_restore(session, row->agent_state);
    bool damaged = session->damaged;
    bool kept = session->agent_session && !strcmp(session->agent_session, "x");
    const char *refusal = session_refusal(session);
    session_free(session);
    CU_ASSERT_TRUE(kept);
    CU_ASSERT_EQUAL(refusal != NULL, damaged);
    return damaged;
}

static void assert_ended(const char *id, bool apart)
{
    struct session_row row = row_of(id);
    TEST_TEXT(row.phase, apart ? "failed" : "stopped");
    CU_ASSERT_EQUAL(row.open_from, 0);
    CU_ASSERT_EQUAL(row.pending, 0);
    CU_ASSERT_EQUAL(is_set_apart(&row), apart);
    session_row_clear(&row);
}

static void assert_added(int64_t key, const char *expected)
{
    char *text = added(key, WHOLE);
    TEST_TEXT(text, expected);
    free(text);
}

static enum err start(size_t *ended)
{
    return recover_sessions(&frail, MAX_EVENT_BYTES, ended);
}

#define IN_ORDER "text_complete: one two , permission_cancelled, error, complete, status: the server was restarted"
#define MARK(at) "status: the session's log is damaged" at ": it was set apart, and nothing new is begun in it"

static void a_damaged_log_keeps_no_other_session_from_being_ended(void)
{
    static const struct {
        const char *text;
        const char *added;
    } cases[] = {
        {"\xff\xfe no JSON", "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
        {"", "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
        {"[]", "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
        {EVENT(7, "text_delta", ""), "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
        {"{\"seq\":4}", "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
        {EVENT(4, "turn_started", ""), "text_complete: one , permission_cancelled, error, complete, " MARK(" (event 4)")},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        begin();
        put_whole(1, "first");
        put_damaged(2, "damaged", 4, cases[i].text);
        put_whole(3, "last");
        size_t ended = 0;
        CU_ASSERT_EQUAL(start(&ended), ERR_OK);
        CU_ASSERT_EQUAL(ended, 3);
        assert_ended("first", false);
        assert_ended("damaged", true);
        assert_ended("last", false);
        assert_added(1, IN_ORDER);
        assert_added(2, cases[i].added);
        assert_added(3, IN_ORDER);
        CU_ASSERT_EQUAL(start(&ended), ERR_OK); /* it is not looked at again */
        CU_ASSERT_EQUAL(ended, 0);
        assert_ended("damaged", true);
        end();
    }
}

static void a_log_that_cannot_be_read_at_all_is_set_apart(void)
{
    begin();
    put_whole(1, "first");
    put_whole(FRAIL, "damaged");
    put_whole(3, "last");
    read_fails = ERR_CORRUPT;
    size_t ended = 0;
    CU_ASSERT_EQUAL(start(&ended), ERR_OK);
    CU_ASSERT_EQUAL(ended, 3);
    assert_ended("damaged", true);
    assert_ended("last", false);
    assert_added(FRAIL, MARK(""));
    end();
}

static void where_no_event_can_be_added_the_row_alone_says_it(void)
{
    static const struct {
        enum err read, append;
    } cases[] = {{ERR_CORRUPT, ERR_CORRUPT}, {ERR_OK, ERR_EXIST}};
    for (size_t i = 0; i < array_size(cases); i++) {
        begin();
        put_whole(FRAIL, "damaged");
        put_whole(3, "last");
        read_fails = cases[i].read;
        append_fails = cases[i].append;
        size_t ended = 0;
        CU_ASSERT_EQUAL(start(&ended), ERR_OK);
        assert_ended("damaged", true);
        assert_ended("last", false);
        assert_added(FRAIL, "");
        end();
    }
}

static void what_is_wrong_with_the_machine_is_no_damage(void)
{
    static const struct {
        enum err read, append;
    } cases[] = {{ERR_NOMEM, ERR_OK}, {ERR_IO, ERR_OK},    {ERR_AGAIN, ERR_OK},
                 {ERR_OK, ERR_NOSPC}, {ERR_OK, ERR_NOMEM}, {ERR_OK, ERR_CORRUPT}};
    for (size_t i = 0; i < array_size(cases); i++) {
        begin();
        put_whole(FRAIL, "a session");
        read_fails = cases[i].read;
        append_fails = cases[i].append;
        size_t ended = 77;
        CU_ASSERT_EQUAL(start(&ended), cases[i].read ? cases[i].read : cases[i].append);
        CU_ASSERT_EQUAL(ended, 77);
        struct session_row row = row_of("a session");
        TEST_TEXT(row.phase, "running");
        session_row_clear(&row);
        end();
    }
}

static void a_state_that_is_damaged_itself_is_replaced(void)
{
    static const char *const states[] = {NULL, "", "no JSON", "[1]", "{\"damaged\":false,\"titled\":true}"};
    for (size_t i = 0; i < array_size(states); i++) {
        char *text = session_state_damaged(states[i]);
        TEST_TEXT(text, i + 1 < array_size(states) ? "{\"damaged\":true}" : "{\"damaged\":true,\"titled\":true}");
        free(text);
    }
}

TEST_MAIN("recover", TEST(a_damaged_log_keeps_no_other_session_from_being_ended),
          TEST(a_log_that_cannot_be_read_at_all_is_set_apart),
          TEST(where_no_event_can_be_added_the_row_alone_says_it),
          TEST(what_is_wrong_with_the_machine_is_no_damage), TEST(a_state_that_is_damaged_itself_is_replaced))
