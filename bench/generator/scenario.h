// The scenarios: each asks one question. docs/benchmarks.md says which, and what was measured.
#pragma once

#include "report.h"

int scenario_back(const struct options *o);
int scenario_breadth(const struct options *o);
int scenario_commit(const struct options *o);
int scenario_growth(const struct options *o);
int scenario_idle(const struct options *o);
int scenario_mixed(const struct options *o);
int scenario_permissions(const struct options *o);
int scenario_fanout(const struct options *o);
int scenario_stalled(const struct options *o);
int scenario_join(const struct options *o);
int scenario_ring(const struct options *o);
int scenario_reconnect(const struct options *o);
int scenario_torture(const struct options *o);
int scenario_storm(const struct options *o);
int scenario_agents(const struct options *o);
int scenario_hostile(const struct options *o);
int scenario_soak(const struct options *o);

// The settings of a server that has room for so many sessions and any number of clients; `extra` is one more, or NULL.
struct settings {
    char agents[40];
    char waiting[40];
    const char *list[5];
};
void settings_for(struct settings *s, const struct options *o, const char *extra);

// What several share: one stream of stamped chunks.
struct stream_run {
    struct sample start; // before the watchers came
    struct sample watched; // when they were live
    struct sample begin;   // of what is measured
    struct sample end;
    double own; // CPU of this program while it streamed, seconds
    uint64_t deliveries;
    uint64_t bytes; // of messages
    uint64_t wire;  // of their frames, as they came
    uint64_t events;
    double streamed; // seconds
};

// Connects all watchers but the last `extra` and waits until they are live.
void stream_connect(struct world *w, size_t extra, struct stream_run *run);
// Prompts every session with `seconds` of chunks at o->rate a second and session, measures all of
// them but those of the first o->warmup seconds, and goes on at the end of the stream.
void stream_play(struct world *w, double seconds, struct stream_run *run);
// The same with a schedule that is set before (world_offer): measures from o->warmup seconds behind its begin to its end.
void stream_offer(struct world *w, double seconds, struct stream_run *run);
// Prompts every session to work as a model does, and measures from o->warmup seconds behind its begin on.
void stream_work(struct world *w, double seconds, bool permissions, struct stream_run *run);
// Measures what is due from o->warmup seconds behind `begin` on, for so many seconds.
void stream_measure_from(struct world *w, int64_t begin, double seconds, struct stream_run *run);
// Measures what goes on for so many seconds.
void stream_measure(struct world *w, double seconds, struct stream_run *run);
// Waits until everybody has everything, compares, and reports.
void stream_finish(struct world *w, struct report *r, json_object *row, struct stream_run *run);
