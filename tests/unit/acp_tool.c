/* Tool calls of an ACP peer. */
#include "support/acp_host.h"
#include "support/test.h"

/* A tool_call or tool_call_update of the call "c" with these further members. */
static void call(struct host *host, const char *members)
{
    char update[2048];
    snprintf(update, sizeof update, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\"%s}",
             members);
    host_update(host, update);
}

static void change(struct host *host, const char *members)
{
    char update[4096];
    snprintf(update, sizeof update,
             "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\"%s}", members);
    host_update(host, update);
}

static void show_text(struct host *host, const char *text)
{
    char members[3072];
    snprintf(
        members, sizeof members,
        ",\"content\":[{\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"%s\"}}]",
        text);
    change(host, members);
}

static void begin(struct host *host)
{
    host_open_ready(host, NULL, NULL);
    host_prompt(host);
}

static void a_start_has_what_is_known(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"title\":\"Run ls\",\"kind\":\"execute\",\"status\":\"pending\",\"rawInput\":"
                "{\"command\":\"ls\",\"description\":\"List files\",\"_meta\":1},"
                "\"locations\":[{\"path\":\"/w\",\"_meta\":2}],\"name\":\"bash\",\"content\":[]");
    TEST_TEXT(host_kinds(&host), "tool_start");
    struct json_object *start = host.events[0].json;
    TEST_TEXT(at(start, "toolUseId"), "t1-1");
    TEST_TEXT(at(start, "toolName"), "bash");
    TEST_TEXT(at(start, "toolInput"),
              "{\"command\":\"ls\",\"description\":\"List files\",\"_meta\":1}");
    TEST_TEXT(at(start, "toolIntent"), "List files");
    TEST_TEXT(at(start, "toolDisplayName"), "Run ls");
    TEST_TEXT(at(start, "kind"), "execute");
    TEST_TEXT(at(start, "locations"), "[{\"path\":\"/w\"}]");
    TEST_TEXT(at(start, "turnId"), "turn-0");
    TEST_TEXT(at(start, "content"), "");
    host_close(&host);
}

static void places_that_are_none_are_left_out(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"locations\":[null,{\"path\":\"/a\",\"line\":\"3\"},{\"path\":5},\"/b\",{\"path\":\"/c\",\"line\":null}]");
    TEST_TEXT(at(host.events[0].json, "locations"), "[{\"path\":\"/a\"},{\"path\":\"/c\"}]");
    change(&host, ",\"locations\":[{\"path\":\"/a\",\"line\":-1},{\"path\":\"/d\",\"line\":7}]");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_UPDATE), "locations"),
              "[{\"path\":\"/a\"},{\"path\":\"/d\",\"line\":7}]");
    host_close(&host);
}

static void named(const char *members, const char *name)
{
    struct host host;
    begin(&host);
    call(&host, members);
    TEST_TEXT(at(host.events[0].json, "toolName"), name);
    host_close(&host);
}

static void names_come_from_the_best_place(void)
{
    named(",\"name\":\"n\",\"title\":\"t\",\"_meta\":{\"claudeCode\":{\"toolName\":\"Bash\"}}",
          "n");
    named(",\"title\":\"t\",\"_meta\":{\"claudeCode\":{\"toolName\":\"Bash\"}}", "Bash");
    named(",\"title\":\"t\",\"_meta\":{\"toolName\":\"run_shell_command\"}", "run_shell_command");
    named(",\"title\":\"todowrite\",\"kind\":\"other\"", "todowrite");
    named(",\"title\":\"mcp-tool_2: go\",\"kind\":\"other\"", "mcp-tool_2");
    named(",\"title\":\"Bash(ls)\",\"kind\":\"execute\"", "Bash");
    named(",\"title\":\"Read the file\",\"kind\":\"read\"", "read");
    named(",\"title\":\"edit-me.txt\",\"kind\":\"edit\"", "edit");
    named(",\"title\":\"3000\",\"kind\":\"execute\"", "execute");
    named("", "other");
}

static void raw_output_is_shown_where_it_is_more_than_the_text(void)
{
    static const char *const cases[][2] = {
        {"\"done\"", ""},
        {"null", ""},
        {"{}", ""},
        {"{\"output\":\"done\"}", ""},
        {"{\"output\":\"done\",\"metadata\":{\"output\":\"done\",\"_meta\":1}}", ""},
        {"{\"output\":\"done\",\"metadata\":{\"output\":\"done\",\"exit\":0},\"_meta\":{\"a\":1}}",
         "{\"metadata\":{\"exit\":0}}"},
        {"{\"output\":\"another\"}", "{\"output\":\"another\"}"},
        {"[\"done\",{\"_meta\":1,\"x\":2}]", "[\"done\",{\"x\":2}]"},
        {"7", "7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        char members[256];
        begin(&host);
        call(&host, "");
        show_text(&host, "done");
        snprintf(members, sizeof members, ",\"status\":\"completed\",\"rawOutput\":%s",
                 cases[i][0]);
        change(&host, members);
        struct json_object *result = host_last_event(&host, EVENT_TOOL_RESULT);
        TEST_TEXT(at(result, "result"), "done");
        TEST_TEXT(at(result, "rawOutput"), cases[i][1]);
        host_close(&host);
    }
}

static void raw_output_is_shown_while_it_grows(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"rawOutput\":{\"n\":0}");
    TEST_TEXT(host_kinds(&host), "tool_start tool_update");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_UPDATE), "rawOutput"), "{\"n\":0}");
    for (int i = 1; i < 100; i++) {
        char members[64];
        snprintf(members, sizeof members, ",\"rawOutput\":{\"n\":%d}", i);
        change(&host, members);
    }
    TEST_TEXT(host_kinds(&host), "");
    host_advance(&host, 60);
    host_tick(&host);
    TEST_TEXT(host_kinds(&host), "tool_update");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_UPDATE), "rawOutput"), "{\"n\":99}");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_UPDATE), "content"), "");
    change(&host, ",\"rawOutput\":{\"n\":100},\"status\":\"completed\"");
    TEST_TEXT(host_kinds(&host), "tool_result");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_RESULT), "rawOutput"), "{\"n\":100}");
    change(&host, ",\"rawOutput\":{\"late\":1}");
    TEST_TEXT(host_kinds(&host), "tool_update");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_UPDATE), "rawOutput"), "{\"late\":1}");
    host_close(&host);
}

static void a_text_with_annotations_is_content(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    change(&host,
           ",\"content\":[{\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"t\","
           "\"annotations\":{\"audience\":[\"user\"]}}}],\"status\":\"completed\"");
    struct json_object *result = host_last_event(&host, EVENT_TOOL_RESULT);
    TEST_TEXT(at(result, "result"), "t");
    TEST_TEXT(at(result, "content/0/content/annotations/audience/0"), "user");
    host_close(&host);
}

static void what_a_command_says_after_its_turn_is_told(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"content\":[{\"type\":\"terminal\",\"terminalId\":\"c\"}]");
    change(&host, ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"in time\"}}");
    host_answer_prompt(&host, "{\"stopReason\":\"cancelled\"}");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_RESULT), "result"), "in time");
    host_kinds(&host);
    change(&host, ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"late\"}}");
    change(&host,
           ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"later\"}},\"status\":\"completed\"");
    TEST_TEXT(host_kinds(&host), "agent_update tool_update agent_update");
    struct json_object *update = host_last_event(&host, EVENT_AGENT_UPDATE);
    TEST_TEXT(at(update, "update"),
              "{\"sessionUpdate\":\"late_output\",\"toolUseId\":\"t1-1\",\"data\":\"later\"}");
    host_close(&host);
}

static void an_input_is_always_an_object(void)
{
    static const char *const inputs[][2] = {
        {"", "{}"},
        {",\"rawInput\":null", "{}"},
        {",\"rawInput\":\"ls\"", "{\"value\":\"ls\"}"},
        {",\"rawInput\":[1]", "{\"value\":[1]}"},
        {",\"rawInput\":{}", "{}"},
    };
    for (size_t i = 0; i < 5; i++) {
        struct host host;
        begin(&host);
        call(&host, inputs[i][0]);
        TEST_TEXT(at(host.events[0].json, "toolInput"), inputs[i][1]);
        host_close(&host);
    }
}

static void updates_carry_what_changed_and_nothing_else(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"title\":\"a\",\"kind\":\"read\",\"rawInput\":{}");
    change(&host, ",\"title\":\"a\",\"kind\":\"read\",\"status\":\"pending\",\"rawInput\":{}");
    change(&host, ",\"_meta\":{\"claudeCode\":{\"toolResponse\":{}}}");
    change(&host, ",\"title\":null,\"content\":null");
    TEST_TEXT(host_kinds(&host), "tool_start");
    change(&host, ",\"title\":\"b\",\"status\":\"in_progress\",\"kind\":\"read\"");
    TEST_TEXT(json_object_to_json_string_ext(host.events[1].json, JSON_C_TO_STRING_PLAIN),
              "{\"seq\":2,\"ts\":1000000,\"type\":\"tool_update\",\"sessionId\":\"signal\","
              "\"turnId\":\"turn-0\",\"toolUseId\":\"t1-1\",\"status\":\"in_progress\","
              "\"title\":\"b\"}");
    change(&host, ",\"rawInput\":{\"x\":1},\"locations\":[],\"kind\":\"edit\"");
    TEST_TEXT(at(host.events[2].json, "toolInput"), "{\"x\":1}");
    TEST_TEXT(at(host.events[2].json, "locations"), "[]");
    TEST_TEXT(at(host.events[2].json, "kind"), "edit");
    TEST_TEXT(at(host.events[2].json, "title"), "");
    change(&host, ",\"status\":\"completed\",\"title\":\"c\",\"rawOutput\":\"done\"");
    TEST_TEXT(host_kinds(&host), "tool_update tool_update tool_update tool_result");
    TEST_TEXT(at(host.events[3].json, "title"), "c");
    TEST_TEXT(at(host.events[3].json, "status"), "");
    host_close(&host);
}

static void a_first_status_that_is_not_pending_is_told(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"status\":\"in_progress\"");
    TEST_TEXT(host_kinds(&host), "tool_start tool_update");
    TEST_TEXT(at(host.events[1].json, "status"), "in_progress");
    host_close(&host);
}

static void an_update_may_be_the_first_word(void)
{
    struct host host;
    begin(&host);
    change(&host, ",\"title\":\"x\",\"status\":\"completed\",\"rawOutput\":{\"output\":\"o\"}");
    TEST_TEXT(host_kinds(&host), "tool_start tool_result");
    TEST_TEXT(at(host.events[1].json, "result"), "o");
    host_close(&host);
}

static void result(const char *members, const char *text, const char *content, const char *error)
{
    struct host host;
    begin(&host);
    call(&host, "");
    change(&host, members);
    struct json_object *event = host_last_event(&host, EVENT_TOOL_RESULT);
    TEST_TEXT(at(event, "result"), text);
    TEST_TEXT(at(event, "content"), content);
    TEST_TEXT(at(event, "isError"), error);
    host_close(&host);
}

static void results(void)
{
    result(",\"status\":\"completed\"", "", "", "false");
    result(",\"status\":\"failed\"", "", "", "true");
    result(",\"status\":\"completed\",\"content\":[],\"rawOutput\":\"raw\"", "raw", "", "false");
    result(",\"status\":\"completed\",\"rawOutput\":{\"stdout\":\"s\",\"exit\":0}", "s", "",
           "false");
    result(",\"status\":\"failed\",\"rawOutput\":{\"error\":\"no\"}", "no", "", "true");
    result(",\"status\":\"completed\",\"rawOutput\":{\"output\":5}", "", "", "false");
    result(",\"status\":\"completed\",\"content\":[{\"type\":\"content\",\"content\":{\"type\":"
           "\"text\",\"text\":\"a\"}},{\"type\":\"content\",\"content\":{\"type\":\"text\","
           "\"text\":\"b\"}}],\"rawOutput\":\"raw\"",
           "a\nb", "", "false");
    result(",\"status\":\"completed\",\"content\":[{\"type\":\"content\",\"content\":{\"type\":"
           "\"text\",\"text\":\"ok\"}},{\"type\":\"diff\",\"path\":\"/a\",\"oldText\":null,"
           "\"newText\":\"n\",\"_meta\":{\"kind\":\"add\"}}]",
           "ok",
           "[{\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"ok\"}},"
           "{\"type\":\"diff\",\"path\":\"/a\",\"oldText\":null,\"newText\":\"n\"}]",
           "false");
    result(",\"status\":\"completed\",\"content\":[{\"type\":\"terminal\",\"terminalId\":\"x\"}]",
           "", "[{\"type\":\"terminal\",\"terminalId\":\"x\"}]", "false");
    result(",\"status\":\"completed\",\"content\":[7,{},null]", "", "[7,{},null]", "false");
}

static void growing_text_is_output(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    show_text(&host, "one\\n");
    TEST_TEXT(host_kinds(&host), "tool_start tool_output");
    show_text(&host, "one\\ntwo\\n");
    show_text(&host, "one\\ntwo\\n\\ud83d\\ude00");
    show_text(&host, "one\\ntwo\\n\\ud83d\\ude00"); /* nothing new */
    TEST_TEXT(host_kinds(&host), "");
    host_advance(&host, 53);
    host_tick(&host);
    TEST_TEXT(host_kinds(&host), "tool_output");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_OUTPUT), "delta"), "two\n\xF0\x9F\x98\x80");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_OUTPUT), "offset"), "4");
    show_text(&host, "one\\ntwo\\n\\ud83d\\ude00end");
    change(&host, ",\"status\":\"in_progress\""); /* flushes first */
    TEST_TEXT(host_kinds(&host), "tool_output tool_update");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_OUTPUT), "offset"), "10");
    host_answer_prompt(&host, "{}");
    TEST_TEXT(at(host.tools[0].result, "result"), "one\ntwo\n\xF0\x9F\x98\x80"
                                                  "end");
    TEST_TEXT(host.tools[0].output, "one\ntwo\n\xF0\x9F\x98\x80"
                                    "end");
    TEST_TEXT(at(host.tools[0].result, "isError"), "true");
    host_close(&host);
}

static void text_that_did_not_only_grow_is_shown_as_a_whole(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    show_text(&host, "10 %");
    show_text(&host, "20 %");
    show_text(&host, "30 %"); /* of these two only the newer goes out */
    TEST_TEXT(host_kinds(&host), "tool_start tool_output");
    host_advance(&host, 53);
    host_tick(&host);
    TEST_TEXT(host_kinds(&host), "tool_update");
    TEST_TEXT(at(host.events[2].json, "content/0/content/text"), "30 %");
    show_text(&host, "30 % and");
    host_advance(&host, 53);
    host_tick(&host);
    TEST_TEXT(host_kinds(&host), "tool_update");
    host_close(&host);
}

static void what_did_not_go_out_yet_may_change(void)
{
    struct host host;
    begin(&host);
    host_text(&host, "opens the window");
    call(&host, "");
    host_kinds(&host);
    show_text(&host, "abc");
    show_text(&host, "xyz");
    host_advance(&host, 53);
    host_tick(&host);
    TEST_TEXT(host_kinds(&host), "tool_output");
    TEST_TEXT(host.tools[0].output, "xyz");
    host_close(&host);
}

static void a_diff_is_an_update(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"content\":[{\"type\":\"diff\",\"path\":\"/a\",\"newText\":\"n\"}]");
    TEST_TEXT(host_kinds(&host), "tool_start tool_update");
    TEST_TEXT(at(host.events[1].json, "content/0/path"), "/a");
    change(&host, ",\"content\":[{\"type\":\"diff\",\"path\":\"/a\",\"newText\":\"n\"}]");
    TEST_TEXT(host_kinds(&host), "");
    change(&host, ",\"status\":\"completed\"");
    TEST_TEXT(host_kinds(&host), "tool_result");
    TEST_TEXT(at(host.events[2].json, "content/0/newText"), "n");
    host_close(&host);
}

static void output_in_meta_is_output(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"status\":\"in_progress\",\"content\":[{\"type\":\"terminal\","
                "\"terminalId\":\"x\"}]");
    host_advance(&host, 60);
    host_kinds(&host);
    change(&host, ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"a\\n\"}}");
    change(&host, ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"b\\n\"}}");
    TEST_TEXT(host_kinds(&host), "tool_output");
    change(&host, ",\"_meta\":{\"terminal_exit\":{\"exit_code\":0,\"signal\":null}},"
                  "\"status\":\"completed\"");
    TEST_TEXT(host_kinds(&host), "tool_output tool_result");
    TEST_TEXT(host.tools[0].output, "a\nb\n");
    TEST_TEXT(at(host.tools[0].result, "result"), "a\nb\n");
    TEST_TEXT(at(host.tools[0].result, "content/0/type"), "terminal");
    host_close(&host);
}

static void a_command_that_exited_has_its_result(void)
{
    static const char *const exits[][2] = {
        {"{\"exit_code\":0,\"signal\":null}", "false"},
        {"{\"exit_code\":2,\"signal\":null}", "true"},
        {"{\"exit_code\":null,\"signal\":\"SIGTERM\"}", "true"},
    };
    for (size_t i = 0; i < 3; i++) {
        char members[256];
        struct host host;
        begin(&host);
        call(&host, "");
        snprintf(members, sizeof members,
                 ",\"_meta\":{\"terminal_output\":{\"data\":\"o\"},"
                 "\"terminal_exit\":%s}",
                 exits[i][0]);
        change(&host, members);
        host_answer_prompt(&host, "{}");
        TEST_TEXT(at(host.tools[0].result, "result"), "o");
        TEST_TEXT(at(host.tools[0].result, "isError"), exits[i][1]);
        host_close(&host);
    }
}

static void endless_output_is_kept_by_its_end(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    char line[2001];
    char members[3000];
    memset(line, 'x', 2000);
    line[2000] = '\0';
    snprintf(members, sizeof members, ",\"_meta\":{\"terminal_output_delta\":{\"data\":\"%s\"}}",
             line);
    for (int i = 0; i < 2000; i++) {
        change(&host, members);
        if (i % 100 == 0) {
            host_advance(&host, 53);
            host_tick(&host);
        }
    }
    change(&host, ",\"status\":\"completed\"");
    const char *text =
        json_object_get_string(json_object_object_get(host.tools[0].result, "result"));
    size_t said = 0;
    for (size_t i = 0; i < host.event_count; i++) { /* with what was cut in them */
        struct json_object *delta = json_object_object_get(host.events[i].json, "delta");
        said += delta != NULL ? (size_t)json_object_get_string_len(delta) : 0;
    }
    CU_ASSERT_EQUAL(said, 4000000);
    CU_ASSERT_TRUE(strlen(text) > 1000000 && strlen(text) < 2400000);
    CU_ASSERT_EQUAL(strncmp(text, "[", 1), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, " bytes before this are left out]\nxxx"));
    host_close(&host);
}

static void the_turns_end_closes_what_is_open(void)
{
    struct host host;
    begin(&host);
    call(&host, ",\"title\":\"first\"");
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"d\"}");
    host_text(&host, "bye");
    host_answer_prompt(&host, "{\"stopReason\":\"cancelled\"}");
    TEST_TEXT(host_kinds(&host), "tool_start tool_start text_delta text_complete tool_result "
                                 "tool_result");
    TEST_TEXT(at(host.tools[0].result, "result"), "Not finished when the turn ended.");
    TEST_TEXT(at(host.tools[0].result, "isError"), "true");
    TEST_TEXT(at(host.tools[0].result, "turnId"), "turn-0");
    TEST_TEXT(at(host.events[4].json, "toolUseId"), "t1-1"); /* in their order */
    host_close(&host);
}

static void ids_that_come_again_are_other_calls(void)
{
    struct host host;
    begin(&host);
    for (int turn = 0; turn < 3; turn++) {
        call(&host, "");
        change(&host, ",\"status\":\"completed\"");
        host_answer_prompt(&host, "{}");
        host_prompt(&host);
    }
    CU_ASSERT_EQUAL(host.tool_count, 3);
    /* In one turn: a finished call does not begin again by being told again, only by a new
     * beginning. */
    call(&host, ",\"status\":\"completed\"");
    CU_ASSERT_EQUAL(host.tool_count, 4);
    call(&host, ",\"status\":\"completed\"");
    CU_ASSERT_EQUAL(host.tool_count, 4);
    call(&host, ",\"status\":\"pending\"");
    CU_ASSERT_EQUAL(host.tool_count, 5);
    TEST_TEXT(host.tools[4].id, "t1-5");
    host_close(&host);
}

static void a_late_update_opens_nothing(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    host_answer_prompt(&host, "{}");
    host_prompt(&host);
    host_kinds(&host);
    change(&host, ",\"status\":\"completed\",\"title\":\"late\",\"content\":[{\"type\":\"content\","
                  "\"content\":{\"type\":\"text\",\"text\":\"slow\"}}]");
    change(&host, ",\"_meta\":{\"x\":1}");
    TEST_TEXT(host_kinds(&host), "tool_update");
    struct json_object *update = host_last_event(&host, EVENT_TOOL_UPDATE);
    TEST_TEXT(at(update, "toolUseId"), "t1-1");
    TEST_TEXT(at(update, "status"), "completed");
    TEST_TEXT(at(update, "content/0/content/text"), "slow");
    CU_ASSERT_EQUAL(host.tool_count, 1);
    host_close(&host);
}

static void sub_agents_calls_name_their_parent(void)
{
    struct host host;
    begin(&host);
    call(&host, "");
    host_update(&host, "{\"_meta\":{\"claudeCode\":{\"parentToolUseId\":\"c\"}},"
                       "\"toolCallId\":\"d\",\"sessionUpdate\":\"tool_call\"}");
    host_update(&host, "{\"_meta\":{\"claudeCode\":{\"parentToolUseId\":\"nobody\"}},"
                       "\"toolCallId\":\"e\",\"sessionUpdate\":\"tool_call\"}");
    TEST_TEXT(at(host.events[1].json, "parentToolUseId"), "t1-1");
    TEST_TEXT(at(host.events[2].json, "parentToolUseId"), "");
    host_close(&host);
}

static void too_many_open_calls_end_the_oldest(void)
{
    struct host host;
    begin(&host);
    for (int i = 0; i < 1100; i++) {
        char update[128];
        snprintf(update, sizeof update,
                 "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"call-%d\"}", i);
        host_update(&host, update);
    }
    size_t open = 0;
    for (size_t i = 0; i < host.tool_count; i++) {
        open += host.tools[i].result == NULL;
    }
    CU_ASSERT_EQUAL(open, 1024);
    CU_ASSERT_PTR_NOT_NULL(host.tools[0].result);
    TEST_TEXT(at(host.tools[0].result, "isError"), "true");
    host_answer_prompt(&host, "{}");
    host_close(&host);
}

TEST_MAIN("acp_tool", TEST(a_start_has_what_is_known), TEST(places_that_are_none_are_left_out),
          TEST(names_come_from_the_best_place),
          TEST(raw_output_is_shown_where_it_is_more_than_the_text),
          TEST(raw_output_is_shown_while_it_grows), TEST(a_text_with_annotations_is_content),
          TEST(what_a_command_says_after_its_turn_is_told), TEST(an_input_is_always_an_object),
          TEST(updates_carry_what_changed_and_nothing_else),
          TEST(a_first_status_that_is_not_pending_is_told), TEST(an_update_may_be_the_first_word),
          TEST(results), TEST(growing_text_is_output),
          TEST(text_that_did_not_only_grow_is_shown_as_a_whole),
          TEST(what_did_not_go_out_yet_may_change), TEST(a_diff_is_an_update),
          TEST(output_in_meta_is_output), TEST(a_command_that_exited_has_its_result),
          TEST(endless_output_is_kept_by_its_end), TEST(the_turns_end_closes_what_is_open),
          TEST(ids_that_come_again_are_other_calls), TEST(a_late_update_opens_nothing),
          TEST(sub_agents_calls_name_their_parent), TEST(too_many_open_calls_end_the_oldest))
