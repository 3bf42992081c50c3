#pragma once
/*
 * The whole ring in one process: the real threads with real agents, but a store in memory, and, where a test wants it, a
 * clock that only the test moves. The client is the other end of a socket pair that a real socket thread was given.
 */
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/role/agent.h"
#include "signalbox/role/dispatch.h"
#include "signalbox/role/history.h"
#include "signalbox/role/journal.h"
#include "signalbox/role/maintenance.h"
#include "signalbox/role/socket.h"
#include "signalbox/role/timer.h"
#include "support/test.h"

enum { WAIT_MS = 30000 }; /* only a test that has failed waits so long */

static struct ring {
    char folder[64], guard[PATH_MAX];
    struct config_store *config;
    struct store *store;
    struct topic_limits limits;
    struct topic_map *topics;
    struct topic *feed;
    struct credit_pool *credit;
    struct dispatch *dispatch;
    struct journal *journal;
    struct history *history;
    struct maintenance *maintenance;
    struct timer *timer;
    struct agent_stream *agents;
    struct socket_thread *socket;
    struct mailbox *boxes[1];
    bool fake;
    void (*after_dispatch)(void); /* NULL, or called at the end, when the dispatcher has ended and maintenance has not */
    int client;          /* our end of the client's socket */
    struct buffer input; /* read, not yet taken */
    char session_id[SESSION_ID_MAX + 1];
} ring;

static inline void ring_config(const char *more)
{
    char path[128];
    struct buffer text = {0};
    const char *writes = getenv("SIGNALBOX_TEST_SOCKET_WRITES");
    buffer_format(&text, "workspace-roots = {'%s'}\nsocket-writes = %s\n%s\n", ring.folder, writes ? writes : "auto", more);
    buffer_format(&text, "agent scripted { command = {'%s/signalbox-scripted-agent'} }\n", TEST_BINARY_DIR);
    snprintf(path, sizeof(path), "%s/signalbox.conf", ring.folder);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, text.data, text.length, 0600), ERR_OK);
    buffer_free(&text);
    struct config_source source;
    struct config_error error = {0};
    struct config *config;
    CU_ASSERT_EQUAL_FATAL(config_source_init(&source, path), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(config_load(&config, &source, NULL, &error), ERR_OK);
    config_source_free(&source);
    CU_ASSERT_EQUAL_FATAL(config_store_new(&ring.config, config), ERR_OK);
}

static inline void ring_take(int fd, const char *user, uint64_t arrived) /* 0: it does not keep its id */
{
    struct client_take *take = calloc(1, sizeof(*take));
    CU_ASSERT_PTR_NOT_NULL_FATAL(take);
    take->mail.kind = CLIENT_MAIL_TAKE;
    take->fd = fd;
    take->arrived = arrived;
    take->keeps_id = arrived > 0;
    snprintf(take->identity.user, sizeof(take->identity.user), "%s", user);
    snprintf(take->identity.client_id, sizeof(take->identity.client_id), "client-of-%s", user);
    mailbox_push(ring.boxes[0], &take->mail);
}

static inline int ring_connect(const char *user)
{
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ring_take(pair[0], user, 0);
    return pair[1];
}

static inline void ring_begin(bool fake, const char *config)
{
    ring = (struct ring){.fake = fake};
    snprintf(ring.folder, sizeof(ring.folder), "/tmp/signalbox-ring-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(ring.folder));
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    if (fake) {
        clock_fake_start();
    }
    snprintf(ring.guard, sizeof(ring.guard), "%s/signalbox-guard", TEST_BINARY_DIR);
    ring_config(config);
    ring.limits = (struct topic_limits){.tail_bytes = 65536, .tail_events = 256, .socket_threads = 1};
    CU_ASSERT_EQUAL_FATAL(store_memory_open(&ring.store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(topic_map_new(&ring.topics, 64), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(topic_new(&ring.feed, "sessions", "feed", 0, 0, &ring.limits), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(credit_pool_new(&ring.credit, 64 << 20), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(dispatch_new(&ring.dispatch, 16), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(socket_new(&ring.socket, 0), ERR_OK);
    ring.boxes[0] = socket_mailbox(ring.socket);
    struct mailbox *inbox = dispatch_inbox(ring.dispatch);
    const struct journal_wiring journal = {
        .store = ring.store, .limits = &ring.limits, .dispatch = inbox, .socket_boxes = ring.boxes};
    CU_ASSERT_EQUAL_FATAL(journal_start(&ring.journal, &journal), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(history_start(&ring.history, ring.store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(maintenance_start(&ring.maintenance, ring.store, ring.config, inbox), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(timer_start(&ring.timer, inbox), ERR_OK);
    const struct agent_wiring agents = {.config = ring.config, .dispatch = inbox, .credit = ring.credit,
                                        .guard_path = ring.guard, .version = "0.0.0"};
    CU_ASSERT_EQUAL_FATAL(agent_stream_start(&ring.agents, &agents), ERR_OK);
    const struct socket_wiring socket = {.config = ring.config, .dispatch = inbox,
                                         .history = history_mailbox(ring.history),
                                         .maintenance = maintenance_mailbox(ring.maintenance),
                                         .feed = ring.feed, .instance = "test", .version = "0.0.0"};
    CU_ASSERT_EQUAL_FATAL(socket_start(ring.socket, &socket), ERR_OK);
    const struct dispatch_wiring dispatch = {
        .config = ring.config, .journal = journal_mailbox(ring.journal), .timer = timer_mailbox(ring.timer),
        .agent = agent_stream_mailbox(ring.agents), .history = history_mailbox(ring.history),
        .socket_boxes = ring.boxes, .limits = &ring.limits, .topics = ring.topics, .feed = ring.feed,
        .maintenance = maintenance_mailbox(ring.maintenance), .generation = ring.store->generation,
        .next_key = ring.store->next_key, .answers_in_memory = 100, .released = journal_released(ring.journal)};
    CU_ASSERT_EQUAL_FATAL(dispatch_start(ring.dispatch, &dispatch), ERR_OK);
    ring.client = ring_connect("ada");
}

static inline void ring_drained(void *context)
{
    uint64_t one = 1;
    ssize_t ignored = write(*(int *)context, &one, sizeof(one));
    (void)ignored;
}

static inline void ring_end(void)
{
    int done[2];
    CU_ASSERT_EQUAL_FATAL(pipe(done), 0);
    dispatch_drain(ring.dispatch, ring_drained, &done[1]);
    struct pollfd wait = {.fd = done[0], .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&wait, 1, WAIT_MS), 1);
    agent_stream_stop(ring.agents);
    dispatch_stop(ring.dispatch);
    timer_stop(ring.timer);
    journal_stop(ring.journal);
    socket_stop(ring.socket, 0);
    if (ring.after_dispatch) {
        ring.after_dispatch();
    }
    maintenance_stop(ring.maintenance);
    history_stop(ring.history);
    agent_stream_free(ring.agents);
    dispatch_free(ring.dispatch);
    maintenance_free(ring.maintenance);
    socket_free(ring.socket);
    topic_put(ring.feed);
    rcu_barrier();
    topic_map_free(ring.topics);
    config_store_free(ring.config);
    rcu_barrier();
    credit_pool_free(ring.credit);
    ring.store->operations->close(ring.store);
    close(ring.client);
    close(done[0]);
    close(done[1]);
    buffer_free(&ring.input);
    if (ring.fake) {
        clock_fake_stop();
    }
    char path[128];
    snprintf(path, sizeof(path), "%s/signalbox.conf", ring.folder);
    unlink(path);
    rmdir(ring.folder);
}

/* A text frame as a client sends it, masked with zeros. */
static inline void ring_send_to(int fd, const char *text)
{
    size_t length = strlen(text);
    unsigned char header[14] = {0x81};
    size_t header_length = 2;
    if (length < 126) {
        header[1] = (unsigned char)(0x80 | length);
    } else {
        header[1] = 0x80 | 126;
        header[2] = (unsigned char)(length >> 8);
        header[3] = (unsigned char)length;
        header_length = 4;
    }
    header_length += 4; /* the mask */
    CU_ASSERT_EQUAL_FATAL(write(fd, header, header_length), (ssize_t)header_length);
    CU_ASSERT_EQUAL_FATAL(write(fd, text, length), (ssize_t)length);
}
#define ring_send(...)                                                                             \
    do {                                                                                           \
        char message_[4096];                                                                       \
        snprintf(message_, sizeof(message_), __VA_ARGS__);                                         \
        ring_send_to(ring.client, message_);                                                       \
    } while (0)

/* The next message, as an object of the caller's; fails the test when none comes. */
static inline struct json_object *ring_next(void)
{
    for (;;) {
        const unsigned char *at = (const unsigned char *)ring.input.data;
        size_t have = ring.input.length;
        if (have >= 2) {
            size_t header = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
            size_t length = at[1] < 126 ? at[1] : 0;
            for (size_t i = 2; have >= header && i < header; i++) {
                length = length << 8 | at[i];
            }
            if (have >= header && have - header >= length && (at[0] & 0xf) != 0x1) {
                buffer_consume(&ring.input, header + length); /* a ping: much time has passed */
                continue;
            }
            if (have >= header && have - header >= length) {
                struct json_parser *parser;
                struct json_object *message = NULL;
                CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 64), ERR_OK);
                CU_ASSERT_EQUAL_FATAL(json_parse(parser, ring.input.data + header, length, &message), ERR_OK);
                json_parser_free(parser);
                buffer_consume(&ring.input, header + length);
                return message;
            }
        }
        struct pollfd wait = {.fd = ring.client, .events = POLLIN};
        CU_ASSERT_EQUAL_FATAL(poll(&wait, 1, WAIT_MS), 1);
        char *room = buffer_reserve(&ring.input, 65536);
        CU_ASSERT_PTR_NOT_NULL_FATAL(room);
        ssize_t got = read(ring.client, room, 65536);
        CU_ASSERT_FATAL(got > 0);
        ring.input.length += (size_t)got;
    }
}

/* The next message of this type; what comes before it is passed over. */
static inline struct json_object *ring_await(const char *type)
{
    for (;;) {
        struct json_object *message = ring_next();
        const char *name = json_get_string(message, "type");
        if (name && !strcmp(name, type)) {
            return message;
        }
        json_object_put(message);
    }
}

static inline void ring_skip_to(const char *type)
{
    json_object_put(ring_await(type));
}

/* Creates a session with the scripted agent, subscribes, and waits until its agent is ready. */
static inline void ring_session(void)
{
    ring_send("{\"type\":\"create_session\",\"id\":\"c\",\"agent\":\"scripted\",\"workspace\":\"%s\"}", ring.folder);
    struct json_object *ack = ring_await("ack");
    snprintf(ring.session_id, sizeof(ring.session_id), "%s", json_get_string(ack, "sessionId"));
    json_object_put(ack);
    ring_send("{\"type\":\"subscribe\",\"id\":\"s\",\"sessionId\":\"%s\"}", ring.session_id);
    for (bool idle = false; !idle;) {
        struct json_object *status = ring_await("status");
        idle = !strcmp(json_get_string(status, "phase"), "idle");
        json_object_put(status);
    }
}

/* `script` is the scripted agent's JSON with ' for ". */
static inline void ring_prompt(const char *script)
{
    char text[2048];
    size_t length = 0;
    for (const char *at = script; *at; at++) {
        CU_ASSERT_FATAL(length + 3 < sizeof(text));
        if (*at == '\'') {
            text[length++] = '\\';
            text[length++] = '"';
        } else {
            text[length++] = *at;
        }
    }
    text[length] = 0;
    ring_send("{\"type\":\"prompt\",\"id\":\"p\",\"sessionId\":\"%s\",\"text\":\"%s\"}", ring.session_id, text);
}
