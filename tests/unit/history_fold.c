/*
 * Replays in pieces, while the store folds what is read: history's and maintenance's parts of it,
 * without their threads.
 */
#include "role/history_fold.h"

#include "role/maintenance_fold.h"
#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/core/event.h"
#include "signalbox/core/fold.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/list.h"
#include "support/fold_client.h"
#include "support/fold_log.h"
#include "support/oom.h"
#include "support/test.h"

enum { LOGS = 60, CLIENTS = 4, KEY = 1, BACK = 77, ENDED = 1000 };

static struct store *store;
static struct store_reader *reader;
static struct mailbox *box, *inbox, *folded;
static struct folds *folds;
static struct folding *folding;

static void begin(void)
{
    CHECK(store_memory_open(&store) == ERR_OK);
    CHECK(store->operations->reader_open(store, &reader) == ERR_OK);
    CHECK(mailbox_new(&box, "test", 0) == ERR_OK && mailbox_new(&inbox, "inbox", 0) == ERR_OK);
    CHECK(mailbox_new(&folded, "folded", 0) == ERR_OK);
    CHECK(folds_new(&folds, reader) == ERR_OK);
    CHECK(folding_new(&folding, reader, inbox, folded) == ERR_OK);
}

static void end(void)
{
    folds_refuse(folds, ERR_STOPPING);
    folds_free(folds);
    folding_free(folding);
    for (struct mail *mail; (mail = mailbox_take(box));) {
        history_request_free(container_of(mail, struct history_request, mail));
    }
    mailbox_free(box);
    mailbox_free(inbox);
    mailbox_free(folded);
    reader->operations->reader_close(reader);
    store->operations->close(store);
}

static void append(int64_t key, const struct fold_log_row *row)
{
    struct fold_row read;
    CHECK(fold_read(row->json, row->length, &read) == ERR_OK);
    struct store_write write = {
        .kind = STORE_EVENT,
        .session_key = key,
        .seq = row->seq,
        .ts = ENDED,
        .event_kind = read.kind < 0 ? "other" : event_name((enum event_kind)read.kind),
        .json = row->json,
        .json_length = row->length};
    CHECK(store->operations->append(store, &write) == ERR_OK);
}

static void append_log(int64_t key, const struct fold_log *log, uint64_t head)
{
    for (size_t i = 0; i < head; i++) {
        append(key, &log->rows[i]);
    }
}

/* ---- Asking ---- */

static struct history_request *request_of(int64_t key, uint64_t began, bool whole, uint64_t to,
                                          size_t max_bytes)
{
    struct history_request *request;
    CHECK(history_request_new(&request) == ERR_OK);
    request->kind = HISTORY_FRAMES;
    request->reply_to = box;
    request->reply_kind = BACK;
    request->session_key = key;
    request->began = began;
    request->from = began + 1;
    request->to = to;
    request->whole = whole;
    request->max_bytes = max_bytes;
    return request;
}

static struct history_request *answered(void)
{
    struct mail *mail = mailbox_take(box);
    return mail ? container_of(mail, struct history_request, mail) : NULL;
}

static struct history_request *ask(struct history_request *request)
{
    folds_ask(folds, request);
    while (folds_step(folds)) {
    }
    struct history_request *answer = answered();
    CU_ASSERT_PTR_EQUAL_FATAL(answer, request);
    return answer;
}

static bool apply(struct fold_client *client, const struct history_request *answer)
{
    const unsigned char *bytes = (const unsigned char *)answer->bytes.data;
    for (size_t at = 0; at < answer->bytes.length;) {
        size_t header = bytes[at + 1] < 126 ? 2 : bytes[at + 1] == 126 ? 4 : 10;
        size_t length = header == 2 ? bytes[at + 1] : 0;
        for (size_t i = 2; i < header; i++) {
            length = length << 8 | bytes[at + i];
        }
        const char *json = answer->bytes.data + at + header;
        const char *wrong = fold_client_apply(client, json, length);
        if (wrong) {
            printf("\n    %s: %.*s\n", wrong, (int)length, json);
            CU_FAIL("an event does not fit");
            return false;
        }
        at += header + length;
    }
    return true;
}

/* ---- The store folds, a window at a time ---- */

static uint64_t store_whole_from;
static size_t windows;

/* False: nothing more is to be folded. */
static bool fold_a_window(void)
{
    while (folding_go_on(folding, 1, ENDED + 2)) {
    }
    struct mail *mail = mailbox_take(inbox);
    if (!mail) {
        return false;
    }
    struct fold_note *note = container_of(mail, struct fold_note, mail);
    CU_ASSERT_EQUAL(mail->kind, DISPATCH_FOLD);
    store_whole_from = note->whole_from > store_whole_from ? note->whole_from : store_whole_from;
    note->result = store->operations->fold(store, &note->fold);
    CU_ASSERT_EQUAL(note->result, ERR_OK);
    folding_written(folding);
    windows++;
    return true;
}

/* ---- Random logs ---- */

struct scene {
    uint64_t seed, random, head;
    struct fold_log raw;
    char *expected;
};

static struct fold_client *live_client(const struct fold_log *raw, uint64_t from, uint64_t to,
                                       struct fold_client *client)
{
    client = client ? client : fold_client_new();
    for (uint64_t seq = from; seq <= to; seq++) {
        const struct fold_log_row *row = &raw->rows[seq - 1];
        const char *wrong = fold_client_apply(client, row->json, row->length);
        if (wrong) {
            printf("\n    %s: %s\n", wrong, row->json);
            CU_FAIL("an event does not fit");
            break;
        }
    }
    return client;
}

static void same_state(const struct scene *scene, const struct fold_client *client)
{
    char *state = fold_client_state(client);
    if (strcmp(state, scene->expected)) {
        printf("\n    seed %llu\n", (unsigned long long)scene->seed);
    }
    TEST_TEXT(state, scene->expected);
    free(state);
}

static void scene_begin(struct scene *scene, uint64_t seed)
{
    begin();
    store_whole_from = 0;
    *scene = (struct scene){.seed = seed, .random = seed * 91};
    fold_log_make(&scene->raw, seed, 60 + fold_below(&scene->random, 300), seed % 2 == 0);
    scene->head = scene->raw.count;
    append_log(KEY, &scene->raw, scene->head);
    struct fold_client *client = live_client(&scene->raw, 1, scene->head, NULL);
    scene->expected = fold_client_state(client);
    fold_client_free(client);
}

static void scene_end(struct scene *scene)
{
    fold_log_free(&scene->raw);
    free(scene->expected);
    end();
}

struct watcher {
    struct fold_client *client;
    uint64_t began, whole_from;
    bool whole;
    size_t max_bytes;
};

static void subscribe(struct scene *scene, struct watcher *watcher)
{
    watcher->began = fold_client_position(watcher->client);
    watcher->max_bytes = 1 + fold_below(&scene->random, 3000);
    fold_client_resume(watcher->client);
}

/* One piece, or the connection is lost before it comes. */
static void step(struct scene *scene, struct watcher *watcher)
{
    uint64_t position = fold_client_position(watcher->client);
    if (position > watcher->began && fold_below(&scene->random, 8) == 0) {
        watcher->whole = false;
        subscribe(scene, watcher);
    }
    if (fold_below(&scene->random, 4) == 0) { /* it was slow: what was kept for it is gone */
        folds_expire(folds, instant_after_ms(clock_now(), 60000));
    }
    struct history_request *request =
        request_of(KEY, watcher->began, watcher->whole, scene->head, watcher->max_bytes);
    request->from = position + 1;
    ask(request);
    CU_ASSERT_EQUAL(request->result, ERR_OK);
    CU_ASSERT_TRUE_FATAL(request->events > 0);
    CU_ASSERT_TRUE(request->bytes.length < watcher->max_bytes + 100000);
    watcher->whole_from = request->whole_from;
    if (apply(watcher->client, request)) {
        CU_ASSERT_EQUAL_FATAL(fold_client_position(watcher->client), request->last);
    } else {
        printf("    seed %llu\n", (unsigned long long)scene->seed);
    }
    history_request_free(request);
}

static void watch_and_fold(struct scene *scene)
{
    struct watcher watchers[CLIENTS] = {0};
    for (size_t i = 0; i < CLIENTS; i++) {
        uint64_t after = i < 2 ? 0 : fold_below(&scene->random, scene->head);
        watchers[i].client = live_client(&scene->raw, 1, after, NULL);
        watchers[i].whole = true;
        subscribe(scene, &watchers[i]);
    }
    for (bool busy = true; busy;) {
        busy = false;
        for (size_t i = 0; i < CLIENTS; i++) {
            if (fold_client_position(watchers[i].client) < scene->head) {
                step(scene, &watchers[i]);
                busy = true;
            }
            if (fold_below(&scene->random, 6) == 0) {
                (void)fold_a_window();
            }
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        same_state(scene, watchers[i].client);
        fold_client_free(watchers[i].client);
    }
}

static void replays_end_in_the_live_state_while_the_store_folds(void)
{
    windows = 0;
    for (uint64_t seed = 2; seed < 2 + LOGS; seed++) {
        struct scene scene;
        scene_begin(&scene, seed);
        watch_and_fold(&scene);
        scene_end(&scene);
    }
    CU_ASSERT_TRUE(windows > LOGS);
}

/* What a server does with a client that comes back inside the tail. */
static void a_whole_position_goes_on_with_raw_events(void)
{
    size_t raw = 0;
    for (uint64_t seed = 2; seed < 2 + LOGS; seed++) {
        struct scene scene;
        scene_begin(&scene, seed);
        struct watcher watcher = {.client = fold_client_new(), .whole = true};
        subscribe(&scene, &watcher);
        watcher.max_bytes = 1; /* an event a piece: it may break off at each */
        for (uint64_t position; (position = fold_client_position(watcher.client)) < scene.head;) {
            if (fold_below(&scene.random, 20) == 0) {
                (void)fold_a_window();
            }
            step(&scene, &watcher);
            watcher.max_bytes = 1;
            position = fold_client_position(watcher.client);
            if (position < watcher.whole_from || position < store_whole_from) {
                continue;
            }
            struct fold_client *other = fold_client_copy(watcher.client);
            fold_client_resume(other);
            live_client(&scene.raw, position + 1, scene.head, other);
            same_state(&scene, other);
            fold_client_free(other);
            raw++;
        }
        same_state(&scene, watcher.client);
        fold_client_free(watcher.client);
        scene_end(&scene);
    }
    CU_ASSERT_TRUE(raw > LOGS);
}

/* ---- What is left in the store ---- */

struct sum {
    size_t rows, bytes;
    uint64_t last;
    bool tile;
};

static bool add_up(void *context, uint64_t seq, const char *json, size_t length)
{
    struct sum *sum = context;
    struct fold_row row;
    CHECK(fold_read(json, length, &row) == ERR_OK);
    sum->tile = sum->tile && row.seq == seq && row.from == sum->last + 1;
    sum->last = seq;
    sum->rows++;
    sum->bytes += length;
    return true;
}

static struct sum stored(int64_t key)
{
    struct sum sum = {.tile = true};
    CHECK(reader->operations->read_events(reader, key, 1, UINT64_MAX, add_up, &sum) == ERR_OK);
    return sum;
}

static void the_store_is_folded_as_a_replay_is(void)
{
    for (uint64_t seed = 2; seed < 2 + LOGS; seed++) {
        struct scene scene;
        scene_begin(&scene, seed);
        struct sum before = stored(KEY);
        struct history_request *raw = ask(request_of(KEY, 0, true, scene.head, SIZE_MAX));
        while (fold_a_window()) {
            CU_ASSERT_TRUE(stored(KEY).tile);
            CU_ASSERT_EQUAL(stored(KEY).last, scene.head);
        }
        struct sum after = stored(KEY);
        CU_ASSERT_TRUE(after.rows <= before.rows && after.bytes <= before.bytes);
        struct history_request *again = request_of(KEY, 0, true, scene.head, SIZE_MAX - 1);
        ask(again);
        CU_ASSERT_EQUAL(again->bytes.length, raw->bytes.length);
        CU_ASSERT_EQUAL(memcmp(again->bytes.data, raw->bytes.data, raw->bytes.length), 0);
        history_request_free(raw);
        history_request_free(again);
        scene_end(&scene);
    }
}

/* ---- Long logs ---- */

static void append_json(int64_t key, uint64_t seq, const char *kind, const char *fields)
{
    struct buffer text = {0};
    buffer_format(&text,
                  "{\"seq\":%llu,\"ts\":1,\"type\":\"%s\",\"sessionId\":\"s\",\"turnId\":\"t\"%s}",
                  (unsigned long long)seq, kind, fields);
    struct fold_log_row row = {.from = seq, .seq = seq, .json = text.data, .length = text.length};
    append(key, &row);
    buffer_free(&text);
}

static uint64_t append_turn(int64_t key, uint64_t deltas, bool over)
{
    uint64_t seq = 1;
    append_json(key, seq++, "turn_started", "");
    for (uint64_t i = 0; i < deltas; i++) {
        char delta[80];
        snprintf(delta, sizeof(delta), ",\"messageId\":\"m\",\"offset\":%llu,\"delta\":\"abcd\"",
                 (unsigned long long)i * 4);
        append_json(key, seq++, "text_delta", delta);
    }
    if (over) {
        append_json(key, seq++, "text_complete", ",\"messageId\":\"m\",\"text\":\"...\"");
        append_json(key, seq++, "complete", "");
    }
    return seq - 1;
}

static void a_long_log_holds_nobody_up(void)
{
    begin();
    uint64_t head = append_turn(1, 100000, true);
    uint64_t other_head = append_turn(2, 10, true);
    struct history_request *huge = request_of(1, 0, true, head, 1 << 20);
    struct history_request *small = request_of(2, 0, true, other_head, 1 << 20);
    folds_ask(folds, huge);
    CU_ASSERT_TRUE(folds_step(folds));
    folds_ask(folds, small);
    int steps = 0;
    while (!(mailbox_stats(box).depth)) {
        CU_ASSERT_TRUE_FATAL(folds_step(folds));
        steps++;
    }
    CU_ASSERT_PTR_EQUAL(answered(), small);
    CU_ASSERT_TRUE(steps <= 4);
    CU_ASSERT_EQUAL(small->events, 3);
    while (folds_step(folds)) {
    }
    CU_ASSERT_PTR_EQUAL(answered(), huge);
    CU_ASSERT_EQUAL(huge->events, 3);
    CU_ASSERT_EQUAL(huge->last, head);
    history_request_free(huge);
    history_request_free(small);
    end();
}

static void a_long_turn_is_folded_in_windows(void)
{
    begin();
    uint64_t head = append_turn(KEY, 20000, true);
    windows = 0;
    size_t rows = stored(KEY).rows;
    while (fold_a_window()) {
        struct sum now = stored(KEY);
        CU_ASSERT_TRUE(now.tile && now.last == head);
        CU_ASSERT_TRUE(rows - now.rows <= 1024); /* so much a transaction, at most */
        rows = now.rows;
    }
    CU_ASSERT_EQUAL(rows, 3);
    CU_ASSERT_TRUE(windows >= 20 && windows < 30);
    CU_ASSERT_FALSE(fold_a_window()); /* nothing is looked at twice */
    struct store_unfolded unfolded;
    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, INT64_MAX, &unfolded), ERR_NOENT);
    end();
}

static void an_open_turn_stays_as_it_is(void)
{
    begin();
    uint64_t head = append_turn(KEY, 100, false);
    CU_ASSERT_FALSE(fold_a_window());
    CU_ASSERT_EQUAL(stored(KEY).rows, head);
    append_json(KEY, head + 1, "complete", "");
    CU_ASSERT_FALSE(folding_go_on(folding, 1, ENDED)); /* it ended just now */
    CU_ASSERT_PTR_NULL(mailbox_take(inbox));
    CU_ASSERT_TRUE(fold_a_window());
    CU_ASSERT_EQUAL(stored(KEY).rows, 3); /* the message was left open: joined */
    end();
}

/* ---- Many ---- */

static void what_many_want_is_folded_once(void)
{
    begin();
    uint64_t head = append_turn(KEY, 3000, false);
    int64_t rows = metric_read(METRIC_FOLD_ROWS);
    for (int i = 0; i < 50; i++) {
        folds_ask(folds, request_of(KEY, 0, true, head, 1000));
    }
    while (folds_step(folds)) {
    }
    for (int i = 0; i < 50; i++) {
        struct history_request *first = answered();
        CU_ASSERT_PTR_NOT_NULL_FATAL(first);
        CU_ASSERT_EQUAL(first->events, 2);
        history_request_free(first);
    }
    for (int i = 0; i < 50; i++) { /* who comes later, too */
        history_request_free(ask(request_of(KEY, 0, true, head, 1000)));
    }
    rows = metric_read(METRIC_FOLD_ROWS) - rows;
    CU_ASSERT_TRUE(rows == 2 * (int64_t)head /* both passes */);
    end();
}

/* A server that comes up again has thousands who want the same piece, and the slow among them hold it for long. */
static void a_piece_that_many_get_is_there_once(void)
{
    enum { MANY = 50 };
    begin();
    uint64_t head = append_turn(KEY, 100, false);
    struct history_request *got[MANY + 1];
    for (int i = 0; i < MANY; i++) {
        folds_ask(folds, request_of(KEY, 0, true, head, 1000));
    }
    while (folds_step(folds)) {
    }
    for (int i = 0; i < MANY; i++) {
        got[i] = answered();
        CU_ASSERT_PTR_NOT_NULL_FATAL(got[i]);
    }
    got[MANY] = ask(request_of(KEY, 0, true, head, 1000)); /* a moment later */
    for (int i = 1; i <= MANY; i++) {
        CU_ASSERT_PTR_EQUAL(got[i]->bytes.data, got[0]->bytes.data);
    }
    for (int i = 0; i < MANY; i++) {
        history_request_free(got[i]);
    }
    /* The last who has it may read it, also when history has forgotten it. */
    folds_expire(folds, instant_after_ms(clock_now(), 60000));
    struct fold_client *client = fold_client_new();
    CU_ASSERT_TRUE(apply(client, got[MANY]));
    fold_client_free(client);
    history_request_free(got[MANY]);
    end();
}

static void folds_are_kept_for_a_while_and_not_more_than_some(void)
{
    begin();
    clock_fake_start();
    enum { SESSIONS = 100 };
    for (int64_t key = 1; key <= SESSIONS; key++) {
        uint64_t head = append_turn(key, 5, true);
        struct history_request *request = ask(request_of(key, 0, true, head, 1));
        CU_ASSERT_EQUAL(request->events, 1);
        history_request_free(request);
    }
    CU_ASSERT_EQUAL(metric_read(METRIC_FOLDS), 64);
    clock_fake_advance(9999);
    folds_expire(folds, clock_now());
    CU_ASSERT_EQUAL(metric_read(METRIC_FOLDS), 64);
    CU_ASSERT_TRUE(instant_diff_ms(folds_due(folds), clock_now()) <= 1);
    clock_fake_advance(1);
    folds_expire(folds, clock_now());
    CU_ASSERT_EQUAL(metric_read(METRIC_FOLDS), 0);
    /* Whoever comes later gets the rest all the same. */
    struct history_request *rest = request_of(1, 0, true, 8, 1 << 20);
    rest->from = 2;
    ask(rest);
    CU_ASSERT_EQUAL(rest->result, ERR_OK);
    CU_ASSERT_EQUAL(rest->events, 2);
    history_request_free(rest);
    clock_fake_stop();
    end();
}

static void append_row(int64_t key)
{
    static char text[] = "x";
    const struct session_row row = {.key = key, .id = text, .agent = text, .workspace = text, .policy = text,
                                    .phase = text, .epoch = text, .created_by = text};
    const struct store_write write = {.kind = STORE_SESSION, .session_key = key, .row = &row};
    CHECK(store->operations->append(store, &write) == ERR_OK);
}

/* Also when a part of a long log is left, which is removed piece by piece. */
static void a_session_that_is_erased_while_it_is_read_is_no_error(void)
{
    for (int left = 0; left < 2; left++) {
        begin();
        uint64_t head = append_turn(KEY, 100000, true);
        append_row(KEY);
        struct history_request *request = request_of(KEY, 0, true, head, 1 << 20);
        folds_ask(folds, request);
        CU_ASSERT_TRUE(folds_step(folds));
        const struct store_write purge = {.kind = STORE_PURGE, .session_key = KEY};
        CHECK(store->operations->append(store, &purge) == ERR_OK);
        if (left) {
            append_json(KEY, head - 1, "text_complete", ",\"messageId\":\"m\",\"text\":\"...\"");
            append_json(KEY, head, "complete", "");
        }
        while (folds_step(folds)) {
        }
        CU_ASSERT_PTR_EQUAL_FATAL(answered(), request);
        CU_ASSERT_EQUAL(request->result, ERR_NOENT);
        CU_ASSERT_EQUAL(request->bytes.length, 0);
        history_request_free(request);
        end();
    }
}

static void a_log_that_is_torn_is_an_error(void)
{
    begin();
    uint64_t head = append_turn(KEY, 10, false);
    append_row(KEY);
    struct store_fold_range gone = {.from = 4, .to = 5};
    struct store_fold tear = {.session_key = KEY, .gone = &gone, .gone_count = 1};
    CHECK(store->operations->fold(store, &tear) == ERR_OK);
    struct history_request *request = ask(request_of(KEY, 0, true, head, 1000));
    CU_ASSERT_EQUAL(request->result, ERR_CORRUPT);
    CU_ASSERT_EQUAL(request->bytes.length, 0);
    CU_ASSERT_EQUAL(request->last, 0);
    history_request_free(request);
    end();
}

static void a_damaged_turn_keeps_no_other_from_being_folded(void)
{
    begin();
    (void)append_turn(1, 10, true);
    (void)append_turn(2, 10, true);
    struct store_fold_range gone = {.from = 4, .to = 5};
    struct store_fold tear = {.session_key = 1, .gone = &gone, .gone_count = 1};
    CHECK(store->operations->fold(store, &tear) == ERR_OK);
    size_t rows = stored(1).rows;
    while (fold_a_window()) {
    }
    CU_ASSERT_EQUAL(stored(1).rows, rows); /* as it was */
    CU_ASSERT_EQUAL(stored(2).rows, 3);
    struct store_unfolded unfolded;
    CU_ASSERT_EQUAL(reader->operations->find_unfolded(reader, INT64_MAX, &unfolded), ERR_NOENT);
    end();
}

/* Maintenance tries again later, from the turn's beginning. */
static void a_store_that_does_not_take_it_is_asked_again(void)
{
    begin();
    (void)append_turn(KEY, 50, true);
    store_memory_fail(store, ERR_NOSPC);
    CU_ASSERT_FALSE(folding_go_on(folding, 1, ENDED + 2));
    struct fold_note *note = container_of(mailbox_take(inbox), struct fold_note, mail);
    note->result = store->operations->fold(store, &note->fold);
    CU_ASSERT_EQUAL(note->result, ERR_NOSPC);
    folding_written(folding);
    CU_ASSERT_EQUAL(stored(KEY).rows, 53);
    store_memory_fail(store, ERR_OK);
    CU_ASSERT_FALSE(folding_go_on(folding, 1, clock_wall_ms() + 1000));
    CU_ASSERT_PTR_NULL(mailbox_take(inbox)); /* not at once */
    CU_ASSERT_FALSE(folding_go_on(folding, 1, clock_wall_ms() + 20000));
    note = container_of(mailbox_take(inbox), struct fold_note, mail);
    CU_ASSERT_EQUAL(store->operations->fold(store, &note->fold), ERR_OK);
    note->result = ERR_OK;
    folding_written(folding);
    CU_ASSERT_EQUAL(stored(KEY).rows, 3);
    end();
}

/* Whichever allocation fails: an answer, and the next one is right. */
static void without_memory_a_replay_is_an_error(void)
{
    begin();
    uint64_t head = append_turn(KEY, 300, false);
    bool done = false;
    int failed = 0;
    for (long nth = 0; nth < 500 && !done; nth++) {
        folds_expire(folds, instant_after_ms(clock_now(), 60000));
        struct history_request *request = request_of(KEY, 100, false, head, 1 << 20);
        atomic_store(&oom_countdown, nth);
        ask(request);
        done = atomic_exchange(&oom_countdown, -1) >= 0; /* none failed any more */
        CU_ASSERT_TRUE(request->result == ERR_NOMEM || request->result == ERR_OK);
        failed += request->result == ERR_NOMEM;
        if (request->result == ERR_OK) {
            CU_ASSERT_EQUAL(request->events, 1);
            CU_ASSERT_EQUAL(request->last, head);
        } else {
            CU_ASSERT_EQUAL(request->bytes.length, 0);
        }
        history_request_free(request);
    }
    CU_ASSERT_TRUE(done);
    CU_ASSERT_TRUE(failed > 5);
    end();
}

static void without_memory_the_store_is_not_folded(void)
{
    begin();
    uint64_t head = append_turn(KEY, 300, true);
    int64_t now = clock_wall_ms();
    bool sent = false;
    int failed = 0;
    for (long nth = 0; nth < 200 && !sent; nth++) {
        atomic_store(&oom_countdown, nth);
        CU_ASSERT_FALSE(folding_go_on(folding, 1, now += 20000));
        atomic_store(&oom_countdown, -1);
        struct mail *mail = mailbox_take(inbox);
        sent = mail != NULL;
        failed += !sent;
        CU_ASSERT_EQUAL(stored(KEY).rows, head);
    }
    CU_ASSERT_TRUE(sent && failed > 3);
    end();
}

/* The same piece, as it is and in a dialect: each is made once, and they are not taken for each other. */
static void a_piece_in_a_dialect(void)
{
    const struct dialect *dialect = dialect_by_path("/chat");
    begin();
    uint64_t head = append_turn(KEY, 100, false);
    struct history_request *got[3];
    for (int i = 0; i < 3; i++) {
        struct history_request *request = request_of(KEY, 0, true, head, 100000);
        request->dialect = i ? dialect : NULL;
        folds_ask(folds, request);
    }
    while (folds_step(folds)) {
    }
    for (int i = 0; i < 3; i++) {
        got[i] = answered();
        CU_ASSERT_PTR_NOT_NULL_FATAL(got[i]);
        CU_ASSERT_EQUAL(got[i]->result, ERR_OK);
        CU_ASSERT_EQUAL(got[i]->last, head);
    }
    CU_ASSERT_EQUAL(got[0]->events, got[1]->events);
    CU_ASSERT_PTR_EQUAL(got[1]->bytes.data, got[2]->bytes.data);
    for (int i = 0; i < 2; i++) {
        char *text = strndup(got[i]->bytes.data, got[i]->bytes.length);
        CU_ASSERT_EQUAL(strstr(text + 4, "session_replay_batch") != NULL, i == 1);
        free(text);
    }
    struct history_request *late = request_of(KEY, 0, true, head, 100000);
    late->dialect = dialect;
    CU_ASSERT_PTR_EQUAL(ask(late)->bytes.data, got[1]->bytes.data);
    history_request_free(late);
    for (int i = 0; i < 3; i++) {
        history_request_free(got[i]);
    }
    end();
}

TEST_MAIN("history_fold", TEST(a_piece_in_a_dialect), TEST(replays_end_in_the_live_state_while_the_store_folds),
          TEST(a_whole_position_goes_on_with_raw_events), TEST(the_store_is_folded_as_a_replay_is),
          TEST(a_long_log_holds_nobody_up), TEST(a_long_turn_is_folded_in_windows),
          TEST(an_open_turn_stays_as_it_is), TEST(what_many_want_is_folded_once),
          TEST(a_piece_that_many_get_is_there_once),
          TEST(folds_are_kept_for_a_while_and_not_more_than_some),
          TEST(a_log_that_is_torn_is_an_error), TEST(a_session_that_is_erased_while_it_is_read_is_no_error),
          TEST(a_damaged_turn_keeps_no_other_from_being_folded),
          TEST(a_store_that_does_not_take_it_is_asked_again),
          TEST(without_memory_a_replay_is_an_error), TEST(without_memory_the_store_is_not_folded))
