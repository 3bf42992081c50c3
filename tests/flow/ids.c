/* Commands exactly once: what an id is good for, by what the command is and what had happened to it. */
#define _GNU_SOURCE
#include "ids_world.h"

enum { MANY = 1000 };

/* ---- The table: a command, and what can have happened to its first sending ---- */

static const struct command_case {
    const char *name, *text, *other;
    enum answer_code code;
    bool unlike; /* done a second time, it would be answered by something else */
    bool by_maintenance;
    enum answer_code refusal; /* maintenance's */
} commands[] = {
    {"a prompt", "{'type':'prompt','sessionId':'$','text':'do'}", "{'type':'prompt','sessionId':'$','text':'do not'}",
     .unlike = true},
    {"a refused prompt", "{'type':'prompt','sessionId':'nowhere','text':'do'}",
     "{'type':'prompt','sessionId':'nowhere','text':'do not'}", .code = ANSWER_NOT_FOUND},
    {"a cancel", "{'type':'cancel','sessionId':'$'}", "{'type':'cancel','sessionId':'$','all':true}", .unlike = true},
    {"a session", CREATE, "{'type':'create_session','agent':'a','workspace':'/other'}", .unlike = true,
     .by_maintenance = true},
    {"a session that may not be", CREATE, "{'type':'create_session','agent':'b','workspace':'/w'}", .code = ANSWER_FORBIDDEN,
     .by_maintenance = true, .refusal = ANSWER_FORBIDDEN},
    {"a permission answer", "{'type':'permission_response','requestId':'p-$-9-1','allow':true}",
     "{'type':'permission_response','requestId':'p-$-9-1','allow':false}", .code = ANSWER_NOT_FOUND},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* What a cancel would answer for is there before. */
static void prepare(void)
{
    answer_free(answer_of(send(NULL, "{'type':'prompt','sessionId':'$','text':'queued before'}")));
}

static struct answer_mail *ask(const struct command_case *command, const char *text, bool first)
{
    uint64_t serial = send("same", text);
    if (first && command->by_maintenance) {
        create_goes_on(create_at_maintenance(), command->refusal);
    }
    return answer_of(serial);
}

static bool alike(const struct answer_mail *a, const struct answer_mail *b)
{
    const char *first = a->answer.fields ? a->answer.fields : "";
    const char *second = b->answer.fields ? b->answer.fields : "";
    const char *first_message = a->answer.message ? a->answer.message : "";
    const char *second_message = b->answer.message ? b->answer.message : "";
    return a->answer.code == b->answer.code && !strcmp(first, second) && !strcmp(first_message, second_message) &&
           !strcmp(b->id, "same");
}

static void expect(bool fine, const struct command_case *command, const char *what)
{
    if (!fine) {
        printf("\n    %s: %s\n", command->name, what);
    }
    CU_ASSERT_TRUE(fine);
}

enum past { ANSWERED, RESTARTED, EVICTED, EVICTED_AND_RESTARTED, EXPIRED, EXPIRED_AND_RESTARTED, PASTS };
static const struct {
    const char *name;
    bool known, from_store;
} pasts[PASTS] = {
    [ANSWERED] = {"answered", true, false},
    [RESTARTED] = {"answered before a restart", true, true},
    [EVICTED] = {"answered, and not in memory any more", true, true},
    [EVICTED_AND_RESTARTED] = {"not in memory any more, before a restart", true, true},
    [EXPIRED] = {"answered a day ago", false, false},
    /* At the very age of a day the start still takes its name. */
    [EXPIRED_AND_RESTARTED] = {"answered a day ago, before a restart", false, true},
};

static void pass(enum past past)
{
    if (past == EVICTED || past == EVICTED_AND_RESTARTED) {
        for (int i = 0; i < 3; i++) {
            char id[16];
            snprintf(id, sizeof(id), "other%d", i);
            answer_free(answer_of(send(id, "{'type':'withdraw','sessionId':'$','messageId':'none'}")));
        }
    }
    if (past == EXPIRED || past == EXPIRED_AND_RESTARTED) {
        clock_fake_advance(DAY_MS);
    }
    if (past == RESTARTED || past == EVICTED_AND_RESTARTED || past == EXPIRED_AND_RESTARTED) {
        world_restart();
    }
}

static void a_known_id_is_answered_as_the_first_time(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        for (enum past past = 0; past < PASTS; past++) {
            const struct command_case *command = &commands[i];
            world_begin(past == EVICTED || past == EVICTED_AND_RESTARTED ? 2 : MANY);
            prepare();
            struct answer_mail *first = ask(command, command->text, true);
            CU_ASSERT_EQUAL(first->answer.code, command->code);
            int64_t read = metric_read(METRIC_ANSWERS_READ), repeated = metric_read(METRIC_COMMANDS_REPEATED);
            pass(past);
            int64_t read_before = metric_read(METRIC_ANSWERS_READ);
            CU_ASSERT_EQUAL(read_before, read); /* new ids cost no look at the store */

            bool known = pasts[past].known;
            struct answer_mail *second = ask(command, command->text, !known);
            expect(second->answer.code == command->code, command, pasts[past].name);
            expect(alike(first, second) == (known || !command->unlike), command, pasts[past].name);
            expect(metric_read(METRIC_COMMANDS_REPEATED) - repeated == known, command, pasts[past].name);
            expect(metric_read(METRIC_ANSWERS_READ) - read == (pasts[past].from_store ? 1 : 0), command,
                   pasts[past].name);

            struct answer_mail *third = ask(command, command->other, false);
            expect(third->answer.code == ANSWER_BAD_MESSAGE && third->id_reused, command, pasts[past].name);
            CU_ASSERT_PTR_NOT_NULL(strstr(third->answer.fields, "\"field\":\"id\""));
            /* That refusal has changed nothing. */
            struct answer_mail *fourth = ask(command, command->text, false);
            expect(alike(second, fourth), command, pasts[past].name);
            answer_free(first);
            answer_free(second);
            answer_free(third);
            answer_free(fourth);
            world_end();
        }
    }
}

/* ---- In work ---- */

static void who_sends_again_waits_for_the_first(void)
{
    world_begin(MANY);
    uint64_t first = send("same", CREATE);
    struct dispatch_command *held = create_at_maintenance();
    uint64_t second = send("same", CREATE);
    uint64_t third = send_as(REMEMBER_CLIENT, "c1", "same", CREATE);
    CU_ASSERT_TRUE(nothing_answered());
    uint64_t other = send("same", "{'type':'create_session','agent':'b','workspace':'/w'}");
    struct answer_mail *refused = answer_of(other);
    CU_ASSERT_TRUE(refused->id_reused);
    answer_free(refused);
    create_goes_on(held, ANSWER_OK);
    struct answer_mail *a = answer_of(first), *b = answer_of(second), *c = answer_of(third);
    CU_ASSERT_TRUE(alike(a, b));
    CU_ASSERT_TRUE(alike(a, c));
    CU_ASSERT_PTR_NULL(mailbox_take(world.maintenance));
    answer_free(a);
    answer_free(b);
    answer_free(c);
    world_end();
}

static void a_close_is_answered_late_and_once(void)
{
    static const char close[] = "{'type':'close_session','sessionId':'$'}";
    world_begin(MANY);
    struct agent_notice_mail *exit = agent_exits();
    uint64_t first = send("same", close);
    uint64_t second = send("same", close);
    CU_ASSERT_TRUE(nothing_answered());
    mailbox_push(dispatch_inbox(world.dispatch), &exit->mail);
    answer_free(answer_of(first));
    answer_free(answer_of(second));
    /* Also after a restart it is a repetition. */
    world_restart();
    int64_t repeated = metric_read(METRIC_COMMANDS_REPEATED);
    struct answer_mail *third = answer_of(send("same", close));
    CU_ASSERT_EQUAL(third->answer.code, ANSWER_OK);
    CU_ASSERT_EQUAL(metric_read(METRIC_COMMANDS_REPEATED), repeated + 1);
    answer_free(third);
    world_end();
}

/* While the store is asked nobody knows yet which body the first one had. */
static void bodies_are_compared_when_the_store_has_answered(void)
{
    static const char text[] = "{'type':'prompt','sessionId':'$','text':'do'}";
    static const char other[] = "{'type':'prompt','sessionId':'$','text':'do not'}";
    world_begin(MANY);
    struct answer_mail *first = answer_of(send("same", text));
    world_restart();
    uint64_t a = send("same", other), b = send("same", text), c = send("same", other), d = send("same", text);
    struct answer_mail *answers[] = {answer_of(a), answer_of(b), answer_of(c), answer_of(d)};
    CU_ASSERT_TRUE(answers[0]->id_reused && answers[2]->id_reused);
    CU_ASSERT_TRUE(alike(first, answers[1]) && alike(first, answers[3]));
    for (size_t i = 0; i < 4; i++) {
        answer_free(answers[i]);
    }
    answer_free(first);
    world_end();
}

/* The filter may name what the store does not have. Then the first one that asked is done. */
static void a_name_that_the_store_does_not_know_is_done(void)
{
    static const char text[] = "{'type':'prompt','sessionId':'$','text':'do'}";
    static const char other[] = "{'type':'prompt','sessionId':'$','text':'do not'}";
    world_begin(MANY);
    struct answer_mail *before = answer_of(send("same", text));
    world_restart();
    const struct store_write expire = {.kind = STORE_EXPIRE, .before = INT64_MAX, .limit = 10};
    CU_ASSERT_EQUAL(world.store->operations->append(world.store, &expire), ERR_OK);
    const uint64_t serials[] = {send("same", text), send("same", other), send("same", text)};
    struct answer_mail *answers[3];
    answers_of(serials, answers, 3);
    struct answer_mail *first = answers[0], *refused = answers[1], *again = answers[2];
    CU_ASSERT_EQUAL(first->answer.code, ANSWER_OK);
    CU_ASSERT_FALSE(alike(before, first));
    CU_ASSERT_TRUE(refused->id_reused);
    CU_ASSERT_TRUE(alike(first, again));
    answer_free(before);
    answer_free(first);
    answer_free(refused);
    answer_free(again);
    world_end();
}

/* ---- Not remembered ---- */

static void a_retryable_refusal_is_not_remembered(void)
{
    world_begin(MANY);
    uint64_t first = send("same", CREATE);
    struct dispatch_command *held = create_at_maintenance();
    uint64_t waits = send("same", CREATE);
    CU_ASSERT_TRUE(nothing_answered());
    create_goes_on(held, ANSWER_AGENT_UNAVAILABLE);
    struct answer_mail *a = answer_of(first), *b = answer_of(waits);
    CU_ASSERT_EQUAL(a->answer.code, ANSWER_AGENT_UNAVAILABLE);
    CU_ASSERT_TRUE(alike(a, b));
    uint64_t second = send("same", CREATE);
    create_goes_on(create_at_maintenance(), ANSWER_OK);
    struct answer_mail *c = answer_of(second);
    CU_ASSERT_EQUAL(c->answer.code, ANSWER_OK);
    answer_free(a);
    answer_free(b);
    answer_free(c);
    world_end();
}

static size_t stored(void)
{
    size_t count = 0;
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(world.store->operations->reader_open(world.store, &reader), ERR_OK);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[][2] = {{"c1", "same"}, {"c2", "same"}, {NULL, "same"}};
        struct digest_work work;
        struct digest name;
        struct stored_answer answer;
        digest_begin(&work);
        digest_text(&work, "ann");
        digest_text(&work, names[i][0]);
        digest_text(&work, names[i][1]);
        digest_end(&work, &name);
        if (reader->operations->read_answer(reader, &name, &answer) == ERR_OK) {
            stored_answer_clear(&answer);
            count++;
        }
    }
    reader->operations->reader_close(reader);
    return count;
}

static void names_are_of_a_user_and_a_client_or_a_key(void)
{
    static const char text[] = "{'type':'prompt','sessionId':'$','text':'do'}";
    static const struct {
        enum remember how;
        const char *client;
    } cases[] = {{REMEMBER_CLIENT, "c1"}, {REMEMBER_CLIENT, "c2"}, {REMEMBER_KEY, "x"}, {REMEMBER_CONNECTION, "c3"}};
    world_begin(MANY);
    struct answer_mail *first[4];
    for (size_t i = 0; i < 4; i++) {
        first[i] = answer_of(send_as(cases[i].how, cases[i].client, "same", text));
        for (size_t j = 0; j < i; j++) {
            CU_ASSERT_FALSE(alike(first[i], first[j]));
        }
    }
    /* Whoever has no client id has the same key; a connection is remembered while it is there. */
    const char *again_by[] = {"c1", "c2", "another", "c3"};
    for (size_t i = 0; i < 4; i++) {
        struct answer_mail *again = answer_of(send_as(cases[i].how, again_by[i], "same", text));
        CU_ASSERT_TRUE(alike(first[i], again));
        answer_free(again);
    }
    CU_ASSERT_EQUAL(stored(), 3);
    world_restart();
    struct answer_mail *anew = answer_of(send_as(REMEMBER_CONNECTION, "c3", "same", text));
    CU_ASSERT_FALSE(alike(first[3], anew));
    answer_free(anew);
    for (size_t i = 0; i < 4; i++) {
        answer_free(first[i]);
    }
    world_end();
}

static void what_was_not_recorded_is_not_remembered(void)
{
    static const char text[] = "{'type':'prompt','sessionId':'$','text':'do'}";
    world_begin(MANY);
    store_memory_fail(world.store, ERR_NOSPC);
    uint64_t serial = send("same", text);
    /* The journal says that it fails; the command's answer is behind that. */
    struct mail *told = next_mail(world.socket_box);
    frame_put(container_of(told, struct broadcast_mail, mail)->frame);
    free(container_of(told, struct broadcast_mail, mail));
    CU_ASSERT_PTR_NULL(mailbox_take(world.answers));
    world_stop_flow();
    struct answer_mail *refused = answer_of(serial);
    CU_ASSERT_EQUAL(refused->answer.code, ANSWER_STORAGE_UNAVAILABLE);
    answer_free(refused);
    store_memory_fail(world.store, ERR_OK);
    CU_ASSERT_EQUAL(stored(), 0);
    world_free();
    world_start();
    struct answer_mail *anew = answer_of(send("same", text));
    CU_ASSERT_EQUAL(anew->answer.code, ANSWER_OK);
    answer_free(anew);
    world_end();
}

static void without_an_id_nothing_is_remembered(void)
{
    world_begin(MANY);
    int64_t repeated = metric_read(METRIC_COMMANDS_REPEATED);
    for (int i = 0; i < 2; i++) {
        answer_free(answer_of(send(NULL, "{'type':'prompt','sessionId':'$','text':'do'}")));
    }
    CU_ASSERT_EQUAL(metric_read(METRIC_COMMANDS_REPEATED), repeated);
    world_end();
}

/* ---- The end ---- */

static void who_waits_at_the_end_is_told(void)
{
    world_begin(MANY);
    uint64_t first = send("same", CREATE);
    struct dispatch_command *held = create_at_maintenance();
    uint64_t waits = send("same", CREATE);
    CU_ASSERT_TRUE(nothing_answered());
    dispatch_stop(world.dispatch);
    struct answer_mail *told = answer_of(waits);
    CU_ASSERT_EQUAL(told->answer.code, ANSWER_SHUTTING_DOWN);
    answer_free(told);
    /* Maintenance sends the first one back to a dispatcher that has ended: it is freed with it. */
    (void)first;
    create_goes_on(held, ANSWER_OK);
    timer_stop(world.timer);
    journal_stop(world.journal);
    world_free();
    world_start();
    world_end();
}

static void old_answers_leave_the_store(void)
{
    world_begin(MANY);
    answer_free(answer_of(send_as(REMEMBER_CLIENT, "c1", "same", "{'type':'cancel','sessionId':'$'}")));
    CU_ASSERT_EQUAL(stored(), 1);
    struct expire_note note = {.mail.kind = DISPATCH_EXPIRE, .reply_to = world.answers, .reply_kind = 9,
                               .before = clock_wall_ms() + 1};
    mailbox_push(dispatch_inbox(world.dispatch), &note.mail);
    struct mail *back = next_mail(world.answers);
    CU_ASSERT_PTR_EQUAL(back, &note.mail);
    CU_ASSERT_EQUAL(back->kind, 9);
    CU_ASSERT_EQUAL(stored(), 0);
    world_end();
}

TEST_MAIN("ids", TEST(a_known_id_is_answered_as_the_first_time), TEST(who_sends_again_waits_for_the_first),
          TEST(a_close_is_answered_late_and_once), TEST(bodies_are_compared_when_the_store_has_answered),
          TEST(a_name_that_the_store_does_not_know_is_done), TEST(a_retryable_refusal_is_not_remembered),
          TEST(names_are_of_a_user_and_a_client_or_a_key), TEST(what_was_not_recorded_is_not_remembered),
          TEST(without_an_id_nothing_is_remembered), TEST(who_waits_at_the_end_is_told),
          TEST(old_answers_leave_the_store))
