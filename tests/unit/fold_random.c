/*
 * Folding at random: whatever the log, and wherever a client was cut off, it ends in the state of
 * one that saw everything live.
 */
#include "signalbox/core/fold.h"
#include "support/fold_client.h"
#include "support/fold_log.h"
#include "support/test.h"

enum { LOGS = 120, CUTS = 10 };

static void apply_all(struct fold_client *client, const struct fold_log *log, size_t count)
{
    for (size_t index = 0; index < log->count && index < count; index++) {
        const char *wrong =
            fold_client_apply(client, log->rows[index].json, log->rows[index].length);
        if (wrong) {
            printf("\n    %s: %s\n", wrong, log->rows[index].json);
            CU_FAIL("an event does not fit");
            return;
        }
    }
}

/* One that saw the raw log up to `seq`. */
static struct fold_client *live_client(const struct fold_log *raw, uint64_t seq)
{
    struct fold_client *client = fold_client_new();
    apply_all(client, raw, (size_t)seq);
    return client;
}

static void same_state(const struct fold_client *client, const char *expected, uint64_t seed)
{
    char *state = fold_client_state(client);
    if (strcmp(state, expected) != 0) {
        printf("\n    seed %llu\n", (unsigned long long)seed);
    }
    TEST_TEXT(state, expected);
    free(state);
}

static void same_log(const struct fold_log *one, const struct fold_log *other, uint64_t seed)
{
    bool same = one->count == other->count;
    for (size_t index = 0; same && index < one->count; index++) {
        same = one->rows[index].seq == other->rows[index].seq &&
               strcmp(one->rows[index].json, other->rows[index].json) == 0;
        if (!same) {
            printf("\n    seed %llu\n    %s\n    %s\n", (unsigned long long)seed,
                   one->rows[index].json, other->rows[index].json);
        }
    }
    CU_ASSERT_TRUE(same);
}

/* A few stretches of the log up to `head` folded, as the store does in the background. */
static void compact_some(struct fold_log *log, uint64_t *random, uint64_t head, size_t times)
{
    while (times-- > 0) {
        uint64_t last = 1 + fold_below(random, head);
        uint64_t first = 1 + fold_below(random, last);
        fold_log_compact(log, first, last);
    }
}

struct scene {
    uint64_t seed, random, head;
    struct fold_log raw;
    struct fold_log stored; /* parts of it folded */
    char *expected;         /* the state of who saw all up to the head live */
};

static void scene_make(struct scene *scene, uint64_t seed)
{
    *scene = (struct scene){.seed = seed, .random = seed * 77};
    fold_log_make(&scene->raw, seed, 30 + fold_below(&scene->random, 220), seed % 2 == 0);
    scene->head = 1 + fold_below(&scene->random, scene->raw.count);
    fold_log_copy(&scene->stored, &scene->raw);
    compact_some(&scene->stored, &scene->random, scene->head, fold_below(&scene->random, 4));
    struct fold_client *client = live_client(&scene->raw, scene->head);
    scene->expected = fold_client_state(client);
    fold_client_free(client);
}

static void scene_free(struct scene *scene)
{
    fold_log_free(&scene->raw);
    fold_log_free(&scene->stored);
    free(scene->expected);
}

static void whole_positions_end_alike(struct scene *scene)
{
    for (int cut = 0; cut < CUTS; cut++) {
        uint64_t after = fold_below(&scene->random, scene->head + 1);
        struct fold_client *client = live_client(&scene->raw, after);
        struct fold_client *careful = fold_client_copy(client);
        struct fold_log replay = {0};
        fold_log_replay(&scene->stored, after + 1, after, scene->head, &replay);
        fold_client_resume(client);
        apply_all(client, &replay, SIZE_MAX);
        same_state(client, scene->expected, scene->seed);
        fold_log_free(&replay);
        fold_log_replay(&scene->stored, fold_log_turn(&scene->stored, after), after, scene->head,
                        &replay);
        fold_client_resume(careful);
        apply_all(careful, &replay, SIZE_MAX);
        same_state(careful, scene->expected, scene->seed);
        fold_log_free(&replay);
        fold_client_free(client);
        fold_client_free(careful);
    }
}

/*
 * Replays that break off, the log growing and being folded between them; and pages, each asked for
 * with the number that the one before ended with, which is the same.
 */
static void broken_replays_end_alike(struct scene *scene)
{
    uint64_t head = 1 + fold_below(&scene->random, scene->head);
    struct fold_client *client = live_client(
        &scene->raw, fold_below(&scene->random, 2) ? 0 : fold_below(&scene->random, head));
    struct fold_log stored;
    fold_log_copy(&stored, &scene->raw);
    while (fold_client_position(client) < scene->head) {
        if (fold_below(&scene->random, 3) == 0) {
            compact_some(&stored, &scene->random, head, 1);
        }
        uint64_t after = fold_client_position(client);
        struct fold_log replay = {0};
        fold_log_replay(&stored, fold_log_turn(&stored, after), after, head, &replay);
        fold_client_resume(client);
        apply_all(client, &replay, 1 + fold_below(&scene->random, 1 + replay.count / 2));
        fold_log_free(&replay);
        head += fold_below(&scene->random, scene->head - head + 1);
        head = fold_client_position(client) >= head ? scene->head : head;
    }
    same_state(client, scene->expected, scene->seed);
    fold_log_free(&stored);
    fold_client_free(client);
}

static size_t positions_checked, positions_unsafe;

/* A replay that breaks off where it says that this is safe may go on with raw events. */
static void safe_positions_are_whole(struct scene *scene)
{
    uint64_t after = fold_below(&scene->random, scene->head + 1);
    struct fold_log replay = {0};
    uint64_t unsafe = fold_log_replay(&scene->raw, after + 1, after, scene->head, &replay);
    for (size_t index = 0; index < replay.count; index++) {
        positions_checked++;
        if (replay.rows[index].seq <= unsafe) {
            positions_unsafe++;
            continue;
        }
        struct fold_client *client = live_client(&scene->raw, after);
        fold_client_resume(client);
        apply_all(client, &replay, index + 1);
        for (uint64_t seq = replay.rows[index].seq + 1; seq <= scene->head; seq++) {
            const struct fold_log_row *row = &scene->raw.rows[seq - 1];
            const char *wrong = fold_client_apply(client, row->json, row->length);
            if (wrong) {
                printf("\n    seed %llu: %s: %s\n", (unsigned long long)scene->seed, wrong, row->json);
                CU_FAIL("an event does not fit");
                break;
            }
        }
        same_state(client, scene->expected, scene->seed);
        fold_client_free(client);
    }
    fold_log_free(&replay);
}

static void steps_do_not_matter(struct scene *scene)
{
    struct fold_log once = {0};
    struct fold_log twice = {0};
    struct fold_log stepwise = {0};
    fold_log_replay(&scene->raw, 1, 0, scene->head, &once);
    fold_log_replay(&once, 1, 0, scene->head, &twice);
    same_log(&twice, &once, scene->seed);
    fold_log_replay(&scene->stored, 1, 0, scene->head, &stepwise);
    same_log(&stepwise, &once, scene->seed);

    uint64_t expected = 1;
    for (size_t index = 0; index < once.count; index++) {
        CU_ASSERT_EQUAL(once.rows[index].from, expected);
        expected = once.rows[index].seq + 1;
    }
    CU_ASSERT_EQUAL(expected, scene->head + 1);
    fold_log_free(&once);
    fold_log_free(&twice);
    fold_log_free(&stepwise);
}

/* How often `"member":"value"` of this type is in the log. */
static size_t count_of(const struct fold_log *log, const char *type, const char *member,
                       const char *value)
{
    char kind[64];
    char id[64];
    snprintf(kind, sizeof(kind), "\"type\":\"%s\"", type);
    snprintf(id, sizeof(id), "\"%s\":\"%s\"", member, value);
    size_t count = 0;
    for (size_t index = 0; index < log->count; index++) {
        count += strstr(log->rows[index].json, kind) && strstr(log->rows[index].json, id);
    }
    return count;
}

/* Only where nothing is open outside of turns: there a turn_started comes in between. */
static void little_is_left(struct scene *scene)
{
    struct fold_log folded = {0};
    fold_log_replay(&scene->raw, 1, 0, scene->head, &folded);
    for (int number = 1; number < 40; number++) {
        char id[32];
        snprintf(id, sizeof(id), "m1-%d", number);
        size_t over = count_of(&folded, "text_complete", "messageId", id) +
                      count_of(&folded, "thought_complete", "messageId", id);
        size_t deltas = count_of(&folded, "text_delta", "messageId", id) +
                        count_of(&folded, "thought_delta", "messageId", id);
        CU_ASSERT_TRUE(over + deltas <= 1);
        snprintf(id, sizeof(id), "t1-%d", number);
        bool result = count_of(&folded, "tool_result", "toolUseId", id) == 1;
        CU_ASSERT_TRUE(!result || count_of(&folded, "tool_output", "toolUseId", id) == 0);
        CU_ASSERT_TRUE(result || count_of(&folded, "tool_update", "toolUseId", id) <= 1);
        snprintf(id, sizeof(id), "u%d", number);
        CU_ASSERT_TRUE(count_of(&folded, "user_message", "messageId", id) <= 1);
    }
    fold_log_free(&folded);
}

static void random_logs(void (*check)(struct scene *scene), uint64_t step)
{
    for (uint64_t seed = 2; seed < 2 + LOGS; seed += step) {
        struct scene scene;
        scene_make(&scene, seed);
        check(&scene);
        scene_free(&scene);
        if (CU_get_number_of_failure_records() > 10) {
            return; /* the first say enough */
        }
    }
}

static void a_replay_from_anywhere_ends_in_the_live_state(void)
{
    random_logs(whole_positions_end_alike, 1);
}

static void replays_that_broke_off_end_in_the_live_state(void)
{
    random_logs(broken_replays_end_alike, 1);
}

static void a_safe_position_may_go_on_raw(void)
{
    positions_checked = positions_unsafe = 0;
    random_logs(safe_positions_are_whole, 1);
    /* Of both there are many: the logs have parallel calls, and things beside an open message. */
    CU_ASSERT_TRUE(positions_unsafe > positions_checked / 10);
    CU_ASSERT_TRUE(positions_unsafe < positions_checked);
}

static void folding_in_steps_is_folding_once(void)
{
    random_logs(steps_do_not_matter, 1);
}

static void what_is_over_is_short(void)
{
    random_logs(little_is_left, 2);
}

TEST_MAIN("fold_random", TEST(a_replay_from_anywhere_ends_in_the_live_state),
          TEST(replays_that_broke_off_end_in_the_live_state),
          TEST(a_safe_position_may_go_on_raw), TEST(folding_in_steps_is_folding_once), TEST(what_is_over_is_short))
