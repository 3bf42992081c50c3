// Servers that know nothing of sessions: whatever is published on /pub/NAME goes to the WebSockets
// on /sub/NAME. The generator is the agent, too: it publishes the events that Signalbox would make
// of the same chunks, each when its chunk is due.
#pragma once

#include "world.h"

// Opens the publishers of all sessions, which are there when it returns.
void plain_open(struct world *w);
void plain_close(struct world *w);
// As world_offer: publishes from `begin` on.
void plain_offer(struct world *w, int64_t begin, double seconds);
// The path on which a session is watched.
void plain_watch_path(const struct session *s, char *path, size_t size);
