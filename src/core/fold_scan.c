#include "core/fold_scan.h"

#include <string.h>

#include "signalbox/base/utf8.h"

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at)) {
        scan->at++;
    }
}

static bool fail(struct scan *scan)
{
    scan->failed = true;
    return false;
}

/* Stands on the opening quote; goes behind the closing one. */
static bool skip_string(struct scan *scan)
{
    const char *begin = scan->at + 1;
    const char *from = begin;
    while (from < scan->end) {
        const char *quote = memchr(from, '"', (size_t)(scan->end - from));
        if (!quote) {
            break;
        }
        const char *run = quote;
        while (run > begin && run[-1] == '\\') {
            run--;
        }
        if ((quote - run) % 2 == 0) {
            scan->at = quote + 1;
            return true;
        }
        from = quote + 1;
    }
    return fail(scan);
}

static bool skip_nested(struct scan *scan)
{
    size_t depth = 0;
    while (scan->at < scan->end) {
        char byte = *scan->at;
        if (byte == '"') {
            if (!skip_string(scan)) {
                return false;
            }
            continue;
        }
        scan->at++;
        if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return true;
        }
    }
    return fail(scan);
}

static bool ends_plain(char byte)
{
    return byte == ',' || byte == '}' || byte == ']' || is_space(byte);
}

/* A number or a word. */
static bool skip_plain(struct scan *scan)
{
    const char *begin = scan->at;
    while (scan->at < scan->end && !ends_plain(*scan->at)) {
        scan->at++;
    }
    return scan->at > begin && scan->at < scan->end ? true : fail(scan);
}

static bool skip_value(struct scan *scan, struct span *value)
{
    skip_space(scan);
    const char *begin = scan->at;
    if (begin == scan->end) {
        return fail(scan);
    }
    bool done = *begin == '"'                    ? skip_string(scan)
                : *begin == '{' || *begin == '[' ? skip_nested(scan)
                                                 : skip_plain(scan);
    *value = (struct span){begin, (size_t)(scan->at - begin)};
    return done;
}

bool scan_open(struct scan *scan, struct span text, char open)
{
    *scan = (struct scan){.at = text.text,
                          .end = text.text + text.length,
                          .close = open == '{' ? '}' : ']',
                          .first = true};
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != open) {
        return fail(scan);
    }
    scan->at++;
    return true;
}

/* True if another one begins here. */
static bool next(struct scan *scan)
{
    if (scan->failed) {
        return false;
    }
    skip_space(scan);
    if (scan->at == scan->end) {
        return fail(scan);
    }
    if (*scan->at == scan->close) {
        return false;
    }
    if (!scan->first) {
        if (*scan->at != ',') {
            return fail(scan);
        }
        scan->at++;
        skip_space(scan);
    }
    scan->first = false;
    return true;
}

bool scan_member(struct scan *scan, struct scan_member *member)
{
    if (!next(scan)) {
        return false;
    }
    member->begin = scan->at;
    if (scan->at == scan->end || *scan->at != '"' || !skip_string(scan)) {
        return fail(scan);
    }
    member->name = (struct span){member->begin + 1, (size_t)(scan->at - member->begin) - 2};
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != ':') {
        return fail(scan);
    }
    scan->at++;
    return skip_value(scan, &member->value);
}

bool scan_element(struct scan *scan, struct span *value)
{
    return next(scan) && skip_value(scan, value);
}

bool span_equal(struct span one, struct span other)
{
    return one.length == other.length && memcmp(one.text, other.text, one.length) == 0;
}

bool span_string(struct span value, struct span *inside)
{
    if (value.length < 2 || value.text[0] != '"') {
        return false;
    }
    *inside = (struct span){value.text + 1, value.length - 2};
    return true;
}

bool span_u64(struct span value, uint64_t *out)
{
    uint64_t number = 0;
    for (size_t index = 0; index < value.length; index++) {
        unsigned digit = (unsigned)(value.text[index] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            return false;
        }
    }
    *out = number;
    return value.length > 0;
}

uint64_t span_units(struct span inside)
{
    uint64_t units = 0;
    const char *at = inside.text;
    const char *end = at + inside.length;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        units += utf8_utf16_length(at, (size_t)((escape ? escape : end) - at));
        if (!escape) {
            break;
        }
        /* An escape is one unit; what lies beyond the ASCII of \uXXXX is one for each half of a
         * pair. */
        size_t length = end - escape > 1 && escape[1] == 'u' ? 6 : 2;
        at = (size_t)(end - escape) > length ? escape + length : end;
        units++;
    }
    return units;
}
