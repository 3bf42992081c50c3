// Text that a test can compute too. README.md says the generator exactly; keep both the same.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum generator_alphabet { ALPHABET_ASCII, ALPHABET_UNICODE, ALPHABET_ESCAPE, ALPHABET_UNKNOWN };

struct generator {
    uint32_t state;
};

void generator_seed(struct generator *g, uint32_t seed);
uint32_t generator_next(struct generator *g);

// "ascii", "unicode" or "escape".
enum generator_alphabet generator_alphabet_named(const char *name);

// Writes exactly `size` bytes of valid UTF-8.
void generator_fill(struct generator *g, enum generator_alphabet alphabet, char *to, size_t size);
