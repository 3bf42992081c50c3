#pragma once
/*
 * Walks the members of a JSON object, or the elements of an array, where they stand: values are
 * neither decoded nor copied, so that a fold passes large ones on as bytes. For JSON that we wrote
 * and stored ourselves: it finds the end of every value and never reads beyond the text, but does
 * not check the grammar. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *text;
    size_t length;
};

struct scan {
    const char *at, *end;
    char close; /* the bracket that ends it */
    bool first;
    bool failed; /* it broke off: what stands there is no JSON */
};

struct scan_member {
    const char *begin; /* the quote before its name */
    struct span name;  /* without quotes, escapes as they stand */
    struct span value; /* a string with its quotes */
};

/* False if `text` does not begin with `open`, which is '{' or '['. */
bool scan_open(struct scan *scan, struct span text, char open);
/* False at the end, and when it failed. */
bool scan_member(struct scan *scan, struct scan_member *member);
bool scan_element(struct scan *scan, struct span *value);

/* Inline, so that the length of a literal is known where it is compared: most of a fold is asking
 * for names. */
static inline bool span_is(struct span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}
bool span_equal(struct span one, struct span other);
/* The inside of a string value. False if it is no string. */
bool span_string(struct span value, struct span *inside);
/* A whole number that fits. */
bool span_u64(struct span value, uint64_t *out);
/* UTF-16 units of the inside of a string. */
uint64_t span_units(struct span inside);
