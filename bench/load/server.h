// The server as a process: started with a folder of its own, ended, and looked at through /proc.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
    pid_t pid; // 0: a running one that was not started here and is not on this machine
    bool ours;
    char folder[128]; // data, log, workspace
    bool keep;
    char address[64]; // HOST:PORT
};

enum { SAMPLE_THREADS = 24 };

struct sample {
    int64_t at;  // monotonic microseconds
    double user; // seconds of CPU
    double system;
    long rss_kb;
    long threads;
    long descriptors;
    long tcp_kb; // of the whole machine: the buffers of both ends
    // CPU by thread name; those with a number behind a slash are added up.
    struct {
        char name[16];
        double seconds;
    } roles[SAMPLE_THREADS];
    int role_count;
};

// `program` NULL: signalbox beside this program. `settings` are KEY=VALUE, NULL at the end. `keep`
// NULL: a temporary folder that goes with the server. Ends the program when the server does not
// start.
void server_start(struct server *s, const char *program, const char *const *settings,
                  const char *const *more, const char *keep);
// A running one: finds the process that listens there, if it may be looked at.
void server_find(struct server *s, const char *address);
// Ends it in order. False when it did not end by itself, or with an error.
bool server_stop(struct server *s);
void server_sample(const struct server *s, struct sample *out);
double own_cpu(void); // of this program, seconds
