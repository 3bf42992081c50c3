#pragma once
#include <stddef.h>

#include "signalbox/core/doctor.h"
#include "signalbox/share/config.h"

/*
 * Tries agents, a few at a time: each is started under the guard as the server does it, in a folder of its own, gets
 * `initialize` and a session, and is ended. `agents` have their names, and get what was found. Takes a reference of
 * `config`. Blocks until all are ended, or `signal_fd` is readable: then the rest are killed, and *interrupted is set.
 * Main, which must be known to RCU.
 */
must_check enum err doctor_try_agents(const struct config *config, struct doctor_agent *agents, size_t count,
                                      int signal_fd, bool *interrupted);
