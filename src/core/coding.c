#include "signalbox/core/coding.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { WEIGHT_FULL = 1000, WEIGHT_UNNAMED = -1 };

void coding_wishes_init(struct coding_wishes *wishes)
{
    *wishes = (struct coding_wishes){.other = WEIGHT_UNNAMED};
    for (int i = 0; i < CODING_COUNT; i++) {
        wishes->weight[i] = WEIGHT_UNNAMED;
    }
}

/* qvalue: 0 or 1, and up to three digits behind the point. False for anything else. */
static bool read_weight(const char *text, size_t length, int *out)
{
    if (length < 1 || length > 5 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.')) {
        return false;
    }
    int weight = (text[0] - '0') * WEIGHT_FULL;
    int unit = WEIGHT_FULL / 10;
    for (size_t i = 2; i < length; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        weight += (text[i] - '0') * unit;
    }
    *out = weight;
    return weight <= WEIGHT_FULL;
}

static int *place_of(struct coding_wishes *wishes, const char *name, size_t length)
{
    static const struct {
        const char *name;
        enum coding coding;
    } names[] = {
        {"br", CODING_BROTLI},
        {"gzip", CODING_GZIP},
        {"x-gzip", CODING_GZIP},
        {"identity", CODING_IDENTITY},
    };
    if (length == 1 && *name == '*') {
        return &wishes->other;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == length && !strncasecmp(names[i].name, name, length)) {
            return &wishes->weight[names[i].coding];
        }
    }
    return NULL;
}

/* `br;q=0.5`, with blanks around each part. */
static void read_wish(struct coding_wishes *wishes, const char *at, size_t length)
{
    static const char blanks[] = " \t";
    const char *end = at + length;
    at += strspn(at, blanks);
    size_t name = 0;
    while (at + name < end && !strchr(" \t;", at[name])) {
        name++;
    }
    int *place = name ? place_of(wishes, at, name) : NULL;
    int weight = WEIGHT_FULL;
    const char *rest = at + name;
    while (rest < end && strchr(blanks, *rest)) {
        rest++;
    }
    if (rest < end) {
        rest++; /* the semicolon, if it is one */
        bool separated = rest[-1] == ';';
        rest += strspn(rest, blanks);
        while (end > rest && strchr(blanks, end[-1])) {
            end--;
        }
        if (!separated || end - rest < 2 || strncasecmp(rest, "q=", 2) ||
            !read_weight(rest + 2, (size_t)(end - rest - 2), &weight)) {
            return;
        }
    }
    if (place) {
        *place = weight;
    }
}

void coding_wishes_read(struct coding_wishes *wishes, const char *value)
{
    wishes->any = true;
    for (const char *at = value; *at;) {
        size_t span = strcspn(at, ",");
        read_wish(wishes, at, span);
        at += span + (at[span] == ',');
    }
}

enum coding coding_choose(const struct coding_wishes *wishes, const bool there[CODING_COUNT])
{
    enum coding best = CODING_COUNT;
    int best_weight = 0;
    if (!wishes->any) {
        return CODING_IDENTITY; /* it takes anything; nothing is the safest for who does not say */
    }
    for (int i = 0; i < CODING_COUNT; i++) {
        int weight = wishes->weight[i] >= 0 ? wishes->weight[i] : wishes->other;
        if (i == CODING_IDENTITY && weight < 0) {
            weight = 1; /* not named, it is fine, but what is named is better */
        }
        if ((there[i] || i == CODING_IDENTITY) && weight > best_weight) {
            best = (enum coding)i;
            best_weight = weight;
        }
    }
    return best;
}

const char *coding_name(enum coding coding)
{
    static const char *const names[CODING_COUNT] = {[CODING_BROTLI] = "br", [CODING_GZIP] = "gzip"};
    return names[coding];
}
