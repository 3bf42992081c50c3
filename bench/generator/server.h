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
    char program[4096];
    char **arguments; // of ours, to start it again
    pid_t agents;     // the process that plays the agents named `hosted`; 0: none
    char peer[32];    // the name of what was started instead of Signalbox, else empty
    long log_begin;   // where its last start begins in the log
};

enum { SAMPLE_THREADS = 24 };

struct sample {
    int64_t at;  // monotonic microseconds
    double user; // seconds of CPU, in the kernel's ticks
    double system;
    double cpu;    // both, exactly
    double agents; // of the process that plays agents
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

struct server_options {
    const char *program; // NULL: signalbox beside this program
    const char *peer;    // the program of another server that is started instead; NULL: none
    const char *const
        *settings; // KEY=VALUE, NULL at the end: the scenario's, of which a peer knows nothing
    const char *const *more; // the user's
    const char *keep;        // NULL: a temporary folder that goes with the server
};

// Starts the server, and before it the process that plays agents. A peer is called as `PEER FOLDER
// KEY=VALUE...`, says on stderr, as the server does, `msg="ready to serve" address=http://...`,
// ends by SIGTERM, and finds agents on the socket FOLDER/agents (bench/scripted-agent/host.h). Ends
// the program when the server does not start.
void server_start(struct server *s, const struct server_options *o);
// `signalbox-floor` is `floor`, `peers/fastify/start` is `fastify`.
void server_peer_name(const char *path, char *name, size_t size);
// A running one: finds the process that listens there, if it may be looked at.
void server_find(struct server *s, const char *address);
// SIGKILL, and waits for its end.
void server_kill(struct server *s);
// SIGTERM only; `server_ended` says when it has ended.
void server_terminate(struct server *s);
// False while it runs. `*good`: with status 0.
bool server_ended(struct server *s, bool *good);
// Starts it again on its folder and its port, and does not wait.
void server_start_again(struct server *s);
// Whether it serves, after server_start_again.
bool server_is_ready(const struct server *s);
// Its log, on stderr.
void server_print_log(const struct server *s);
// Ends it in order. False when it did not end by itself, or with an error.
bool server_stop(struct server *s);
void server_sample(const struct server *s, struct sample *out);
double own_cpu(void); // of this program, seconds
