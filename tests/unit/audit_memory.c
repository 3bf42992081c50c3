/* Rules and the audit without memory, at every single allocation: returned, nothing is half, and nothing leaks (under
 * ASan). */
#define _GNU_SOURCE
#include "role/maintenance_audit.h"
#include "signalbox/base/check.h"
#include "signalbox/store/store.h"
#include "support/folder.h"
#include "support/oom.h"
#include "support/test.h"

#define T(text) ((char *)(uintptr_t)(text))

static struct store *store;
static struct store_reader *reader;
static size_t entries;

static bool count_entry(void *context, const struct audit_entry *entry)
{
    (void)entry;
    ++*(size_t *)context;
    return true;
}

static bool count_rule(void *context, const struct stored_rule *rule)
{
    (void)rule;
    ++*(size_t *)context;
    return true;
}

static void count(size_t *rules, size_t *audit)
{
    *rules = *audit = 0;
    CU_ASSERT_EQUAL(reader->operations->list_rules(reader, 0, SIZE_MAX, NULL, count_rule, rules), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, 0, false, SIZE_MAX, NULL, count_entry, audit), ERR_OK);
}

/* A group of rules and entries, in a store that has none yet, so that all of it needs room. */
static bool append_group(void)
{
    long failing = atomic_exchange(&oom_countdown, -1);
    CHECK(!store_memory_open(&store) && !store->operations->reader_open(store, &reader));
    atomic_store(&oom_countdown, failing);
    char ids[40][8];
    struct stored_rule rules[40];
    struct store_write writes[80] = {{0}};
    const struct audit_entry entry = {.action = T("decision"), .request = T("{}")};
    for (size_t i = 0; i < 40; i++) {
        snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
        rules[i] = (struct stored_rule){.id = ids[i], .user = T("ann")};
        writes[2 * i] = (struct store_write){.kind = STORE_RULE, .rule = &rules[i], .next = &writes[2 * i + 1]};
        writes[2 * i + 1] = (struct store_write){.kind = STORE_AUDIT, .audit = &entry,
                                                 .next = i < 39 ? &writes[2 * i + 2] : NULL};
    }
    enum err err = store->operations->append(store, writes);
    failing = atomic_exchange(&oom_countdown, -1);
    size_t rule_count, audit_count;
    count(&rule_count, &audit_count);
    bool fine = err == ERR_OK ? rule_count == 40 && audit_count == 40
                              : err == ERR_NOMEM && rule_count == 0 && audit_count == 0;
    if (err != ERR_OK) { /* the same group, when there is memory again */
        fine = fine && store->operations->append(store, writes) == ERR_OK;
    }
    reader->operations->reader_close(reader);
    store->operations->close(store);
    atomic_store(&oom_countdown, failing);
    return fine;
}

static void a_group_is_whole_or_not_at_all(void)
{
    bool fine;
    CU_ASSERT_TRUE(oom_each(append_group, &fine) > 5);
    CU_ASSERT_TRUE(fine);
}

static bool list_page(void)
{
    struct list_request *request;
    if (list_request_new(&request)) {
        return true;
    }
    request->kind = LIST_AUDIT;
    enum err err = maintenance_list_audit(reader, request);
    bool fine = err == ERR_OK && (buffer_ok(&request->items) ? request->count == entries : true);
    list_request_free(request);
    return fine;
}

static void a_page_that_has_no_room_is_told_by_its_buffer(void)
{
    CHECK(!store_memory_open(&store) && !store->operations->reader_open(store, &reader));
    for (entries = 0; entries < 50; entries++) {
        const struct audit_entry entry = {.action = T("decision"), .request = T("{\"command\":\"npm test\"}")};
        struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
        CHECK(!store->operations->append(store, &write));
    }
    bool fine;
    CU_ASSERT_TRUE(oom_each(list_page, &fine) > 3);
    CU_ASSERT_TRUE(fine);
    reader->operations->reader_close(reader);
    store->operations->close(store);
}

static char *folder;

static bool look_from_outside(void)
{
    struct store_reader *outside;
    char why[512] = "";
    size_t seen = 0;
    enum err err = store_sqlite_look(&outside, folder, why, sizeof(why));
    if (err != ERR_OK) {
        return err == ERR_NOMEM && strstr(why, "memory");
    }
    err = outside->operations->list_audit(outside, 0, false, SIZE_MAX, NULL, count_entry, &seen);
    outside->operations->reader_close(outside);
    return err == ERR_OK ? seen == 3 : err == ERR_NOMEM && strstr(why, "memory");
}

static void a_look_from_outside_says_so(void)
{
    char why[512] = "";
    folder = folder_new();
    CHECK(!store_sqlite_open(&store, folder, why, sizeof(why)));
    for (size_t i = 0; i < 3; i++) {
        const struct audit_entry entry = {.action = T("decision")};
        struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
        CHECK(!store->operations->append(store, &write));
    }
    store->operations->close(store);
    bool fine;
    CU_ASSERT_TRUE(oom_each(look_from_outside, &fine) > 2);
    CU_ASSERT_TRUE(fine);
    folder_remove(folder);
}

TEST_MAIN("audit_memory", TEST(a_group_is_whole_or_not_at_all), TEST(a_page_that_has_no_room_is_told_by_its_buffer),
          TEST(a_look_from_outside_says_so))
