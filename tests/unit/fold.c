/* The rules, one by one, and what is refused. Random logs are in fold_random.c. */
#include "signalbox/core/fold.h"

#include "signalbox/base/buffer.h"
#include "support/fold_log.h"
#include "support/oom.h"
#include "support/test.h"

/* ---- By hand ---- */

/* Members behind `seq` and `ts`. */
static void fill(struct fold_log *log, const char *const *bodies)
{
    for (uint64_t seq = 1; bodies[seq - 1]; seq++) {
        struct buffer out = {0};
        buffer_format(&out, "{\"seq\":%llu,\"ts\":%llu,", (unsigned long long)seq,
                      (unsigned long long)seq + 70);
        buffer_text(&out, bodies[seq - 1]);
        buffer_byte(&out, '}');
        fold_log_add(log, seq, seq, out.data, out.length);
        buffer_free(&out);
    }
}

static void same_log(const struct fold_log *one, const struct fold_log *other)
{
    CU_ASSERT_EQUAL(one->count, other->count);
    for (size_t index = 0; index < one->count && index < other->count; index++) {
        TEST_TEXT(one->rows[index].json, other->rows[index].json);
    }
}

static void expect(const struct fold_log *log, uint64_t begin, uint64_t after,
                   const char *const *expected)
{
    struct fold_log out = {0};
    fold_log_replay(log, begin, after, UINT64_MAX, &out);
    size_t index = 0;
    for (; index < out.count && expected[index]; index++) {
        TEST_TEXT(out.rows[index].json, expected[index]);
    }
    CU_ASSERT_PTR_NULL(expected[index]);
    CU_ASSERT_EQUAL(out.count, index);
    fold_log_free(&out);
}

#define BODIES(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define EXPECTED(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_finished_message_is_its_complete(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":\"a\"",
                      "\"type\":\"permission_timeout\",\"requestId\":\"r\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":1,\"delta\":\"b\"",
                      "\"type\":\"text_complete\",\"messageId\":\"m\",\"text\":\"ab\""));
    static const char *const expected[] = {
        "{\"seq\":2,\"ts\":72,\"from\":1,\"type\":\"permission_timeout\",\"requestId\":\"r\"}",
        "{\"seq\":4,\"ts\":74,\"from\":3,\"type\":\"text_complete\",\"messageId\":\"m\","
        "\"text\":\"ab\"}",
        NULL};
    expect(&log, 1, 0, expected);
    expect(&log, 3, 2, expected + 1);
    /* From 3 on the range is as long as the event itself. */
    expect(&log, 4, 3,
           EXPECTED("{\"seq\":4,\"ts\":74,\"type\":\"text_complete\","
                    "\"messageId\":\"m\",\"text\":\"ab\"}"));
    fold_log_free(&log);
}

static void an_open_message_is_one_delta(void)
{
    struct fold_log log = {0};
    fill(&log,
         BODIES("\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,"
                "\"delta\":\"\xf0\x9f\x98\x80\"",
                "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":2,\"delta\":\"e\xcc\x81\"",
                "\"type\":\"error\",\"code\":\"x\"",
                "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":4,\"delta\":\"\\n\\\"\"",
                "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":6,\"delta\":\"!\""));
    expect(&log, 1, 0,
           EXPECTED("{\"seq\":3,\"ts\":73,\"from\":1,\"type\":\"error\",\"code\":\"x\"}",
                    "{\"seq\":5,\"ts\":75,\"from\":4,\"type\":\"text_delta\",\"messageId\":\"m\","
                    "\"offset\":0,\"delta\":\"\xf0\x9f\x98\x80"
                    "e\xcc\x81\\n\\\"!\"}"));
    /* A whole position: from the first offset that is missing. */
    expect(&log, 4, 3,
           EXPECTED("{\"seq\":5,\"ts\":75,\"from\":4,\"type\":\"text_delta\",\"messageId\":\"m\","
                    "\"offset\":4,\"delta\":\"\\n\\\"!\"}"));
    /* One that may have been cut: from the beginning. */
    expect(&log, 1, 3,
           EXPECTED("{\"seq\":5,\"ts\":75,\"from\":4,\"type\":\"text_delta\",\"messageId\":\"m\","
                    "\"offset\":0,\"delta\":\"\xf0\x9f\x98\x80"
                    "e\xcc\x81\\n\\\"!\"}"));
    expect(&log, 5, 4,
           EXPECTED("{\"seq\":5,\"ts\":75,\"type\":\"text_delta\","
                    "\"messageId\":\"m\",\"offset\":6,\"delta\":\"!\"}"));
    fold_log_free(&log);
}

static void escapes_are_counted_as_javascript_does(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,"
                      "\"delta\":\"\\ud83d\\ude00\\t\\u0001\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":4,\"delta\":\"x\"",
                      /* Does not continue it: stays by itself. */
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":4,\"delta\":\"x\""));
    expect(&log, 1, 0,
           EXPECTED("{\"seq\":2,\"ts\":72,\"from\":1,\"type\":\"text_delta\",\"messageId\":\"m\","
                    "\"offset\":0,\"delta\":\"\\ud83d\\ude00\\t\\u0001x\"}",
                    "{\"seq\":3,\"ts\":73,\"type\":\"text_delta\",\"messageId\":\"m\","
                    "\"offset\":4,\"delta\":\"x\"}"));
    fold_log_free(&log);
}

static void a_tool_is_start_update_and_result(void)
{
    struct fold_log log = {0};
    fill(&log,
         BODIES("\"type\":\"tool_start\",\"toolUseId\":\"t\",\"toolName\":\"bash\"",
                "\"type\":\"tool_update\",\"toolUseId\":\"t\",\"status\":\"in_progress\"",
                "\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":0,\"delta\":\"a\"",
                "\"type\":\"tool_update\",\"toolUseId\":\"t\",\"title\":\"one\","
                "\"content\":[{\"a\":1}],\"refs\":[{\"path\":\"/content/0/a\",\"blob\":\"b1\"}]",
                "\"type\":\"tool_update\",\"toolUseId\":\"t\",\"toolInput\":{\"x\":\"}\"},"
                "\"title\":\"two\",\"refs\":[{\"path\":\"/toolInput/x\",\"blob\":\"b2\"}]",
                "\"type\":\"tool_result\",\"toolUseId\":\"t\",\"result\":\"a\",\"isError\":false",
                "\"type\":\"tool_update\",\"toolUseId\":\"t\",\"content\":[]"));
    const char *start =
        "{\"seq\":1,\"ts\":71,\"type\":\"tool_start\",\"toolUseId\":\"t\",\"toolName\":\"bash\"}";
    const char *merged =
        "{\"seq\":5,\"ts\":75,\"from\":2,\"type\":\"tool_update\",\"toolUseId\":\"t\","
        "\"status\":\"in_progress\",\"title\":\"two\",\"content\":[{\"a\":1}],"
        "\"toolInput\":{\"x\":\"}\"},\"refs\":[{\"path\":\"/content/0/a\",\"blob\":\"b1\"},"
        "{\"path\":\"/toolInput/x\",\"blob\":\"b2\"}]}";
    const char *late = "{\"seq\":7,\"ts\":77,\"type\":\"tool_update\",\"toolUseId\":\"t\","
                       "\"content\":[]}";
    expect(&log, 1, 0,
           EXPECTED(start, merged,
                    "{\"seq\":6,\"ts\":76,\"type\":\"tool_result\",\"toolUseId\":\"t\","
                    "\"result\":\"a\",\"isError\":false}",
                    late));
    log.count -= 2; /* still open */
    expect(&log, 1, 0,
           EXPECTED(start,
                    "{\"seq\":3,\"ts\":73,\"from\":2,\"type\":\"tool_output\",\"toolUseId\":\"t\","
                    "\"offset\":0,\"delta\":\"a\"}",
                    "{\"seq\":5,\"ts\":75,\"from\":4,\"type\":\"tool_update\",\"toolUseId\":\"t\","
                    "\"status\":\"in_progress\",\"title\":\"two\",\"content\":[{\"a\":1}],"
                    "\"toolInput\":{\"x\":\"}\"},\"refs\":[{\"path\":\"/content/0/a\","
                    "\"blob\":\"b1\"},{\"path\":\"/toolInput/x\",\"blob\":\"b2\"}]}"));
    log.count += 2;
    fold_log_free(&log);
}

static void a_replaced_field_takes_its_refs_along(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"tool_update\",\"toolUseId\":\"t\",\"content\":[\"long\"],"
                      "\"refs\":[{\"path\":\"/content/0\",\"blob\":\"b1\"}]",
                      "\"type\":\"tool_update\",\"toolUseId\":\"t\",\"content\":[\"short\"]"));
    expect(&log, 1, 0,
           EXPECTED("{\"seq\":2,\"ts\":72,\"from\":1,\"type\":\"tool_update\",\"toolUseId\":\"t\","
                    "\"content\":[\"short\"]}"));
    fold_log_free(&log);
}

static void the_last_of_a_kind_stays(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"user_message\",\"messageId\":\"u1\",\"status\":\"queued\"",
                      "\"type\":\"title\",\"title\":\"one\"", "\"type\":\"plan\",\"entries\":[]",
                      "\"type\":\"user_message\",\"messageId\":\"u2\",\"status\":\"queued\"",
                      "\"type\":\"user_message\",\"messageId\":\"u1\",\"status\":\"processing\"",
                      "\"type\":\"title\",\"title\":\"two\""));
    expect(&log, 1, 0,
           EXPECTED("{\"seq\":3,\"ts\":73,\"from\":1,\"type\":\"plan\",\"entries\":[]}",
                    "{\"seq\":4,\"ts\":74,\"type\":\"user_message\",\"messageId\":\"u2\","
                    "\"status\":\"queued\"}",
                    "{\"seq\":5,\"ts\":75,\"type\":\"user_message\",\"messageId\":\"u1\","
                    "\"status\":\"processing\"}",
                    "{\"seq\":6,\"ts\":76,\"type\":\"title\",\"title\":\"two\"}"));
    fold_log_free(&log);
}

static void a_position_inside_a_folded_range(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"status\",\"phase\":\"idle\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":\"a\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":1,\"delta\":\"b\"",
                      "\"type\":\"text_complete\",\"messageId\":\"m\",\"text\":\"ab\"",
                      "\"type\":\"error\",\"code\":\"x\"", "\"type\":\"error\",\"code\":\"y\""));
    fold_log_compact(&log, 1, 4);
    CU_ASSERT_EQUAL_FATAL(log.count, 4);
    expect(&log, 4, 3,
           EXPECTED("{\"seq\":4,\"ts\":74,\"from\":2,\"type\":\"text_complete\","
                    "\"messageId\":\"m\",\"text\":\"ab\"}",
                    "{\"seq\":5,\"ts\":75,\"type\":\"error\",\"code\":\"x\"}",
                    "{\"seq\":6,\"ts\":76,\"type\":\"error\",\"code\":\"y\"}"));
    fold_log_free(&log);
}

static void output_is_joined_in_windows(void)
{
    struct fold_log log = {0};
    struct buffer out = {0};
    enum { PIECE = 1000, PIECES = 25 };
    for (uint64_t seq = 1; seq <= PIECES; seq++) {
        buffer_reset(&out);
        buffer_format(&out,
                      "{\"seq\":%d,\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":%d,"
                      "\"delta\":\"%0*d\"}",
                      (int)seq, (int)(seq - 1) * PIECE, PIECE, 7);
        fold_log_add(&log, seq, seq, out.data, out.length);
    }
    buffer_free(&out);
    struct fold_log folded = {0};
    fold_log_replay(&log, 1, 0, PIECES, &folded);
    /* 10 to the first edge, one across it, 9 to the second, one across, the rest. */
    static const uint64_t expected[] = {10, 11, 20, 21, 25};
    CU_ASSERT_EQUAL_FATAL(folded.count, 5);
    for (size_t index = 0; index < 5; index++) {
        CU_ASSERT_EQUAL(folded.rows[index].seq, expected[index]);
    }
    fold_log_free(&folded);
    fold_log_free(&log);
}

static void output_with_refs_is_not_joined(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":0,\"delta\":\"a\"",
                      "\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":1,\"delta\":\"b\","
                      "\"refs\":[{\"path\":\"/delta\",\"blob\":\"b1\"}]",
                      "\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":2,\"delta\":\"c\""));
    struct fold_log folded = {0};
    fold_log_replay(&log, 1, 0, 3, &folded);
    same_log(&folded, &log);
    fold_log_free(&folded);
    fold_log_free(&log);
}

/* ---- Every kind ---- */

static void every_kind_has_a_rule(void)
{
    static const struct {
        enum event_kind kind;
        enum fold_rule rule;
    } all[] = {
        {EVENT_SESSION_CREATED, FOLD_KEEP},
        {EVENT_SESSION_CLOSED, FOLD_KEEP},
        {EVENT_STATUS, FOLD_LAST},
        {EVENT_USER_MESSAGE, FOLD_MESSAGE},
        {EVENT_TURN_STARTED, FOLD_KEEP},
        {EVENT_TEXT_DELTA, FOLD_DELTA},
        {EVENT_TEXT_COMPLETE, FOLD_WHOLE},
        {EVENT_THOUGHT_DELTA, FOLD_DELTA},
        {EVENT_THOUGHT_COMPLETE, FOLD_WHOLE},
        {EVENT_TOOL_START, FOLD_TOOL_START},
        {EVENT_TOOL_OUTPUT, FOLD_TOOL_OUTPUT},
        {EVENT_TOOL_UPDATE, FOLD_TOOL_UPDATE},
        {EVENT_TOOL_RESULT, FOLD_TOOL_RESULT},
        {EVENT_PLAN, FOLD_LAST},
        {EVENT_COMMANDS, FOLD_LAST},
        {EVENT_MODE, FOLD_LAST},
        {EVENT_CONFIG_OPTIONS, FOLD_LAST},
        {EVENT_PROMPT_CAPABILITIES, FOLD_KEEP},
        {EVENT_USAGE, FOLD_LAST},
        {EVENT_TITLE, FOLD_LAST},
        {EVENT_POLICY, FOLD_LAST},
        {EVENT_PERMISSION_REQUEST, FOLD_KEEP},
        {EVENT_PERMISSION_RESOLVED, FOLD_KEEP},
        {EVENT_PERMISSION_TIMEOUT, FOLD_KEEP},
        {EVENT_PERMISSION_CANCELLED, FOLD_KEEP},
        {EVENT_COMPLETE, FOLD_KEEP},
        {EVENT_ERROR, FOLD_KEEP},
        {EVENT_AGENT_UPDATE, FOLD_KEEP},
    };
    CU_ASSERT_EQUAL(sizeof(all) / sizeof(all[0]), EVENT_KIND_COUNT);
    for (size_t index = 0; index < sizeof(all) / sizeof(all[0]); index++) {
        CU_ASSERT_EQUAL((int)all[index].kind, (int)index);
        CU_ASSERT_EQUAL(fold_rule(all[index].kind), all[index].rule);
    }
}

/* ---- Size ---- */

enum { DELTAS = 10000, CALLS = 200, CALL = 1024 };

static void put_row(struct fold_log *log, struct buffer *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put_row(struct fold_log *log, struct buffer *out, const char *format, ...)
{
    uint64_t seq = log->count + 1;
    va_list arguments;
    char body[4 * CALL];
    va_start(arguments, format);
    vsnprintf(body, sizeof(body), format, arguments);
    va_end(arguments);
    buffer_reset(out);
    buffer_format(out, "{\"seq\":%llu,\"ts\":1700000000000,%s}", (unsigned long long)seq, body);
    fold_log_add(log, seq, seq, out->data, out->length);
}

static size_t put_calls(struct fold_log *log, struct buffer *out)
{
    size_t payload = 0;
    for (int call = 0; call < CALLS; call++) {
        char filler[CALL + 1];
        memset(filler, 'x', CALL);
        filler[CALL] = '\0';
        put_row(log, out,
                "\"type\":\"tool_start\",\"sessionId\":\"s\",\"turnId\":\"turn-1\","
                "\"toolUseId\":\"t1-%d\",\"toolName\":\"bash\",\"toolInput\":{\"c\":\"%s\"}",
                call, filler);
        put_row(log, out,
                "\"type\":\"tool_update\",\"sessionId\":\"s\",\"turnId\":\"turn-1\","
                "\"toolUseId\":\"t1-%d\",\"status\":\"in_progress\"",
                call);
        for (int piece = 0; piece < 16; piece++) {
            put_row(log, out,
                    "\"type\":\"tool_output\",\"sessionId\":\"s\",\"turnId\":\"turn-1\","
                    "\"toolUseId\":\"t1-%d\",\"offset\":%d,\"delta\":\"%.64s\"",
                    call, piece * 64, filler);
        }
        put_row(log, out,
                "\"type\":\"tool_result\",\"sessionId\":\"s\",\"turnId\":\"turn-1\","
                "\"toolUseId\":\"t1-%d\",\"toolName\":\"bash\",\"result\":\"%s\",\"isError\":false",
                call, filler);
        payload += 2 * CALL;
    }
    return payload;
}

static void a_long_session_is_short(void)
{
    struct fold_log log = {0};
    struct buffer out = {0};
    struct buffer text = {0};
    put_row(&log, &out, "\"type\":\"turn_started\",\"sessionId\":\"s\",\"turnId\":\"turn-1\"");
    for (int delta = 0; delta < DELTAS; delta++) {
        put_row(&log, &out,
                "\"type\":\"text_delta\",\"sessionId\":\"s\",\"turnId\":\"turn-1\","
                "\"messageId\":\"m1-1\",\"offset\":%d,\"delta\":\"word%04d \"",
                delta * 9, delta % 10000);
        buffer_format(&text, "word%04d ", delta % 10000);
    }
    struct buffer row = {0};
    uint64_t seq = log.count + 1;
    buffer_format(&row, "{\"seq\":%llu,\"ts\":1700000000000,\"type\":\"text_complete\",",
                  (unsigned long long)seq);
    buffer_format(&row, "\"sessionId\":\"s\",\"messageId\":\"m1-1\",\"text\":\"%.*s\"}",
                  (int)text.length, text.data);
    fold_log_add(&log, seq, seq, row.data, row.length);
    size_t payload = text.length + put_calls(&log, &out);

    struct fold_log folded = {0};
    fold_log_replay(&log, 1, 0, log.count, &folded);
    size_t bytes = 0;
    for (size_t index = 0; index < folded.count; index++) {
        bytes += folded.rows[index].length;
    }
    CU_ASSERT_EQUAL(folded.count, 2 + 3 * CALLS);
    CU_ASSERT_TRUE(bytes <= payload + 400 * folded.count);

    /* The plan of it, while a slow client is waited for. */
    struct fold *fold = NULL;
    CU_ASSERT_EQUAL_FATAL(fold_new(&fold, 0), ERR_OK);
    for (size_t index = 0; index < log.count; index++) {
        struct fold_row noted;
        CU_ASSERT_EQUAL(fold_read(log.rows[index].json, log.rows[index].length, &noted), ERR_OK);
        CU_ASSERT_EQUAL(fold_note(fold, &noted), ERR_OK);
    }
    CU_ASSERT_EQUAL(fold_decide(fold), ERR_OK);
    CU_ASSERT_TRUE(fold_memory(fold) < 8 * 1024);
    fold_free(fold);
    fold_log_free(&folded);
    fold_log_free(&log);
    buffer_free(&out);
    buffer_free(&row);
    buffer_free(&text);
}

/* ---- What is wrong ---- */

static void bad_rows_are_refused(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"seq\":1}",
        "{\"seq\":0,\"type\":\"plan\"}",
        "{\"seq\":-1,\"type\":\"plan\"}",
        "{\"seq\":1,\"type\":7}",
        "{\"seq\":1,\"type\":\"plan",
        "{\"seq\":1,\"from\":2,\"type\":\"plan\"}",
        "{\"seq\":99999999999999999999,\"type\":\"plan\"}",
        "{\"seq\":1,\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":\"a",
        "{\"seq\":1,\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":\"a\\\"}",
        "{\"seq\":1,\"type\":\"text_delta\",\"x\":{\"y\":[1,2}",
    };
    for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
        /* Exactly as long as it is, so that a sanitizer sees a read beyond it. */
        size_t length = strlen(bad[index]);
        char *text = malloc(length > 0 ? length : 1);
        memcpy(text, bad[index], length);
        struct fold_row row;
        CU_ASSERT_EQUAL(fold_read(text, length, &row), ERR_CORRUPT);
        free(text);
    }
}

static void what_has_not_what_its_rule_needs_stays(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"text_delta\",\"offset\":0,\"delta\":\"a\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":-1,\"delta\":\"a\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":1",
                      "\"type\":\"tool_update\",\"toolUseId\":1",
                      "\"type\":\"from_the_future\",\"messageId\":\"m\"",
                      "\"type\":\"text_complete\",\"messageId\":\"m\",\"text\":\"\""));
    struct fold_log folded = {0};
    fold_log_replay(&log, 1, 0, 6, &folded);
    same_log(&folded, &log);
    fold_log_free(&folded);
    fold_log_free(&log);
}

static struct fold *planned(const struct fold_log *log, uint64_t after)
{
    struct fold *fold = NULL;
    CU_ASSERT_EQUAL_FATAL(fold_new(&fold, after), ERR_OK);
    for (size_t index = 0; index < log->count; index++) {
        struct fold_row row;
        CU_ASSERT_EQUAL(fold_read(log->rows[index].json, log->rows[index].length, &row), ERR_OK);
        CU_ASSERT_EQUAL(fold_note(fold, &row), ERR_OK);
    }
    CU_ASSERT_EQUAL_FATAL(fold_decide(fold), ERR_OK);
    return fold;
}

static void rows_that_do_not_tile_are_refused(void)
{
    struct fold *fold = NULL;
    CU_ASSERT_EQUAL_FATAL(fold_new(&fold, 3), ERR_OK);
    struct fold_row row = {.kind = EVENT_ERROR, .from = 5, .seq = 5};
    CU_ASSERT_EQUAL(fold_note(fold, &row), ERR_CORRUPT); /* 4 is missing */
    row.from = 2;
    CU_ASSERT_EQUAL(fold_note(fold, &row), ERR_OK);
    CU_ASSERT_EQUAL(fold_note(fold, &row), ERR_CORRUPT);
    row.from = row.seq = 7;
    CU_ASSERT_EQUAL(fold_note(fold, &row), ERR_CORRUPT);
    fold_free(fold);
    fold_free(NULL);
}

static void nothing_to_send(void)
{
    struct fold_log log = {0};
    struct fold *fold = planned(&log, 0);
    CU_ASSERT_EQUAL(fold_wants(fold), 0);
    fold_free(fold);
    fill(&log, BODIES("\"type\":\"error\"", "\"type\":\"error\""));
    fold = planned(&log, 2);
    CU_ASSERT_EQUAL(fold_wants(fold), 0);
    CU_ASSERT_EQUAL(fold_position(fold), 2);
    fold_free(fold);
    fold_log_free(&log);
}

static enum err apply(struct fold *fold, const struct fold_log *log, size_t index,
                      struct fold_event *event)
{
    const struct fold_log_row *row = &log->rows[index];
    return fold_apply(fold, row->seq, row->json, row->length, event);
}

static void a_log_that_changed_is_noticed(void)
{
    struct fold_log log = {0};
    fill(&log, BODIES("\"type\":\"error\"", "\"type\":\"plan\"", "\"type\":\"error\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":0,\"delta\":\"a\"",
                      "\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":1,\"delta\":\"b\""));
    struct fold_event event;
    struct fold *fold = planned(&log, 0);
    CU_ASSERT_EQUAL(apply(fold, &log, 0, &event), ERR_OK);
    CU_ASSERT_EQUAL(apply(fold, &log, 0, &event), ERR_AGAIN); /* came before */
    fold_free(fold);

    fold = planned(&log, 0);
    CU_ASSERT_EQUAL(apply(fold, &log, 0, &event), ERR_OK);
    CU_ASSERT_EQUAL(apply(fold, &log, 2, &event), ERR_OK);
    CU_ASSERT_EQUAL(apply(fold, &log, 3, &event), ERR_AGAIN); /* 2 is missing */
    CU_ASSERT_EQUAL(fold_position(fold), 3);
    fold_free(fold);

    fold = planned(&log, 3);
    CU_ASSERT_EQUAL(fold_wants(fold), 4);
    CU_ASSERT_EQUAL(apply(fold, &log, 3, &event), ERR_OK);
    CU_ASSERT_PTR_NULL(event.json);
    CU_ASSERT_EQUAL(fold_wants(fold), 5);
    /* The number is another row's. */
    CU_ASSERT_EQUAL(fold_apply(fold, 5, log.rows[0].json, log.rows[0].length, &event), ERR_CORRUPT);
    fold_free(fold);
    fold_log_free(&log);
}

static bool fold_once(void)
{
    static const char *const rows[] = {
        "{\"seq\":1,\"type\":\"tool_start\",\"toolUseId\":\"t\"}",
        "{\"seq\":2,\"type\":\"tool_update\",\"toolUseId\":\"t\",\"title\":\"a\","
        "\"refs\":[{\"path\":\"/title\"}]}",
        "{\"seq\":3,\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":0,\"delta\":\"a\"}",
        "{\"seq\":4,\"type\":\"tool_update\",\"toolUseId\":\"t\",\"kind\":\"b\","
        "\"refs\":[{\"path\":\"/kind\"}]}",
        "{\"seq\":5,\"type\":\"tool_output\",\"toolUseId\":\"t\",\"offset\":1,\"delta\":\"b\"}",
        "{\"seq\":6,\"type\":\"plan\"}",
        "{\"seq\":7,\"type\":\"plan\"}",
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    struct fold *fold = NULL;
    enum err err = fold_new(&fold, 0);
    for (size_t index = 0; !err && index < ROWS; index++) {
        struct fold_row row;
        err = fold_read(rows[index], strlen(rows[index]), &row);
        err = err ? err : fold_note(fold, &row);
    }
    err = err ? err : fold_decide(fold);
    for (size_t index = 0; !err && index < ROWS; index++) {
        struct fold_event event;
        err = fold_apply(fold, index + 1, rows[index], strlen(rows[index]), &event);
    }
    bool whole = !err && fold_wants(fold) == 0;
    fold_free(fold);
    return whole || err == ERR_NOMEM;
}

static void running_out_of_memory_is_returned(void)
{
    bool fine = false;
    CU_ASSERT_TRUE(oom_each(fold_once, &fine) > 8);
    CU_ASSERT_TRUE(fine);
}

TEST_MAIN("fold", TEST(a_finished_message_is_its_complete), TEST(an_open_message_is_one_delta),
          TEST(escapes_are_counted_as_javascript_does), TEST(a_tool_is_start_update_and_result),
          TEST(a_replaced_field_takes_its_refs_along), TEST(the_last_of_a_kind_stays),
          TEST(a_position_inside_a_folded_range), TEST(output_is_joined_in_windows),
          TEST(output_with_refs_is_not_joined), TEST(every_kind_has_a_rule),

          TEST(a_long_session_is_short), TEST(bad_rows_are_refused),
          TEST(what_has_not_what_its_rule_needs_stays), TEST(rows_that_do_not_tile_are_refused),
          TEST(nothing_to_send), TEST(a_log_that_changed_is_noticed),
          TEST(running_out_of_memory_is_returned))
