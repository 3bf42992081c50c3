#pragma once
/*
 * Structured log lines on stderr: `ts=2026-01-02T03:04:05.678Z level=info thread=dispatch msg="..." key=value`.
 * One write per line, so lines of several threads never mix. Values are quoted and escaped when they need it.
 * Secrets are never given to it.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; false for another word. */
bool log_level_parse(const char *word, enum log_level *out);

/*
 * log_info("session created", "session", "%s", id, "agent", "%s", name, NULL): the message, then triples of key
 * (no spaces), a printf format for one value, and that format's single argument; NULL ends it. Formats: %s
 * (NULL prints "-"), %d, %u, %ld, %lu, %lld, %llu, %zu, %f. Any thread. Blocks only if stderr does.
 */
void log_write(enum log_level level, const char *message, ...) __attribute__((sentinel));
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

/* At most `per_minute` lines pass; the next one that passes says how many were left out. One per source. */
struct log_limit {
    _Atomic(int64_t) window_start_ns;
    _Atomic(uint32_t) count, suppressed;
};
/* true: write the line; *suppressed says how many were left out before it. */
bool log_limit_pass(struct log_limit *limit, uint32_t per_minute, uint32_t *suppressed);
