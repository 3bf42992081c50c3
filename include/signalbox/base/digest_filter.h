#pragma once
/*
 * A set of digests of fixed size (a Bloom filter): it never forgets by mistake, and says yes to a few that it was never
 * given, the more the fuller it is. It has two halves; digest_filter_turn forgets the older one.
 * Owned by one thread at a time.
 */
#include "signalbox/base/digest.h"
#include "signalbox/base/err.h"

struct digest_filter;
/* `bits` of a half: a power of two, 8 to 2^32. ERR_NOMEM. */
must_check enum err digest_filter_new(struct digest_filter **out, size_t bits);
void digest_filter_free(struct digest_filter *filter); /* NULL is fine */
void digest_filter_add(struct digest_filter *filter, const struct digest *digest);
/* false: it was never added, or before the last two turns. */
bool digest_filter_may_have(const struct digest_filter *filter, const struct digest *digest);
/* What was added before the last turn is forgotten; what was added since then will be at the next one. */
void digest_filter_turn(struct digest_filter *filter);
