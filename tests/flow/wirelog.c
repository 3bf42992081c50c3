#define _GNU_SOURCE
/* The wirelog thread by itself: what is sent to it, and what is in the files then. */
#include "signalbox/role/wirelog.h"

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/rcu.h"
#include "signalbox/mail/wirelog.h"
#include "support/folder.h"
#include "support/test.h"

static char *folder;
static struct config_store *store;
static struct wirelog *wirelog;

static void begin(void)
{
    folder = folder_new();
    CHECK(rcu_thread_enter() == ERR_OK);
    struct config_source source;
    struct config_error error = {0};
    struct config *config;
    CHECK(config_source_init(&source, NULL) == ERR_OK);
    CHECK(config_source_set_key(&source, "data", folder) == ERR_OK);
    CHECK(config_load(&config, &source, NULL, &error) == ERR_OK);
    config_source_free(&source);
    CHECK(config_store_new(&store, config) == ERR_OK);
    CHECK(wirelog_start(&wirelog, store, "1.2.3") == ERR_OK);
}

/* After it, everything that was sent is in the files. */
static void stop(void)
{
    wirelog_stop(wirelog);
    wirelog = NULL;
}

static void end(void)
{
    config_store_free(store);
    rcu_barrier();
    folder_remove(folder);
}

static struct wirelog_run *run_of(const char *session, uint64_t number)
{
    char *environment[] = {(char[]){"A_TOKEN=abcdef"}, NULL};
    struct redact_secrets secrets;
    struct wirelog_run *run;
    CHECK(redact_secrets_of(&secrets, environment) == ERR_OK);
    CHECK(wirelog_run_new(&run, session, "claude", number, 1000, &secrets) == ERR_OK);
    mailbox_push(wirelog_mailbox(wirelog), &run->begin);
    return run;
}

static void say(struct wirelog_run *run, const char *text, bool is_json, uint64_t missing)
{
    const struct wirelog_line line = {.run = run,
                                      .direction = WIRELOG_IN,
                                      .is_json = is_json,
                                      .ms = 5,
                                      .missing = missing,
                                      .length = strlen(text)};
    CU_ASSERT(wirelog_line_send(wirelog_mailbox(wirelog), &line, text));
}

static void finish(struct wirelog_run *run, uint64_t missing)
{
    run->missing = missing;
    run->ended_ms = 9;
    mailbox_push(wirelog_mailbox(wirelog), &run->end);
}

static void check_file(const char *name, const char *expected)
{
    char *text = NULL;
    size_t length;
    CU_ASSERT_EQUAL_FATAL(file_read(folder_path(folder, name), 1 << 20, &text, &length), ERR_OK);
    TEST_TEXT(text, expected);
    free(text);
}

#define HEAD(session, run)                                                                                              \
    "{\"dir\":\"note\",\"t\":5,\"text\":\"A wire log of Signalbox. Secrets were replaced as far as they were "         \
    "recognized.\",\"version\":\"1.2.3\",\"agent\":\"claude\",\"sessionId\":\"" session "\",\"run\":" run                 \
    ",\"part\":1,\"startedAt\":1000}\n"

static void lines_are_written_as_they_were(void)
{
    begin();
    struct wirelog_run *run = run_of("s", 4), *silent = run_of("t", 1);
    say(run, "{\"a\":[1.50, \"abcdef\"],\"a\":2}", true, 0);
    say(run, "no \"JSON\" abcdef", false, 3);
    say(run, "{\"broken", true, 0); /* whoever said that it is JSON was wrong */
    finish(run, 1);
    finish(silent, 0);
    stop();
    check_file("wire/s/4-001.jsonl",
               HEAD("s", "4") "{\"dir\":\"in\",\"t\":5,\"msg\":{\"a\":[1.50,\"[redacted]\"],\"a\":2}}\n"
                              "{\"dir\":\"note\",\"t\":5,\"missing\":3,\"text\":\"3 lines are missing here\"}\n"
                              "{\"dir\":\"in\",\"t\":5,\"text\":\"no \\\"JSON\\\" [redacted]\"}\n"
                              "{\"dir\":\"in\",\"t\":5,\"text\":\"{\\\"broken\"}\n"
                              "{\"dir\":\"note\",\"t\":9,\"missing\":1,\"text\":\"1 line is missing here\"}\n");
    CU_ASSERT(access(folder_path(folder, "wire/t"), F_OK) != 0); /* what said nothing has no file */
    end();
}

static void an_erased_session_stays_erased(void)
{
    begin();
    struct wirelog_run *run = run_of("s", 1), *other = run_of("t", 1);
    say(run, "1", true, 0);
    say(other, "1", true, 0);
    CU_ASSERT_EQUAL(wirelog_purge(wirelog, "s"), ERR_OK);
    say(run, "2", true, 0);
    finish(run, 1);
    finish(other, 0);
    CU_ASSERT_EQUAL(wirelog_purge(wirelog, "../.."), ERR_OK); /* is logged, and does nothing */
    stop();
    CU_ASSERT(access(folder_path(folder, "wire/s"), F_OK) != 0);
    check_file("wire/t/1-001.jsonl", HEAD("t", "1") "{\"dir\":\"in\",\"t\":5,\"msg\":1}\n");
    end();
}

TEST_MAIN("wirelog", TEST(lines_are_written_as_they_were), TEST(an_erased_session_stays_erased))
