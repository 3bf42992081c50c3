/* What every store promises, asked of each of them. */
#define _GNU_SOURCE
#include <CUnit/Basic.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signalbox/store/store.h"

static char directory[512];
static struct store *store;
static struct store_reader *reader;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "%s/store-test-XXXXXX", TEST_BINARY_DIR);
    if (!mkdtemp(directory)) {
        abort();
    }
}

static enum err open_sqlite(struct store **out)
{
    char why[512] = "";
    enum err err = store_sqlite_open(out, directory, why, sizeof(why));
    if (err) {
        printf("%s\n", why);
    }
    return err;
}

static const struct backend {
    const char *name;
    enum err (*open)(struct store **out);
    size_t many; /* sessions in the test of long lists */
} backends[] = {
    {"sqlite", open_sqlite, 20000},
    {"memory", store_memory_open, 2000},
};
static const struct backend *backend;

static void setup(void)
{
    make_directory();
    if (backend->open(&store) || store->operations->reader_open(store, &reader)) {
        abort();
    }
}

static void teardown(void)
{
    reader->operations->reader_close(reader);
    store->operations->close(store);
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct store_write event_of(int64_t key, uint64_t seq, const char *json,
                                   struct store_write *next)
{
    return (struct store_write){
        .kind = STORE_EVENT,
        .session_key = key,
        .seq = seq,
        .event_kind = "text_delta",
        .ts = 1700000000000,
        .json = json,
        .json_length = strlen(json),
        .next = next,
    };
}

static enum err append_event(int64_t key, uint64_t seq, const char *json)
{
    struct store_write write = event_of(key, seq, json, NULL);
    return store->operations->append(store, &write);
}

static struct session_row row_of(int64_t key, const char *id)
{
    return (struct session_row){
        .key = key,
        .id = (char *)(uintptr_t)id,
        .agent = (char *)(uintptr_t) "shell",
        .workspace = (char *)(uintptr_t) "/srv/work",
        .policy = (char *)(uintptr_t) "ask",
        .phase = (char *)(uintptr_t) "stopped",
        .epoch = (char *)(uintptr_t) "e1",
        .created_by = (char *)(uintptr_t) "local",
        .created_at = 1000,
        .updated_at = 1000 + key,
    };
}

static enum err append_row(const struct session_row *row)
{
    struct store_write write = {.kind = STORE_SESSION, .session_key = row->key, .row = row};
    return store->operations->append(store, &write);
}

struct seen {
    char text[256];
    size_t count, stop_after;
    uint64_t first, last;
    bool holes;
};

static bool see_event(void *context, uint64_t seq, const char *json, size_t length)
{
    struct seen *seen = context;
    if (seen->count == 0) {
        seen->first = seq;
    } else if (seq != seen->last + 1) {
        seen->holes = true;
    }
    seen->last = seq;
    seen->count++;
    size_t used = strlen(seen->text);
    if (length < sizeof(seen->text) - used) {
        memcpy(seen->text + used, json, length);
        seen->text[used + length] = '\0';
    }
    return seen->count != seen->stop_after;
}

static struct seen read_range(int64_t key, uint64_t from, uint64_t to, size_t stop_after)
{
    struct seen seen = {.stop_after = stop_after};
    CU_ASSERT_EQUAL(reader->operations->read_events(reader, key, from, to, see_event, &seen),
                    ERR_OK);
    return seen;
}

static void test_events(void)
{
    struct store_write other = event_of(2, 1, "{other}", NULL);
    struct store_write third = event_of(1, 3, "{c}", &other);
    struct store_write second = event_of(1, 2, "{b}", &third);
    struct store_write first = event_of(1, 1, "{a}", &second);
    CU_ASSERT_EQUAL(store->operations->append(store, &first), ERR_OK);
    CU_ASSERT_EQUAL(append_event(1, 4, "{d}"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(read_range(1, 1, 4, 0).text, "{a}{b}{c}{d}");
    CU_ASSERT_STRING_EQUAL(read_range(1, 0, UINT64_MAX, 0).text, "{a}{b}{c}{d}");
    CU_ASSERT_STRING_EQUAL(read_range(1, 2, 3, 0).text, "{b}{c}");
    CU_ASSERT_STRING_EQUAL(read_range(1, 2, 9, 1).text, "{b}");
    CU_ASSERT_STRING_EQUAL(read_range(2, 1, 9, 0).text, "{other}");
    CU_ASSERT_EQUAL(read_range(1, 5, 9, 0).count, 0);
    CU_ASSERT_EQUAL(read_range(1, 3, 2, 0).count, 0);
    CU_ASSERT_EQUAL(read_range(7, 1, 9, 0).count, 0);
    CU_ASSERT_EQUAL(store->operations->append(store, NULL), ERR_OK);
}

/* More than one transaction's worth, by count and by bytes. */
static void test_long_reads(void)
{
    enum { COUNT = 1500 };
    static struct store_write writes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        writes[i] = event_of(3, i + 1, "{}", i + 1 < COUNT ? &writes[i + 1] : NULL);
    }
    CU_ASSERT_EQUAL(store->operations->append(store, writes), ERR_OK);
    size_t large = 200 << 10;
    char *text = malloc(large + 1);
    memset(text, 'x', large);
    text[large] = '\0';
    for (uint64_t seq = COUNT + 1; seq <= COUNT + 5; seq++) {
        CU_ASSERT_EQUAL(append_event(3, seq, text), ERR_OK);
    }
    free(text);
    struct seen seen = read_range(3, 1, COUNT + 100, 0);
    CU_ASSERT_EQUAL(seen.first, 1);
    CU_ASSERT_EQUAL(seen.count, COUNT + 5);
    CU_ASSERT_EQUAL(seen.last, COUNT + 5);
    CU_ASSERT_FALSE(seen.holes);
    CU_ASSERT_EQUAL(read_range(3, 1, COUNT, 512).last, 512);
    CU_ASSERT_EQUAL(read_range(3, 1, COUNT, 700).last, 700);
}

static void test_group_is_whole(void)
{
    struct session_row row = row_of(1, "one");
    CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    CU_ASSERT_EQUAL(append_event(1, 1, "{a}"), ERR_OK);
    row.title = (char *)(uintptr_t) "new title";
    struct store_write twice = event_of(1, 1, "{again}", NULL);
    struct store_write other = event_of(2, 1, "{other}", &twice);
    struct store_write change = {
        .kind = STORE_SESSION, .session_key = 1, .row = &row, .next = &other};
    struct store_write second = event_of(1, 2, "{b}", &change);
    CU_ASSERT_EQUAL(store->operations->append(store, &second), ERR_EXIST);
    CU_ASSERT_STRING_EQUAL(read_range(1, 1, 9, 0).text, "{a}");
    CU_ASSERT_EQUAL(read_range(2, 1, 9, 0).count, 0);
    struct session_row read;
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "one", &read), ERR_OK);
    CU_ASSERT_PTR_NULL(read.title);
    session_row_clear(&read);
    /* The same list without its mistake. */
    other.next = NULL;
    CU_ASSERT_EQUAL(store->operations->append(store, &second), ERR_OK);
    CU_ASSERT_STRING_EQUAL(read_range(1, 1, 9, 0).text, "{a}{b}");
    struct session_row same_id = row_of(2, "one");
    CU_ASSERT_EQUAL(append_row(&same_id), ERR_EXIST);
}

static void test_rows(void)
{
    struct session_row row = row_of(5, "five");
    struct session_row read = {0};
    CU_ASSERT_EQUAL(reader->operations->read_session(reader, "five", &read), ERR_NOENT);
    CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "five", &read), ERR_OK);
    CU_ASSERT_PTR_NULL(read.title);
    CU_ASSERT_PTR_NULL(read.queue);
    CU_ASSERT_PTR_NULL(read.agent_state);
    session_row_clear(&read);
    CU_ASSERT_PTR_NULL(read.id);

    row.title = (char *)(uintptr_t) "a \"title\" \xf0\x9f\x98\x80";
    row.phase = (char *)(uintptr_t) "waiting";
    row.queue = (char *)(uintptr_t) "[1]";
    row.agent_state = (char *)(uintptr_t) "{\"id\":1}";
    row.head = 12;
    row.open_from = 7;
    row.run = 3;
    row.pending = 2;
    row.oldest_pending_at = 1700000000001;
    row.closed = true;
    CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "five", &read), ERR_OK);
    CU_ASSERT_EQUAL(read.key, 5);
    CU_ASSERT_STRING_EQUAL(read.id, "five");
    CU_ASSERT_STRING_EQUAL(read.agent, "shell");
    CU_ASSERT_STRING_EQUAL(read.workspace, "/srv/work");
    CU_ASSERT_STRING_EQUAL(read.title, row.title);
    CU_ASSERT_STRING_EQUAL(read.policy, "ask");
    CU_ASSERT_STRING_EQUAL(read.phase, "waiting");
    CU_ASSERT_STRING_EQUAL(read.epoch, "e1");
    CU_ASSERT_STRING_EQUAL(read.created_by, "local");
    CU_ASSERT_EQUAL(read.created_at, 1000);
    CU_ASSERT_EQUAL(read.updated_at, 1005);
    CU_ASSERT_EQUAL(read.head, 12);
    CU_ASSERT_EQUAL(read.open_from, 7);
    CU_ASSERT_EQUAL(read.run, 3);
    CU_ASSERT_EQUAL(read.pending, 2);
    CU_ASSERT_EQUAL(read.oldest_pending_at, 1700000000001);
    CU_ASSERT_TRUE(read.closed);
    CU_ASSERT_STRING_EQUAL(read.queue, "[1]");
    CU_ASSERT_STRING_EQUAL(read.agent_state, "{\"id\":1}");
    session_row_clear(&read);

    /* The log is ahead of the row. */
    CU_ASSERT_EQUAL(append_event(5, 13, "{}"), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "five", &read), ERR_OK);
    CU_ASSERT_EQUAL(read.head, 13);
    session_row_clear(&read);
}

static void test_purge(void)
{
    struct session_row row = row_of(1, "one");
    struct session_row read = {0};
    CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    CU_ASSERT_EQUAL(append_event(1, 1, "{a}"), ERR_OK);
    CU_ASSERT_EQUAL(append_event(2, 1, "{kept}"), ERR_OK);
    struct store_write purge = {.kind = STORE_PURGE, .session_key = 1};
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->read_session(reader, "one", &read), ERR_NOENT);
    CU_ASSERT_EQUAL(read_range(1, 1, 9, 0).count, 0);
    CU_ASSERT_STRING_EQUAL(read_range(2, 1, 9, 0).text, "{kept}");
    /* What is not there can be purged. */
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
}

static enum err append_of(int64_t key, uint64_t seq, const char *kind, int64_t ts)
{
    struct store_write write = event_of(key, seq, "{x}", NULL);
    write.event_kind = kind;
    write.ts = ts;
    return store->operations->append(store, &write);
}

static enum err fold_part(int64_t key, uint64_t seq, const char *json, uint64_t from, uint64_t to,
                          uint64_t done_to)
{
    struct store_fold_event event = {.seq = seq, .json = json, .json_length = strlen(json)};
    struct store_fold_range gone = {.from = from, .to = to};
    struct store_fold fold = {.session_key = key,
                              .events = &event,
                              .event_count = 1,
                              .gone = &gone,
                              .gone_count = 1,
                              .done_to = done_to};
    return store->operations->fold(store, &fold);
}

static void expect_unfolded(int64_t ended_by, int64_t key, const char *id, uint64_t from,
                            uint64_t to)
{
    struct store_unfolded got = {0};
    CU_ASSERT_EQUAL_FATAL(reader->operations->find_unfolded(reader, ended_by, &got), ERR_OK);
    CU_ASSERT_EQUAL(got.session_key, key);
    CU_ASSERT_STRING_EQUAL(got.session_id, id);
    CU_ASSERT_EQUAL(got.from, from);
    CU_ASSERT_EQUAL(got.to, to);
}

static void test_turns_are_found(void)
{
    struct store_unfolded none;
    uint64_t turn = 0;
    struct session_row row = row_of(2, "two");
    CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_session(reader, 2), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_session(reader, 3), ERR_NOENT);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 2, 100, &turn), ERR_NOENT);
    CU_ASSERT_EQUAL(append_of(2, 1, "session_created", 10), ERR_OK);
    CU_ASSERT_EQUAL(append_of(2, 2, "turn_started", 10), ERR_OK);
    CU_ASSERT_EQUAL(append_of(2, 3, "text_delta", 10), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, INT64_MAX, &none), ERR_NOENT);
    CU_ASSERT_EQUAL(append_of(2, 4, "complete", 500), ERR_OK);
    CU_ASSERT_EQUAL(append_of(1, 1, "complete", 600), ERR_OK);
    CU_ASSERT_EQUAL(append_of(2, 5, "turn_started", 700), ERR_OK);
    CU_ASSERT_EQUAL(append_of(2, 6, "complete", 700), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 2, 1, &turn), ERR_NOENT);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 2, 2, &turn), ERR_OK);
    CU_ASSERT_EQUAL(turn, 2);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 2, 4, &turn), ERR_OK);
    CU_ASSERT_EQUAL(turn, 2);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 2, UINT64_MAX - 1, &turn), ERR_OK);
    CU_ASSERT_EQUAL(turn, 5);
    CU_ASSERT_EQUAL(reader->operations->find_turn(reader, 1, 100, &turn), ERR_NOENT);

    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, 499, &none), ERR_NOENT);
    expect_unfolded(500, 2, "two", 1, 4);
    expect_unfolded(INT64_MAX, 2, "two", 1, 4); /* its turn ended first */
    CU_ASSERT_EQUAL(fold_part(2, 4, "{f}", 3, 3, 4), ERR_OK);
    expect_unfolded(INT64_MAX, 1, "", 1, 1); /* a session without its row has no name */
    CU_ASSERT_EQUAL(fold_part(1, 1, "{f}", 9, 9, 1), ERR_OK);
    expect_unfolded(INT64_MAX, 2, "two", 5, 6);
    CU_ASSERT_EQUAL(fold_part(2, 6, "{f}", 9, 9, 6), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, INT64_MAX, &none), ERR_NOENT);
    CU_ASSERT_EQUAL(append_of(2, 7, "complete", 800), ERR_OK);
    expect_unfolded(INT64_MAX, 2, "two", 7, 7);
    struct store_write purge = {.kind = STORE_PURGE, .session_key = 2};
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, INT64_MAX, &none), ERR_NOENT);
}

static void test_fold(void)
{
    for (uint64_t seq = 1; seq <= 6; seq++) {
        CU_ASSERT_EQUAL(append_event(1, seq, "{raw}"), ERR_OK);
        CU_ASSERT_EQUAL(append_event(2, seq, "{kept}"), ERR_OK);
    }
    CU_ASSERT_EQUAL(fold_part(1, 4, "{four, for two of them}", 2, 3, 0), ERR_OK);
    struct seen seen = read_range(1, 1, 9, 0);
    CU_ASSERT_STRING_EQUAL(seen.text, "{raw}{four, for two of them}{raw}{raw}");
    CU_ASSERT_EQUAL(seen.last, 6);
    CU_ASSERT_EQUAL(read_range(1, 2, 3, 0).count, 0);
    CU_ASSERT_EQUAL(read_range(1, 3, 9, 1).first, 4);
    CU_ASSERT_EQUAL(read_range(2, 1, 9, 0).count, 6);
    CU_ASSERT_EQUAL(append_event(1, 7, "{raw}"), ERR_OK);
    CU_ASSERT_EQUAL(append_event(1, 6, "{raw}"), ERR_EXIST);
    /* What is not there, nor its session, is left out. */
    CU_ASSERT_EQUAL(fold_part(1, 3, "{three}", 20, 30, 0), ERR_OK);
    CU_ASSERT_EQUAL(fold_part(9, 3, "{three}", 1, 2, 3), ERR_OK);
    CU_ASSERT_EQUAL(read_range(1, 1, 9, 0).count, 5);
    CU_ASSERT_EQUAL(read_range(9, 1, 9, 0).count, 0);
}

struct keys {
    int64_t key[16];
    size_t count, stop_after;
};

static bool see_row(void *context, const struct session_row *row)
{
    struct keys *keys = context;
    if (keys->count < 16) {
        keys->key[keys->count] = row->key;
    }
    keys->count++;
    return keys->count != keys->stop_after;
}

static void test_open_ones(void)
{
    static const char *const phases[] = {"stopped", "starting", "running", "failed",
                                         "waiting", "idle",     "closed"};
    for (int64_t key = 1; key <= 7; key++) {
        char id[8];
        snprintf(id, sizeof(id), "s%d", (int)key);
        struct session_row row = row_of(key, id);
        row.phase = (char *)(uintptr_t)phases[key - 1];
        CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    }
    struct session_row asks = row_of(8, "asks");
    asks.pending = 1;
    struct session_row turns = row_of(9, "turns");
    turns.open_from = 4;
    CU_ASSERT_EQUAL(append_row(&asks), ERR_OK);
    CU_ASSERT_EQUAL(append_row(&turns), ERR_OK);
    struct keys keys = {0};
    CU_ASSERT_EQUAL(reader->operations->read_open(reader, see_row, &keys), ERR_OK);
    static const int64_t expected[] = {2, 3, 5, 6, 8, 9};
    CU_ASSERT_EQUAL(keys.count, 6);
    CU_ASSERT_EQUAL(memcmp(keys.key, expected, sizeof(expected)), 0);
    asks.pending = 0;
    CU_ASSERT_EQUAL(append_row(&asks), ERR_OK);
    keys = (struct keys){.stop_after = 2};
    CU_ASSERT_EQUAL(reader->operations->read_open(reader, see_row, &keys), ERR_OK);
    CU_ASSERT_EQUAL(keys.count, 2);
    keys = (struct keys){0};
    CU_ASSERT_EQUAL(reader->operations->read_open(reader, see_row, &keys), ERR_OK);
    CU_ASSERT_EQUAL(keys.count, 5);
}

static struct keys list(int64_t updated_at, int64_t key, size_t limit, bool open_only)
{
    struct keys keys = {0};
    CU_ASSERT_EQUAL(reader->operations->list_sessions(reader, updated_at, key, limit, open_only,
                                                      see_row, &keys),
                    ERR_OK);
    return keys;
}

static void test_list(void)
{
    /* Changes at 10, 10, 20, 20, 30; every second one is closed. */
    for (int64_t key = 1; key <= 5; key++) {
        char id[8];
        snprintf(id, sizeof(id), "s%d", (int)key);
        struct session_row row = row_of(key, id);
        row.updated_at = 10 * ((key + 1) / 2);
        row.closed = key % 2 == 0;
        CU_ASSERT_EQUAL(append_row(&row), ERR_OK);
    }
    struct keys keys = list(0, 0, 3, false);
    CU_ASSERT_EQUAL(keys.count, 3);
    CU_ASSERT_EQUAL(memcmp(keys.key, ((int64_t[]){5, 4, 3}), 3 * sizeof(int64_t)), 0);
    keys = list(20, 3, 3, false);
    CU_ASSERT_EQUAL(keys.count, 2);
    CU_ASSERT_EQUAL(memcmp(keys.key, ((int64_t[]){2, 1}), 2 * sizeof(int64_t)), 0);
    keys = list(0, 0, 10, true);
    CU_ASSERT_EQUAL(keys.count, 3);
    CU_ASSERT_EQUAL(memcmp(keys.key, ((int64_t[]){5, 3, 1}), 3 * sizeof(int64_t)), 0);
    CU_ASSERT_EQUAL(list(10, 1, 10, false).count, 0);
    CU_ASSERT_EQUAL(list(0, 0, 0, false).count, 0);
}

struct walk {
    int64_t updated_at, key;
    size_t count;
    bool ordered;
};

static bool walk_row(void *context, const struct session_row *row)
{
    struct walk *walk = context;
    if (walk->count > 0 && (row->updated_at > walk->updated_at ||
                            (row->updated_at == walk->updated_at && row->key >= walk->key))) {
        walk->ordered = false;
    }
    walk->updated_at = row->updated_at;
    walk->key = row->key;
    walk->count++;
    return true;
}

static void test_long_list(void)
{
    for (size_t done = 0; done < backend->many;) {
        enum { GROUP = 1000 };
        static struct session_row rows[GROUP];
        static struct store_write writes[GROUP];
        static char ids[GROUP][24];
        for (size_t i = 0; i < GROUP; i++, done++) {
            snprintf(ids[i], sizeof(ids[i]), "session-%zu", done);
            rows[i] = row_of((int64_t)done + 1, ids[i]);
            rows[i].updated_at = (int64_t)(done * 7919 % 5000) + 1;
            writes[i] = (struct store_write){
                .kind = STORE_SESSION,
                .session_key = rows[i].key,
                .row = &rows[i],
                .next = i + 1 < GROUP ? &writes[i + 1] : NULL,
            };
        }
        CU_ASSERT_EQUAL_FATAL(store->operations->append(store, writes), ERR_OK);
    }
    struct walk walk = {.ordered = true};
    size_t before;
    do {
        before = walk.count;
        CU_ASSERT_EQUAL(reader->operations->list_sessions(reader, walk.updated_at, walk.key, 50,
                                                          false, walk_row, &walk),
                        ERR_OK);
    } while (walk.count > before);
    CU_ASSERT_EQUAL(walk.count, backend->many);
    CU_ASSERT_TRUE(walk.ordered);
    walk = (struct walk){.ordered = true};
    CU_ASSERT_EQUAL(
        reader->operations->list_sessions(reader, 0, 0, SIZE_MAX, true, walk_row, &walk), ERR_OK);
    CU_ASSERT_EQUAL(walk.count, backend->many);
}

enum { CONCURRENT = 2000 };
static atomic_uint_fast64_t written;

static void *write_events(void *context)
{
    (void)context;
    for (uint64_t seq = 1; seq <= CONCURRENT; seq++) {
        if (append_event(1, seq, "{\"type\":\"text_delta\"}") != ERR_OK) {
            break;
        }
        atomic_store(&written, seq);
    }
    return NULL;
}

/* What is committed is there at once for a reader in another thread, without holes, also while
 * checkpoints run. */
static void test_reading_while_writing(void)
{
    atomic_store(&written, 0);
    pthread_t writer;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_events, NULL), 0);
    uint64_t least;
    do {
        least = atomic_load(&written);
        uint64_t from = least > 100 ? least - 100 : 1;
        struct seen seen = read_range(1, from, UINT64_MAX, 0);
        CU_ASSERT_FALSE(seen.holes);
        CU_ASSERT_TRUE(seen.count == 0 ? least == 0 : seen.first == from && seen.last >= least);
        CU_ASSERT_EQUAL(reader->operations->maintain(reader), ERR_OK);
    } while (least < CONCURRENT && CU_get_number_of_failures() == 0);
    pthread_join(writer, NULL);
    CU_ASSERT_EQUAL(read_range(1, 1, CONCURRENT, 0).count, CONCURRENT);
}

static void test_at_open(void)
{
    CU_ASSERT_EQUAL(store->next_key, 1);
    CU_ASSERT_EQUAL(store->open_sessions, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(store->generation);
    CU_ASSERT_TRUE(strlen(store->generation) > 8);
}

/* The memory store's own: what flow tests break. */
static void test_memory_fails_at_will(void)
{
    if (strcmp(backend->name, "memory") != 0) {
        return;
    }
    CU_ASSERT_EQUAL(append_event(1, 1, "{a}"), ERR_OK);
    store_memory_fail(store, ERR_NOSPC);
    CU_ASSERT_EQUAL(append_event(1, 2, "{b}"), ERR_NOSPC);
    CU_ASSERT_EQUAL(fold_part(1, 1, "{f}", 5, 5, 0), ERR_NOSPC);
    CU_ASSERT_STRING_EQUAL(read_range(1, 1, 9, 0).text, "{a}");
    store_memory_fail(store, ERR_OK);
    CU_ASSERT_EQUAL(append_event(1, 2, "{b}"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(read_range(1, 1, 9, 0).text, "{a}{b}");
}

/* ---- Answers ---- */

static struct digest name_of(unsigned number)
{
    struct digest name = {.bytes = {(uint8_t)(number >> 8), (uint8_t)number}};
    return name;
}

static struct stored_answer answer_of(unsigned name, int64_t at, const char *fields)
{
    return (struct stored_answer){
        .name = name_of(name),
        .body = {.bytes = {7, 7, 7}},
        .at = at,
        .code = (char *)(uintptr_t) "ok",
        .fields = (char *)(uintptr_t)fields,
    };
}

static enum err append_answer(const struct stored_answer *answer)
{
    struct store_write write = {.kind = STORE_ANSWER, .answer = answer};
    return store->operations->append(store, &write);
}

static enum err append_expire(int64_t before, uint32_t limit)
{
    struct store_write write = {.kind = STORE_EXPIRE, .before = before, .limit = limit};
    return store->operations->append(store, &write);
}

static enum err read_answer(unsigned number, struct stored_answer *out)
{
    struct digest name = name_of(number);
    return reader->operations->read_answer(reader, &name, out);
}

static void test_answers(void)
{
    struct stored_answer got;
    CU_ASSERT_EQUAL(read_answer(1, &got), ERR_NOENT);
    struct stored_answer first = answer_of(1, 1000, ",\"messageId\":\"m\"");
    CU_ASSERT_EQUAL(append_answer(&first), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(read_answer(1, &got), ERR_OK);
    CU_ASSERT_TRUE(digest_equal(&got.name, &first.name));
    CU_ASSERT_TRUE(digest_equal(&got.body, &first.body));
    CU_ASSERT_EQUAL(got.at, 1000);
    CU_ASSERT_STRING_EQUAL(got.code, "ok");
    CU_ASSERT_PTR_NULL(got.message);
    CU_ASSERT_STRING_EQUAL(got.fields, first.fields);
    stored_answer_clear(&got);

    /* A name is used again when its answer has been forgotten. */
    struct stored_answer second = answer_of(1, 2000, NULL);
    second.code = (char *)(uintptr_t) "not_found";
    second.message = (char *)(uintptr_t) "there is none";
    CU_ASSERT_EQUAL(append_answer(&second), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(read_answer(1, &got), ERR_OK);
    CU_ASSERT_EQUAL(got.at, 2000);
    CU_ASSERT_STRING_EQUAL(got.code, "not_found");
    CU_ASSERT_STRING_EQUAL(got.message, "there is none");
    CU_ASSERT_PTR_NULL(got.fields);
    stored_answer_clear(&got);
}

static void test_answer_and_events_are_one(void)
{
    CU_ASSERT_EQUAL(append_event(1, 5, "{e}"), ERR_OK);
    struct stored_answer answer = answer_of(1, 1000, NULL);
    struct stored_answer got;
    struct store_write again = event_of(1, 5, "{twice}", NULL);
    struct store_write write = {.kind = STORE_ANSWER, .answer = &answer, .next = &again};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_EXIST);
    CU_ASSERT_EQUAL(read_answer(1, &got), ERR_NOENT);
    again.seq = 6;
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(read_answer(1, &got), ERR_OK);
    stored_answer_clear(&got);
    CU_ASSERT_EQUAL(read_range(1, 6, 6, 0).count, 1);
}

struct listed {
    size_t count, stop_after;
    int64_t first_at, last_at;
    bool falls;
};

static bool see_answer(void *context, const struct digest *name, int64_t at)
{
    struct listed *listed = context;
    (void)name;
    listed->first_at = listed->count == 0 ? at : listed->first_at;
    listed->falls |= at < listed->last_at;
    listed->last_at = at;
    listed->count++;
    return listed->count != listed->stop_after;
}

static struct listed list_answers(int64_t since, size_t stop_after)
{
    struct listed listed = {.stop_after = stop_after, .last_at = INT64_MIN};
    CU_ASSERT_EQUAL(reader->operations->list_answers(reader, since, see_answer, &listed), ERR_OK);
    return listed;
}

static void test_answers_grow_old(void)
{
    enum { MANY = 20000 };
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 0).count, 0);
    struct stored_answer *answers = calloc(MANY, sizeof(*answers));
    struct store_write *writes = calloc(MANY, sizeof(*writes));
    CU_ASSERT_TRUE_FATAL(answers && writes);
    size_t many = backend->many < MANY ? backend->many : MANY;
    for (unsigned i = 0; i < many; i++) {
        answers[i] = answer_of(i, 1000 + i / 4, NULL); /* several have the same age */
        writes[i] = (struct store_write){.kind = STORE_ANSWER, .answer = &answers[i],
                                         .next = i + 1 < many ? &writes[i + 1] : NULL};
    }
    CU_ASSERT_EQUAL(store->operations->append(store, writes), ERR_OK);
    free(answers);
    free(writes);
    struct listed all = list_answers(INT64_MIN, 0);
    CU_ASSERT_EQUAL(all.count, many);
    CU_ASSERT_FALSE(all.falls);
    CU_ASSERT_EQUAL(list_answers(1100, 0).count, many - 400);
    CU_ASSERT_EQUAL(list_answers(1100, 0).first_at, 1100);
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 1).count, 1);

    CU_ASSERT_EQUAL(append_expire(1100, 300), ERR_OK);
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 0).count, many - 300);
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 1).first_at, 1075); /* the oldest went first */
    CU_ASSERT_EQUAL(append_expire(1100, 300), ERR_OK);
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 0).count, many - 400);
    CU_ASSERT_EQUAL(append_expire(1100, 300), ERR_OK);
    CU_ASSERT_EQUAL(list_answers(INT64_MIN, 0).count, many - 400);
    struct stored_answer got;
    CU_ASSERT_EQUAL(read_answer(399, &got), ERR_NOENT);
    CU_ASSERT_EQUAL_FATAL(read_answer(400, &got), ERR_OK);
    stored_answer_clear(&got);
}

static struct store_write blob_of(int64_t key, uint8_t name, const char *data, size_t length, struct store_write *next)
{
    struct store_write write = {.kind = STORE_BLOB, .session_key = key, .next = next};
    memset(write.blob.name.bytes, name, DIGEST_SIZE);
    write.blob.type = "image/png";
    write.blob.data = data;
    write.blob.length = length;
    return write;
}

static enum err read_blob(int64_t key, uint8_t name, uint64_t from, size_t most, struct blob_info *info,
                          struct buffer *bytes)
{
    struct digest digest;
    memset(digest.bytes, name, DIGEST_SIZE);
    buffer_reset(bytes);
    return reader->operations->read_blob(reader, key, &digest, from, most, info, bytes);
}

static char content[300001];

static void fill_content(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(content); i++) {
        state = state * 1664525 + 1013904223;
        content[i] = (char)(state >> 24);
    }
}

static void test_blobs(void)
{
    static const size_t lengths[] = {0, 1, 32767, 32768, 32769, 65536, sizeof(content)};
    struct buffer bytes = {0};
    struct blob_info info;
    fill_content();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct store_write write = blob_of(1, (uint8_t)(i + 1), content, lengths[i], NULL);
        CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        CU_ASSERT_EQUAL(read_blob(1, (uint8_t)(i + 1), 0, SIZE_MAX, &info, &bytes), ERR_OK);
        CU_ASSERT_EQUAL(info.bytes, lengths[i]);
        CU_ASSERT_STRING_EQUAL(info.type, "image/png");
        CU_ASSERT_TRUE(bytes.length == lengths[i] && (!bytes.length || !memcmp(bytes.data, content, bytes.length)));
        uint32_t state = 7;
        for (int tries = 0; tries < 50 && lengths[i]; tries++) {
            state = state * 1664525 + 1013904223;
            size_t from = (state >> 8) % lengths[i];
            state = state * 1664525 + 1013904223;
            size_t most = (state >> 8) % 70000;
            size_t wanted = lengths[i] - from < most ? lengths[i] - from : most;
            CU_ASSERT_EQUAL(read_blob(1, (uint8_t)(i + 1), from, most, &info, &bytes), ERR_OK);
            CU_ASSERT_TRUE(bytes.length == wanted && (!wanted || !memcmp(bytes.data, content + from, wanted)));
        }
        CU_ASSERT_EQUAL(read_blob(1, (uint8_t)(i + 1), lengths[i], 10, &info, &bytes), ERR_OK);
        CU_ASSERT_EQUAL(bytes.length, 0);
        CU_ASSERT_EQUAL(reader->operations->read_blob(reader, 1, &(struct digest){{0}}, 0, 0, &info, NULL), ERR_NOENT);
    }
    CU_ASSERT_EQUAL(read_blob(2, 1, 0, 0, &info, &bytes), ERR_NOENT); /* of another session */

    /* What is there stays as it is. */
    struct store_write again = blob_of(1, 2, "zz", 2, NULL);
    CU_ASSERT_EQUAL(store->operations->append(store, &again), ERR_OK);
    CU_ASSERT_EQUAL(read_blob(1, 2, 0, 10, &info, &bytes), ERR_OK);
    CU_ASSERT_EQUAL(info.bytes, 1);

    /* With its event or not at all; twice in a group is once. */
    CU_ASSERT_EQUAL(append_event(1, 5, "{}"), ERR_OK);
    struct store_write wrong = event_of(1, 5, "{}", NULL);
    struct store_write twice = blob_of(1, 99, content, 40000, &wrong);
    struct store_write blob = blob_of(1, 99, content, 40000, &twice);
    CU_ASSERT_EQUAL(store->operations->append(store, &blob), ERR_EXIST);
    CU_ASSERT_EQUAL(read_blob(1, 99, 0, 0, &info, &bytes), ERR_NOENT);
    wrong.seq = 6;
    CU_ASSERT_EQUAL(store->operations->append(store, &blob), ERR_OK);
    CU_ASSERT_EQUAL(read_blob(1, 99, 39999, 10, &info, &bytes), ERR_OK);
    CU_ASSERT_TRUE(bytes.length == 1 && bytes.data[0] == content[39999]);

    /* They go with their session, and only with it. */
    struct store_write other = blob_of(2, 99, content, 100, NULL);
    CU_ASSERT_EQUAL(store->operations->append(store, &other), ERR_OK);
    struct store_write purge = {.kind = STORE_PURGE, .session_key = 1};
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
    for (bool more = store->operations->tidy != NULL; more;) {
        CU_ASSERT_EQUAL_FATAL(store->operations->tidy(store, &more), ERR_OK);
    }
    CU_ASSERT_EQUAL(read_blob(1, 99, 0, 0, &info, &bytes), ERR_NOENT);
    CU_ASSERT_EQUAL(read_blob(2, 99, 0, SIZE_MAX, &info, &bytes), ERR_OK);
    CU_ASSERT_TRUE(bytes.length == 100 && !memcmp(bytes.data, content, 100));
    buffer_free(&bytes);
}

static int pick_sqlite(void)
{
    backend = &backends[0];
    return 0;
}

static int pick_memory(void)
{
    backend = &backends[1];
    return 0;
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"what is known at open", test_at_open},
        {"events", test_events},
        {"long reads", test_long_reads},
        {"a group is whole or not there", test_group_is_whole},
        {"rows", test_rows},
        {"purge", test_purge},
        {"turns are found", test_turns_are_found},
        {"fold", test_fold},
        {"open ones", test_open_ones},
        {"list", test_list},
        {"long list", test_long_list},
        {"answers", test_answers},
        {"an answer and its events are one", test_answer_and_events_are_one},
        {"answers grow old", test_answers_grow_old},
        {"blobs", test_blobs},
        {"reading while writing", test_reading_while_writing},
        {"memory fails at will", test_memory_fails_at_will},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {
        {"sqlite", pick_sqlite, NULL, setup, teardown, tests},
        {"memory", pick_memory, NULL, setup, teardown, tests},
        CU_SUITE_INFO_NULL,
    };
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
        return 2;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures > 0;
}
