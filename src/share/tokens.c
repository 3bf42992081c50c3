#define _GNU_SOURCE
/* The tokens file. */
#include "signalbox/share/tokens.h"

#include <ctype.h>
#include <fcntl.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_private.h"
#include "signalbox/base/fd.h"

enum { FINGERPRINT_BYTES = (TOKENS_FINGERPRINT_SIZE - 1) / 2, COUNT_MAX = 10000 };

struct token {
    char user[TOKENS_USER_MAX + 1];
    uint8_t digest[SHA256_DIGEST_SIZE];
};

struct tokens {
    struct token *items;
    size_t count;
};

static void token_digest(const char *token, size_t length, uint8_t out[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, length, (const uint8_t *)token);
    sha256_digest(&context, SHA256_DIGEST_SIZE, out);
    explicit_bzero(&context, sizeof(context));
}

/* ---- Reading the file ---- */

struct reader {
    struct tokens *tokens;
    const char *path;
    int line;
    struct config_error *error;
};

static enum err refuse(struct reader *reader, enum err err, const char *reason)
{
    return config_error_set(reader->error, err, reader->path, reader->line, "%s", reason);
}

static enum err check_words(struct reader *reader, const char *user, size_t user_length,
                            const char *token, size_t token_length)
{
    if (token_length == 0) {
        return refuse(reader, ERR_SYNTAX, "a line is USER TOKEN");
    }
    if (user_length > TOKENS_USER_MAX) {
        return refuse(reader, ERR_INVAL, "a user's name has at most 64 characters");
    }
    for (size_t i = 0; i < user_length; i++) {
        if (!isalnum((unsigned char)user[i]) && strchr("._@-", user[i]) == NULL) {
            return refuse(reader, ERR_INVAL,
                          "a user's name is made of letters, digits, . _ @ and -");
        }
    }
    if (token_length < TOKENS_MIN_LENGTH || token_length > TOKENS_MAX_LENGTH) {
        return refuse(reader, ERR_INVAL, "a token has 16 to 1024 characters");
    }
    for (size_t i = 0; i < token_length; i++) {
        if (!isgraph((unsigned char)token[i])) {
            return refuse(reader, ERR_INVAL, "a token is made of printable ASCII characters");
        }
    }
    return ERR_OK;
}

static enum err add_token(struct reader *reader, const char *user, size_t user_length,
                          const char *token, size_t token_length)
{
    struct tokens *tokens = reader->tokens;
    struct token added = {0};
    if (tokens->count == COUNT_MAX) {
        return refuse(reader, ERR_TOOBIG, "more than 10000 tokens");
    }
    memcpy(added.user, user, user_length);
    token_digest(token, token_length, added.digest);
    for (size_t i = 0; i < tokens->count; i++) {
        if (memcmp(tokens->items[i].digest, added.digest, sizeof(added.digest)) == 0) {
            return refuse(reader, ERR_EXIST, "this token stands in the file twice");
        }
    }
    struct token *items = realloc(tokens->items, (tokens->count + 1) * sizeof(*items));
    if (items == NULL) {
        return ERR_NOMEM;
    }
    tokens->items = items;
    items[tokens->count++] = added;
    return ERR_OK;
}

static enum err read_line(struct reader *reader, const char *line, size_t length)
{
    static const char blank[] = " \t\r";
    const char *end = line + length;
    while (end > line && strchr(blank, end[-1]) != NULL) {
        end--;
    }
    const char *user = line + strspn(line, blank);
    if (user >= end || *user == '#') {
        return ERR_OK;
    }
    const char *user_end = user;
    while (user_end < end && strchr(blank, *user_end) == NULL) {
        user_end++;
    }
    const char *token = user_end;
    while (token < end && strchr(blank, *token) != NULL) {
        token++;
    }
    size_t user_length = (size_t)(user_end - user);
    size_t token_length = (size_t)(end - token);
    enum err err = check_words(reader, user, user_length, token, token_length);
    return err == ERR_OK ? add_token(reader, user, user_length, token, token_length) : err;
}

static enum err read_lines(struct reader *reader, const char *text)
{
    enum err err = ERR_OK;
    while (err == ERR_OK && *text != '\0') {
        size_t length = strcspn(text, "\n");
        reader->line++;
        err = read_line(reader, text, length);
        text += length + (text[length] == '\n');
    }
    if (err == ERR_OK && reader->tokens->count == 0) {
        reader->line = 0;
        return refuse(reader, ERR_INVAL, "holds no token");
    }
    return err;
}

/* The mode is that of the very file that is read. */
static enum err read_private(struct reader *reader, char **text, size_t *length)
{
    struct stat status;
    char link[64];
    int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum err err = fd < 0 || fstat(fd, &status) != 0 ? err_from_errno(errno) : ERR_OK;
    if (err == ERR_OK && !S_ISREG(status.st_mode)) {
        err = refuse(reader, ERR_INVAL, "tokens-file is no regular file");
    } else if (err == ERR_OK && (status.st_mode & 077) != 0) {
        err = config_error_set(reader->error, ERR_PERM, reader->path, 0,
                               "tokens-file is open to others than its owner: chmod 600 %s",
                               reader->path);
    }
    if (err == ERR_OK) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        err = file_read(link, CONFIG_FILE_LIMIT, text, length);
    }
    fd_close(fd);
    if (err == ERR_OK) {
        return ERR_OK;
    }
    return config_error_set(reader->error, err, reader->path, 0, "tokens-file cannot be read: %s",
                            err == ERR_TOOBIG ? "is larger than 1 MiB" : err_text(err));
}

enum err tokens_load(struct tokens **out, const char *path, uint8_t digest[32],
                     struct config_error *error)
{
    struct reader reader = {.path = path, .error = error};
    char *text = NULL;
    size_t length = 0;
    enum err err = read_private(&reader, &text, &length);
    if (err != ERR_OK) {
        return err;
    }
    reader.tokens = calloc(1, sizeof(*reader.tokens));
    if (reader.tokens == NULL) {
        err = ERR_NOMEM;
    } else if (strlen(text) != length) {
        err = refuse(&reader, ERR_SYNTAX, "holds a NUL byte, so it is no text");
    } else {
        token_digest(text, length, digest);
        err = read_lines(&reader, text);
    }
    explicit_bzero(text, length);
    free(text);
    if (err != ERR_OK) {
        tokens_free(reader.tokens);
        return err;
    }
    *out = reader.tokens;
    return ERR_OK;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens == NULL) {
        return;
    }
    free(tokens->items);
    free(tokens);
}

/* ---- Asking ---- */

const char *tokens_user(const struct tokens *tokens, const char *token)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    const char *user = NULL;
    token_digest(token, strlen(token), digest);
    for (size_t i = 0; tokens != NULL && i < tokens->count; i++) {
        /* No early end: how many lines were compared would tell where the token stands. */
        if (memeql_sec(tokens->items[i].digest, digest, sizeof(digest))) {
            user = tokens->items[i].user;
        }
    }
    return user;
}

static void write_fingerprint(const uint8_t digest[SHA256_DIGEST_SIZE],
                              char out[TOKENS_FINGERPRINT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[TOKENS_FINGERPRINT_SIZE - 1] = '\0';
}

void tokens_fingerprint(const char *token, char out[TOKENS_FINGERPRINT_SIZE])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    token_digest(token, strlen(token), digest);
    write_fingerprint(digest, out);
}

bool tokens_has_fingerprint(const struct tokens *tokens, const char *user, const char *fingerprint)
{
    for (size_t i = 0; tokens != NULL && i < tokens->count; i++) {
        char own[TOKENS_FINGERPRINT_SIZE];
        write_fingerprint(tokens->items[i].digest, own);
        if (strcmp(tokens->items[i].user, user) == 0 && strcmp(own, fingerprint) == 0) {
            return true;
        }
    }
    return false;
}

bool tokens_has_user(const struct tokens *tokens, const char *user)
{
    for (size_t i = 0; tokens != NULL && i < tokens->count; i++) {
        if (strcmp(tokens->items[i].user, user) == 0) {
            return true;
        }
    }
    return false;
}

size_t tokens_count(const struct tokens *tokens)
{
    return tokens != NULL ? tokens->count : 0;
}
