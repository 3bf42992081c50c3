#define _GNU_SOURCE
#include "signalbox/core/redact.h"

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "support/oom.h"
#include "support/test.h"

static char *const environment[] = {"HOME=/home/ada", "MY_SERVICE_TOKEN=correct-horse-\"battery", "OPENAI_KEY=abcdef123",
                                    "PIN_SECRET=12345", "TOKENIZERS_PARALLELISM=enabled", "PWD=/srv/workspace",
                                    "DB_PASSWORD=abcdef123-longer", NULL};
static struct redact_secrets secrets;

static void begin(void)
{
    CU_ASSERT_EQUAL_FATAL(redact_secrets_of(&secrets, environment), ERR_OK);
}

static void end(void)
{
    redact_secrets_free(&secrets);
}

static void check_text(const char *text, const char *expected)
{
    struct buffer out = {0};
    bool found = redact_text(&out, &secrets, text, strlen(text));
    char *got = buffer_take(&out);
    TEST_TEXT(got, expected);
    CU_ASSERT_EQUAL(found, strcmp(text, expected) != 0);
    free(got);
}

static void check_json(const char *text, const char *expected)
{
    struct buffer out = {0};
    buffer_text(&out, "before:");
    CU_ASSERT_EQUAL(redact_json(&out, &secrets, text, strlen(text)), ERR_OK);
    char *got = buffer_take(&out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    TEST_TEXT(got + strlen("before:"), expected);
    free(got);
}

static void values_of_the_environment(void)
{
    begin();
    CU_ASSERT_EQUAL(secrets.count, 3);
    check_text("it is correct-horse-\"battery, or abcdef123-longer, or abcdef123!",
               "it is [redacted], or [redacted], or [redacted]!");
    check_text("/home/ada enabled 12345 /srv/workspace", "/home/ada enabled 12345 /srv/workspace");
    check_json("{\"a\":\"xcorrect-horse-\\\"batteryx\"}", "{\"a\":\"x[redacted]x\"}");
    check_json("{\"a\":\"\\u0061bcdef123\"}", "{\"a\":\"[redacted]\"}");
    check_json("{\"abcdef123\":1}", "{\"[redacted]\":1}");
    end();
}

static void names(void)
{
    static const char *const secret[] = {"token",  "apiKey",       "api_key",      "API-KEY",      "accessToken",
                                         "secret", "clientSecret", "Authorization", "x-api-key",   "db.password",
                                         "cookie", "Set-Cookie",   "private_key",  "GITHUB_TOKEN", "credentials"};
    static const char *const plain[] = {"tokens", "inputTokens", "sessionId", "key", "",
                                        "keyboard", "author", "secretary", "Use a password", "passwordless"};
    for (size_t i = 0; i < array_size(secret); i++) {
        CU_ASSERT(redact_is_secret_name(secret[i], strlen(secret[i])));
    }
    for (size_t i = 0; i < array_size(plain); i++) {
        CU_ASSERT_FALSE(redact_is_secret_name(plain[i], strlen(plain[i])));
    }
}

static void what_has_a_secret_name(void)
{
    begin();
    check_json("{ \"apiKey\" : \"x\", \"n\": [1, 2.50, true] }", "{\"apiKey\":\"[redacted]\",\"n\":[1,2.50,true]}");
    check_json("{\"token\":5,\"inputTokens\":\"7\",\"password\":\"\"}", "{\"token\":5,\"inputTokens\":\"7\",\"password\":\"\"}");
    check_json("{\"credentials\":{\"user\":\"ada\",\"more\":[\"x\",{\"y\":\"z\"}]},\"user\":\"ada\"}",
               "{\"credentials\":{\"user\":\"[redacted]\",\"more\":[\"[redacted]\",{\"y\":\"[redacted]\"}]},\"user\":\"ada\"}");
    check_json("[{\"name\":\"API_KEY\",\"value\":\"x\"},{\"value\":\"longer than that\",\"name\":\"Cookie\",\"z\":1},"
               "{\"name\":\"PATH\",\"value\":\"/bin\"}]",
               "[{\"name\":\"API_KEY\",\"value\":\"[redacted]\"},{\"value\":\"[redacted]\",\"name\":\"Cookie\",\"z\":1},"
               "{\"name\":\"PATH\",\"value\":\"/bin\"}]");
    check_json("{\"password\":\"x\",\"then\":\"x\"}", "{\"password\":\"[redacted]\",\"then\":\"x\"}");
    end();
}

static void what_stands_in_text(void)
{
    begin();
    check_text("export API_KEY=hunter22 and go", "export API_KEY=[redacted] and go");
    check_text("curl -H 'Authorization: Basic YWRhOng=' x", "curl -H 'Authorization: [redacted]' x");
    check_text("Authorization: Bearer abcdefgh12\nnext", "Authorization: [redacted]\nnext");
    check_text("say Bearer abcdefgh12.x, please", "say Bearer [redacted], please");
    check_text("{\\\"apiKey\\\": \\\"hunter22\\\"}", "{\\\"apiKey\\\": \\\"[redacted]\\\"}");
    check_text("?token=hunter22&page=2", "?token=[redacted]&page=2");
    check_text("gh --token hunter22 --page 2", "gh --token [redacted] --page 2");
    check_text("https://ada:hunter2@example.org/x and https://example.org:80/@x",
               "https://ada:[redacted]@example.org/x and https://example.org:80/@x");
    /* Code is left alone, as far as it can be told. */
    check_text("token = getToken(); password = $PASS; if (token == other) x", "token = getToken(); password = $PASS; if (token == other) x");
    check_text("a task-force is risk-averse: sk-", "a task-force is risk-averse: sk-");
    end();
}

static void what_looks_like_a_key(void)
{
    begin();
    check_text("sk-ant-api03-abcdefgh", "[redacted]");
    check_text("(ghp_0123456789abcdefABCD)", "([redacted])");
    check_text("github_pat_0123456789abcdefABCD_x glpat-0123456789abcdef", "[redacted] [redacted]");
    check_text("AKIA0123456789ABCDEF, xoxb-123-456-abc", "[redacted], [redacted]");
    check_text("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[redacted]");
    check_text("eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxIn0abc", "eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxIn0abc");
    check_text("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend",
               "-----BEGIN RSA PRIVATE KEY-----[redacted]\nend");
    check_text("-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN PRIVATE KEY-----[redacted]");
    check_text("-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE");
    end();
}

static void what_is_no_json(void)
{
    static const char *const bad[] = {"{", "]", "{]", "\"abc", "\"\\x\"", "\"\\u12\"", "\x01", "[}", "{\"a\":\"b"};
    begin();
    for (size_t i = 0; i < array_size(bad); i++) {
        struct buffer out = {0};
        buffer_text(&out, "kept");
        CU_ASSERT_EQUAL(redact_json(&out, &secrets, bad[i], strlen(bad[i])), ERR_SYNTAX);
        CU_ASSERT_EQUAL(out.length, 4);
        buffer_free(&out);
    }
    char deep[2002];
    memset(deep, '[', 1001);
    memset(deep + 1001, ']', 1001);
    struct buffer out = {0};
    CU_ASSERT_EQUAL(redact_json(&out, &secrets, deep, sizeof(deep)), ERR_SYNTAX);
    CU_ASSERT_EQUAL(redact_json(&out, &secrets, deep + 1, sizeof(deep) - 2), ERR_OK);
    buffer_free(&out);
    check_json("\"\xff\"", "\"\xef\xbf\xbd\"");
    check_json("\"\\ud83d\\ude00 \\ud800\"", "\"\\ud83d\\ude00 \\ud800\"");
    end();
}

/* ---- Random JSON stays JSON, and no secret survives ---- */

static uint32_t state = 1;

static uint32_t random_below(uint32_t bound)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % bound;
}

static const char *const hidden[] = {"correct-horse-\"battery", "abcdef123", "sk-ZZZZZZZZZZZZ", "ghp_ZZZZZZZZZZZZZZZZZZZZ"};
static const char *const words[] = {"a", " ", "\n", "\\", "\"", "{", "\xc3\xa9", "token", ": ", "=", "Bearer ", "\xf0\x9f\x98\x80",
                                    "\xff", "name", "://", "@", "--", "-----BEGIN ", "\x01"};

static void put_random_string(struct buffer *out)
{
    struct buffer text = {0};
    for (uint32_t i = random_below(6); i > 0; i--) {
        if (random_below(4) == 0) {
            buffer_byte(&text, ' ');
            buffer_text(&text, hidden[random_below(array_size(hidden))]);
            buffer_byte(&text, ' ');
        } else {
            buffer_text(&text, words[random_below(array_size(words))]);
        }
    }
    size_t start = out->length;
    json_put_string(out, text.data ? text.data : "", text.length);
    /* Some letters as escapes. */
    for (size_t i = start + 1; i + 1 < out->length; i++) {
        char byte = out->data[i];
        if (byte == '\\') {
            i++;
        } else if (byte == 'Z' && random_below(3) == 0) {
            struct buffer rest = {0};
            buffer_append(&rest, out->data + i + 1, out->length - i - 1);
            out->length = i;
            buffer_format(out, "\\u%04X", byte);
            buffer_append(out, rest.data, rest.length);
            buffer_free(&rest);
            i += 5;
        }
    }
    buffer_free(&text);
}

static void put_random(struct buffer *out, int depth)
{
    uint32_t kind = random_below(depth > 0 ? 6 : 4);
    if (kind < 2) {
        put_random_string(out);
    } else if (kind == 2) {
        buffer_text(out, (const char *const[]){"-1.50e3", "0", "12345678901234567890", "null", "true"}[random_below(5)]);
    } else if (kind == 3) {
        buffer_text(out, " [ ] ");
    } else {
        uint32_t count = random_below(5);
        buffer_byte(out, kind == 4 ? '[' : '{');
        for (uint32_t i = 0; i < count; i++) {
            buffer_text(out, i ? "\t," : "");
            if (kind == 5) {
                if (random_below(2)) {
                    buffer_text(out, (const char *const[]){"\"name\"", "\"value\"", "\"apiKey\"", "\"Cookie\""}[random_below(4)]);
                } else {
                    put_random_string(out);
                }
                buffer_text(out, " :");
            }
            put_random(out, depth - 1);
        }
        buffer_byte(out, kind == 4 ? ']' : '}');
    }
}

static bool holds(struct json_object *value)
{
    if (json_object_is_type(value, json_type_string)) {
        for (size_t i = 0; i < array_size(hidden); i++) {
            if (memmem(json_object_get_string(value), (size_t)json_object_get_string_len(value), hidden[i], strlen(hidden[i]))) {
                return true;
            }
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (holds(json_object_array_get_idx(value, i))) {
                return true;
            }
        }
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            for (size_t i = 0; i < array_size(hidden); i++) {
                if (strstr(key, hidden[i])) {
                    return true;
                }
            }
            if (holds(member)) {
                return true;
            }
        }
    }
    return false;
}

static void random_json_stays_json(void)
{
    begin();
    struct json_parser *parser;
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 64), ERR_OK);
    size_t had = 0;
    for (int round = 0; round < 20000; round++) {
        struct buffer text = {0}, out = {0};
        struct json_object *before = NULL, *after = NULL;
        put_random(&text, 5);
        CU_ASSERT_EQUAL_FATAL(json_parse(parser, text.data, text.length, &before), ERR_OK);
        CU_ASSERT_EQUAL_FATAL(redact_json(&out, &secrets, text.data, text.length), ERR_OK);
        enum err err = json_parse(parser, out.data, out.length, &after);
        if (err || holds(after)) {
            printf("\n    %.*s\n -> %.*s\n", (int)text.length, text.data, (int)out.length, out.data);
            CU_FAIL_FATAL("no JSON, or a secret survived");
        }
        had += holds(before);
        json_object_put(before);
        json_object_put(after);
        buffer_free(&text);
        buffer_free(&out);
    }
    CU_ASSERT(had > 5000);
    json_parser_free(parser);
    end();
}

static bool run_without_memory(void)
{
    struct redact_secrets found = {0};
    enum err err = redact_secrets_of(&found, environment);
    if (!err) {
        static const char text[] = "{\"value\":\"a\\n sk-123456789012\",\"name\":\"API_KEY\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                                   "[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}";
        struct buffer out = {0};
        err = redact_json(&out, &found, text, strlen(text));
        buffer_free(&out);
        redact_secrets_free(&found);
    }
    return err == ERR_OK || err == ERR_NOMEM;
}

static void without_memory(void)
{
    bool fine;
    CU_ASSERT(oom_each(run_without_memory, &fine) > 5);
    CU_ASSERT(fine);
}

TEST_MAIN("redact", TEST(values_of_the_environment), TEST(names), TEST(what_has_a_secret_name), TEST(what_stands_in_text),
          TEST(what_looks_like_a_key), TEST(what_is_no_json), TEST(random_json_stays_json), TEST(without_memory))
