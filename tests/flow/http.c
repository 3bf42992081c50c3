/* The HTTP role with real connections; the dispatcher and the other threads are played by the test. */
#define _GNU_SOURCE
#include "signalbox/role/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"
#include "support/folder.h"
#include "support/test.h"

#define ANN   "ann-has-this-token"
#define BOB   "bob-has-another-one"
#define JSON  "Content-Type: application/json\r\n"

enum { STOP = 99, PLACES = 2 };

struct fixture {
    char *folder;
    struct config_source source;
    struct config_store *config;
    struct mailbox *inbox, *socket_box;
    struct thread thread;
    atomic_int held; /* commands that the dispatcher has and does not answer */
    struct http *http;
    char own[64];    /* Host, and Origin without its scheme */
};

/* ---- The other side ---- */

static void answer(struct dispatch_command *command)
{
    struct answer_mail *mail = calloc(1, sizeof(*mail));
    const struct command *given = command->command;
    char fields[512] = "";
    CHECK(mail);
    *mail = (struct answer_mail){.mail.kind = command->reply.kind, .serial = command->reply.serial,
                                 .command = given->type};
    switch (given->type) {
    case COMMAND_CREATE_SESSION:
        snprintf(fields, sizeof(fields), ",\"sessionId\":\"new\"");
        break;
    case COMMAND_PROMPT:
        snprintf(fields, sizeof(fields), ",\"messageId\":\"m\",\"text\":\"%s\",\"user\":\"%s\",\"key\":\"%s\"", given->text,
                 command->identity.user, given->id ? given->id : "");
        break;
    case COMMAND_GET_SESSION:
        if (strcmp(given->session_id, "s")) {
            mail->answer.code = ANSWER_NOT_FOUND;
            mail->answer.message = strdup("there is no such session");
        } else {
            snprintf(fields, sizeof(fields), ",\"sessionId\":\"s\",\"epoch\":\"e:1\",\"head\":4");
        }
        break;
    case COMMAND_PERMISSION_RESPONSE:
        mail->answer.code = ANSWER_ALREADY_RESOLVED;
        snprintf(fields, sizeof(fields), ",\"resolved\":{\"outcome\":\"%s\"}", given->request_id);
        break;
    default:
        break;
    }
    mail->answer.fields = *fields ? strdup(fields) : NULL;
    mailbox_push(command->reply.to, &mail->mail);
}

static void answer_history(struct history_request *request)
{
    if (request->kind == HISTORY_SESSION) {
        request->row.key = 7;
    } else {
        CHECK(request->session_key == 7);
        request->last = request->from - 1;
        for (uint64_t seq = request->from; seq <= request->to && seq < request->from + request->max_events; seq++) {
            buffer_format(&request->bytes, "%s{\"seq\":%d}", seq > request->from ? "," : "", (int)seq);
            request->last = seq;
        }
    }
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

static void answer_list(struct list_request *request)
{
    if (!strcmp(request->after, "odd")) {
        request->result = ERR_INVAL;
    } else {
        buffer_text(&request->items, "{\"sessionId\":\"s\"}");
        snprintf(request->next, sizeof(request->next), "n%zu", request->limit);
    }
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

static struct {
    struct mailbox *dispatch, *history, *maintenance;
} others;
static struct dispatch_command *kept;
static atomic_bool keep;

static void take_command(struct fixture *fixture, struct dispatch_command *command)
{
    mailbox_release(others.dispatch, 1);
    if (atomic_load(&keep)) {
        CHECK(mailbox_reserve(others.dispatch, 1));
        kept = command;
        atomic_fetch_add(&fixture->held, 1);
        return;
    }
    answer(command);
    dispatch_command_free(command);
}

static void serve_dispatch(void *context)
{
    struct fixture *fixture = context;
    for (;;) {
        mailbox_wait(others.dispatch, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(others.dispatch));) {
            if (mail->kind == STOP) {
                return;
            }
            take_command(fixture, container_of(mail, struct dispatch_command, mail));
        }
    }
}

static void serve_history(void *context)
{
    (void)context;
    for (;;) {
        mailbox_wait(others.history, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(others.history));) {
            if (mail->kind == STOP) {
                return;
            }
            answer_history(container_of(mail, struct history_request, mail));
        }
    }
}

static void serve_maintenance(void *context)
{
    struct fixture *fixture = context;
    for (;;) {
        mailbox_wait(others.maintenance, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(others.maintenance));) {
            if (mail->kind == STOP) {
                return;
            }
            if (mail->kind == MAINTENANCE_CREATE) {
                take_command(fixture, container_of(mail, struct dispatch_command, mail));
            } else {
                CHECK(mail->kind == MAINTENANCE_LIST);
                answer_list(container_of(mail, struct list_request, mail));
            }
        }
    }
}

static bool is_ready(void *context, struct buffer *reasons)
{
    (void)context;
    json_field_string(reasons, "config", "/etc/file:1: wrong");
    return true;
}

static void more_metrics(void *context, struct buffer *out)
{
    (void)context;
    buffer_text(out, "more 1\n");
}

/* ---- Life ---- */

static void serve(struct fixture *fixture)
{
    const struct http_wiring wiring = {
        .config = fixture->config, .dispatch = others.dispatch, .maintenance = others.maintenance,
        .history = others.history, .socket_boxes = &fixture->socket_box, .socket_threads = 1, .version = "1.2.3",
        .metrics = more_metrics, .ready = is_ready,
    };
    char why[256] = "";
    if (http_start(&fixture->http, &wiring, why, sizeof(why))) {
        printf("\n    %s\n", why);
        abort();
    }
    snprintf(fixture->own, sizeof(fixture->own), "127.0.0.1:%d", http_port(fixture->http));
}

static struct thread threads[3];

static void start_others(struct fixture *fixture)
{
    CHECK(!thread_start(&threads[0], THREAD_DISPATCH, -1, false, serve_dispatch, fixture));
    CHECK(!thread_start(&threads[1], THREAD_HISTORY, -1, false, serve_history, fixture));
    CHECK(!thread_start(&threads[2], THREAD_MAINTENANCE, -1, false, serve_maintenance, fixture));
}

static void stop_others(void)
{
    struct mailbox *boxes[] = {others.dispatch, others.history, others.maintenance};
    struct mail stop[3] = {{.kind = STOP}, {.kind = STOP}, {.kind = STOP}};
    for (size_t i = 0; i < 3; i++) {
        mailbox_push(boxes[i], &stop[i]);
        thread_join(&threads[i]);
    }
}

/* The order of server_stop: who may answer a handler thread ends before its mailbox does. */
static void restart(struct fixture *fixture)
{
    http_stop(fixture->http);
    stop_others();
    http_free(fixture->http);
    start_others(fixture);
    serve(fixture);
}

static void begin(struct fixture *fixture, const char *tokens)
{
    struct config *config;
    struct config_error error = {0};
    *fixture = (struct fixture){.folder = folder_new()};
    log_set_level(LOG_LEVEL_ERROR);
    CHECK(!rcu_thread_enter() && !config_source_init(&fixture->source, NULL));
    CHECK(!config_source_set_key(&fixture->source, "listen", "127.0.0.1:0"));
    CHECK(!config_source_set_key(&fixture->source, "data", fixture->folder));
    CHECK(!config_source_set_key(&fixture->source, "http-threads", "6"));
    CHECK(!config_source_set_key(&fixture->source, "max-message-bytes", "4096"));
    CHECK(!config_source_set_key(&fixture->source, "login-failures-per-minute", "3"));
    if (tokens) {
        folder_write(fixture->folder, "tokens", tokens);
        CHECK(!config_source_set_key(&fixture->source, "tokens-file", folder_path(fixture->folder, "tokens")));
    }
    if (config_load(&config, &fixture->source, NULL, &error)) {
        printf("\n    %s\n", config_error_text(&error));
        abort();
    }
    CHECK(!config_store_new(&fixture->config, config));
    CHECK(!mailbox_new(&others.dispatch, "dispatch", PLACES) && !mailbox_new(&others.history, "history", 0) &&
          !mailbox_new(&others.maintenance, "maintenance", 0) && !mailbox_new(&fixture->socket_box, "socket", 0));
    atomic_store(&keep, false);
    start_others(fixture);
    serve(fixture);
}

static void finish(struct fixture *fixture)
{
    http_stop(fixture->http);
    stop_others();
    http_free(fixture->http);
    mailbox_free(others.dispatch);
    mailbox_free(others.history);
    mailbox_free(others.maintenance);
    mailbox_free(fixture->socket_box);
    config_store_free(fixture->config);
    config_source_free(&fixture->source);
    rcu_barrier();
    folder_remove(fixture->folder);
}

/* ---- A client ---- */

struct reply {
    int status;
    char text[8192];
};

static int dial(const struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)http_port(fixture->http))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)));
    return fd;
}

static void send_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server has had enough */
        }
        text += sent;
        length -= (size_t)sent;
    }
}

static void receive(int fd, struct reply *reply)
{
    size_t length = 0;
    for (ssize_t got; length < sizeof(reply->text) - 1 &&
                      (got = recv(fd, reply->text + length, sizeof(reply->text) - 1 - length, 0)) > 0;) {
        length += (size_t)got;
    }
    reply->text[length] = '\0';
    if (sscanf(reply->text, "HTTP/1.1 %d", &reply->status) != 1) {
        reply->status = 0;
    }
    close(fd);
}

static int ask_on(struct fixture *fixture, const char *method, const char *path, const char *headers, const char *body)
{
    struct buffer out = {0};
    int fd = dial(fixture);
    buffer_format(&out, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", method, path, fixture->own,
                  headers ? headers : "");
    if (body) {
        buffer_format(&out, "Content-Length: %zu\r\n", strlen(body));
    }
    buffer_format(&out, "\r\n%s", body ? body : "");
    send_all(fd, out.data, out.length);
    buffer_free(&out);
    return fd;
}

static struct reply ask(struct fixture *fixture, const char *method, const char *path, const char *headers,
                        const char *body)
{
    struct reply reply;
    receive(ask_on(fixture, method, path, headers, body), &reply);
    return reply;
}

static void expect(struct reply reply, int status, const char *part)
{
    bool right = reply.status == status && (!part || strstr(reply.text, part));
    if (!right) {
        printf("\n    expected %d with %s, got:\n%s\n", status, part ? part : "anything", reply.text);
    }
    CU_ASSERT_TRUE(right);
}

/* ---- Tests ---- */

static void paths_and_methods(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, NULL);
    expect(ask(f, "GET", "/healthz", NULL, NULL), 200, "\r\n\r\n{\"status\":\"ok\"}");
    expect(ask(f, "GET", "/readyz", NULL, NULL), 200, "{\"ready\":true,\"config\":\"/etc/file:1: wrong\"}");
    expect(ask(f, "GET", "/metrics", NULL, NULL), 200, "\nmore 1\n");
    expect(ask(f, "GET", "/metrics", NULL, NULL), 200, "Content-Type: text/plain; version=0.0.4");
    expect(ask(f, "GET", "/openapi.json", NULL, NULL), 200, "\"version\":\"1.2.3\"");
    expect(ask(f, "GET", "/theme.json", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "GET", "/", NULL, NULL), 200, "Content-Security-Policy: default-src 'none'; script-src 'self'");
    struct reply head = ask(f, "HEAD", "/", NULL, NULL);
    expect(head, 200, "Content-Type: text/html; charset=utf-8");
    TEST_TEXT(strstr(head.text, "\r\n\r\n"), "\r\n\r\n");
    expect(ask(f, "POST", "/app.js", NULL, NULL), 405, "Allow: GET, HEAD\r\n");
    expect(ask(f, "GET", "/nothing", NULL, NULL), 404, "\"code\":\"not_found\"");
    expect(ask(f, "PATCH", "/v1/sessions", NULL, NULL), 405, "Allow: GET, HEAD, POST\r\n");
    expect(ask(f, "GET", "/healthz?a=1&token=x", NULL, NULL), 400, "\"field\":\"token\"");
    finish(f);
}

static void commands_are_asked_and_answered(void)
{
    struct fixture fixture, *f = &fixture;
    static char long_body[6000];
    begin(f, NULL);
    expect(ask(f, "POST", "/v1/sessions", JSON, "{\"agent\":\"a\",\"workspace\":\"/w\"}"), 201,
           "Location: /v1/sessions/new\r\n");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Idempotency-Key: k1\r\n", "{\"text\":\"hi\"}"), 202,
           "{\"accepted\":true,\"messageId\":\"m\",\"text\":\"hi\",\"user\":\"local\",\"key\":\"k1\"}");
    expect(ask(f, "POST", "/v1/sessions/s/cancel", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "DELETE", "/v1/sessions/s", NULL, NULL), 200, "\r\n\r\n{}");
    expect(ask(f, "GET", "/v1/sessions/s", NULL, NULL), 200, "{\"sessionId\":\"s\"");
    expect(ask(f, "GET", "/v1/sessions/x", NULL, NULL), 404, "\"detail\":\"there is no such session\"");
    expect(ask(f, "POST", "/v1/sessions/s/permissions/r-1", JSON, "{\"allow\":true}"), 409,
           "\"code\":\"already_resolved\",\"retryable\":false,\"resolved\":{\"outcome\":\"r-1\"}");

    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{\"text\":5}"), 400, "\"field\":\"text\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{"), 400, "\"code\":\"bad_json\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, "{\"text\":\"\xff\"}"), 400, "not UTF-8");
    expect(ask(f, "POST", "/v1/sessions/s/messages", "Content-Type: text/plain\r\n", "{\"text\":\"a\"}"), 415, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/messages", NULL, NULL), 415, NULL);
    memset(long_body, ' ', sizeof(long_body) - 1);
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON, long_body), 413, "\"code\":\"too_large\"");
    static const char chunks[] = "6\r\n{\"text\r\n8\r\n\":\"one\"}\r\n0\r\n\r\n";
    char headers[256];
    snprintf(headers, sizeof(headers), "%sTransfer-Encoding: chunked\r\n\r\n%s", JSON, chunks);
    expect(ask(f, "POST", "/v1/sessions/s/messages", headers, NULL), 202, "\"text\":\"one\"");
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Transfer-Encoding: chunked\r\n", chunks), 400,
           "length of the body is not clear");
    finish(f);
}

static void lists_have_pages(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, NULL);
    expect(ask(f, "GET", "/v1/sessions?limit=5", NULL, NULL), 200, "{\"items\":[{\"sessionId\":\"s\"}],\"next\":\"n5\"}");
    expect(ask(f, "GET", "/v1/sessions?after=odd", NULL, NULL), 400, "\"field\":\"after\"");
    expect(ask(f, "GET", "/v1/sessions?limit=0", NULL, NULL), 400, "\"field\":\"limit\"");
    expect(ask(f, "GET", "/v1/sessions/s/events", NULL, NULL), 200,
           "{\"epoch\":\"e:1\",\"head\":4,\"events\":[{\"seq\":1},{\"seq\":2},{\"seq\":3},{\"seq\":4}]}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e:1:2&limit=1", NULL, NULL), 200,
           "\"events\":[{\"seq\":3}],\"next\":\"e:1:3\"}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e%3A1%3A4", NULL, NULL), 200, "\"events\":[]}");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=other:3&limit=1", NULL, NULL), 200, "\"events\":[{\"seq\":1}]");
    expect(ask(f, "GET", "/v1/sessions/s/events?after=e:1:9&limit=1", NULL, NULL), 200, "\"events\":[{\"seq\":1}]");
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
    const char rebound[] = "GET /v1/sessions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    send_all(fd, rebound, sizeof(rebound) - 1);
    receive(fd, &reply);
    expect(reply, 403, "\"code\":\"forbidden\"");
    expect(ask(f, "POST", "/v1/sessions/s/cancel", "Origin: http://evil.example\r\n", NULL), 403, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", "Origin: null\r\n", NULL), 403, NULL);
    snprintf(origin, sizeof(origin), "Origin: http://%s\r\n", f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", origin, NULL), 200, NULL);
    snprintf(origin, sizeof(origin), "Origin: https://%s\r\n", f->own);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", origin, NULL), 403, NULL);
    expect(ask(f, "GET", "/v1/sessions", "Origin: http://evil.example\r\n", NULL), 200, NULL); /* reading changes nothing */
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
    expect(ask(f, "POST", "/v1/sessions/s/messages", JSON "Authorization: Bearer " BOB "\r\n", "{\"text\":\"t\"}"), 202,
           "\"user\":\"bob\"");
    expect(ask(f, "GET", "/readyz", "Authorization: Bearer " BOB "\r\n", NULL), 200, "\"config\":");

    struct reply login = ask(f, "POST", "/v1/login", JSON, "{\"token\":\"" ANN "\"}");
    expect(login, 200, "{\"user\":\"ann\"}");
    expect(login, 200, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000\r\n");
    const char *set = strstr(login.text, "Set-Cookie: ");
    CU_ASSERT_FATAL(set && sscanf(set, "Set-Cookie: %127[^;]", cookie) == 1);

    snprintf(headers, sizeof(headers), "Cookie: other=1; %s\r\n", cookie);
    expect(ask(f, "GET", "/v1/sessions", headers, NULL), 200, NULL);
    expect(ask(f, "POST", "/v1/sessions/s/cancel", headers, NULL), 403, NULL); /* a cookie needs an Origin */
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
                    sscanf(strstr(login.text, "Set-Cookie: "), "Set-Cookie: %127[^;]", cookie) == 1);
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
        expect(ask(f, "POST", "/v1/login", JSON, "{\"token\":\"guess\"}"), 401, "\"code\":\"unauthenticated\"");
    }
    expect(ask(f, "POST", "/v1/login", JSON, "{\"token\":\"" ANN "\"}"), 429, "Retry-After: ");
    expect(ask(f, "GET", "/v1/sessions", "Authorization: Bearer another-guess\r\n", NULL), 429, "\"code\":\"rate_limited\"");
    expect(ask(f, "GET", "/v1/sessions", "Authorization: Bearer " ANN "\r\n", NULL), 200, NULL);
    finish(f);
}

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int upgrade_on(struct fixture *fixture, const char *path, const char *headers)
{
    char text[1024];
    int fd = dial(fixture);
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\n%s\r\n", path,
             fixture->own, headers);
    send_all(fd, text, strlen(text));
    return fd;
}

static void refuse_upgrade(struct fixture *fixture, const char *path, const char *headers, int status)
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

static void expect_taken(struct fixture *fixture, int fd, const char *user, const char *client, bool with_protocol)
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
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")); /* RFC 6455, 1.3 */
    CU_ASSERT_EQUAL(strstr(text, "Sec-WebSocket-Protocol: signalbox.v1\r\n") != NULL, with_protocol);
    TEST_TEXT(strstr(text, "\r\n\r\n"), "\r\n\r\nhello");
    free(take);
    close(fd);
}

static void sockets_are_handed_over(void)
{
    struct fixture fixture, *f = &fixture;
    begin(f, "ann " ANN "\n");
#define AUTH "Authorization: Bearer " ANN "\r\n"
    expect_taken(f, upgrade_on(f, "/ws?client=my-id_1", UPGRADE AUTH "Sec-WebSocket-Protocol: x, signalbox.v1\r\n"), "ann",
                 "my-id_1", true);
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
    refuse_upgrade(f, "/ws", AUTH "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400);
    refuse_upgrade(f, "/ws", AUTH "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400);
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

TEST_MAIN("http", TEST(paths_and_methods), TEST(commands_are_asked_and_answered), TEST(lists_have_pages),
          TEST(without_tokens_only_loopback_names_count), TEST(tokens_and_logins), TEST(a_login_ends_with_its_token),
          TEST(guessing_is_slowed_down), TEST(sockets_are_handed_over),
          TEST(what_is_too_much_is_refused_and_a_stop_waits_for_nobody))
