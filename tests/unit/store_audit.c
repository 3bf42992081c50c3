/* Rules and the audit: what every store promises of them, asked of each. */
#define _GNU_SOURCE
#include "signalbox/store/store.h"

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "support/folder.h"
#include "support/test.h"

static char *folder;
static struct store *store;
static struct store_reader *reader;

static enum err open_sqlite(struct store **out)
{
    char why[512] = "";
    enum err err = store_sqlite_open(out, folder, why, sizeof(why));
    if (err != ERR_OK) {
        printf("\n    %s\n", why);
    }
    return err;
}

static enum err (*const backends[])(struct store **out) = {open_sqlite, store_memory_open};

static void on_each(void (*test)(void))
{
    for (size_t i = 0; i < array_size(backends); i++) {
        folder = folder_new();
        CU_ASSERT_EQUAL_FATAL(backends[i](&store), ERR_OK);
        CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
        test();
        reader->operations->reader_close(reader);
        store->operations->close(store);
        folder_remove(folder);
    }
}

#define T(text) ((char *)(uintptr_t)(text))

static struct stored_rule rule_of(const char *id, const char *user)
{
    return (struct stored_rule){
        .id = T(id), .user = T(user), .scope = T("workspace"), .workspace = T("/srv/work"), .match = T("command"),
        .command = T("npm test"), .label = T("npm test in work"), .created_at = 1000, .request_id = T("p-s-1-1"),
    };
}

static struct audit_entry entry_of(int64_t at, const char *session, const char *user, const char *outcome)
{
    return (struct audit_entry){
        .at = at, .action = T("decision"), .session_id = T(session), .workspace = T("/srv/work"), .agent = T("shell"),
        .request_id = T("p-s-1-1"), .request = T("{\"command\":\"npm test\"}"), .outcome = T(outcome), .by = T("user"),
        .user = T(user),
    };
}

static enum err append(struct store_write *writes, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        writes[i].next = &writes[i + 1];
    }
    return store->operations->append(store, writes);
}

static enum err add_rule(const struct stored_rule *rule)
{
    return append((struct store_write[]){{.kind = STORE_RULE, .rule = rule}}, 1);
}

static void add_entry(int64_t at, const char *session, const char *user, const char *outcome)
{
    struct audit_entry entry = entry_of(at, session, user, outcome);
    CU_ASSERT_EQUAL(append((struct store_write[]){{.kind = STORE_AUDIT, .audit = &entry}}, 1), ERR_OK);
}

struct seen {
    char text[1024];
    size_t count, stop_after;
    int64_t last;
};

static void note(struct seen *seen, const char *text)
{
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof(seen->text) - length, "%s%s", length > 0 ? " " : "", text);
    seen->count++;
}

static bool see_rule(void *context, const struct stored_rule *rule)
{
    struct seen *seen = context;
    note(seen, rule->id);
    seen->last = rule->key;
    return seen->count != seen->stop_after;
}

static struct seen rules(int64_t after, size_t limit, const struct rule_filter *filter)
{
    struct seen seen = {.count = 0};
    CU_ASSERT_EQUAL(reader->operations->list_rules(reader, after, limit, filter, see_rule, &seen), ERR_OK);
    return seen;
}

static bool see_entry(void *context, const struct audit_entry *entry)
{
    struct seen *seen = context;
    char number[24];
    snprintf(number, sizeof(number), "%lld", (long long)entry->number);
    note(seen, number);
    seen->last = entry->number;
    return seen->count != seen->stop_after;
}

static struct seen entries(int64_t after, bool newest_first, size_t limit, const struct audit_filter *filter)
{
    struct seen seen = {.count = 0};
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, after, newest_first, limit, filter, see_entry, &seen),
                    ERR_OK);
    return seen;
}

/* ---- Rules ---- */

static bool copy_rule(void *context, const struct stored_rule *rule)
{
    CU_ASSERT_EQUAL(stored_rule_copy(context, rule), ERR_OK);
    return true;
}

static void rules_come_and_go(void)
{
    TEST_TEXT(rules(0, SIZE_MAX, NULL).text, "");
    struct stored_rule whole = {
        .id = T("r1"), .user = T("ann"), .scope = T("session"), .session_key = 7, .session_id = T("s1"),
        .workspace = T("/srv/a"), .match = T("path"), .command = NULL, .tool_kind = T("edit"), .path = T("/srv/a/src"),
        .label = T("edits below src"), .created_at = 1000, .expires_at = 5000, .request_id = T("p-s1-1-1"),
    };
    CU_ASSERT_EQUAL(add_rule(&whole), ERR_OK);
    struct stored_rule got = {0};
    CU_ASSERT_EQUAL(reader->operations->list_rules(reader, 0, SIZE_MAX, NULL, copy_rule, &got), ERR_OK);
    CU_ASSERT_TRUE(got.key > 0);
    struct buffer is = {0}, wanted = {0};
    stored_rule_json(&is, &got);
    stored_rule_json(&wanted, &whole);
    buffer_byte(&is, '\0');
    buffer_byte(&wanted, '\0');
    TEST_TEXT(is.data, wanted.data);
    TEST_TEXT(is.data, "{\"ruleId\":\"r1\",\"user\":\"ann\",\"scope\":\"session\",\"sessionId\":\"s1\","
                       "\"workspace\":\"/srv/a\",\"match\":\"path\",\"kind\":\"edit\",\"path\":\"/srv/a/src\","
                       "\"label\":\"edits below src\",\"createdAt\":1000,\"expiresAt\":5000,"
                       "\"requestId\":\"p-s1-1-1\"}");
    CU_ASSERT_EQUAL(got.session_key, 7);
    CU_ASSERT_PTR_NULL(got.command);
    stored_rule_clear(&got);
    CU_ASSERT_PTR_NULL(got.id);
    buffer_free(&is);
    buffer_free(&wanted);

    CU_ASSERT_EQUAL(add_rule(&whole), ERR_EXIST);
    for (const char *id = "r2\0r3\0"; *id; id += 3) {
        struct stored_rule rule = rule_of(id, "ben");
        CU_ASSERT_EQUAL(add_rule(&rule), ERR_OK);
    }
    TEST_TEXT(rules(0, SIZE_MAX, NULL).text, "r1 r2 r3");
    struct seen first = rules(0, 2, NULL);
    TEST_TEXT(first.text, "r1 r2");
    TEST_TEXT(rules(first.last, 2, NULL).text, "r3");
    TEST_TEXT(rules(0, 9, &(struct rule_filter){.user = "ben"}).text, "r2 r3");
    TEST_TEXT(rules(0, 9, &(struct rule_filter){.session_id = "s1"}).text, "r1");
    TEST_TEXT(rules(0, 9, &(struct rule_filter){.workspace = "/srv/work", .user = "ann"}).text, "");
    struct seen stopped = {.stop_after = 1};
    CU_ASSERT_EQUAL(reader->operations->list_rules(reader, 0, 9, NULL, see_rule, &stopped), ERR_OK);
    CU_ASSERT_EQUAL(stopped.count, 1);

    struct store_write remove[] = {{.kind = STORE_RULE_REMOVE, .rule_id = "r3"},
                                   {.kind = STORE_RULE_REMOVE, .rule_id = "not there"}};
    CU_ASSERT_EQUAL(append(remove, 2), ERR_OK);
    TEST_TEXT(rules(0, SIZE_MAX, NULL).text, "r1 r2");
    struct stored_rule later = rule_of("r4", "ann");
    CU_ASSERT_EQUAL(add_rule(&later), ERR_OK);
    TEST_TEXT(rules(first.last, 2, NULL).text, "r4"); /* a key is not given again */
}

static void rules_of_a_session_go_with_it_and_its_audit_stays(void)
{
    struct stored_rule of_session = rule_of("r1", "ann"), of_workspace = rule_of("r2", "ann");
    of_session.scope = T("session");
    of_session.session_key = 1;
    of_session.session_id = T("s1");
    CU_ASSERT_EQUAL(add_rule(&of_session), ERR_OK);
    CU_ASSERT_EQUAL(add_rule(&of_workspace), ERR_OK);
    struct session_row row = {.key = 1, .id = T("s1"), .phase = T("closed"), .closed = true};
    struct audit_entry entry = entry_of(1000, "s1", "ann", "allowed");
    CU_ASSERT_EQUAL(append((struct store_write[]){{.kind = STORE_SESSION, .session_key = 1, .row = &row},
                                                  {.kind = STORE_AUDIT, .audit = &entry}}, 2), ERR_OK);
    CU_ASSERT_EQUAL(append((struct store_write[]){{.kind = STORE_PURGE, .session_key = 1}}, 1), ERR_OK);
    TEST_TEXT(rules(0, 9, NULL).text, "r2");
    TEST_TEXT(entries(0, false, 9, &(struct audit_filter){.session_id = "s1"}).text, "1");
}

/* ---- The audit ---- */

static bool copy_entry(void *context, const struct audit_entry *entry)
{
    CU_ASSERT_EQUAL(audit_entry_copy(context, entry), ERR_OK);
    return true;
}

static void an_entry_comes_back_whole(void)
{
    struct audit_entry whole = {
        .at = 1700000000000, .action = T("decision"), .session_id = T("s"), .workspace = T("/w"), .agent = T("a"),
        .request_id = T("p"), .request = T("{\"x\":[1]}"), .outcome = T("allowed"), .option_id = T("o"),
        .always_allow = true, .by = T("user"), .user = T("ann"), .rule_id = T("r0"), .policy = T("ask"),
        .policy_before = T("trust"), .reason = T("why"), .message = T("\"go\"\n"), .made_rule_id = T("r1"),
        .rule = T("{\"ruleId\":\"r1\"}"), .address = T("192.0.2.7:1"), .client_id = T("c"), .transport = T("http"),
        .command_id = T("k"),
    };
    CU_ASSERT_EQUAL(append((struct store_write[]){{.kind = STORE_AUDIT, .audit = &whole}}, 1), ERR_OK);
    struct audit_entry got = {0};
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, 0, false, 9, NULL, copy_entry, &got), ERR_OK);
    struct buffer is = {0};
    audit_entry_json(&is, &got);
    buffer_byte(&is, '\0');
    TEST_TEXT(is.data, "{\"number\":1,\"at\":1700000000000,\"action\":\"decision\",\"sessionId\":\"s\","
                       "\"workspace\":\"/w\",\"agent\":\"a\",\"requestId\":\"p\",\"outcome\":\"allowed\","
                       "\"optionId\":\"o\",\"alwaysAllow\":true,\"by\":\"user\",\"user\":\"ann\",\"ruleId\":\"r0\","
                       "\"policy\":\"ask\",\"policyBefore\":\"trust\",\"reason\":\"why\",\"message\":\"\\\"go\\\"\\n\","
                       "\"madeRuleId\":\"r1\",\"rule\":{\"ruleId\":\"r1\"},\"from\":{\"address\":\"192.0.2.7:1\","
                       "\"transport\":\"http\",\"clientId\":\"c\",\"id\":\"k\"},\"request\":{\"x\":[1]}}");
    buffer_free(&is);
    audit_entry_clear(&got);
    CU_ASSERT_PTR_NULL(got.request);

    /* What is not there is left out. */
    struct audit_entry least = {.at = 5, .action = T("policy_changed"), .policy = T("trust")};
    CU_ASSERT_EQUAL(append((struct store_write[]){{.kind = STORE_AUDIT, .audit = &least}}, 1), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, 1, false, 9, NULL, copy_entry, &got), ERR_OK);
    struct buffer small = {0};
    audit_entry_json(&small, &got);
    buffer_byte(&small, '\0');
    TEST_TEXT(small.data, "{\"number\":2,\"at\":5,\"action\":\"policy_changed\",\"policy\":\"trust\"}");
    buffer_free(&small);
    audit_entry_clear(&got);
}

static void pages_follow_the_numbers(void)
{
    TEST_TEXT(entries(0, false, 9, NULL).text, "");
    TEST_TEXT(entries(0, true, 9, NULL).text, "");
    for (int64_t i = 1; i <= 7; i++) {
        add_entry(1000 + i, "s", "ann", "allowed");
    }
    TEST_TEXT(entries(0, false, 3, NULL).text, "1 2 3");
    TEST_TEXT(entries(3, false, 3, NULL).text, "4 5 6");
    add_entry(1008, "s", "ann", "allowed"); /* between two pages */
    TEST_TEXT(entries(6, false, 3, NULL).text, "7 8");
    TEST_TEXT(entries(8, false, 3, NULL).text, "");
    TEST_TEXT(entries(0, true, 3, NULL).text, "8 7 6");
    add_entry(1009, "s", "ann", "allowed");
    TEST_TEXT(entries(6, true, 3, NULL).text, "5 4 3");
    TEST_TEXT(entries(3, true, 3, NULL).text, "2 1");
    TEST_TEXT(entries(1, true, 3, NULL).text, "");
    TEST_TEXT(entries(INT64_MAX, false, 3, NULL).text, "");
    TEST_TEXT(entries(INT64_MAX, true, 1, NULL).text, "9");
    TEST_TEXT(entries(0, false, 0, NULL).text, "");
    struct seen stopped = {.stop_after = 2};
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, 0, false, 9, NULL, see_entry, &stopped), ERR_OK);
    TEST_TEXT(stopped.text, "1 2");
}

static void filters_say_what_is_wanted(void)
{
    static const struct {
        int64_t at;
        const char *session, *user, *outcome;
    } all[] = {
        {1000, "s1", "ann", "allowed"}, {2000, "s2", "ben", "rejected"}, {3000, "s1", NULL, "timeout"},
        {2500, "s1", "ben", "allowed"}, /* the clock was set back */
        {4000, NULL, "ann", NULL},      {5000, "s2", "ann", "cancelled"},
    };
    for (size_t i = 0; i < array_size(all); i++) {
        add_entry(all[i].at, all[i].session, all[i].user, all[i].outcome);
    }
    static const struct {
        struct audit_filter filter;
        const char *numbers, *backwards;
    } asked[] = {
        {{.session_id = "s1"}, "1 3 4", "4 3 1"},
        {{.user = "ann"}, "1 5 6", "6 5 1"},
        {{.user = "ann", .session_id = "s2"}, "6", "6"},
        {{.outcome = "allowed"}, "1 4", "4 1"},
        {{.outcome = "allowed", .user = "ben"}, "4", "4"},
        {{.since = 2500}, "3 4 5 6", "6 5 4 3"},
        {{.until = 2500}, "1 2", "2 1"},
        {{.since = 2000, .until = 3000}, "2 4", "4 2"},
        {{.since = 2000, .until = 3000, .session_id = "s1"}, "4", "4"},
        {{.since = 9000}, "", ""},
        {{.until = 1}, "", ""},
        {{.session_id = "nobody's"}, "", ""},
        {{.session_id = "s1' OR '1"}, "", ""},
    };
    for (size_t i = 0; i < array_size(asked); i++) {
        TEST_TEXT(entries(0, false, 9, &asked[i].filter).text, asked[i].numbers);
        TEST_TEXT(entries(0, true, 9, &asked[i].filter).text, asked[i].backwards);
        /* One at a time is the same. */
        for (int newest_first = 0; newest_first < 2; newest_first++) {
            struct seen one = {.count = 0};
            int64_t after = 0;
            for (size_t got = 1; got > 0;) {
                struct seen page = entries(after, newest_first != 0, 1, &asked[i].filter);
                got = page.count;
                after = page.last;
                if (got > 0) {
                    note(&one, page.text);
                }
            }
            TEST_TEXT(one.text, newest_first ? asked[i].backwards : asked[i].numbers);
        }
    }
}

/* More than one transaction of a reader, and rare ones among many. */
static void long_lists(void)
{
    enum { MANY = 10000, GROUP = 1000 };
    static struct audit_entry entry[2];
    static struct store_write writes[GROUP];
    entry[0] = entry_of(1000, "s", "ann", "allowed");
    entry[1] = entry_of(2000, "rare", "ben", "rejected");
    for (size_t from = 0; from < MANY; from += GROUP) {
        for (size_t i = 0; i < GROUP; i++) {
            writes[i] = (struct store_write){.kind = STORE_AUDIT, .audit = &entry[(from + i) % 5000 == 4999]};
        }
        CU_ASSERT_EQUAL_FATAL(append(writes, GROUP), ERR_OK);
    }
    static const struct audit_filter rare[] = {
        {.session_id = "rare"}, {.user = "ben"}, {.outcome = "rejected"}, {.since = 1500}};
    for (size_t i = 0; i < array_size(rare); i++) {
        TEST_TEXT(entries(0, false, 9, &rare[i]).text, "5000 10000");
        TEST_TEXT(entries(0, true, 9, &rare[i]).text, "10000 5000");
        TEST_TEXT(entries(5000, false, 9, &rare[i]).text, "10000");
    }
    CU_ASSERT_EQUAL(entries(0, false, SIZE_MAX, NULL).count, MANY);
    struct seen back = entries(0, true, SIZE_MAX, &(struct audit_filter){.user = "ann"});
    CU_ASSERT_EQUAL(back.count, MANY - 2);
    CU_ASSERT_EQUAL(back.last, 1);
}

static void a_group_is_whole_or_not_at_all(void)
{
    struct stored_rule first = rule_of("r1", "ann"), second = rule_of("r2", "ann");
    struct audit_entry entry = entry_of(1000, "s1", "ann", "allowed");
    CU_ASSERT_EQUAL(add_rule(&first), ERR_OK);
    struct store_write failing[] = {
        {.kind = STORE_AUDIT, .audit = &entry},
        {.kind = STORE_RULE, .rule = &second},
        {.kind = STORE_RULE_REMOVE, .rule_id = "r1"},
        {.kind = STORE_EVENT, .session_key = 1, .seq = 1, .event_kind = "x", .json = "{}", .json_length = 2},
        {.kind = STORE_EVENT, .session_key = 1, .seq = 1, .event_kind = "x", .json = "{}", .json_length = 2},
    };
    CU_ASSERT_EQUAL(append(failing, array_size(failing)), ERR_EXIST);
    TEST_TEXT(rules(0, 9, NULL).text, "r1");
    TEST_TEXT(entries(0, false, 9, NULL).text, "");
    failing[4].seq = 2;
    CU_ASSERT_EQUAL(append(failing, array_size(failing)), ERR_OK); /* the same group, tried again */
    TEST_TEXT(rules(0, 9, NULL).text, "r2");
    TEST_TEXT(entries(0, false, 9, NULL).text, "1"); /* and the number was not used up */

    struct stored_rule twice = rule_of("r3", "ann");
    struct store_write same[] = {{.kind = STORE_AUDIT, .audit = &entry},
                                 {.kind = STORE_RULE, .rule = &twice},
                                 {.kind = STORE_RULE, .rule = &twice}};
    CU_ASSERT_EQUAL(append(same, 3), ERR_EXIST);
    TEST_TEXT(rules(0, 9, NULL).text, "r2");
    TEST_TEXT(entries(0, false, 9, NULL).text, "1");
}

/* ---- Reading while others write ---- */

enum { WRITTEN = 2000 };

static void write_entries(size_t number, void *context)
{
    (void)number;
    (void)context;
    struct audit_entry entry = entry_of(1000, "s", "ann", "allowed");
    for (int i = 0; i < WRITTEN; i++) {
        struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
        if (store->operations->append(store, &write) != ERR_OK) {
            abort();
        }
    }
}

struct walk {
    int64_t last;
    size_t count;
    bool jumped;
};

static bool walk_on(void *context, const struct audit_entry *entry)
{
    struct walk *walk = context;
    walk->jumped |= entry->number != walk->last + 1;
    walk->last = entry->number;
    walk->count++;
    return true;
}

static void pages_skip_and_repeat_nothing_while_entries_come(void)
{
    struct test_threads writer = test_threads_start(1, write_entries, NULL);
    struct walk walk = {0};
    while (walk.count < WRITTEN && !walk.jumped) {
        CU_ASSERT_EQUAL_FATAL(
            reader->operations->list_audit(reader, walk.last, false, 37, NULL, walk_on, &walk), ERR_OK);
    }
    test_threads_join(&writer);
    CU_ASSERT_FALSE(walk.jumped);
    CU_ASSERT_EQUAL(walk.count, WRITTEN);
}

#define EACH(test)                                                                                 \
    static void each_##test(void)                                                                  \
    {                                                                                              \
        on_each(test);                                                                             \
    }
EACH(rules_come_and_go)
EACH(rules_of_a_session_go_with_it_and_its_audit_stays)
EACH(an_entry_comes_back_whole)
EACH(pages_follow_the_numbers)
EACH(filters_say_what_is_wanted)
EACH(long_lists)
EACH(a_group_is_whole_or_not_at_all)
EACH(pages_skip_and_repeat_nothing_while_entries_come)

TEST_MAIN("store_audit", TEST(each_rules_come_and_go), TEST(each_rules_of_a_session_go_with_it_and_its_audit_stays),
          TEST(each_an_entry_comes_back_whole), TEST(each_pages_follow_the_numbers),
          TEST(each_filters_say_what_is_wanted), TEST(each_long_lists), TEST(each_a_group_is_whole_or_not_at_all),
          TEST(each_pages_skip_and_repeat_nothing_while_entries_come))
