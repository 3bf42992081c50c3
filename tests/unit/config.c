#define _GNU_SOURCE
#include "signalbox/share/config.h"

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/rcu.h"
#include "support/folder.h"
#include "support/test.h"

/* A configuration file in a folder of its own, and what loading it brought. */
struct fixture {
    char *folder;
    struct config_source source;
    struct config *config;
    struct config_error error;
    enum err err;
};

static void reload(struct fixture *fixture, const struct config *running)
{
    config_error_free(&fixture->error);
    fixture->config = NULL;
    fixture->err = config_load(&fixture->config, &fixture->source, running, &fixture->error);
}

static struct fixture prepare(const char *text)
{
    struct fixture fixture = {.folder = folder_new()};
    folder_write(fixture.folder, "signalbox.conf", text);
    CHECK(config_source_init(&fixture.source, folder_path(fixture.folder, "signalbox.conf")) ==
          ERR_OK);
    return fixture;
}

static struct fixture load(const char *text)
{
    struct fixture fixture = prepare(text);
    reload(&fixture, NULL);
    return fixture;
}

static void set(struct fixture *fixture, const char *text)
{
    CHECK(config_source_set(&fixture->source, text) == ERR_OK);
}

static void finish(struct fixture *fixture)
{
    config_put(fixture->config);
    config_error_free(&fixture->error);
    config_source_free(&fixture->source);
    folder_remove(fixture->folder);
}

/* What it loads must be refused on this line with this reason. */
static void refused(const char *text, int line, const char *reason)
{
    struct fixture fixture = load(text);
    CU_ASSERT_NOT_EQUAL(fixture.err, ERR_OK);
    CU_ASSERT_PTR_NULL(fixture.config);
    TEST_TEXT(fixture.error.file, folder_path(fixture.folder, "signalbox.conf"));
    CU_ASSERT_EQUAL(fixture.error.line, line);
    TEST_TEXT(fixture.error.reason, reason);
    finish(&fixture);
}

static void the_defaults_are_those_of_the_table(void)
{
    struct fixture fixture = load("");
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    const struct config *config = fixture.config;
    TEST_TEXT(config->listen_host, "127.0.0.1");
    CU_ASSERT_EQUAL(config->listen_port, 8080);
    CU_ASSERT_TRUE(config->listen_loopback);
    CU_ASSERT_EQUAL(config->max_message_bytes, 1024 * 1024);
    CU_ASSERT_EQUAL(config->delta_window_ms, 50);
    CU_ASSERT_EQUAL(config->log_level, LOG_LEVEL_INFO);
    CU_ASSERT_FALSE(config->behind_tls);
    CU_ASSERT_PTR_NULL(config->tokens);
    CU_ASSERT_EQUAL(config->workspace_roots.count, 0);
    TEST_TEXT(config->theme, "{}");
    CU_ASSERT_EQUAL(config->agent_count, 1);
    const struct config_agent *shell = config_agent(config, "shell");
    CU_ASSERT_PTR_NOT_NULL_FATAL(shell);
    TEST_TEXT(shell->command.items[0], "signalbox-shell");
    CU_ASSERT_PTR_NULL(config_agent(config, "other"));
    finish(&fixture);
}

static void the_data_folder_follows_the_environment(void)
{
    setenv("XDG_DATA_HOME", "/srv/xdg", 1);
    struct fixture fixture = load("");
    TEST_TEXT(fixture.config->data, "/srv/xdg/signalbox");
    finish(&fixture);
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/home/ada", 1);
    fixture = load("");
    TEST_TEXT(fixture.config->data, "/home/ada/.local/share/signalbox");
    finish(&fixture);
    fixture = load("data = \"~/box\"");
    TEST_TEXT(fixture.config->data, "/home/ada/box");
    finish(&fixture);
    fixture = load("data = box");
    TEST_TEXT(fixture.config->data, folder_path(fixture.folder, "box"));
    finish(&fixture);
}

static void every_kind_of_value_is_read(void)
{
    struct fixture fixture =
        load("listen = \"[::1]:0\"   # a comment with \"quotes\n"
             "// another\n"
             "/* and a\n long one */ behind-tls = yes\n"
             "log-level = debug\n"
             "max-message-bytes = 64K\n"
             "credit-total-bytes = 1g\n"
             "delta-window-ms = 0\n"
             "allowed-origins = {\"https://a.example\", 'http://b.example:81',}\n"
             "allowed-origins += {\"https://c.example\"}\n"
             "workspace-roots = {.}\n"
             "agent one {\n"
             "  title = 'Number \\'one\\''\n"
             "  command = {\"./bin/one\", \"--flag\", \"a # b\"}\n"
             "  environment = {\"A=1\", \"B=x=y\"}\n"
             "  install = \"npm install -g one\"\n"
             "  permission-timeout-ms = 0\n"
             "  offers = {terminal, \"fs\"}\n"
             "}\n"
             "agent two.2 { command = two }\n");
    TEST_TEXT(fixture.error.reason != NULL ? fixture.error.reason : "fine", "fine");
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    const struct config *config = fixture.config;
    TEST_TEXT(config->listen_host, "::1");
    CU_ASSERT_TRUE(config->listen_loopback);
    CU_ASSERT_TRUE(config->behind_tls);
    CU_ASSERT_EQUAL(config->log_level, LOG_LEVEL_DEBUG);
    CU_ASSERT_EQUAL(config->max_message_bytes, 65536);
    CU_ASSERT_EQUAL(config->credit_total_bytes, INT64_C(1) << 30);
    CU_ASSERT_EQUAL(config->delta_window_ms, 0);
    CU_ASSERT_EQUAL_FATAL(config->allowed_origins.count, 3);
    TEST_TEXT(config->allowed_origins.items[1], "http://b.example:81");
    TEST_TEXT(config->allowed_origins.items[2], "https://c.example");
    CU_ASSERT_PTR_NULL(config->allowed_origins.items[3]);
    CU_ASSERT_EQUAL_FATAL(config->workspace_roots.count, 1);
    TEST_TEXT(config->workspace_roots.items[0], fixture.folder);
    CU_ASSERT_EQUAL_FATAL(config->agent_count, 2);
    const struct config_agent *one = config_agent(config, "one");
    CU_ASSERT_PTR_NOT_NULL_FATAL(one);
    TEST_TEXT(one->title, "Number 'one'");
    TEST_TEXT(one->command.items[0], folder_path(fixture.folder, "./bin/one"));
    TEST_TEXT(one->command.items[2], "a # b");
    TEST_TEXT(one->environment.items[1], "B=x=y");
    TEST_TEXT(one->install, "npm install -g one");
    CU_ASSERT_EQUAL(one->permission_timeout_ms, 0);
    CU_ASSERT(one->offers_fs && one->offers_terminal);
    CU_ASSERT_EQUAL(one->line, 14);
    const struct config_agent *two = config_agent(config, "two.2");
    CU_ASSERT_PTR_NOT_NULL_FATAL(two);
    TEST_TEXT(two->title, "two.2");
    TEST_TEXT(two->command.items[0], "two");
    CU_ASSERT_EQUAL(two->permission_timeout_ms, 60000);
    CU_ASSERT(!two->offers_fs && !two->offers_terminal);
    finish(&fixture);
}

static void errors_name_the_line(void)
{
    refused("# c\n/* c\n*/\nlisten = 127.0.0.1:1\nfoo = 1\n", 5, "no such option 'foo'");
    refused("agent a {\n command = x\n}\n# c\nagent b {\n bar = 1\n command = x }", 6,
            "no such option 'bar'");
    refused("\nmax-json-depth = 7\n", 2, "max-json-depth: 7 is out of bounds: 8 to 1000");
    refused("ping-interval-ms = 1", 1,
            "ping-interval-ms: 1 is out of bounds: 100 to 3600000 milliseconds");
    refused("max-message-bytes = 99999999999G", 1,
            "max-message-bytes: 99999999999G is out of bounds: 1024 to 67108864 bytes");
    refused("max-message-bytes = 12Q", 1,
            "max-message-bytes: \"12Q\" is not a whole number, with K, M or G behind it if wanted");
    refused("max-clients = 12K", 1, "max-clients: \"12K\" is not a whole number");
    refused("max-clients = -1", 1, "max-clients: \"-1\" is not a whole number");
    refused("max-clients = banana", 1, "max-clients: \"banana\" is not a whole number");
    refused("behind-tls = maybe", 1, "behind-tls: \"maybe\" is neither true nor false");
    refused("log-level = loud", 1, "log-level: \"loud\" is none of debug, info, warn, error");
    refused("max-clients = 1\n\nmax-clients = 2", 3, "max-clients is set twice, first on line 1");
    refused("agent a { command = x }\nagent a { command = y }", 2, "found duplicate title 'a'");
    refused("agent a {\n title = x\n title = y\n command = z }", 3,
            "title is set twice, first on line 2");
    refused("max-clients 5", 1, "missing equal sign after option 'max-clients'");
    refused("workspace-roots = {/nowhere/at/all}", 1,
            "workspace-roots: /nowhere/at/all: not found");
    refused("allowed-origins = {\"https://a.example/\"}", 1,
            "allowed-origins: \"https://a.example/\" is not an origin: http:// or https://, a host "
            "in small letters, a "
            "port if it is not the usual one, and nothing behind it");
    refused("credit-session-bytes = 2M\ncredit-total-bytes = 1M", 2,
            "credit-total-bytes: 1048576 is less than credit-session-bytes, 2097152");
}

static void what_is_not_closed_is_an_error_where_it_begins(void)
{
    refused("\nlisten = \"127.0.0.1:80\nmax-clients = 5\n", 2,
            "the string that begins here is not closed on its line");
    refused("data = 'x", 1, "the string that begins here is not closed on its line");
    refused("data = \"x\\", 1, "the string that begins here is not closed on its line");
    refused("max-clients = 5\n/* max-agents = 5\n", 2,
            "the comment that begins here is not closed");
    refused("\nagent a {\n command = x\n", 2, "the brace that opens here is not closed");
    refused("agent a {\n command = {x\n}", 1, "the brace that opens here is not closed");
    refused("agent a { command = x }\n}", 2, "unexpected closing brace");
    refused("data = /srv/*\n", 1, "a value with * in it must stand in quotes");
    refused("data = \"\\9\"\n", 1, "bad escape sequence '\\9'");
    /* None of these leaves the library's lexer in the middle of something. */
    struct fixture fixture = load("max-clients = 5");
    CU_ASSERT_EQUAL(fixture.err, ERR_OK);
    finish(&fixture);
}

static void agents_are_checked(void)
{
    refused("agent \"a b\" {\n command = x }", 2,
            "agent \"a b\": a name is made of letters, digits, - _ and .");
    refused("agent \"\" {\n command = x }", 2, "agent \"\": a name has 1 to 64 characters");
    refused("\nagent a {\n title = x }", 3, "agent a: command is missing");
    refused("agent a {\n command = {\"\"} }", 2, "agent a: command is missing");
    refused("agent a {\n command = x\n environment = {\"OK=1\", \"NOPE\"} }", 3,
            "agent a: environment: item 2 is not KEY=VALUE");
    refused("agent a {\n command = x\n permission-timeout-ms = x }", 3,
            "agent a: permission-timeout-ms: \"x\" is not a whole number");
    refused("agent a {\n command = x\n offers = {fs, files} }", 3,
            "agent a: offers: \"files\" is neither fs nor terminal");
    refused("agent a {\n command = x\n agent-idle-ms = 99999999999 }", 3,
            "agent a: agent-idle-ms: 99999999999 is out of bounds: 0 to 2592000000 milliseconds");
    refused("agent a {\n command = x\n memory-limit = 1M }", 3,
            "agent a: memory-limit: 1M is out of bounds: 16777216 to 1099511627776 bytes");
    refused("agent a {\n command = x\n nice = \"\" }", 3, "agent a: nice: \"\" is not a whole number");
}

static void agents_have_numbers_of_their_own(void)
{
    struct fixture fixture = load("agent-idle-ms = 7\nagent-hang-ms = 9\n"
                                  "agent a { command = x }\n"
                                  "agent b { command = x\n agent-idle-ms = 0\n agent-silence-ms = 5\n memory-limit = 2G\n"
                                  " cpu-limit-seconds = 60\n open-files-limit = 256\n file-size-limit = 1M\n nice = 0\n"
                                  " oom-score-adj = 1000 }\n");
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    const struct config_agent *a = config_agent(fixture.config, "a");
    const struct config_agent *b = config_agent(fixture.config, "b");
    CU_ASSERT_EQUAL(a->idle_ms, 7);
    CU_ASSERT_EQUAL(a->silence_ms, 120000);
    CU_ASSERT_EQUAL(a->hang_ms, 9);
    CU_ASSERT_EQUAL(b->idle_ms, 0);
    CU_ASSERT_EQUAL(b->silence_ms, 5);
    const struct config_limits none = {-1, -1, -1, -1, -1, -1};
    const struct config_limits all = {INT64_C(2) << 30, 60, 256, 1 << 20, 0, 1000};
    CU_ASSERT_EQUAL(memcmp(&a->limits, &none, sizeof(none)), 0);
    CU_ASSERT_EQUAL(memcmp(&b->limits, &all, sizeof(all)), 0);
    finish(&fixture);
}

static struct digest digest_of(const char *section)
{
    struct fixture fixture = load(section);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    struct digest digest;
    config_agent_digest(config_agent(fixture.config, "a"), &digest);
    finish(&fixture);
    return digest;
}

/* What makes it another agent to start, and what does not. */
static void agents_that_start_in_the_same_way_have_the_same_digest(void)
{
    static const struct {
        const char *section;
        bool same;
    } rows[] = {
        {"agent a { command = {x, y}\n title = other\n agent-idle-ms = 3 }", true},
        {"agent a { command = {x, z} }", false},
        {"agent a { command = {x} }", false},
        {"agent a { command = {x, y}\n environment = {\"A=1\"} }", false},
        {"agent a { command = {x, y}\n memory-limit = 1G }", false},
        {"agent a { command = {x, y}\n cpu-limit-seconds = 1 }", false},
        {"agent a { command = {x, y}\n offers = {fs} }", false},
    };
    struct digest first = digest_of("agent a { command = {x, y} }");
    for (size_t i = 0; i < array_size(rows); i++) {
        struct digest other = digest_of(rows[i].section);
        CU_ASSERT_EQUAL(digest_equal(&first, &other), rows[i].same);
    }
}

static void permissions_are_configured(void)
{
    struct fixture fixture =
        load("permission-timeouts = {\"execute=300000\", \"edit=0\"}\n"
             "permission-timeout-action = cancel\n"
             "default-policy = read-only\n"
             "forbidden-policies = {trust}\n"
             "deny-paths = {\"/etc//x/\", \".git/\", \"/\"}\n"
             "agent one { command = x }\n"
             "agent two { command = x\n permission-timeouts = {\"edit=5\"}\n }\n"
             "agent three { command = x\n permission-timeout-ms = 7\n permission-timeouts = {\"read=8\"}\n"
             " permission-timeout-action = reject }\n");
    TEST_TEXT(fixture.error.reason != NULL ? fixture.error.reason : "fine", "fine");
    const struct config *config = fixture.config;
    CU_ASSERT_EQUAL(config->default_policy, CONFIG_POLICY_READ_ONLY);
    CU_ASSERT_EQUAL_FATAL(config->denied_paths.count, 3);
    TEST_TEXT(config->denied_paths.items[0], "/etc/x");
    TEST_TEXT(config->denied_paths.items[1], ".git");
    TEST_TEXT(config->denied_paths.items[2], "/");
    /* What is said of a kind, then what the agent's section says of all, then what is said of kinds in general. */
    const struct config_agent *one = config_agent(config, "one"), *two = config_agent(config, "two");
    const struct config_agent *three = config_agent(config, "three");
    CU_ASSERT_EQUAL_FATAL(one->timeouts.kinds.count, 2);
    TEST_TEXT(one->timeouts.kinds.items[0], "execute");
    CU_ASSERT_EQUAL(one->timeouts.ms[0], 300000);
    CU_ASSERT_EQUAL(one->timeouts.ms[1], 0);
    CU_ASSERT_EQUAL(one->permission_timeout_action, ACTION_CANCEL);
    CU_ASSERT_EQUAL_FATAL(two->timeouts.kinds.count, 3);
    TEST_TEXT(two->timeouts.kinds.items[0], "edit");
    CU_ASSERT_EQUAL(two->timeouts.ms[0], 5);
    CU_ASSERT_EQUAL_FATAL(three->timeouts.kinds.count, 1);
    CU_ASSERT_EQUAL(three->timeouts.ms[0], 8);
    CU_ASSERT_EQUAL(three->permission_timeout_ms, 7);
    CU_ASSERT_EQUAL(three->permission_timeout_action, ACTION_REJECT);
    finish(&fixture);

    refused("\npermission-timeouts = {execute}", 2, "permission-timeouts: \"execute\" is not KIND=MILLISECONDS");
    refused("permission-timeouts = {\"a=1\", \"a=2\"}", 1, "permission-timeouts: the kind of \"a=2\" stands there twice");
    refused("permission-timeouts = {\"a=x\"}", 1, "permission-timeouts: \"x\" is not a whole number");
    refused("permission-timeout-action = maybe", 1, "permission-timeout-action: \"maybe\" is neither reject nor cancel");
    refused("default-policy = yes", 1, "default-policy: \"yes\" is none of ask, read-only, trust");
    refused("forbidden-policies = {no}", 1, "forbidden-policies: \"no\" is none of ask, read-only, trust");
    refused("forbidden-policies = {ask}", 1, "forbidden-policies: ask is the default-policy");
    refused("deny-kinds = {\"a b\"}", 1, "deny-kinds: \"a b\" is no kind of tool");
    refused("deny-paths = {\"a/../b\"}", 1, "deny-paths: a/../b: write it without . and ..");
    refused("agent a { command = x\n permission-timeouts = {x} }", 2,
            "agent a: permission-timeouts: \"x\" is not KIND=MILLISECONDS");
    refused("agent a { command = x\n permission-timeout-action = x }", 2,
            "agent a: permission-timeout-action: \"x\" is neither reject nor cancel");
}

static void addresses_are_explicit_and_guarded(void)
{
    static const char *const bad[] = {"example.org:80",  "127.0.0.1",  ":8080", "::1:8080",
                                      "127.0.0.1:65536", "127.0.0.1:", "[::1]", "*:80",
                                      "[127.0.0.1]:80"};
    for (size_t i = 0; i < array_size(bad); i++) {
        struct fixture fixture = prepare("");
        char text[64];
        snprintf(text, sizeof(text), "listen=%s", bad[i]);
        set(&fixture, text);
        reload(&fixture, NULL);
        CU_ASSERT_EQUAL(fixture.err, ERR_INVAL);
        TEST_TEXT(fixture.error.file, "--set");
        finish(&fixture);
    }
    struct fixture fixture = load("listen = \"192.0.2.7:8080\"");
    CU_ASSERT_EQUAL(fixture.err, ERR_PERM);
    CU_ASSERT_EQUAL(fixture.error.line, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.reason, "set tokens-file"));
    folder_write(fixture.folder, "tokens", "ada 0123456789abcdef\n");
    set(&fixture, "listen=[2001:db8::1]:9");
    set(&fixture, "tokens-file=/nowhere");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(fixture.err, ERR_NOENT);
    TEST_TEXT(fixture.error.file, "/nowhere");
    char text[FOLDER_PATH_SIZE + 16];
    snprintf(text, sizeof(text), "tokens-file=%s/tokens", fixture.folder);
    set(&fixture, text);
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    TEST_TEXT(fixture.config->listen_host, "2001:db8::1");
    CU_ASSERT_FALSE(fixture.config->listen_loopback);
    finish(&fixture);
}

static void set_overrides_the_file(void)
{
    struct fixture fixture =
        prepare("max-clients = 5\nallowed-origins = {\"https://a.example\"}\n");
    set(&fixture, "max-clients=6");
    set(&fixture, "max-clients=7");
    set(&fixture, "allowed-origins=https://b.example");
    set(&fixture, "allowed-origins=https://c.example");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    CU_ASSERT_EQUAL(fixture.config->max_clients, 7);
    CU_ASSERT_EQUAL_FATAL(fixture.config->allowed_origins.count, 2);
    TEST_TEXT(fixture.config->allowed_origins.items[0], "https://b.example");
    config_put(fixture.config);
    set(&fixture, "allowed-origins=");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(fixture.config->allowed_origins.count, 0);
    config_put(fixture.config);
    set(&fixture, "nonsense=1");
    reload(&fixture, NULL);
    char *text = config_error_text(&fixture.error);
    TEST_TEXT(text, "--set: no such option 'nonsense'");
    free(text);
    finish(&fixture);
    fixture = prepare("");
    set(&fixture, "nonsense");
    reload(&fixture, NULL);
    TEST_TEXT(fixture.error.reason, "\"nonsense\" is not KEY=VALUE");
    finish(&fixture);
}

static void files_that_cannot_be_read_are_errors(void)
{
    struct fixture fixture = prepare("");
    folder_check(unlink(fixture.source.file) == 0, "unlink");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(fixture.err, ERR_NOENT);
    TEST_TEXT(fixture.error.file, fixture.source.file);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.error.reason, "cannot be read"));
    int fd = open(fixture.source.file, O_WRONLY | O_CREAT, 0600);
    folder_check(fd >= 0 && write(fd, "a\0b", 3) == 3, "write");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(fixture.err, ERR_SYNTAX);
    folder_check(ftruncate(fd, 2 * 1024 * 1024) == 0, "ftruncate");
    fd_close(fd);
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(fixture.err, ERR_TOOBIG);
    finish(&fixture);
}

static void a_reload_keeps_what_needs_a_restart(void)
{
    struct fixture fixture = load("http-threads = 5\nmax-clients = 5\nlisten = 127.0.0.1:81\n");
    struct config *running = fixture.config;
    folder_write(fixture.folder, "signalbox.conf",
                 "http-threads = 6\nmax-clients = 6\nlisten = 127.0.0.1:81\ndata = x\n"
                 "durability = power\n");
    reload(&fixture, running);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    CU_ASSERT_EQUAL(fixture.config->http_threads, 5);
    CU_ASSERT_EQUAL(fixture.config->max_clients, 6);
    TEST_TEXT(fixture.config->data, running->data);
    CU_ASSERT_EQUAL(fixture.config->durability, DURABILITY_PROCESS);
    CU_ASSERT_EQUAL_FATAL(fixture.config->restart_needed.count, 3);
    TEST_TEXT(fixture.config->restart_needed.items[0], "data");
    TEST_TEXT(fixture.config->restart_needed.items[1], "durability");
    TEST_TEXT(fixture.config->restart_needed.items[2], "http-threads");
    CU_ASSERT_FALSE(config_same_settings(running, fixture.config));
    CU_ASSERT_TRUE(config_same_theme(running, fixture.config));
    config_put(fixture.config);
    config_put(running);
    finish(&(struct fixture){.folder = fixture.folder, .source = fixture.source});
}

static void a_reload_cannot_open_the_server_to_everybody(void)
{
    struct fixture fixture = prepare("listen = 192.0.2.7:80\ntokens-file = tokens\n");
    folder_write(fixture.folder, "tokens", "ada 0123456789abcdef\n");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    struct config *running = fixture.config;
    folder_write(fixture.folder, "signalbox.conf", "listen = 127.0.0.1:80\n");
    reload(&fixture, running);
    CU_ASSERT_EQUAL(fixture.err, ERR_PERM);
    folder_write(fixture.folder, "signalbox.conf", "listen = nonsense\ntokens-file = tokens\n");
    reload(&fixture, running);
    CU_ASSERT_EQUAL(fixture.err, ERR_INVAL);
    config_put(running);
    finish(&fixture);
}

static void themes_are_json_objects(void)
{
    struct fixture fixture = prepare("theme-file = theme.json\n");
    folder_write(fixture.folder, "theme.json", "{\"accent\":\n \"red\"}");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    TEST_TEXT(fixture.config->theme, "{\"accent\":\n \"red\"}");
    struct config *first = fixture.config;
    folder_write(fixture.folder, "theme.json", "{\"accent\": \"blue\"}");
    reload(&fixture, first);
    CU_ASSERT_TRUE(config_same_settings(first, fixture.config));
    CU_ASSERT_FALSE(config_same_theme(first, fixture.config));
    config_put(first);
    config_put(fixture.config);
    static const char *const bad[] = {"[]", "{\"a\":\n\n oops}", "", "{} {}"};
    static const int lines[] = {1, 3, 1, 1};
    for (size_t i = 0; i < array_size(bad); i++) {
        folder_write(fixture.folder, "theme.json", bad[i]);
        reload(&fixture, NULL);
        CU_ASSERT_NOT_EQUAL(fixture.err, ERR_OK);
        TEST_TEXT(fixture.error.file, folder_path(fixture.folder, "theme.json"));
        CU_ASSERT_EQUAL(fixture.error.line, lines[i]);
    }
    finish(&fixture);
}

static enum err resolve(const struct config *config, const char *path, const char *expected)
{
    char reason[CONFIG_REASON_SIZE] = "";
    char *resolved = NULL;
    enum err err = config_workspace_resolve(config, path, &resolved, reason);
    if (err == ERR_OK) {
        TEST_TEXT(resolved, expected);
        free(resolved);
    } else {
        CU_ASSERT_PTR_NULL(resolved);
        CU_ASSERT_PTR_NOT_NULL(strstr(reason, expected));
    }
    return err;
}

static void workspaces_lie_under_a_root(void)
{
    struct fixture fixture = prepare("workspace-roots = {root, other}\n");
    const char *folder = fixture.folder;
    static const char *const folders[] = {"root", "root/in", "other", "rootless"};
    for (size_t i = 0; i < array_size(folders); i++) {
        folder_check(mkdir(folder_path(folder, folders[i]), 0700) == 0, "mkdir");
    }
    folder_write(folder, "root/file", "");
    folder_check(symlink("../rootless", folder_path(folder, "root/out")) == 0, "symlink");
    folder_check(symlink("root/in", folder_path(folder, "into")) == 0, "symlink");
    reload(&fixture, NULL);
    const struct config *config = fixture.config;
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "root"), folder_path(folder, "root")),
                    ERR_OK);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "other/"), folder_path(folder, "other")),
                    ERR_OK);
    CU_ASSERT_EQUAL(
        resolve(config, folder_path(folder, "root/in/../in"), folder_path(folder, "root/in")),
        ERR_OK);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "into"), folder_path(folder, "root/in")),
                    ERR_OK);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "root/out"), "outside"), ERR_PERM);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "rootless"), "outside"), ERR_PERM);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "root/../rootless"), "outside"), ERR_PERM);
    CU_ASSERT_EQUAL(resolve(config, "/", "outside"), ERR_PERM);
    CU_ASSERT_EQUAL(resolve(config, "root", "not an absolute path"), ERR_INVAL);
    CU_ASSERT_EQUAL(resolve(config, "", "not an absolute path"), ERR_INVAL);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "root/none"), "does not exist"), ERR_NOENT);
    CU_ASSERT_EQUAL(resolve(config, folder_path(folder, "root/file"), "is no folder"), ERR_INVAL);
    config_put(fixture.config);
    folder_write(folder, "signalbox.conf", "");
    reload(&fixture, NULL);
    CU_ASSERT_EQUAL(resolve(fixture.config, folder, "no workspace-roots are configured"), ERR_PERM);
    finish(&fixture);
}

static void programs_are_found_by_the_agents_path(void)
{
    struct fixture fixture =
        prepare("agent a { command = prog }\n"
                "agent b { command = prog  environment = {\"PATH=/nowhere\"} }\n"
                "agent c { command = beside }\n"
                "agent d { command = \"./bin/prog\" }\n"
                "agent e { command = \"./bin/data\" }\n");
    const char *folder = fixture.folder;
    char reason[CONFIG_REASON_SIZE] = "";
    char *program = NULL;
    folder_check(mkdir(folder_path(folder, "bin"), 0700) == 0, "mkdir");
    folder_check(mkdir(folder_path(folder, "own"), 0700) == 0, "mkdir");
    folder_write_mode(folder, "bin/prog", "", 0700);
    folder_write_mode(folder, "bin/data", "", 0600);
    folder_write_mode(folder, "own/beside", "", 0700);
    free(fixture.source.program_dir);
    fixture.source.program_dir = strdup(folder_path(folder, "own"));
    char path[FOLDER_PATH_SIZE + 64];
    snprintf(path, sizeof(path), ":.:/usr/bin:%s/bin", folder);
    setenv("PATH", path, 1);
    reload(&fixture, NULL);
    const struct config *config = fixture.config;
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    CU_ASSERT_EQUAL(config_agent_program(config, config_agent(config, "a"), &program, reason),
                    ERR_OK);
    TEST_TEXT(program, folder_path(folder, "bin/prog"));
    free(program);
    CU_ASSERT_FALSE(config_agent_available(config, config_agent(config, "b"), reason));
    TEST_TEXT(reason, "command not found: prog");
    CU_ASSERT_TRUE(config_agent_available(config, config_agent(config, "c"), reason));
    CU_ASSERT_TRUE(config_agent_available(config, config_agent(config, "d"), reason));
    CU_ASSERT_FALSE(config_agent_available(config, config_agent(config, "e"), reason));
    CU_ASSERT_PTR_EQUAL(strstr(reason, "not a file that may be executed: /"), reason);
    finish(&fixture);
}

static const char *lookup(char **environment, const char *key)
{
    const char *found = NULL;
    for (char **entry = environment; *entry != NULL; entry++) {
        if (strncmp(*entry, key, strlen(key)) == 0 && (*entry)[strlen(key)] == '=') {
            CU_ASSERT_PTR_NULL(found); /* no key twice */
            found = *entry + strlen(key) + 1;
        }
    }
    return found;
}

static void environments_are_laid_over_each_other(void)
{
    struct fixture fixture = prepare(
        "agent a { command = x\n environment = {\"OWN=1\", \"BOTH=a\", \"OWN=2\", \"EMPTY=\"} }"
        "agent b { command = x\n environment = {\"PATH=/p\"} }");
    free(fixture.source.program_dir);
    fixture.source.program_dir = strdup("/own");
    setenv("PATH", "/usr/bin:/bin", 1);
    setenv("BOTH", "server", 1);
    setenv("BOTH_AND_MORE", "kept", 1);
    reload(&fixture, NULL);
    const struct config *config = fixture.config;
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    char **environment = NULL;
    CU_ASSERT_EQUAL_FATAL(config_agent_environment(config, config_agent(config, "a"), &environment),
                          ERR_OK);
    TEST_TEXT(lookup(environment, "OWN"), "2");
    TEST_TEXT(lookup(environment, "BOTH"), "a");
    TEST_TEXT(lookup(environment, "BOTH_AND_MORE"), "kept");
    TEST_TEXT(lookup(environment, "EMPTY"), "");
    TEST_TEXT(lookup(environment, "PATH"), "/usr/bin:/bin:/own");
    free(environment);
    CU_ASSERT_EQUAL_FATAL(config_agent_environment(config, config_agent(config, "b"), &environment),
                          ERR_OK);
    TEST_TEXT(lookup(environment, "PATH"), "/p:/own");
    free(environment);
    finish(&fixture);
}

enum { ROUNDS = 200, READERS = 3 };

static void read_current(size_t number, void *context)
{
    struct config_store *store = context;
    (void)number;
    CHECK(rcu_thread_enter() == ERR_OK);
    int64_t before = 0;
    while (before < ROUNDS) {
        const struct config *config = config_current_get(store);
        CHECK(config->max_clients >= before);
        before = config->max_clients;
        CHECK(strcmp(config->listen_host, "127.0.0.1") == 0);
        config_put(config);
    }
}

static void snapshots_are_exchanged_under_readers(void)
{
    struct fixture fixture = load("max-clients = 1");
    struct config_store *store = NULL;
    CHECK(rcu_thread_enter() == ERR_OK);
    CU_ASSERT_EQUAL_FATAL(config_store_new(&store, fixture.config), ERR_OK);
    struct test_threads readers = test_threads_start(READERS, read_current, store);
    for (int round = 2; round <= ROUNDS; round++) {
        char text[64];
        snprintf(text, sizeof(text), "max-clients=%d", round);
        set(&fixture, text);
        reload(&fixture, NULL);
        CHECK(fixture.err == ERR_OK);
        config_store_publish(store, fixture.config);
    }
    test_threads_join(&readers);
    struct config_error error = {0};
    CU_ASSERT_TRUE(config_store_ok(store, &error));
    config_store_report(
        store, &(struct config_error){.file = (char[]){"f"}, .line = 3, .reason = (char[]){"r"}});
    CU_ASSERT_FALSE(config_store_ok(store, &error));
    char *text = config_error_text(&error);
    TEST_TEXT(text, "f:3: r");
    free(text);
    config_error_free(&error);
    config_store_report(store, NULL);
    CU_ASSERT_TRUE(config_store_ok(store, &error));
    config_store_free(store);
    rcu_barrier();
    fixture.config = NULL;
    finish(&fixture);
}

static void the_shipped_configuration_is_fine(void)
{
    struct config_source source;
    struct config *config = NULL;
    struct config_error error = {0};
    static const char *const names[] = {"shell",    "claude", "codex",  "gemini",
                                        "opencode", "qwen",   "copilot"};
    CHECK(config_source_init(&source, TEST_SOURCE_DIR "/../conf/signalbox.conf") == ERR_OK);
    CU_ASSERT_EQUAL_FATAL(config_load(&config, &source, NULL, &error), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(config->agent_count, array_size(names));
    for (size_t i = 0; i < array_size(names); i++) {
        TEST_TEXT(config->agents[i].name, names[i]);
        CU_ASSERT_TRUE(i == 0 || config->agents[i].install != NULL);
    }
    config_put(config);
    config_source_free(&source);
}

static void the_docs_are_those_of_the_table(void)
{
    struct buffer docs = {0};
    char *committed = NULL;
    size_t length = 0;
    config_write_docs(&docs);
    CU_ASSERT_EQUAL_FATAL(
        file_read(TEST_SOURCE_DIR "/../docs/configuration.md", 1 << 20, &committed, &length),
        ERR_OK);
    CU_ASSERT_EQUAL(docs.length, length);
    CU_ASSERT_TRUE(docs.length == length && memcmp(docs.data, committed, length) == 0);
    free(committed);
    buffer_free(&docs);
}

static void an_agent_has_a_wire_log_of_its_own(void)
{
    struct fixture fixture = load("wire-log = yes\nagent a { command = {'x'} }\n"
                                  "agent b { command = {'x'}\n wire-log = off }\n");
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    CU_ASSERT(config_agent(fixture.config, "a")->wire_log);
    CU_ASSERT_FALSE(config_agent(fixture.config, "b")->wire_log);
    finish(&fixture);
    fixture = load("agent a { command = {'x'}\n wire-log = true }\nagent b { command = {'x'}\n}\n");
    CU_ASSERT_EQUAL_FATAL(fixture.err, ERR_OK);
    CU_ASSERT(config_agent(fixture.config, "a")->wire_log);
    CU_ASSERT_FALSE(config_agent(fixture.config, "b")->wire_log);
    finish(&fixture);
    fixture = load("agent a { command = {'x'}\n wire-log = perhaps }\n");
    CU_ASSERT_EQUAL(fixture.err, ERR_INVAL);
    CU_ASSERT_EQUAL(fixture.error.line, 2);
    TEST_TEXT(fixture.error.reason, "agent a: wire-log: \"perhaps\" is neither true nor false");
    finish(&fixture);
}

TEST_MAIN("config", TEST(the_defaults_are_those_of_the_table),
          TEST(the_data_folder_follows_the_environment), TEST(every_kind_of_value_is_read),
          TEST(errors_name_the_line), TEST(what_is_not_closed_is_an_error_where_it_begins),
          TEST(agents_are_checked), TEST(agents_have_numbers_of_their_own),
          TEST(agents_that_start_in_the_same_way_have_the_same_digest), TEST(permissions_are_configured),
          TEST(addresses_are_explicit_and_guarded),
          TEST(set_overrides_the_file), TEST(files_that_cannot_be_read_are_errors),
          TEST(a_reload_keeps_what_needs_a_restart),
          TEST(a_reload_cannot_open_the_server_to_everybody), TEST(themes_are_json_objects),
          TEST(workspaces_lie_under_a_root), TEST(programs_are_found_by_the_agents_path),
          TEST(environments_are_laid_over_each_other), TEST(snapshots_are_exchanged_under_readers),
          TEST(the_shipped_configuration_is_fine), TEST(the_docs_are_those_of_the_table),
          TEST(an_agent_has_a_wire_log_of_its_own))
