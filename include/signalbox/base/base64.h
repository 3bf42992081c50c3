#pragma once
/* Base64 (RFC 4648): the standard alphabet with padding, and base64url without it, as in our ids. Pure. */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/buffer.h"

void base64_append(struct buffer *out, const void *bytes, size_t length);
/* Appends what `text` stands for. False: it is not base64 (white space is skipped, as JSON's users send it), or memory
 * ran out (then the buffer has failed); what was appended until then stays. */
bool base64_decode(struct buffer *out, const char *text, size_t length);
/* `out` has room for (8 * length + 5) / 6 characters and a NUL. */
void base64url_write(char *out, const void *bytes, size_t length);
/* False: `text` is not what base64url_write makes of `length` bytes. */
bool base64url_read(const char *text, void *bytes, size_t length);
