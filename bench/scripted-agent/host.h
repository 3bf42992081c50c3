// One process that plays many agents, for measurements in which processes are not what is measured.
// Whoever starts an agent still gets a process for each: `--played-by` hands its standard streams
// to the host and then only waits, so what is said goes between the host and the client without it.
#pragma once

#include "agent.h"

// Listens on a Unix socket at `path` and plays every agent that comes, until the process is killed.
// A connection is a process of `--played-by` (it sends HOST_STREAMS and its stdin and stdout), or
// else itself the agent's input and output. Returns the exit status when it cannot begin.
int host_serve(const char *path, const struct options *o);

// Hands stdin and stdout to the host, and returns the exit status when the host has ended the
// agent.
int host_play(const char *path);

enum { HOST_STREAMS = 'S' };
