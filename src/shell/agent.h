// The agent as ACP sees it: its methods, its sessions, what the person allowed for good.
#pragma once

#include "rpc.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct turn;

struct session {
    struct agent *agent;
    char id[40];
    char *root; // the workspace, an absolute path without links
    char *cwd;  // root or a folder below it
    bool titled;
    bool closed;
    unsigned turns;
    struct turn *turn; // NULL when none runs
    struct session *next;
};

struct agent {
    struct wire *wire;
    struct rpc *rpc;
    struct session *sessions;
    unsigned session_count;
    char **allowed; // command lines that are always allowed, in this process
    unsigned allowed_count;
};

enum { AGENT_SESSIONS_MAX = 256, AGENT_ALLOWED_MAX = 1000 };

extern const struct rpc_handler agent_handler; // its owner is the struct agent

bool agent_allows(const struct agent *a, const char *command);
void agent_allow(struct agent *a, const char *command);

// The running commands' streams, for ppoll: at most two for each session.
nfds_t agent_poll(const struct agent *a, struct pollfd *fds);

// Lets every running turn go on as far as it can without waiting. Streams are read only with
// `read`. Returns when to call it again at the latest (monotonic milliseconds, INT64_MAX for
// never).
int64_t agent_step(struct agent *a, bool read, int64_t now);

// Cancels every turn, for the end of the process; agent_busy says whether something still runs.
void agent_cancel_all(struct agent *a);
bool agent_busy(const struct agent *a);

void agent_release(struct agent *a);
