#define _GNU_SOURCE
#include "server.h"

#include "loop.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void read_cpu(const char *path, char *name, double *user, double *sys)
{
    char text[1024] = "";
    unsigned long utime = 0;
    unsigned long stime = 0;
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        size_t length = fread(text, 1, sizeof text - 1, file);
        text[length] = '\0';
        fclose(file);
    }
    char *open = strchr(text, '(');
    char *close = strrchr(text, ')'); // the name may hold brackets
    if (open == NULL || close == NULL) {
        return;
    }
    if (name != NULL) {
        snprintf(name, 16, "%.*s", (int)(close - open - 1), open + 1);
    }
    sscanf(close + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime, &stime);
    double tick = (double)sysconf(_SC_CLK_TCK);
    *user = (double)utime / tick;
    *sys = (double)stime / tick;
}

// Seconds of CPU of a thread to the nanosecond, where the kernel counts them; else `ticks`, which
// are hundredths.
static double exact_thread(const char *path, double ticks)
{
    unsigned long long ns = 0;
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%llu", &ns) != 1) {
            ns = 0;
        }
        fclose(file);
    }
    return ns > 0 ? (double)ns / 1e9 : ticks;
}

static double exact_process(pid_t pid, double ticks)
{
    clockid_t clock;
    struct timespec used;
    return clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0
               ? (double)used.tv_sec + (double)used.tv_nsec / 1e9
               : ticks;
}

static void add_role(struct sample *out, char *name, double seconds)
{
    char *slash = strchr(name, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (int i = 0; i < out->role_count; i++) {
        if (strcmp(out->roles[i].name, name) == 0) {
            out->roles[i].seconds += seconds;
            return;
        }
    }
    if (out->role_count < SAMPLE_THREADS) {
        memcpy(out->roles[out->role_count].name, name, 16);
        out->roles[out->role_count++].seconds = seconds;
    }
}

static void read_threads(struct sample *out, pid_t pid)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char name[16] = "";
        double user = 0;
        double sys = 0;
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/stat", (int)pid, entry->d_name);
        read_cpu(path, name, &user, &sys);
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/schedstat", (int)pid, entry->d_name);
        add_role(out, name, exact_thread(path, user + sys));
        out->threads++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static long count_descriptors(pid_t pid)
{
    char path[64];
    long count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

// The number behind `name` in the first line of the file that begins with `line`.
static long read_number(const char *path, const char *line, const char *name)
{
    char text[512];
    long number = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        char *at = strncmp(text, line, strlen(line)) == 0 ? strstr(text, name) : NULL;
        if (at != NULL) {
            number = strtol(at + strlen(name), NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return number;
}

void server_sample(const struct server *s, struct sample *out)
{
    char path[64];
    *out = (struct sample){.at = clock_us()};
    out->tcp_kb =
        read_number("/proc/net/sockstat", "TCP:", " mem ") * (sysconf(_SC_PAGESIZE) / 1024);
    out->agents = s->agents > 0 ? exact_process(s->agents, 0) : 0;
    if (s->pid == 0) {
        return;
    }
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    read_cpu(path, NULL, &out->user, &out->system);
    out->cpu = exact_process(s->pid, out->user + out->system);
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    out->rss_kb = read_number(path, "VmRSS:", "VmRSS:");
    out->descriptors = count_descriptors(s->pid);
    read_threads(out, s->pid);
}

double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
