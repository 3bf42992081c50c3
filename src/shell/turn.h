// One turn: announce the command, ask, run, report.
#pragma once

#include "agent.h"

// Begins the turn for a prompt; `id` is the prompt request's and is taken over. The turn sets and
// clears session->turn itself, and answers the request.
void turn_begin(struct session *s, json_object *id, const char *command);

// The answer to the permission request with this number. Returns false when the turn waits for none
// such.
bool turn_answer(struct session *s, int64_t number, json_object *result);

// Ends the turn as cancelled; does nothing when none runs. When the client took back its prompt
// request (and not, as ACP's session/cancel demands, the turn with all that is open), it is told
// that the question of permission is void too.
void turn_cancel(struct session *s, bool void_question);

// Whether the session's turn answers this prompt request.
bool turn_is_for(const struct session *s, json_object *id);

nfds_t turn_poll(const struct session *s, struct pollfd *fds);
int64_t turn_step(struct session *s, bool read, int64_t now);

// Says something in a message of its own and ends the prompt: for what is not a command.
void turn_say_only(struct session *s, json_object *id, const char *text);

// Drops a turn without a word: the client is gone.
void turn_drop(struct session *s);
