/* The offers of permessage-deflate: RFC 6455, section 9.1, and RFC 7692, section 7.1. */
#include <string.h>

#include "signalbox/base/deflate.h"

enum { NO_VALUE = -1, BITS_MIN = 8, BITS_MAX = 15 };

struct offer {
    bool is_deflate, fine;
    bool server_no_takeover, client_no_takeover, server_bits, client_bits;
};

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* A token of RFC 7230. */
static size_t token_length(const char *at)
{
    return strspn(at, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}

static bool is(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && !memcmp(text, word, length);
}

/* A window's size: one or two digits, no leading zero. */
static int bits_of(const char *value, size_t length)
{
    int bits = 0;
    if (length == 0 || length > 2 || value[0] == '0') {
        return NO_VALUE;
    }
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return NO_VALUE;
        }
        bits = bits * 10 + value[i] - '0';
    }
    return bits >= BITS_MIN && bits <= BITS_MAX ? bits : NO_VALUE;
}

static void once(struct offer *offer, bool *seen, bool fine)
{
    offer->fine = offer->fine && !*seen && fine;
    *seen = true;
}

/* `value` is NULL where there is none. */
static void take_parameter(struct offer *offer, const char *name, size_t length, const char *value, size_t value_length)
{
    if (is(name, length, "server_no_context_takeover")) {
        once(offer, &offer->server_no_takeover, !value);
    } else if (is(name, length, "client_no_context_takeover")) {
        once(offer, &offer->client_no_takeover, !value);
    } else if (is(name, length, "server_max_window_bits")) {
        once(offer, &offer->server_bits, value && bits_of(value, value_length) == BITS_MAX);
    } else if (is(name, length, "client_max_window_bits")) {
        once(offer, &offer->client_bits, !value || bits_of(value, value_length) != NO_VALUE);
    } else {
        offer->fine = false;
    }
}

/* `;NAME` or `;NAME=VALUE`, the value a token or a token in quotes. NULL: it is not well-formed. */
static const char *read_parameter(struct offer *offer, const char *at)
{
    const char *name = at = skip_blanks(at + 1);
    size_t length = token_length(at), value_length = 0;
    const char *value = NULL;
    if (!length) {
        return NULL;
    }
    at = skip_blanks(at + length);
    if (*at == '=') {
        at = skip_blanks(at + 1);
        bool quoted = *at == '"';
        value = at += quoted;
        value_length = token_length(at);
        at += value_length;
        if (!value_length || (quoted && *at != '"')) {
            return NULL;
        }
        at = skip_blanks(at + quoted);
    }
    take_parameter(offer, name, length, value, value_length);
    return at;
}

static const char *read_offer(struct offer *offer, const char *at)
{
    size_t length = token_length(at);
    if (!length) {
        return NULL;
    }
    *offer = (struct offer){.is_deflate = is(at, length, "permessage-deflate"), .fine = true};
    at = skip_blanks(at + length);
    while (at && *at == ';') {
        at = read_parameter(offer, at);
    }
    return at && (*at == ',' || !*at) ? at : NULL;
}

const char *deflate_accept(const char *offers)
{
    struct offer offer, chosen = {0};
    for (const char *at = offers;;) {
        at = skip_blanks(at);
        if (*at == ',') { /* an empty element of the list (RFC 7230, section 7) */
            at++;
            continue;
        }
        if (!*at) {
            break;
        }
        at = read_offer(&offer, at);
        if (!at) {
            return NULL;
        }
        if (!chosen.is_deflate && offer.is_deflate && offer.fine) {
            chosen = offer;
        }
    }
    if (!chosen.is_deflate) {
        return NULL;
    }
    return chosen.server_bits
               ? "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
               : "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
}
