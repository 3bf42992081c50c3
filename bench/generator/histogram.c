#include "histogram.h"

enum { CELL_BITS = 6, VALUE_BITS = 40 };

void histogram_add(struct histogram *h, uint64_t value)
{
    uint64_t kept = value < 1ULL << VALUE_BITS ? value : (1ULL << VALUE_BITS) - 1;
    int shift = 0;
    if (kept >> (CELL_BITS + 1) > 0) {
        shift = 63 - __builtin_clzll(kept) - CELL_BITS;
    }
    h->cells[((uint64_t)shift << CELL_BITS) + (kept >> shift)]++;
    h->count++;
    h->max = value > h->max ? value : h->max;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count);
    uint64_t seen = 0;
    if (h->count == 0 || wanted >= h->count) {
        return h->max;
    }
    for (uint64_t i = 0; i < HISTOGRAM_CELLS; i++) {
        seen += h->cells[i];
        if (seen > wanted) {
            // Cells below 128 hold one value each; from there on a row of 64 has one shift.
            uint64_t shift = i < 2U << CELL_BITS ? 0 : (i >> CELL_BITS) - 1;
            uint64_t end = ((i - (shift << CELL_BITS) + 1) << shift) - 1;
            return end < h->max ? end : h->max;
        }
    }
    return h->max;
}
