// How a model works: thoughts and text in bursts, tools between them, pauses.
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct work {
    uint32_t seed;  // of what is chosen, not of the text
    double seconds; // so long
    int64_t at;     // begins, microseconds of the monotonic clock; everything is due at times that
                    // follow from it
    long size;      // bytes of text in a stamped chunk
    double rate;    // chunks a second of the fastest burst
    bool permissions; // one tool of eight asks
};

// The steps, as a script has them. NULL without memory.
json_object *work_steps(const struct work *w);
