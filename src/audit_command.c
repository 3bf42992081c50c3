#define _GNU_SOURCE /* strptime */
#include "audit_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data_folder.h"
#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/store/store.h"

enum { EXIT_USAGE = 2, FOLLOW_MS = 500, JSON_DEPTH = 128 };

static const char usage[] =
    "Usage: signalbox audit [--config FILE] [--data DIR] [FILTER]... [--last N] [--json] [--follow]\n"
    "\n"
    "Prints the decisions on permission requests, and the changes of rules and policies, the first one first: when, who,\n"
    "what was decided, in which session, about what. It only reads, and may run beside a server.\n"
    "\n"
    "  --config FILE     where the folder is named (`data`), as for `signalbox serve`\n"
    "  --data DIR        the folder itself\n"
    "  --session ID      only those of this session\n"
    "  --user NAME       only those behind which this user is\n"
    "  --outcome WORD    only requests that ended like this: allowed, rejected, timeout or cancelled\n"
    "  --since TIME      not before this time: 2026-01-31, 2026-01-31T14:05 or 2026-01-31T14:05:59 (local time; UTC with a\n"
    "                    Z behind it), or how long ago: 30m, 12h, 7d\n"
    "  --until TIME      before this time\n"
    "  --last N          only the newest N of them\n"
    "  --json            an entry a line, as GET /v1/audit has them\n"
    "  --follow          goes on with those that are taken from now on, until it is ended\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 if it was read to its end, 1 if not, 2 for wrong usage.\n";

struct options {
    const char *config, *data;
    struct audit_filter filter;
    uint64_t last; /* 0: all */
    bool json, follow;
};

struct printer {
    const struct options *options;
    struct json_parser *parser;
    struct buffer line;
    int64_t number; /* the last that was printed */
    bool failed;    /* stdout takes nothing more, or there is no memory: said on stderr */
};

/* ---- Words ---- */

/* Text of agents and clients goes to a terminal: nothing in it may move the cursor, or turn around what stands there. */
static bool is_printable(const unsigned char *at, size_t length)
{
    if (length == 1) {
        return at[0] >= 0x20 && at[0] != 0x7f;
    }
    unsigned code = length == 2   ? (unsigned)(at[0] & 0x1f) << 6 | (at[1] & 0x3f)
                    : length == 3 ? (unsigned)(at[0] & 0x0f) << 12 | (unsigned)(at[1] & 0x3f) << 6 | (at[2] & 0x3f)
                                  : 0x10000;
    bool control = code < 0xa0 || code == 0x061c;
    bool mark = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                (code >= 0x2066 && code <= 0x2069);
    return !control && !mark;
}

static size_t character_length(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static void put_shown(struct buffer *out, const char *text)
{
    size_t left = text != NULL ? strlen(text) : 0;
    while (left > 0) {
        size_t bad = 0;
        size_t whole = utf8_valid_prefix(text, left, &bad);
        for (size_t at = 0; at < whole;) {
            const unsigned char *character = (const unsigned char *)text + at;
            size_t length = character_length(*character);
            if (is_printable(character, length)) {
                buffer_append(out, character, length);
            } else if (*character == '\n') {
                buffer_text(out, "\\n");
            } else {
                for (size_t i = 0; i < length; i++) {
                    buffer_format(out, "\\x%02x", character[i]);
                }
            }
            at += length;
        }
        for (size_t i = 0; i < bad; i++) {
            buffer_format(out, "\\x%02x", (unsigned char)text[whole + i]);
        }
        text += whole + bad;
        left -= whole + bad;
    }
}

static void put_column(struct buffer *out, size_t start, size_t width)
{
    do {
        buffer_byte(out, ' ');
    } while (buffer_ok(out) && out->length < start + width + 1);
}

static void put_decision(struct buffer *out, const struct audit_entry *entry)
{
    if (entry->outcome == NULL) {
        put_shown(out, entry->action);
        return;
    }
    put_shown(out, entry->outcome);
    buffer_text(out, entry->always_allow ? " always" : "");
    if (entry->by == NULL || strcmp(entry->by, "user") == 0 || strcmp(entry->by, entry->outcome) == 0) {
        return;
    }
    const char *which = strcmp(entry->by, "rule") == 0 ? entry->rule_id
                        : strcmp(entry->by, "policy") == 0 ? entry->policy
                                                           : entry->reason;
    buffer_text(out, " (");
    if (strcmp(entry->by, "cancellation") != 0 || which == NULL) {
        put_shown(out, entry->by);
        buffer_text(out, which != NULL ? " " : "");
    }
    put_shown(out, which);
    buffer_byte(out, ')');
}

/* A text in an object that is kept as JSON. */
static void put_member(struct printer *printer, const char *json, const char *first, const char *second)
{
    struct json_object *object = NULL;
    if (json == NULL || json_parse(printer->parser, json, strlen(json), &object) != ERR_OK) {
        return;
    }
    const char *a = first != NULL ? json_get_string(object, first) : NULL;
    const char *b = json_get_string(object, second);
    put_shown(&printer->line, a);
    buffer_text(&printer->line, a != NULL && b != NULL ? ": " : "");
    put_shown(&printer->line, b);
    json_object_put(object);
}

static void put_what(struct printer *printer, const struct audit_entry *entry)
{
    struct buffer *out = &printer->line;
    if (entry->request != NULL) {
        put_member(printer, entry->request, "kind", "command");
    } else if (entry->rule != NULL) {
        put_shown(out, entry->rule_id);
        buffer_text(out, ": ");
        put_member(printer, entry->rule, NULL, "label");
    } else if (entry->action != NULL && strcmp(entry->action, "service_refused") == 0) {
        put_shown(out, entry->reason);
    } else if (entry->policy != NULL) {
        put_shown(out, entry->policy_before);
        buffer_text(out, entry->policy_before != NULL ? " -> " : "");
        put_shown(out, entry->policy);
    } else {
        put_shown(out, entry->workspace); /* of a session that was erased */
    }
    if (entry->made_rule_id != NULL) {
        buffer_text(out, " [made rule ");
        put_shown(out, entry->made_rule_id);
        buffer_byte(out, ']');
    }
    if (entry->message != NULL) {
        buffer_text(out, " \"");
        put_shown(out, entry->message);
        buffer_byte(out, '"');
    }
}

static void put_row(struct printer *printer, const struct audit_entry *entry)
{
    struct buffer *out = &printer->line;
    char when[32] = "?";
    time_t seconds = (time_t)(entry->at / 1000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) != NULL) {
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &parts);
    }
    buffer_text(out, when);
    put_column(out, 0, 19);
    size_t start = out->length;
    put_shown(out, entry->user != NULL ? entry->user : "-");
    put_column(out, start, 12);
    start = out->length;
    put_decision(out, entry);
    put_column(out, start, 24);
    start = out->length;
    put_shown(out, entry->session_id != NULL ? entry->session_id : "-");
    put_column(out, start, 22);
    put_what(printer, entry);
    while (out->length > 0 && out->data[out->length - 1] == ' ') {
        out->length--;
    }
}

static bool print_entry(void *context, const struct audit_entry *entry)
{
    struct printer *printer = context;
    buffer_reset(&printer->line);
    if (printer->options->json) {
        audit_entry_json(&printer->line, entry);
    } else {
        put_row(printer, entry);
    }
    buffer_byte(&printer->line, '\n');
    if (!buffer_ok(&printer->line)) {
        fputs("signalbox: out of memory\n", stderr);
        printer->failed = true;
    } else if (fwrite(printer->line.data, 1, printer->line.length, stdout) != printer->line.length) {
        fprintf(stderr, "signalbox: cannot write: %s\n", strerror(errno));
        printer->failed = true;
    }
    printer->number = entry->number;
    return !printer->failed;
}

/* ---- Reading ---- */

static bool note_number(void *context, const struct audit_entry *entry)
{
    *(int64_t *)context = entry->number;
    return true;
}

static enum err print_all(struct store_reader *reader, struct printer *printer)
{
    const struct options *options = printer->options;
    if (options->last > 0) {
        int64_t oldest = INT64_MAX; /* of the newest: none */
        enum err err = reader->operations->list_audit(reader, 0, true, (size_t)options->last, &options->filter,
                                                      note_number, &oldest);
        if (err != ERR_OK || (oldest == INT64_MAX && !options->follow)) {
            return err;
        }
        printer->number = oldest == INT64_MAX ? 0 : oldest - 1;
    }
    for (;;) {
        enum err err = reader->operations->list_audit(reader, printer->number, false, SIZE_MAX, &options->filter,
                                                      print_entry, printer);
        if (err == ERR_OK && !printer->failed && fflush(stdout) != 0) {
            fprintf(stderr, "signalbox: cannot write: %s\n", strerror(errno));
            printer->failed = true;
        }
        if (err != ERR_OK || printer->failed || !options->follow) {
            return err;
        }
        nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
    }
}

static int run(const struct options *options)
{
    char why[1024] = "";
    struct store_reader *reader = NULL;
    struct printer printer = {.options = options};
    char *folder = options->data ? strdup(options->data) : data_folder(options->config);
    if (!folder) {
        return EXIT_FAILURE;
    }
    enum err err = json_parser_new(&printer.parser, JSON_DEPTH);
    if (err) {
        snprintf(why, sizeof(why), "out of memory");
    } else {
        err = store_sqlite_look(&reader, folder, why, sizeof(why));
    }
    if (!err) {
        err = print_all(reader, &printer);
        reader->operations->reader_close(reader);
    }
    if (err) {
        fflush(stdout);
        fprintf(stderr, "signalbox: %s\n", why);
    }
    json_parser_free(printer.parser);
    buffer_free(&printer.line);
    free(folder);
    return err || printer.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Arguments ---- */

/* "30m", "12h", "7d". */
static bool parse_ago(const char *text, int64_t *out)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || strspn(text, "0123456789") != (size_t)(end - text) || !end[0] || end[1]) {
        return false;
    }
    for (size_t i = 0; i < array_size(units); i++) {
        int64_t ms;
        if (*end == units[i].unit && !__builtin_mul_overflow(number, units[i].ms, &ms) &&
            ms < clock_wall_ms()) {
            *out = clock_wall_ms() - ms;
            return true;
        }
    }
    return false;
}

static bool parse_time(const char *text, int64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    if (parse_ago(text, out)) {
        return true;
    }
    for (size_t i = 0; i < array_size(forms); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &parts);
        if (end == NULL || (strcmp(end, "") != 0 && strcmp(end, "Z") != 0)) {
            continue;
        }
        const struct tm asked = parts;
        time_t seconds = *end == 'Z' ? timegm(&parts) : mktime(&parts);
        /* The 31st of a month that has 30 days is no time of that month. */
        if (seconds <= 0 || parts.tm_mday != asked.tm_mday) {
            return false;
        }
        *out = (int64_t)seconds * 1000;
        return true;
    }
    return false;
}

static bool wrong(const char *option, const char *text, const char *want)
{
    fprintf(stderr, "signalbox audit: %s %s: it must be %s\n", option, text, want);
    return false;
}

static bool parse_outcome(const char *text, const char **out)
{
    static const char *const words[] = {"allowed", "rejected", "timeout", "cancelled"};
    for (size_t i = 0; i < array_size(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = words[i];
            return true;
        }
    }
    return wrong("--outcome", text, "allowed, rejected, timeout or cancelled");
}

static bool parse_last(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < 1) {
        return wrong("--last", text, "a whole number >= 1");
    }
    *out = (uint64_t)number;
    return true;
}

static bool parse_option(int option, const char *text, struct options *out)
{
    static const char times[] = "a date, a date and a time (2026-01-31T14:05), or how long ago (30m, 12h, 7d)";
    switch (option) {
    case 'c':
        out->config = text;
        return true;
    case 'd':
        out->data = text;
        return true;
    case 's':
        out->filter.session_id = text;
        return true;
    case 'u':
        out->filter.user = text;
        return true;
    case 'o':
        return parse_outcome(text, &out->filter.outcome);
    case 'S':
        return parse_time(text, &out->filter.since) || wrong("--since", text, times);
    case 'U':
        return parse_time(text, &out->filter.until) || wrong("--until", text, times);
    case 'l':
        return parse_last(text, &out->last);
    case 'j':
        out->json = true;
        return true;
    case 'f':
        out->follow = true;
        return true;
    default:
        fputs(usage, stderr);
        return false;
    }
}

int audit_main(int argc, char **argv)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"session", required_argument, NULL, 's'},
                                          {"user", required_argument, NULL, 'u'},
                                          {"outcome", required_argument, NULL, 'o'},
                                          {"since", required_argument, NULL, 'S'},
                                          {"until", required_argument, NULL, 'U'},
                                          {"last", required_argument, NULL, 'l'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct options options = {0};
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (!parse_option(option, optarg, &options)) {
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return run(&options);
}
