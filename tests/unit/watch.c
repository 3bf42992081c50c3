#define _GNU_SOURCE
#include "signalbox/role/watch.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/rcu.h"
#include "support/folder.h"
#include "support/test.h"

/* Far beyond what anything here takes: only a notice that never comes reaches it. */
enum { PATIENCE_S = 60 };

struct fixture {
    char *folder;
    struct config_source source;
    struct config_store *store;
    struct watch *watch;
    sem_t changed;
    atomic_int configs, themes;
};

static void count(void *context, enum watch_change what)
{
    struct fixture *fixture = context;
    atomic_fetch_add(what == WATCH_CONFIG ? &fixture->configs : &fixture->themes, 1);
    sem_post(&fixture->changed);
}

static void await(struct fixture *fixture)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    CU_ASSERT_EQUAL_FATAL(sem_timedwait(&fixture->changed, &until), 0);
}

static void begin(struct fixture *fixture, const char *file)
{
    struct config *config = NULL;
    struct config_error error = {0};
    CHECK(rcu_thread_enter() == ERR_OK);
    CHECK(sem_init(&fixture->changed, 0, 0) == 0);
    CHECK(config_source_init(&fixture->source, folder_path(fixture->folder, file)) == ERR_OK);
    CHECK(config_load(&config, &fixture->source, NULL, &error) == ERR_OK);
    CHECK(config_store_new(&fixture->store, config) == ERR_OK);
    CHECK(watch_new(&fixture->watch, fixture->store, &fixture->source, count, fixture) == ERR_OK);
    CHECK(watch_start(fixture->watch) == ERR_OK);
}

static void end(struct fixture *fixture)
{
    watch_stop(fixture->watch);
    watch_free(fixture->watch);
    config_store_free(fixture->store);
    config_source_free(&fixture->source);
    rcu_barrier();
    sem_destroy(&fixture->changed);
    folder_remove(fixture->folder);
}

static int64_t clients(struct fixture *fixture)
{
    const struct config *config = config_current_get(fixture->store);
    int64_t value = config->max_clients;
    config_put(config);
    return value;
}

/* A file that is written in place may be read half-written once, and then as it was meant. */
static void await_clients(struct fixture *fixture, int64_t expected)
{
    while (clients(fixture) != expected) {
        await(fixture);
    }
}

static void every_way_of_replacing_is_seen(void)
{
    struct fixture fixture = {.folder = folder_new()};
    const char *folder = fixture.folder;
    folder_write(folder, "box.conf", "max-clients = 1");
    begin(&fixture, "box.conf");
    folder_write(folder, "box.conf", "max-clients = 2"); /* in place */
    await_clients(&fixture, 2);
    folder_replace(folder, "box.conf", "max-clients = 3");
    await_clients(&fixture, 3);
    folder_replace(folder, "box.conf",
                   "max-clients = 4"); /* the new file is watched as the old one was */
    await_clients(&fixture, 4);
    folder_check(unlink(folder_path(folder, "box.conf")) == 0, "unlink");
    folder_write(folder, "box.conf", "max-clients = 5");
    await_clients(&fixture, 5);
    CU_ASSERT_EQUAL(fixture.themes, 0);
    end(&fixture);
}

/* As in a mounted ConfigMap: box.conf -> ..data/box.conf, ..data -> one of several folders,
 * exchanged by rename. */
static void exchanged_links_are_seen(void)
{
    struct fixture fixture = {.folder = folder_new()};
    const char *folder = fixture.folder;
    folder_check(mkdir(folder_path(folder, "..1"), 0700) == 0, "mkdir");
    folder_check(mkdir(folder_path(folder, "..2"), 0700) == 0, "mkdir");
    folder_write(folder, "..1/box.conf", "max-clients = 1");
    folder_write(folder, "..2/box.conf", "max-clients = 2");
    folder_check(symlink("..1", folder_path(folder, "..data")) == 0, "symlink");
    folder_check(symlink("..data/box.conf", folder_path(folder, "box.conf")) == 0, "symlink");
    begin(&fixture, "box.conf");
    folder_check(symlink("..2", folder_path(folder, "..new")) == 0, "symlink");
    folder_check(rename(folder_path(folder, "..new"), folder_path(folder, "..data")) == 0,
                 "rename");
    await_clients(&fixture, 2);
    folder_replace(folder, "..2/box.conf",
                   "max-clients = 3"); /* in the folder where the links lead now */
    await_clients(&fixture, 3);
    end(&fixture);
}

static void a_folder_that_is_replaced_is_seen(void)
{
    struct fixture fixture = {.folder = folder_new()};
    const char *folder = fixture.folder;
    folder_check(mkdir(folder_path(folder, "a"), 0700) == 0, "mkdir");
    folder_check(mkdir(folder_path(folder, "a/b"), 0700) == 0, "mkdir");
    folder_write(folder, "a/b/box.conf", "max-clients = 1");
    begin(&fixture, "a/b/box.conf");
    folder_check(mkdir(folder_path(folder, "new"), 0700) == 0, "mkdir");
    folder_check(mkdir(folder_path(folder, "new/b"), 0700) == 0, "mkdir");
    folder_write(folder, "new/b/box.conf", "max-clients = 2");
    folder_check(rename(folder_path(folder, "a"), folder_path(folder, "old")) == 0, "rename");
    folder_check(rename(folder_path(folder, "new"), folder_path(folder, "a")) == 0, "rename");
    await_clients(&fixture, 2);
    folder_replace(folder, "a/b/box.conf", "max-clients = 3");
    await_clients(&fixture, 3);
    end(&fixture);
}

static void await_status(struct fixture *fixture, bool ok, struct config_error *error)
{
    time_t until = time(NULL) + PATIENCE_S;
    config_error_free(error);
    while (config_store_ok(fixture->store, error) != ok) {
        config_error_free(error);
        CHECK(time(NULL) < until);
        usleep(1000); /* nobody tells of a refusal */
    }
}

static void a_bad_file_keeps_the_old_one_and_says_where(void)
{
    struct fixture fixture = {.folder = folder_new()};
    const char *folder = fixture.folder;
    struct config_error error = {0};
    folder_write(folder, "box.conf", "max-clients = 1");
    begin(&fixture, "box.conf");
    folder_replace(folder, "box.conf", "\nmax-clients = banana");
    await_status(&fixture, false, &error);
    TEST_TEXT(error.file, folder_path(folder, "box.conf"));
    CU_ASSERT_EQUAL(error.line, 2);
    TEST_TEXT(error.reason, "max-clients: \"banana\" is not a whole number");
    CU_ASSERT_EQUAL(clients(&fixture), 1);
    /* Back to what is in force: fine again, and no news for anybody. */
    folder_replace(folder, "box.conf", "max-clients = 1");
    await_status(&fixture, true, &error);
    /* A file that is named but not there yet is waited for. */
    folder_replace(folder, "box.conf", "tokens-file = tokens");
    await_status(&fixture, false, &error);
    TEST_TEXT(error.file, folder_path(folder, "tokens"));
    CU_ASSERT_EQUAL(fixture.configs, 0);
    folder_write(folder, "tokens", "ada 0123456789abcdef\n");
    await(&fixture);
    await_status(&fixture, true, &error);
    const struct config *config = config_current_get(fixture.store);
    TEST_TEXT(tokens_user(config->tokens, "0123456789abcdef"), "ada");
    config_put(config);
    folder_replace(folder, "tokens", "bob 0123456789abcdef\n");
    await(&fixture);
    config = config_current_get(fixture.store);
    TEST_TEXT(tokens_user(config->tokens, "0123456789abcdef"), "bob");
    config_put(config);
    config_error_free(&error);
    end(&fixture);
}

static void the_theme_is_told_apart(void)
{
    struct fixture fixture = {.folder = folder_new()};
    const char *folder = fixture.folder;
    folder_write(folder, "theme.json", "{\"accent\":\"red\"}");
    folder_write(folder, "box.conf", "theme-file = theme.json");
    begin(&fixture, "box.conf");
    folder_replace(folder, "theme.json", "{\"accent\":\"blue\"}");
    await(&fixture);
    CU_ASSERT_EQUAL(fixture.themes, 1);
    CU_ASSERT_EQUAL(fixture.configs, 0);
    const struct config *config = config_current_get(fixture.store);
    TEST_TEXT(config->theme, "{\"accent\":\"blue\"}");
    config_put(config);
    /* The same bytes once more are no news: the next news is of the configuration, and the only
     * one. */
    folder_replace(folder, "theme.json", "{\"accent\":\"blue\"}");
    folder_replace(folder, "box.conf", "theme-file = theme.json\nmax-clients = 2");
    await(&fixture);
    CU_ASSERT_EQUAL(fixture.themes, 1);
    CU_ASSERT_EQUAL(fixture.configs, 1);
    end(&fixture);
}

static void a_look_can_be_asked_for(void)
{
    struct fixture fixture = {.folder = folder_new()};
    folder_write(fixture.folder, "box.conf", "max-clients = 1");
    begin(&fixture, "box.conf");
    clock_fake_start(); /* no deadline passes, so inotify's news would not be acted on */
    folder_replace(fixture.folder, "box.conf", "max-clients = 2");
    watch_look(fixture.watch);
    await_clients(&fixture, 2);
    clock_fake_stop();
    end(&fixture);
}

static void without_files_there_is_nothing_to_see(void)
{
    struct config_source source;
    struct config *config = NULL;
    struct config_error error = {0};
    struct fixture fixture = {0};
    CHECK(rcu_thread_enter() == ERR_OK);
    CHECK(config_source_init(&source, NULL) == ERR_OK);
    CHECK(config_load(&config, &source, NULL, &error) == ERR_OK);
    CHECK(config_store_new(&fixture.store, config) == ERR_OK);
    CHECK(watch_new(&fixture.watch, fixture.store, &source, count, &fixture) == ERR_OK);
    watch_stop(fixture.watch); /* never started */
    CHECK(watch_start(fixture.watch) == ERR_OK);
    watch_stop(fixture.watch);
    watch_free(fixture.watch);
    watch_free(NULL);
    config_store_free(fixture.store);
    config_source_free(&source);
    rcu_barrier();
    CU_ASSERT_EQUAL(fixture.configs, 0);
}

TEST_MAIN("watch", TEST(every_way_of_replacing_is_seen), TEST(exchanged_links_are_seen),
          TEST(a_folder_that_is_replaced_is_seen),
          TEST(a_bad_file_keeps_the_old_one_and_says_where), TEST(the_theme_is_told_apart),
          TEST(a_look_can_be_asked_for), TEST(without_files_there_is_nothing_to_see))
