#pragma once
/*
 * Taking a connection's socket away from CivetWeb, which has no call for that
 * (docs/architecture.md, "CivetWeb, and why a WebSocket does not stay on its thread"). Called in
 * the thread that serves the connection, so its descriptor stays what it is meanwhile.
 */
#include <stddef.h>

#include "signalbox/base/err.h"

/*
 * The one descriptor whose peer is `address` and `peer_port` and whose local port is `local_port`.
 * ERR_NOENT if there is none, ERR_EXIST if there are several (then it cannot be told which).
 */
must_check enum err handover_find(const char *address, int peer_port, int local_port, int *fd);
/*
 * Duplicates `fd` above the floor and puts a socket that leads nowhere in its place, which its
 * owner may shut down and close. *out is the caller's: close-on-exec, non-blocking. On failure `fd`
 * is as it was.
 */
must_check enum err handover_take(int fd, int *out);
/* Ends reading on every connection to `local_port` and listening on it, so that whoever waits for a
 * request or a connection there stops waiting. For the end: who accepts finds that it cannot any
 * more, and must stop. */
void handover_hush(int local_port);
