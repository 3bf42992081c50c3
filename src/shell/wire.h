// Lines in and out of an agent's standard streams. The agents in bench/ speak through it too.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct wire;

// A wire that reads lines from `in` and writes to `out`; both stay the caller's. Where `out` is a
// pipe or a socket it is made non-blocking. NULL when memory ran out.
struct wire *wire_new(int in, int out);
void wire_free(struct wire *w);

// Reads once; call it when `in` is readable. Returns 1 when there may be new lines, 0 at end of
// file or a read error, -1 when there was nothing to read.
int wire_fill(struct wire *w);

// The next whole line, without its end (LF or CRLF), with a NUL behind it; the wire's, and good
// until the next wire_fill. NULL when there is none. At the end of file the last line needs no LF.
// A line over 64 MiB is dropped: then the text is empty and *too_long is true.
char *wire_line(struct wire *w, size_t *length, bool *too_long);

// Room for `size` bytes at the end of what waits to be written, or NULL when memory ran out or the
// reader has gone. Only what is then counted by wire_commit is written.
char *wire_reserve(struct wire *w, size_t size);
void wire_commit(struct wire *w, size_t size);

// Appends bytes. Returns 0, or -1 as wire_reserve returns NULL.
int wire_put(struct wire *w, const void *bytes, size_t size);

// Bytes that wait to be written.
size_t wire_pending(const struct wire *w);

// Writes as much as the reader takes. Returns 0 when all is written, 1 when the rest must wait for
// POLLOUT, -1 when the reader has gone (what waits is dropped, and so is all that follows).
int wire_flush(struct wire *w);

// Writes everything, waiting for the reader as long as it takes.
void wire_flush_all(struct wire *w);

// From now on bytes go out in pieces of at most `size` (0: no limit), with a pause of
// `microseconds` after each, so that the reader sees lines in parts.
void wire_split(struct wire *w, size_t size, unsigned microseconds);
