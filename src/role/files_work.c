/* What is to be done, and reading. */
#define _GNU_SOURCE
#include "files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/utf8.h"

enum {
    READ_BYTES = 64 * 1024,
    SCAN_MAX = 256 * 1024 * 1024, /* bytes that are read to find a line; other agents wait meanwhile */
};

/* What of the file is wanted, while it is read. */
struct reading {
    const struct file_call *call;
    int64_t line; /* the one that the next byte belongs to */
    struct buffer text;
};

/* False when no more is wanted. */
static bool take(struct reading *reading, const char *bytes, size_t length)
{
    const struct file_call *call = reading->call;
    int64_t end = call->limit < 0 || call->line > INT64_MAX - call->limit ? INT64_MAX : call->line + call->limit;
    while (length > 0 && reading->line < end) {
        const char *stop = memchr(bytes, '\n', length);
        size_t part = stop ? (size_t)(stop - bytes) + 1 : length;
        if (reading->line >= call->line) {
            buffer_append(&reading->text, bytes, part);
        }
        reading->line += stop ? 1 : 0;
        bytes += part;
        length -= part;
    }
    return reading->line < end;
}

/* 0 or an errno. */
static int read_lines(int fd, struct reading *reading)
{
    char bytes[READ_BYTES];
    size_t scanned = 0;
    if (reading->call->limit == 0) {
        return 0;
    }
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : 0;
        }
        bool more = take(reading, bytes, (size_t)got);
        scanned += (size_t)got;
        if (!buffer_ok(&reading->text)) {
            return ENOMEM;
        }
        if (reading->text.length > FILE_TEXT_MAX || (more && scanned > SCAN_MAX)) {
            return EFBIG;
        }
        if (!more) {
            return 0;
        }
    }
}

static void read_file(int fd, struct file_call *call)
{
    struct reading reading = {.call = call, .line = 1};
    int error = read_lines(fd, &reading);
    if (!error && !utf8_valid(reading.text.data ? reading.text.data : "", reading.text.length)) {
        error = EILSEQ;
    }
    if (error) {
        buffer_free(&reading.text);
        files_fail(call, error);
        return;
    }
    call->length = reading.text.length;
    call->content = buffer_take(&reading.text);
    if (!call->content) {
        call->length = 0;
        files_fail(call, ENOMEM);
    }
}

/* It is looked at before it is opened: opening some devices does something, and a pipe would have to wait. */
static void open_and_read(int workspace, struct file_call *call)
{
    struct stat about;
    int found = files_open_beneath(workspace, call->path, O_PATH);
    if (found < 0 || fstat(found, &about) != 0) {
        files_fail(call, errno);
    } else if (!S_ISREG(about.st_mode)) {
        files_fail(call, EISDIR);
    } else {
        int fd = files_reopen(found, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
            files_fail(call, errno);
        } else {
            read_file(fd, call);
            fd_close(fd);
        }
    }
    fd_close(found);
}

void files_work(struct file_call *call)
{
    call->outcome = FILE_DONE;
    int workspace = files_open_workspace(call->workspace);
    if (workspace < 0) {
        files_fail(call, errno == ELOOP ? EXDEV : errno);
        return;
    }
    if (!call->write) {
        open_and_read(workspace, call);
    } else if (files_write(workspace, call) != 0) {
        files_fail(call, errno);
    }
    fd_close(workspace);
}
