/* Rules: what they match, and what they do not; what a request offers to be remembered. */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/core/rule.h"
#include "support/test.h"

static void plain_words_only(void)
{
    static const char *const plain[] = {"npm test", "a", "make -j2 CC=gcc", "ls -la ./src/a_b.c", "x@1.2:3,4+5%"};
    static const char *const odd[] = {
        "", " ", "npm  test", " npm test", "npm test ", "npm test; x", "npm test && x", "npm test | x", "npm test & x",
        "`x`", "$(x)", "npm test `x`", "npm test $(x)", "npm test\nx", "npm test\n", "npm test\tx", "npm test > f",
        "npm test < f", "npm \"test\"", "npm 'test'", "npm test\\", "npm tes*", "npm tes?", "npm te[s]t", "~/x", "!x",
        "x#y", "{a,b}", "npm t\xc3\xa9st", "$HOME", "a\rb",
    };
    for (size_t i = 0; i < array_size(plain); i++) {
        CU_ASSERT_TRUE(rule_command_plain(plain[i]));
    }
    for (size_t i = 0; i < array_size(odd); i++) {
        CU_ASSERT_FALSE(rule_command_plain(odd[i]));
    }
    char longest[RULE_COMMAND_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[RULE_COMMAND_MAX - 1] = '\0';
    CU_ASSERT_TRUE(rule_command_plain(longest));
    longest[RULE_COMMAND_MAX - 1] = 'a';
    longest[RULE_COMMAND_MAX + 1] = '\0';
    CU_ASSERT_FALSE(rule_command_plain(longest));
}

static void paths_have_a_normal_form(void)
{
    static const char *const forms[][2] = {
        {"/", "/"}, {"//", "/"}, {"/a", "/a"}, {"/a/", "/a"}, {"/a//b/./c", "/a/b/c"}, {"/a/../b", "/b"},
        {"/../..", "/"}, {"/a/b/../../c", "/c"}, {"/a/..b/c..", "/a/..b/c.."}, {"/a/...", "/a/..."},
        {"a", NULL}, {"", NULL}, {"/a\nb", NULL}, {"/a\x7f", NULL},
    };
    char out[RULE_PATH_MAX];
    for (size_t i = 0; i < array_size(forms); i++) {
        bool fine = rule_path_normal(forms[i][0], out);
        CU_ASSERT_EQUAL(fine, forms[i][1] != NULL);
        if (fine && forms[i][1]) {
            TEST_TEXT(out, forms[i][1]);
        }
    }
    char longest[RULE_PATH_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[RULE_PATH_MAX] = '\0';
    CU_ASSERT_FALSE(rule_path_normal(longest, out));
    longest[RULE_PATH_MAX - 1] = '\0';
    CU_ASSERT_TRUE(rule_path_normal(longest, out));
    CU_ASSERT_TRUE(rule_path_within("/a/b", "/a"));
    CU_ASSERT_TRUE(rule_path_within("/a", "/a"));
    CU_ASSERT_TRUE(rule_path_within("/a", "/"));
    CU_ASSERT_FALSE(rule_path_within("/ab", "/a"));
    CU_ASSERT_FALSE(rule_path_within("/", "/a"));
}

/* ---- Requests ---- */

static struct permission_ask *ask_new(const char *kind, const char *command)
{
    struct permission_ask *ask = calloc(1, sizeof(*ask));
    ask->kind = strdup(kind);
    ask->rule_command = command ? strdup(command) : NULL;
    ask->paths_whole = ask->looked = ask->workspace_real = true;
    return ask;
}

/* `real` NULL: the same. */
static void name_path(struct permission_ask *ask, const char *path, const char *real)
{
    size_t count = ++ask->path_count;
    ask->paths = reallocarray(ask->paths, count, sizeof(char *));
    ask->real_paths = reallocarray(ask->real_paths, count, sizeof(char *));
    ask->paths[count - 1] = strdup(path);
    ask->real_paths[count - 1] = strdup(real ? real : path);
}

static const struct rule_place here = {.session_id = "s1", .workspace = "/srv/work", .created_by = "alice"};

static struct rule *made(enum rule_scope scope, const char *match)
{
    char words[64];
    snprintf(words, sizeof(words), "%s", match);
    char label[] = "label";
    struct rule *rule = rule_of_option(&(struct rule_option){.scope = scope, .match = words, .label = label}, &here);
    rule->id = strdup("r1");
    rule->user = strdup("alice");
    return rule;
}

/* What `npm test` was allowed for. */
static void a_command_rule_matches_its_command_only(void)
{
    struct rule *rule = made(RULE_WORKSPACE, "command:npm test");
    static const char *const others[] = {
        "npm test; x", "npm test && x", "npm test | x", "npm test & x", "npm test `x`", "`npm test`", "$(npm test)",
        "npm test\nx", "npm test\n", "npm test > f", "FOO=1 npm test", "npm  test", "npm test -- --x", "npm testx", "npm",
        "npm test ", " npm test", "Npm test", "npm tes", "",
    };
    struct permission_ask *ask = ask_new("execute", "npm test");
    CU_ASSERT_TRUE(rule_covers(rule, &here, ask, 0));
    ask->workspace_real = false; /* the workspace is a link now */
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    ask->workspace_real = true;
    ask->looked = false;
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    permission_ask_free(ask);
    ask = ask_new("edit", "npm test");
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    permission_ask_free(ask);
    ask = ask_new("execute", NULL);
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    permission_ask_free(ask);
    for (size_t i = 0; i < array_size(others); i++) {
        ask = ask_new("execute", others[i]);
        CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
        permission_ask_free(ask);
    }
    rule_free(rule);
}

/* A rule of words that are not plain cannot be made; one from a tampered store matches nothing. */
static void an_odd_command_rule_matches_nothing(void)
{
    struct rule *rule = made(RULE_USER, "command:npm test; x");
    struct permission_ask *ask = ask_new("execute", "npm test; x");
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    struct rule_option options[RULE_OPTIONS_MAX];
    CU_ASSERT_EQUAL(rule_options(&here, ask, options), 0);
    permission_ask_free(ask);
    rule_free(rule);
}

static void a_rule_reaches_as_far_as_its_scope(void)
{
    static const struct {
        struct rule_place place;
        bool covered[RULE_SCOPE_COUNT];
    } places[] = {
        {{"s1", "/srv/work", "alice", NULL, NULL}, {true, true, true}},
        {{"s2", "/srv/work", "alice", NULL, NULL}, {false, true, true}},
        {{"s2", "/srv/work", "bob", NULL, NULL}, {false, true, false}},
        {{"s2", "/srv/work2", "alice", NULL, NULL}, {false, false, true}},
        {{"s2", "/srv/work/below", "alice", NULL, NULL}, {false, false, true}},
        {{"s2", "/srv", "bob", NULL, NULL}, {false, false, false}},
        {{"s1", "/srv/work2", "bob", NULL, NULL}, {false, false, false}},
    };
    struct permission_ask *ask = ask_new("execute", "npm test");
    for (int scope = 0; scope < RULE_SCOPE_COUNT; scope++) {
        struct rule *rule = made((enum rule_scope)scope, "command:npm test");
        for (size_t i = 0; i < array_size(places); i++) {
            CU_ASSERT_EQUAL(rule_covers(rule, &places[i].place, ask, 0), places[i].covered[scope]);
        }
        rule_free(rule);
    }
    permission_ask_free(ask);
}

static void a_rule_expires(void)
{
    struct rule *rule = made(RULE_SESSION, "command:npm test");
    struct permission_ask *ask = ask_new("execute", "npm test");
    rule->expires_at = 1000;
    CU_ASSERT_TRUE(rule_covers(rule, &here, ask, 999));
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 1000));
    permission_ask_free(ask);
    rule_free(rule);
}

static void a_path_rule_stays_in_its_folder(void)
{
    static const struct {
        const char *kind, *path, *real, *folder;
        bool covered;
    } cases[] = {
        {"edit", "/srv/work/src/a.c", NULL, "src", true},
        {"edit", "/srv/work/src/deep/a.c", NULL, "src", true},
        {"edit", "/srv/work/./src//a.c", "/srv/work/src/a.c", "src", true},
        {"edit", "/srv/work/a.c", NULL, ".", true},
        {"edit", "/srv/work/a.c", NULL, "src", false},
        {"edit", "/srv/work/srcx/a.c", NULL, "src", false},
        {"edit", "/srv/work/src/../a.c", "/srv/work/a.c", "src", false},
        {"edit", "/srv/workx/a.c", NULL, ".", false},
        {"edit", "/etc/passwd", NULL, ".", false},
        {"edit", "/srv/work/../work2/a.c", "/srv/work2/a.c", ".", false},
        /* what is written lies within, and where it leads does not, or the other way round */
        {"edit", "/srv/work/src/link/a.c", "/etc/a.c", "src", false},
        {"edit", "/srv/work/src/link/a.c", "/srv/work/lib/a.c", "src", false},
        {"edit", "/srv/work/link/a.c", "/srv/work/src/a.c", "src", false},
        {"edit", "/srv/work/src/link/../a.c", "/srv/a.c", "src", false},
        /* the folder itself is looked at, but not edited, deleted or moved */
        {"edit", "/srv/work/src", NULL, "src", false},
        {"delete", "/srv/work", NULL, ".", false},
        {"read", "/srv/work/src", NULL, "src", true},
        {"search", "/srv/work", NULL, ".", true},
        {"search", "/srv", NULL, ".", false},
        /* kinds whose paths do not say what they touch */
        {"execute", "/srv/work/src/a.c", NULL, "src", false},
        {"other", "/srv/work/src/a.c", NULL, "src", false},
        {"fetch", "/srv/work/src/a.c", NULL, "src", false},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char match[64];
        snprintf(match, sizeof(match), "%s:%s", cases[i].kind, cases[i].folder);
        struct rule *rule = made(RULE_WORKSPACE, match);
        struct permission_ask *ask = ask_new(cases[i].kind, NULL);
        name_path(ask, cases[i].path, cases[i].real);
        if (rule_covers(rule, &here, ask, 0) != cases[i].covered) {
            printf("\n    %s %s in %s", cases[i].kind, cases[i].path, cases[i].folder);
            CU_FAIL("a path rule");
        }
        permission_ask_free(ask);
        rule_free(rule);
    }
}

static void all_paths_must_lie_in_it(void)
{
    struct rule *rule = made(RULE_WORKSPACE, "edit:src");
    struct permission_ask *ask = ask_new("edit", NULL);
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0)); /* none is named */
    name_path(ask, "/srv/work/src/a", NULL);
    name_path(ask, "/srv/work/src/b", NULL);
    CU_ASSERT_TRUE(rule_covers(rule, &here, ask, 0));
    ask->paths_whole = false;
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    ask->paths_whole = true;
    free(ask->real_paths[1]);
    ask->real_paths[1] = NULL; /* it cannot be resolved */
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    name_path(ask, "/srv/work/lib/c", NULL);
    CU_ASSERT_FALSE(rule_covers(rule, &here, ask, 0));
    permission_ask_free(ask);
    struct permission_ask *other = ask_new("read", NULL);
    name_path(other, "/srv/work/src/a", NULL);
    CU_ASSERT_FALSE(rule_covers(rule, &here, other, 0)); /* another kind */
    permission_ask_free(other);
    rule_free(rule);
}

/* ---- What a request offers ---- */

static const char *offered(const struct permission_ask *ask)
{
    static char text[2048];
    struct rule_option options[RULE_OPTIONS_MAX];
    size_t count = rule_options(&here, ask, options), length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s = %s", i ? "\n" : "",
                                   rule_scope_name(options[i].scope), options[i].match, options[i].label);
    }
    rule_options_clear(options, count);
    return text;
}

static void the_label_says_what_will_match(void)
{
    struct permission_ask *ask = ask_new("execute", "npm test");
    TEST_TEXT(offered(ask), "session command:npm test = always allow `npm test` in this session\n"
                            "workspace command:npm test = always allow `npm test` in this workspace\n"
                            "user command:npm test = always allow `npm test` in all sessions of alice");
    ask->workspace_real = false;
    TEST_TEXT(offered(ask), "");
    permission_ask_free(ask);

    ask = ask_new("edit", NULL);
    TEST_TEXT(offered(ask), "");
    name_path(ask, "/srv/work/src/core/a.c", NULL);
    name_path(ask, "/srv/work/src/copy/b.c", NULL);
    TEST_TEXT(offered(ask),
              "session edit:src = always allow to edit what is in `src/`, in this session\n"
              "session edit:. = always allow to edit what is in the workspace, in this session\n"
              "workspace edit:src = always allow to edit what is in `src/`, in this workspace\n"
              "workspace edit:. = always allow to edit what is in the workspace, in this workspace\n"
              "user edit:. = always allow to edit what is in the workspace, in all sessions of alice");
    name_path(ask, "/etc/passwd", NULL);
    TEST_TEXT(offered(ask), "");
    permission_ask_free(ask);

    ask = ask_new("edit", NULL);
    name_path(ask, "/srv/work/a.c", NULL);
    name_path(ask, "/srv/work/src/b.c", NULL);
    TEST_TEXT(offered(ask), "session edit:. = always allow to edit what is in the workspace, in this session\n"
                            "workspace edit:. = always allow to edit what is in the workspace, in this workspace\n"
                            "user edit:. = always allow to edit what is in the workspace, in all sessions of alice");
    permission_ask_free(ask);

    ask = ask_new("search", NULL);
    name_path(ask, "/srv/work/src", NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(offered(ask), "session search:src = "));
    permission_ask_free(ask);

    ask = ask_new("edit", NULL);
    name_path(ask, "/srv/work/link/a.c", "/etc/a.c");
    TEST_TEXT(offered(ask), "");
    permission_ask_free(ask);
}

/* No folder is offered that would look like another one, or like the end of the label. */
static void a_label_cannot_be_dressed_up(void)
{
    static const char *const folders[] = {"a`/, in this session `b", "a\xE2\x80\xAE" "b", "a\xE2\x80\x8B", "\xC2\x85",
                                          "\xEF\xBB\xBF" "src", "a\xF3\xA0\x81\x81"};
    for (size_t i = 0; i < array_size(folders); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/srv/work/%s/c", folders[i]);
        struct permission_ask *ask = ask_new("edit", NULL);
        name_path(ask, path, NULL);
        TEST_TEXT(offered(ask), "session edit:. = always allow to edit what is in the workspace, in this session\n"
                                "workspace edit:. = always allow to edit what is in the workspace, in this workspace\n"
                                "user edit:. = always allow to edit what is in the workspace, in all sessions of alice");
        permission_ask_free(ask);
    }
    struct permission_ask *ask = ask_new("edit", NULL);
    name_path(ask, "/srv/work/B\xC3\xBC" "cher \xE2\x80\x94 \xE4\xB9\xA6/c", NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(offered(ask), "session edit:B\xC3\xBC" "cher"));
    permission_ask_free(ask);
}

/* ---- Sets ---- */

static struct rule *named(const char *id, enum rule_scope scope, const char *match)
{
    struct rule *rule = made(scope, match);
    free(rule->id);
    rule->id = strdup(id);
    return rule;
}

static bool knows_nobody(const void *users, const char *user)
{
    (void)users;
    (void)user;
    return false;
}

static bool knows_its_maker(const void *users, const char *user)
{
    const struct rule_set *set = users;
    return !strcmp(user, rule_set_find(set, "c")->user);
}

static void a_set_finds_the_oldest_that_covers(void)
{
    struct rule_set *set;
    CU_ASSERT_EQUAL_FATAL(rule_set_new(&set), ERR_OK);
    rule_set_add(set, named("a", RULE_SESSION, "command:make"));
    rule_set_add(set, named("b", RULE_WORKSPACE, "command:npm test"));
    rule_set_add(set, named("c", RULE_SESSION, "command:npm test"));
    rule_set_add(set, named("d", RULE_SESSION, "edit:src"));
    CU_ASSERT_EQUAL(rule_set_count(set), 4);
    struct permission_ask *ask = ask_new("execute", "npm test");
    TEST_TEXT(rule_set_match(set, &here, ask, 0)->id, "b");
    rule_free(rule_set_remove(set, "b"));
    CU_ASSERT_PTR_NULL(rule_set_remove(set, "b"));
    TEST_TEXT(rule_set_match(set, &here, ask, 0)->id, "c");
    CU_ASSERT_PTR_NOT_NULL(rule_set_find(set, "d"));
    CU_ASSERT_PTR_NULL(rule_set_find(set, "b"));
    struct rule *like = named("x", RULE_SESSION, "command:npm test");
    TEST_TEXT(rule_set_same(set, like)->id, "c");
    rule_free(like);
    like = named("x", RULE_WORKSPACE, "command:npm test");
    CU_ASSERT_PTR_NULL(rule_set_same(set, like));
    rule_free(like);
    CU_ASSERT_EQUAL(rule_set_next_end(set).ns, INSTANT_NEVER.ns);
    rule_set_same(set, rule_set_find(set, "c"))->expires_at = 50;
    rule_set_same(set, rule_set_find(set, "d"))->expires_at = 40;
    rule_begins(rule_set_same(set, rule_set_find(set, "c")), (struct instant){7000000}, 10);
    rule_begins(rule_set_same(set, rule_set_find(set, "d")), (struct instant){7000000}, 10);
    CU_ASSERT_EQUAL(rule_set_next_end(set).ns, 37000000);
    for (const char *id = "c"; id; id = !strcmp(id, "c") ? "d" : NULL) {
        struct rule *rule = rule_set_remove(set, id);
        free(rule->user);
        rule->user = strdup("ann");
        rule_set_add(set, rule);
    }
    struct rule_place knowing = here;
    knowing.knows_user = knows_nobody;
    CU_ASSERT_PTR_NULL(rule_set_match(set, &knowing, ask, 0));
    knowing.knows_user = knows_its_maker;
    knowing.users = set;
    CU_ASSERT_PTR_NOT_NULL(rule_set_match(set, &knowing, ask, 0));
    CU_ASSERT_PTR_NULL(rule_set_match(set, &here, ask, 50));
    permission_ask_free(ask);
    rule_set_free(set);
}

TEST_MAIN("rule", TEST(plain_words_only), TEST(paths_have_a_normal_form), TEST(a_command_rule_matches_its_command_only),
          TEST(an_odd_command_rule_matches_nothing), TEST(a_rule_reaches_as_far_as_its_scope), TEST(a_rule_expires),
          TEST(a_path_rule_stays_in_its_folder), TEST(all_paths_must_lie_in_it), TEST(the_label_says_what_will_match),
          TEST(a_label_cannot_be_dressed_up),
          TEST(a_set_finds_the_oldest_that_covers))
