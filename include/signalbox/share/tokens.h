#pragma once
/*
 * Who may come in: the tokens file, lines of `USER TOKEN`. A token is kept in memory as its SHA-256
 * only, and never logged. Immutable after loading; belongs to a configuration snapshot, and lives
 * as long.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"

enum {
    TOKENS_MIN_LENGTH = 16,
    TOKENS_MAX_LENGTH = 1024,
    TOKENS_USER_MAX = 64,
    TOKENS_FINGERPRINT_SIZE = 33 /* 16 bytes of the SHA-256 in hex, and a NUL */
};

struct tokens;
struct config_error;

/*
 * Reads and checks the file; `digest` gets the SHA-256 of its bytes. A USER is letters, digits and
 * . _ @ - ; a TOKEN at least 16 printable characters without spaces; a user may have several; no
 * token may stand there twice. The file must be readable by its owner only. On failure *error says
 * where and why, and never holds a token. Reads a file: may block.
 */
must_check enum err tokens_load(struct tokens **out, const char *path, uint8_t digest[32],
                                struct config_error *error);
void tokens_free(struct tokens *tokens); /* NULL is fine */

/* The user of this token, or NULL; borrowed from `tokens`. Takes the same time whichever token
 * matches, or none. NULL `tokens` know nobody. */
const char *tokens_user(const struct tokens *tokens, const char *token);

/* What a login remembers instead of its token: it ends when the token is gone from the file. */
void tokens_fingerprint(const char *token, char out[TOKENS_FINGERPRINT_SIZE]);
/* True while `user` still has the token of this fingerprint. */
bool tokens_has_fingerprint(const struct tokens *tokens, const char *user, const char *fingerprint);
/* Whether any token is this user's. */
bool tokens_has_user(const struct tokens *tokens, const char *user);
size_t tokens_count(const struct tokens *tokens);
