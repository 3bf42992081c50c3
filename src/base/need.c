#include "signalbox/base/need.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/log.h"

static void end_here(enum err err) __attribute__((noreturn));
static void end_here(enum err err)
{
    log_error("the dispatcher cannot go on: the server ends, and recovers at its next start", "reason", "%s",
              err_text(err), NULL);
    abort();
}

void *need_zero(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) {
        end_here(ERR_NOMEM);
    }
    return memory;
}

char *need_copy(const char *text)
{
    if (!text) {
        return NULL;
    }
    char *copy = strdup(text);
    if (!copy) {
        end_here(ERR_NOMEM);
    }
    return copy;
}

void need_ok(enum err err)
{
    if (err) {
        end_here(err);
    }
}
