#pragma once
/*
 * Most of a JSON string is plain, and agents send strings of megabytes while others wait; so eight bytes are looked at at
 * a time.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { JSON_PLAIN_STEP = 8 };

#define JSON_EACH(byte) (UINT64_C(0x0101010101010101) * (uint64_t)(byte))

/* Bytes that are 0 have their highest bit set in it; so may some behind one of those. */
static inline uint64_t json_zero_bytes(uint64_t word)
{
    return (word - JSON_EACH(0x01)) & ~word & JSON_EACH(0x80);
}

/* How many bytes in front, a multiple of the step, are certainly neither '"' nor '\\' nor below 0x20, and with `ascii` not
 * above 0x7f. */
static inline size_t json_plain_prefix(const char *text, size_t length, int ascii)
{
    size_t at = 0;
    for (; length - at >= JSON_PLAIN_STEP; at += JSON_PLAIN_STEP) {
        uint64_t word;
        memcpy(&word, text + at, sizeof word);
        uint64_t special = json_zero_bytes(word ^ JSON_EACH('"')) | json_zero_bytes(word ^ JSON_EACH('\\')) |
                           ((word - JSON_EACH(0x20)) & ~word & JSON_EACH(0x80));
        if (special | (ascii ? word & JSON_EACH(0x80) : 0)) {
            break;
        }
    }
    return at;
}
