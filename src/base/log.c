#include "signalbox/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/thread.h"
#include "signalbox/base/utf8.h"

/* A write of at most PIPE_BUF bytes to a pipe is not mixed with others (pipe(7)). */
enum { LINE_SIZE = PIPE_BUF, VALUE_SIZE = 128 };

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

static _Atomic(int) lowest_level = LOG_LEVEL_INFO;

struct line {
    char text[LINE_SIZE];
    size_t length;
    bool full;
};

/* Room for what ends a line that had to be cut: `..."` and the line feed. */
static const char LINE_CUT[] = "...";
enum { LINE_RESERVE = 8 };

void log_set_level(enum log_level level)
{
    /* Relaxed: nothing else depends on it. */
    atomic_store_explicit(&lowest_level, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *word, enum log_level *out)
{
    for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
        if (strcmp(word, level_names[level]) == 0) {
            *out = (enum log_level)level;
            return true;
        }
    }
    return false;
}

static void put(struct line *line, const char *text, size_t length)
{
    if (line->full || length > sizeof(line->text) - LINE_RESERVE - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* How many bytes the next character has, and whether it can stand as it is. Control characters
 * (those of C1 too, which some terminals obey) and what is not UTF-8 cannot. */
static size_t character(const char *text, size_t length, bool *printable)
{
    uint8_t first = (uint8_t)text[0];
    if (first < 0x80) {
        *printable = first >= 0x20 && first != 0x7f && first != '"' && first != '\\';
        return 1;
    }
    size_t bad, four = length < 4 ? length : 4, size = 2;
    size_t good = utf8_valid_prefix(text, four, &bad);
    if (good == 0) {
        *printable = false;
        return 1;
    }
    while (size < good && ((uint8_t)text[size] & 0xc0) == 0x80) {
        size++;
    }
    *printable = !(first == 0xc2 && (uint8_t)text[1] < 0xa0);
    return size;
}

static bool needs_quotes(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        bool printable;
        size_t size = character(text + at, length - at, &printable);
        if (!printable || text[at] == ' ' || text[at] == '=') {
            return true;
        }
        at += size;
    }
    return length == 0;
}

static void put_escaped(struct line *line, const char *text, size_t size)
{
    switch (text[0]) {
    case '"':
        put(line, "\\\"", 2);
        return;
    case '\\':
        put(line, "\\\\", 2);
        return;
    case '\n':
        put(line, "\\n", 2);
        return;
    case '\r':
        put(line, "\\r", 2);
        return;
    case '\t':
        put(line, "\\t", 2);
        return;
    default:
        for (size_t index = 0; index < size; index++) {
            char hex[5];
            snprintf(hex, sizeof(hex), "\\x%02x", (uint8_t)text[index]);
            put(line, hex, 4);
        }
    }
}

static void put_value(struct line *line, const char *text)
{
    if (line->full) {
        return;
    }
    size_t length = strlen(text);
    if (!needs_quotes(text, length)) {
        put(line, text, length);
        if (!line->full) {
            return;
        }
        /* Too long: the quoted form below is cut where the line ends, and says so. */
        line->full = false;
    }
    put(line, "\"", 1);
    if (line->full) {
        return;
    }
    for (size_t at = 0; at < length && !line->full;) {
        bool printable;
        size_t size = character(text + at, length - at, &printable);
        if (printable) {
            put(line, text + at, size);
        } else {
            put_escaped(line, text + at, size);
        }
        at += size;
    }
    if (line->full) { /* within the reserve */
        memcpy(line->text + line->length, LINE_CUT, sizeof(LINE_CUT) - 1);
        line->length += sizeof(LINE_CUT) - 1;
        line->text[line->length++] = '"';
        return;
    }
    put(line, "\"", 1);
}

static void put_time(struct line *line)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm parts;
    char text[64];
    gmtime_r(&seconds, &parts);
    size_t length = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &parts);
    put(line, text, length);
    snprintf(text, sizeof(text), ".%03dZ", (int)(now % 1000));
    put_text(line, text);
}

/* The formats are literals of ours, passed through a variable because the argument's type is read
 * from them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

struct arguments {
    va_list list;
};

/* Reads the one argument that `format` asks for and writes the value; false if the format is none
 * of ours. */
static bool put_formatted(struct line *line, const char *format, struct arguments *arguments)
{
    const char *at = strchr(format, '%');
    if (!at) {
        return false;
    }
    at += 1 + strspn(at + 1, "-+ #0123456789.");
    if (at[0] == 's') {
        const char *text = va_arg(arguments->list, const char *);
        if (strcmp(format, "%s") == 0) {
            put_value(line, text ? text : "-");
            return true;
        }
        char value[LINE_SIZE];
        snprintf(value, sizeof(value), format, text ? text : "-");
        put_value(line, value);
        return true;
    }
    char value[VALUE_SIZE];
    if (at[0] == 'd') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, int));
    } else if (at[0] == 'u' || at[0] == 'x') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, unsigned));
    } else if (at[0] == 'f' || at[0] == 'g') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, double));
    } else if (at[0] == 'z') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, size_t));
    } else if (at[0] == 'l' && at[1] == 'l') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, long long));
    } else if (at[0] == 'l') {
        snprintf(value, sizeof(value), format, va_arg(arguments->list, long));
    } else {
        return false;
    }
    put_value(line, value);
    return true;
}
#pragma GCC diagnostic pop

static void put_pairs(struct line *line, struct arguments *arguments)
{
    const char *key;
    while ((key = va_arg(arguments->list, const char *))) {
        const char *format = va_arg(arguments->list, const char *);
        put(line, " ", 1);
        put_text(line, key);
        put(line, "=", 1);
        if (!put_formatted(line, format, arguments)) {
            put_text(line, "?"); /* of what type the rest is cannot be known now */
            return;
        }
    }
}

void log_write(enum log_level level, const char *message, ...)
{
    /* Relaxed: as in log_set_level. */
    if ((int)level < atomic_load_explicit(&lowest_level, memory_order_relaxed)) {
        return;
    }
    int kept = errno;
    struct line line;
    line.length = 0;
    line.full = false;
    put_time(&line);
    put_text(&line, " level=");
    put_text(&line, level_names[level]);
    put_text(&line, " thread=");
    put_text(&line, thread_name());
    put_text(&line, " msg=");
    put_value(&line, message);

    struct arguments arguments;
    va_start(arguments.list, message);
    put_pairs(&line, &arguments);
    va_end(arguments.list);

    line.text[line.length++] = '\n';
    ssize_t put_bytes;
    do {
        put_bytes = write(STDERR_FILENO, line.text, line.length);
    } while (put_bytes < 0 && errno == EINTR);
    errno = kept;
}

bool log_limit_pass(struct log_limit *limit, uint32_t per_minute, uint32_t *suppressed)
{
    static const int64_t MINUTE_NS = INT64_C(60000000000);
    int64_t now = clock_now().ns;
    int64_t start = atomic_load(&limit->window_start_ns);

    /* Whoever moves the start begins the new minute; a line of another thread may count into
     * either. */
    if ((start == 0 || now - start >= MINUTE_NS) &&
        atomic_compare_exchange_strong(&limit->window_start_ns, &start, now)) {
        atomic_store(&limit->count, 0);
    }
    if (atomic_fetch_add(&limit->count, 1) >= per_minute) {
        atomic_fetch_sub(&limit->count, 1);
        atomic_fetch_add(&limit->suppressed, 1);
        return false;
    }
    *suppressed = atomic_exchange(&limit->suppressed, 0);
    return true;
}
