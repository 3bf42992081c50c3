/* Which commands ask for the same, and which are remembered. */
#include "core/field.h"
#include "signalbox/base/json.h"
#include "signalbox/core/command.h"
#include "support/test.h"

static struct digest of(const char *text)
{
    struct json_parser *parser;
    struct json_object *object;
    struct command *command;
    struct command_error error;
    struct digest digest;
    if (json_parser_new(&parser, 64) || json_parse(parser, text, strlen(text), &object) ||
        command_parse(object, &command, &error)) {
        printf("\n    no command: %s\n", text);
        abort();
    }
    command_digest(command, &digest);
    json_object_put(object);
    json_parser_free(parser);
    command_free(command);
    return digest;
}

static bool same(const char *a, const char *b)
{
    struct digest first = of(a), second = of(b);
    return digest_equal(&first, &second);
}

#define PROMPT(fields)  "{\"type\":\"prompt\",\"sessionId\":\"s\"," fields "}"
#define ANSWER(fields)  "{\"type\":\"permission_response\",\"requestId\":\"r\"" fields "}"
#define CREATE(fields)  "{\"type\":\"create_session\",\"agent\":\"a\",\"workspace\":\"/w\"" fields "}"
#define OPTION(fields)  "{\"type\":\"set_config_option\",\"sessionId\":\"s\",\"configId\":\"c\"," fields "}"
#define CANCEL(fields)  "{\"type\":\"cancel\",\"sessionId\":\"s\"" fields "}"

static void the_same_is_the_same(void)
{
    static const char *const pairs[][2] = {
        {PROMPT("\"text\":\"t\""), PROMPT("\"text\":\"t\"")},
        {PROMPT("\"text\":\"t\",\"id\":\"1\""), PROMPT("\"id\":\"2\",\"text\":\"t\"")},
        {PROMPT("\"text\":\"t\",\"later\":1"), PROMPT("\"text\":\"t\"")},
        {PROMPT("\"text\":\"t\""), "{ \"text\" : \"\\u0074\", \"sessionId\":\"s\", \"type\":\"prompt\"}"},
        {CREATE(",\"title\":\"\""), CREATE("")},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        CU_ASSERT_TRUE(same(pairs[i][0], pairs[i][1]));
    }
}

static void another_one_differs(void)
{
    static const char *const pairs[][2] = {
        {PROMPT("\"text\":\"t\""), PROMPT("\"text\":\"T\"")},
        {PROMPT("\"text\":\"t\""), "{\"type\":\"prompt\",\"sessionId\":\"s2\",\"text\":\"t\"}"},
        {PROMPT("\"text\":\"t\""), PROMPT("\"text\":\"t\",\"content\":[{\"type\":\"resource_link\",\"uri\":\"x\",\"name\":\"x\"}]")},
        {CREATE(""), CREATE(",\"title\":\"t\"")},
        {CANCEL(""), CANCEL(",\"all\":true")},
        {CANCEL(",\"all\":false"), CANCEL(",\"all\":true")},
        {CANCEL(",\"turnId\":\"a\""), CANCEL(",\"turnId\":\"b\"")},
        {CANCEL(""), "{\"type\":\"close_session\",\"sessionId\":\"s\"}"},
        {ANSWER(",\"allowed\":true"), ANSWER(",\"allow\":true")},
        {ANSWER(",\"message\":\"x\""), ANSWER(",\"optionId\":\"x\"")},
        {ANSWER(",\"remember\":{\"scope\":\"a\",\"match\":\"m\"}"),
         ANSWER(",\"remember\":{\"scope\":\"a\",\"match\":\"m\",\"expiresAt\":5}")},
        {ANSWER(",\"updatedInput\":{\"a\":1}"), ANSWER(",\"updatedInput\":{\"a\":2}")},
        {OPTION("\"value\":1"), OPTION("\"value\":\"1\"")},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (same(pairs[i][0], pairs[i][1])) {
            printf("\n    the same digest: %s and %s\n", pairs[i][0], pairs[i][1]);
            CU_FAIL("different commands have one digest");
        }
    }
}

/* What a person would lose by doing it twice must be remembered: whatever is acked. */
static void every_acked_command_is_remembered(void)
{
    for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
        const struct command_shape *shape = command_shape(type);
        bool acked = shape->name && !strcmp(shape->answer, "ack") && type != COMMAND_UNWATCH_SESSIONS &&
                     type != COMMAND_SEEN;
        if (command_is_remembered(type) != acked) {
            printf("\n    %s\n", command_name(type));
        }
        CU_ASSERT_EQUAL(command_is_remembered(type), acked);
    }
}

static void codes_come_back(void)
{
    enum answer_code found = ANSWER_CODE_COUNT;
    for (enum answer_code code = 0; code < ANSWER_CODE_COUNT; code++) {
        CU_ASSERT_TRUE(answer_code_parse(answer_code_name(code), &found));
        CU_ASSERT_EQUAL(found, code);
    }
    CU_ASSERT_FALSE(answer_code_parse("of_tomorrow", &found));
}

TEST_MAIN("command_digest", TEST(the_same_is_the_same), TEST(another_one_differs),
          TEST(every_acked_command_is_remembered), TEST(codes_come_back))
