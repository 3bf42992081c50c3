#include "signalbox/base/metrics.h"

#include "support/test.h"

static char *written(void)
{
    struct buffer out = {0};
    metrics_write(&out);
    char *text = buffer_take(&out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static size_t occurrences(const char *text, const char *wanted)
{
    size_t count = 0;
    for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted)) {
        count++;
    }
    return count;
}

static void counters_and_gauges_are_read_back(void)
{
    metric_add(METRIC_EVENTS, 2);
    metric_add(METRIC_EVENTS, 3);
    metric_set(METRIC_STORE_OK, 1);
    metric_add(METRIC_CONNECTIONS, 2);
    metric_add(METRIC_CONNECTIONS, -1);
    CU_ASSERT_EQUAL(metric_read(METRIC_EVENTS), 5);
    char *text = written();
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "# TYPE signalbox_events_total counter\nsignalbox_events_total 5\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "# TYPE signalbox_connections gauge\nsignalbox_connections 1\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nsignalbox_store_ok 1\n"));
    free(text);
}

static void a_family_has_one_head(void)
{
    char *text = written();
    CU_ASSERT_EQUAL(occurrences(text, "# TYPE signalbox_permissions_total counter\n"), 1);
    CU_ASSERT_EQUAL(occurrences(text, "# HELP signalbox_permissions_total "), 1);
    CU_ASSERT_EQUAL(occurrences(text, "\nsignalbox_permissions_total{outcome=\""), 8);
    CU_ASSERT_EQUAL(occurrences(text, "# TYPE signalbox_permissions_requested_total "), 1);
    free(text);
}

static void a_histogram_is_cumulative_and_in_seconds(void)
{
    metric_observe_ns(METRIC_COMMIT_SECONDS, 50000);  /* on the first bound: belongs to it */
    metric_observe_ns(METRIC_COMMIT_SECONDS, 700000); /* 1 ms */
    metric_observe_ns(METRIC_COMMIT_SECONDS, INT64_C(30000000000)); /* over all bounds */
    char *text = written();
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "# TYPE signalbox_commit_seconds histogram\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_bucket{le=\"0.00005\"} 1\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_bucket{le=\"0.0005\"} 1\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_bucket{le=\"0.001\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_bucket{le=\"10\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_bucket{le=\"+Inf\"} 3\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_sum 30.000750000\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_commit_seconds_count 3\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signalbox_agent_line_to_socket_seconds_count 0\n"));
    free(text);
}

static void add_many(size_t number, void *context)
{
    (void)number;
    (void)context;
    for (int round = 0; round < 10000; round++) {
        metric_add(METRIC_DELIVERIES, 1);
    }
}

static void threads_count_together(void)
{
    struct test_threads threads = test_threads_start(4, add_many, NULL);
    test_threads_join(&threads);
    CU_ASSERT_EQUAL(metric_read(METRIC_DELIVERIES), 40000);
}

TEST_MAIN("metrics", TEST(counters_and_gauges_are_read_back), TEST(a_family_has_one_head),
          TEST(a_histogram_is_cumulative_and_in_seconds), TEST(threads_count_together))
