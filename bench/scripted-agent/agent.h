// The scripted agent's methods and sessions. What a prompt does is in turn.h.
#pragma once

#include "shell/rpc.h"

#include <stdbool.h>
#include <stdint.h>

struct turn;

struct options {
    bool no_start;
    bool hang_initialize;
    bool garbage_start;
    bool new_fails;
    int new_fails_code;
    bool auth_required;
    bool load;
    bool load_response_first;
    const char *state; // path of the file for session/load, or NULL
    bool modes;
    bool models;
    bool config_options;
    bool update_before_response;
    bool ignore_eof;
    bool ignore_term;
    const char *host;      // path of the socket on which many agents are played, or NULL
    const char *played_by; // path of the socket of who plays this one, or NULL
};

enum { AGENT_OPTIONS = 3 };

struct session {
    struct agent *agent;
    char id[48];
    int choice[AGENT_OPTIONS]; // the current value of each select option, see settings.c
    bool web;                  // the boolean option
    unsigned turns;
    unsigned tools;
    struct turn *turn; // NULL when none runs
    // Text that is recorded as one message when the next thing comes.
    char *record;
    size_t record_length;
    size_t record_room;
    const char *record_kind;
    struct session *next;
};

struct agent {
    const struct options *options;
    struct wire *wire;
    struct rpc *rpc;
    bool authenticated;
    bool boolean_options; // the client can show them
    struct session *sessions;
};

enum { AGENT_BATCH = 64 * 1024 }; // so many bytes are made before they are written

extern const struct rpc_handler agent_handler; // its owner is the struct agent

// Lets every turn go on. Returns when to call again at the latest (monotonic nanoseconds, INT64_MAX
// for never).
int64_t agent_run(struct agent *a, int64_t now);
void agent_release(struct agent *a);

int64_t agent_now(void); // monotonic nanoseconds

// Sends a session/update; takes the update over.
void agent_update(struct session *s, json_object *update);

// A session update with its kind set, and a text content block.
json_object *agent_new_update(const char *kind);
json_object *agent_text_block(const char *text, size_t length);
