/* The table of dialects, and running out of memory. craft's bodies are here too. */
#include "signalbox/core/dialect.h"

#include "core/dialect_internal.h"
#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"
#include "signalbox/core/craft.h"
#include "signalbox/core/event.h"
#include "support/dialect_bench.h"
#include "support/oom.h"
#include "support/test.h"

static void each_is_found(void)
{
    CU_ASSERT_EQUAL(dialect_count(), 3);
    for (size_t i = 0; i < dialect_count(); i++) {
        const struct dialect *dialect = dialect_at(i);
        CU_ASSERT_EQUAL(dialect_index(dialect), (int)i);
        CU_ASSERT_PTR_EQUAL(dialect_by_subprotocol(dialect->subprotocol, strlen(dialect->subprotocol)), dialect);
        CU_ASSERT_PTR_EQUAL(dialect_by_path(dialect->path), dialect);
        CU_ASSERT_TRUE(dialect->native || (dialect->events && dialect->control && dialect->messages && dialect->refused));
    }
    CU_ASSERT_PTR_NULL(dialect_by_subprotocol("craft.v10", 9));
    CU_ASSERT_PTR_NULL(dialect_by_subprotocol("craft.v1", 7));
    CU_ASSERT_PTR_NULL(dialect_by_path("/v1/sessions"));
    CU_ASSERT_EQUAL(dialect_index(NULL), -1);
}

static void what_is_no_event_is_corrupt(void)
{
    struct json_parser *parser;
    struct buffer frames = {0};
    struct frame *frame;
    CHECK(json_parser_new(&parser, 8) == ERR_OK);
    for (int deep = 0; deep < 2; deep++) {
        const char *text = deep ? "[[[[[[[[[[]]]]]]]]]]" : "{nonsense";
        CHECK(frame_text(&frame, text, strlen(text)) == ERR_OK);
        CU_ASSERT_EQUAL(dialect_events(dialect_at(1), parser, frame_wire(frame), frame_wire_length(frame), false, &frames), ERR_CORRUPT);
        CU_ASSERT_EQUAL(frames.length, 0);
        frame_put(frame);
    }
    buffer_free(&frames);
    json_parser_free(parser);
}

static struct json_parser *parser;
static struct buffer native;

/* json-c's own failures cannot be made here: it is a shared library. */
static bool translate(void)
{
    for (size_t i = 1; i < dialect_count(); i++) {
        for (int replay = 0; replay < 2; replay++) {
            struct buffer frames = {0};
            enum err err = dialect_events(dialect_at(i), parser, native.data, native.length, replay, &frames);
            buffer_free(&frames);
            if (err) {
                return err == ERR_NOMEM;
            }
        }
    }
    return true;
}

static void without_memory_nothing_is_half(void)
{
    bool fine;
    CHECK(json_parser_new(&parser, 64) == ERR_OK);
    for (size_t i = 0; dialect_samples[i]; i++) {
        struct frame *frame;
        CHECK(frame_text(&frame, dialect_samples[i], strlen(dialect_samples[i])) == ERR_OK);
        buffer_append(&native, frame_wire(frame), frame_wire_length(frame));
        frame_put(frame);
    }
    CU_ASSERT_TRUE(oom_each(translate, &fine) > 50);
    CU_ASSERT_TRUE(fine);
    buffer_free(&native);
    json_parser_free(parser);
}

static bool talk(void)
{
    static const char *const messages[] = {"{\"type\":\"claude-command\",\"command\":\"do\"}", "{\"type\":\"permission-response\"}",
                                           "{\"type\":\"check-session-status\",\"sessionId\":\"s\"}"};
    long failing = atomic_exchange(&oom_countdown, -1);
    struct dialect_bench *bench = dialect_bench_new("claudecodeui.v1");
    atomic_store(&oom_countdown, failing);
    for (size_t i = 0; i < 3; i++) {
        struct dialect_out out = {.dialect = bench->dialect};
        struct json_object *message = json_tokener_parse(messages[i]);
        dialect_message(&out, &bench->client, message);
        size_t at = 0;
        struct dialect_command command;
        bool any = out.frames.length || dialect_next_command(&out, &at, &command);
        CU_ASSERT_TRUE(any || !dialect_out_ok(&out)); /* an answer, or it is known that there is none */
        json_object_put(message);
        dialect_out_free(&out);
    }
    failing = atomic_exchange(&oom_countdown, -1);
    dialect_bench_free(bench);
    atomic_store(&oom_countdown, failing);
    return true;
}

static void without_memory_it_is_known(void)
{
    bool fine;
    CU_ASSERT_TRUE(oom_each(talk, &fine) > 5);
}

/* ---- Another one: nothing but its table is needed ---- */

static void ping(struct dialect_out *out, const struct dialect_client *client, struct json_object *message)
{
    (void)client;
    struct buffer *text = dialect_frame_open(out, "pong");
    json_field_object(text, "id", json_get(message, "id"));
    dialect_frame_close(out);
}

static void refused(struct dialect_out *out, const struct dialect_client *client, struct json_object *message, const char *code,
                    const char *why)
{
    (void)client;
    (void)message;
    json_field_string(dialect_frame_open(out, code), "why", why);
    dialect_frame_close(out);
}

static void a_table_is_enough(void)
{
    static const struct field fields[] = {F("id", COUNT, "Its number."), {.name = NULL}};
    static const struct dialect_message messages[] = {{.name = "ping", .fields = fields, .take = ping}, {.name = NULL}};
    static void (*const no_events[EVENT_KIND_COUNT])(struct dialect_out *, struct json_object *);
    static const struct dialect other = {.name = "other", .subprotocol = "other.v1", .kind = "method", .events = no_events,
                                         .messages = messages, .refused = refused};
    static const char *const rows[][2] = {
        {"{\"method\":\"ping\",\"id\":7}", "< {\"type\":\"pong\",\"id\":7}\n"},
        {"{\"method\":\"ping\"}", "< {\"type\":\"bad_message\",\"why\":\"`id` is missing\"}\n"},
        {"{\"method\":\"ping\",\"id\":-1}", "< {\"type\":\"bad_message\",\"why\":\"`id` must be a whole number that is not negative\"}\n"},
        {"{\"method\":\"x\"}", "< {\"type\":\"unknown_type\",\"why\":\"there is no message of this `method`\"}\n"},
        {"{\"type\":\"ping\"}", "< {\"type\":\"bad_message\",\"why\":\"a message must be an object with a `method`\"}\n"},
    };
    struct dialect_bench *bench = dialect_bench_new("factory-factory.v1");
    bench->dialect = &other;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *got = dialect_bench_message(bench, rows[i][0]);
        TEST_TEXT(got, rows[i][1]);
        free(got);
    }
    char *nothing = dialect_bench_event(bench, dialect_samples[EVENT_PLAN], false);
    TEST_TEXT(nothing, "");
    free(nothing);
    dialect_bench_free(bench);
}

/* ---- craft ---- */

static void craft_reads(const char *const *events, bool at_end, const char *expected)
{
    struct craft_reader *reader;
    struct buffer out = {0};
    CHECK(craft_reader_new(&reader) == ERR_OK);
    for (; *events; events++) {
        struct json_object *event = json_tokener_parse(*events);
        CU_ASSERT_EQUAL(craft_read(reader, &out, event), ERR_OK);
        json_object_put(event);
    }
    if (at_end) {
        craft_read_end(reader, &out);
    }
    char *text = out.length ? buffer_take(&out) : strdup("");
    TEST_TEXT(text, expected);
    free(text);
    craft_reader_free(reader);
    buffer_free(&out);
}

#define STAMP ",\"createdAt\":1700000000123,\"timestamp\":1700000000123,\"seq\":7,\"turnId\":\"turn-3\""

static void craft_has_a_message_for_each(void)
{
    static const struct {
        int kind;
        const char *expected;
    } rows[] = {
        {EVENT_USER_MESSAGE, "{\"id\":\"u-5\",\"role\":\"user\"" STAMP ",\"content\":\"do it\",\"isQueued\":false}"},
        {EVENT_TEXT_COMPLETE, "{\"id\":\"m2-1\",\"role\":\"assistant\"" STAMP ",\"content\":\"hello\",\"isIntermediate\":true}"},
        {EVENT_TEXT_DELTA, "{\"id\":\"m2-1\",\"role\":\"assistant\"" STAMP ",\"content\":\"lo \xc3\xbc\",\"isStreaming\":true}"},
        {EVENT_PLAN, "{\"id\":\"plan-7\",\"role\":\"plan\"" STAMP ",\"content\":\"- [ ] look\",\"entries\":[{\"content\":\"look\",\"priority\":"
                     "\"high\",\"status\":\"pending\"}]}"},
        {EVENT_ERROR, "{\"id\":\"error-7\",\"role\":\"error\"" STAMP ",\"content\":\"it broke\",\"errorCode\":\"agent_error\"}"},
    };
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        const char *expected = "";
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            expected = rows[i].kind == kind ? rows[i].expected : expected;
        }
        if (kind != EVENT_TOOL_RESULT) {
            craft_reads((const char *const[]){dialect_samples[kind], NULL}, false, expected);
        }
    }
    const char *const call[] = {dialect_samples[EVENT_TOOL_START], dialect_samples[EVENT_TOOL_UPDATE], NULL, NULL};
    craft_reads(call, true, "{\"id\":\"t2-1\",\"role\":\"tool\"" STAMP ",\"toolUseId\":\"t2-1\",\"toolName\":\"bash\",\"toolInput\":{\"a\":1},"
                            "\"toolIntent\":\"look\",\"toolDisplayName\":\"Bash\",\"toolStatus\":\"executing\",\"content\":\"\"}");
    const char *const over[] = {call[0], dialect_samples[EVENT_TOOL_RESULT], dialect_samples[EVENT_ERROR], NULL};
    craft_reads(over, true, "{\"id\":\"t2-1\",\"role\":\"tool\"" STAMP ",\"refs\":[],\"toolUseId\":\"t2-1\",\"toolName\":\"bash\",\"toolInput\":"
                            "{\"command\":\"ls\"},\"toolIntent\":\"look\",\"toolDisplayName\":\"Bash\",\"toolStatus\":\"error\",\"content\":\"done\","
                            "\"toolResult\":\"done\",\"isError\":true,\"acpContent\":[{\"type\":\"diff\",\"path\":\"/a\"}]},"
                            "{\"id\":\"error-7\",\"role\":\"error\"" STAMP ",\"content\":\"it broke\",\"errorCode\":\"agent_error\"}");
    craft_reads((const char *const[]){"{\"type\":\"user_message\",\"status\":\"withdrawn\"}", "{}", "{\"type\":\"tool_update\"}", "7", NULL}, true, "");
}

/* ---- Calls that overlap ---- */

#define START(id)  "{\"type\":\"tool_start\",\"toolUseId\":\"" id "\"}"
#define RESULT(id) "{\"type\":\"tool_result\",\"toolUseId\":\"" id "\",\"result\":\"r\"}"
#define SAID(id)   "{\"type\":\"text_complete\",\"messageId\":\"" id "\",\"text\":\"t\"}"

/* Reads the events, up to a NULL. -> the ids of the messages, in their order, malloc'd; NULL: out of memory. `amid` (may be NULL): how
 * much there was before the end. */
static char *order_of(const char *const *texts, size_t *amid)
{
    struct craft_reader *reader = NULL;
    struct buffer out = {0}, ids = {0};
    enum err err = craft_reader_new(&reader);
    for (; !err && *texts; texts++) {
        long failing = atomic_exchange(&oom_countdown, -1);
        struct json_object *event = json_tokener_parse(*texts);
        atomic_store(&oom_countdown, failing);
        err = craft_read(reader, &out, event);
        json_object_put(event);
    }
    if (amid) {
        *amid = out.length;
    }
    if (!err) {
        craft_read_end(reader, &out);
    }
    craft_reader_free(reader);
    long failing = atomic_exchange(&oom_countdown, -1);
    char *got = NULL;
    if (!err && buffer_ok(&out)) {
        buffer_byte(&out, '\0');
        for (const char *at = out.data; (at = strstr(at, "{\"id\":\"")); at++) {
            buffer_append(&ids, at + 7, strcspn(at + 7, "\""));
        }
        CU_ASSERT_NOT_EQUAL(out.data[0], ',');
        got = ids.length ? buffer_take(&ids) : strdup("");
    }
    buffer_free(&out);
    buffer_free(&ids);
    atomic_store(&oom_countdown, failing);
    return got;
}

static const char *const overlapping[] = {SAID("1"), START("a"), SAID("2"), START("b"), START("c"), SAID("3"), SAID("4"), RESULT("c"),
                                          RESULT("b"), SAID("5"), RESULT("a"), SAID("6"), START("d"), SAID("7"), NULL};

static bool read_overlapping(void)
{
    char *ids = order_of(overlapping, NULL);
    bool fine = !ids || !strcmp(ids, "1a2bc3456d7");
    free(ids);
    return fine;
}

static void craft_has_a_call_where_it_began(void)
{
    size_t amid;
    char *ids = order_of(overlapping, &amid);
    TEST_TEXT(ids, "1a2bc3456d7");
    free(ids);
    ids = order_of((const char *const[]){START("a"), SAID("1"), NULL}, &amid);
    TEST_TEXT(ids, "a1");
    CU_ASSERT_EQUAL(amid, 0); /* what is behind an open call waits */
    free(ids);
    bool fine;
    CU_ASSERT_TRUE(oom_each(read_overlapping, &fine) > 20);
    CU_ASSERT_TRUE(fine);
    /* A call that has too much behind it stands where it ends; the others where they began. */
    char *text = malloc(3 << 20);
    CHECK(text);
    snprintf(text, 3 << 20, "{\"type\":\"text_complete\",\"messageId\":\"%d\",\"text\":\"%*s\"}", 9, (3 << 20) - 100, "");
    ids = order_of((const char *const[]){START("a"), text, START("b"), text, SAID("1"), RESULT("a"), START("c"), SAID("2"), RESULT("c"), NULL}, &amid);
    TEST_TEXT(ids, "991ac2b");
    CU_ASSERT_TRUE(amid > 6 << 20);
    free(ids);
    free(text);
}

static void put_pending(void *context, const struct buffer *text)
{
    buffer_append(context, text->data, text->length);
}

static void craft_has_sessions_and_what_waits(void)
{
    static const char *const rows[][2] = {
        {"{\"sessionId\":\"s\",\"title\":\"T\",\"agent\":\"a\",\"workspace\":\"/w/x\",\"phase\":\"waiting\",\"policy\":\"read-only\",\"createdAt\":1,"
         "\"updatedAt\":2}",
         "{\"id\":\"s\",\"sessionId\":\"s\",\"workspaceId\":\"/w/x\",\"workspaceName\":\"x\",\"workingDirectory\":\"/w/x\",\"name\":\"T\",\"agent\":"
         "\"a\",\"permissionMode\":\"safe\",\"createdAt\":1,\"lastMessageAt\":2,\"isProcessing\":true,\"phase\":\"waiting\",\"messages\":["},
        {"{}", "{\"workspaceId\":\"\",\"workspaceName\":\"\",\"workingDirectory\":\"\",\"lastMessageAt\":0,\"isProcessing\":false,\"messages\":["},
    };
    struct buffer out = {0};
    for (size_t i = 0; i < 2; i++) {
        struct json_object *session = json_tokener_parse(rows[i][0]);
        craft_session_open(&out, session);
        char *text = buffer_take(&out);
        TEST_TEXT(text, rows[i][1]);
        free(text);
        json_object_put(session);
    }
    struct json_object *subscribed = json_tokener_parse("{\"sessionId\":\"s\",\"pending\":[{\"requestId\":\"p\"},{\"requestId\":\"q\"}]}");
    craft_pending(subscribed, put_pending, &out);
    char *text = buffer_take(&out);
    TEST_TEXT(text, "{\"type\":\"permission_request\",\"sessionId\":\"s\",\"request\":{\"requestId\":\"p\"}}"
                    "{\"type\":\"permission_request\",\"sessionId\":\"s\",\"request\":{\"requestId\":\"q\"}}");
    free(text);
    json_object_put(subscribed);
}

TEST_MAIN("dialects", TEST(each_is_found), TEST(what_is_no_event_is_corrupt), TEST(without_memory_nothing_is_half),
          TEST(without_memory_it_is_known), TEST(a_table_is_enough), TEST(craft_has_a_message_for_each), TEST(craft_has_a_call_where_it_began),
          TEST(craft_has_sessions_and_what_waits))
