#include "signalbox/base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "signalbox/base/check.h"

enum { CACHE_LINE = 64 };
enum kind { COUNTER, GAUGE, HISTOGRAM };

static const struct family {
    enum kind kind;
    const char *name, *help; /* the name may end with labels */
} families[METRIC_COUNT] = {
#define X(type, symbol, metric_name, metric_help)                                                  \
    [METRIC_##symbol] = {type, metric_name, metric_help},
    METRICS(X)
#undef X
};

static const char *const kind_names[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

/* Upper bounds of a histogram's buckets. */
static const struct bound {
    int64_t ns;
    const char *label;
} bounds[] = {
    {50000, "0.00005"},  {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},
    {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},
    {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"},
    {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"}, {5000000000, "5"},
    {10000000000, "10"},
};
enum { BOUNDS = array_size(bounds) };

/* A line of the cache each: threads that count different things do not meet. Of a histogram,
 * `value` is the sum, in nanoseconds. */
static struct cell {
    _Alignas(CACHE_LINE) _Atomic(int64_t) value;
} cells[METRIC_COUNT];
static _Atomic(int64_t) buckets[METRIC_COUNT][BOUNDS + 1]; /* not cumulative; the last is +Inf */

/* All accesses are relaxed: the numbers are for people and order nothing. */
void metric_add(enum metric metric, int64_t value)
{
    atomic_fetch_add_explicit(&cells[metric].value, value, memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
    atomic_store_explicit(&cells[metric].value, value, memory_order_relaxed);
}

void metric_observe_ns(enum metric metric, int64_t ns)
{
    metric_observe_many_ns(metric, ns, 1);
}

void metric_observe_many_ns(enum metric metric, int64_t ns, int64_t count)
{
    CHECK(families[metric].kind == HISTOGRAM);
    size_t bucket = 0;
    while (bucket < BOUNDS && ns > bounds[bucket].ns) {
        bucket++;
    }
    atomic_fetch_add_explicit(&buckets[metric][bucket], count, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[metric].value, ns * count, memory_order_relaxed);
}

int64_t metric_read(enum metric metric)
{
    CHECK(families[metric].kind != HISTOGRAM);
    return atomic_load_explicit(&cells[metric].value, memory_order_relaxed);
}

static size_t family_length(const struct family *family)
{
    return strcspn(family->name, "{");
}

static void write_head(struct buffer *out, const struct family *family)
{
    int length = (int)family_length(family);
    buffer_format(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, family->name, family->help,
                  length, family->name, kind_names[family->kind]);
}

static void write_histogram(struct buffer *out, enum metric metric)
{
    const char *name = families[metric].name;
    int64_t count = 0;
    for (size_t bucket = 0; bucket <= BOUNDS; bucket++) {
        count += atomic_load_explicit(&buckets[metric][bucket], memory_order_relaxed);
        buffer_format(out, "%s_bucket{le=\"%s\"} %" PRId64 "\n", name,
                      bucket < BOUNDS ? bounds[bucket].label : "+Inf", count);
    }
    int64_t sum = atomic_load_explicit(&cells[metric].value, memory_order_relaxed);
    buffer_format(out, "%s_sum %" PRId64 ".%09" PRId64 "\n%s_count %" PRId64 "\n", name,
                  sum / 1000000000, sum % 1000000000, name, count);
}

void metrics_write(struct buffer *out)
{
    const struct family *before = NULL;
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        const struct family *family = &families[metric];
        size_t length = family_length(family);
        /* Lines of one family stand together in the table and differ in their labels. */
        if (!before || family_length(before) != length ||
            memcmp(before->name, family->name, length) != 0) {
            write_head(out, family);
        }
        before = family;
        if (family->kind == HISTOGRAM) {
            write_histogram(out, (enum metric)metric);
        } else {
            buffer_format(out, "%s %" PRId64 "\n", family->name, metric_read((enum metric)metric));
        }
    }
}
