// What the floor sends, made before it is sent: every frame of every session, in memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct plan {
    char id[24];
    char *bytes;  // the frames, one behind the other
    size_t *ends; // where each ends
    size_t frames;
    size_t chunks;
    int64_t at; // chunk 0 is due, microseconds of the monotonic clock; chunk k at `at` + k / rate
    double rate;
};

// A WebSocket text frame's header for so many bytes; returns its length.
size_t frame_header(uint8_t header[10], size_t length);

// What a script of one step says: {"seed":S,"steps":[{"chunks":N,"size":B,"rate":R,"at":T,...}]},
// `seq` being the number of its first event. Frames are those that Signalbox sends of the same: a
// turn that begins, a delta for each chunk, the end. Returns NULL when the script is none that the
// floor plays, or why.
const char *plan_make(struct plan *p, const char *script, uint64_t seq);

// When chunk k is due.
int64_t plan_due(const struct plan *p, size_t k);
// How many frames are due with chunk k: the turn's begin comes with the first one, its end with the
// last.
size_t plan_frames(const struct plan *p, size_t k);
