#include "support/dialect_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/field.h"
#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"
#include "signalbox/core/command.h"
#include "signalbox/core/event.h"

#define HEAD(name) "{\"seq\":7,\"ts\":1700000000123,\"type\":\"" name "\",\"sessionId\":\"s1\",\"turnId\":\"turn-3\""
#define REQUEST                                                                                    \
    "{\"requestId\":\"p-s1-2-5\",\"sessionId\":\"s1\",\"toolName\":\"bash\",\"command\":\"ls -l\",\"description\":\"lists\","   \
    "\"toolUseId\":\"t2-1\",\"toolInput\":{\"command\":\"ls -l\"},\"kind\":\"execute\",\"locations\":[{\"path\":\"/w\"}],"       \
    "\"planContent\":null,\"acpOptions\":[{\"optionId\":\"y\",\"name\":\"Yes\",\"kind\":\"allow_once\"}],"                      \
    "\"refs\":[],\"createdAt\":1700000000000,\"expiresAt\":1700000060000}"
#define DELTA ",\"messageId\":\"m2-1\",\"offset\":3,\"delta\":\"lo \\u00fc\",\"parentToolUseId\":\"t2-9\"}"
#define WHOLE ",\"messageId\":\"m2-1\",\"text\":\"hello\",\"isIntermediate\":true,\"parentToolUseId\":\"t2-9\"}"

const char *const dialect_samples[] = {
    [EVENT_SESSION_CREATED] = HEAD("session_created") ",\"agent\":\"a\",\"workspace\":\"/w\",\"title\":\"t\",\"createdBy\":\"u\"}",
    [EVENT_SESSION_CLOSED] = HEAD("session_closed") ",\"by\":{\"user\":\"u\"}}",
    [EVENT_STATUS] = HEAD("status") ",\"phase\":\"running\",\"detail\":\"why\"}",
    [EVENT_USER_MESSAGE] = HEAD("user_message") ",\"messageId\":\"u-5\",\"text\":\"do it\",\"content\":[{\"type\":\"text\",\"text\":"
                           "\"do it\"}],\"by\":{\"user\":\"u\"},\"status\":\"processing\",\"position\":2,\"promptId\":\"x\","
                           "\"cause\":{\"clientId\":\"c\",\"id\":\"ff:s1:mine\"}}",
    [EVENT_TURN_STARTED] = HEAD("turn_started") ",\"by\":{\"user\":\"u\"},\"messageId\":\"u-5\",\"cause\":{\"clientId\":\"c\"}}",
    [EVENT_TEXT_DELTA] = HEAD("text_delta") DELTA,
    [EVENT_TEXT_COMPLETE] = HEAD("text_complete") WHOLE,
    [EVENT_THOUGHT_DELTA] = HEAD("thought_delta") DELTA,
    [EVENT_THOUGHT_COMPLETE] = HEAD("thought_complete") WHOLE,
    [EVENT_TOOL_START] = HEAD("tool_start") ",\"toolUseId\":\"t2-1\",\"toolName\":\"bash\",\"toolInput\":{\"command\":\"ls\"},"
                         "\"toolIntent\":\"look\",\"toolDisplayName\":\"Bash\",\"kind\":\"execute\",\"locations\":[]}",
    [EVENT_TOOL_OUTPUT] = HEAD("tool_output") ",\"toolUseId\":\"t2-1\",\"offset\":0,\"delta\":\"one\"}",
    [EVENT_TOOL_UPDATE] = HEAD("tool_update") ",\"toolUseId\":\"t2-1\",\"status\":\"in_progress\",\"title\":\"ls\",\"kind\":"
                          "\"execute\",\"content\":[],\"locations\":[],\"toolInput\":{\"a\":1},\"rawOutput\":1,\"refs\":[]}",
    [EVENT_TOOL_RESULT] = HEAD("tool_result") ",\"toolUseId\":\"t2-1\",\"toolName\":\"bash\",\"result\":\"done\",\"content\":"
                          "[{\"type\":\"diff\",\"path\":\"/a\"}],\"rawOutput\":{},\"isError\":true,\"refs\":[]}",
    [EVENT_PLAN] = HEAD("plan") ",\"entries\":[{\"content\":\"look\",\"priority\":\"high\",\"status\":\"pending\"}]}",
    [EVENT_COMMANDS] = HEAD("commands") ",\"commands\":[{\"name\":\"init\",\"description\":\"begins\",\"hint\":\"what\"},{\"name\":\"x\"}]}",
    [EVENT_MODE] = HEAD("mode") ",\"currentModeId\":\"m\",\"availableModes\":[]}",
    [EVENT_CONFIG_OPTIONS] = HEAD("config_options") ",\"options\":[{\"id\":\"model\"}]}",
    [EVENT_PROMPT_CAPABILITIES] = HEAD("prompt_capabilities") ",\"image\":true,\"audio\":false,\"embeddedContext\":true}",
    [EVENT_USAGE] = HEAD("usage") ",\"used\":10,\"size\":100,\"cost\":{\"amount\":1,\"currency\":\"EUR\"}}",
    [EVENT_TITLE] = HEAD("title") ",\"title\":\"T\"}",
    [EVENT_POLICY] = HEAD("policy") ",\"policy\":\"ask\",\"by\":{\"user\":\"u\"}}",
    [EVENT_PERMISSION_REQUEST] = HEAD("permission_request") ",\"request\":" REQUEST "}",
    [EVENT_PERMISSION_RESOLVED] = HEAD("permission_resolved") ",\"requestId\":\"p-s1-2-5\",\"outcome\":\"allowed\",\"optionId\":"
                                  "\"y\",\"alwaysAllow\":false,\"by\":{\"user\":\"u\"},\"message\":\"fine\"}",
    [EVENT_PERMISSION_TIMEOUT] = HEAD("permission_timeout") ",\"requestId\":\"p-s1-2-5\"}",
    [EVENT_PERMISSION_CANCELLED] = HEAD("permission_cancelled") ",\"requestId\":\"p-s1-2-5\",\"reason\":\"turn_cancelled\"}",
    [EVENT_COMPLETE] = HEAD("complete") ",\"stopReason\":\"end_turn\",\"durationMs\":5,\"usage\":{\"inputTokens\":1},\"first\":true}",
    [EVENT_ERROR] = HEAD("error") ",\"error\":\"it broke\",\"code\":\"agent_error\",\"fatal\":false}",
    [EVENT_AGENT_UPDATE] = HEAD("agent_update") ",\"update\":{\"sessionUpdate\":\"new\"},\"refs\":[]}",
    [EVENT_KIND_COUNT] = "{\"type\":\"permission_waiting\",\"sessionId\":\"s1\",\"request\":" REQUEST ",\"waiting\":1,\"at\":1700000000001}",
    "{\"type\":\"permission_ended\",\"sessionId\":\"s1\",\"requestId\":\"p-s1-2-5\",\"toolName\":\"bash\",\"outcome\":\"allowed\","
    "\"by\":{\"user\":\"u\"},\"reason\":\"why\",\"waiting\":0,\"at\":1700000000002}",
    NULL,
};

static bool watches(const struct dialect_client *client, const char *session_id)
{
    const struct dialect_bench *bench = client->engine;
    CHECK(session_id != NULL);
    return bench->watching;
}

struct dialect_bench *dialect_bench_new(const char *subprotocol)
{
    struct dialect_bench *bench = calloc(1, sizeof(*bench));
    CHECK(bench && json_parser_new(&bench->parser, 64) == ERR_OK);
    CHECK(json_parser_new(&bench->own, 4096) == ERR_OK);
    bench->dialect = dialect_by_subprotocol(subprotocol, strlen(subprotocol));
    CHECK(bench->dialect != NULL);
    bench->client = (struct dialect_client){.session_id = "s1", .user = "u", .agent = "first", .workspace = "/root",
                                            .now_ms = 1700000000999, .watches = watches, .engine = bench,
                                            .state = calloc(1, bench->dialect->state_size + 1)};
    CHECK(bench->client.state != NULL);
    return bench;
}

void dialect_bench_free(struct dialect_bench *bench)
{
    if (bench->dialect->state_free) {
        bench->dialect->state_free(bench->client.state);
    }
    free(bench->client.state);
    json_parser_free(bench->parser);
    json_parser_free(bench->own);
    free(bench);
}

static struct json_object *parse(struct dialect_bench *bench, const char *text, size_t length)
{
    struct json_object *value = NULL;
    CHECK(json_parse(bench->own, text, length, &value) == ERR_OK);
    return value;
}

static void check_command(struct dialect_bench *bench, const struct dialect_command *command)
{
    struct json_object *message = parse(bench, command->text, command->length);
    const char *type = json_get_string(message, "type");
    CHECK(type != NULL);
    if (strcmp(type, command_name(COMMAND_LIST_PERMISSIONS))) {
        struct command *parsed = NULL;
        struct command_error error = {0};
        enum err err = command_parse(message, &parsed, &error);
        /* What a client may still say wrong is for the server to refuse, by name. */
        CHECK(err == ERR_OK || (err == ERR_SYNTAX && error.field[0]));
        command_free(parsed);
        free(error.id);
    }
    json_object_put(message);
}

static void put_frames(struct dialect_bench *bench, struct buffer *text, const struct buffer *frames)
{
    for (size_t at = 0; at < frames->length;) {
        const char *json;
        size_t length;
        at += frame_read(frames->data + at, &json, &length);
        struct json_object *frame = parse(bench, json, length);
        CHECK(json_get_string(frame, "type") != NULL);
        json_object_put(frame);
        buffer_text(text, "< ");
        buffer_append(text, json, length);
        buffer_byte(text, '\n');
    }
}

static char *shown(struct dialect_bench *bench, struct dialect_out *out)
{
    struct buffer text = {0};
    struct dialect_command command;
    size_t at = 0;
    CHECK(dialect_out_ok(out));
    put_frames(bench, &text, &out->frames);
    while (dialect_next_command(out, &at, &command)) {
        check_command(bench, &command);
        buffer_text(&text, command.by_key ? ">> " : "> ");
        buffer_append(&text, command.text, command.length);
        buffer_byte(&text, '\n');
    }
    if (out->close_code) {
        buffer_format(&text, "x %u\n", out->close_code);
    }
    dialect_out_free(out);
    char *taken = text.length ? buffer_take(&text) : strdup("");
    CHECK(taken != NULL);
    return taken;
}

char *dialect_bench_event(struct dialect_bench *bench, const char *event, bool replay)
{
    struct frame *frame;
    struct dialect_out out = {.dialect = bench->dialect};
    CHECK(frame_text(&frame, event, strlen(event)) == ERR_OK);
    CHECK(dialect_events(bench->dialect, bench->own, frame_wire(frame), frame_wire_length(frame), replay,
                         &out.frames) == ERR_OK);
    frame_put(frame);
    return shown(bench, &out);
}

char *dialect_bench_control(struct dialect_bench *bench, const char *control)
{
    struct dialect_out out = {.dialect = bench->dialect};
    struct json_object *parsed = parse(bench, control, strlen(control));
    dialect_control(&out, &bench->client, parsed);
    json_object_put(parsed);
    return shown(bench, &out);
}

char *dialect_bench_message(struct dialect_bench *bench, const char *message)
{
    struct dialect_out out = {.dialect = bench->dialect};
    struct json_object *parsed = NULL;
    if (json_parse(bench->parser, message, strlen(message), &parsed)) {
        dialect_refuse(&out, &bench->client, "bad_json", json_parser_message(bench->parser));
    } else {
        dialect_message(&out, &bench->client, parsed);
    }
    json_object_put(parsed);
    return shown(bench, &out);
}

/* ---- Wrong ones ---- */

static const char *const wrong_values[] = {"null", "7", "-1", "true", "\"x\"", "\"\"", "[]", "[7]", "{}", "{\"a\":[null]}"};
enum { WRONG = sizeof(wrong_values) / sizeof(wrong_values[0]) };

static struct json_object *copy_of(struct json_object *object)
{
    struct json_object *copy = NULL;
    CHECK(json_object_deep_copy(object, &copy, NULL) == 0);
    return copy;
}

/* `member` is left out where `value` is NULL. */
static char *changed(struct json_object *object, const char *member, const char *value)
{
    struct json_object *copy = copy_of(object);
    json_object_object_del(copy, member);
    if (value) {
        json_object_object_add(copy, member, json_tokener_parse(value));
    }
    char *text = strdup(json_object_to_json_string_ext(copy, JSON_C_TO_STRING_PLAIN));
    CHECK(text != NULL);
    json_object_put(copy);
    return text;
}

static void try_event(struct dialect_bench *bench, char *event)
{
    for (int replay = 0; replay < 2; replay++) {
        free(dialect_bench_event(bench, event, replay));
    }
    free(event);
}

static void try_members(struct dialect_bench *bench, struct json_object *event, struct json_object *inner, const char *name)
{
    json_object_object_foreach(inner ? inner : event, member, unused)
    {
        (void)unused;
        for (size_t i = 0; i <= WRONG; i++) {
            char *text = changed(inner ? inner : event, member, i < WRONG ? wrong_values[i] : NULL);
            if (inner) {
                char *whole = changed(event, name, text);
                free(text);
                text = whole;
            }
            try_event(bench, text);
        }
    }
}

void dialect_bench_wrong_events(struct dialect_bench *bench)
{
    for (size_t i = 0; dialect_samples[i]; i++) {
        struct json_object *event = parse(bench, dialect_samples[i], strlen(dialect_samples[i]));
        try_members(bench, event, NULL, NULL);
        if (json_get(event, "request")) {
            try_members(bench, event, json_get(event, "request"), "request");
        }
        json_object_put(event);
    }
}

static bool fits(const struct field *field, struct json_object *value)
{
    switch (field->kind) {
    case FIELD_STRING:
        return json_object_is_type(value, json_type_string) &&
               (size_t)json_object_get_string_len(value) >= field->minimum;
    case FIELD_BOOL:
        return json_object_is_type(value, json_type_boolean);
    case FIELD_OBJECT:
        return json_object_is_type(value, json_type_object);
    case FIELD_ARRAY:
        return json_object_is_type(value, json_type_array);
    case FIELD_ANY:
        return true;
    default:
        return false; /* a word: none of the wrong values is one */
    }
}

static void must_refuse(struct dialect_bench *bench, const char *message)
{
    char *said = dialect_bench_message(bench, message);
    if (strncmp(said, "< ", 2) || strstr(said, "\n>") || strstr(said, "\n<")) {
        fprintf(stderr, "not refused: %s\n%s\n", message, said);
        abort();
    }
    free(said);
}

void dialect_bench_wrong_messages(struct dialect_bench *bench, const char *const *samples)
{
    for (const struct dialect_message *known = bench->dialect->messages; known->name; known++, samples++) {
        struct json_object *message = parse(bench, *samples, strlen(*samples));
        CHECK(!strcmp(json_get_string(message, "type"), known->name));
        for (const struct field *field = known->fields; field->name; field++) {
            CHECK(json_get(message, field->name) != NULL); /* a sample has every member */
            for (size_t i = 0; i <= WRONG; i++) {
                char *text = changed(message, field->name, i < WRONG ? wrong_values[i] : NULL);
                struct json_object *value = i < WRONG ? json_tokener_parse(wrong_values[i]) : NULL;
                if (value ? !fits(field, value) : (field->flags & FIELD_REQUIRED) != 0) {
                    must_refuse(bench, text);
                } else {
                    free(dialect_bench_message(bench, text));
                }
                json_object_put(value);
                free(text);
            }
            if (field->kind == FIELD_STRING && field->maximum) {
                char *value = calloc(1, field->maximum + 4);
                CHECK(value != NULL);
                memset(value, 'x', field->maximum + 3);
                value[0] = value[field->maximum + 2] = '"';
                char *text = changed(message, field->name, value);
                must_refuse(bench, text);
                free(text);
                free(value);
            }
        }
        json_object_put(message);
    }
    static const char *const none[] = {"", "nonsense", "7", "null", "[]", "\"x\"", "{}", "{\"type\":7}", "{\"type\":\"unheard of\"}"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        must_refuse(bench, none[i]);
    }
}

/* ---- Lines ---- */

static bool is_json(struct dialect_bench *bench, const char *text)
{
    struct json_object *value = NULL;
    bool fine = json_parse(bench->own, text, strlen(text), &value) == ERR_OK && value;
    json_object_put(value);
    return fine;
}

static void play(struct dialect_bench *bench, const char *line)
{
    bool ours = line[0] && strchr("=~<", line[0]) && line[1] == ' ';
    if (ours && !is_json(bench, line + 2)) {
        return;
    }
    if (!strcmp(line, "!")) {
        bench->watching = !bench->watching;
    } else if (ours && *line == '<') {
        free(dialect_bench_control(bench, line + 2));
    } else if (ours) {
        /* A pure function: the same again. */
        char *once = dialect_bench_event(bench, line + 2, *line == '~');
        char *again = dialect_bench_event(bench, line + 2, *line == '~');
        CHECK(!strcmp(once, again));
        free(once);
        free(again);
    } else {
        free(dialect_bench_message(bench, line));
    }
}

void dialect_bench_play(struct dialect_bench *bench, const char *text, size_t length)
{
    for (const char *at = text, *end = text + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char *line = strndup(at, (size_t)((stop ? stop : end) - at));
        CHECK(line != NULL);
        play(bench, line);
        free(line);
        at = stop ? stop + 1 : end;
    }
}
