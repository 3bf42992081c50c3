#pragma once
/*
 * Counters, gauges and histograms in Prometheus' text format (version 0.0.4). Every family is a line of one
 * table; labels have few values, known at compile time. Relaxed atomics: a sum may be read a moment old.
 */
#include <stdint.h>

#include "signalbox/base/buffer.h"

#define METRICS(X)                                                                                 \
    X(COUNTER, CONNECTIONS_OPENED, "signalbox_connections_opened_total", "WebSocket connections taken over") \
    X(COUNTER, CONNECTIONS_CLOSED, "signalbox_connections_closed_total", "WebSocket connections ended")      \
    X(GAUGE, CONNECTIONS, "signalbox_connections", "WebSocket connections now")                    \
    X(GAUGE, SUBSCRIPTIONS, "signalbox_subscriptions", "Subscriptions now")                        \
    X(GAUGE, SESSIONS, "signalbox_sessions_in_memory", "Sessions in memory")                       \
    X(COUNTER, SESSIONS_LEFT, "signalbox_sessions_left_memory_total",                              \
      "Idle sessions that left memory")                                                            \
    X(GAUGE, TAIL_BYTES, "signalbox_tail_bytes", "Memory of all tails of recent events")           \
    X(COUNTER, EVENTS, "signalbox_events_total", "Session events committed")                       \
    X(COUNTER, EVENT_BYTES, "signalbox_event_bytes_total", "Bytes of session events committed")    \
    X(COUNTER, BLOBS, "signalbox_blobs_total", "Blobs committed")                                  \
    X(COUNTER, BLOB_BYTES, "signalbox_blob_bytes_total", "Bytes of blobs committed")               \
    X(COUNTER, FOLD_ROWS, "signalbox_fold_rows_total", "Stored events that replays read to fold them")       \
    X(COUNTER, FOLD_EVENTS, "signalbox_fold_events_total", "Events that came out of folding them") \
    X(COUNTER, FOLD_SHARED, "signalbox_fold_shared_total", "Pieces of replays that were folded for somebody else")      \
    X(GAUGE, FOLDS, "signalbox_folds", "Replays that are in work or held for their next piece")    \
    X(COUNTER, STORE_FOLD_EVENTS, "signalbox_store_folded_events_total", "Stored events that the folding of closed turns removed") \
    X(COUNTER, STORE_FOLD_BYTES, "signalbox_store_folded_bytes_total", "Bytes of events that it saved") \
    X(COUNTER, LAGGING, "signalbox_lagging_total", "Times a live watcher fell behind")             \
    X(COUNTER, DELIVERIES, "signalbox_deliveries_total", "Session events written to watchers")     \
    X(COUNTER, DELIVERY_BYTES, "signalbox_delivery_bytes_total", "Bytes written to watchers")      \
    X(COUNTER, DEFLATE_IN, "signalbox_deflate_in_bytes_total", "Bytes of messages that were compressed, or tried, once each")  \
    X(COUNTER, DEFLATE_OUT, "signalbox_deflate_out_bytes_total", "Bytes that they take since")     \
    X(COUNTER, DEFLATE_SAVED, "signalbox_deflate_saved_bytes_total", "Bytes that need not be written to watchers since they were compressed") \
    X(GAUGE, DEFLATE_CLIENTS, "signalbox_deflate_connections", "WebSocket connections that take compressed messages now") \
    X(GAUGE, SOCKET_URINGS, "signalbox_socket_io_uring_threads", "Socket threads that write by io_uring; the others use send") \
    X(COUNTER, COMMANDS, "signalbox_commands_total", "Commands taken from clients")                \
    X(COUNTER, COMMANDS_REFUSED, "signalbox_commands_refused_total", "Commands answered by a nack or a problem") \
    X(COUNTER, COMMANDS_REPEATED, "signalbox_commands_repeated_total", "Commands sent again with their id, that got the first answer") \
    X(COUNTER, ANSWERS_READ, "signalbox_answers_read_total", "Times the store was asked whether a command was answered before") \
    X(COUNTER, COMMITS, "signalbox_commits_total", "Groups committed by the journal")              \
    X(COUNTER, COMMIT_FAILURES, "signalbox_commit_failures_total", "Groups that had to be retried")\
    X(HISTOGRAM, COMMIT_SECONDS, "signalbox_commit_seconds", "Time to commit a group")             \
    X(HISTOGRAM, LINE_TO_SOCKET_SECONDS, "signalbox_agent_line_to_socket_seconds", "From an agent's line to the first socket write of its event") \
    X(HISTOGRAM, DELTA_LATE_SECONDS, "signalbox_delta_window_late_seconds", "How late the text that waited in a delta window was sent on") \
    X(GAUGE, AGENTS_RUNNING, "signalbox_agents_running", "Agent processes now")                    \
    X(COUNTER, AGENTS_STARTED, "signalbox_agents_started_total", "Agent processes started")        \
    X(COUNTER, AGENTS_FAILED, "signalbox_agents_failed_total", "Agents that did not start or died in a turn") \
    X(COUNTER, AGENTS_STOPPED_IDLE, "signalbox_agents_stopped_idle_total", "Agents stopped since they had nothing to do") \
    X(GAUGE, AGENTS_WAITING, "signalbox_agents_waiting", "Sessions that wait for a place to start their agent") \
    X(GAUGE, BREAKERS_OPEN, "signalbox_agent_breakers{state=\"open\"}", "Configured agents that failed too often to be started, by the state of their circuit breaker") \
    X(GAUGE, BREAKERS_HALF_OPEN, "signalbox_agent_breakers{state=\"half_open\"}", "Configured agents that failed too often to be started, by the state of their circuit breaker") \
    X(COUNTER, BREAKER_OPENS, "signalbox_agent_breaker_opens_total{of=\"agent\"}", "Times a circuit breaker opened, of a configured agent or of one session") \
    X(COUNTER, SESSION_BREAKER_OPENS, "signalbox_agent_breaker_opens_total{of=\"session\"}", "Times a circuit breaker opened, of a configured agent or of one session") \
    X(COUNTER, AGENT_SILENCES, "signalbox_agent_silences_total", "Times an agent gave no sign of life in a turn") \
    X(COUNTER, AGENT_HANGS, "signalbox_agent_hangs_total", "Turns cancelled since the agent gave no sign of life") \
    X(COUNTER, AGENT_LINES, "signalbox_agent_lines_total", "Lines read from agents")               \
    X(COUNTER, AGENT_GARBAGE, "signalbox_agent_garbage_total", "Lines of agents that were no JSON-RPC") \
    X(COUNTER, AGENT_STALLS, "signalbox_agent_stalls_total", "Times an agent was not read because its credit was used up") \
    X(COUNTER, AGENT_FILES, "signalbox_agent_files_total", "Files read or written for agents that asked for it") \
    X(COUNTER, TERMINALS_STARTED, "signalbox_terminals_started_total", "Commands run for agents that asked for it") \
    X(GAUGE, TERMINALS_RUNNING, "signalbox_terminals_running", "The same, now")                   \
    X(COUNTER, WIRELOG_BYTES, "signalbox_wire_log_bytes_total", "Bytes written to the wire log")   \
    X(COUNTER, WIRELOG_LOST, "signalbox_wire_log_lines_lost_total", "Lines that the wire log misses: its disk is slow, or fails") \
    X(GAUGE, CREDIT_BYTES, "signalbox_credit_bytes", "Bytes of agents' events not yet committed")  \
    X(COUNTER, PERMISSIONS_ASKED, "signalbox_permissions_requested_total", "Permission requests")  \
    X(GAUGE, PERMISSIONS_PENDING, "signalbox_permissions_pending", "Permission requests that wait for an answer") \
    X(COUNTER, PERMISSIONS_ALLOWED_USER, "signalbox_permissions_total{outcome=\"allowed\",by=\"user\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_ALLOWED_RULE, "signalbox_permissions_total{outcome=\"allowed\",by=\"rule\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_ALLOWED_POLICY, "signalbox_permissions_total{outcome=\"allowed\",by=\"policy\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_REJECTED_USER, "signalbox_permissions_total{outcome=\"rejected\",by=\"user\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_REJECTED_POLICY, "signalbox_permissions_total{outcome=\"rejected\",by=\"policy\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_REJECTED_LIMIT, "signalbox_permissions_total{outcome=\"rejected\",by=\"limit\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_TIMEOUT, "signalbox_permissions_total{outcome=\"timeout\",by=\"timeout\"}", "Permission requests ended") \
    X(COUNTER, PERMISSIONS_CANCELLED, "signalbox_permissions_total{outcome=\"cancelled\",by=\"cancellation\"}", "Permission requests ended") \
    X(GAUGE, RULES, "signalbox_rules", "Rules that answer permission requests in a person's place") \
    X(COUNTER, HTTP_REQUESTS, "signalbox_http_requests_total", "HTTP requests served")             \
    X(COUNTER, LOGIN_FAILURES, "signalbox_login_failures_total", "Logins refused")                 \
    X(COUNTER, CONFIG_RELOADS, "signalbox_config_reloads_total", "Configurations published")       \
    X(COUNTER, CONFIG_ERRORS, "signalbox_config_errors_total", "Configurations refused")           \
    X(GAUGE, STORE_OK, "signalbox_store_ok", "1 while events can be recorded")

enum metric {
#define X(type, symbol, name, help) METRIC_##symbol,
    METRICS(X)
#undef X
        METRIC_COUNT
};

/* Any thread, wait-free. A histogram takes nanoseconds and prints seconds. */
void metric_add(enum metric metric, int64_t value);
void metric_set(enum metric metric, int64_t value);
void metric_observe_ns(enum metric metric, int64_t ns);
/* `count` times the same. */
void metric_observe_many_ns(enum metric metric, int64_t ns, int64_t count);
int64_t metric_read(enum metric metric); /* a counter or a gauge */

/* Appends all families, HELP and TYPE once a family. Families that others measure (mailboxes, descriptors) are
 * appended by their owners. */
void metrics_write(struct buffer *out);
