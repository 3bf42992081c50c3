#define _GNU_SOURCE
#include "signalbox/base/process_tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
    pid_t pid;
    pid_t parent;
    unsigned long long start; // clock ticks since boot; with the pid it names one process for good
    char state;
};

struct processes {
    struct process *list;
    size_t count;
    size_t room;
};

static ssize_t read_file(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t got = read(fd, text, room - 1);
    close(fd);
    if (got < 0) {
        return -1;
    }
    text[got] = '\0';
    return got;
}

static bool read_process(pid_t pid, struct process *p)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text) <= 0) {
        return false;
    }
    // The second field is the program's own name in parentheses and may hold anything, also blanks
    // and parentheses. What follows its last ")" is numbers.
    char *fields = strrchr(text, ')');
    if (fields == NULL) {
        return false;
    }
    int parent;
    unsigned long long start;
    char state;
    int got =
        sscanf(fields + 1,
               " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &state, &parent, &start);
    if (got != 3) {
        return false;
    }
    *p = (struct process){.pid = pid, .parent = parent, .start = start, .state = state};
    return true;
}

static bool add_process(struct processes *all, const struct process *p)
{
    if (all->count == all->room) {
        size_t room = all->room == 0 ? 256 : all->room * 2;
        struct process *list = realloc(all->list, room * sizeof *list);
        if (list == NULL) {
            return false;
        }
        all->list = list;
        all->room = room;
    }
    all->list[all->count++] = *p;
    return true;
}

static int read_all(struct processes *all)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return -1;
    }
    int result = 0;
    struct dirent *entry;
    while ((entry = readdir(proc)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0])) {
            continue;
        }
        struct process p;
        if (!read_process((pid_t)atoi(entry->d_name), &p)) {
            continue;
        }
        if (!add_process(all, &p)) {
            result = -1;
            break;
        }
    }
    closedir(proc);
    return result;
}

static int by_pid(const void *a, const void *b)
{
    pid_t left = ((const struct process *)a)->pid;
    pid_t right = ((const struct process *)b)->pid;
    return (left > right) - (left < right);
}

// The walk was not one instant: a pid that was used twice meanwhile could close a circle of
// parents, so the climb is bounded by the number of processes.
static bool descends(const struct processes *all, const struct process *p, pid_t root)
{
    for (size_t steps = 0; p != NULL && steps <= all->count; steps++) {
        if (p->parent == root) {
            return true;
        }
        struct process parent = {.pid = p->parent};
        p = bsearch(&parent, all->list, all->count, sizeof *all->list, by_pid);
    }
    return false;
}

static bool alive(const struct process *p)
{
    return p->state != 'Z' && p->state != 'X';
}

static void signal_process(const struct process *target, int signal)
{
    int fd = pidfd_open(target->pid, 0);
    if (fd < 0 && errno != ENOSYS) {
        return;
    }
    struct process now;
    if (read_process(target->pid, &now) && now.start == target->start && alive(&now)) {
        if (fd >= 0) {
            pidfd_send_signal(fd, signal, NULL, 0);
        } else {
            kill(target->pid, signal);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

int process_tree_signal(pid_t root, int signal)
{
    struct processes all = {0};
    if (read_all(&all) != 0) {
        free(all.list);
        return -1;
    }
    if (all.count == 0) {
        return 0;
    }
    qsort(all.list, all.count, sizeof *all.list, by_pid);
    int living = 0;
    for (size_t i = 0; i < all.count; i++) {
        if (alive(&all.list[i]) && descends(&all, &all.list[i], root)) {
            signal_process(&all.list[i], signal);
            living++;
        }
    }
    free(all.list);
    return living;
}

int process_tree_kill_children(void)
{
    // Only this process reaps its children, and it does not do so here: their pids cannot be given
    // to anybody else meanwhile, so a plain kill is safe.
    char path[64];
    char text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    if (read_file(path, text, sizeof text) <= 0) {
        return 0;
    }
    int killed = 0;
    char *at = text;
    for (;;) {
        char *end;
        long pid = strtol(at, &end, 10);
        // A number cut off at the end of the buffer could name somebody else.
        if (end == at || *end != ' ' || pid <= 1) {
            return killed;
        }
        if (kill((pid_t)pid, SIGKILL) == 0) {
            killed++;
        }
        at = end;
    }
}

int process_tree_reap(int *status)
{
    for (;;) {
        pid_t pid = waitpid(-1, status, WNOHANG);
        if (pid >= 0) {
            return pid;
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}
