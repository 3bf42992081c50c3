/*
 * Folding. An input that begins with "{" is rows as they stand in a store, some of them damaged: whatever they are, they are
 * folded or refused, and rows that are JSON give JSON. Any other input decides, byte by byte, what happens in a session
 * (support/fold_log.c): its log, folded wherever a client was cut off, ends in the state of who saw it live.
 */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/core/fold.h"
#include "support/fold_client.h"
#include "support/fold_log.h"
#include "support/test.h"

/* ---- Rows as they come ---- */

struct row {
    char *json;
    size_t length;
    uint64_t seq;
};
enum { ROWS_MAX = 256 };

static size_t note_rows(struct fold *fold, struct fuzz_lines *lines, struct row *rows, bool *clean)
{
    const char *line;
    size_t length, count = 0;
    while (count < ROWS_MAX && fuzz_line(lines, &line, &length)) {
        struct fold_row row;
        char *json = fuzz_copy(line, length, false);
        enum err err = fold_read(json, length, &row);
        FUZZ_CHECK(err == ERR_OK || err == ERR_CORRUPT);
        FUZZ_CHECK(err || (row.from >= 1 && row.from <= row.seq));
        if (!err) {
            err = fold_note(fold, &row);
            FUZZ_CHECK(err == ERR_OK || err == ERR_CORRUPT);
        }
        if (err) {
            free(json);
            break;
        }
        rows[count++] = (struct row){json, length, row.seq};
        *clean &= fuzz_is_json(json, length);
    }
    return count;
}

static void apply_rows(struct fold *fold, const struct row *rows, size_t count, bool clean)
{
    uint64_t wanted = fold_wants(fold), position = fold_position(fold);
    for (size_t i = 0; i < count; i++) {
        struct fold_event event;
        if (rows[i].seq < wanted) {
            continue;
        }
        if (!wanted) {
            break;
        }
        enum err err = fold_apply(fold, rows[i].seq, rows[i].json, rows[i].length, &event);
        FUZZ_CHECK(err == ERR_OK || err == ERR_CORRUPT || err == ERR_AGAIN);
        if (err) {
            return;
        }
        if (event.json) {
            FUZZ_CHECK(event.from > 0 && event.from <= event.seq && event.seq == rows[i].seq && event.seq > position);
            position = event.seq;
            FUZZ_CHECK(fold_position(fold) == position);
            if (clean) {
                fuzz_check_json(event.json, event.length);
            }
        }
        wanted = fold_wants(fold);
    }
    FUZZ_CHECK(!wanted);
}

static void fold_rows(const char *text, size_t size)
{
    struct row rows[ROWS_MAX];
    struct fuzz_lines lines = {text, text + size};
    struct fold *fold = NULL;
    bool clean = true;
    /* A client in the middle of them: its position is the first row's, where that can be read. */
    struct fold_row first;
    size_t end = strcspn(text, "\n");
    uint64_t after = !fold_read(text, end < size ? end : size, &first) ? first.seq - (size % 3 ? 1 : 0) : 0;
    if (fold_new(&fold, after)) {
        abort();
    }
    size_t count = note_rows(fold, &lines, rows, &clean);
    if (count && lines.at == lines.end) {
        FUZZ_CHECK(fold_decide(fold) == ERR_OK);
        FUZZ_CHECK(fold_memory(fold) > 0);
        apply_rows(fold, rows, count, clean);
    }
    fold_free(fold);
    while (count > 0) {
        free(rows[--count].json);
    }
}

/* ---- A session's log ---- */

static void apply_all(struct fold_client *client, const struct fold_log *log, size_t count)
{
    for (size_t i = 0; i < log->count && i < count; i++) {
        const char *wrong = fold_client_apply(client, log->rows[i].json, log->rows[i].length);
        if (wrong) {
            fprintf(stderr, "%s: %s\n", wrong, log->rows[i].json);
            abort();
        }
    }
}

static void check_cut(const struct fold_log *raw, const struct fold_log *stored, uint64_t after, bool whole,
                      const char *expected)
{
    struct fold_client *client = fold_client_new();
    struct fold_log replay = {0};
    apply_all(client, raw, (size_t)after);
    fold_client_resume(client);
    fold_log_replay(stored, whole ? after + 1 : fold_log_turn(stored, after), after, raw->count, &replay);
    apply_all(client, &replay, SIZE_MAX);
    char *state = fold_client_state(client);
    TEST_TEXT(state, expected);
    free(state);
    fold_log_free(&replay);
    fold_client_free(client);
}

static void fold_session(const uint8_t *data, size_t size)
{
    struct fold_log raw = {0}, stored = {0}, once = {0}, twice = {0};
    uint64_t random = size;
    fold_log_make_of(&raw, data, size);
    struct fold_client *live = fold_client_new();
    apply_all(live, &raw, SIZE_MAX);
    char *expected = fold_client_state(live);

    fold_log_copy(&stored, &raw);
    for (size_t times = fold_below(&random, 3); times > 0; times--) {
        uint64_t last = 1 + fold_below(&random, raw.count);
        fold_log_compact(&stored, 1 + fold_below(&random, last), last);
    }
    for (int cut = 0; cut < 4; cut++) {
        check_cut(&raw, &stored, fold_below(&random, raw.count + 1), cut % 2 == 0, expected);
    }
    fold_log_replay(&stored, 1, 0, raw.count, &once);
    fold_log_replay(&once, 1, 0, raw.count, &twice);
    FUZZ_CHECK(once.count == twice.count);
    for (size_t i = 0; i < once.count; i++) {
        TEST_TEXT(twice.rows[i].json, once.rows[i].json);
        fuzz_check_json(once.rows[i].json, once.rows[i].length);
    }
    free(expected);
    fold_client_free(live);
    fold_log_free(&raw);
    fold_log_free(&stored);
    fold_log_free(&once);
    fold_log_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == '{') {
        char *text = fuzz_copy(data, size, true);
        fold_rows(text, size);
        free(text);
    } else {
        fold_session(data, size);
    }
    return 0;
}
