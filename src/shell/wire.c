#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 64 * 1024 * 1024,
    READ_BYTES = 64 * 1024,
    KEEP_BYTES = 1024 * 1024, // a buffer that a huge line has grown beyond this is given back
};

struct buffer {
    char *bytes;
    size_t start; // first byte still wanted
    size_t end;
    size_t room;
};

struct wire {
    int in;
    int out;
    bool at_end;
    bool broken;
    bool skipping;  // inside a line that is too long
    size_t scanned; // of `read`, relative to its start: no LF before here
    struct buffer read;
    struct buffer write;
    size_t piece;
    unsigned pause;
};

struct wire *wire_new(int in, int out)
{
    struct wire *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->in = in;
    w->out = out;
    // A terminal's mode is shared with the person's shell, so it is left as it is.
    struct stat kind;
    if (fstat(out, &kind) == 0 && (S_ISFIFO(kind.st_mode) || S_ISSOCK(kind.st_mode))) {
        fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    }
    return w;
}

void wire_free(struct wire *w)
{
    if (w == NULL) {
        return;
    }
    free(w->read.bytes);
    free(w->write.bytes);
    free(w);
}

static char *buffer_reserve(struct buffer *b, size_t size)
{
    if (b->start == b->end) {
        b->start = 0;
        b->end = 0;
        if (b->room > KEEP_BYTES && size <= READ_BYTES) {
            free(b->bytes);
            *b = (struct buffer){0};
        }
    }
    if (b->room - b->end >= size) {
        return b->bytes + b->end;
    }
    if (b->start > 0) {
        memmove(b->bytes, b->bytes + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    if (b->room - b->end < size) {
        size_t room = b->room == 0 ? 2 * (size_t)READ_BYTES : b->room;
        while (room - b->end < size) {
            if (room > SIZE_MAX / 2) {
                return NULL;
            }
            room *= 2;
        }
        char *bytes = realloc(b->bytes, room);
        if (bytes == NULL) {
            return NULL;
        }
        b->bytes = bytes;
        b->room = room;
    }
    return b->bytes + b->end;
}

int wire_fill(struct wire *w)
{
    // One byte more, for the NUL behind a last line without LF.
    char *at = buffer_reserve(&w->read, READ_BYTES + 1);
    ssize_t got = at == NULL ? 0 : read(w->in, at, READ_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return -1;
    }
    if (got <= 0) {
        w->at_end = true;
        return 0;
    }
    w->read.end += (size_t)got;
    return 1;
}

char *wire_line(struct wire *w, size_t *length, bool *too_long)
{
    struct buffer *b = &w->read;
    *too_long = false;
    for (;;) {
        char *start = b->bytes + b->start;
        size_t have = b->end - b->start;
        char *newline = have == 0 ? NULL : memchr(start + w->scanned, '\n', have - w->scanned);
        if (newline == NULL && !(w->at_end && have > 0)) {
            w->scanned = have;
            if (have > LINE_MAX_BYTES || w->skipping) {
                w->skipping = true;
                b->start = b->end;
                w->scanned = 0;
            }
            return NULL;
        }
        size_t size = newline == NULL ? have : (size_t)(newline - start);
        b->start += newline == NULL ? size : size + 1;
        w->scanned = 0;
        if (w->skipping) {
            w->skipping = false;
            *too_long = true;
            size = 0;
        }
        if (size > 0 && start[size - 1] == '\r') {
            size--;
        }
        start[size] = '\0';
        if (size == 0 && !*too_long) {
            continue;
        }
        *length = size;
        return start;
    }
}

char *wire_reserve(struct wire *w, size_t size)
{
    return w->broken ? NULL : buffer_reserve(&w->write, size);
}

void wire_commit(struct wire *w, size_t size)
{
    w->write.end += size;
}

int wire_put(struct wire *w, const void *bytes, size_t size)
{
    char *at = wire_reserve(w, size);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, bytes, size);
    wire_commit(w, size);
    return 0;
}

size_t wire_pending(const struct wire *w)
{
    return w->write.end - w->write.start;
}

static void rest(unsigned microseconds)
{
    if (microseconds == 0) {
        sched_yield();
        return;
    }
    struct timespec t = {.tv_sec = microseconds / 1000000,
                         .tv_nsec = (long)(microseconds % 1000000) * 1000};
    nanosleep(&t, NULL);
}

int wire_flush(struct wire *w)
{
    struct buffer *b = &w->write;
    while (b->start < b->end) {
        size_t size = b->end - b->start;
        if (w->piece > 0 && size > w->piece) {
            size = w->piece;
        }
        ssize_t written = write(w->out, b->bytes + b->start, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno == EAGAIN) {
            return 1;
        }
        if (written < 0) {
            w->broken = true;
            b->start = b->end;
            return -1;
        }
        b->start += (size_t)written;
        if (w->piece > 0) {
            rest(w->pause);
        }
    }
    return w->broken ? -1 : 0;
}

void wire_flush_all(struct wire *w)
{
    while (wire_flush(w) > 0) {
        struct pollfd out = {.fd = w->out, .events = POLLOUT};
        poll(&out, 1, -1);
    }
}

void wire_split(struct wire *w, size_t size, unsigned microseconds)
{
    w->piece = size;
    w->pause = microseconds;
}
