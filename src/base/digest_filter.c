#include "signalbox/base/digest_filter.h"

#include <stdlib.h>

#include "signalbox/base/check.h"

struct digest_filter {
    size_t bits;
    uint8_t *younger, *older;
};

/* A digest is as good as random, so its parts are the hashes. */
enum { HASHES = DIGEST_SIZE / sizeof(uint32_t) };

static size_t place(const struct digest_filter *filter, const struct digest *digest, size_t hash)
{
    uint32_t word;
    memcpy(&word, digest->bytes + hash * sizeof(word), sizeof(word));
    return word & (filter->bits - 1);
}

static bool half_has(const struct digest_filter *filter, const uint8_t *half, const struct digest *digest)
{
    for (size_t hash = 0; hash < HASHES; hash++) {
        size_t bit = place(filter, digest, hash);
        if (!(half[bit / 8] & 1u << bit % 8)) {
            return false;
        }
    }
    return true;
}

enum err digest_filter_new(struct digest_filter **out, size_t bits)
{
    CHECK(bits >= 8 && bits <= (size_t)1 << 32 && !(bits & (bits - 1)));
    struct digest_filter *filter = calloc(1, sizeof(*filter));
    if (!filter) {
        return ERR_NOMEM;
    }
    filter->bits = bits;
    filter->younger = calloc(1, bits / 8);
    filter->older = calloc(1, bits / 8);
    if (!filter->younger || !filter->older) {
        digest_filter_free(filter);
        return ERR_NOMEM;
    }
    *out = filter;
    return ERR_OK;
}

void digest_filter_free(struct digest_filter *filter)
{
    if (filter) {
        free(filter->younger);
        free(filter->older);
        free(filter);
    }
}

void digest_filter_add(struct digest_filter *filter, const struct digest *digest)
{
    for (size_t hash = 0; hash < HASHES; hash++) {
        size_t bit = place(filter, digest, hash);
        filter->younger[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

bool digest_filter_may_have(const struct digest_filter *filter, const struct digest *digest)
{
    return half_has(filter, filter->younger, digest) || half_has(filter, filter->older, digest);
}

void digest_filter_turn(struct digest_filter *filter)
{
    uint8_t *forgotten = filter->older;
    filter->older = filter->younger;
    memset(forgotten, 0, filter->bits / 8);
    filter->younger = forgotten;
}
