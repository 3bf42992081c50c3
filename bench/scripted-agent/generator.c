#include "generator.h"

#include <string.h>

static const char ascii[64] = {
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p',
    'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'A', 'B', 'C', 'D', 'E', 'F',
    'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V',
    'W', 'X', 'Y', 'Z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ', '.',
};

struct symbol {
    const char *bytes;
    size_t size;
};

#define SYMBOL(text)                                                                               \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static const struct symbol unicode[16] = {
    SYMBOL("a"),       SYMBOL("b"),          SYMBOL(" "),          SYMBOL("\n"),
    SYMBOL("\u00e9"),  SYMBOL("\u00df"),     SYMBOL("\u0436"),     SYMBOL("\u05d0"),
    SYMBOL("\u20ac"),  SYMBOL("\u6f22"),     SYMBOL("\u2028"),     SYMBOL("\u200d"),
    SYMBOL("e\u0301"), SYMBOL("\U0001f600"), SYMBOL("\U0001f469"), SYMBOL("\U0001f1e9\U0001f1ea"),
};

static const struct symbol escape[16] = {
    SYMBOL("a"), SYMBOL("B"),  SYMBOL("0"),    SYMBOL(" "),  SYMBOL("\""), SYMBOL("\\"),
    SYMBOL("/"), SYMBOL("\n"), SYMBOL("\r"),   SYMBOL("\t"), SYMBOL("\b"), SYMBOL("\x01"),
    SYMBOL("<"), SYMBOL("&"),  SYMBOL("\x7f"), SYMBOL("`"),
};

void generator_seed(struct generator *g, uint32_t seed)
{
    g->state = seed != 0 ? seed : 0x9E3779B9U; // zero would stay zero for ever
}

uint32_t generator_next(struct generator *g)
{
    uint32_t x = g->state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    g->state = x;
    return x;
}

enum generator_alphabet generator_alphabet_named(const char *name)
{
    static const char *const names[] = {"ascii", "unicode", "escape"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum generator_alphabet)i;
        }
    }
    return ALPHABET_UNKNOWN;
}

void generator_fill(struct generator *g, enum generator_alphabet alphabet, char *to, size_t size)
{
    if (alphabet == ALPHABET_ASCII) {
        for (size_t i = 0; i < size; i++) {
            to[i] = ascii[generator_next(g) >> 26];
        }
        return;
    }
    const struct symbol *symbols = alphabet == ALPHABET_UNICODE ? unicode : escape;
    for (size_t i = 0; i < size;) {
        const struct symbol *s = &symbols[generator_next(g) >> 28];
        if (s->size > size - i) {
            to[i++] = '.';
            continue;
        }
        memcpy(to + i, s->bytes, s->size);
        i += s->size;
    }
}
