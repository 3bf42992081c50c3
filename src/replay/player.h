// Plays a tape to a client.
#pragma once

#include "tape.h"

#include "shell/rpc.h"

#include <stdint.h>

struct play {
    struct segment *segment;
    json_object *id; // of the client's request
    size_t next;
    int64_t tape_base; // this time of the transcript ...
    int64_t real_base; // ... is this time of the clock, in milliseconds
    bool cancelled;
    bool cancel_played; // the recorded cancel is past; a second one changes nothing
    bool answered;
    const char *opened; // session/new is played from how this session was loaded or resumed; else NULL
};

struct player {
    struct tape *tape;
    struct wire *wire;
    struct rpc *rpc;
    double speed; // 0: without waiting
    struct play *plays;
    size_t count;
    size_t room;
    json_object *ended; // the agent's end was played: how it was; else NULL
};

extern const struct rpc_handler player_handler; // its owner is the struct player

int64_t player_now(void); // monotonic milliseconds

// Plays what came before any request.
void player_begin(struct player *p);

// Sends what is due; returns when the next thing is (INT64_MAX: when the client does something).
int64_t player_run(struct player *p, int64_t now);
void player_release(struct player *p);
