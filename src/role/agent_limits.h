#pragma once
/*
 * What an agent's processes may use. RLIMIT_NPROC is not among it: it counts all processes and threads of the user, not
 * those of the agent, so one agent's would be used up by the others', and by the server's own threads.
 */
#include <stddef.h>

#include "signalbox/base/buffer.h"
#include "signalbox/share/config.h"

enum { AGENT_LIMITS_ARGUMENTS = 12 };
struct agent_limits_text {
    const char *arguments[AGENT_LIMITS_ARGUMENTS]; /* point into `values` */
    char values[AGENT_LIMITS_ARGUMENTS / 2][32];
};
/* The guard's options; returns how many arguments they are. */
size_t agent_limits_arguments(const struct config_limits *limits, struct agent_limits_text *out);
/* Appends a sentence (with a blank before it) if the agent's end may come of a limit, as far as can be known from the
 * signal (0: it exited) and what it wrote to stderr (NULL: nothing). */
void agent_limits_explain(struct buffer *out, const struct config_limits *limits, int signal, const char *errors);
