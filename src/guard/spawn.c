#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CPU_KILL_SECONDS = 5 }; // from SIGXCPU to SIGKILL

static const struct {
    const char *name;
    int resource;
    bool soft;
} resources[] = {
    {"as", RLIMIT_AS, false},   {"nproc", RLIMIT_NPROC, false}, {"nofile", RLIMIT_NOFILE, false},
    {"cpu", RLIMIT_CPU, false}, {"fsize", RLIMIT_FSIZE, false}, {"soft-nofile", RLIMIT_NOFILE, true},
};

int spawn_add_limit(struct spawn *s, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals[1] < '0' || equals[1] > '9' ||
        s->limit_count == SPAWN_LIMITS_MAX) {
        return -1;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(equals + 1, &end, 10);
    if (errno != 0 || *end != '\0') {
        return -1;
    }
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        size_t length = strlen(resources[i].name);
        if (length == (size_t)(equals - text) && memcmp(text, resources[i].name, length) == 0) {
            s->limits[s->limit_count++] = (struct spawn_limit){
                .resource = resources[i].resource, .name = resources[i].name, .value = value, .soft = resources[i].soft};
            return 0;
        }
    }
    return -1;
}

static _Noreturn void give_up(int report, enum spawn_stage stage, int limit)
{
    struct spawn_failure failure = {.error = errno, .stage = (int)stage, .limit = limit};
    ssize_t ignored = write(report, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

// Links in `inside` are followed as long as they stay in `directory`, where we are.
static int enter_inside(const char *inside)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, inside, &how, sizeof how);
    return fd < 0 ? -1 : fchdir(fd);
}

static int set_oom_score_adj(int score)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d", score);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t put = write(fd, text, (size_t)length);
    int error = errno;
    close(fd);
    errno = error;
    return put == length ? 0 : -1;
}

static int take_limit(const struct spawn_limit *wanted)
{
    __rlimit_resource_t resource = (__rlimit_resource_t)wanted->resource;
    struct rlimit limit = {.rlim_max = wanted->value + (wanted->resource == RLIMIT_CPU ? CPU_KILL_SECONDS : 0)};
    if (wanted->soft && getrlimit(resource, &limit) != 0) {
        return -1;
    }
    limit.rlim_cur = wanted->value;
    return setrlimit(resource, &limit);
}

static _Noreturn void become(const struct spawn *s, int report, pid_t guard)
{
    // If the guard itself is killed, at least the agent's own process goes with it. The guard may
    // have died before this line.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard) {
        _exit(127);
    }
    setpgid(0, 0);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (chdir(s->directory) != 0 || (s->inside != NULL && enter_inside(s->inside) != 0)) {
        give_up(report, SPAWN_STAGE_DIRECTORY, 0);
    }
    for (size_t i = 0; i < s->limit_count; i++) {
        if (take_limit(&s->limits[i]) != 0) {
            give_up(report, SPAWN_STAGE_LIMIT, (int)i);
        }
    }
    if (s->nice >= 0 && setpriority(PRIO_PROCESS, 0, s->nice) != 0) {
        give_up(report, SPAWN_STAGE_NICE, 0);
    }
    if (s->oom_score_adj >= 0 && set_oom_score_adj(s->oom_score_adj) != 0) {
        give_up(report, SPAWN_STAGE_OOM_SCORE, 0);
    }
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction standard = {.sa_handler = SIG_DFL};
        sigaction(signal, &standard, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(s->command[0], s->command);
    give_up(report, SPAWN_STAGE_PROGRAM, 0);
}

pid_t spawn_start(const struct spawn *s, int *report)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t guard = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(s, ends[1], guard);
    }
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = error;
        return -1;
    }
    *report = ends[0];
    return pid;
}
