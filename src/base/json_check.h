#pragma once
/*
 * The grammar of RFC 8259, checked before json-c sees a text: json-c 0.16 lets through control
 * bytes in strings, NaN, Infinity, 1., 00 and {'a':1}, even when told to be strict. Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"

struct json_check {
    size_t start, end; /* out: the value without the white space around it */
    size_t at;         /* out, on failure: the offending byte */
    const char *what;  /* out, on failure: a literal */
};

/* `stack` has room for max_depth bytes. ERR_OK, ERR_SYNTAX or ERR_DEPTH. */
must_check enum err json_check(struct json_check *check, const char *text, size_t length,
                               uint8_t *stack, size_t max_depth);
