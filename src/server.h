#pragma once
/* The wiring: the only file that knows all threads. It starts them in order and stops them in the order of the flow. */
#include <stdbool.h>

#include "signalbox/base/err.h"
#include "signalbox/share/config.h"

struct server;

/*
 * Starts everything with this configuration (taken over, also on failure). `source` must outlive the server. Says in the
 * log what went wrong. Main; blocks on the store's recovery.
 */
must_check enum err server_start(struct server **out, struct config *config, const struct config_source *source);
/* Stops in order within five seconds; if `hurry` becomes true meanwhile, at once. Frees all. */
void server_stop(struct server *server, volatile const int *hurry);
/* Whether the store can never be written again by this server, which has sent itself a SIGTERM: see journal.h. */
bool server_broken(const struct server *server);
/* Reads the configuration again (SIGHUP). */
void server_reload(struct server *server);
