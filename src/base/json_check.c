#include "json_check.h"

#include <stdbool.h>
#include <string.h>

#include "json_plain.h"

struct scan {
    const uint8_t *at, *end;
    const char *what;
};

static const char UNEXPECTED[] = "unexpected character";
static const char TRUNCATED[] = "the text ends too early";

static bool refuse(struct scan *scan)
{
    scan->what = scan->at == scan->end ? TRUNCATED : UNEXPECTED;
    return false;
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t')) {
        scan->at++;
    }
}

static bool is_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static bool digits(struct scan *scan)
{
    if (!is_digit(scan)) {
        return refuse(scan);
    }
    while (is_digit(scan)) {
        scan->at++;
    }
    return true;
}

static bool number(struct scan *scan)
{
    if (*scan->at == '-') {
        scan->at++;
    }
    if (scan->at < scan->end && *scan->at == '0') {
        scan->at++;
    } else if (!digits(scan)) {
        return false;
    }
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        if (!digits(scan)) {
            return false;
        }
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-')) {
            scan->at++;
        }
        return digits(scan);
    }
    return true;
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

static bool escape(struct scan *scan)
{
    scan->at++;
    if (scan->at == scan->end || *scan->at == '\0' || !strchr("\"\\/bfnrtu", *scan->at)) {
        return refuse(scan);
    }
    if (*scan->at++ != 'u') {
        return true;
    }
    for (int index = 0; index < 4; index++) {
        if (scan->at == scan->end || !is_hex(*scan->at)) {
            return refuse(scan);
        }
        scan->at++;
    }
    return true;
}

static bool string(struct scan *scan)
{
    scan->at++;
    while (scan->at < scan->end && *scan->at != '"') {
        size_t plain = json_plain_prefix((const char *)scan->at, (size_t)(scan->end - scan->at), false);
        if (plain > 0) {
            scan->at += plain;
            continue;
        }
        if (*scan->at < 0x20) {
            return refuse(scan);
        }
        if (*scan->at != '\\') {
            scan->at++;
        } else if (!escape(scan)) {
            return false;
        }
    }
    if (scan->at == scan->end) {
        return refuse(scan);
    }
    scan->at++;
    return true;
}

static bool word(struct scan *scan, const char *expected)
{
    for (; *expected; expected++) {
        if (scan->at == scan->end || *scan->at != (uint8_t)*expected) {
            return refuse(scan);
        }
        scan->at++;
    }
    return true;
}

static bool scalar(struct scan *scan)
{
    switch (*scan->at) {
    case '"':
        return string(scan);
    case 't':
        return word(scan, "true");
    case 'f':
        return word(scan, "false");
    case 'n':
        return word(scan, "null");
    case '-':
        return number(scan);
    default:
        return is_digit(scan) ? number(scan) : refuse(scan);
    }
}

static bool key_and_colon(struct scan *scan)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != '"') {
        return refuse(scan);
    }
    if (!string(scan)) {
        return false;
    }
    skip_space(scan);
    return word(scan, ":");
}

/* After a value, or right after an opening bracket (`fresh`): closes what ends here, and tells
 * whether another value follows. */
static bool next_value(struct scan *scan, const uint8_t *stack, size_t *depth, bool fresh,
                       bool *more)
{
    while (*depth > 0) {
        uint8_t open = stack[*depth - 1];
        skip_space(scan);
        if (scan->at < scan->end && *scan->at == (open == '{' ? '}' : ']')) {
            scan->at++;
            (*depth)--;
            fresh = false;
            continue;
        }
        if (!fresh && !word(scan, ",")) {
            return false;
        }
        *more = true;
        return open == '[' || key_and_colon(scan);
    }
    *more = false;
    return true;
}

static enum err value(struct scan *scan, uint8_t *stack, size_t max_depth)
{
    size_t depth = 0;
    bool more = true;

    while (more) {
        skip_space(scan);
        bool fresh = scan->at < scan->end && (*scan->at == '{' || *scan->at == '[');
        if (fresh) {
            if (depth == max_depth) {
                scan->what = "nested too deeply";
                return ERR_DEPTH;
            }
            stack[depth++] = *scan->at++;
        } else if (scan->at == scan->end) {
            refuse(scan);
            return ERR_SYNTAX;
        } else if (!scalar(scan)) {
            return ERR_SYNTAX;
        }
        if (!next_value(scan, stack, &depth, fresh, &more)) {
            return ERR_SYNTAX;
        }
    }
    return ERR_OK;
}

enum err json_check(struct json_check *check, const char *text, size_t length, uint8_t *stack,
                    size_t max_depth)
{
    const uint8_t *bytes = (const uint8_t *)text;
    struct scan scan = {.at = bytes, .end = bytes + length};

    skip_space(&scan);
    check->start = (size_t)(scan.at - bytes);
    if (scan.at == scan.end) {
        check->at = 0;
        check->what = "the text is empty";
        return ERR_SYNTAX;
    }
    enum err err = value(&scan, stack, max_depth);
    check->end = (size_t)(scan.at - bytes);
    if (!err) {
        skip_space(&scan);
        if (scan.at == scan.end) {
            return ERR_OK;
        }
        scan.what = "more text after the value";
        err = ERR_SYNTAX;
    }
    check->at = (size_t)(scan.at - bytes);
    check->what = scan.what;
    return err;
}
