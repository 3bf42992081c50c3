/* The HTTP role with real connections; the dispatcher and the other threads are played by the test.
 */
#define _GNU_SOURCE
#include "flow/http_world.h"

static void paths_and_methods(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, NULL);
    expect(ask(f, "GET", "/healthz", NULL, NULL), 200, "\r\n\r\n{\"status\":\"ok\"}");
    expect(ask(f, "GET", "/readyz", NULL, NULL), 200,
           "{\"ready\":true,\"config\":\"/etc/file:1: wrong\"}");
    expect(ask(f, "GET", "/metrics", NULL, NULL), 200, "\nmore 1\n");
    expect(ask(f, "GET", "/metrics", NULL, NULL), 200, "Content-Type: text/plain; version=0.0.4");
    expect(ask(f, "GET", "/openapi.json", NULL, NULL), 200, "\"version\":\"1.2.3\"");
    expect(ask(f, "GET", "/theme.json", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "GET", "/", NULL, NULL), 200,
           "Content-Security-Policy: default-src 'none'; script-src 'self'");
    struct reply head = ask(f, "HEAD", "/", NULL, NULL);
    expect(head, 200, "Content-Type: text/html; charset=utf-8");
    TEST_TEXT(strstr(head.text, "\r\n\r\n"), "\r\n\r\n");
    expect(ask(f, "POST", "/index.html", NULL, NULL), 405, "Allow: GET, HEAD\r\n");
    expect(ask(f, "GET", "/nothing", NULL, NULL), 404, "\"code\":\"not_found\"");
    expect(ask(f, "PATCH", "/v1/sessions", NULL, NULL), 405, "Allow: GET, HEAD, POST\r\n");
    expect(ask(f, "GET", "/healthz?a=1&token=x", NULL, NULL), 400, "\"field\":\"token\"");
    finish(f);
}

static void the_page_is_sent_as_it_is_wanted(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, NULL);
    static const struct {
        const char *accepted, *tag, *coding, *body;
    } cases[] = {
        {"", "\"abc\"", NULL, "<p>page"},
        {"Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", "\"abc-br\"", "br", "as brotli"},
        {"Accept-Encoding: gzip, br;q=0.5\r\n", "\"abc-gzip\"", "gzip", "with gzip"},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char headers[256], line[64];
        struct reply reply = ask(f, "GET", "/", cases[i].accepted, NULL);
        snprintf(line, sizeof(line), "ETag: %s\r\n", cases[i].tag);
        expect(reply, 200, line);
        expect(reply, 200, "Vary: Accept-Encoding\r\n");
        expect(reply, 200, "Cache-Control: no-cache\r\n");
        snprintf(line, sizeof(line), "\r\n\r\n%s", cases[i].body);
        expect(reply, 200, line);
        snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(cases[i].body));
        expect(reply, 200, line);
        snprintf(line, sizeof(line), "Content-Encoding: %s\r\n", cases[i].coding ? cases[i].coding : "");
        CU_ASSERT_EQUAL(strstr(reply.text, line) != NULL, cases[i].coding != NULL);
        snprintf(headers, sizeof(headers), "%sIf-None-Match: W/%s\r\n", cases[i].accepted, cases[i].tag);
        expect(ask(f, "GET", "/index.html", headers, NULL), 304, NULL);
        snprintf(headers, sizeof(headers), "%sIf-None-Match: \"ab\"\r\n", cases[i].accepted);
        expect(ask(f, "GET", "/index.html", headers, NULL), 200, NULL);
    }
    expect(ask(f, "GET", "/assets/x-12345678.png", "Accept-Encoding: br\r\n", NULL), 200, "\r\n\r\npicture");
    expect(ask(f, "GET", "/assets/x-12345678.png", NULL, NULL), 200, "Cache-Control: public, max-age=31536000, immutable\r\n");
    expect(ask(f, "GET", "/assets/x-12345678.png", "Accept-Encoding: br, identity;q=0\r\n", NULL), 406, "\"status\":406");
    finish(f);
}

static void commands_are_asked_and_answered(void)
{
    struct fixture fixture, *f = &fixture;
    static char long_body[6000];
    begin(f, NULL);
    expect(ask(f, "POST", "/v1/sessions", JSON, "{\"agent\":\"a\",\"workspace\":\"/w\"}"), 201,
           "Location: /v1/sessions/new\r\n");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Idempotency-Key: k1\r\n",
               "{\"text\":\"hi\"}"),
           202,
           "{\"accepted\":true,\"messageId\":\"m\",\"text\":\"hi\",\"user\":\"local\",\"key\":"
           "\"k1\"}");
    expect(ask(f, "POST", "/v1/sessions/s/cancel", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "DELETE", "/v1/sessions/s", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "GET", "/v1/sessions/s", NULL, NULL), 200, "{\"sessionId\":\"s\"");
    expect(ask(f, "GET", "/v1/sessions/x", NULL, NULL), 404,
           "\"detail\":\"there is no such session\"");
    expect(ask(f, "POST", "/v1/sessions/s/permissions/r-1", JSON, "{\"allow\":true}"), 409,
           "\"code\":\"already_resolved\",\"retryable\":false,\"resolved\":{\"outcome\":\"r-1\"}");

    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{\"text\":5}"), 400,
           "\"field\":\"text\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{"), 400, "\"code\":\"bad_json\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{\"text\":\"\xff\"}"), 400,
           "not UTF-8");
    expect(ask(f, "POST", "/v1/sessions/s/messages", "Content-Type: text/plain\r\n",
               "{\"text\":\"a\"}"),
           415, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/messages", NULL, NULL), 415, NULL);
    memset(long_body, ' ', sizeof(long_body) - 1);
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, long_body), 413,
           "\"code\":\"too_large\"");
    static const char chunks[] = "6\r\n{\"text\r\n8\r\n\":\"one\"}\r\n0\r\n\r\n";
    char headers[256];
    snprintf(headers, sizeof(headers), "%sTransfer-Encoding: chunked\r\n\r\n%s", JSON, chunks);
    expect(ask(f, "POST", "/v1/sessions/s/messages", headers, NULL), 202, "\"text\":\"one\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Transfer-Encoding: chunked\r\n", chunks),
           400, "length of the body is not clear");
    finish(f);
}

static void lists_have_pages(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, NULL);
    expect(ask(f, "GET", "/v1/sessions?limit=5", NULL, NULL), 200,
           "{\"items\":[{\"sessionId\":\"s\"}],\"next\":\"n5\"}");
    expect(ask(f, "GET", "/v1/sessions?after=odd", NULL, NULL), 400, "\"field\":\"after\"");
    expect(ask(f, "GET", "/v1/sessions?limit=0", NULL, NULL), 400, "\"field\":\"limit\"");
    expect(ask(f, "GET", "/v1/sessions/s/events", NULL, NULL), 200,
           "{\"epoch\":\"e:1\",\"head\":4,\"events\":[{\"seq\":1},{\"seq\":2},{\"seq\":3},{\"seq\":"
           "4}]}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e:1:2&limit=1", NULL, NULL), 200,
           "\"events\":[{\"seq\":3}],\"next\":\"e:1:3\"}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e%3A1%3A4", NULL, NULL), 200,
           "\"events\":[]}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=other:3&limit=1", NULL, NULL), 200,
           "\"events\":[{\"seq\":1}]");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e:1:9&limit=1", NULL, NULL), 200,
           "\"events\":[{\"seq\":1}]");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=3", NULL, NULL), 400, "\"field\":\"after\"");
    expect(ask(f, "GET", "/v1/sessions/x/events", NULL, NULL), 404, "\"code\":\"not_found\"");
    expect(ask(f, "GET", "/v1/agents", NULL, NULL), 200, "{\"agents\":[{\"name\":\"shell\"");
    finish(f);
}

static void without_tokens_only_loopback_names_count(void)
{
    struct fixture fixture, *f = &fixture;
    char origin[128];
    begin(f, NULL);
    struct reply reply;
    int fd = dial(f);
    const char rebound[] =
        "GET /v1/sessions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    send_all(fd, rebound, sizeof(rebound) - 1);
    receive(fd, &reply);
    expect(reply, 403, "\"code\":\"forbidden\"");
    expect(ask(f, "POST", "/v1/sessions/s/cancel", "Origin: http://evil.example\r\n", NULL), 403,
           NULL);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", "Origin: null\r\n", NULL), 403, NULL);
    snprintf(origin, sizeof(origin), "Origin: http://%s\r\n", f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", origin, NULL), 200, NULL);
    snprintf(origin, sizeof(origin), "Origin: https://%s\r\n", f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", origin, NULL), 403, NULL);
    expect(ask(f, "GET", "/v1/sessions", "Origin: http://evil.example\r\n", NULL), 200,
           NULL); /* reading changes nothing */
    finish(f);
}

static void tokens_and_logins(void)
{
    struct fixture fixture, *f = &fixture;
    char headers[512], cookie[128] = "";
    begin(f, "ann " ANN "\nbob " BOB "\n");
    expect(ask(f, "GET", "/healthz", NULL, NULL), 200, NULL);
    expect(ask(f, "GET", "/readyz", NULL, NULL), 200, "{\"ready\":true}");
    expect(ask(f, "GET", "/v1/sessions", NULL, NULL), 401, "WWW-Authenticate: Bearer");
    expect(ask(f, "GET", "/metrics", NULL, NULL), 401, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Authorization: Bearer " BOB "\r\n",
               "{\"text\":\"t\"}"),
           202, "\"user\":\"bob\"");
    expect(ask(f, "GET", "/readyz", "Authorization: Bearer " BOB "\r\n", NULL), 200, "\"config\":");

    struct reply login = ask(f, "POST", "/v1/login", JSON, "{\"token\":\"" ANN "\"}");
    expect(login, 200, "{\"user\":\"ann\"}");
    expect(login, 200, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000\r\n");
    const char *set = strstr(login.text, "Set-Cookie: ");
    CU_ASSERT_FATAL(set && sscanf(set, "Set-Cookie: %127[^;]", cookie) == 1);

    snprintf(headers, sizeof(headers), "Cookie: other=1; %s\r\n", cookie);
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 200, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", headers, NULL), 403,
           NULL); /* a cookie needs an Origin */
    snprintf(headers, sizeof(headers), "Cookie: %s\r\nOrigin: http://evil.example\r\n", cookie);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", headers, NULL), 403, NULL);
    snprintf(headers, sizeof(headers), "Cookie: %s\r\nOrigin: http://%s\r\n", cookie, f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", headers, NULL), 200, NULL);

    restart(f); /* a login outlives the server */
    snprintf(headers, sizeof(headers), "Cookie: %s\r\nOrigin: http://%s\r\n", cookie, f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", headers, NULL), 200, NULL);
    struct stat file;
    CU_ASSERT_EQUAL(stat(folder_path(f->folder, "logins"), &file), 0);
    CU_ASSERT_EQUAL(file.st_mode & 0777, 0600);

    expect(ask(f, "POST", "/v1/logout", headers, NULL), 200, "Max-Age=0");
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 401, NULL);
    restart(f);
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 401, NULL);
    finish(f);
}

static void a_login_ends_with_its_token(void)
{
    struct fixture fixture, *f = &fixture;
    char headers[256], cookie[128] = "";
    struct config *changed;
    struct config_error error = {0};
    begin(f, "ann " ANN "\n");
    struct reply login = ask(f, "POST", "/v1/login", JSON, "{\"token\":\"" ANN "\"}");
    CU_ASSERT_FATAL(strstr(login.text, "Set-Cookie: ") &&
                    sscanf(strstr(login.text, "Set-Cookie: "), "Set-Cookie: %127[^;]", cookie) ==
                        1);
    snprintf(headers, sizeof(headers), "Cookie: %s\r\n", cookie);
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 200, NULL);
    folder_write(f->folder, "tokens", "ann " BOB "\n");
    const struct config *running = config_current_get(f->config);
    CU_ASSERT_EQUAL_FATAL(config_load(&changed, &f->source, running, &error), ERR_OK);
    config_put(running);
    config_store_publish(f->config, changed);
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 401, NULL);
    finish(f);
}

static void guessing_is_slowed_down(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, "ann " ANN "\n");
    for (int i = 0; i < 3; i++) {
        expect(ask(f, "POST", "/v1/login", JSON, "{\"token\":\"guess\"}"), 401,
               "\"code\":\"unauthenticated\"");
    }
    expect(ask(f, "POST", "/v1/login", JSON, "{\"token\":\"" ANN "\"}"), 429, "Retry-After: ");
    expect(ask(f, "GET", "/v1/sessions", "Authorization: Bearer another-guess\r\n", NULL), 429,
           "\"code\":\"rate_limited\"");
    expect(ask(f, "GET", "/v1/sessions", "Authorization: Bearer " ANN "\r\n", NULL), 200, NULL);
    finish(f);
}

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "                       \
    "dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int upgrade_on(struct fixture *fixture, const char *path, const char *headers)
{
    char text[1024];
    int fd = dial(fixture);
    snprintf(text, sizeof(text),
             "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\n%s\r\n", path,
             fixture->own, headers);
    send_all(fd, text, strlen(text));
    return fd;
}

static void refuse_upgrade(struct fixture *fixture, const char *path, const char *headers,
                           int status)
{
    struct reply reply;
    int fd = upgrade_on(fixture, path, headers);
    shutdown(fd, SHUT_WR); /* a refused one may be kept alive for another request */
    receive(fd, &reply);
    expect(reply, status, "application/problem+json");
}

static struct client_take *taken(struct fixture *fixture)
{
    mailbox_wait(fixture->socket_box, INSTANT_NEVER);
    struct mail *mail = mailbox_take(fixture->socket_box);
    CHECK(mail && mail->kind == CLIENT_MAIL_TAKE);
    return container_of(mail, struct client_take, mail);
}

static void expect_taken(struct fixture *fixture, int fd, const char *user, const char *client,
                         bool with_protocol)
{
    struct client_take *take = taken(fixture);
    char text[512] = "";
    TEST_TEXT(take->identity.user, user);
    if (client) {
        TEST_TEXT(take->identity.client_id, client);
    } else {
        CU_ASSERT_EQUAL(strlen(take->identity.client_id), 22);
    }
    CU_ASSERT_EQUAL(take->history_none, !with_protocol);
    CU_ASSERT_TRUE(take->fd >= FD_FLOOR);
    CU_ASSERT_EQUAL(send(take->fd, "hello", 5, 0), 5);
    close(take->fd);
    size_t length = 0;
    for (ssize_t got; (got = recv(fd, text + length, sizeof(text) - 1 - length, 0)) > 0;) {
        length += (size_t)got;
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "HTTP/1.1 101 Switching Protocols\r\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")); /* RFC 6455, 1.3 */
    CU_ASSERT_EQUAL(strstr(text, "Sec-WebSocket-Protocol: signalbox.v1\r\n") != NULL,
                    with_protocol);
    TEST_TEXT(strstr(text, "\r\n\r\n"), "\r\n\r\nhello");
    free(take);
    close(fd);
}

static void sockets_are_handed_over(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, "ann " ANN "\n");
#define AUTH "Authorization: Bearer " ANN "\r\n"
    expect_taken(f,
                 upgrade_on(f, "/ws?client=my-id_1",
                            UPGRADE AUTH "Sec-WebSocket-Protocol: x, signalbox.v1\r\n"),
                 "ann", "my-id_1", true);
    expect_taken(f, upgrade_on(f, "/ws", UPGRADE AUTH), "ann", NULL, false);
    for (int i = 0; i < 100; i++) {
        expect_taken(f, upgrade_on(f, "/ws", UPGRADE AUTH), "ann", NULL, false);
    }
    refuse_upgrade(f, "/ws", UPGRADE, 401);
    refuse_upgrade(f, "/ws", UPGRADE AUTH "Origin: http://evil.example\r\n", 403);
    refuse_upgrade(f, "/ws?client=", UPGRADE AUTH, 400);
    refuse_upgrade(f, "/ws?client=a%20b", UPGRADE AUTH, 400);
    refuse_upgrade(f, "/ws?token=" ANN, UPGRADE AUTH, 400);
    refuse_upgrade(f, "/ws", UPGRADE AUTH "Sec-WebSocket-Protocol: other.v9\r\n", 400);
    refuse_upgrade(f, "/ws",
                   AUTH "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                   400);
    refuse_upgrade(
        f, "/ws",
        AUTH "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
        400);
    expect(ask(f, "GET", "/ws", AUTH, NULL), 400, NULL);
    http_close(f->http);
    refuse_upgrade(f, "/ws", UPGRADE AUTH, 503);
    finish(f);
}

static void what_is_too_much_is_refused_and_a_stop_waits_for_nobody(void)
{
    struct fixture fixture, *f = &fixture;
    struct reply reply;
    begin(f, NULL);
    atomic_store(&keep, true);
    int first = ask_on(f, "POST", "/v1/sessions/s/cancel", NULL, NULL);
    while (atomic_load(&f->held) < 1) {
        sched_yield();
    }
    struct dispatch_command *one = kept;
    int second = ask_on(f, "POST", "/v1/sessions/s/cancel", NULL, NULL);
    while (atomic_load(&f->held) < PLACES) {
        sched_yield();
    }
    expect(ask(f, "POST", "/v1/sessions/s/cancel", NULL, NULL), 503, "Retry-After: ");
    answer(one);
    dispatch_command_free(one);
    receive(first, &reply);
    expect(reply, 200, NULL);
    http_close(f->http);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", NULL, NULL), 503, "\"code\":\"shutting_down\"");
    expect(ask(f, "GET", "/healthz", NULL, NULL), 200, NULL);
    expect(ask(f, "GET", "/readyz", NULL, NULL), 503, "\"server\":\"stopping\"");
    dispatch_command_free(kept);
    finish(f); /* the second one is never answered */
    receive(second, &reply);
}

TEST_MAIN("http", TEST(paths_and_methods), TEST(the_page_is_sent_as_it_is_wanted), TEST(commands_are_asked_and_answered),
          TEST(lists_have_pages), TEST(without_tokens_only_loopback_names_count),
          TEST(tokens_and_logins), TEST(a_login_ends_with_its_token), TEST(guessing_is_slowed_down),
          TEST(sockets_are_handed_over),
          TEST(what_is_too_much_is_refused_and_a_stop_waits_for_nobody))
