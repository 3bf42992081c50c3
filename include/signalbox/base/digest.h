#pragma once
/*
 * Digests that name data: the first 128 bits of a SHA-256 (FIPS 180-4) over parts, each with its length, so that no two
 * lists of parts read the same. Nobody can make other data of a digest that is there already; who can try 2^64 times
 * finds two of his own that are alike, and harms himself only. nettle's part of it is included here only.
 */
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DIGEST_SIZE = 16 };
struct digest {
    uint8_t bytes[DIGEST_SIZE];
};
static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return !memcmp(a->bytes, b->bytes, DIGEST_SIZE);
}

/* Of one thread at a time; begin, parts, end. No allocation, no failure. */
struct digest_work {
    struct sha256_ctx sha;
};
void digest_begin(struct digest_work *work);
void digest_text(struct digest_work *work, const char *text); /* NULL is another part than an empty text */
void digest_bytes(struct digest_work *work, const void *bytes, size_t length); /* NULs are bytes like others */
void digest_i64(struct digest_work *work, int64_t number);
void digest_end(struct digest_work *work, struct digest *out);
