#include "signalbox/core/doctor.h"

#include "signalbox/base/json.h"
#include "support/test.h"

static struct doctor_agent agent_of(const char *name, enum doctor_state state, const char *hello, const char *session)
{
    return (struct doctor_agent){.name = strdup(name),
                                 .state = state,
                                 .hello = hello ? json_tokener_parse(hello) : NULL,
                                 .session = session ? json_tokener_parse(session) : NULL,
                                 .hello_ms = hello ? 1234 : -1,
                                 .session_ms = session ? 5 : -1,
                                 .end_ms = session ? 40 : -1};
}

static const char hello[] = "{\"protocolVersion\":1,\"agentInfo\":{\"name\":\"a\\u001b[2Jgent\",\"version\":\"1.2.3-with-a-long-tail\"},"
                            "\"agentCapabilities\":{\"loadSession\":true,\"promptCapabilities\":{\"image\":true,\"audio\":false},"
                            "\"sessionCapabilities\":{\"resume\":{},\"list\":null},\"mcpCapabilities\":{\"http\":true}},"
                            "\"authMethods\":[{\"id\":\"key\"},{\"id\":\"web\"}]}";
static const char session[] = "{\"sessionId\":\"s\",\"modes\":{\"availableModes\":[{\"id\":\"x\"}]},\"configOptions\":[]}";

static char *text_of(const struct doctor_report *report)
{
    struct buffer out = {0};
    doctor_write_text(&out, report);
    return buffer_take(&out);
}

static void a_report(void)
{
    struct doctor_agent agents[] = {agent_of("works", DOCTOR_OK, hello, session), agent_of("absent", DOCTOR_ABSENT, NULL, NULL),
                                    agent_of("broken", DOCTOR_FAILED, NULL, NULL)};
    agents[1].install = strdup("make it");
    agents[2].reason = strdup("first\nsecond\x1b[2J");
    agents[2].errors = strdup("its last line");
    struct doctor_check check = {"data folder", DOCTOR_OK, strdup("/data")};
    struct doctor_report report = {&check, 1, agents, 3};
    char *text = text_of(&report);
    TEST_TEXT(text, "ok      data folder: /data\n"
                    "\n"
                    "agent   state          version           answers  session  can\n"
                    "works   ok             1.2.3-with-a-lo\xE2\x80\xA6  1234 ms  5 ms     load resume images modes mcp-http\n"
                    "absent  not installed  -                 -        -        -\n"
                    "broken  failed         -                 -        -        -\n"
                    "\n"
                    "agent works: ok\n"
                    "  speaks: version 1 of the Agent Client Protocol, as a [2Jgent 1.2.3-with-a-long-tail\n"
                    "  can: load resume images modes mcp-http\n"
                    "  logins that it offers: key, web\n"
                    "  ended: by itself, 40 ms after it was told to\n"
                    "\n"
                    "agent absent: not installed\n"
                    "  install it with: make it\n"
                    "\n"
                    "agent broken: failed\n"
                    "  reason: first\n"
                    "    second [2J\n"
                    "  its stderr ends with: its last line\n");
    free(text);
    CU_ASSERT_FALSE(doctor_is_well(&report));
    report.agent_count = 2;
    CU_ASSERT(doctor_is_well(&report));
    check.state = DOCTOR_FAILED;
    CU_ASSERT_FALSE(doctor_is_well(&report));
    for (size_t i = 0; i < 3; i++) {
        doctor_agent_clear(&agents[i]);
    }
    free(check.text);
}

/* Whatever the names are, the table has at most 100 columns. */
static void a_narrow_table(void)
{
    char name[300], *longest;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i + 1 < sizeof(name) - 1; i += 2) {
        memcpy(name + i, "\xc3\xa9", 2);
    }
    struct doctor_agent agents[] = {agent_of(name, DOCTOR_LOGIN, hello, session), agent_of("", DOCTOR_OK, "{}", "{}")};
    agents[0].hello_ms = INT64_MAX;
    json_object_object_add(json_get(agents[0].hello, "agentCapabilities"), "auth", NULL);
    struct doctor_report report = {NULL, 0, agents, 2};
    char *text = text_of(&report);
    char *line = text;
    for (int i = 0; i < 3; i++) {
        longest = strchr(line, '\n');
        size_t columns = 0;
        for (; line < longest; line++) {
            columns += ((unsigned char)*line & 0xC0) != 0x80;
        }
        CU_ASSERT(columns <= 100);
        line = longest + 1;
    }
    free(text);
    doctor_agent_clear(&agents[0]);
    doctor_agent_clear(&agents[1]);
}

static void as_json(void)
{
    struct doctor_agent agents[] = {agent_of("works", DOCTOR_OK, hello, session), agent_of("login", DOCTOR_LOGIN, hello, NULL)};
    struct doctor_check check = {"store", DOCTOR_NOTE, strdup("\"quoted\"")};
    struct doctor_report report = {&check, 1, agents, 2};
    struct buffer out = {0};
    doctor_write_json(&out, &report);
    struct json_parser *parser;
    struct json_object *all = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 32), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(json_parse(parser, out.data, out.length, &all), ERR_OK);
    CU_ASSERT_FALSE(json_get_bool(all, "ok", true));
    struct json_object *first = json_object_array_get_idx(json_get(all, "agents"), 0);
    struct json_object *second = json_object_array_get_idx(json_get(all, "agents"), 1);
    TEST_TEXT(json_get_string(first, "state"), "ok");
    TEST_TEXT(json_get_string(second, "state"), "login_needed");
    TEST_TEXT(json_get_string(json_get(first, "session"), "sessionId"), "s");
    CU_ASSERT_PTR_NULL(json_get(second, "sessionMs"));
    json_object_put(all);
    json_parser_free(parser);
    buffer_free(&out);
    free(check.text);
    doctor_agent_clear(&agents[0]);
    doctor_agent_clear(&agents[1]);
}

TEST_MAIN("doctor", TEST(a_report), TEST(a_narrow_table), TEST(as_json))
