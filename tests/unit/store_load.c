/* The SQLite store under a load that never pauses, and what a commit survives. */
#define _GNU_SOURCE
#include "store/sqlite.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "signalbox/base/check.h"
#include "support/folder.h"
#include "support/test.h"

static char why[512];

static struct store *open_store(const char *folder)
{
    struct store *store = NULL;
    enum err err = store_sqlite_open(&store, folder, why, sizeof(why));
    if (err != ERR_OK) {
        printf("\n    %s\n", why);
    }
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    return store;
}

static struct sqlite_store *inside(struct store *store)
{
    return container_of(store, struct sqlite_store, store);
}

/* As a killed server leaves it. */
static void abandon(struct store *base)
{
    struct sqlite_store *store = inside(base);
    sqlite_append_finish(store);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_close(store->db);
    close(store->lock_fd);
    free(store->store.generation);
    free(store->path);
    free(store);
}

static void after_a_reboot(const char *folder)
{
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(folder_path(folder, "signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "UPDATE meta SET value = 'another' WHERE name = 'boot_id'",
                                 NULL, NULL, NULL),
                    SQLITE_OK);
    sqlite3_close(db);
}

static int64_t synchronous(struct store *store)
{
    int64_t level = -1;
    CU_ASSERT_EQUAL(sqlite_number(inside(store)->db, "PRAGMA synchronous", &level), ERR_OK);
    return level;
}

enum { LEVEL_NORMAL = 1, LEVEL_FULL = 2 };

static void with_power_the_generation_survives_its_loss(void)
{
    char *folder = folder_new();
    struct store *store = open_store(folder);
    char first[64];
    snprintf(first, sizeof(first), "%s", store->generation);
    CU_ASSERT_EQUAL(synchronous(store), LEVEL_NORMAL);
    CU_ASSERT_EQUAL(store_sqlite_durability(store, STORE_SURVIVES_POWER), ERR_OK);
    CU_ASSERT_EQUAL(synchronous(store), LEVEL_FULL);
    abandon(store);
    after_a_reboot(folder);
    store = open_store(folder); /* nothing can be gone: positions stay good */
    TEST_TEXT(store->generation, first);
    CU_ASSERT_EQUAL(synchronous(store), LEVEL_NORMAL);
    abandon(store);
    after_a_reboot(folder);
    store = open_store(folder); /* this run did not sync its commits */
    CU_ASSERT_STRING_NOT_EQUAL(store->generation, first);
    char second[64];
    snprintf(second, sizeof(second), "%s", store->generation);
    CU_ASSERT_EQUAL(store_sqlite_durability(store, STORE_SURVIVES_POWER), ERR_OK);
    CU_ASSERT_EQUAL(store_sqlite_durability(store, STORE_SURVIVES_PROCESS), ERR_OK);
    CU_ASSERT_EQUAL(synchronous(store), LEVEL_NORMAL);
    abandon(store);
    after_a_reboot(folder);
    store = open_store(folder); /* nor did the end of this one */
    CU_ASSERT_STRING_NOT_EQUAL(store->generation, second);
    store->operations->close(store);
    folder_remove(folder);
}

/* ---- A writer and readers that never pause ---- */

enum { GROUPS = 1500, GROUP_BYTES = 64 << 10, LOG_PAGES = 2048, READERS = 2 };

struct load {
    struct store *store;
    atomic_bool done;
    _Atomic(uint64_t) reads, checkpoints;
    _Atomic(uint64_t) head;
};

static bool see(void *context, uint64_t seq, const char *json, size_t length)
{
    uint64_t *last = context;
    bool right = seq == *last + 1 && length == GROUP_BYTES && json[0] == 'x';
    *last = right ? seq : *last;
    return right;
}

/* Number 0 maintains, the others read. */
static void read_or_maintain(size_t number, void *context)
{
    struct load *load = context;
    struct store_reader *reader = NULL;
    if (load->store->operations->reader_open(load->store, &reader) != ERR_OK) {
        abort();
    }
    while (!atomic_load(&load->done)) {
        if (number == 0) {
            CU_ASSERT_EQUAL(reader->operations->maintain(reader), ERR_OK);
            atomic_fetch_add(&load->checkpoints, 1);
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* its pace, not a wait */
            continue;
        }
        uint64_t head = atomic_load(&load->head);
        uint64_t from = head > 40 ? head - 40 : 0;
        uint64_t last = from;
        CU_ASSERT_EQUAL(reader->operations->read_events(reader, 1, from + 1, head, see, &last),
                        ERR_OK);
        CU_ASSERT_EQUAL(last, head);
        atomic_fetch_add(&load->reads, 1);
    }
    reader->operations->reader_close(reader);
}

static void the_log_is_bounded_while_all_are_busy(void)
{
    char *folder = folder_new();
    struct load load = {.store = open_store(folder)};
    inside(load.store)->log_pages_max = inside(load.store)->restart_pages = LOG_PAGES;
    char *text = malloc(GROUP_BYTES);
    memset(text, 'x', GROUP_BYTES);
    struct test_threads threads = test_threads_start(1 + READERS, read_or_maintain, &load);
    off_t largest = 0;
    for (uint64_t seq = 1; seq <= GROUPS; seq++) {
        struct store_write write = {.kind = STORE_EVENT,
                                    .session_key = 1,
                                    .seq = seq,
                                    .event_kind = "text_delta",
                                    .ts = 1,
                                    .json = text,
                                    .json_length = GROUP_BYTES};
        CU_ASSERT_EQUAL_FATAL(load.store->operations->append(load.store, &write), ERR_OK);
        atomic_store(&load.head, seq);
        /* As the journal does with those who flood: until maintenance has moved what is there. */
        while (load.store->operations->is_behind(load.store)) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        struct stat log;
        if (stat(folder_path(folder, "signalbox.db-wal"), &log) == 0 && log.st_size > largest) {
            largest = log.st_size;
        }
    }
    atomic_store(&load.done, true);
    test_threads_join(&threads);
    printf("%d MiB written, the log had %d MiB at most; %d reads, %d checkpoints ... ",
           GROUPS * (GROUP_BYTES >> 10) >> 10, (int)(largest >> 20), (int)load.reads,
           (int)load.checkpoints);
    CU_ASSERT_TRUE(load.reads > 0);
    /* 8 MiB, and what is let in while a checkpoint of maintenance ends or readers leave. */
    CU_ASSERT_TRUE(largest < 40 << 20);
    free(text);
    load.store->operations->close(load.store);
    folder_remove(folder);
}

TEST_MAIN("store_load", TEST(with_power_the_generation_survives_its_loss),
          TEST(the_log_is_bounded_while_all_are_busy))
