/* The tokens file. What is taken can be asked for, and no error ever holds a token. */
#define _GNU_SOURCE
#include "fuzz/lib/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signalbox/share/config.h"

static int file_of(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("tokens", MFD_CLOEXEC);
        if (fd < 0 || fchmod(fd, 0600)) {
            abort();
        }
    }
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    return fd;
}

/* The words of its lines that are long enough to be tokens. */
static void check_words(const char *text, const struct tokens *tokens, const struct config_error *error)
{
    char *copy = fuzz_copy(text, strlen(text), true), *rest = copy;
    for (char *word = strsep(&rest, " \t\r\n"); word; word = strsep(&rest, " \t\r\n")) {
        const char *user = tokens_user(tokens, word);
        FUZZ_CHECK(!user || strlen(word) >= TOKENS_MIN_LENGTH);
        if (user) {
            char fingerprint[TOKENS_FINGERPRINT_SIZE];
            tokens_fingerprint(word, fingerprint);
            FUZZ_CHECK(tokens_has_fingerprint(tokens, user, fingerprint));
        }
        if (error->reason && strlen(word) > 40) {
            FUZZ_CHECK(!strstr(error->reason, word));
        }
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    uint8_t digest[32];
    struct tokens *tokens = NULL;
    struct config_error error = {0};
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_of(data, size));
    enum err err = tokens_load(&tokens, path, digest, &error);
    FUZZ_CHECK(!err == (tokens_count(tokens) > 0));
    FUZZ_CHECK(!err || (error.reason && error.reason[0]));
    char *text = fuzz_copy(data, size, true);
    check_words(text, tokens, &error);
    free(text);
    tokens_free(tokens);
    config_error_free(&error);
    return 0;
}
