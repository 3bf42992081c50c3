#pragma once
/* The HTTP role with real connections, and everybody whom it asks, played by threads of the test.
 * The including file defines _GNU_SOURCE first. */
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

#define ANN  "ann-has-this-token"
#define BOB  "bob-has-another-one"
#define JSON "Content-Type: application/json\r\n"

enum { STOP = 99, PLACES = 2 };

struct fixture {
    char *folder;
    struct config_source source;
    struct config_store *config;
    struct mailbox *inbox, *socket_box;
    struct credit_pool *uploads;
    struct thread thread;
    atomic_int held; /* commands that the dispatcher has and does not answer */
    struct http *http;
    char own[64]; /* Host, and Origin without its scheme */
};

/* ---- The other side ---- */

static void answer(struct dispatch_command *command)
{
    struct answer_mail *mail = calloc(1, sizeof(*mail));
    const struct command *given = command->command;
    char fields[512] = "";
    CHECK(mail);
    *mail = (struct answer_mail){
        .mail.kind = command->reply.kind, .serial = command->reply.serial, .command = given->type};
    switch (given->type) {
    case COMMAND_CREATE_SESSION:
        snprintf(fields, sizeof(fields), ",\"sessionId\":\"new\"");
        break;
    case COMMAND_PROMPT:
        snprintf(fields, sizeof(fields),
                 ",\"messageId\":\"m\",\"text\":\"%s\",\"user\":\"%s\",\"key\":\"%s\"", given->text,
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
        for (uint64_t seq = request->from;
             seq <= request->to && seq < request->from + request->max_events; seq++) {
            buffer_format(&request->bytes, "%s{\"seq\":%d}", seq > request->from ? "," : "",
                          (int)seq);
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
static struct mailbox *real_maintenance; /* instead of the played one */
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
    (void)context;
    for (;;) {
        mailbox_wait(others.maintenance, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(others.maintenance));) {
            if (mail->kind == STOP) {
                return;
            }
            CHECK(mail->kind == MAINTENANCE_LIST);
            answer_list(container_of(mail, struct list_request, mail));
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

#define BYTES(text) {(text), (text) + sizeof(text) - 1}
static const char page[] = "<p>page", page_br[] = "as brotli", page_gz[] = "with gzip", picture[] = "picture";
static const struct http_file files[] = {
    {"/index.html", "abc", {BYTES(page_br), BYTES(page_gz), BYTES(page)}},
    {"/assets/x-12345678.png", "def", {{NULL, NULL}, {NULL, NULL}, BYTES(picture)}},
    {NULL, NULL, {{NULL, NULL}}},
};

static void serve(struct fixture *fixture)
{
    const struct http_wiring wiring = {
        .config = fixture->config,
        .dispatch = others.dispatch,
        .maintenance = real_maintenance ? real_maintenance : others.maintenance,
        .history = others.history,
        .socket_boxes = &fixture->socket_box,
        .socket_threads = 1,
        .uploads = fixture->uploads,
        .files = files,
        .version = "1.2.3",
        .metrics = more_metrics,
        .ready = is_ready,
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

/* Of a test that has real threads answer: stops them. */
static void (*stop_more)(void);

/* The order of server_stop: who may answer a handler thread ends before its mailbox does. */
static void restart(struct fixture *fixture)
{
    http_stop(fixture->http);
    stop_others();
    if (stop_more) {
        stop_more();
    }
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
        CHECK(!config_source_set_key(&fixture->source, "tokens-file",
                                     folder_path(fixture->folder, "tokens")));
    }
    if (config_load(&config, &fixture->source, NULL, &error)) {
        printf("\n    %s\n", config_error_text(&error));
        abort();
    }
    CHECK(!config_store_new(&fixture->config, config));
    CHECK(!mailbox_new(&others.dispatch, "dispatch", PLACES) &&
          !mailbox_new(&others.history, "history", 0) &&
          !mailbox_new(&others.maintenance, "maintenance", 0) &&
          !mailbox_new(&fixture->socket_box, "socket", 0) && !credit_pool_new(&fixture->uploads, 1 << 20));
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
    for (struct mail *mail; (mail = mailbox_take(fixture->socket_box));) {
        CHECK(mail->kind == CLIENT_MAIL_LOGOUT); /* the tests take what they hand over */
        free(container_of(mail, struct logout_mail, mail));
    }
    mailbox_free(fixture->socket_box);
    credit_pool_free(fixture->uploads);
    config_store_free(fixture->config);
    config_source_free(&fixture->source);
    rcu_barrier();
    folder_remove(fixture->folder);
}

/* ---- A client ---- */

struct reply {
    int status;
    char text[32768];
};

static int dial(const struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
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
    for (ssize_t got;
         length < sizeof(reply->text) - 1 &&
         (got = recv(fd, reply->text + length, sizeof(reply->text) - 1 - length, 0)) > 0;) {
        length += (size_t)got;
    }
    reply->text[length] = '\0';
    if (sscanf(reply->text, "HTTP/1.1 %d", &reply->status) != 1) {
        reply->status = 0;
    }
    close(fd);
}

static int ask_on(struct fixture *fixture, const char *method, const char *path,
                  const char *headers, const char *body)
{
    struct buffer out = {0};
    int fd = dial(fixture);
    buffer_format(&out, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", method, path,
                  fixture->own, headers ? headers : "");
    if (body) {
        buffer_format(&out, "Content-Length: %zu\r\n", strlen(body));
    }
    buffer_format(&out, "\r\n%s", body ? body : "");
    send_all(fd, out.data, out.length);
    buffer_free(&out);
    return fd;
}

static struct reply ask(struct fixture *fixture, const char *method, const char *path,
                        const char *headers, const char *body)
{
    struct reply reply;
    receive(ask_on(fixture, method, path, headers, body), &reply);
    return reply;
}

static void expect(struct reply reply, int status, const char *part)
{
    bool right = reply.status == status && (!part || strstr(reply.text, part));
    if (!right) {
        printf("\n    expected %d with %s, got:\n%s\n", status, part ? part : "anything",
               reply.text);
    }
    CU_ASSERT_TRUE(right);
}
