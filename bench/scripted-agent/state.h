// The conversation in a file, for session/load: a line of JSON for each session and each update.
#pragma once

#include "agent.h"

#include <stdio.h>

// All do nothing without --state. What cannot be written is said on stderr and otherwise ignored.
void state_new_session(struct session *s, const char *cwd);

// A piece of a message; pieces of one kind in a row become one update when something else comes.
// `kind` is a constant that outlives the session.
void state_text(struct session *s, const char *kind, const char *text, size_t length);

// An update that a replay repeats: tool calls and their ends, plans. Others are ignored.
void state_update(struct session *s, json_object *update);
void state_flush(struct session *s);

// Calls `take` for each recorded update of the session, in order. Returns whether the session is in
// the file.
bool state_replay(const struct options *o, const char *session,
                  void (*take)(void *owner, json_object *update), void *owner);

// The recorded sessions as ACP's SessionInfo objects.
json_object *state_list(const struct options *o);
