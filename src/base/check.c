#include "signalbox/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "signalbox/base/thread.h"

/* Straight to the descriptor: the log itself may be what failed. */
void check_failed(const char *file, int line, const char *what)
{
    char text[512];
    int length = snprintf(text, sizeof(text),
                          "level=error thread=%s msg=\"check failed\" at=%s:%d check=\"%s\"\n",
                          thread_name(), file, line, what);
    if (length > 0) {
        size_t size = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
        ssize_t ignored = write(STDERR_FILENO, text, size);
        (void)ignored;
    }
    abort();
}
