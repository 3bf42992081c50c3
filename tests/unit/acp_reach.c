/* What rules look at in a permission request: its command and paths, and whether they are known to be all. */
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/core/rule.h"
#include "support/acp_host.h"
#include "support/test.h"

#define OPTIONS "\"options\":[{\"optionId\":\"once\",\"name\":\"Once\",\"kind\":\"allow_once\"}]"

/* The request of a new session for a tool with these members; in the host until it is closed. */
static struct permission_ask *ask(struct host *host, const char *members)
{
    host_open_ready(host, NULL, NULL);
    host_prompt(host);
    host_sayf(host,
              "{\"jsonrpc\":\"2.0\",\"method\":\"session/request_permission\",\"id\":0,\"params\":"
              "{\"toolCall\":{\"toolCallId\":\"c\",%s},\"sessionId\":\"s\"," OPTIONS "}}",
              members);
    struct agent_notice *notice = host_last_notice(host, NOTICE_PERMISSION);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    return notice->ask;
}

/* The host's workspace is /w. */
static void commands(void)
{
    static const struct {
        const char *members, *command; /* NULL: no rule can match */
    } cases[] = {
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\"}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"cmd\":[\"npm\",\"test\"]}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"description\":\"x\",\"timeout\":5}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cwd\":\"/w\"}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"workdir\":\".\"}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"env\":null,\"shell\":false}", "npm test"},
        {"\"kind\":\"execute\",\"locations\":[{\"path\":\"/w/\"}],\"rawInput\":{\"command\":\"npm test\"}", "npm test"},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test; x\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":[\"npm test\"]}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":[\"npm\",\"te st\"]}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cwd\":\"/w/x\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cwd\":\"~\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cwd\":5}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"env\":{\"A\":\"b\"}}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"shell\":\"sh\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cmd\":\"rm x\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"stdin\":\"x\"}", NULL},
        {"\"kind\":\"execute\",\"locations\":[{\"path\":\"/tmp\"}],\"rawInput\":{\"command\":\"npm test\"}", NULL},
        {"\"kind\":\"execute\",\"locations\":[{\"path\":7}],\"rawInput\":{\"command\":\"npm test\"}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{\"command\":\"\"}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\"", NULL},
        {"\"kind\":\"execute\",\"rawInput\":\"npm test\"", NULL},
        {"\"kind\":\"other\",\"rawInput\":{\"command\":\"npm test\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"com\\u0000mand\":\"npm test\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm\\u0000test\"}", NULL},
        /* People are shown the title where the input's own command is not found. */
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{\"Command\":\"rm x\"}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{\"c_md\":\"rm x\"}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{\"edits\":[{\"command\":\"rm x\"}]}", NULL},
        {"\"kind\":\"execute\",\"title\":\"npm test\",\"rawInput\":{\"paths\":[{\"command\":\"rm x\"}]}", NULL},
        /* What it could be given to read. */
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"bash\",\"text\":\"rm x\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"bash\",\"content\":\"rm x\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\",\"cwd\":\"file:/etc\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\\n\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm test\\r\"}", NULL},
        {"\"kind\":\"execute\",\"rawInput\":{\"command\":\"npm t\\u0435st\"}", NULL},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct host host;
        const struct permission_ask *given = ask(&host, cases[i].members);
        const char *found = given->rule_command;
        if (!found != !cases[i].command || (found && strcmp(found, cases[i].command))) {
            printf("\n    %s: %s", cases[i].members, found ? found : "none");
            CU_FAIL("a command");
        }
        host_close(&host);
    }
}

static void paths(void)
{
    static const struct {
        const char *members, *paths; /* joined by blanks */
        bool whole, left_out;
    } cases[] = {
        {"\"kind\":\"edit\",\"rawInput\":{\"file_path\":\"/w/a\"}", "/w/a", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"filePath\":\"a\"}", "/w/a", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"../a/../b\"}", "/w/../a/../b /b", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/w/link/../a\"}", "/w/link/../a /w/a", true, false},
        {"\"kind\":\"read\",\"rawInput\":{\"uri\":\"file:/etc/x\"}", "", false, true},
        {"\"kind\":\"read\",\"rawInput\":{\"uri\":\"/w/%2e%2e/x\"}", "", false, true},
        {"\"kind\":\"read\",\"rawInput\":{\"paths\":[\"lin*/x\"]}", "/w/lin*/x", false, false},
        {"\"kind\":\"read\",\"rawInput\":{\"paths\":[\"lin[k]/x\"]}", "/w/lin[k]/x", false, false},
        {"\"kind\":\"read\",\"rawInput\":{\"path\":\"/w/[slug]/x\"}", "/w/[slug]/x", true, false},
        /* Where the folder is a link, or has one, this is not /w/x. */
        {"\"kind\":\"edit\",\"rawInput\":{\"directory\":\"src\",\"path\":\"x\"}", "/w/src /w/x", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"cwd\":\"/w/src\",\"source\":\"x\",\"destination\":\"y\"}",
         "/w/src /w/x /w/y", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"src\",\"filename\":\"x\"}", "/w/src /w/x", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"directory\":\"/w\",\"path\":\"x\"}", "/w /w/x", true, false},
        {"\"kind\":\"move\",\"rawInput\":{\"source\":\"x\",\"destination\":\"y\"}", "/w/x /w/y", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/w/a\",\"diff\":\"+++ /etc/x\"}", "/w/a", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"uri\":\"file:///w/a\"}", "/w/a", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/a\"},\"locations\":[{\"path\":\"/b\",\"line\":3}]", "/b /a", true,
         false},
        {"\"kind\":\"edit\",\"content\":[{\"type\":\"diff\",\"path\":\"/d\",\"newText\":\"x\"}],\"rawInput\":{\"path\":"
         "\"/d\",\"content\":\"text\"}",
         "/d", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"paths\":[\"a\",\"b\"]}", "/w/a /w/b", true, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"edits\":[{\"file_path\":\"a\",\"old_string\":\"x\"}]}", "/w/a", true, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\"*.c\"}", "/w/.", true, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\"../*\"}", "/w/.", false, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\"**/*.c\"}", "/w/.", true, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\"link/*\"}", "/w/.", false, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\".*/*\"}", "/w/.", false, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"pattern\":\"$HOME\"}", "/w/.", false, false},
        {"\"kind\":\"search\",\"rawInput\":{\"path\":\".\",\"glob\":\"/etc/*\"}", "/w/.", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/a\",\"other_file\":\"/b\"}", "/a /b", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/a\",\"changes\":{\"/b\":{\"move_path\":\"/c\"}}}", "/a /b /c", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/a\",\"content\":{\"path\":\"/b\"}}", "/a /b", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"what\":[\"/b\",\"x /c\",\"//d\\n\"],\"text\":\"/e\"}", "/b", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"what\":\"~/.ssh\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":{\"x\":1}}", "", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"/a\",\"command\":\"x\"}", "/a", false, false},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"~/a\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"https://a/b\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"a\\nb\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"path\":\"a\\u0000b\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":{\"uri\":\"file://host/a\"}", "", false, true},
        {"\"kind\":\"edit\",\"rawInput\":[\"a\"]", "", false, false},
        {"\"kind\":\"edit\"", "", true, false},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct host host;
        const struct permission_ask *given = ask(&host, cases[i].members);
        char text[512] = "";
        for (size_t j = 0; j < given->path_count; j++) {
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", j ? " " : "", given->paths[j]);
        }
        if (strcmp(text, cases[i].paths) || given->paths_whole != cases[i].whole ||
            given->paths_left_out != cases[i].left_out) {
            printf("\n    %s: %s%s%s", cases[i].members, text, given->paths_whole ? ", whole" : "",
                   given->paths_left_out ? ", left out" : "");
            CU_FAIL("paths");
        }
        host_close(&host);
    }
}

static void there_is_a_bound(void)
{
    static char members[64 * 1024];
    size_t length = (size_t)snprintf(members, sizeof(members), "\"kind\":\"edit\",\"locations\":[");
    for (int i = 0; i < RULE_PATHS_MAX + 1; i++) {
        length += (size_t)snprintf(members + length, sizeof(members) - length, "%s{\"path\":\"/p%d\"}", i ? "," : "", i);
    }
    snprintf(members + length, sizeof(members) - length, "]");
    struct host host;
    const struct permission_ask *given = ask(&host, members);
    CU_ASSERT_EQUAL(given->path_count, RULE_PATHS_MAX);
    CU_ASSERT_TRUE(given->paths_left_out);
    CU_ASSERT_FALSE(given->paths_whole);
    host_close(&host);
}

TEST_MAIN("acp_reach", TEST(commands), TEST(paths), TEST(there_is_a_bound))
