#pragma once
/*
 * A growing byte buffer with a sticky error: appending to a buffer whose allocation failed does nothing, and
 * `buffer_ok` tells at the end. So text is built without a check a line. Owned by one thread at a time.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t length, capacity;
    bool failed;
};

void buffer_free(struct buffer *buffer);   /* also resets it */
void buffer_reset(struct buffer *buffer);  /* length 0, no failure, memory kept */
static inline bool buffer_ok(const struct buffer *buffer)
{
    return !buffer->failed;
}
/* Room for `more` bytes behind the end, or NULL (then failed). Not counted into length. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_byte(struct buffer *buffer, char byte);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_i64(struct buffer *buffer, int64_t number);
/* Removes `count` bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t count);
/* The bytes as a malloc'd, NUL-terminated string that the caller frees; the buffer is empty then. NULL if failed. */
char *buffer_take(struct buffer *buffer);
