// The server's metrics, as far as scenarios want them: counters, and how late its delta windows
// are.
#pragma once

#include "report.h"

enum { LATE_CELLS = 32 };

struct late_times {
    int cells;
    double bounds[LATE_CELLS]; // upper ends, seconds; the last is infinite
    double counts[LATE_CELLS]; // not cumulative
};

struct late {
    struct late_times windows; // how late they were sent on
    struct late_times commits; // how long they took
    double lines;              // read from agents
    double started;            // agents
};

// Asks GET /metrics, blocking. All zero when there is no answer.
void late_read(struct world *w, struct late *out);
// What came between the two: `windows_late` and `commits` (milliseconds; a quantile is interpolated
// within its bucket, as Prometheus does it), lines and starts a second. Returns p99 of the windows
// in milliseconds.
double late_report(json_object *row, const struct late *begin, const struct late *end,
                   double seconds);
// The p99 of the journal's commits between two readings, ms.
double late_commit_p99(const struct late *begin, const struct late *end);
