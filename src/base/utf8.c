#include "signalbox/base/utf8.h"

#include <stdint.h>
#include <string.h>

/*
 * Looks at one sequence that starts with a byte >= 0x80. Returns its length if it is well-formed;
 * else 0, and *part is the length of its longest beginning that could have become well-formed (at
 * least 1), which is what becomes one U+FFFD (Unicode 15, section 3.9, "maximal subpart"); *cut
 * tells whether the text ended within it. RFC 3629, section 4, has the ranges of the second byte.
 */
static size_t sequence(const uint8_t *at, size_t left, size_t *part, bool *cut)
{
    uint8_t lead = at[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t need;

    *part = 1;
    *cut = false;
    if (lead >= 0xc2 && lead <= 0xdf) {
        need = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        need = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;
        high = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        need = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    for (size_t index = 1; index < need; index++) {
        if (index == left) {
            *cut = true;
            return 0;
        }
        if (at[index] < low || at[index] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
        *part = index + 1;
    }
    return need;
}

static size_t ascii_run(const uint8_t *at, size_t left)
{
    size_t run = 0;
    while (left - run >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at + run, sizeof(word));
        if (word & UINT64_C(0x8080808080808080)) {
            break;
        }
        run += sizeof(word);
    }
    while (run < left && at[run] < 0x80) {
        run++;
    }
    return run;
}

size_t utf8_valid_prefix(const char *text, size_t length, size_t *bad)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;

    *bad = 0;
    while (at < length) {
        at += ascii_run(bytes + at, length - at);
        if (at == length) {
            break;
        }
        bool cut;
        size_t part;
        size_t good = sequence(bytes + at, length - at, &part, &cut);
        if (!good) {
            *bad = part;
            break;
        }
        at += good;
    }
    return at;
}

bool utf8_valid(const char *text, size_t length)
{
    size_t bad;
    return utf8_valid_prefix(text, length, &bad) == length;
}

size_t utf8_incomplete_tail(const char *text, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)text;

    for (size_t back = 1; back <= 3 && back <= length; back++) {
        uint8_t byte = bytes[length - back];
        if (byte < 0x80) {
            return 0;
        }
        if (byte >= 0xc0) {
            size_t part;
            bool cut;
            return sequence(bytes + length - back, back, &part, &cut) == 0 && cut ? back : 0;
        }
    }
    return 0;
}

size_t utf8_utf16_length(const char *text, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0, units = 0;

    while (at < length) {
        size_t run = ascii_run(bytes + at, length - at);
        at += run;
        units += run;
        if (at == length) {
            break;
        }
        bool cut;
        size_t part;
        size_t good = sequence(bytes + at, length - at, &part, &cut);
        units += good == 4 ? 2 : 1;
        at += good ? good : part;
    }
    return units;
}

bool utf8_blank(const char *text, size_t length)
{
    static const char *const blanks[] = {
        "\t",           "\n",           "\v",
        "\f",           "\r",           " ",
        "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
        "\xe3\x80\x80", "\xef\xbb\xbf",
    };
    for (size_t at = 0; at < length;) {
        size_t taken = 0;
        for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]) && !taken; i++) {
            size_t size = strlen(blanks[i]);
            taken = size <= length - at && !memcmp(text + at, blanks[i], size) ? size : 0;
        }
        /* U+2000 to U+200A: blanks by their widths. */
        if (!taken && length - at >= 3 && !memcmp(text + at, "\xe2\x80", 2) &&
            (uint8_t)text[at + 2] >= 0x80 && (uint8_t)text[at + 2] <= 0x8a) {
            taken = 3;
        }
        if (!taken) {
            return false;
        }
        at += taken;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t length, size_t limit)
{
    const uint8_t *bytes = (const uint8_t *)text;

    if (limit >= length) {
        return length;
    }
    for (size_t back = 1; back <= 3 && back <= limit; back++) {
        uint8_t byte = bytes[limit - back];
        if (byte < 0x80) {
            break;
        }
        if (byte >= 0xc0) {
            size_t part;
            bool cut;
            size_t good = sequence(bytes + limit - back, length - (limit - back), &part, &cut);
            return good > back ? limit - back : limit;
        }
    }
    return limit;
}
