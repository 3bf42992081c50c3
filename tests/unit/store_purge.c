/* Erasing a session from an SQLite store: piece by piece, whatever happens between two, and until nothing is left. */
#define _GNU_SOURCE
#include "store/sqlite.h"

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "support/folder.h"
#include "support/test.h"

enum { LONG = 2000, PIECE = 256, BLOBS = 20, BLOB_LENGTH = 70000 };

static char *folder;
static char why[1024];
static size_t problems;

static struct store *open_store(void)
{
    struct store *store = NULL;
    CU_ASSERT_EQUAL_FATAL(store_sqlite_open(&store, folder, why, sizeof(why)), ERR_OK);
    return store;
}

static void abandon(struct store *base)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    sqlite_append_finish(store);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_close(store->db);
    fd_close(store->lock_fd);
    free(store->store.generation);
    free(store->path);
    free(store);
}

static int64_t count(struct store *base, const char *sql)
{
    int64_t number = -1;
    CU_ASSERT_EQUAL(sqlite_number(container_of(base, struct sqlite_store, store)->db, sql, &number), ERR_OK);
    return number;
}

static enum err append_event(struct store *store, int64_t key, uint64_t seq, const char *text)
{
    char json[400];
    int length = snprintf(json, sizeof(json), "{\"seq\":%d,\"ts\":1,\"text\":\"%s%0200d\"}", (int)seq, text, 7);
    struct store_write write = {.kind = STORE_EVENT, .session_key = key, .seq = seq, .event_kind = "text_delta", .ts = 1,
                                .json = json, .json_length = (size_t)length};
    return store->operations->append(store, &write);
}

static void append_row(struct store *store, int64_t key, uint64_t head, const char *title)
{
    char id[16];
    snprintf(id, sizeof(id), "session-%d", (int)key);
    struct session_row row = {.key = key, .id = id, .phase = (char *)(uintptr_t) "closed", .head = head,
                              .title = (char *)(uintptr_t)title};
    struct store_write write = {.kind = STORE_SESSION, .session_key = key, .row = &row};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
}

static void append_blob(struct store *store, int64_t key, uint8_t name, size_t length)
{
    static const char content[BLOB_LENGTH] = "content";
    struct store_write write = {.kind = STORE_BLOB, .session_key = key,
                                .blob = {.name = {{name}}, .type = "text/plain", .data = content, .length = length}};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
}

static void purge(struct store *store, int64_t key)
{
    struct store_write write = {.kind = STORE_PURGE, .session_key = key};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
}

static bool tidy(struct store *store)
{
    bool more = false;
    CU_ASSERT_EQUAL_FATAL(store->operations->tidy(store, &more), ERR_OK);
    return more;
}

/* A long session, and a short one that stays. */
static struct store *begin(void)
{
    folder = folder_new();
    struct store *store = open_store();
    for (uint64_t seq = 1; seq <= LONG; seq++) {
        CU_ASSERT_EQUAL(append_event(store, 1, seq, ""), ERR_OK);
    }
    for (int64_t key = 1; key <= 2; key++) {
        for (uint8_t name = 1; name <= BLOBS; name++) {
            append_blob(store, key, name, name % 2 ? BLOB_LENGTH : 10);
        }
    }
    append_row(store, 1, LONG, "long");
    CU_ASSERT_EQUAL(append_event(store, 2, 1, ""), ERR_OK);
    append_row(store, 2, 1, "short");
    return store;
}

static void expect_gone(struct store *store)
{
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM events WHERE session = 1"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM blobs WHERE session = 1"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM blob_parts WHERE blob NOT IN (SELECT key FROM blobs)"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM purges"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM blobs WHERE session = 2"), BLOBS);
    CU_ASSERT_EQUAL(count(store, "SELECT sum(length(data)) FROM blob_parts"), BLOBS / 2 * (BLOB_LENGTH + 10));
}

static void tell(void *context, const char *problem)
{
    (void)context;
    printf("\n    %s\n", problem);
}

static void expect_well(void)
{
    struct store_sizes sizes;
    CU_ASSERT_EQUAL(store_sqlite_check(folder, tell, NULL, &sizes, &problems, why, sizeof(why)), ERR_OK);
    CU_ASSERT_EQUAL(problems, 0);
}

static int64_t left(struct store *store)
{
    return count(store, "SELECT count(*) FROM events WHERE session = 1");
}

static void a_long_log_goes_piece_by_piece_and_others_go_on(void)
{
    struct store *store = begin();
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    purge(store, 1);
    struct session_row row;
    CU_ASSERT_EQUAL(reader->operations->read_session(reader, "session-1", &row), ERR_NOENT);
    int64_t before = left(store);
    CU_ASSERT_EQUAL(before, LONG - PIECE); /* the first one went with the row */
    size_t pieces = 0;
    for (uint64_t seq = 2; tidy(store); seq++) {
        int64_t now = left(store);
        CU_ASSERT_TRUE(before - now <= PIECE);
        before = now;
        pieces++;
        CU_ASSERT_EQUAL(append_event(store, 2, seq, ""), ERR_OK);
    }
    CU_ASSERT_TRUE(pieces > LONG / PIECE);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM events"), 1 + (int64_t)pieces);
    expect_gone(store);
    CU_ASSERT_FALSE(tidy(store));
    reader->operations->reader_close(reader);
    store->operations->close(store);
    folder_remove(folder);
}

static void what_is_short_goes_at_once(void)
{
    struct store *store = begin();
    append_event(store, 3, 1, "");
    append_blob(store, 3, 1, 10);
    append_row(store, 3, 1, "shorter");
    purge(store, 3);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM events WHERE session = 3"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM blobs WHERE session = 3"), 0);
    CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM purges"), 0);
    CU_ASSERT_FALSE(tidy(store));
    purge(store, 99); /* what is not there can be purged */
    CU_ASSERT_FALSE(tidy(store));
    store->operations->close(store);
    folder_remove(folder);
}

/* Killed after any number of pieces: the store is well, the session is not there, and the next run goes on. */
static void a_death_in_the_middle_is_taken_up_again(void)
{
    for (int pieces = 0; pieces < 12; pieces += 3) {
        struct store *store = begin();
        purge(store, 1);
        for (int i = 0; i < pieces; i++) {
            CU_ASSERT_TRUE(tidy(store));
        }
        abandon(store);
        expect_well();
        store = open_store();
        CU_ASSERT_EQUAL(store->next_key, 3); /* nobody gets the key of what is still going */
        CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM sessions"), 1);
        CU_ASSERT_EQUAL(count(store, "SELECT count(*) FROM purges"), 1);
        while (tidy(store)) {
        }
        expect_gone(store);
        store->operations->close(store);
        expect_well();
        folder_remove(folder);
    }
}

static bool file_has(const char *word)
{
    char *text;
    size_t length;
    CU_ASSERT_EQUAL_FATAL(file_read(folder_path(folder, "signalbox.db"), 64 << 20, &text, &length), ERR_OK);
    bool has = memmem(text, length, word, strlen(word)) != NULL;
    free(text);
    return has;
}

/* Also what was folded away, and what stood in its row, long before; whatever was erased before that. */
static void nothing_of_it_is_found_in_the_file(void)
{
    struct store *store = begin();
    purge(store, 2);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        CU_ASSERT_EQUAL(append_event(store, 3, seq, "secret-word"), ERR_OK);
    }
    append_row(store, 3, 300, "secret-title");
    append_row(store, 3, 300, "a title");
    struct store_fold_event event = {.seq = 299, .json = "{\"seq\":299,\"from\":1}", .json_length = 20};
    struct store_fold_range gone = {.from = 1, .to = 298};
    const struct store_fold fold = {.session_key = 3, .events = &event, .event_count = 1, .gone = &gone, .gone_count = 1};
    CU_ASSERT_EQUAL(store->operations->fold(store, &fold), ERR_OK);
    purge(store, 3);
    while (tidy(store)) {
    }
    store->operations->close(store);
    CU_ASSERT_FALSE(file_has("secret-word"));
    CU_ASSERT_FALSE(file_has("secret-title"));
    CU_ASSERT_TRUE(file_has("session-1"));
    folder_remove(folder);
}

TEST_MAIN("store_purge", TEST(a_long_log_goes_piece_by_piece_and_others_go_on), TEST(what_is_short_goes_at_once),
          TEST(a_death_in_the_middle_is_taken_up_again), TEST(nothing_of_it_is_found_in_the_file))
