/* Logs that a death of the server cut off, at any point, and what ends them. */
#include "support/test.h"

#include <inttypes.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/core/recovery.h"

enum { EVENTS_MAX = 4096, WALL_MS = 1700000100000 };

struct log {
    struct json_object *events[EVENTS_MAX];
    size_t count;
};

static void log_free(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        json_object_put(log->events[i]);
    }
    log->count = 0;
}

static void add(struct log *log, struct json_object *event)
{
    CHECK(event && log->count < EVENTS_MAX);
    log->events[log->count++] = event;
}

/* ---- A generated turn ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

__attribute__((format(printf, 4, 5))) static void say(struct log *log, const char *type, const char *turn,
                                                      const char *format, ...)
{
    char fields[1024], text[1400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fields, sizeof(fields), format, arguments);
    va_end(arguments);
    snprintf(text, sizeof(text), "{\"seq\":%zu,\"ts\":%" PRId64 ",\"type\":\"%s\",\"sessionId\":\"s1\"%s%s%s%s}",
             log->count + 1, (int64_t)WALL_MS - 1000 + (int64_t)log->count, type, turn ? ",\"turnId\":\"" : "",
             turn ? turn : "", turn ? "\"" : "", fields);
    add(log, json_tokener_parse(text));
}

static void say_message(struct log *log, const char *turn, int id, bool thought)
{
    static const char *const words[] = {"a", "two words", "\\\"quoted\\\"", "\\u00e4\\ud83d\\ude00", "\\n", "\\u0000nul"};
    char whole[512] = "";
    uint32_t deltas = 1 + random_below(4);
    for (uint32_t i = 0; i < deltas; i++) {
        const char *word = words[random_below(array_size(words))];
        strcat(whole, word);
        say(log, thought ? "thought_delta" : "text_delta", turn, ",\"messageId\":\"m%d\",\"offset\":0,\"delta\":\"%s\"", id,
            word);
    }
    say(log, thought ? "thought_complete" : "text_complete", turn,
        ",\"messageId\":\"m%d\",\"text\":\"%s\",\"isIntermediate\":false", id, whole);
}

/* Up to three tool calls at once, some of which ask. */
static void say_tools(struct log *log, const char *turn, int id)
{
    uint32_t tools = 1 + random_below(3);
    bool asked[3] = {false};
    for (uint32_t i = 0; i < tools; i++) {
        say(log, "tool_start", turn, ",\"toolUseId\":\"t%d.%u\",\"toolName\":\"run %u\",\"toolInput\":{}", id, i, i);
        asked[i] = random_below(2);
        if (asked[i]) {
            say(log, "permission_request", turn, ",\"request\":{\"requestId\":\"p%d.%u\",\"toolUseId\":\"t%d.%u\"}", id, i,
                id, i);
        }
    }
    static const char *const ends[] = {"permission_resolved", "permission_timeout", "permission_cancelled"};
    for (uint32_t i = tools; i-- > 0;) {
        if (asked[i]) {
            say(log, ends[random_below(3)], turn, ",\"requestId\":\"p%d.%u\"", id, i);
        }
        for (uint32_t n = random_below(3); n-- > 0;) {
            say(log, "tool_output", turn, ",\"toolUseId\":\"t%d.%u\",\"offset\":0,\"delta\":\"line %u\\n\"", id, i, n);
        }
        say(log, "tool_update", turn, ",\"toolUseId\":\"t%d.%u\",\"status\":\"completed\"", id, i);
        say(log, "tool_result", turn, ",\"toolUseId\":\"t%d.%u\",\"toolName\":\"run %u\",\"result\":\"\",\"isError\":false", id,
            i, i);
        if (random_below(4) == 0) { /* agents send such things */
            say(log, "tool_output", turn, ",\"toolUseId\":\"t%d.%u\",\"offset\":9,\"delta\":\"late\"", id, i);
        }
    }
}

static void say_turn(struct log *log, int number)
{
    char turn[32];
    snprintf(turn, sizeof(turn), "turn-%d", number);
    say(log, "user_message", NULL, ",\"messageId\":\"u-%d\",\"text\":\"go\",\"status\":\"accepted\"", number);
    say(log, "turn_started", turn, ",\"messageId\":\"u-%d\"", number);
    say(log, "status", NULL, ",\"phase\":\"running\"");
    for (int i = 0; i < 6; i++) {
        int id = number * 100 + i;
        switch (random_below(5)) {
        case 0:
            say_tools(log, turn, id);
            break;
        case 1:
            say(log, "plan", turn, ",\"entries\":[]");
            break;
        case 2:
            say(log, "permission_request", NULL, ",\"request\":{\"requestId\":\"o%d\"}", id); /* outside the turn */
            say(log, "user_message", NULL, ",\"messageId\":\"u-%d\",\"text\":\"x\",\"status\":\"queued\"", id);
            say(log, "permission_resolved", NULL, ",\"requestId\":\"o%d\"", id);
            break;
        default:
            say_message(log, turn, id, random_below(2));
        }
    }
    say(log, "complete", turn, ",\"stopReason\":\"end_turn\"");
    say(log, "status", NULL, ",\"phase\":\"idle\"");
}

/* ---- What is open, by other means than recovery's ---- */

struct open {
    struct json_object *messages, *tools, *permissions; /* id: {text, turnId, thought, name} */
    char turn[32];
};

static void open_free(struct open *open)
{
    json_object_put(open->messages);
    json_object_put(open->tools);
    json_object_put(open->permissions);
}

static void begin(struct json_object *map, const char *id, struct json_object *event, bool thought)
{
    if (!json_get(map, id)) {
        struct json_object *item = json_object_new_object();
        json_object_object_add(item, "text", json_object_new_string(""));
        json_object_object_add(item, "thought", json_object_new_boolean(thought));
        json_object_object_add(item, "turnId", json_object_get(json_get(event, "turnId")));
        json_object_object_add(item, "began", json_object_get(json_get(event, "seq")));
        json_object_object_add(item, "name", json_object_get(json_get(event, "toolName")));
        json_object_object_add(map, id, item);
    }
}

static void append(struct json_object *map, const char *id, struct json_object *event)
{
    struct json_object *item = json_get(map, id);
    if (!item) {
        return;
    }
    struct json_object *text = json_get(item, "text"), *delta = json_get(event, "delta");
    struct buffer both = {0};
    buffer_append(&both, json_object_get_string(text), (size_t)json_object_get_string_len(text));
    buffer_append(&both, json_object_get_string(delta), (size_t)json_object_get_string_len(delta));
    json_object_object_add(item, "text", json_object_new_string_len(both.data ? both.data : "", (int)both.length));
    buffer_free(&both);
}

static void look(struct open *open, struct json_object *event)
{
    const char *type = json_get_string(event, "type");
    const char *message = json_get_string(event, "messageId"), *tool = json_get_string(event, "toolUseId");
    if (!strcmp(type, "turn_started")) {
        snprintf(open->turn, sizeof(open->turn), "%s", json_get_string(event, "turnId"));
    } else if (!strcmp(type, "complete")) {
        CU_ASSERT_STRING_EQUAL(json_get_string(event, "turnId"), open->turn);
        open->turn[0] = 0;
    } else if (!strcmp(type, "text_delta") || !strcmp(type, "thought_delta")) {
        begin(open->messages, message, event, type[1] == 'h');
        append(open->messages, message, event);
    } else if (!strcmp(type, "text_complete") || !strcmp(type, "thought_complete")) {
        json_object_object_del(open->messages, message);
    } else if (!strcmp(type, "tool_start")) {
        begin(open->tools, tool, event, false);
    } else if (!strcmp(type, "tool_output")) {
        append(open->tools, tool, event);
    } else if (!strcmp(type, "tool_result")) {
        json_object_object_del(open->tools, tool);
    } else if (!strcmp(type, "permission_request")) {
        begin(open->permissions, json_get_string(json_get(event, "request"), "requestId"), event, false);
    } else if (!strncmp(type, "permission_", 11)) {
        json_object_object_del(open->permissions, json_get_string(event, "requestId"));
    }
}

static struct open look_at(const struct log *log, size_t count)
{
    struct open open = {.messages = json_object_new_object(), .tools = json_object_new_object(),
                        .permissions = json_object_new_object()};
    for (size_t i = 0; i < count; i++) {
        look(&open, log->events[i]);
    }
    return open;
}

/* ---- Recovering ---- */

static enum err take(void *context, struct event *event)
{
    struct log *log = context;
    event_number(event, log->count + 1, event->at_wall_ms);
    struct json_parser *parser;
    struct json_object *parsed = NULL;
    CHECK(json_parser_new(&parser, 50) == ERR_OK);
    CHECK(json_parse(parser, frame_json(event->frame), frame_json_length(event->frame), &parsed) == ERR_OK);
    json_parser_free(parser);
    TEST_TEXT(json_get_string(parsed, "type"), event_name(event->kind));
    TEST_TEXT(json_get_string(parsed, "sessionId"), "s1");
    event_discard(event);
    add(log, parsed);
    return ERR_OK;
}

static struct blob *kept; /* the last blob that came */

static enum err keep_blob(void *context, struct blob *blob)
{
    (void)context;
    blobs_free(kept);
    kept = blob;
    return ERR_OK;
}

enum { MAX_EVENT_BYTES = 16384 };
static enum err finish(struct recovery *recovery, enum err (*event)(void *context, struct event *event), void *context)
{
    const struct recovery_sink sink = {.context = context, .event = event, .blob = keep_blob};
    return recovery_finish(recovery, WALL_MS, MAX_EVENT_BYTES, &sink);
}

static void recover(const struct log *log, size_t from, size_t count, struct log *ending)
{
    struct recovery *recovery;
    CU_ASSERT_EQUAL_FATAL(recovery_new(&recovery, "s1"), ERR_OK);
    for (size_t i = from; i < count; i++) {
        CU_ASSERT_EQUAL(recovery_read(recovery, log->events[i]), ERR_OK);
    }
    CU_ASSERT_EQUAL(finish(recovery, take, ending), ERR_OK);
    recovery_free(recovery);
}

static int stage_of(const char *type)
{
    static const char *const order[][2] = {{"text_complete", "thought_complete"}, {"tool_result", ""},
                                           {"permission_cancelled", ""},          {"error", ""},
                                           {"complete", ""},                      {"status", ""}};
    for (size_t i = 0; i < array_size(order); i++) {
        if (!strcmp(type, order[i][0]) || !strcmp(type, order[i][1])) {
            return (int)i;
        }
    }
    return -1;
}

static bool same_text(struct json_object *a, struct json_object *b)
{
    return json_object_equal(a, b);
}

static void check_end(struct open *open, struct json_object *event)
{
    const char *type = json_get_string(event, "type");
    const char *turn = json_get_string(event, "turnId");
    struct json_object *item = NULL;
    switch (stage_of(type)) {
    case 0:
        item = json_get(open->messages, json_get_string(event, "messageId"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(item);
        CU_ASSERT_TRUE(same_text(json_get(event, "text"), json_get(item, "text")));
        CU_ASSERT_EQUAL(json_get_bool(item, "thought", false), !strcmp(type, "thought_complete"));
        CU_ASSERT_FALSE(json_get_bool(event, "isIntermediate", true));
        CU_ASSERT_TRUE(json_object_equal(json_get(event, "began"), json_get(item, "began")));
        break;
    case 1:
        item = json_get(open->tools, json_get_string(event, "toolUseId"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(item);
        TEST_TEXT(json_get_string(event, "toolName"), json_get_string(item, "name"));
        if (json_object_get_string_len(json_get(item, "text")) > 0) {
            CU_ASSERT_TRUE(same_text(json_get(event, "result"), json_get(item, "text")));
        } else {
            TEST_TEXT(json_get_string(event, "result"), "Not finished when the server was restarted.");
        }
        CU_ASSERT_TRUE(json_get_bool(event, "isError", false));
        break;
    case 2:
        item = json_get(open->permissions, json_get_string(event, "requestId"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(item);
        TEST_TEXT(json_get_string(event, "reason"), "server_restarted");
        break;
    case 3:
        TEST_TEXT(turn, open->turn);
        TEST_TEXT(json_get_string(event, "code"), "server_restarted");
        CU_ASSERT_TRUE(json_get_bool(event, "fatal", false));
        break;
    case 4: {
        int64_t duration = -1;
        TEST_TEXT(turn, open->turn);
        TEST_TEXT(json_get_string(event, "stopReason"), "server_restarted");
        CU_ASSERT_TRUE(json_get_i64(event, "durationMs", &duration) && duration >= 0);
        break;
    }
    default:
        TEST_TEXT(type, "status");
        TEST_TEXT(json_get_string(event, "phase"), "stopped");
        CU_ASSERT_PTR_NULL(turn);
    }
    if (item) {
        const char *expected = json_get_string(item, "turnId");
        CU_ASSERT_TRUE(expected ? turn && !strcmp(expected, turn) : !turn);
    }
}

static void check_cut(const struct log *log, size_t cut)
{
    struct open open = look_at(log, cut);
    struct log whole = {.count = cut};
    for (size_t i = 0; i < cut; i++) {
        whole.events[i] = json_object_get(log->events[i]);
    }
    recover(log, 0, cut, &whole);

    size_t wanted = (size_t)(json_object_object_length(open.messages) + json_object_object_length(open.tools) +
                             json_object_object_length(open.permissions)) + (open.turn[0] ? 2 : 0) + 1;
    CU_ASSERT_EQUAL(whole.count - cut, wanted);
    int stage = 0;
    for (size_t i = cut; i < whole.count; i++) {
        int now = stage_of(json_get_string(whole.events[i], "type"));
        CU_ASSERT_TRUE(now >= stage);
        stage = now;
        check_end(&open, whole.events[i]);
    }
    open_free(&open);

    open = look_at(&whole, whole.count);
    CU_ASSERT_EQUAL(json_object_object_length(open.messages), 0);
    CU_ASSERT_EQUAL(json_object_object_length(open.tools), 0);
    CU_ASSERT_EQUAL(json_object_object_length(open.permissions), 0);
    TEST_TEXT(open.turn, "");
    open_free(&open);

    /* The server dies again, right after. */
    struct log again = {0};
    recover(&whole, 0, whole.count, &again);
    CU_ASSERT_EQUAL(again.count, 1);
    TEST_TEXT(json_get_string(again.events[0], "type"), "status");
    log_free(&again);
    log_free(&whole);
}

static void a_log_cut_anywhere_ends_closed(void)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    uint64_t rounds = given && *given ? 300 : 25;
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        random_state = seed * 104729;
        struct log log = {0};
        say_turn(&log, 1);
        say_turn(&log, 2);
        unsigned failed = CU_get_number_of_failures();
        for (size_t cut = 0; cut <= log.count && CU_get_number_of_failures() == failed; cut++) {
            check_cut(&log, cut);
            if (CU_get_number_of_failures() != failed) {
                printf("\n    seed %" PRIu64 ", cut after %zu", seed, cut);
            }
        }
        log_free(&log);
    }
}

/* Also one that died while it was being ended: a part of the ending is in the log already. */
static void an_ending_cut_anywhere_ends_closed(void)
{
    random_state = 99;
    struct log log = {0};
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "permission_request", "turn-1", ",\"request\":{\"requestId\":\"p1\"}");
    say(&log, "permission_request", "turn-1", ",\"request\":{\"requestId\":\"p2\"}");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"run\"");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t2\",\"toolName\":\"run\"");
    say(&log, "text_delta", "turn-1", ",\"messageId\":\"m1\",\"offset\":0,\"delta\":\"hel\"");
    size_t cut = log.count;
    recover(&log, 0, cut, &log);
    CU_ASSERT_EQUAL(log.count - cut, 8);
    for (; cut <= log.count; cut++) {
        check_cut(&log, cut);
    }
    log_free(&log);
}

static void the_order_is_the_designs(void)
{
    struct log log = {0};
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"run\"");
    say(&log, "permission_request", "turn-1", ",\"request\":{\"requestId\":\"p1\"}");
    say(&log, "thought_delta", "turn-1", ",\"messageId\":\"m1\",\"offset\":0,\"delta\":\"hm\"");
    size_t cut = log.count;
    recover(&log, 0, cut, &log);
    static const char *const expected[] = {"thought_complete", "tool_result", "permission_cancelled",
                                           "error",            "complete",    "status"};
    CU_ASSERT_EQUAL_FATAL(log.count - cut, array_size(expected));
    for (size_t i = 0; i < array_size(expected); i++) {
        TEST_TEXT(json_get_string(log.events[cut + i], "type"), expected[i]);
    }
    int64_t duration = 0;
    CU_ASSERT_TRUE(json_get_i64(log.events[cut + 4], "durationMs", &duration));
    CU_ASSERT_EQUAL(duration, 1000);
    log_free(&log);
}

static struct json_object *only_result(const struct log *log, struct log *ending)
{
    recover(log, 0, log->count, ending);
    CU_ASSERT_TRUE_FATAL(ending->count > 0);
    TEST_TEXT(json_get_string(ending->events[0], "type"), "tool_result");
    return ending->events[0];
}

static void is_json(struct json_object *value, const char *expected)
{
    struct json_object *wanted = json_tokener_parse(expected);
    CU_ASSERT_TRUE(json_object_equal(value, wanted));
    json_object_put(wanted);
}

#define DIFF "{\"type\":\"diff\",\"path\":\"/a\",\"oldText\":null,\"newText\":\"b\"}"
#define SAID(text) "{\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"" text "\"}}"

/* A result replaces what the call's updates said, so it says it again. */
static void what_a_call_had_is_in_its_result(void)
{
    struct log log = {0}, ending = {0};
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"edit\"");
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"content\":[],\"rawOutput\":{\"old\":1}");
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"content\":[%s,%s]", SAID("so far"), DIFF);
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"rawOutput\":{\"n\":2}");
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"status\":\"in_progress\"");
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"unknown\",\"content\":[]");
    struct json_object *result = only_result(&log, &ending);
    TEST_TEXT(json_get_string(result, "result"), "so far");
    is_json(json_get(result, "content"), "[" SAID("so far") "," DIFF "]");
    is_json(json_get(result, "rawOutput"), "{\"n\":2}");
    CU_ASSERT_PTR_NULL(json_get(result, "refs"));
    log_free(&ending);

    /* Only text: the result has it all. */
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"content\":[%s]", SAID("all"));
    result = only_result(&log, &ending);
    TEST_TEXT(json_get_string(result, "result"), "all");
    CU_ASSERT_PTR_NULL(json_get(result, "content"));
    log_free(&ending);
    log_free(&log);
}

/* What was cut before stays cut, and its references go with it. */
static void references_go_into_the_result(void)
{
    static const char at_content[] = "{\"path\":\"/content/0/newText\",\"blob\":\"b1\",\"bytes\":9}";
    static const char at_raw[] = "{\"path\":\"/rawOutput/x\",\"blob\":\"b2\",\"bytes\":9}";
    static const char at_input[] = "{\"path\":\"/toolInput/x\",\"blob\":\"b3\",\"bytes\":9}";
    struct log log = {0}, ending = {0};
    char expected[256];
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"edit\"");
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"content\":[%s],\"rawOutput\":{\"x\":\"p\"},\"refs\":[%s,%s,%s]",
        DIFF, at_content, at_input, at_raw);
    struct json_object *result = only_result(&log, &ending);
    snprintf(expected, sizeof(expected), "[%s,%s]", at_content, at_raw);
    is_json(json_get(result, "refs"), expected);
    log_free(&ending);

    /* Another one of the content alone: the reference into the earlier one is void. */
    say(&log, "tool_update", "turn-1", ",\"toolUseId\":\"t1\",\"content\":[%s]", DIFF);
    result = only_result(&log, &ending);
    snprintf(expected, sizeof(expected), "[%s]", at_raw);
    is_json(json_get(result, "refs"), expected);
    log_free(&ending);

    /* An output that is too long gets a reference of its own. */
    for (int i = 0; i < 40; i++) {
        say(&log, "tool_output", "turn-1", ",\"toolUseId\":\"t1\",\"offset\":%d,\"delta\":\"%0500d\"", i * 500, 7);
    }
    result = only_result(&log, &ending);
    struct json_object *refs = json_get(result, "refs");
    CU_ASSERT_EQUAL_FATAL(json_object_array_length(refs), 2);
    TEST_TEXT(json_get_string(json_object_array_get_idx(refs, 0), "path"), "/result");
    TEST_TEXT(json_get_string(json_object_array_get_idx(refs, 1), "path"), "/rawOutput/x");
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_EQUAL(kept->length, 20000);
    blobs_free(kept);
    kept = NULL;
    log_free(&ending);
    log_free(&log);
}

/* Reading begins where something was opened, so a result may come without its start, and a file may hold anything. */
static void odd_events_do_no_harm(void)
{
    static const char *const odd[] = {
        "null", "1", "[]", "{}", "{\"type\":7}", "{\"type\":\"no_such_type\"}", "{\"type\":\"text_delta\"}",
        "{\"type\":\"text_delta\",\"messageId\":3,\"delta\":\"x\"}", "{\"type\":\"tool_start\"}",
        "{\"type\":\"tool_result\",\"toolUseId\":\"gone\"}", "{\"type\":\"tool_result\"}",
        "{\"type\":\"tool_output\",\"toolUseId\":\"gone\",\"delta\":\"x\"}", "{\"type\":\"permission_request\"}",
        "{\"type\":\"permission_request\",\"request\":{}}", "{\"type\":\"permission_resolved\"}",
        "{\"type\":\"permission_timeout\",\"requestId\":\"gone\"}", "{\"type\":\"text_complete\"}",
        "{\"type\":\"complete\",\"turnId\":\"gone\"}"};
    struct recovery *recovery;
    CU_ASSERT_EQUAL_FATAL(recovery_new(&recovery, "s1"), ERR_OK);
    for (size_t i = 0; i < array_size(odd); i++) {
        struct json_object *event = json_tokener_parse(odd[i]);
        enum err err = recovery_read(recovery, event);
        CU_ASSERT_EQUAL(err, json_get_string(event, "type") ? ERR_OK : ERR_CORRUPT);
        json_object_put(event);
    }
    struct json_object *nameless = json_tokener_parse("{\"type\":\"turn_started\"}");
    CU_ASSERT_EQUAL(recovery_read(recovery, nameless), ERR_CORRUPT);
    json_object_put(nameless);
    struct log log = {0};
    CU_ASSERT_EQUAL(finish(recovery, take, &log), ERR_OK);
    CU_ASSERT_EQUAL(log.count, 1);
    recovery_free(recovery);
    log_free(&log);
    recovery_free(NULL);
}

static enum err refuse(void *context, struct event *event)
{
    ++*(int *)context;
    event_discard(event);
    return ERR_IO;
}

static void what_a_sub_agent_said_still_names_its_call(void)
{
    struct log log = {0};
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"task\"");
    say(&log, "text_delta", "turn-1",
        ",\"messageId\":\"m1\",\"parentToolUseId\":\"t1\",\"offset\":0,\"delta\":\"hel\"");
    size_t cut = log.count;
    recover(&log, 0, cut, &log);
    CU_ASSERT_TRUE_FATAL(log.count > cut);
    TEST_TEXT(json_get_string(log.events[cut], "type"), "text_complete");
    TEST_TEXT(json_get_string(log.events[cut], "parentToolUseId"), "t1");
    log_free(&log);
}

static void what_cannot_be_emitted_stops_it(void)
{
    struct recovery *recovery;
    CU_ASSERT_EQUAL_FATAL(recovery_new(&recovery, "s1"), ERR_OK);
    struct log log = {0};
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "text_delta", "turn-1", ",\"messageId\":\"m1\",\"offset\":0,\"delta\":\"hel\"");
    for (size_t i = 0; i < log.count; i++) {
        CU_ASSERT_EQUAL(recovery_read(recovery, log.events[i]), ERR_OK);
    }
    int calls = 0;
    CU_ASSERT_EQUAL(finish(recovery, refuse, &calls), ERR_IO);
    CU_ASSERT_EQUAL(calls, 1);
    recovery_free(recovery);
    log_free(&log);
}

static size_t count_x(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += text[i] == 'x';
    }
    return count;
}

static void a_long_result_is_cut(void)
{
    struct recovery *recovery;
    struct log log = {0}, ending = {0};
    char text[501];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CU_ASSERT_EQUAL_FATAL(recovery_new(&recovery, "s1"), ERR_OK);
    say(&log, "turn_started", "turn-1", "%s", "");
    say(&log, "tool_start", "turn-1", ",\"toolUseId\":\"t1\",\"toolName\":\"bash\"%s", "");
    for (int i = 0; i < 80; i++) {
        say(&log, "tool_output", "turn-1", ",\"toolUseId\":\"t1\",\"offset\":%d,\"delta\":\"%s\"", 500 * i, text);
    }
    for (size_t i = 0; i < log.count; i++) {
        CU_ASSERT_EQUAL(recovery_read(recovery, log.events[i]), ERR_OK);
    }
    CU_ASSERT_EQUAL(finish(recovery, take, &ending), ERR_OK);
    struct json_object *result = ending.events[0];
    TEST_TEXT(json_get_string(result, "type"), "tool_result");
    CU_ASSERT_TRUE(strlen(json_get_string(result, "result")) < 3000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_EQUAL(kept->length, 40000);
    CU_ASSERT_EQUAL(count_x(kept->data, kept->length), 40000);
    blobs_free(kept);
    kept = NULL;
    recovery_free(recovery);
    log_free(&log);
    log_free(&ending);
}

TEST_MAIN("recovery", TEST(a_log_cut_anywhere_ends_closed),
          TEST(an_ending_cut_anywhere_ends_closed), TEST(the_order_is_the_designs),
          TEST(what_a_call_had_is_in_its_result), TEST(references_go_into_the_result),
          TEST(odd_events_do_no_harm), TEST(what_a_sub_agent_said_still_names_its_call),
          TEST(what_cannot_be_emitted_stops_it), TEST(a_long_result_is_cut))
