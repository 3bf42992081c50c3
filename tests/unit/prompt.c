/* Data in a prompt's blocks goes out of them, and comes back as it was. */
#include "signalbox/core/prompt.h"

#include <stdio.h>

#include "signalbox/base/json.h"
#include "signalbox/base/check.h"
#include "support/oom.h"
#include "support/test.h"

static char data[20000]; /* base64 */
static char long_text[9000];

static struct command *take(const char *content, struct command_error *error, enum err *err)
{
    struct command *command = NULL;
    struct json_object *body = json_object_new_object();
    json_object_object_add(body, "content", json_tokener_parse(content));
    *err = command_parse_body(COMMAND_PROMPT, body, &command, error);
    json_object_put(body);
    return *err == ERR_OK ? command : NULL;
}

static const char *filled(const char *format)
{
    static char text[80000];
    const char *at = strstr(format, "DATA");
    const char *insert = at ? data : long_text;
    at = at ? at : strstr(format, "TEXT");
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - format), format, insert, at + 4);
    return text;
}

static void out_and_back(void)
{
    static const char *const blocks[] = {
        "[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"DATA\",\"uri\":\"u\"}]",
        "[{\"type\":\"audio\",\"mimeType\":\"audio/wav\",\"data\":\"DATA\"}]",
        "[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"mimeType\":\"text/plain\",\"blob\":\"DATA\"}}]",
        "[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"mimeType\":\"application/pdf\",\"blob\":\"DATA\"},\"annotations\":{\"priority\":1}}]",
        "[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"mimeType\":\"application/x-thing\",\"text\":\"TEXT\"}}]",
    };
    for (size_t i = 0; i < array_size(blocks); i++) {
        struct command_error error;
        enum err err;
        const char *text = filled(blocks[i]);
        struct command *command = take(text, &error, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(command);
        CU_ASSERT_TRUE(strlen(command->content) < 300);
        CU_ASSERT_TRUE_FATAL(command->blobs && !command->blobs->next);
        CU_ASSERT_EQUAL(command->use_count, 0); /* not the client's own words */
        struct json_object *content = json_tokener_parse(command->content);
        struct digest name;
        struct json_object *block = json_object_array_get_idx(content, 0);
        CU_ASSERT_TRUE(prompt_block_blob(block, &name) && digest_equal(&name, &command->blobs->name));
        struct buffer out = {0};
        buffer_byte(&out, '[');
        prompt_block_fill(&out, block, command->blobs->type, command->blobs->data, command->blobs->length);
        buffer_text(&out, "]");
        buffer_byte(&out, '\0');
        struct json_object *wanted = json_tokener_parse(text), *got = json_tokener_parse(out.data);
        CU_ASSERT_TRUE(json_object_equal(wanted, got));
        json_object_put(wanted);
        json_object_put(got);
        json_object_put(content);
        buffer_free(&out);
        command_free(command);
    }
}

static void what_is_small_stays(void)
{
    struct command_error error;
    enum err err;
    struct command *command =
        take("[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"aGVsbG8=\"},{\"type\":\"text\",\"text\":\"x\"}]", &error, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(command);
    CU_ASSERT_PTR_NULL(command->blobs);
    CU_ASSERT_PTR_NOT_NULL(strstr(command->content, "\"data\":\"aGVsbG8=\""));
    command_free(command);
}

/* Many that are small are a lot together: from then on they go out. */
static void all_that_stays_is_bounded(void)
{
    struct buffer content = {0};
    buffer_byte(&content, '[');
    for (int i = 0; i < 40; i++) {
        buffer_format(&content, "%s{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"%.*s\"}", i ? "," : "", 1000, data);
    }
    buffer_text(&content, "]");
    buffer_byte(&content, '\0');
    struct command_error error;
    enum err err;
    struct command *command = take(content.data, &error, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(command);
    CU_ASSERT_TRUE(strlen(command->content) <= PROMPT_OTHER_MAX);
    CU_ASSERT_PTR_NOT_NULL(command->blobs);
    command_free(command);
    buffer_free(&content);
}

static void refusals(void)
{
    static const struct {
        const char *content, *field;
        enum answer_code code;
    } cases[] = {
        {"[{\"type\":\"image\",\"blob\":\"nonsense\"}]", "content[0].blob", ANSWER_NOT_FOUND},
        {"[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image\",\"blob\":5}]", "content[1].blob", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"audio\",\"blob\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data\":\"x\"}]", "content[0].blob", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"blob\":\"AAAAAAAAAAAAAAAAAAAAAA\"}]", "content[0].resource", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"blob\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"resource\":{\"uri\":\"u\",\"text\":\"t\"}}]",
         "content[0].blob", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"!DATA\"}]", "content[0].data", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"blob\":\"!DATA\"}}]", "content[0].resource.blob",
         ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"image\",\"mimeType\":\"image/png\"}]", "content[0].data", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"\"}]", "content[0].data", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":7}]", "content[0].data", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"%%%\"}]", "content[0].data", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"audio\",\"data\":\"AA==\"}]", "content[0].mimeType", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"audio\",\"data\":\"DATA\",\"mimeType\":7}]", "content[0].mimeType", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"audio\",\"blob\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"mimeType\":7}]", "content[0].mimeType",
         ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\"}]", "content[0].resource", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"resource\":{\"text\":\"t\"}}]", "content[0].resource", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\"}}]", "content[0].resource", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"text\":\"t\",\"blob\":\"AA==\"}}]", "content[0].resource",
         ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"blob\":\"?\"}}]", "content[0].resource.blob",
         ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource_link\",\"uri\":\"u\"}]", "content[0]", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"resource_link\",\"uri\":\"\",\"name\":\"n\"}]", "content[0]", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"\"}]", "content", ANSWER_BAD_MESSAGE},
        {"[{\"type\":\"other\",\"x\":\"DATA\"}]", "content[0]", ANSWER_TOO_LARGE},
        {"[{\"type\":\"text\",\"text\":\"x\",\"_meta\":\"DATA\"}]", "content[0]", ANSWER_TOO_LARGE},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct command_error error;
        enum err err;
        const char *text = strstr(cases[i].content, "DATA") ? filled(cases[i].content) : cases[i].content;
        CU_ASSERT_PTR_NULL(take(text, &error, &err));
        CU_ASSERT_EQUAL(err, ERR_SYNTAX);
        TEST_TEXT(error.field, cases[i].field);
        CU_ASSERT_EQUAL(error.code, cases[i].code);
    }
}

static struct json_object *body;

static bool parse_once(void)
{
    struct command *command = NULL;
    struct command_error error;
    enum err err = command_parse_body(COMMAND_PROMPT, body, &command, &error);
    if (err == ERR_OK) {
        command_free(command);
    }
    return err == ERR_OK || err == ERR_NOMEM;
}

static void each_allocation_may_fail(void)
{
    static char text[60000];
    snprintf(text, sizeof(text), "{\"content\":[{\"type\":\"image\",\"blob\":\"AAAAAAAAAAAAAAAAAAAAAA\"},"
                                 "{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"%s\"},{\"type\":\"audio\",\"mimeType\":\"a/b\",\"data\":\"AA==\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"text\":\"%s\"}}]}",
             data, long_text);
    body = json_tokener_parse(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    bool all_fine;
    CU_ASSERT_TRUE(oom_each(parse_once, &all_fine) > 5);
    CU_ASSERT_TRUE(all_fine);
    json_object_put(body);
}

static void begin_with_data(void)
{
    memset(data, 'A', sizeof(data) - 4); /* a whole number of groups */
    data[sizeof(data) - 4] = '\0';
    memset(long_text, 'x', sizeof(long_text) - 1);
    CU_PASS("made");
}

TEST_MAIN("prompt", TEST(begin_with_data), TEST(out_and_back), TEST(what_is_small_stays), TEST(all_that_stays_is_bounded),
          TEST(refusals), TEST(each_allocation_may_fail))
