#define _GNU_SOURCE
#include "server.h"

#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ARGUMENTS = 128, START_MS = 10000, STOP_MS = 15000, ABANDON_MS = 5000, STEP_MS = 20 };

static void pause_ms(unsigned ms)
{
    usleep(ms * 1000);
}

// What is to be ended and removed however this program ends.
static struct server *running;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *position);

// Ends it by SIGTERM, or after so long by SIGKILL; whether the former did, and with which status.
static bool end_process(pid_t pid, int patience_ms, int *status)
{
    kill(pid, SIGTERM);
    for (int waited = 0; waited < patience_ms; waited += STEP_MS) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended != 0) {
            return ended == pid;
        }
        pause_ms(STEP_MS);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return false;
}

static void abandon(void)
{
    struct server *s = running;
    running = NULL;
    if (s == NULL) {
        return;
    }
    int status;
    if (s->pid > 0) {
        (void)end_process(s->pid, ABANDON_MS, &status);
    }
    if (s->agents > 0) {
        kill(s->agents, SIGKILL);
        waitpid(s->agents, NULL, 0);
    }
    if (!s->keep) {
        nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        die("out of memory");
    }
    va_end(arguments);
    return text;
}

// ---- Start ----

// A file in the folder of this program.
static void find_beside(const char *name, char *path, size_t size)
{
    char self[PATH_MAX] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        die("/proc/self/exe: %s", strerror(errno));
    }
    snprintf(path, size, "%.*s/%s", PATH_MAX - 64, dirname(self), name);
}

// Of hostile.sh.
static const char *const hostile_kinds[] = {"spin", "text", "updates", "garbage",
                                            "huge", "deaf", "crash"};

static void write_configuration(const struct server *s)
{
    char path[PATH_MAX];
    char agent[PATH_MAX];
    char script[PATH_MAX];
    snprintf(path, sizeof path, "%s/bench.conf", s->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        die("%s: %s", path, strerror(errno));
    }
    find_beside("signalbox-scripted-agent", agent, sizeof agent);
    fprintf(file, "agent scripted {\n    command = {\"%s\"}\n}\n", agent);
    fprintf(file,
            "agent impatient {\n    command = {\"%s\"}\n    permission-timeout-ms = 400\n}\n",
            agent);
    fprintf(file, "agent hosted {\n    command = {\"%s\", \"--played-by\", \"%s/agents\"}\n}\n",
            agent, s->folder);
    find_beside("signalbox-bench-hostile.sh", script, sizeof script);
    for (size_t i = 0; i < sizeof hostile_kinds / sizeof hostile_kinds[0]; i++) {
        fprintf(file, "agent hostile-%s {\n    command = {\"/bin/sh\", \"%s\", \"%s\"}\n}\n",
                hostile_kinds[i], script, hostile_kinds[i]);
    }
    fclose(file);
}

static bool read_address(const char *log, long begin, char *address, size_t size)
{
    static const char ready[] = "msg=\"ready to serve\" address=http://";
    char line[4096];
    bool found = false;
    FILE *file = fopen(log, "r");
    if (file != NULL && fseek(file, begin, SEEK_SET) != 0) {
        rewind(file);
    }
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *at = strstr(line, ready);
        if (at != NULL) {
            at += sizeof ready - 1;
            at[strcspn(at, "/ \n")] = '\0';
            found = strlen(at) < size;
            memcpy(address, at, found ? strlen(at) + 1 : 0);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static void print_log(const char *log)
{
    char line[4096];
    FILE *file = fopen(log, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        fputs(line, stderr);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static size_t add_settings(char **arguments, size_t count, const char *const *settings)
{
    for (; settings != NULL && *settings != NULL && count + 3 < ARGUMENTS; settings++) {
        arguments[count++] = strdup("--set");
        arguments[count++] = strdup(*settings);
    }
    return count;
}

static void spawn(struct server *s, const char *program, const char *log, char **arguments)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int error = posix_spawn(&s->pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        die("%s: %s", program, strerror(error));
    }
}

static void find_program(const char *given, char *path)
{
    if (given != NULL) {
        if (realpath(given, path) == NULL) {
            die("%s: %s", given, strerror(errno));
        }
        return;
    }
    find_beside("signalbox", path, PATH_MAX);
}

static void make_folder(struct server *s, const char *keep)
{
    const char *temporary = getenv("TMPDIR");
    if (keep != NULL) {
        snprintf(s->folder, sizeof s->folder, "%s", keep);
        if (mkdir(keep, 0700) < 0 && errno != EEXIST) {
            die("%s: %s", keep, strerror(errno));
        }
    } else {
        snprintf(s->folder, sizeof s->folder, "%s/signalbox-bench-XXXXXX",
                 temporary != NULL && strlen(temporary) < 64 ? temporary : "/tmp");
        if (mkdtemp(s->folder) == NULL) {
            die("%s: %s", s->folder, strerror(errno));
        }
    }
}

// One process that plays the agents named `hosted`, and those of a peer.
static void start_agents(struct server *s)
{
    char program[PATH_MAX];
    char socket[PATH_MAX];
    find_beside("signalbox-scripted-agent", program, sizeof program);
    snprintf(socket, sizeof socket, "%s/agents", s->folder);
    unlink(socket); // of an earlier run, where the folder was kept
    char *arguments[] = {program, "--host", socket, NULL};
    int error = posix_spawn(&s->agents, program, NULL, NULL, arguments, environ);
    if (error != 0) {
        die("%s: %s", program, strerror(error));
    }
    for (int waited = 0; access(socket, F_OK) < 0; waited += STEP_MS) {
        signals_look();
        if (waited > START_MS || waitpid(s->agents, NULL, WNOHANG) != 0) {
            die("%s does not start", program);
        }
        pause_ms(STEP_MS);
    }
}

static void make_arguments(struct server *s, const struct server_options *o, const char *path,
                           char **arguments)
{
    char *workspace = text_of("%s/workspace", s->folder);
    size_t count = 0;
    mkdir(workspace, 0700);
    arguments[count++] = strdup(path);
    if (o->peer != NULL) {
        arguments[count++] = strdup(s->folder);
        for (size_t i = 0; o->more != NULL && o->more[i] != NULL && count + 1 < ARGUMENTS; i++) {
            arguments[count++] = strdup(o->more[i]);
        }
    } else {
        write_configuration(s);
        arguments[count++] = strdup("serve");
        arguments[count++] = text_of("--config=%s/bench.conf", s->folder);
        arguments[count++] = text_of("--data=%s/data", s->folder);
        arguments[count++] = strdup("--listen=127.0.0.1:0");
        arguments[count++] = text_of("--set=workspace-roots=%s", workspace);
        count = add_settings(arguments, count, o->settings);
        add_settings(arguments, count, o->more);
    }
    free(workspace);
}

void server_peer_name(const char *path, char *name, size_t size)
{
    static const char start[] = "/start";
    char *copy = strdup(path);
    size_t length = strlen(path);
    if (copy == NULL) {
        die("out of memory");
    }
    if (length > sizeof start && strcmp(path + length - (sizeof start - 1), start) == 0) {
        copy[length - (sizeof start - 1)] = '\0';
    }
    const char *last = basename(copy);
    snprintf(name, size, "%s", strncmp(last, "signalbox-", 10) == 0 ? last + 10 : last);
    free(copy);
}

void server_start(struct server *s, const struct server_options *o)
{
    char path[PATH_MAX];
    char log[PATH_MAX];
    char *arguments[ARGUMENTS] = {NULL};
    *s = (struct server){.ours = true, .keep = o->keep != NULL};
    find_program(o->peer != NULL ? o->peer : o->program, path);
    if (o->peer != NULL) {
        server_peer_name(path, s->peer, sizeof s->peer);
    }
    make_folder(s, o->keep);
    if (running == NULL) {
        static bool known;
        known = known || atexit(abandon) == 0;
    }
    running = s;
    start_agents(s);
    make_arguments(s, o, path, arguments);
    snprintf(log, sizeof log, "%s/log", s->folder);
    unlink(log); // of an earlier run, where the folder was kept
    spawn(s, path, log, arguments);
    snprintf(s->program, sizeof s->program, "%s", path);
    s->arguments = take(NULL, sizeof arguments);
    memcpy(s->arguments, arguments, sizeof arguments);
    for (int waited = 0; !read_address(log, 0, s->address, sizeof s->address); waited += STEP_MS) {
        signals_look();
        if (waited > START_MS || waitpid(s->pid, NULL, WNOHANG) != 0) {
            print_log(log);
            die("the server does not start");
        }
        pause_ms(STEP_MS);
    }
}

// ---- Again ----

static void log_path(const struct server *s, char *path)
{
    snprintf(path, PATH_MAX, "%s/log", s->folder);
}

void server_print_log(const struct server *s)
{
    char log[PATH_MAX];
    log_path(s, log);
    print_log(log);
}

void server_kill(struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

void server_terminate(struct server *s)
{
    kill(s->pid, SIGTERM);
}

bool server_ended(struct server *s, bool *good)
{
    int status = -1;
    if (waitpid(s->pid, &status, WNOHANG) == 0) {
        return false;
    }
    *good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return true;
}

void server_start_again(struct server *s)
{
    char log[PATH_MAX];
    struct stat status;
    log_path(s, log);
    s->log_begin = stat(log, &status) == 0 ? (long)status.st_size : 0;
    for (size_t i = 0; s->arguments[i] != NULL; i++) {
        if (strncmp(s->arguments[i], "--listen=", 9) == 0) {
            free(s->arguments[i]);
            s->arguments[i] = text_of("--listen=%s", s->address);
        }
    }
    spawn(s, s->program, log, s->arguments);
}

bool server_is_ready(const struct server *s)
{
    char log[PATH_MAX];
    char address[sizeof s->address];
    log_path(s, log);
    return read_address(log, s->log_begin, address, sizeof address);
}

// ---- Stop ----

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *position)
{
    (void)status;
    (void)kind;
    (void)position;
    return remove(path);
}

bool server_stop(struct server *s)
{
    int status = -1;
    if (!s->ours) {
        return true;
    }
    running = running == s ? NULL : running;
    bool ended = end_process(s->pid, STOP_MS, &status);
    // How a peer ends is its own affair: nginx with nchan aborts.
    bool good =
        s->peer[0] != '\0' || (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (!good) {
        server_print_log(s);
    }
    if (s->agents > 0) {
        kill(s->agents, SIGKILL);
        waitpid(s->agents, NULL, 0);
    }
    for (size_t i = 0; s->arguments[i] != NULL; i++) {
        free(s->arguments[i]);
    }
    free(s->arguments);
    if (!s->keep) {
        nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    return good;
}
