// The life of one agent, from its start to the end of the last process below it.
#pragma once

#include "spawn.h"

// Starts the agent, reports to and obeys the server over `lifeline` (a SOCK_STREAM socket; the
// lines are listed in guard.c), and returns when no process of the agent's tree is left: 0 when the
// agent had started, 1 when it had not.
int guard_run(const struct spawn *s, int lifeline);
