#define _GNU_SOURCE
/* What an agent's processes may use, told to its guard; and what its end has to do with that. */
#include "agent_limits.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"

size_t agent_limits_arguments(const struct config_limits *limits, struct agent_limits_text *out)
{
    bool own_files = limits->open_files >= 0;
    const struct {
        const char *option, *name;
        int64_t value;
    } all[] = {
        {"--rlimit", "as=", limits->memory_bytes},
        {"--rlimit", "cpu=", limits->cpu_seconds},
        {"--rlimit", own_files ? "nofile=" : "soft-nofile=", own_files ? limits->open_files : fd_limit_before()},
        {"--rlimit", "fsize=", limits->file_bytes},
        {"--nice", "", limits->nice},
        {"--oom-score-adj", "", limits->oom_score_adj},
    };
    _Static_assert(array_size(all) * 2 == AGENT_LIMITS_ARGUMENTS, "there is room for all of them");
    size_t count = 0;
    for (size_t i = 0; i < array_size(all); i++) {
        if (all[i].value >= 0) {
            snprintf(out->values[i], sizeof(out->values[i]), "%s%" PRId64, all[i].name, all[i].value);
            out->arguments[count++] = all[i].option;
            out->arguments[count++] = out->values[i];
        }
    }
    return count;
}

/* What programs say when they get no memory. */
static bool speaks_of_memory(const char *errors)
{
    static const char *const words[] = {"out of memory", "Out of memory",   "cannot allocate", "Cannot allocate",
                                        "ENOMEM",        "allocation fail", "bad_alloc",       "MemoryError",
                                        "heap limit",    "OutOfMemory"};
    for (size_t i = 0; errors && i < array_size(words); i++) {
        if (strstr(errors, words[i])) {
            return true;
        }
    }
    return false;
}

static bool speaks_of_files(const char *errors)
{
    return errors && (strstr(errors, "EMFILE") || strcasestr(errors, "too many open files"));
}

static bool speaks_of_size(const char *errors)
{
    return errors && (strstr(errors, "EFBIG") || strcasestr(errors, "file too large"));
}

/* Signals by which programs end that were refused memory: they abort, trap, or use what they did not get. */
static bool died_of_itself(int signal)
{
    return signal == SIGABRT || signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGTRAP;
}

void agent_limits_explain(struct buffer *out, const struct config_limits *limits, int signal, const char *errors)
{
    if (signal == SIGXCPU || (signal == SIGKILL && limits->cpu_seconds >= 0)) {
        buffer_format(out, "%s processor time than its limit allows (cpu-limit-seconds = %" PRId64 ").",
                      signal == SIGXCPU ? " It used more" : " It may have used more", limits->cpu_seconds);
    } else if (signal == SIGXFSZ || (limits->file_bytes >= 0 && speaks_of_size(errors))) {
        buffer_format(out, " It wrote a longer file than its limit allows (file-size-limit = %" PRId64 ").",
                      limits->file_bytes);
    } else if (signal == SIGKILL) {
        buffer_text(out, " If nobody killed it, the machine was out of memory.");
    } else if (limits->memory_bytes >= 0 && (died_of_itself(signal) || speaks_of_memory(errors))) {
        buffer_format(out, "%s more memory than its limit allows (memory-limit = %" PRId64 ").",
                      speaks_of_memory(errors) ? " It wanted" : " It may have wanted", limits->memory_bytes);
    } else if (limits->open_files >= 0 && speaks_of_files(errors)) {
        buffer_format(out, " It opened more files than its limit allows (open-files-limit = %" PRId64 ").",
                      limits->open_files);
    }
}
