#pragma once
/* Which coding of a body to send: Accept-Encoding (RFC 9110, section 12.5.3). */
#include <stdbool.h>

/* In the order in which they are preferred where the client likes them equally. */
enum coding { CODING_BROTLI, CODING_GZIP, CODING_IDENTITY, CODING_COUNT };

/* What a client accepts, from all its Accept-Encoding headers, each of which is read. */
struct coding_wishes {
    int weight[CODING_COUNT]; /* in thousandths; negative: not named */
    int other;                /* that of `*` */
    bool any;                 /* it has said something */
};

void coding_wishes_init(struct coding_wishes *wishes);
/* What cannot be read counts as not named. */
void coding_wishes_read(struct coding_wishes *wishes, const char *value);
/* The best of those that are there; identity always is. CODING_COUNT: the client takes none of them. */
enum coding coding_choose(const struct coding_wishes *wishes, const bool there[CODING_COUNT]);
/* As Content-Encoding has it; NULL for identity. */
const char *coding_name(enum coding coding);
