// Everything of one run: the server, the sessions, their watchers, and what was measured.
#pragma once

#include "connection.h"
#include "histogram.h"
#include "record.h"
#include "server.h"

#include <json-c/json.h>

struct options {
    const char *server; // the program's path; NULL: beside this one
    const char *peer;   // a program that is measured instead, see server.h
    bool plain;         // the peer only sends on what is published, see plain.h
    const char *url;    // of a running server instead
    const char *token;
    const char *agent; // its name in that server's configuration
    bool hosted;       // one process plays the agents of a server that is started here
    const char *workspace;
    const char *const *settings; // KEY=VALUE for the server, NULL at the end
    const char *meanwhile;       // a command of the shell that runs while it is measured; NULL: none
    const char *keep;            // a folder for data and log that is left behind
    long watchers, sessions, rate, size, addresses, handshakes, stalled, joins, rounds, deltas,
        tools, churn, gap, permissions, kills, hostile;
    const char *kinds;  // of hostile agents, with commas between; NULL: all
    const char *pauses; // SIGNALBOX_PAUSES of the server
    double seconds, warmup, stall;
    uint32_t seed;
    bool json_only;
    bool deflate; // watchers offer to take compressed frames
};

struct world;
struct watcher;

struct session {
    struct world *world;
    char id[64];
    char epoch[96];
    struct record record;
    uint32_t seed;
    long prompted;
};

enum watcher_state {
    WATCHER_OFF,
    WATCHER_QUEUED,
    WATCHER_OPENING,
    WATCHER_SUBSCRIBING,
    WATCHER_REPLAY,
    WATCHER_LIVE
};

// Any may be NULL; each may drop its watcher.
struct watcher_hooks {
    void (*connected)(struct watcher *w); // between handshake and subscribe
    void (*subscribed)(struct watcher *w);
    void (*event)(struct watcher *w);
    void (*permission)(struct watcher *w, enum permission what, int64_t now);
    void (*live)(struct watcher *w);
    void (*unsubscribed)(struct watcher *w);
    void (*timer)(struct watcher *w);
};

struct watcher {
    struct connection connection;
    struct timer timer;
    struct session *session;
    struct watcher *queued; // the next one
    enum watcher_state state;
    uint32_t source;
    bool small;     // a small window and segments, as of a slow network
    bool silent;    // its latency is not measured
    bool replayed;  // the mode of the last subscribe
    uint64_t next;  // the number that it expects
    uint64_t text;  // how much of the session's text it has
    uint64_t stamp; // the next one that it has not received
    uint64_t sum;   // as the record's
    uint64_t head;  // of the last subscribe: what comes up to it is not live
    uint64_t bytes; // of messages since it was opened
    uint64_t events;
    uint64_t folded; // of them: those that stand for more than themselves
    int64_t opened;  // when it subscribed, and when it was live
    int64_t lived;
    long retries;
    long plan; // for the hooks
    uint64_t asked, ended; // permission requests, for the hooks
};

enum { PROBLEMS = 12, PROBLEM_BYTES = 240 };

struct world {
    const struct options *options;
    struct loop loop;
    struct server server;
    struct target target;
    struct connection control;
    bool control_open;
    struct session *sessions;
    size_t session_count;
    struct watcher *watchers;
    size_t watcher_count;
    struct watcher *queue, **queue_last;
    long opening;
    size_t commands;
    long answers; // of commands, still to come
    const struct watcher_hooks *hooks;
    // Commands of the scenario's own: the text of an ack or nack, by the number that world_other
    // gave.
    void (*answered)(struct world *w, size_t number, bool done, const struct scan *answer);
    // Of chunks whose stamp is in the window:
    struct histogram latency;
    int64_t measure_from, measure_to;
    // Of all watchers:
    uint64_t deliveries, delivered_bytes, wire_bytes, refused, retries;
    uint64_t errors;
    char problems[PROBLEMS][PROBLEM_BYTES];
    uint64_t random;
};

// Starts the server (or takes the running one).
void world_begin(struct world *w, const struct options *o, const char *const *settings);
// The same, opens the control connection and makes the sessions.
void world_open(struct world *w, const struct options *o, const char *const *settings);
void world_close(struct world *w);

// The watchers, spread over the sessions in turn, off. `extra` more are for the scenario's own use.
void world_add_watchers(struct world *w, size_t count, size_t extra,
                        const struct watcher_hooks *hooks);

void world_problem(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t world_random(struct world *w); // seeded by the options
bool world_wait(struct world *w, bool (*done)(void *world), double seconds, const char *what);
// For world_wait, when a scenario stops the server and starts it again. An end out of order is a problem.
bool world_server_ended(void *world);
bool world_server_is_up(void *world);

// Prompts a session with a script's steps (a JSON array); stamped chunks are of the options' size.
void world_prompt(struct world *w, struct session *s, const char *steps, bool tools);

// A command of the scenario's own on the control connection, without its id: a refusal is no error.
// Returns its number, for `answered`. Nothing waits for the answer by itself. Takes `o`.
size_t world_other(struct world *w, const char *type, json_object *o);

// Allows the permission request that the session's record has learned of.
void world_answer(struct world *w, struct session *s);

// Prompts every session with `seconds` of stamped chunks at the options' rate. Chunk k of session i
// is due at the moment that is returned + (k + i / sessions) / rate, whatever happens: the same on
// every side of a comparison.
int64_t world_offer(struct world *w, double seconds);
// Prompts every session to work as a model does (bench/scripted-agent/work.h), with so many chunks a second in its bursts.
// Returns when they begin.
int64_t world_work(struct world *w, double seconds, bool permissions);
// When prompts that are given now can begin: all of them are there before.
int64_t world_lead(const struct world *w);

bool world_idle(void *world);     // every session's agent has done its prompts
bool world_live(void *world);     // every watcher that is not off is live
bool world_level(void *world);    // every watcher that is not off has everything
bool world_finished(void *world); // idle, and every watcher that is not off has everything

// Compares every watcher, and a fresh one for each of at most 64 sessions, with the records.
void world_audit(struct world *w);

// watcher.c
void watcher_init(struct watcher *w, struct session *s, size_t index);
void watcher_connect(struct watcher *w); // as soon as a place among the handshakes is free
void watcher_connect_next(struct world *world);
void watcher_drop(struct watcher *w, bool reset);
void watcher_subscribe(struct watcher *w); // with its position
void watcher_unsubscribe(struct watcher *w);
void watcher_forget(struct watcher *w); // its position, too
struct world *watcher_world(const struct watcher *w);
