#include "signalbox/base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"

enum { BUFFER_FIRST = 256 };

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_reset(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed) {
        return NULL;
    }
    if (buffer->data && more <= buffer->capacity - buffer->length) {
        return buffer->data + buffer->length;
    }
    size_t needed;
    if (__builtin_add_overflow(buffer->length, more, &needed) || needed > SIZE_MAX / 2) {
        buffer->failed = true;
        return NULL;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->length;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0) {
        return;
    }
    char *room = buffer_reserve(buffer, length);
    if (room) {
        memcpy(room, bytes, length);
        buffer->length += length;
    }
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

__attribute__((format(printf, 2, 0))) static void
format_into(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        buffer->failed = true;
        return;
    }
    char *room = buffer_reserve(buffer, (size_t)length + 1);
    if (room) {
        vsnprintf(room, (size_t)length + 1, format, arguments);
        buffer->length += (size_t)length;
    }
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_into(buffer, format, arguments);
    va_end(arguments);
}

void buffer_i64(struct buffer *buffer, int64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0) {
        digits[--at] = '-';
    }
    buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    CHECK(count <= buffer->length);
    if (count == 0) {
        return;
    }
    buffer->length -= count;
    memmove(buffer->data, buffer->data + count, buffer->length);
}

char *buffer_take(struct buffer *buffer)
{
    char *end = buffer_reserve(buffer, 1);
    if (!end) {
        buffer_free(buffer);
        return NULL;
    }
    *end = '\0';
    char *text = buffer->data;
    *buffer = (struct buffer){0};
    return text;
}
