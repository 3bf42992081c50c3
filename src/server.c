#include "server.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "recover.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/frame.h"
#include "signalbox/base/id.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/pause.h"
#include "signalbox/base/rcu.h"
#include "signalbox/mail/client.h"
#include "signalbox/role/agent.h"
#include "signalbox/role/deflate.h"
#include "signalbox/role/dispatch.h"
#include "signalbox/role/files.h"
#include "signalbox/role/history.h"
#include "signalbox/role/http.h"
#include "signalbox/role/journal.h"
#include "signalbox/role/maintenance.h"
#include "signalbox/role/socket.h"
#include "signalbox/role/timer.h"
#include "signalbox/role/watch.h"
#include "signalbox/role/wirelog.h"
#include "signalbox/share/credit.h"
#include "signalbox/share/topic.h"
#include "signalbox/store/store.h"
#include "version.h"

enum {
    TOPIC_BUCKETS = 16384,
    /* The parts of a stop; together under five seconds. The agents' share is their grace, then signals. */
    DRAIN_MS = 3600,
    SOCKET_GRACE_MS = 800,
    FILES_GRACE_MS = 200, /* for a file system that hangs; mostly it is not needed at all */
    DRAIN_POLL_MS = 50,
    ANSWERS_IN_MEMORY = 65536,
    UPLOADS_BYTES = 64 << 20, /* of content that is being sent up; or one, if that is longer */
};

struct server {
    struct config_store *config;
    const struct config_source *source;
    struct store *store;
    struct topic_limits limits;
    struct topic_map *topics;
    struct topic *feed;
    struct credit_pool *credit, *uploads;
    struct mailbox *socket_boxes[SOCKET_THREADS_MAX];
    struct socket_thread *sockets[SOCKET_THREADS_MAX];
    uint32_t sockets_started;
    bool dispatch_started;
    struct dispatch *dispatch;
    struct timer *timer;
    struct journal *journal;
    struct history *history;
    struct deflate *deflate;
    struct maintenance *maintenance;
    struct files *files;
    struct wirelog *wirelog;
    struct agent_stream *agents;
    struct http *http;
    struct watch *watch;
    char *guard_path;
    char instance[ID_SIZE];
    int drained; /* eventfd: the dispatcher has no agent left */
    atomic_bool broken; /* the journal gave up */
};

/* ---- What handler threads ask for ---- */

static void write_mailbox(struct buffer *out, const char *family, const char *name, uint64_t value)
{
    buffer_format(out, "%s{mailbox=\"%s\"} %llu\n", family, name, (unsigned long long)value);
}

static void write_metrics(void *context, struct buffer *out)
{
    struct server *server = context;
    const struct mailbox *boxes[16 + SOCKET_THREADS_MAX] = {
        dispatch_inbox(server->dispatch),        timer_mailbox(server->timer),
        journal_mailbox(server->journal),        history_mailbox(server->history),
        maintenance_mailbox(server->maintenance), agent_stream_mailbox(server->agents),
        wirelog_mailbox(server->wirelog),         files_mailbox(server->files),
        deflate_mailbox(server->deflate),
    };
    enum { OTHERS = 9 };
    size_t count = OTHERS;
    for (uint32_t i = 0; i < server->limits.socket_threads; i++) {
        boxes[count++] = server->socket_boxes[i];
    }
    static const struct {
        const char *family, *type, *help;
    } families[] = {
        {"signalbox_mailbox_depth", "gauge", "Mail that waits in a thread's mailbox"},
        {"signalbox_mailbox_pushed_total", "counter", "Mail pushed into a thread's mailbox"},
        {"signalbox_mailbox_refused_total", "counter", "Reservations of a mailbox that were refused"},
    };
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", families[f].family, families[f].help, families[f].family,
                      families[f].type);
        for (size_t i = 0; i < count; i++) {
            struct mailbox_stats stats = mailbox_stats(boxes[i]);
            char name[48];
            if (i >= OTHERS) {
                snprintf(name, sizeof(name), "%s/%zu", stats.name, i - OTHERS);
            } else {
                snprintf(name, sizeof(name), "%s", stats.name);
            }
            write_mailbox(out, families[f].family, name, f == 0 ? stats.depth : f == 1 ? stats.pushed : stats.refused);
        }
    }
    pauses_write(out);
}

static bool is_ready(void *context, struct buffer *reasons)
{
    struct server *server = context;
    struct config_error error = {0};
    bool ready = true;
    if (!metric_read(METRIC_STORE_OK)) {
        json_field_string(reasons, "store", "the store cannot record at the moment");
        ready = false;
    }
    if (!config_store_ok(server->config, &error)) {
        /* The configuration in force is a good one, so the server stays ready; people see what to mend. */
        char *text = config_error_text(&error);
        json_field_string(reasons, "config", text);
        free(text);
        config_error_free(&error);
    }
    return ready;
}

/* ---- What the watch thread tells ---- */

static void broadcast(struct server *server, enum broadcast_slot slot, const char *json, bool check_logins)
{
    struct frame *frame = NULL;
    if (json && frame_text(&frame, json, strlen(json))) {
        return;
    }
    for (uint32_t i = 0; i < server->limits.socket_threads; i++) {
        struct broadcast_mail *mail = calloc(1, sizeof(*mail));
        if (mail) {
            *mail = (struct broadcast_mail){.mail.kind = CLIENT_MAIL_BROADCAST, .slot = slot,
                                            .frame = frame ? frame_get(frame) : NULL, .check_logins = check_logins};
            mailbox_push(server->socket_boxes[i], &mail->mail);
        }
    }
    frame_put(frame);
}

static void config_changed(void *context, enum watch_change what)
{
    struct server *server = context;
    mailbox_poke(wirelog_mailbox(server->wirelog)); /* it looks at its limits */
    bool theme = what == WATCH_THEME;
    broadcast(context, theme ? BROADCAST_THEME : BROADCAST_CONFIG,
              theme ? "{\"type\":\"config_changed\",\"changeType\":\"theme\"}"
                    : "{\"type\":\"config_changed\",\"changeType\":\"config\"}",
              !theme);
}

/* ---- Start ---- */

static enum err open_store(struct server *server, const struct config *config)
{
    char why[512] = "";
    enum err err = store_sqlite_open(&server->store, config->data, why, sizeof(why));
    if (err) {
        log_error("the store cannot be opened", "data", "%s", config->data, "reason", "%s", why, NULL);
        return err;
    }
    if (config->durability == DURABILITY_POWER) {
        err = store_sqlite_durability(server->store, STORE_SURVIVES_POWER);
        if (err) {
            log_error("the store cannot be made to survive a loss of power", "data", "%s", config->data, "reason",
                      "%s", err_text(err), NULL);
            return err;
        }
    }
    size_t ended = 0;
    err = recover_sessions(server->store, (size_t)config->max_event_bytes, &ended);
    if (err) {
        log_error("what the last run left open cannot be ended", "data", "%s", config->data, "reason", "%s",
                  err_text(err), NULL);
    } else if (ended) {
        log_warn("the server was not stopped in order: open sessions were ended", "sessions", "%zu", ended, NULL);
    }
    return err;
}

static bool note_answer(void *context, const struct digest *name, int64_t at)
{
    (void)at;
    dispatch_note_answer(context, name);
    return true;
}

/* What commands were answered before this start. */
static enum err note_answers(struct server *server)
{
    struct store_reader *reader = NULL;
    enum err err = server->store->operations->reader_open(server->store, &reader);
    if (!err) {
        err = reader->operations->list_answers(reader, clock_wall_ms() - ANSWER_LIFE_MS, note_answer, server->dispatch);
        reader->operations->reader_close(reader);
    }
    return err;
}

struct noting {
    struct dispatch *dispatch;
    enum err err;
};

static bool note_rule(void *context, const struct stored_rule *rule)
{
    struct noting *noting = context;
    noting->err = dispatch_note_rule(noting->dispatch, rule);
    return !noting->err;
}

/* What people have allowed before this start. */
static enum err note_rules(struct server *server)
{
    struct store_reader *reader = NULL;
    struct noting noting = {.dispatch = server->dispatch};
    enum err err = server->store->operations->reader_open(server->store, &reader);
    if (!err) {
        err = reader->operations->list_rules(reader, 0, SIZE_MAX, NULL, note_rule, &noting);
        reader->operations->reader_close(reader);
    }
    return err ? err : noting.err;
}

static enum err make_shared(struct server *server, const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t threads = config->socket_threads ? config->socket_threads : cores > 0 ? cores : 1;
    threads = threads > SOCKET_THREADS_MAX ? SOCKET_THREADS_MAX : threads;
    server->limits = (struct topic_limits){.tail_bytes = (size_t)config->tail_bytes,
                                           .tail_events = (size_t)config->tail_events,
                                           .tails_total_bytes = (size_t)config->tails_total_bytes,
                                           .socket_threads = (uint32_t)threads};
    size_t guard_length = strlen(config->program_dir ? config->program_dir : "") + sizeof("/signalbox-guard");
    server->guard_path = malloc(guard_length);
    if (!server->guard_path) {
        return ERR_NOMEM;
    }
    snprintf(server->guard_path, guard_length, "%s/signalbox-guard", config->program_dir ? config->program_dir : "");
    if (access(server->guard_path, X_OK)) {
        log_error("signalbox-guard is not beside the server's program", "path", "%s", server->guard_path, NULL);
        return ERR_NOENT;
    }
    enum err err = topic_map_new(&server->topics, TOPIC_BUCKETS);
    if (!err) {
        err = topic_new(&server->feed, "sessions", "feed", 0, 0, &server->limits);
    }
    if (!err) {
        err = credit_pool_new(&server->credit, config->credit_total_bytes);
    }
    if (!err) {
        /* A journal writes a megabyte in some 10 ms. */
        credit_pool_fair(server->credit, config->credit_total_bytes / 64, config->credit_session_bytes / 16);
    }
    if (!err) {
        err = credit_pool_new(&server->uploads, UPLOADS_BYTES);
    }
    if (!err) {
        err = dispatch_new(&server->dispatch, (size_t)config->max_http_commands);
    }
    for (uint32_t i = 0; !err && i < server->limits.socket_threads; i++) {
        err = socket_new(&server->sockets[i], i);
        if (!err) {
            server->socket_boxes[i] = socket_mailbox(server->sockets[i]);
        }
    }
    return err;
}

static void forget_wirelog(void *context, const char *session_id)
{
    struct server *server = context;
    if (wirelog_purge(server->wirelog, session_id)) {
        log_error("the wire log of an erased session is left", "session", "%s", session_id, NULL);
    }
}

/* Not being able to look is no reason not to serve. */
static void forget_erased(struct server *server, const struct config *config)
{
    enum err err = recover_erased(server->store, config->data, forget_wirelog, server);
    if (err) {
        log_error("wire logs of erased sessions are not looked for", "reason", "%s", err_text(err), NULL);
    }
}

/* By the journal thread. Main takes the signal as any other one, and stops all in order. */
static void journal_gave_up(void *context)
{
    struct server *server = context;
    atomic_store(&server->broken, true);
    kill(getpid(), SIGTERM);
}

bool server_broken(const struct server *server)
{
    return atomic_load(&server->broken);
}

/* From the end of the flow to its beginning, so that whoever starts finds its receivers there. */
static enum err start_threads(struct server *server, const struct config *config)
{
    struct mailbox *inbox = dispatch_inbox(server->dispatch);
    const struct journal_wiring journal = {.store = server->store, .limits = &server->limits, .dispatch = inbox,
                                           .socket_boxes = server->socket_boxes, .give_up = journal_gave_up,
                                           .context = server};
    enum err err = journal_start(&server->journal, &journal);
    if (!err) {
        err = history_start(&server->history, server->store);
    }
    if (!err) {
        err = maintenance_start(&server->maintenance, server->store, server->config, inbox);
    }
    if (!err) {
        err = timer_start(&server->timer, inbox);
    }
    if (!err) {
        err = wirelog_start(&server->wirelog, server->config, SIGNALBOX_VERSION);
    }
    if (!err) {
        forget_erased(server, config);
        err = files_start(&server->files);
    }
    if (!err) {
        const struct agent_wiring agents = {.config = server->config, .dispatch = inbox,
                                            .files = files_mailbox(server->files), .credit = server->credit,
                                            .guard_path = server->guard_path, .version = SIGNALBOX_VERSION,
                                            .wirelog = wirelog_mailbox(server->wirelog)};
        err = agent_stream_start(&server->agents, &agents);
    }
    if (!err) {
        const struct deflate_wiring deflate = {.min_bytes = (size_t)config->compression_min_bytes,
                                               .socket_boxes = server->socket_boxes};
        err = deflate_start(&server->deflate, &deflate);
    }
    for (uint32_t i = 0; !err && i < server->limits.socket_threads; i++) {
        const struct socket_wiring socket = {.config = server->config, .dispatch = inbox,
                                             .history = history_mailbox(server->history),
                                             .maintenance = maintenance_mailbox(server->maintenance),
                                             .deflate = deflate_mailbox(server->deflate),
                                             .feed = server->feed, .instance = server->instance,
                                             .version = SIGNALBOX_VERSION};
        err = socket_start(server->sockets[i], &socket);
        server->sockets_started += !err;
    }
    if (!err) {
        err = note_answers(server);
    }
    if (!err) {
        err = note_rules(server);
    }
    if (!err) {
        const struct dispatch_wiring dispatch = {
            .config = server->config,
            .journal = journal_mailbox(server->journal),
            .released = journal_released(server->journal),
            .timer = timer_mailbox(server->timer),
            .agent = agent_stream_mailbox(server->agents),
            .history = history_mailbox(server->history),
            .maintenance = maintenance_mailbox(server->maintenance),
            .wirelog = wirelog_mailbox(server->wirelog),
            .socket_boxes = server->socket_boxes,
            .limits = &server->limits,
            .topics = server->topics,
            .feed = server->feed,
            .generation = server->store->generation,
            .next_key = server->store->next_key,
            .open_sessions = server->store->open_sessions,
            .answers_in_memory = ANSWERS_IN_MEMORY,
        };
        err = dispatch_start(server->dispatch, &dispatch);
        server->dispatch_started = !err;
    }
    if (!err) {
        err = watch_new(&server->watch, server->config, server->source, config_changed, server);
    }
    return err ? err : watch_start(server->watch);
}

static enum err start_http(struct server *server)
{
    const struct http_wiring wiring = {
        .config = server->config,
        .dispatch = dispatch_inbox(server->dispatch),
        .maintenance = maintenance_mailbox(server->maintenance),
        .history = history_mailbox(server->history),
        .topics = server->topics,
        .socket_boxes = server->socket_boxes,
        .socket_threads = server->limits.socket_threads,
        .uploads = server->uploads,
        .files = http_page,
        .version = SIGNALBOX_VERSION,
        .context = server,
        .metrics = write_metrics,
        .ready = is_ready,
    };
    char why[512] = "";
    enum err err = http_start(&server->http, &wiring, why, sizeof(why));
    if (err) {
        log_error("the address cannot be served", "reason", "%s", why, NULL);
    }
    return err;
}

enum err server_start(struct server **out, struct config *config, const struct config_source *source)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        config_put(config);
        return ERR_NOMEM;
    }
    server->source = source;
    server->drained = -1;
    id_random(server->instance);
    const struct config *running = config_get(config);
    enum err err = config_store_new(&server->config, config);
    if (err) {
        config_put(config);
    }
    if (!err) {
        server->drained = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        err = server->drained < 0 ? err_from_errno(errno) : ERR_OK;
    }
    if (!err) {
        server->drained = fd_lift(server->drained);
        err = make_shared(server, running);
    }
    if (!err) {
        err = open_store(server, running);
    }
    if (!err) {
        err = start_threads(server, running);
    }
    if (!err) {
        err = start_http(server);
    }
    if (err) {
        int at_once = 1;
        server_stop(server, &at_once);
    } else {
        bool v6 = strchr(running->listen_host, ':') != NULL;
        char address[128];
        snprintf(address, sizeof(address), "http://%s%s%s:%d/", v6 ? "[" : "", running->listen_host, v6 ? "]" : "",
                 http_port(server->http));
        log_info("ready to serve", "address", "%s", address, "version", "%s", SIGNALBOX_VERSION, "data", "%s",
                 running->data, NULL);
        *out = server;
    }
    config_put(running);
    return err;
}

void server_reload(struct server *server)
{
    watch_look(server->watch);
}

/* ---- Stop, in the order of the flow ---- */

static void all_agents_ended(void *context)
{
    struct server *server = context;
    uint64_t one = 1;
    ssize_t ignored = write(server->drained, &one, sizeof(one));
    (void)ignored; /* the counter is not full: it is written once */
}

static void drain_agents(struct server *server, volatile const int *hurry)
{
    dispatch_drain(server->dispatch, all_agents_ended, server);
    struct instant deadline = instant_after_ms(clock_now(), DRAIN_MS);
    while (!*hurry && !instant_reached(deadline, clock_now())) {
        struct pollfd poll_fd = {.fd = server->drained, .events = POLLIN};
        if (poll(&poll_fd, 1, DRAIN_POLL_MS) > 0) { /* short, to see a second signal */
            return;
        }
    }
    if (server->http) { /* else nobody could start any */
        log_warn("not all agents ended in time: they are killed", NULL);
    }
}

void server_stop(struct server *server, volatile const int *hurry)
{
    if (server->http) {
        http_close(server->http);
        broadcast(server, BROADCAST_SHUTDOWN, NULL, false);
    }
    watch_stop(server->watch);
    if (server->dispatch_started) {
        drain_agents(server, hurry);
    }
    agent_stream_stop(server->agents);
    files_stop(server->files, FILES_GRACE_MS);
    if (server->dispatch_started) {
        dispatch_stop(server->dispatch);
    }
    /* The timer's last deadlines and history's last answers go into mailboxes that are still there. */
    timer_stop(server->timer);
    struct journal *journal = server->journal;
    journal_stop(journal);
    for (uint32_t i = 0; i < server->sockets_started; i++) {
        socket_stop(server->sockets[i], *hurry ? 0 : SOCKET_GRACE_MS);
    }
    deflate_stop(server->deflate);
    deflate_free(server->deflate);
    http_stop(server->http);
    maintenance_stop(server->maintenance);
    wirelog_stop(server->wirelog);
    history_stop(server->history);
    files_free(server->files);
    agent_stream_free(server->agents);
    dispatch_free(server->dispatch);
    maintenance_free(server->maintenance);
    http_free(server->http);
    for (uint32_t i = 0; i < server->limits.socket_threads; i++) {
        socket_free(server->sockets[i]);
    }
    watch_free(server->watch);
    topic_put(server->feed);
    rcu_barrier(); /* topics, chunks, configurations that were retired are gone before the maps are */
    topic_map_free(server->topics);
    config_store_free(server->config);
    rcu_barrier();
    credit_pool_free(server->credit);
    credit_pool_free(server->uploads);
    if (server->store) {
        server->store->operations->close(server->store);
    }
    fd_close(server->drained);
    free(server->guard_path);
    free(server);
}
