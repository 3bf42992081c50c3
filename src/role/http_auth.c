/* Who is asking: tokens, the logins of browsers, and where a request may come from
 * (docs/protocol.md, "Who is asking"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

#include "signalbox/base/clock.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"

enum { HOST_MAX = 300, ORIGIN_MAX = HOST_MAX + 16 };

enum err http_auth_open(struct http *http)
{
    http->failures = http_failures_new();
    if (!http->failures) {
        return ERR_NOMEM;
    }
    const struct config *config = config_current_get(http->wiring.config);
    enum err err = http_logins_open(&http->logins, config->data);
    config_put(config);
    return err;
}

void http_auth_close(struct http *http)
{
    http_logins_free(http->logins);
    http_failures_free(http->failures);
}

/* One function decides who may do what. Until roles exist, whoever is known may do everything. */
static bool may(const struct identity *identity, const struct route *route)
{
    return route->open || identity->user[0];
}

/* The value of our cookie, or false. */
static bool login_cookie(const struct http_request *request, char id[HTTP_LOGIN_ID_SIZE])
{
    const size_t name_length = strlen(CONFIG_COOKIE_NAME);
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "Cookie")) {
            continue;
        }
        for (const char *at = request->headers[i].value; *at;) {
            at += strspn(at, "; ");
            size_t span = strcspn(at, ";");
            if (span > name_length && !strncmp(at, CONFIG_COOKIE_NAME "=", name_length + 1)) {
                size_t length = span - name_length - 1;
                if (length == HTTP_LOGIN_ID_SIZE - 1) {
                    memcpy(id, at + name_length + 1, length);
                    id[length] = '\0';
                    return true;
                }
            }
            at += span;
        }
    }
    return false;
}

/* The token of `Authorization: Bearer`, or NULL. */
static const char *bearer(const struct http_request *request)
{
    const char *value = http_header(request, "Authorization", NULL);
    if (!value || strncasecmp(value, "Bearer ", 7)) {
        return NULL;
    }
    value += 7;
    return value + strspn(value, " ");
}

enum who {
    WHO_NOBODY,  /* no credentials */
    WHO_LOCAL,   /* no token is configured: nobody needs any */
    WHO_TOKEN,   /* a good token */
    WHO_COOKIE,  /* a good login */
    WHO_REFUSED, /* a token or a login that is not known */
};

static enum who identify(struct http_request *request)
{
    struct identity *identity = &request->identity;
    const struct tokens *tokens = request->config->tokens;
    char id[HTTP_LOGIN_ID_SIZE];
    memset(identity, 0, sizeof(*identity));
    bool v6 = strchr(request->peer, ':') != NULL;
    snprintf(identity->address, sizeof(identity->address), "%s%s%s:%d", v6 ? "[" : "", request->peer,
             v6 ? "]" : "", request->peer_port);
    if (!tokens) {
        strcpy(identity->user, "local");
        return WHO_LOCAL;
    }
    const char *token = bearer(request);
    if (token) {
        const char *user = tokens_user(tokens, token);
        if (!user) {
            return WHO_REFUSED;
        }
        snprintf(identity->user, sizeof(identity->user), "%s", user);
        tokens_fingerprint(token, identity->fingerprint);
        return WHO_TOKEN;
    }
    if (login_cookie(request, id)) {
        return http_logins_find(request->http->logins, tokens, id, identity) ? WHO_COOKIE
                                                                             : WHO_REFUSED;
    }
    return WHO_NOBODY;
}

bool http_auth_known(struct http_request *request)
{
    enum who who = identify(request);
    return who != WHO_NOBODY && who != WHO_REFUSED;
}

/* Without tokens everybody who reaches the server may use it, so it must not be reached by a name
 * that somebody else has pointed at the loopback address ("DNS rebinding"). */
static bool loopback_name(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = strlen(names[i]);
        if (!strncasecmp(host, names[i], length) && (!host[length] || host[length] == ':')) {
            return true;
        }
    }
    /* 127.0.0.2 and the like: what was configured. */
    return !strncmp(host, "127.", 4) && strspn(host, "0123456789.:") == strlen(host);
}

static bool same_origin(const char *a, const char *b)
{
    size_t length = strlen(b);
    while (length && b[length - 1] == '/') {
        length--;
    }
    return strlen(a) == length && !strncasecmp(a, b, length);
}

static bool configured_origin(const struct config *config, const char *origin)
{
    for (size_t i = 0; i < config->allowed_origins.count; i++) {
        if (same_origin(origin, config->allowed_origins.items[i])) {
            return true;
        }
    }
    return false;
}

/* True if some configured origin has this host, for pages that come over a proxy. */
static bool configured_host(const struct config *config, const char *host)
{
    char origin[ORIGIN_MAX];
    snprintf(origin, sizeof(origin), "https://%s", host);
    bool found = configured_origin(config, origin);
    snprintf(origin, sizeof(origin), "http://%s", host);
    return found || configured_origin(config, origin);
}

static bool host_allowed(const struct http_request *request)
{
    size_t count;
    const char *host = http_header(request, "Host", &count);
    if (request->config->tokens || !count) {
        return true;
    }
    return count == 1 && strlen(host) <= HOST_MAX &&
           (loopback_name(host) || configured_host(request->config, host));
}

/* `who` says what stands for the request, if anything does. */
static bool origin_allowed(const struct http_request *request, enum who who)
{
    size_t count, hosts;
    char id[HTTP_LOGIN_ID_SIZE], own[ORIGIN_MAX];
    const char *origin = http_header(request, "Origin", &count);
    const char *host = http_header(request, "Host", &hosts);
    if (!count) {
        return who == WHO_LOCAL || who == WHO_TOKEN || !login_cookie(request, id);
    }
    if (count > 1) {
        return false;
    }
    if (configured_origin(request->config, origin)) {
        return true;
    }
    if (hosts != 1 || strlen(host) > HOST_MAX) {
        return false;
    }
    snprintf(own, sizeof(own), "%s://%s", request->config->behind_tls ? "https" : "http", host);
    return same_origin(origin, own);
}

static void refuse_for_a_while(struct http_response *response, int seconds)
{
    http_problem(response, ANSWER_RATE_LIMITED, "too many failed logins from this address: wait",
                 NULL, NULL);
    buffer_format(&response->headers, "Retry-After: %d\r\n", seconds);
}

static void count_failure(struct http_request *request)
{
    metric_add(METRIC_LOGIN_FAILURES, 1);
    http_failures_add(request->http->failures, request->peer);
    static struct log_limit limit;
    uint32_t left_out;
    if (log_limit_pass(&limit, 6, &left_out)) {
        log_warn("login refused", "peer", "%s", request->peer, "left_out", "%u", left_out, NULL);
    }
}

bool http_auth_check(struct http_request *request, struct http_response *response)
{
    const struct route *route = request->match.route;
    enum who who = identify(request);
    if (!host_allowed(request)) {
        http_problem(
            response, ANSWER_FORBIDDEN,
            "without tokens the server answers to loopback names only; see `allowed-origins`", NULL,
            NULL);
        return false;
    }
    if (route->changes && !origin_allowed(request, who)) {
        http_problem(
            response, ANSWER_FORBIDDEN,
            "the request's Origin is neither the server's own nor one of `allowed-origins`", NULL,
            NULL);
        return false;
    }
    if (may(&request->identity, route)) {
        return true;
    }
    if (who == WHO_REFUSED && bearer(request)) {
        /* A token has at least 16 characters, so guessing is hopeless anyway; this keeps it from
         * filling the log, and a good token of the same address is not kept out. */
        int seconds;
        count_failure(request);
        if (http_failures_over(request->http->failures, request->peer,
                               request->config->login_failures_per_minute, &seconds)) {
            refuse_for_a_while(response, seconds);
            return false;
        }
    }
    http_problem(response, ANSWER_UNAUTHENTICATED,
                 who == WHO_REFUSED ? "this token or login is not known, or has expired"
                                    : "a token or a login is needed",
                 NULL, NULL);
    return false;
}

static void set_cookie(struct http_request *request, struct http_response *response, const char *id,
                       int64_t seconds)
{
    buffer_format(&response->headers,
                  "Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s\r\n",
                  CONFIG_COOKIE_NAME, id, (long long)seconds,
                  request->config->behind_tls ? "; Secure" : "");
}

void http_login(struct http_request *request, struct http_response *response)
{
    const struct config *config = request->config;
    struct json_object *body;
    int seconds;
    if (http_failures_over(request->http->failures, request->peer,
                           config->login_failures_per_minute, &seconds)) {
        refuse_for_a_while(response, seconds);
        return;
    }
    if (!http_json_body(request, response, false, &body)) {
        return;
    }
    const char *token = json_get_string(body, "token"), *user = NULL;
    char fingerprint[TOKENS_FINGERPRINT_SIZE], id[HTTP_LOGIN_ID_SIZE];
    if (!token) {
        http_problem(response, ANSWER_BAD_MESSAGE, "`token` is missing", "token", NULL);
        json_object_put(body);
        return;
    }
    user = config->tokens ? tokens_user(config->tokens, token) : "local";
    tokens_fingerprint(token, fingerprint);
    json_object_put(body);
    if (!user) {
        count_failure(request);
        http_problem(response, ANSWER_UNAUTHENTICATED, "this token is not known", "token", NULL);
        return;
    }
    if (config->tokens) { /* else nobody needs a login */
        enum err err = http_logins_add(request->http->logins, user, fingerprint,
                                       clock_wall_ms() + config->login_lifetime_ms, id);
        if (err) {
            log_error("login not recorded", "error", "%s", err_text(err), NULL);
            http_problem(response, err == ERR_NOMEM ? ANSWER_INTERNAL : ANSWER_STORAGE_UNAVAILABLE,
                         "the login cannot be recorded", NULL, NULL);
            return;
        }
        set_cookie(request, response, id, config->login_lifetime_ms / 1000);
    }
    buffer_byte(&response->body, '{');
    json_field_string(&response->body, "user", user);
    buffer_byte(&response->body, '}');
}

void http_end_connections(struct http *http, const char *login)
{
    for (uint32_t i = 0; i < http->wiring.socket_threads; i++) {
        struct logout_mail *mail = calloc(1, sizeof(*mail));
        if (!mail) {
            log_error("out of memory: connections of a login that ended may go on", NULL);
            return;
        }
        mail->mail.kind = CLIENT_MAIL_LOGOUT;
        snprintf(mail->login, sizeof(mail->login), "%s", login);
        mailbox_push(http->wiring.socket_boxes[i], &mail->mail);
    }
}

void http_logout(struct http_request *request, struct http_response *response)
{
    char id[HTTP_LOGIN_ID_SIZE], login[TOKENS_FINGERPRINT_SIZE];
    if (login_cookie(request, id)) {
        http_logins_remove(request->http->logins, id, login);
        http_end_connections(request->http, login);
    }
    set_cookie(request, response, "", 0);
    buffer_text(&response->body, "{}");
}
