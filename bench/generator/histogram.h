// A log-linear histogram: every power of two is divided into 64 cells, so a value is known to 1.6
// %.
#pragma once

#include <stdint.h>

enum { HISTOGRAM_CELLS = 36 * 64 };

// Zero it to begin. Values are microseconds; those of more than 2^40 count as that.
struct histogram {
    uint64_t cells[HISTOGRAM_CELLS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t value);

// The value that this share (0 to 1) of all values does not exceed: the upper end of its cell. 0
// without values.
uint64_t histogram_at(const struct histogram *h, double share);
