#define _GNU_SOURCE
/* What is checked beyond a single value: addresses, origins, and options that depend on each other.
 */
#include "config_private.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

static bool parse_port(const char *text, int *port)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (strspn(text, "0123456789") != strlen(text) || *text == '\0' || strlen(text) > 5 ||
        value > PORT_MAX) {
        return false;
    }
    *port = (int)value;
    return true;
}

/* The host without brackets; malloc'd. */
static char *take_host(const char *listen, const char *colon)
{
    size_t length = (size_t)(colon - listen);
    if (length >= 2 && listen[0] == '[' && colon[-1] == ']') {
        return strndup(listen + 1, length - 2);
    }
    if (length == strlen("localhost") && strncmp(listen, "localhost", length) == 0) {
        return strdup("127.0.0.1");
    }
    return strndup(listen, length);
}

static bool is_address(const char *host, bool bracketed, bool *loopback)
{
    struct in_addr four;
    struct in6_addr six;
    if (bracketed) {
        bool fine = inet_pton(AF_INET6, host, &six) == 1;
        *loopback = fine && IN6_IS_ADDR_LOOPBACK(&six);
        return fine;
    }
    bool fine = inet_pton(AF_INET, host, &four) == 1;
    *loopback = fine && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return fine;
}

enum err config_check_address(struct config_build *build)
{
    struct config *config = build->config;
    const char *colon = strrchr(config->listen, ':');
    if (colon == NULL || !parse_port(colon + 1, &config->listen_port)) {
        return config_build_fail(build, CONFIG_OPTION_listen, ERR_INVAL,
                                 "listen: \"%s\" is not HOST:PORT with a port of 0 to 65535",
                                 config->listen);
    }
    free(config->listen_host);
    config->listen_host = take_host(config->listen, colon);
    if (config->listen_host == NULL) {
        return ERR_NOMEM;
    }
    if (!is_address(config->listen_host, config->listen[0] == '[', &config->listen_loopback)) {
        return config_build_fail(
            build, CONFIG_OPTION_listen, ERR_INVAL,
            "listen: \"%s\": the host must be an IPv4 address or an IPv6 address in brackets",
            config->listen);
    }
    return ERR_OK;
}

/* RFC 6454, section 7: scheme://host[:port], and nothing behind it. */
static bool is_origin(const char *text)
{
    size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    const char *host = text + scheme;
    size_t length = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-._[]:");
    return scheme != 0 && length > 0 && host[0] != ':' && host[length] == '\0';
}

static enum err check_origins(struct config_build *build)
{
    const struct config_list *origins = &build->config->allowed_origins;
    for (size_t i = 0; i < origins->count; i++) {
        if (!is_origin(origins->items[i])) {
            return config_build_fail(
                build, CONFIG_OPTION_allowed_origins, ERR_INVAL,
                "allowed-origins: \"%s\" is not an origin: http:// or https://, a host in small "
                "letters, a port if it is not the usual one, and nothing behind it",
                origins->items[i]);
        }
    }
    return ERR_OK;
}

enum err config_check(struct config_build *build)
{
    const struct config *config = build->config;
    enum err err = check_origins(build);
    if (err != ERR_OK) {
        return err;
    }
    if (!config->listen_loopback && config->tokens_file == NULL) {
        return config_build_fail(
            build, CONFIG_OPTION_listen, ERR_PERM,
            "listen: %s is not a loopback address, and without tokens-file everybody who "
            "reaches it could run commands: set tokens-file, or listen on 127.0.0.1",
            config->listen);
    }
    if (config->credit_total_bytes < config->credit_session_bytes) {
        return config_build_fail(build, CONFIG_OPTION_credit_total_bytes, ERR_INVAL,
                                 "credit-total-bytes: %" PRId64
                                 " is less than credit-session-bytes, %" PRId64,
                                 config->credit_total_bytes, config->credit_session_bytes);
    }
    return ERR_OK;
}
