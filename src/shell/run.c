#define _GNU_SOURCE
#include "run.h"

#include "signalbox/base/process_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    KILL_AFTER_MS = 500,
    // What the shell has left in the background may hold its output open for ever: the command is
    // over this long after the shell.
    DRAIN_MS = 200,
    READ_BYTES = 64 * 1024,
};

extern char **environ;

int64_t run_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int spawn(pid_t *pid, const char *command, const char *directory, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&how);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                       POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    if ((error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&files, out, 1)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&files, err, 2)) == 0 &&
        (error = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0 &&
        (error = posix_spawn_file_actions_addchdir_np(&files, directory)) == 0) {
        char *arguments[] = {"sh", "-c", (char *)command, NULL};
        error = posix_spawn(pid, "/bin/sh", &files, &how, arguments, environ);
    }
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

int run_start(struct run *r, const char *command, const char *directory)
{
    int out[2];
    int err[2];
    *r = (struct run){.out = -1, .err = -1};
    if (pipe2(out, O_CLOEXEC) != 0) {
        return errno;
    }
    if (pipe2(err, O_CLOEXEC) != 0) {
        int error = errno;
        close(out[0]);
        close(out[1]);
        return error;
    }
    int error = spawn(&r->pid, command, directory, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    if (error != 0) {
        close(out[0]);
        close(err[0]);
        return error;
    }
    // Only our ends: what the command inherits stays as commands expect it.
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    r->out = out[0];
    r->err = err[0];
    r->started_at = run_now();
    return 0;
}

nfds_t run_poll(const struct run *r, struct pollfd *fds)
{
    nfds_t count = 0;
    if (r->out >= 0) {
        fds[count++] = (struct pollfd){.fd = r->out, .events = POLLIN};
    }
    if (r->err >= 0) {
        fds[count++] = (struct pollfd){.fd = r->err, .events = POLLIN};
    }
    return count;
}

static void read_stream(struct run *r, int *fd, struct text_capture *text)
{
    char bytes[READ_BYTES];
    if (*fd < 0) {
        return;
    }
    ssize_t got = read(*fd, bytes, sizeof bytes);
    if (got > 0) {
        text_add(text, bytes, (size_t)got);
        r->changed = true;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
}

void run_read(struct run *r)
{
    read_stream(r, &r->out, &r->out_text);
    read_stream(r, &r->err, &r->err_text);
}

// Those below it first: when the shell is gone, who left its process group is no longer found.
static void signal_all(struct run *r, int number)
{
    process_tree_signal(r->pid, number);
    kill(-r->pid, number);
}

bool run_step(struct run *r, int64_t now)
{
    if (!r->ended) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == r->pid) {
            r->ended = true;
            r->drain_until = now + DRAIN_MS;
        }
    }
    if (r->cancelled && !r->killed && now >= r->kill_at) {
        signal_all(r, SIGKILL);
        r->killed = true;
        r->drain_until = now + DRAIN_MS;
    }
    if (!r->ended) {
        return false;
    }
    if (r->out < 0 && r->err < 0) {
        return true;
    }
    return now >= r->drain_until && (!r->cancelled || r->killed);
}

int64_t run_deadline(const struct run *r)
{
    if (r->cancelled && !r->killed) {
        return r->kill_at;
    }
    return r->ended ? r->drain_until : INT64_MAX;
}

void run_cancel(struct run *r, int64_t now)
{
    if (r->cancelled) {
        return;
    }
    r->cancelled = true;
    r->kill_at = now + KILL_AFTER_MS;
    signal_all(r, SIGTERM);
    signal_all(r, SIGCONT);
}

int run_finish(struct run *r)
{
    if (r->cancelled) {
        kill(-r->pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {
    }
    // What still stands in the pipes; they hold 64 KiB each.
    for (int i = 0; i < 4; i++) {
        run_read(r);
    }
    if (r->out >= 0) {
        close(r->out);
    }
    if (r->err >= 0) {
        close(r->err);
    }
    r->out = -1;
    r->err = -1;
    r->pid = 0;
    return status;
}

void run_release(struct run *r)
{
    text_release(&r->out_text);
    text_release(&r->err_text);
}
