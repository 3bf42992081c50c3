#include "signalbox/base/json.h"

#include "support/test.h"

enum { DEPTH = 16 };

/* Parses a copy without a NUL behind it, so that the sanitizer sees one byte too many being read.
 */
static enum err parse(const char *text, size_t length, struct json_object **out, char message[96])
{
    struct json_parser *parser = NULL;
    char *copy = malloc(length > 0 ? length : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, text, length);
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, DEPTH), ERR_OK);
    enum err err = json_parse(parser, copy, length, out);
    snprintf(message, 96, "%s", json_parser_message(parser));
    json_parser_free(parser);
    free(copy);
    return err;
}

static void refuses(enum err expected, const char *text, size_t length,
                    const char *expected_message)
{
    struct json_object *object = NULL;
    char message[96];
    enum err err = parse(text, length, &object, message);
    if (err != expected) {
        printf("\n    for %s\n", text);
    }
    CU_ASSERT_EQUAL(err, expected);
    CU_ASSERT_PTR_NULL(object);
    if (expected_message) {
        TEST_TEXT(message, expected_message);
    }
    json_object_put(object);
}

static void accepts(const char *text, const char *expected)
{
    struct json_object *object = NULL;
    char message[96];
    enum err err = parse(text, strlen(text), &object, message);
    CU_ASSERT_EQUAL(err, ERR_OK);
    TEST_TEXT(message, "");
    if (!err) {
        struct buffer out = {0};
        json_put_object(&out, object);
        char *again = buffer_take(&out);
        TEST_TEXT(again, expected ? expected : text);
        free(again);
        json_object_put(object);
    }
}

static void what_the_rfc_allows_is_parsed(void)
{
    static const char *const texts[] = {
        "0",
        "-0.5",
        "7",
        "-12",
        "1.5",
        "0.25",
        "10.0",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[1,2,[3,{\"a\":null}],\"x\"]",
        "{\"a\":{\"b\":[true,false]},\"\":0}",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\"",
        "1e5",
        "1E+2",
        "2e-3",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    for (size_t index = 0; index < sizeof(texts) / sizeof(texts[0]); index++) {
        accepts(texts[index], NULL);
    }
    accepts(" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : \"\\u00e9\\ud83d\\ude00\" }\n\n",
            "{\"a\":[1,2],\"b\":\"\xc3\xa9\xf0\x9f\x98\x80\"}");
    accepts("{\"a\":1,\"a\":2}", "{\"a\":2}");
    accepts("123456789012345678901234567890", "18446744073709551615");
    accepts("\"\\ud800\"", "\"\xef\xbf\xbd\""); /* half a pair means nothing */
    accepts("\"\\/\"", "\"/\"");
}

static void what_it_forbids_is_refused(void)
{
    static const char *const texts[] = {
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "True",
        "NULL",
        "nul",
        "truee",
        "'a'",
        "{'a':1}",
        "{a:1}",
        "01",
        "-01",
        "00",
        "+1",
        "-",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x10",
        "1 2",
        "1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "[1",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "[1}",
        "{\"a\":1]",
        "{}{}",
        "[]x",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "\"\t\"",
        "/* c */1",
        "1 // c",
        "# c",
        "\xef\xbb\xbf{}",
        "\xc3\xa9",
        "[1]]",
        "\"a\" \"b\"",
        ":",
        ",",
        "\f1",
        "\v1",
    };
    for (size_t index = 0; index < sizeof(texts) / sizeof(texts[0]); index++) {
        refuses(ERR_SYNTAX, texts[index], strlen(texts[index]), NULL);
    }
    refuses(ERR_SYNTAX, "{}\0", 3, NULL);
    refuses(ERR_SYNTAX, "\"a\0b\"", 5, NULL);
    refuses(ERR_SYNTAX, "\0", 1, NULL);
}

static void messages_say_what_and_where(void)
{
    refuses(ERR_SYNTAX, "", 0, "the text is empty at byte 0");
    refuses(ERR_SYNTAX, "  \n", 3, "the text is empty at byte 0");
    refuses(ERR_SYNTAX, "{\"a\":1,}", 8, "unexpected character at byte 7");
    refuses(ERR_SYNTAX, "{\"a\":[1,2", 9, "the text ends too early at byte 9");
    refuses(ERR_SYNTAX, "{} {}", 5, "more text after the value at byte 3");
}

static void nesting_is_bounded(void)
{
    char text[2 * DEPTH + 3];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    text[2 * DEPTH] = '\0';
    accepts(text, NULL);
    memset(text, '[', DEPTH + 1);
    memset(text + DEPTH + 1, ']', DEPTH + 1);
    refuses(ERR_DEPTH, text, 2 * DEPTH + 2, "nested too deeply at byte 16");
    refuses(ERR_DEPTH, "[[[[[[[[[[[[[[[[{\"a\":1}", 23, NULL);
    accepts("[[[[[[[[[[[[[[[{\"a\":1}]]]]]]]]]]]]]]]", NULL);
}

static void one_parser_serves_many_texts(void)
{
    struct json_parser *parser = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, DEPTH), ERR_OK);
    for (int round = 0; round < 100; round++) {
        struct json_object *object = NULL;
        CU_ASSERT_EQUAL(json_parse(parser, "[1,{\"a\":", 8, &object), ERR_SYNTAX);
        CU_ASSERT_EQUAL(json_parse(parser, "42", 2, &object), ERR_OK);
        CU_ASSERT_EQUAL(json_object_get_int64(object), 42);
        json_object_put(object);
        object = NULL;
        CU_ASSERT_EQUAL(json_parse(parser, "null", 4, &object), ERR_OK);
        CU_ASSERT_PTR_NULL(object);
        TEST_TEXT(json_parser_message(parser), "");
    }
    json_parser_free(parser);
    json_parser_free(NULL);
}

static void readers_tell_missing_from_there(void)
{
    static const char text[] =
        "{\"s\":\"a\\u0000b\",\"n\":null,\"t\":true,\"i\":-5,\"w\":3.0,\"h\":3.5,\"e\":1e300,"
        "\"u\":18446744073709551615,\"m\":9223372036854775807,\"o\":{\"k\":1},\"q\":\"5\"}";
    struct json_object *object = NULL;
    char message[96];
    size_t length = 0;
    int64_t number = 77;
    CU_ASSERT_EQUAL_FATAL(parse(text, sizeof(text) - 1, &object, message), ERR_OK);
    CU_ASSERT_PTR_NOT_NULL(json_get_text(object, "s", &length));
    CU_ASSERT_EQUAL(length, 3);
    TEST_TEXT(json_get_string(object, "q"), "5");
    CU_ASSERT_PTR_NULL(json_get_string(object, "i"));
    CU_ASSERT_PTR_NULL(json_get_string(object, "missing"));
    CU_ASSERT_PTR_NULL(json_get(object, "n"));
    CU_ASSERT_PTR_NULL(json_get(NULL, "n"));
    CU_ASSERT_PTR_NULL(json_get(json_get(object, "s"), "n"));
    CU_ASSERT_TRUE(json_get_bool(object, "t", false));
    CU_ASSERT_TRUE(json_get_bool(object, "i", true));
    CU_ASSERT_FALSE(json_get_i64(object, "q", &number));
    CU_ASSERT_FALSE(json_get_i64(object, "h", &number));
    CU_ASSERT_FALSE(json_get_i64(object, "e", &number));
    CU_ASSERT_FALSE(json_get_i64(object, "u", &number));
    CU_ASSERT_FALSE(json_get_i64(object, "missing", &number));
    CU_ASSERT_EQUAL(number, 77);
    CU_ASSERT_TRUE(json_get_i64(object, "i", &number));
    CU_ASSERT_EQUAL(number, -5);
    CU_ASSERT_TRUE(json_get_i64(object, "w", &number));
    CU_ASSERT_EQUAL(number, 3);
    CU_ASSERT_TRUE(json_get_i64(object, "m", &number));
    CU_ASSERT_EQUAL(number, INT64_MAX);
    CU_ASSERT_TRUE(json_get_i64(json_get(object, "o"), "k", &number));
    json_object_put(object);
}

static void strings_are_escaped_and_mended(void)
{
    struct buffer out = {0};
    static const char text[] =
        "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\0\xc3\xa9\xe2\x80\xa8\xff\xf0\x9f\x98z\xed\xa0\x80";
    json_put_string(&out, text, sizeof(text) - 1);
    char *written = buffer_take(&out);
    TEST_TEXT(written, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\xc3\xa9\xe2\x80\xa8"
                       "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    free(written);
}

/* Strings are looked at in words of eight bytes: each byte at each place of two words, in both directions. */
static void a_byte_is_seen_wherever_it_stands(void)
{
    for (size_t length = 1; length <= 20; length++) {
        for (size_t at = 0; at < length; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[24], quoted[40], message[96];
                struct buffer out = {0};
                memset(text, 'a', length);
                text[at] = (char)byte;
                json_put_string(&out, text, length);
                size_t grown = byte == '"' || byte == '\\' || (byte >= 8 && byte <= 13 && byte != 11) ? 1
                               : byte < 0x20                                                           ? 5
                               : byte > 0x7f                                                           ? 2
                                                                                                       : 0;
                CU_ASSERT_EQUAL(out.length, length + 2 + grown);
                buffer_free(&out);

                quoted[0] = '"';
                memcpy(quoted + 1, text, length);
                quoted[length + 1] = '"';
                struct json_object *object = NULL;
                enum err err = parse(quoted, length + 2, &object, message);
                bool fine = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                if (byte < 0x80) {
                    CU_ASSERT_EQUAL(err == ERR_OK, fine);
                }
                json_object_put(object);
            }
        }
    }
}

static void every_byte_comes_back(void)
{
    char all[256 * 3];
    struct buffer out = {0};
    for (size_t index = 0; index < sizeof(all); index++) {
        all[index] = (char)(index % 128);
    }
    json_put_string(&out, all, sizeof(all));
    struct json_object *object = NULL;
    char message[96];
    CU_ASSERT_EQUAL_FATAL(parse(out.data, out.length, &object, message), ERR_OK);
    CU_ASSERT_EQUAL_FATAL((size_t)json_object_get_string_len(object), sizeof(all));
    CU_ASSERT_EQUAL(memcmp(json_object_get_string(object), all, sizeof(all)), 0);
    json_object_put(object);
    buffer_free(&out);
}

static void objects_are_written_field_by_field(void)
{
    struct buffer out = {0};
    struct json_object *array = json_object_new_array();
    json_object_array_add(array, json_object_new_string("a/b\xff"));
    buffer_byte(&out, '{');
    json_field_string(&out, "s", "x\"y{");
    json_field_string(&out, "none", NULL);
    json_field_text(&out, "t", "a\0b", 3);
    json_field_i64(&out, "i", -7);
    json_field_bool(&out, "b", true);
    json_field_object(&out, "o", array);
    json_field_object(&out, "none", NULL);
    json_field_raw(&out, "r", "{}");
    json_field_raw(&out, "none", NULL);
    json_key(&out, "inner");
    buffer_byte(&out, '{');
    json_field_bool(&out, "f", false);
    buffer_text(&out, "}}");
    char *text = buffer_take(&out);
    TEST_TEXT(
        text,
        "{\"s\":\"x\\\"y{\",\"t\":\"a\\u0000b\",\"i\":-7,\"b\":true,\"o\":[\"a/b\xef\xbf\xbd\"],"
        "\"r\":{},\"inner\":{\"f\":false}}");
    free(text);
    json_object_put(array);
}

static void a_tail_begins_with_a_comma(void)
{
    struct buffer out = {0};
    json_field_string(&out, "type", "status");
    buffer_byte(&out, '}');
    char *text = buffer_take(&out);
    TEST_TEXT(text, ",\"type\":\"status\"}");
    free(text);
}

TEST_MAIN("json", TEST(what_the_rfc_allows_is_parsed), TEST(what_it_forbids_is_refused),
          TEST(messages_say_what_and_where), TEST(nesting_is_bounded),
          TEST(one_parser_serves_many_texts), TEST(readers_tell_missing_from_there),
          TEST(strings_are_escaped_and_mended), TEST(a_byte_is_seen_wherever_it_stands),
          TEST(every_byte_comes_back),
          TEST(objects_are_written_field_by_field), TEST(a_tail_begins_with_a_comma))
