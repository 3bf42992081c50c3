#pragma once
/* UTF-8 (RFC 3629) and the UTF-16 lengths in which clients count. Pure. */
#include <stdbool.h>
#include <stddef.h>

/* True if all of it is well-formed. */
bool utf8_valid(const char *text, size_t length);
/* How many bytes at the end are the beginning of a sequence that is not complete yet (0 to 3). */
size_t utf8_incomplete_tail(const char *text, size_t length);
/* True if it has nothing but what JavaScript's `trim` takes away: blanks of all kinds, ends of lines, U+FEFF. */
bool utf8_blank(const char *text, size_t length);
/* Its length in UTF-16 units; ill-formed bytes count as the U+FFFD that they become. */
size_t utf8_utf16_length(const char *text, size_t length);
/* The largest cut <= `limit` that does not split a character. */
size_t utf8_cut(const char *text, size_t length, size_t limit);
/* Length of the maximal well-formed prefix; *bad gets how many following bytes are to become one U+FFFD. */
size_t utf8_valid_prefix(const char *text, size_t length, size_t *bad);
