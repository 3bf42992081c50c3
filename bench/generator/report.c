#define _GNU_SOURCE
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { COLUMNS_MAX = 16 };

static bool json_only;

static json_object *number(double value)
{
    char text[32];
    if (!isfinite(value)) {
        return NULL; // nothing was measured that it could be made of; JSON has no word for it but null
    }
    double rounded = round(value * 1000) / 1000;
    snprintf(text, sizeof text, "%.*f", rounded == floor(rounded) ? 0 : 3, rounded);
    return json_object_new_double_s(rounded, text);
}

void report_number(json_object *run, const char *name, double value)
{
    json_object_object_add(run, name, number(value));
}

void report_open(struct report *r, const char *scenario, const struct options *o)
{
    struct utsname system;
    json_object *options = json_object_new_object();
    *r = (struct report){.scenario = scenario,
                         .root = json_object_new_object(),
                         .runs = json_object_new_array(),
                         .aims = json_object_new_array()};
    json_only = o->json_only;
    uname(&system);
    json_object_object_add(r->root, "scenario", json_object_new_string(scenario));
    char side[32] = "signalbox";
    if (o->peer != NULL) {
        server_peer_name(o->peer, side, sizeof side);
    }
    json_object_object_add(r->root, "side", json_object_new_string(side));
    json_object_object_add(r->root, "cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_object_add(r->root, "kernel", json_object_new_string(system.release));
    report_number(options, "watchers", (double)o->watchers);
    report_number(options, "sessions", (double)o->sessions);
    report_number(options, "rate", (double)o->rate);
    report_number(options, "size", (double)o->size);
    report_number(options, "seconds", o->seconds);
    report_number(options, "seed", o->seed);
    json_object_object_add(r->root, "options", options);
    json_object_object_add(r->root, "runs", r->runs);
    json_object_object_add(r->root, "aims", r->aims);
}

json_object *report_run(struct report *r, const char *label)
{
    json_object *run = json_object_new_object();
    json_object_object_add(run, "run", json_object_new_string(label));
    json_object_array_add(r->runs, run);
    return run;
}

void report_latency(json_object *run, const char *name, const struct histogram *h)
{
    json_object *o = json_object_new_object();
    report_number(o, "count", (double)h->count);
    report_number(o, "p50", (double)histogram_at(h, 0.5) / 1000);
    report_number(o, "p99", (double)histogram_at(h, 0.99) / 1000);
    report_number(o, "p99.9", (double)histogram_at(h, 0.999) / 1000);
    report_number(o, "max", (double)h->max / 1000);
    json_object_object_add(run, name, o);
}

static double role_seconds(const struct sample *s, const char *name)
{
    for (int i = 0; i < s->role_count; i++) {
        if (strcmp(s->roles[i].name, name) == 0) {
            return s->roles[i].seconds;
        }
    }
    return 0;
}

void report_server(json_object *run, const struct sample *begin, const struct sample *end,
                   uint64_t deliveries)
{
    double seconds = (double)(end->at - begin->at) / 1e6;
    double cpu = end->cpu - begin->cpu;
    json_object *o = json_object_new_object();
    report_number(o, "cpu_cores", cpu / seconds);
    report_number(o, "cpu_user_s", end->user - begin->user);
    report_number(o, "cpu_system_s", end->system - begin->system);
    if (deliveries > 0) {
        report_number(o, "cpu_us_per_delivery", cpu * 1e6 / (double)deliveries);
    }
    report_number(o, "rss_mb", (double)end->rss_kb / 1024);
    report_number(o, "threads", (double)end->threads);
    report_number(o, "descriptors", (double)end->descriptors);
    report_number(o, "tcp_mb_of_machine", (double)end->tcp_kb / 1024);
    json_object *roles = json_object_new_object();
    json_object *costs = json_object_new_object();
    for (int i = 0; i < end->role_count; i++) {
        double used = end->roles[i].seconds - role_seconds(begin, end->roles[i].name);
        if (used >= 0.01) {
            report_number(roles, end->roles[i].name, used / seconds);
        }
        if (used >= 0.01 && deliveries > 0) {
            report_number(costs, end->roles[i].name, used * 1e6 / (double)deliveries);
        }
    }
    json_object_object_add(o, "cores_by_thread", roles);
    json_object_object_add(o, "us_per_delivery_by_thread", costs);
    if (end->agents > begin->agents) {
        report_number(o, "agents_host_cores", (end->agents - begin->agents) / seconds);
    }
    json_object_object_add(run, "server", o);
}

void report_world(struct report *r, json_object *run, const struct world *w)
{
    json_object *problems = json_object_new_array();
    report_number(run, "refused_upgrades", (double)w->refused);
    report_number(run, "errors", (double)w->errors);
    for (size_t i = 0; i < w->errors && i < PROBLEMS; i++) {
        json_object_array_add(problems, json_object_new_string(w->problems[i]));
    }
    json_object_object_add(run, "problems", problems);
    r->errors += w->errors;
}

void report_aim(struct report *r, const char *name, double value, double bound, bool least)
{
    json_object *aim = json_object_new_object();
    bool met = least ? value >= bound : value <= bound; // not where it is no number
    json_object_object_add(aim, "aim", json_object_new_string(name));
    report_number(aim, "value", value);
    report_number(aim, least ? "at_least" : "at_most", bound);
    json_object_object_add(aim, "met", json_object_new_boolean(met));
    json_object_array_add(r->aims, aim);
    r->missed = r->missed || !met;
}

// ---- The table ----

static json_object *find(json_object *run, const char *path)
{
    char name[64];
    const char *slash = strchr(path, '/');
    json_object *inner = NULL;
    if (slash == NULL) {
        json_object_object_get_ex(run, path, &inner);
        return inner;
    }
    snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
    return json_object_object_get_ex(run, name, &inner) ? find(inner, slash + 1) : NULL;
}

static void print_rows(const struct report *r, json_object *object, const char *above)
{
    size_t count = json_object_array_length(r->runs);
    json_object_object_foreach(object, key, value)
    {
        char path[128];
        snprintf(path, sizeof path, "%s%s%s", above, *above != '\0' ? "/" : "", key);
        if (json_object_is_type(value, json_type_object)) {
            print_rows(r, value, path);
            continue;
        }
        if (json_object_is_type(value, json_type_array)) {
            continue;
        }
        fprintf(stderr, "%-40s", path);
        for (size_t i = 0; i < count && i < COLUMNS_MAX; i++) {
            json_object *cell = find(json_object_array_get_idx(r->runs, i), path);
            fprintf(stderr, " %14s", cell != NULL ? json_object_get_string(cell) : "");
        }
        fputc('\n', stderr);
    }
}

static void print_table(const struct report *r)
{
    fprintf(stderr, "\n%s (milliseconds, MB, cores unless a name says otherwise)\n", r->scenario);
    if (json_object_array_length(r->runs) > 0) {
        print_rows(r, json_object_array_get_idx(r->runs, 0), "");
    }
    for (size_t i = 0; i < json_object_array_length(r->aims); i++) {
        json_object *aim = json_object_array_get_idx(r->aims, i);
        json_object *bound = NULL;
        bool least = json_object_object_get_ex(aim, "at_least", &bound);
        bound = least ? bound : find(aim, "at_most");
        json_object *value = find(aim, "value");
        fprintf(stderr, "aim: %s: %s (%s %s): %s\n", json_object_get_string(find(aim, "aim")),
                value != NULL ? json_object_get_string(value) : "nothing", least ? "at least" : "at most",
                json_object_get_string(bound),
                json_object_get_boolean(find(aim, "met")) ? "PASS" : "aim missed");
    }
    fprintf(stderr, "%s\n", r->errors == 0 ? "nothing was wrong" : "SOMETHING WAS WRONG");
}

int report_close(struct report *r)
{
    json_object_object_add(r->root, "errors", json_object_new_int64((int64_t)r->errors));
    if (!json_only) {
        print_table(r);
    }
    puts(json_object_to_json_string_ext(r->root,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
    json_object_put(r->root);
    return r->errors == 0 ? 0 : 1;
}
