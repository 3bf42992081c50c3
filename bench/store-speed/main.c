/*
 * How fast the store is, by itself: what `durability` costs, how long a commit waits at worst, and what many sessions
 * cost at the start and in a list. The figures in docs/operation.md are made with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "signalbox/store/store.h"

enum { EVENT_BYTES = 200, COMMITS_MAX = 4000000, GROUP_MAX = 1000, LIST_PAGE = 200, SESSIONS_A_GROUP = 500 };

static const char usage[] =
    "Usage: signalbox-store-speed commits DIR [SECONDS]   both durabilities, groups of 1, 10, 100 and 1000 events\n"
    "       signalbox-store-speed sessions DIR [COUNT]    the start, and lists, with so many sessions (100000)\n"
    "\n"
    "Makes a store in DIR, which must not be there yet, and leaves it there.\n";

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void check(enum err err, const char *what)
{
    if (err) {
        fprintf(stderr, "signalbox-store-speed: %s: %s\n", what, err_text(err));
        exit(EXIT_FAILURE);
    }
}

static struct store *open_store(const char *directory)
{
    char why[512] = "";
    struct store *store = NULL;
    if (store_sqlite_open(&store, directory, why, sizeof(why))) {
        fprintf(stderr, "signalbox-store-speed: %s\n", why);
        exit(EXIT_FAILURE);
    }
    return store;
}

/* ---- Commits ---- */

static atomic_bool done;

/* As the maintenance thread does it. */
static void *maintain(void *context)
{
    struct store *store = context;
    struct store_reader *reader = NULL;
    check(store->operations->reader_open(store, &reader), "reader");
    for (int ticks = 0; !atomic_load(&done); ticks++) {
        if (ticks % 200 == 199 || atomic_exchange(&store->keeper_called, false)) {
            check(reader->operations->maintain(reader), "maintenance");
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    reader->operations->reader_close(reader);
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float times[COMMITS_MAX];
static struct store_write writes[GROUP_MAX];
static char text[EVENT_BYTES + 1];

static void run_commits(const char *directory, enum store_durability durability, size_t group, double seconds)
{
    struct store *store = open_store(directory);
    static int64_t session;
    session++;
    check(store_sqlite_durability(store, durability), "durability");
    pthread_t thread;
    atomic_store(&done, false);
    if (pthread_create(&thread, NULL, maintain, store)) {
        check(ERR_NOMEM, "thread");
    }
    size_t commits = 0;
    uint64_t seq = 0;
    double begun = now();
    for (double at = begun; at - begun < seconds && commits < COMMITS_MAX;) {
        for (size_t i = 0; i < group; i++) {
            writes[i] = (struct store_write){.kind = STORE_EVENT, .session_key = session, .seq = ++seq,
                                             .event_kind = "text_delta", .ts = 1, .json = text,
                                             .json_length = EVENT_BYTES, .next = i + 1 < group ? &writes[i + 1] : NULL};
        }
        check(store->operations->append(store, writes), "append");
        double after = now();
        times[commits++] = (float)(after - at);
        at = after;
    }
    double took = now() - begun;
    atomic_store(&done, true);
    pthread_join(thread, NULL);
    char path[4096];
    struct stat log = {0};
    snprintf(path, sizeof(path), "%s/signalbox.db-wal", directory);
    (void)stat(path, &log);
    qsort(times, commits, sizeof(times[0]), ascending);
    printf("%-8s %5zu %12.0f %12.0f %10.3f %10.3f %10.1f %8lld\n",
           durability == STORE_SURVIVES_POWER ? "power" : "process", group, (double)commits / took,
           (double)(commits * group) / took, times[commits / 2] * 1e3, times[commits * 99 / 100] * 1e3,
           times[commits - 1] * 1e3, (long long)log.st_size >> 20);
    fflush(stdout);
    store->operations->close(store);
}

static void bench_commits(const char *directory, double seconds)
{
    static const size_t groups[] = {1, 10, 100, 1000};
    printf("%-8s %5s %12s %12s %10s %10s %10s %8s\n", "survives", "group", "commits/s", "events/s", "p50 ms", "p99 ms",
           "max ms", "log MiB");
    for (int durability = STORE_SURVIVES_PROCESS; durability <= STORE_SURVIVES_POWER; durability++) {
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
            run_commits(directory, (enum store_durability)durability, groups[i], seconds);
        }
    }
}

/* ---- Many sessions ---- */

static void fill(struct store *store, int64_t from, int64_t to)
{
    static char ids[SESSIONS_A_GROUP][32];
    static struct session_row rows[SESSIONS_A_GROUP];
    static struct store_write pairs[2 * SESSIONS_A_GROUP];
    static char events[SESSIONS_A_GROUP][EVENT_BYTES];
    while (from <= to) {
        size_t count = 0;
        for (; count < SESSIONS_A_GROUP && from <= to; count++, from++) {
            snprintf(ids[count], sizeof(ids[count]), "session-%lld", (long long)from);
            rows[count] = (struct session_row){
                .key = from, .id = ids[count], .agent = (char *)(uintptr_t)"shell", .workspace = (char *)(uintptr_t)"/srv/work",
                .title = (char *)(uintptr_t)"a title of some words", .policy = (char *)(uintptr_t)"ask",
                .phase = (char *)(uintptr_t)(from % 10 ? "closed" : "stopped"), .epoch = (char *)(uintptr_t)"epoch",
                .created_by = (char *)(uintptr_t)"local", .created_at = from, .updated_at = from, .head = 1,
                .closed = from % 10 != 0};
            /* As the server would have written it: tests start one with such a store. */
            int length = snprintf(events[count], EVENT_BYTES,
                                  "{\"seq\":1,\"ts\":%lld,\"type\":\"session_created\",\"sessionId\":\"%s\",\"agent\":\"shell\","
                                  "\"workspace\":\"/srv/work\",\"policy\":\"ask\",\"by\":{\"user\":\"local\"}}",
                                  (long long)from, ids[count]);
            pairs[2 * count] = (struct store_write){.kind = STORE_EVENT, .session_key = from, .seq = 1,
                                                    .event_kind = "session_created", .ts = from, .json = events[count],
                                                    .json_length = (size_t)length, .next = &pairs[2 * count + 1]};
            pairs[2 * count + 1] = (struct store_write){.kind = STORE_SESSION, .session_key = from, .row = &rows[count],
                                                        .next = &pairs[2 * count + 2]};
        }
        pairs[2 * count - 1].next = NULL;
        check(store->operations->append(store, pairs), "append");
    }
}

struct page {
    size_t count;
    int64_t updated_at, key;
};

static bool see(void *context, const struct session_row *row)
{
    struct page *page = context;
    page->count++;
    page->updated_at = row->updated_at;
    page->key = row->key;
    return true;
}

static double list(struct store_reader *reader, int64_t updated_at, int64_t key, bool open_only)
{
    struct page page = {0};
    double begun = now();
    check(reader->operations->list_sessions(reader, updated_at, key, LIST_PAGE, open_only, see, &page), "list");
    return (now() - begun) * 1e3;
}

static void measure(const char *directory, int64_t sessions)
{
    double begun = now();
    struct store *store = open_store(directory);
    double opened = (now() - begun) * 1e3;
    struct store_reader *reader = NULL;
    check(store->operations->reader_open(store, &reader), "reader");
    struct page live = {0};
    begun = now();
    check(reader->operations->read_open(reader, see, &live), "open sessions");
    double looked = (now() - begun) * 1e3;
    double first = list(reader, 0, 0, false);
    double middle = list(reader, sessions / 2, sessions / 2, false);
    double open_only = list(reader, 0, 0, true);
    char id[32];
    snprintf(id, sizeof(id), "session-%lld", (long long)(sessions / 2));
    struct session_row row;
    begun = now();
    check(reader->operations->read_session(reader, id, &row), "one session");
    double one = (now() - begun) * 1e3;
    session_row_clear(&row);
    printf("%10lld %10.1f %14.2f %12.2f %12.2f %12.2f %12.2f\n", (long long)sessions, opened, looked, first, middle,
           open_only, one);
    fflush(stdout);
    reader->operations->reader_close(reader);
    store->operations->close(store);
}

static void bench_sessions(const char *directory, int64_t count)
{
    printf("%10s %10s %14s %12s %12s %12s %12s   (milliseconds; a page has %d)\n", "sessions", "open", "left open",
           "first page", "in between", "only open", "one session", LIST_PAGE);
    int64_t there = 0;
    for (int64_t some = count / 100 > 0 ? count / 100 : 1; there < count; some = count) {
        struct store *store = open_store(directory);
        fill(store, there + 1, some);
        there = some;
        store->operations->close(store);
        measure(directory, some);
    }
}

int main(int argc, char **argv)
{
    struct stat there;
    if (argc < 3 || argc > 4) {
        fputs(usage, stderr);
        return 2;
    }
    if (stat(argv[2], &there) == 0 || errno != ENOENT) {
        fprintf(stderr, "signalbox-store-speed: %s is there already\n", argv[2]);
        return EXIT_FAILURE;
    }
    memset(text, 'x', EVENT_BYTES);
    if (!strcmp(argv[1], "commits")) {
        bench_commits(argv[2], argc == 4 ? atof(argv[3]) : 5);
    } else if (!strcmp(argv[1], "sessions")) {
        bench_sessions(argv[2], argc == 4 ? atoll(argv[3]) : 100000);
    } else {
        fputs(usage, stderr);
        return 2;
    }
    return EXIT_SUCCESS;
}
