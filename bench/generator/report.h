// What a scenario found: one JSON line on stdout, a table of the same on stderr.
#pragma once

#include "world.h"

struct report {
    const char *scenario;
    json_object *root;
    json_object *runs;
    json_object *aims;
    uint64_t errors;
    bool missed; // an aim
};

void report_open(struct report *r, const char *scenario, const struct options *o);
// A new run; what is added to it becomes a row of the table.
json_object *report_run(struct report *r, const char *label);
void report_number(json_object *run, const char *name, double value);
// p50, p99, p99.9 and the maximum, in milliseconds.
void report_latency(json_object *run, const char *name, const struct histogram *h);
// The server between two samples: CPU, also by thread and for each of `deliveries`; memory is of
// `end`.
void report_server(json_object *run, const struct sample *begin, const struct sample *end,
                   uint64_t deliveries);
// What every run ends with: errors, problems.
void report_world(struct report *r, json_object *run, const struct world *w);
// An aim: met when `value` is at most (or, with `least`, at least) `bound`.
void report_aim(struct report *r, const char *name, double value, double bound, bool least);
// Prints it. The exit status: 0, 1 when something was wrong.
int report_close(struct report *r);
