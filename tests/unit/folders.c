/* The list of folders without memory, at every single allocation: returned, and nothing leaks (under ASan). */
#define _GNU_SOURCE
#include "role/maintenance_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "support/folder.h"
#include "support/oom.h"
#include "support/test.h"

static char *folder;
static struct config *config;
static struct config_source source;

static void make(const char *name)
{
    CHECK(!mkdir(folder_path(folder, name), 0700));
}

static void begin(void)
{
    struct config_error error = {0};
    folder = folder_new();
    make("roots");
    make("roots/one");
    make("roots/.two");
    make("outside");
    folder_write(folder, "roots/file", "");
    CHECK(!symlink("one", folder_path(folder, "roots/link")));
    CHECK(!symlink("../outside", folder_path(folder, "roots/away")));
    CHECK(!config_source_init(&source, NULL));
    CHECK(!config_source_set_key(&source, "data", folder));
    CHECK(!config_source_set_key(&source, "workspace-roots", folder_path(folder, "roots")));
    CHECK(!config_load(&config, &source, NULL, &error));
}

static void finish(void)
{
    config_put(config);
    config_source_free(&source);
    folder_remove(folder);
}

/* `where` NULL: the roots. */
static enum err list(const char *where, struct list_request **out)
{
    struct list_request *request;
    if (list_request_new(&request)) {
        return ERR_NOMEM;
    }
    request->kind = LIST_FOLDERS;
    if (where && !(request->folder = strdup(where))) {
        list_request_free(request);
        return ERR_NOMEM;
    }
    enum err err = maintenance_list_folders(config, request);
    if (!err && !buffer_ok(&request->items)) {
        err = ERR_NOMEM;
    }
    if (out && !err) {
        *out = request;
    } else {
        list_request_free(request);
    }
    return err;
}

static const char *where;
static enum err wanted;

static bool run(void)
{
    enum err err = list(where, NULL);
    return err == wanted || err == ERR_NOMEM;
}

static void each_allocation_may_fail(void)
{
    bool fine;
    begin();
    char *roots = strdup(folder_path(folder, "roots")), *outside = strdup(folder_path(folder, "outside"));
    const struct {
        const char *where;
        enum err wanted;
        size_t least;
    } cases[] = {{NULL, ERR_OK, 2}, {roots, ERR_OK, 8}, {outside, ERR_PERM, 1}};
    for (size_t i = 0; i < array_size(cases); i++) {
        where = cases[i].where;
        wanted = cases[i].wanted;
        CU_ASSERT_TRUE(oom_each(run, &fine) >= cases[i].least);
        CU_ASSERT_TRUE(fine);
    }
    free(roots);
    free(outside);
    finish();
}

static void what_is_listed(void)
{
    struct list_request *request;
    begin();
    CU_ASSERT_EQUAL_FATAL(list(folder_path(folder, "roots"), &request), ERR_OK);
    struct buffer expected = {0};
    char *roots = realpath(folder_path(folder, "roots"), NULL);
    buffer_format(&expected,
                  ",\"path\":\"%s\",\"folders\":[{\"name\":\"link\",\"path\":\"%s/one\",\"hidden\":false},"
                  "{\"name\":\"one\",\"path\":\"%s/one\",\"hidden\":false},"
                  "{\"name\":\".two\",\"path\":\"%s/.two\",\"hidden\":true}],\"more\":false",
                  roots, roots, roots, roots);
    char *got = buffer_take(&request->items), *right = buffer_take(&expected);
    TEST_TEXT(got, right);
    free(got);
    free(right);
    free(roots);
    list_request_free(request);
    finish();
}

TEST_MAIN("folders", TEST(what_is_listed), TEST(each_allocation_may_fail))
