/* The files thread with real files and links: what may be read and written, and what never is. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/base/rcu.h"
#include "signalbox/mail/files.h"
#include "signalbox/role/files.h"
#include "support/folder.h"
#include "support/test.h"

enum { ANSWER = 77, WAIT_MS = 30000, RACES = 4000 };

static char *folder, *workspace, *outside;
static struct files *files;
static struct mailbox *box;
static struct topic *topic;

/* The thread's rename: a file system that hangs, when the test wants one. */
static atomic_bool hangs, hanging;
int renameat(int old_folder, const char *old_name, int new_folder, const char *new_name)
{
    while (atomic_load(&hangs)) {
        atomic_store(&hanging, true);
        usleep(1000);
    }
    atomic_store(&hanging, false);
    return (int)syscall(SYS_renameat2, old_folder, old_name, new_folder, new_name, 0);
}

static void begin(void)
{
    static const struct topic_limits limits = {.tail_bytes = 4096, .tail_events = 16, .socket_threads = 1};
    folder = folder_new();
    workspace = strdup(folder_path(folder, "work"));
    CU_ASSERT_EQUAL_FATAL(mkdir(workspace, 0755), 0);
    outside = strdup(folder_path(folder, "outside"));
    CU_ASSERT_EQUAL_FATAL(mkdir(outside, 0755), 0);
    folder_write(outside, "secret", "secret");
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(topic_new(&topic, "session-1", "e", 1, 0, &limits), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(files_start(&files), ERR_OK);
}

static void end(void)
{
    files_stop(files, WAIT_MS);
    files_free(files);
    topic_put(topic);
    rcu_barrier();
    mailbox_free(box);
    free(workspace);
    free(outside);
    folder_remove(folder);
}

static struct file_request *new_request(const char *path)
{
    struct file_request *request = calloc(1, sizeof(*request));
    *request = (struct file_request){.mail.kind = FILES_REQUEST,
                                     .reply_to = box,
                                     .reply_kind = ANSWER,
                                     .topic = topic_get(topic),
                                     .call = {.workspace = strdup(workspace), .path = strdup(path), .line = 1, .limit = -1}};
    return request;
}

static struct file_request *ask(struct file_request *request)
{
    mailbox_push(files_mailbox(files), &request->mail);
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        struct pollfd waited = {.fd = mailbox_fd(box), .events = POLLIN};
        CU_ASSERT_FATAL(poll(&waited, 1, WAIT_MS) == 1);
        mailbox_clear(box);
    }
    CU_ASSERT_EQUAL(mail->kind, ANSWER);
    return container_of(mail, struct file_request, mail);
}

static struct file_request *read_lines(const char *path, int64_t line, int64_t limit)
{
    struct file_request *request = new_request(path);
    request->call.line = line;
    request->call.limit = limit;
    return ask(request);
}

static struct file_request *write_text(const char *path, const char *text)
{
    struct file_request *request = new_request(path);
    request->call.write = true;
    request->call.content = strdup(text);
    request->call.length = strlen(text);
    return ask(request);
}

/* The outcome, and for what was read the text. */
static enum file_outcome take(struct file_request *request, const char *text)
{
    enum file_outcome outcome = request->call.outcome;
    if (outcome == FILE_DONE && text) {
        TEST_TEXT(request->call.content, text);
        CU_ASSERT_EQUAL(request->call.length, strlen(text));
    }
    file_request_free(request);
    return outcome;
}

static enum file_outcome reading(const char *path)
{
    return take(read_lines(path, 1, -1), NULL);
}

static enum file_outcome writing(const char *path)
{
    return take(write_text(path, "new"), NULL);
}

static void expect_text(const char *in, const char *name, const char *text)
{
    char *is;
    size_t length;
    CU_ASSERT_EQUAL_FATAL(file_read(folder_path(in, name), 1 << 20, &is, &length), ERR_OK);
    TEST_TEXT(is, text);
    free(is);
}

static void expect_secret(void)
{
    expect_text(outside, "secret", "secret");
}

static void make_link(const char *target, const char *name)
{
    CU_ASSERT_EQUAL_FATAL(symlink(target, folder_path(workspace, name)), 0);
}

static size_t entries(const char *in)
{
    size_t count = 0;
    char command[FOLDER_PATH_SIZE + 32];
    snprintf(command, sizeof(command), "ls -A '%s' | wc -l", in);
    FILE *pipe = popen(command, "r");
    CU_ASSERT_EQUAL_FATAL(fscanf(pipe, "%zu", &count), 1);
    pclose(pipe);
    return count;
}

static void lines(void)
{
    static const char text[] = "eins\nzw\xc3\xb6lf\n\n\xf0\x9f\x98\x80\nend";
    static const struct {
        int64_t line, limit;
        const char *text;
    } cases[] = {
        {1, -1, text},
        {1, 1, "eins\n"},
        {2, 1, "zw\xc3\xb6lf\n"},
        {2, 3, "zw\xc3\xb6lf\n\n\xf0\x9f\x98\x80\n"},
        {5, 1, "end"},
        {5, 100, "end"},
        {6, 1, ""},
        {100, -1, ""},
        {1, 0, ""},
        {INT64_MAX, INT64_MAX, ""},
        {1, INT64_MAX, text},
    };
    begin();
    folder_write(workspace, "a.txt", text);
    folder_write(workspace, "empty", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(take(read_lines("a.txt", cases[i].line, cases[i].limit), cases[i].text), FILE_DONE);
    }
    CU_ASSERT_EQUAL(take(read_lines("empty", 1, -1), ""), FILE_DONE);
    end();
}

static void what_is_no_text_file(void)
{
    begin();
    folder_write(workspace, "latin", "caf\xe9");
    folder_write(workspace, "shut", "x");
    CU_ASSERT_EQUAL(mkdir(folder_path(workspace, "d"), 0755), 0);
    CU_ASSERT_EQUAL(mkfifo(folder_path(workspace, "fifo"), 0644), 0);
    CU_ASSERT_EQUAL(chmod(folder_path(workspace, "shut"), 0), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", workspace);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    bool device = mknod(folder_path(workspace, "tty"), S_IFCHR | 0666, 5 << 8) == 0; /* for root only */

    static const char *const none[] = {"d", "fifo", "sock", "."};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        CU_ASSERT_EQUAL(reading(none[i]), FILE_NOT_REGULAR);
        CU_ASSERT_EQUAL(writing(none[i]), FILE_NOT_REGULAR);
    }
    CU_ASSERT(!device || (reading("tty") == FILE_NOT_REGULAR && writing("tty") == FILE_NOT_REGULAR));
    CU_ASSERT_EQUAL(reading("latin"), FILE_NOT_TEXT);
    CU_ASSERT_EQUAL(reading("nothing"), FILE_MISSING);
    CU_ASSERT_EQUAL(reading("latin/x"), FILE_MISSING);
    CU_ASSERT_EQUAL(writing("latin/x"), FILE_MISSING);
    if (geteuid() != 0) {
        struct file_request *request = read_lines("shut", 1, -1);
        CU_ASSERT(request->call.outcome == FILE_FAILED && request->call.error == EACCES);
        file_request_free(request);
        request = write_text("shut", "y"); /* though it could be replaced */
        CU_ASSERT(request->call.outcome == FILE_FAILED && request->call.error == EACCES);
        file_request_free(request);
    }
    end();
}

static void large_files(void)
{
    begin();
    const char *path = folder_path(workspace, "big");
    FILE *big = fopen(path, "w");
    for (int i = 1; i <= 1000000; i++) {
        fprintf(big, "%d\n", i);
    }
    fclose(big);
    CU_ASSERT_EQUAL(reading("big"), FILE_TOO_LARGE);
    CU_ASSERT_EQUAL(take(read_lines("big", 999999, 2), "999999\n1000000\n"), FILE_DONE);
    CU_ASSERT_EQUAL(take(read_lines("big", 123456, 1), "123456\n"), FILE_DONE);
    CU_ASSERT_EQUAL(truncate(path, (off_t)1 << 40), 0); /* holes */
    CU_ASSERT_EQUAL(reading("big"), FILE_TOO_LARGE);
    CU_ASSERT_EQUAL(take(read_lines("big", 7, 1), "7\n"), FILE_DONE);
    CU_ASSERT_EQUAL(take(read_lines("big", 9000000, 1), NULL), FILE_TOO_LARGE);
    end();
}

static void links(void)
{
    begin();
    folder_write(workspace, "inner", "inner");
    CU_ASSERT_EQUAL(mkdir(folder_path(workspace, "d"), 0755), 0);
    make_link("inner", "to-inner");
    make_link("../inner", "d/up");
    make_link("d", "to-d");
    CU_ASSERT_EQUAL(take(read_lines("to-inner", 1, -1), "inner"), FILE_DONE);
    CU_ASSERT_EQUAL(take(read_lines("to-d/up", 1, -1), "inner"), FILE_DONE);

    make_link("../outside/secret", "out");
    make_link("../outside", "out-d");
    make_link(folder_path(folder, "outside/secret"), "out-absolute");
    make_link(folder_path(workspace, "inner"), "in-absolute"); /* where it leads is not looked at */
    make_link("d/../../outside/secret", "out-and-about");
    make_link("/proc/self/cwd", "proc");
    make_link("/dev/null", "null");
    static const char *const wrong[] = {"../outside/secret", "out",  "out-d/secret", "out-absolute", "in-absolute",
                                        "out-and-about",     "null", "proc/x",       "to-d/../../outside/secret"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(reading(wrong[i]), FILE_OUTSIDE);
        CU_ASSERT_EQUAL(writing(wrong[i]), FILE_OUTSIDE);
    }
    CU_ASSERT_EQUAL(writing("out-d/new/file"), FILE_OUTSIDE);
    make_link("loop", "loop");
    CU_ASSERT_EQUAL(reading("loop"), FILE_FAILED);
    CU_ASSERT_EQUAL(writing("loop"), FILE_FAILED);
    expect_secret();
    CU_ASSERT_EQUAL(entries(outside), 1);

    /* A workspace whose path has become a link is another one. */
    CU_ASSERT_EQUAL(rename(workspace, folder_path(folder, "moved")), 0);
    CU_ASSERT_EQUAL(symlink("outside", workspace), 0);
    CU_ASSERT_EQUAL(reading("secret"), FILE_OUTSIDE);
    CU_ASSERT_EQUAL(writing("secret"), FILE_OUTSIDE);
    expect_secret();
    end();
}

static void writes(void)
{
    begin();
    CU_ASSERT_EQUAL(take(write_text("a/b/c/new.txt", "text \xc3\xa9"), NULL), FILE_DONE);
    expect_text(workspace, "a/b/c/new.txt", "text \xc3\xa9");
    CU_ASSERT_EQUAL(take(write_text("a/b/c/new.txt", ""), NULL), FILE_DONE);
    expect_text(workspace, "a/b/c/new.txt", "");
    CU_ASSERT_EQUAL(entries(folder_path(workspace, "a/b/c")), 1);

    struct stat about;
    folder_write_mode(workspace, "run.sh", "old", 0751);
    CU_ASSERT_EQUAL(writing("run.sh"), FILE_DONE);
    expect_text(workspace, "run.sh", "new");
    CU_ASSERT_EQUAL(stat(folder_path(workspace, "run.sh"), &about), 0);
    CU_ASSERT_EQUAL(about.st_mode & 07777, 0751);

    /* Links stay, and what they name is written. */
    make_link("run.sh", "link");
    make_link("../link", "a/link-to-link");
    CU_ASSERT_EQUAL(take(write_text("a/link-to-link", "by link"), NULL), FILE_DONE);
    expect_text(workspace, "run.sh", "by link");
    CU_ASSERT_EQUAL(lstat(folder_path(workspace, "link"), &about), 0);
    CU_ASSERT(S_ISLNK(about.st_mode));
    CU_ASSERT_EQUAL(lstat(folder_path(workspace, "a/link-to-link"), &about), 0);
    CU_ASSERT(S_ISLNK(about.st_mode));
    make_link("a/made", "to-nothing");
    CU_ASSERT_EQUAL(writing("to-nothing"), FILE_DONE);
    expect_text(workspace, "a/made", "new");
    make_link("nowhere", "no-folder");
    CU_ASSERT_EQUAL(writing("no-folder/x"), FILE_MISSING);
    end();
}

static void a_full_disk_leaves_the_old_file(void)
{
    begin();
    folder_write(workspace, "a", "old");
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    struct rlimit before, small;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){50000, before.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct file_request *request = write_text("a", text);
    struct file_request *fresh = write_text("b", text);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    CU_ASSERT(request->call.outcome == FILE_FAILED && request->call.error == ENOSPC);
    CU_ASSERT(fresh->call.outcome == FILE_FAILED && fresh->call.error == ENOSPC);
    file_request_free(request);
    file_request_free(fresh);
    free(text);
    expect_text(workspace, "a", "old");
    CU_ASSERT_EQUAL(entries(workspace), 1);
    CU_ASSERT_EQUAL(writing("a"), FILE_DONE);
    end();
}

/* `swap` is by turns a folder of the workspace and a link out of it, and `leaf` a file and a link. */
static atomic_bool swapping;
static void swap(size_t number, void *context)
{
    (void)number;
    (void)context;
    int fd = open(workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (atomic_load(&swapping)) {
        syscall(SYS_renameat2, fd, "swap", fd, "link", RENAME_EXCHANGE);
        syscall(SYS_renameat2, fd, "leaf", fd, "leaf-link", RENAME_EXCHANGE);
    }
    close(fd);
}

static void no_race_leads_out(void)
{
    begin();
    CU_ASSERT_EQUAL(mkdir(folder_path(workspace, "swap"), 0755), 0);
    folder_write(workspace, "swap/secret", "ours");
    folder_write(workspace, "leaf", "ours");
    make_link("../outside", "link");
    make_link("../outside/secret", "leaf-link");
    atomic_store(&swapping, true);
    struct test_threads threads = test_threads_start(1, swap, NULL);
    size_t done = 0, refused = 0;
    for (int i = 0; i < RACES; i++) {
        static const char *const paths[] = {"swap/secret", "leaf", "swap/deep/er"};
        enum file_outcome outcome = i % 2 ? take(read_lines(paths[i / 2 % 2], 1, -1), "ours")
                                          : take(write_text(paths[i / 2 % 3], "ours"), NULL);
        done += outcome == FILE_DONE;
        refused += outcome == FILE_OUTSIDE;
    }
    atomic_store(&swapping, false);
    test_threads_join(&threads);
    expect_secret();
    CU_ASSERT_EQUAL(entries(outside), 1);
    CU_ASSERT(done > 0);
    printf(" %zu done, %zu refused ", done, refused);
    end();
}

/* Whoever stops is not held up, and what the thread does later harms nobody. */
static void a_file_system_that_hangs(void)
{
    static struct files *left; /* it is never freed */
    begin();
    folder_write(workspace, "a", "old");
    static struct file_request *request;
    request = new_request("a");
    request->call.write = true;
    request->call.content = strdup("");
    atomic_store(&hangs, true);
    mailbox_push(files_mailbox(files), &request->mail);
    for (int i = 0; i < WAIT_MS && !atomic_load(&hanging); i++) {
        usleep(1000);
    }
    CU_ASSERT_FATAL(atomic_load(&hanging));
    files_stop(files, 50);
    files_free(files);
    left = files;
    CU_ASSERT_PTR_NOT_NULL(left);
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    atomic_store(&hangs, false);
    for (int i = 0; i < WAIT_MS && atomic_load(&hanging); i++) {
        usleep(1000);
    }
    usleep(20000); /* an answer would be there by now; that there is none cannot be waited for */
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    files = NULL;
    end();
}

TEST_MAIN("files", TEST(lines), TEST(what_is_no_text_file), TEST(large_files), TEST(links), TEST(writes),
          TEST(a_full_disk_leaves_the_old_file), TEST(no_race_leads_out), TEST(a_file_system_that_hangs))
