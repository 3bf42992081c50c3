#define _GNU_SOURCE
#include "scenario.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SESSIONS_BESIDE = 16, CONNECT_SECONDS = 120, LATE_SECONDS = 60, TAIL_SECONDS = 1 };

void settings_for(struct settings *s, const struct options *o, const char *extra)
{
    snprintf(s->agents, sizeof s->agents, "max-agents=%ld", o->sessions + SESSIONS_BESIDE);
    snprintf(s->waiting, sizeof s->waiting, "max-waiting-agents=%ld",
             o->sessions + SESSIONS_BESIDE);
    s->list[0] = s->agents;
    s->list[1] = s->waiting;
    s->list[2] = "max-clients=1000000";
    s->list[3] = extra;
    s->list[4] = NULL;
}

void stream_connect(struct world *w, size_t extra, struct stream_run *run)
{
    *run = (struct stream_run){0};
    server_sample(&w->server, &run->start);
    for (size_t i = 0; i < w->watcher_count - extra; i++) {
        watcher_connect(&w->watchers[i]);
    }
    world_wait(w, world_live, CONNECT_SECONDS, "all watchers to be live");
    server_sample(&w->server, &run->watched);
}

static uint64_t heads(const struct world *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->session_count; i++) {
        sum += w->sessions[i].record.next - 1;
    }
    return sum;
}

// Starts the command that runs beside what is measured; 0: there is none, or it could not be started.
static pid_t start_meanwhile(const struct world *w)
{
    const char *command = w->options->meanwhile;
    if (!command || !w->server.pid) {
        return 0;
    }
    char pid[16];
    snprintf(pid, sizeof pid, "%ld", (long)w->server.pid);
    setenv("SERVER_PID", pid, 1);
    char *const arguments[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, 2, 1); // our stdout is one line of JSON
    pid_t child = 0;
    int failure = posix_spawnp(&child, "sh", &files, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (failure) {
        fprintf(stderr, "--while: %s\n", strerror(failure));
        return 0;
    }
    return child;
}

// It has had its time: who waits for an end is told so, as by a person's Ctrl-C.
static void end_meanwhile(pid_t child)
{
    int status = 0;
    if (child && waitpid(child, &status, WNOHANG) == 0) {
        kill(child, SIGINT);
        waitpid(child, &status, 0);
    }
    if (child && !WIFSIGNALED(status) && WEXITSTATUS(status) != 0) {
        fprintf(stderr, "--while: the command ended with status %d\n", WEXITSTATUS(status));
    }
}

static void measure(struct world *w, double seconds, struct stream_run *run)
{
    int64_t begin = clock_us();
    uint64_t deliveries = w->deliveries;
    uint64_t bytes = w->delivered_bytes;
    uint64_t wire = w->wire_bytes;
    uint64_t events = heads(w);
    double own = own_cpu();
    pid_t beside = start_meanwhile(w);
    server_sample(&w->server, &run->begin);
    world_wait(w, NULL, seconds, NULL);
    server_sample(&w->server, &run->end);
    run->own = own_cpu() - own;
    run->deliveries = w->deliveries - deliveries;
    run->bytes = w->delivered_bytes - bytes;
    run->wire = w->wire_bytes - wire;
    run->events = heads(w) - events;
    run->streamed = (double)(clock_us() - begin) / 1e6;
    end_meanwhile(beside);
}

void stream_measure(struct world *w, double seconds, struct stream_run *run)
{
    w->measure_from = clock_us() + (int64_t)(w->options->warmup * 1e6);
    w->measure_to = INT64_MAX;
    measure(w, seconds, run);
}

void stream_play(struct world *w, double seconds, struct stream_run *run)
{
    const struct options *o = w->options;
    char steps[128];
    long long chunks = (long long)(seconds * (double)o->rate);
    snprintf(steps, sizeof steps, "[{\"chunks\":%lld,\"size\":%ld,\"rate\":%ld,\"stamp\":\"due\"}]",
             chunks, o->size, o->rate);
    for (size_t i = 0; i < w->session_count; i++) {
        world_prompt(w, &w->sessions[i], steps, false);
    }
    stream_measure(w, seconds, run);
}

void stream_measure_from(struct world *w, int64_t begin, double seconds, struct stream_run *run)
{
    double warmup = w->options->warmup;
    double lead = (double)(begin - clock_us()) / 1e6;
    w->measure_from = begin + (int64_t)(warmup * 1e6);
    w->measure_to = w->measure_from + (int64_t)(seconds * 1e6);
    world_wait(w, NULL, lead + warmup > 0 ? lead + warmup : 0, NULL);
    measure(w, seconds, run);
}

void stream_offer(struct world *w, double seconds, struct stream_run *run)
{
    // A little more, so that turns end behind what is measured.
    int64_t begin = world_offer(w, w->options->warmup + seconds + TAIL_SECONDS);
    stream_measure_from(w, begin, seconds, run);
}

void stream_work(struct world *w, double seconds, bool permissions, struct stream_run *run)
{
    int64_t begin = world_work(w, w->options->warmup + seconds + TAIL_SECONDS, permissions);
    stream_measure_from(w, begin, seconds, run);
}

void stream_finish(struct world *w, struct report *r, json_object *row, struct stream_run *run)
{
    double offered = (double)w->options->rate * (double)w->session_count;
    world_wait(w, world_finished, LATE_SECONDS, "all watchers to have everything");
    world_audit(w);
    report_number(row, "chunks_offered_per_s", offered);
    report_number(row, "events_per_s", (double)run->events / run->streamed);
    report_number(row, "deliveries_per_s", (double)run->deliveries / run->streamed);
    report_number(row, "delivered_mb_per_s", (double)run->bytes / run->streamed / 1e6);
    report_number(row, "bytes_per_delivery",
                  run->deliveries > 0 ? (double)run->bytes / (double)run->deliveries : 0);
    report_number(row, "wire_bytes_per_delivery",
                  run->deliveries > 0 ? (double)run->wire / (double)run->deliveries : 0);
    report_latency(row, "latency", &w->latency);
    report_number(row, "rss_mb_alone", (double)run->start.rss_kb / 1024);
    report_number(row, "rss_mb_watched", (double)run->watched.rss_kb / 1024);
    report_number(row, "rss_kb_a_watcher",
                  (double)(run->watched.rss_kb - run->start.rss_kb) / (double)w->watcher_count);
    report_server(row, &run->begin, &run->end, run->deliveries);
    report_number(row, "generator_cores", run->own / run->streamed);
    report_world(r, row, w);
}
