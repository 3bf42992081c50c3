/* Commands: what is taken, and with which words everything else is refused. */
#include <stdarg.h>

#include "signalbox/base/json.h"
#include "signalbox/core/command.h"
#include "support/test.h"

static struct json_parser *parser;

static struct json_object *object_of(const char *text)
{
    struct json_object *object = NULL;
    if (!parser && json_parser_new(&parser, 64)) {
        abort();
    }
    if (json_parse(parser, text, strlen(text), &object)) {
        printf("\n    not JSON: %s\n", text);
        abort();
    }
    return object;
}

static enum err parse(const char *text, struct command **out, struct command_error *error)
{
    struct json_object *object = object_of(text);
    *out = NULL;
    enum err err = command_parse(object, out, error);
    json_object_put(object);
    return err;
}

static struct command *taken(const char *text)
{
    struct command *command;
    struct command_error error;
    if (parse(text, &command, &error)) {
        printf("\n    refused: %s: %s\n", text, error.message);
        CU_FAIL_FATAL("a good command was refused");
    }
    CU_ASSERT_PTR_NULL(error.id);
    return command;
}

static void every_type_is_taken(void)
{
    static const struct {
        enum command_type type;
        const char *text;
    } cases[] = {
        {COMMAND_SUBSCRIBE, "{\"type\":\"subscribe\",\"sessionId\":\"s\"}"},
        {COMMAND_UNSUBSCRIBE, "{\"type\":\"unsubscribe\",\"sessionId\":\"s\"}"},
        {COMMAND_WATCH_SESSIONS, "{\"type\":\"watch_sessions\"}"},
        {COMMAND_UNWATCH_SESSIONS, "{\"type\":\"unwatch_sessions\"}"},
        {COMMAND_CREATE_SESSION, "{\"type\":\"create_session\",\"agent\":\"a\",\"workspace\":\"/w\"}"},
        {COMMAND_CLOSE_SESSION, "{\"type\":\"close_session\",\"sessionId\":\"s\"}"},
        {COMMAND_PROMPT, "{\"type\":\"prompt\",\"sessionId\":\"s\",\"text\":\"t\"}"},
        {COMMAND_WITHDRAW, "{\"type\":\"withdraw\",\"sessionId\":\"s\",\"messageId\":\"m\"}"},
        {COMMAND_RESUME_QUEUE, "{\"type\":\"resume_queue\",\"sessionId\":\"s\"}"},
        {COMMAND_CANCEL, "{\"type\":\"cancel\",\"sessionId\":\"s\"}"},
        {COMMAND_PERMISSION_RESPONSE, "{\"type\":\"permission_response\",\"requestId\":\"r\"}"},
        {COMMAND_SET_POLICY, "{\"type\":\"set_policy\",\"sessionId\":\"s\",\"policy\":\"trust\"}"},
        {COMMAND_SET_MODE, "{\"type\":\"set_mode\",\"sessionId\":\"s\",\"modeId\":\"m\"}"},
        {COMMAND_SET_CONFIG_OPTION,
         "{\"type\":\"set_config_option\",\"sessionId\":\"s\",\"configId\":\"c\",\"value\":false}"},
        {COMMAND_SEEN, "{\"type\":\"seen\",\"sessionId\":\"s\",\"seq\":0}"},
        {COMMAND_PING, "{\"type\":\"ping\"}"},
    };
    CU_ASSERT_EQUAL(sizeof(cases) / sizeof(cases[0]), COMMAND_PING + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command *command = taken(cases[i].text);
        CU_ASSERT_EQUAL(command->type, cases[i].type);
        CU_ASSERT_PTR_NULL(command->id);
        command_free(command);
    }
}

static void fields_arrive(void)
{
    struct command *command = taken(
        "{\"type\":\"subscribe\",\"id\":\"7\",\"sessionId\":\"s1\",\"after\":{\"epoch\":\"e\",\"seq\":41},"
        "\"unknown\":[1,2]}");
    TEST_TEXT(command->id, "7");
    TEST_TEXT(command->session_id, "s1");
    TEST_TEXT(command->after_epoch, "e");
    CU_ASSERT_TRUE(command->has_after);
    CU_ASSERT_EQUAL(command->after_seq, 41);
    CU_ASSERT_EQUAL(command->history, HISTORY_DEFAULT);
    command_free(command);

    static const char *const words[] = {[HISTORY_FULL] = "full", [HISTORY_TURN] = "turn", [HISTORY_NONE] = "none"};
    for (enum history_mode mode = HISTORY_FULL; mode <= HISTORY_NONE; mode++) {
        char text[128];
        snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"sessionId\":\"s\",\"history\":\"%s\"}", words[mode]);
        command = taken(text);
        CU_ASSERT_EQUAL(command->history, mode);
        CU_ASSERT_FALSE(command->has_after);
        command_free(command);
    }

    command = taken("{\"type\":\"permission_response\",\"requestId\":\"r\",\"sessionId\":null,\"allowed\":true,"
                    "\"allow\":false,\"decision\":\"allow-session\",\"alwaysAllow\":true,\"optionId\":\"o\","
                    "\"remember\":{\"scope\":\"session\",\"match\":\"npm test\",\"expiresAt\":99},"
                    "\"updatedInput\":{\"a\":[1,\"\\u00e9\"]},\"message\":\"why\"}");
    TEST_TEXT(command->request_id, "r");
    CU_ASSERT_PTR_NULL(command->session_id);
    CU_ASSERT_EQUAL(command->allowed, FLAG_YES);
    CU_ASSERT_EQUAL(command->allow, FLAG_NO);
    CU_ASSERT_EQUAL(command->always_allow, FLAG_YES);
    CU_ASSERT_EQUAL(command->all, FLAG_ABSENT);
    TEST_TEXT(command->decision, "allow-session");
    TEST_TEXT(command->option_id, "o");
    TEST_TEXT(command->remember_scope, "session");
    TEST_TEXT(command->remember_match, "npm test");
    CU_ASSERT_EQUAL(command->remember_expires_at, 99);
    TEST_TEXT(command->updated_input, "{\"a\":[1,\"\xc3\xa9\"]}");
    TEST_TEXT(command->message, "why");
    command_free(command);

    command = taken("{\"type\":\"create_session\",\"agent\":\"a\",\"workspace\":\"/w\",\"title\":\"\"}");
    CU_ASSERT_PTR_NULL(command->title);
    command_free(command);
    command = taken("{\"type\":\"set_config_option\",\"sessionId\":\"s\",\"configId\":\"c\",\"value\":\"x\"}");
    TEST_TEXT(command->value, "\"x\"");
    command_free(command);
}

static void a_prompt_is_content(void)
{
    static const struct {
        const char *fields, *content, *text;
    } cases[] = {
        {"\"text\":\"a\\\"b\"", "[{\"type\":\"text\",\"text\":\"a\\\"b\"}]", "a\"b"},
        {"\"content\":[{\"type\":\"text\",\"text\":\"x\",\"annotations\":{}},{\"type\":\"text\",\"text\":\"y\"}]",
         "[{\"type\":\"text\",\"text\":\"x\",\"annotations\":{}},{\"type\":\"text\",\"text\":\"y\"}]", "x\ny"},
        {"\"text\":\"\",\"content\":[{\"type\":\"image\",\"data\":\"AA==\",\"mimeType\":\"image/png\"}]",
         "[{\"type\":\"image\",\"data\":\"AA==\",\"mimeType\":\"image/png\"}]", ""},
        {"\"text\":\"look\",\"content\":[{\"type\":\"resource_link\",\"uri\":\"file:///a\",\"name\":\"a\"}]",
         "[{\"type\":\"text\",\"text\":\"look\"},{\"type\":\"resource_link\",\"uri\":\"file:///a\",\"name\":\"a\"}]",
         "look"},
        {"\"text\":\" \",\"content\":[{\"type\":\"image\",\"data\":\"AA==\",\"mimeType\":\"image/png\"}]",
         "[{\"type\":\"text\",\"text\":\" \"},{\"type\":\"image\",\"data\":\"AA==\",\"mimeType\":\"image/png\"}]", " "},
        {"\"text\":\"one\",\"content\":[]", "[{\"type\":\"text\",\"text\":\"one\"}]", "one"},
        {"\"content\":[{\"type\":\"of-a-later-version\",\"x\":1}]", "[{\"type\":\"of-a-later-version\",\"x\":1}]", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "{\"type\":\"prompt\",\"sessionId\":\"s\",%s}", cases[i].fields);
        struct command *command = taken(text);
        TEST_TEXT(command->content, cases[i].content);
        TEST_TEXT(command->text, cases[i].text);
        command_free(command);
    }
}

static void refusals_say_what_and_why(void)
{
    static const struct {
        const char *text;
        enum answer_code code;
        const char *field, *message, *id;
    } cases[] = {
        {"[]", ANSWER_BAD_MESSAGE, "", "a message must be a JSON object", NULL},
        {"{}", ANSWER_BAD_MESSAGE, "type", "`type` is missing", NULL},
        {"{\"type\":5,\"id\":\"1\"}", ANSWER_BAD_MESSAGE, "type", "`type` must be a string", "1"},
        {"{\"type\":\"nonsense\",\"id\":\"1\"}", ANSWER_UNKNOWN_TYPE, "type", "there is no command of this `type`", "1"},
        {"{\"type\":\"get_session\",\"sessionId\":\"s\"}", ANSWER_UNKNOWN_TYPE, "type",
         "there is no command of this `type`", NULL},
        {"{\"type\":\"ping\",\"id\":1}", ANSWER_BAD_MESSAGE, "id", "`id` must be a string", NULL},
        {"{\"type\":\"ping\",\"id\":\"\"}", ANSWER_BAD_MESSAGE, "id", "`id` must not be empty", NULL},
        {"{\"type\":\"subscribe\",\"id\":\"x\"}", ANSWER_BAD_MESSAGE, "sessionId", "`sessionId` is missing", "x"},
        {"{\"type\":\"subscribe\",\"sessionId\":null}", ANSWER_BAD_MESSAGE, "sessionId", "`sessionId` is missing", NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":[]}", ANSWER_BAD_MESSAGE, "sessionId", "`sessionId` must be a string",
         NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":\"a\\u0000b\"}", ANSWER_BAD_MESSAGE, "sessionId",
         "`sessionId` must not contain NUL characters", NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":\"s\",\"after\":7}", ANSWER_BAD_MESSAGE, "after",
         "`after` must be an object", NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":\"s\",\"after\":{\"seq\":1}}", ANSWER_BAD_MESSAGE, "after.epoch",
         "`after.epoch` is missing", NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":\"s\",\"after\":{\"epoch\":\"e\",\"seq\":-1}}", ANSWER_BAD_MESSAGE,
         "after.seq", "`after.seq` must be a whole number >= 0", NULL},
        {"{\"type\":\"subscribe\",\"sessionId\":\"s\",\"history\":\"most\"}", ANSWER_BAD_MESSAGE, "history",
         "`history` must be one of: full turn none", NULL},
        {"{\"type\":\"seen\",\"sessionId\":\"s\",\"seq\":1.5}", ANSWER_BAD_MESSAGE, "seq",
         "`seq` must be a whole number >= 0", NULL},
        {"{\"type\":\"seen\",\"sessionId\":\"s\",\"seq\":\"1\"}", ANSWER_BAD_MESSAGE, "seq",
         "`seq` must be a whole number >= 0", NULL},
        {"{\"type\":\"cancel\",\"sessionId\":\"s\",\"all\":\"yes\"}", ANSWER_BAD_MESSAGE, "all",
         "`all` must be true or false", NULL},
        {"{\"type\":\"set_policy\",\"sessionId\":\"s\",\"policy\":\"as\"}", ANSWER_BAD_MESSAGE, "policy",
         "`policy` must be one of: ask read-only trust", NULL},
        {"{\"type\":\"set_config_option\",\"sessionId\":\"s\",\"configId\":\"c\"}", ANSWER_BAD_MESSAGE, "value",
         "`value` is missing", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\"}", ANSWER_BAD_MESSAGE, "text",
         "a prompt needs a `text` or `content`", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"text\":\"\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"\"}]}",
         ANSWER_BAD_MESSAGE, "content", "there is nothing in this prompt but blanks", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"text\":\"\",\"content\":[]}", ANSWER_BAD_MESSAGE, "text",
         "a prompt needs a `text` or `content`", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"text\":\" \\n\\u00a0\"}", ANSWER_BAD_MESSAGE, "text",
         "there is nothing in this prompt but blanks", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"text\":\" \",\"content\":[{\"type\":\"text\",\"text\":\"\\t\"}]}",
         ANSWER_BAD_MESSAGE, "text", "there is nothing in this prompt but blanks", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}",
         ANSWER_BAD_MESSAGE, "content", "there is nothing in this prompt but blanks", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"content\":{}}", ANSWER_BAD_MESSAGE, "content",
         "`content` must be an array of content blocks", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},3]}",
         ANSWER_BAD_MESSAGE, "content", "`content[1]` must be an object with a `type`", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"content\":[{\"type\":\"text\"}]}", ANSWER_BAD_MESSAGE, "content",
         "`content[0]` is a text block and has no `text`", NULL},
        {"{\"type\":\"prompt\",\"sessionId\":\"s\",\"content\":[{\"type\":\"text\",\"text\":\"\\u0000\"}]}",
         ANSWER_BAD_MESSAGE, "content", "`content[0].text` must not contain NUL characters", NULL},
        {"{\"type\":\"permission_response\",\"allowed\":true}", ANSWER_BAD_MESSAGE, "requestId",
         "`requestId` is missing", NULL},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"decision\":\"maybe\"}", ANSWER_BAD_MESSAGE, "decision",
         "`decision` must be one of: allow deny allow-session allow-always", NULL},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"allowed\":\"true\"}", ANSWER_BAD_MESSAGE, "allowed",
         "`allowed` must be true or false", NULL},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"optionId\":2}", ANSWER_BAD_MESSAGE, "optionId",
         "`optionId` must be a string", NULL},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"remember\":{\"scope\":\"user\"}}",
         ANSWER_BAD_MESSAGE, "remember.match", "`remember.match` is missing", NULL},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"remember\":{\"scope\":\"user\",\"match\":\"m\","
         "\"expiresAt\":0}}",
         ANSWER_BAD_MESSAGE, "remember.expiresAt", "`remember.expiresAt` must be a whole number >= 1", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command *command;
        struct command_error error;
        CU_ASSERT_EQUAL(parse(cases[i].text, &command, &error), ERR_SYNTAX);
        CU_ASSERT_PTR_NULL(command);
        CU_ASSERT_EQUAL(error.code, cases[i].code);
        TEST_TEXT(error.field, cases[i].field);
        TEST_TEXT(error.message, cases[i].message);
        if (cases[i].id) {
            TEST_TEXT(error.id, cases[i].id);
        } else {
            CU_ASSERT_PTR_NULL(error.id);
        }
        free(error.id);
    }
}

static void lengths_have_limits(void)
{
    static const struct {
        const char *before, *field;
        size_t limit;
    } cases[] = {
        {"{\"type\":\"close_session\",\"sessionId\":\"", "sessionId", 256},
        {"{\"type\":\"ping\",\"id\":\"", "id", 256},
        {"{\"type\":\"create_session\",\"workspace\":\"/w\",\"agent\":\"", "agent", 128},
        {"{\"type\":\"create_session\",\"agent\":\"a\",\"workspace\":\"", "workspace", 4096},
        {"{\"type\":\"create_session\",\"agent\":\"a\",\"workspace\":\"/w\",\"title\":\"", "title", 512},
        {"{\"type\":\"permission_response\",\"requestId\":\"r\",\"message\":\"", "message", 4096},
    };
    static char filler[5000];
    memset(filler, 'x', sizeof(filler) - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[6000], message[128];
        struct command *command;
        struct command_error error;
        snprintf(text, sizeof(text), "%s%.*s\"}", cases[i].before, (int)cases[i].limit, filler);
        command_free(taken(text));
        snprintf(text, sizeof(text), "%s%.*s\"}", cases[i].before, (int)cases[i].limit + 1, filler);
        CU_ASSERT_EQUAL(parse(text, &command, &error), ERR_SYNTAX);
        TEST_TEXT(error.field, cases[i].field);
        snprintf(message, sizeof(message), "`%s` is longer than %zu bytes", cases[i].field, cases[i].limit);
        TEST_TEXT(error.message, message);
        free(error.id);
    }
}

static void bodies_need_no_ids(void)
{
    struct command *command;
    struct command_error error;
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_CANCEL, NULL, &command, &error), ERR_OK);
    CU_ASSERT_EQUAL(command->type, COMMAND_CANCEL);
    command_free(command);

    struct json_object *body = object_of("{\"text\":\"t\",\"sessionId\":\"another\",\"id\":5,\"type\":\"ping\"}");
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_PROMPT, body, &command, &error), ERR_OK);
    CU_ASSERT_EQUAL(command->type, COMMAND_PROMPT);
    CU_ASSERT_PTR_NULL(command->session_id);
    CU_ASSERT_PTR_NULL(command->id);
    TEST_TEXT(command->text, "t");
    command_free(command);
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_CREATE_SESSION, body, &command, &error), ERR_SYNTAX);
    TEST_TEXT(error.field, "agent");
    json_object_put(body);

    body = object_of("{\"decision\":\"allow\",\"requestId\":\"other\"}");
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_PERMISSION_RESPONSE, body, &command, &error), ERR_OK);
    CU_ASSERT_PTR_NULL(command->request_id);
    command_free(command);
    json_object_put(body);

    body = object_of("[]");
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_CANCEL, body, &command, &error), ERR_SYNTAX);
    TEST_TEXT(error.message, "the body must be a JSON object");
    json_object_put(body);
    CU_ASSERT_EQUAL(command_parse_body(COMMAND_PROMPT, NULL, &command, &error), ERR_SYNTAX);
    TEST_TEXT(error.field, "text");
}

static void answers_are_messages(void)
{
    struct buffer out = {0};
    struct answer answer = {.code = ANSWER_OK, .fields = strdup(",\"messageId\":\"m\"")};
    answer_write(&out, &answer, "i\"d");
    buffer_byte(&out, '\0');
    TEST_TEXT(out.data, "{\"type\":\"ack\",\"id\":\"i\\\"d\",\"messageId\":\"m\"}");
    answer_clear(&answer);
    CU_ASSERT_PTR_NULL(answer.fields);

    answer = (struct answer){.code = ANSWER_QUEUE_FULL, .message = strdup("full")};
    buffer_reset(&out);
    answer_write(&out, &answer, NULL);
    buffer_byte(&out, '\0');
    TEST_TEXT(out.data, "{\"type\":\"nack\",\"code\":\"queue_full\",\"message\":\"full\",\"retryable\":true}");
    answer_clear(&answer);

    answer = (struct answer){.code = ANSWER_NOT_FOUND, .fields = strdup(",\"sessionId\":\"s\"")};
    buffer_reset(&out);
    answer_write(&out, &answer, NULL);
    buffer_byte(&out, '\0');
    TEST_TEXT(out.data, "{\"type\":\"nack\",\"code\":\"not_found\",\"message\":\"not_found\",\"retryable\":false,"
                        "\"sessionId\":\"s\"}");
    answer_clear(&answer);
    buffer_free(&out);
    CU_ASSERT_EQUAL(answer_code_status(ANSWER_ALREADY_RESOLVED), 409);
    CU_ASSERT_EQUAL(answer_code_status(ANSWER_SHUTTING_DOWN), 503);
    for (enum answer_code code = 0; code < ANSWER_CODE_COUNT; code++) {
        CU_ASSERT_PTR_NOT_NULL(answer_code_name(code));
        CU_ASSERT(answer_code_status(code) >= 200 && answer_code_status(code) < 600);
    }
    for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
        CU_ASSERT_PTR_NOT_NULL(command_name(type));
    }
    json_parser_free(parser);
    parser = NULL;
}

TEST_MAIN("command", TEST(every_type_is_taken), TEST(fields_arrive), TEST(a_prompt_is_content),
          TEST(refusals_say_what_and_why), TEST(lengths_have_limits), TEST(bodies_need_no_ids),
          TEST(answers_are_messages))
