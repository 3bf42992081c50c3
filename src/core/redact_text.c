#define _GNU_SOURCE
/* Secrets in text: by their value, by their name, by their looks. */
#include "signalbox/core/redact.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "signalbox/base/check.h"

enum {
    SECRET_MIN = 6,  /* bytes of a value: shorter ones stand in too many words */
    NAME_MAX_BYTES = 64,
    QUOTES_MAX = 6, /* between a name, its sign and its value: \\\" of JSON within JSON */
};

/* ---- Names ---- */

/* Small letters and digits of a name; its length, or 0 where it is no name. */
static size_t squeeze(const char *name, size_t length, char out[NAME_MAX_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (isalnum(byte) && used < NAME_MAX_BYTES) {
            out[used++] = (char)tolower(byte);
        } else if (isalnum(byte) || !strchr("-_.", byte)) {
            return 0;
        }
    }
    return used;
}

static bool ends_with_one(const char *text, size_t length, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(words[i]);
        if (length >= size && memcmp(text + length - size, words[i], size) == 0) {
            return true;
        }
    }
    return false;
}

bool redact_is_secret_name(const char *name, size_t length)
{
    static const char *const endings[] = {
        "token",      "apikey",    "secret",    "password",   "passwd",        "passphrase", "authorization", "credential",
        "credentials", "privatekey", "accesskey", "secretkey", "signingkey", "encryptionkey", "authkey",    "cookie",
    };
    char plain[NAME_MAX_BYTES];
    return ends_with_one(plain, squeeze(name, length, plain), endings, array_size(endings));
}

/* Variables are named more shortly than members. */
static bool is_secret_variable(const char *name, size_t length)
{
    static const char *const endings[] = {"key", "pass", "pat", "auth", "pw"};
    char plain[NAME_MAX_BYTES + 1];
    size_t used = squeeze(name, length, plain);
    plain[used] = '\0';
    return redact_is_secret_name(name, length) || ends_with_one(plain, used, endings, array_size(endings)) ||
           strstr(plain, "secret") || strstr(plain, "password") || strstr(plain, "credential");
}

/* ---- Values ---- */

static int longer_first(const void *a, const void *b)
{
    size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);
    return (x < y) - (x > y);
}

enum err redact_secrets_of(struct redact_secrets *out, char *const *environment)
{
    struct redact_secrets secrets = {0};
    size_t all = 0;
    while (environment[all]) {
        all++;
    }
    secrets.items = calloc(all + 1, sizeof(*secrets.items));
    if (!secrets.items) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < all; i++) {
        size_t name = strcspn(environment[i], "=");
        const char *value = environment[i] + name + (environment[i][name] == '=');
        if (strlen(value) < SECRET_MIN || !is_secret_variable(environment[i], name)) {
            continue;
        }
        secrets.items[secrets.count] = strdup(value);
        if (!secrets.items[secrets.count]) {
            redact_secrets_free(&secrets);
            return ERR_NOMEM;
        }
        secrets.count++;
    }
    qsort(secrets.items, secrets.count, sizeof(*secrets.items), longer_first);
    *out = secrets;
    return ERR_OK;
}

void redact_secrets_free(struct redact_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        free(secrets->items[i]);
    }
    free(secrets->items);
    *secrets = (struct redact_secrets){0};
}

/* ---- What a secret looks like ---- */

struct text {
    const char *bytes;
    size_t length;
    const struct redact_secrets *secrets;
    bool begins[256]; /* of the values: by their first bytes */
};
/* What is to be replaced. */
struct span {
    size_t start, end;
};

static bool is_token(char byte)
{
    return isalnum((unsigned char)byte) || (byte && strchr("._~+/=-", byte));
}

static bool is_word(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == '-';
}

static bool has_at(const struct text *text, size_t at, const char *word)
{
    size_t length = strlen(word);
    return text->length - at >= length && memcmp(text->bytes + at, word, length) == 0;
}

static size_t token_end(const struct text *text, size_t at)
{
    while (at < text->length && is_token(text->bytes[at])) {
        at++;
    }
    return at;
}

static bool find_value(const struct text *text, size_t at, struct span *span)
{
    if (!text->begins[(uint8_t)text->bytes[at]]) {
        return false;
    }
    for (size_t i = 0; i < text->secrets->count; i++) {
        if (has_at(text, at, text->secrets->items[i])) {
            *span = (struct span){at, at + strlen(text->secrets->items[i])};
            return true;
        }
    }
    return false;
}

/* The well-known beginnings of keys, and how many characters follow at least. */
static bool find_key(const struct text *text, size_t at, struct span *span)
{
    static const struct {
        const char *begin;
        size_t more;
    } keys[] = {
        {"sk-", 8},      {"sk_live_", 8}, {"sk_test_", 8}, {"rk_live_", 8},     {"ghp_", 16},  {"gho_", 16},
        {"ghu_", 16},    {"ghs_", 16},    {"ghr_", 16},    {"github_pat_", 16}, {"glpat-", 16}, {"xoxa-", 8},
        {"xoxb-", 8},    {"xoxp-", 8},    {"xoxr-", 8},    {"xoxs-", 8},        {"xapp-", 8},  {"AKIA", 16},
        {"ASIA", 16},    {"AIza", 30},    {"ya29.", 16},   {"eyJ", 24},         {"npm_", 24},  {"hf_", 24},
        {"pypi-", 24},   {"dop_v1_", 24}, {"SG.", 24},     {"gsk_", 24},        {"xai-", 24},  {"AGE-SECRET-KEY-", 16},
    };
    if (!strchr("srgxAyenhpdS", text->bytes[at]) || (at > 0 && is_word(text->bytes[at - 1]))) {
        return false;
    }
    for (size_t i = 0; i < array_size(keys); i++) {
        if (has_at(text, at, keys[i].begin)) {
            size_t end = at + strlen(keys[i].begin);
            size_t begun = end;
            while (end < text->length && (is_word(text->bytes[end]) || text->bytes[end] == '.')) {
                end++;
            }
            *span = (struct span){at, end};
            /* A JSON Web Token has dots, and any other base64 of a JSON object begins like one. */
            bool is_whole = strcmp(keys[i].begin, "eyJ") != 0 || memchr(text->bytes + begun, '.', end - begun);
            return end - begun >= keys[i].more && is_whole;
        }
    }
    return false;
}

/* A private key in PEM, to its end or the text's. */
static bool find_pem(const struct text *text, size_t at, struct span *span)
{
    static const char begin[] = "-----BEGIN ", name[] = "PRIVATE KEY-----";
    if (text->bytes[at] != '-' || !has_at(text, at, begin)) {
        return false;
    }
    size_t label = at + strlen(begin);
    size_t room = text->length - label < NAME_MAX_BYTES ? text->length - label : NAME_MAX_BYTES;
    const char *found = memmem(text->bytes + label, room, name, strlen(name));
    if (!found) {
        return false;
    }
    size_t body = (size_t)(found - text->bytes) + strlen(name);
    const char *end = memmem(text->bytes + body, text->length - body, name, strlen(name));
    *span = (struct span){body, end ? (size_t)(end - text->bytes) + strlen(name) : text->length};
    return span->end > body;
}

static bool find_bearer(const struct text *text, size_t at, struct span *span)
{
    static const char word[] = "bearer ";
    if ((text->bytes[at] | 0x20) != 'b' || text->length - at < strlen(word) ||
        strncasecmp(text->bytes + at, word, strlen(word)) != 0 || (at > 0 && is_word(text->bytes[at - 1]))) {
        return false;
    }
    size_t start = at + strlen(word);
    while (start < text->length && text->bytes[start] == ' ') {
        start++;
    }
    *span = (struct span){start, token_end(text, start)};
    return span->end - start >= 8;
}

/* The value that follows `at`, where a name and a sign went before. Code that computes it, a variable and a
 * placeholder are none. */
static bool value_after(const struct text *text, size_t at, bool to_line_end, struct span *span)
{
    for (size_t i = 0; i < QUOTES_MAX && at < text->length && text->bytes[at] && strchr(" '\"\\", text->bytes[at]); i++) {
        at++;
    }
    size_t end = at;
    while (end < text->length && text->bytes[end] && !strchr("\n\r\"'\\", text->bytes[end]) &&
           (to_line_end || !strchr(" \t,;&()[]{}<>`", text->bytes[end]))) {
        end++;
    }
    *span = (struct span){at, end};
    bool computed = end < text->length && strchr("([", text->bytes[end]) && text->bytes[end];
    return end - at >= SECRET_MIN && !strchr("=$%", text->bytes[at]) && !computed;
}

static bool find_named(const struct text *text, size_t at, struct span *span)
{
    const char *bytes = text->bytes;
    if (bytes[at] != ':' && bytes[at] != '=') {
        return false;
    }
    size_t end = at;
    for (size_t i = 0; i < QUOTES_MAX && end > 0 && bytes[end - 1] && strchr(" '\"\\", bytes[end - 1]); i++) {
        end--;
    }
    size_t start = end;
    while (start > 0 && end - start < NAME_MAX_BYTES && is_word(bytes[start - 1])) {
        start--;
    }
    static const char header[] = "authorization";
    bool is_header = end - start >= strlen(header) &&
                     strncasecmp(bytes + end - strlen(header), header, strlen(header)) == 0;
    return redact_is_secret_name(bytes + start, end - start) && value_after(text, at + 1, is_header, span);
}

/* --token VALUE */
static bool find_option(const struct text *text, size_t at, struct span *span)
{
    if (text->bytes[at] != '-' || !has_at(text, at, "--") || (at > 0 && is_word(text->bytes[at - 1]))) {
        return false;
    }
    size_t end = at + 2;
    while (end < text->length && end - at < NAME_MAX_BYTES && is_word(text->bytes[end])) {
        end++;
    }
    return end < text->length && text->bytes[end] == ' ' && redact_is_secret_name(text->bytes + at + 2, end - at - 2) &&
           value_after(text, end + 1, false, span);
}

/* The password in scheme://user:password@host. */
static bool find_userinfo(const struct text *text, size_t at, struct span *span)
{
    if (text->bytes[at] != ':' || !has_at(text, at, "://")) {
        return false;
    }
    size_t colon = 0;
    for (size_t i = at + 3; i < text->length && text->bytes[i] && !strchr("/ \t\r\n\"'\\?#", text->bytes[i]); i++) {
        if (text->bytes[i] == '@') {
            *span = (struct span){colon + 1, i};
            return colon > 0 && i > colon + 1;
        }
        colon = text->bytes[i] == ':' && !colon ? i : colon;
    }
    return false;
}

static bool find(const struct text *text, size_t at, struct span *span)
{
    return find_value(text, at, span) || find_key(text, at, span) || find_pem(text, at, span) ||
           find_bearer(text, at, span) || find_userinfo(text, at, span) || find_named(text, at, span) ||
           find_option(text, at, span);
}

bool redact_text(struct buffer *out, const struct redact_secrets *secrets, const char *bytes, size_t length)
{
    struct text text = {.bytes = bytes, .length = length, .secrets = secrets};
    for (size_t i = 0; i < secrets->count; i++) {
        text.begins[(uint8_t)secrets->items[i][0]] = true;
    }
    size_t copied = 0;
    bool changed = false;
    for (size_t at = 0; at < length;) {
        struct span span;
        if (!find(&text, at, &span)) {
            at++;
            continue;
        }
        buffer_append(out, bytes + copied, span.start - copied);
        buffer_text(out, REDACTED);
        changed = true;
        copied = span.end;
        at = span.end;
    }
    buffer_append(out, bytes + copied, length - copied);
    return changed;
}
