#define _GNU_SOURCE
#include "late.h"

#include "http.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 10 };

static double counter(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = text; at != NULL && (at = strstr(at, name)) != NULL; at += length) {
        if (at > text && at[-1] == '\n' && at[length] == ' ') {
            return strtod(at + length, NULL);
        }
    }
    return 0;
}

static void read_times(const char *text, const char *bucket, struct late_times *out)
{
    double before = 0;
    for (const char *at = text; at != NULL && (at = strstr(at, bucket)) != NULL;) {
        at += strlen(bucket);
        double bound = *at == '+' ? INFINITY : strtod(at, NULL);
        const char *behind = strstr(at, "\"} ");
        if (behind == NULL || out->cells == LATE_CELLS) {
            break;
        }
        double upto = strtod(behind + 3, NULL);
        out->bounds[out->cells] = bound;
        out->counts[out->cells++] = upto - before;
        before = upto;
    }
}

void late_read(struct world *w, struct late *out)
{
    char *text = http_get(&w->target, "/metrics", SECONDS);
    *out = (struct late){0};
    read_times(text, "\nsignalbox_delta_window_late_seconds_bucket{le=\"", &out->windows);
    read_times(text, "\nsignalbox_commit_seconds_bucket{le=\"", &out->commits);
    out->lines = counter(text, "signalbox_agent_lines_total");
    out->started = counter(text, "signalbox_agents_started_total");
    free(text);
}

// Seconds.
static double at_share(const double *bounds, const double *counts, int cells, double share)
{
    double all = 0;
    double upto = 0;
    for (int i = 0; i < cells; i++) {
        all += counts[i];
    }
    for (int i = 0; i < cells && all > 0; i++) {
        double begin = i > 0 ? bounds[i - 1] : 0;
        if (upto + counts[i] >= share * all) {
            return isinf(bounds[i])
                       ? begin
                       : begin + (bounds[i] - begin) * (share * all - upto) / counts[i];
        }
        upto += counts[i];
    }
    return 0;
}

static double report_times(json_object *row, const char *name, const struct late_times *begin,
                           const struct late_times *end)
{
    json_object *o = json_object_new_object();
    double counts[LATE_CELLS] = {0};
    double all = 0;
    double over = 0;
    for (int i = 0; i < end->cells; i++) {
        counts[i] = end->counts[i] - (i < begin->cells ? begin->counts[i] : 0);
        all += counts[i];
        over += end->bounds[i] > 0.0101 ? counts[i] : 0;
    }
    double p99 = 1000 * at_share(end->bounds, counts, end->cells, 0.99);
    report_number(o, "count", all);
    report_number(o, "p50", 1000 * at_share(end->bounds, counts, end->cells, 0.5));
    report_number(o, "p99", p99);
    report_number(o, "p99.9", 1000 * at_share(end->bounds, counts, end->cells, 0.999));
    report_number(o, "percent_over_10_ms", all > 0 ? 100 * over / all : 0);
    json_object_object_add(row, name, o);
    return p99;
}

double late_commit_p99(const struct late *begin, const struct late *end)
{
    json_object *unused = json_object_new_object();
    double p99 = report_times(unused, "commits", &begin->commits, &end->commits);
    json_object_put(unused);
    return p99;
}

double late_report(json_object *row, const struct late *begin, const struct late *end,
                   double seconds)
{
    double p99 = report_times(row, "windows_late", &begin->windows, &end->windows);
    report_times(row, "commits", &begin->commits, &end->commits);
    report_number(row, "agent_lines_per_s", (end->lines - begin->lines) / seconds);
    report_number(row, "agents_started", end->started - begin->started);
    return p99;
}
