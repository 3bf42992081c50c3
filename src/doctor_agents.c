/* The agent-stream thread as in the server; here main is its dispatcher, and listens to what is said on the wire. */
#define _GNU_SOURCE
#include "doctor_agents.h"

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/rcu.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/wirelog.h"
#include "signalbox/role/agent.h"
#include "version.h"

enum {
    AT_ONCE = 2, /* real agents take hundreds of megabytes */
    ERRORS_KEPT = 5,
    ERRORS_LINE = 300,
    WALK_DESCRIPTORS = 16,
};

/* An agent that is being tried. */
struct probe {
    struct doctor_agent *found;
    struct topic *topic;
    struct wirelog_run *run; /* between its two mails */
    char *workspace;
    bool running, over;
    bool ready, told; /* it has its session; it was told to end */
    bool too_late;
    struct instant deadline, told_at;
    /* ids of our requests, and when they went out; -1: they did not yet */
    int64_t hello_id, hello_at, session_id, session_at;
    char errors[ERRORS_KEPT][ERRORS_LINE];
    size_t error_count, garbage_count;
    char garbage[ERRORS_LINE];
};

struct trial {
    const struct config *config;
    struct config_store *store;
    struct credit_pool *credit;
    struct mailbox *inbox, *wire;
    struct agent_stream *stream;
    struct json_parser *parser;
    char *guard_path;
    struct probe *probes;
    size_t count;
};

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = value ? strdup(value) : NULL;
}

__attribute__((format(printf, 2, 3))) static void set_format(char **text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(*text);
    if (vasprintf(text, format, arguments) < 0) {
        *text = NULL;
    }
    va_end(arguments);
}

/* ---- The folder ---- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

static char *make_workspace(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/signalbox-doctor-XXXXXX", base && base[0] == '/' ? base : "/tmp") < 0) {
        return NULL;
    }
    char *made = mkdtemp(path) ? realpath(path, NULL) : NULL;
    free(path);
    return made;
}

static void remove_workspace(struct probe *probe)
{
    if (probe->workspace) {
        nftw(probe->workspace, remove_entry, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        free(probe->workspace);
        probe->workspace = NULL;
    }
}

/* ---- What is said on the wire ---- */

static void sent(struct probe *probe, struct json_object *message, int64_t ms)
{
    const char *method = json_get_string(message, "method");
    int64_t id;
    if (!method || !json_get_i64(message, "id", &id)) {
        return;
    }
    if (strcmp(method, "initialize") == 0) {
        probe->hello_id = id;
        probe->hello_at = ms;
    } else if (strcmp(method, "session/new") == 0) {
        probe->session_id = id;
        probe->session_at = ms;
    }
}

static void heard(struct probe *probe, struct json_object *message, int64_t ms)
{
    struct doctor_agent *found = probe->found;
    struct json_object *result = json_get(message, "result");
    int64_t id;
    if (json_get(message, "method") || !result || !json_get_i64(message, "id", &id)) {
        return;
    }
    if (id == probe->hello_id && !found->hello) {
        found->hello = json_object_get(result);
        found->hello_ms = ms;
    } else if (id == probe->session_id && !found->session) {
        found->session = json_object_get(result);
        found->session_ms = ms - probe->session_at;
    }
}

static void take_line(struct trial *trial, struct probe *probe, const struct wirelog_line *line)
{
    struct json_object *message = NULL;
    if (line->direction == WIRELOG_ERR) {
        snprintf(probe->errors[probe->error_count++ % ERRORS_KEPT], ERRORS_LINE, "%.*s", (int)line->length, line->text);
    } else if (!line->is_json || json_parse(trial->parser, line->text, line->length, &message)) {
        snprintf(probe->garbage, ERRORS_LINE, "%.*s", (int)line->length, line->text);
        probe->garbage_count++;
    } else if (line->direction == WIRELOG_OUT) {
        sent(probe, message, line->ms);
    } else {
        heard(probe, message, line->ms);
    }
    json_object_put(message);
}

static struct probe *probe_of(struct trial *trial, const char *session_id)
{
    for (size_t i = 0; i < trial->count; i++) {
        if (trial->probes[i].topic && strcmp(trial->probes[i].topic->session_id, session_id) == 0) {
            return &trial->probes[i];
        }
    }
    return NULL;
}

static void take_wire(struct trial *trial)
{
    for (struct mail *mail; (mail = mailbox_take(trial->wire));) {
        if (mail->kind == WIRELOG_BEGIN) {
            struct wirelog_run *run = container_of(mail, struct wirelog_run, begin);
            struct probe *probe = probe_of(trial, run->session_id);
            run->state = probe;
            probe->run = run;
        } else if (mail->kind == WIRELOG_LINE) {
            struct wirelog_line *line = container_of(mail, struct wirelog_line, mail);
            take_line(trial, line->run->state, line);
            wirelog_line_free(trial->wire, line);
        } else {
            struct wirelog_run *run = container_of(mail, struct wirelog_run, end);
            struct probe *probe = run->state;
            probe->run = NULL;
            probe->over = true; /* everything of it is gone, and nothing more is said */
            wirelog_run_free(run);
        }
    }
}

/* ---- What the dispatcher would hear ---- */

static void tell_end(struct trial *trial, struct probe *probe, enum agent_order_kind kind)
{
    struct agent_order *order = calloc(1, sizeof(*order));
    if (order) {
        order->mail.kind = AGENT_MAIL_ORDER;
        order->topic = topic_get(probe->topic);
        order->run = 1;
        order->kind = kind;
        mailbox_push(agent_stream_mailbox(trial->stream), &order->mail);
    }
    probe->told = true;
    probe->told_at = clock_now();
}

static void take_notice(struct trial *trial, struct probe *probe, const struct agent_notice *notice)
{
    struct doctor_agent *found = probe->found;
    switch (notice->kind) {
    case NOTICE_READY:
        probe->ready = true;
        found->state = DOCTOR_OK;
        tell_end(trial, probe, ORDER_STOP);
        break;
    case NOTICE_FAILED:
        if (!probe->too_late) {
            found->state = notice->auth_required ? DOCTOR_LOGIN : DOCTOR_FAILED;
            set_text(&found->reason, notice->message);
        }
        take_wire(trial); /* the run's beginning is in there, if it began at all */
        probe->over = probe->over || !probe->run;
        break;
    case NOTICE_EXITED:
        if (probe->ready && probe->told) {
            found->end_ms = instant_diff_ms(clock_now(), probe->told_at);
            found->killed = found->end_ms >= trial->config->agent_stop_grace_ms;
        } else if (probe->ready) {
            found->state = DOCTOR_FAILED;
            set_text(&found->reason, notice->message);
        }
        break;
    default:
        break;
    }
}

static void take_inbox(struct trial *trial)
{
    for (struct mail *mail; (mail = mailbox_take(trial->inbox));) {
        if (mail->kind == DISPATCH_AGENT_EVENT) {
            struct agent_event_mail *event = container_of(mail, struct agent_event_mail, mail);
            credit_give(event->credit, event->credit_bytes);
            credit_put(event->credit);
            event_discard(&event->event);
            topic_put(event->topic);
            free(event);
        } else {
            struct agent_notice_mail *notice = container_of(mail, struct agent_notice_mail, mail);
            struct probe *probe = probe_of(trial, notice->topic->session_id);
            take_notice(trial, probe, &notice->notice);
            agent_notice_clear(&notice->notice);
            topic_put(notice->topic);
            free(notice);
        }
    }
}

/* ---- One after the other ---- */

static enum err start(struct trial *trial, struct probe *probe, size_t number)
{
    static const struct topic_limits limits = {.tail_bytes = 4096, .tail_events = 16, .socket_threads = 1};
    char id[32];
    snprintf(id, sizeof(id), "doctor-%zu", number);
    enum err err = topic_new(&probe->topic, id, "doctor", (int64_t)number + 1, 0, &limits);
    if (err) {
        return err;
    }
    struct agent_start *order = calloc(1, sizeof(*order));
    if (!order) {
        return ERR_NOMEM;
    }
    order->mail.kind = AGENT_MAIL_START;
    order->topic = topic_get(probe->topic);
    order->run = 1;
    order->agent = strdup(probe->found->name);
    order->workspace = strdup(probe->workspace);
    if (!order->agent || !order->workspace) {
        agent_start_free(order);
        return ERR_NOMEM;
    }
    mailbox_push(agent_stream_mailbox(trial->stream), &order->mail);
    return ERR_OK;
}

static void begin(struct trial *trial, struct probe *probe, size_t number)
{
    struct doctor_agent *found = probe->found;
    const struct config_agent *agent = config_agent(trial->config, found->name);
    char reason[CONFIG_REASON_SIZE];
    probe->running = true;
    set_text(&found->install, agent->install);
    enum err err = config_agent_program(trial->config, agent, &found->program, reason);
    if (err) {
        found->state = err == ERR_NOENT ? DOCTOR_ABSENT : DOCTOR_FAILED;
        set_text(&found->reason, reason);
        probe->over = true;
        return;
    }
    found->state = DOCTOR_FAILED;
    probe->workspace = make_workspace();
    if (!probe->workspace) {
        set_format(&found->reason, "no folder for it to work in can be made: %s", err_text(err_from_errno(errno)));
        probe->over = true;
        return;
    }
    probe->deadline = instant_after_ms(clock_now(), trial->config->agent_start_timeout_ms);
    err = start(trial, probe, number);
    if (err) {
        set_text(&found->reason, err_text(err));
        probe->over = true;
    }
}

static void check_deadline(struct trial *trial, struct probe *probe)
{
    if (!probe->running || probe->over || probe->ready || probe->too_late ||
        !instant_reached(probe->deadline, clock_now())) {
        return;
    }
    probe->too_late = true;
    set_format(&probe->found->reason, "It did not answer `%s` within %lld ms (agent-start-timeout-ms).",
               probe->found->hello ? "session/new" : "initialize", (long long)trial->config->agent_start_timeout_ms);
    tell_end(trial, probe, ORDER_KILL);
}

static void finish(struct probe *probe)
{
    struct doctor_agent *found = probe->found;
    struct buffer text = {0};
    size_t first = probe->error_count > ERRORS_KEPT ? probe->error_count - ERRORS_KEPT : 0;
    for (size_t i = first; i < probe->error_count; i++) {
        buffer_text(&text, i > first ? "\n" : "");
        buffer_text(&text, probe->errors[i % ERRORS_KEPT]);
    }
    found->errors = text.length ? buffer_take(&text) : NULL;
    buffer_free(&text);
    if (probe->garbage_count > 0) {
        char *before = found->reason;
        found->reason = NULL;
        set_format(&found->reason, "%s%sIt wrote %zu line%s to stdout that %s no JSON, such as: %s", before ? before : "",
                   before ? "\n" : "", probe->garbage_count, probe->garbage_count == 1 ? "" : "s",
                   probe->garbage_count == 1 ? "is" : "are", probe->garbage);
        free(before);
    }
    if (found->state == DOCTOR_OK && (found->killed || probe->garbage_count > 0)) {
        found->state = DOCTOR_NOTE;
    }
    remove_workspace(probe);
}

/* Starts what may start; true while there is something to wait for. */
static bool go_on(struct trial *trial, struct instant *wake)
{
    size_t running = 0;
    *wake = INSTANT_NEVER;
    for (size_t i = 0; i < trial->count; i++) {
        struct probe *probe = &trial->probes[i];
        if (!probe->running && running < AT_ONCE) {
            begin(trial, probe, i);
        }
        check_deadline(trial, probe);
        if (probe->running && !probe->over) {
            running++;
            *wake = probe->ready || probe->too_late ? *wake : instant_earlier(*wake, probe->deadline);
        }
    }
    return running > 0;
}

static bool try_all(struct trial *trial, int signal_fd)
{
    struct instant wake;
    while (go_on(trial, &wake)) {
        struct pollfd fds[] = {{.fd = mailbox_fd(trial->inbox), .events = POLLIN},
                               {.fd = mailbox_fd(trial->wire), .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
        (void)poll(fds, 3, clock_poll_timeout(wake));
        if (fds[2].revents) {
            return false;
        }
        mailbox_clear(trial->inbox);
        mailbox_clear(trial->wire);
        take_wire(trial);
        take_inbox(trial);
    }
    return true;
}

/* ---- The whole ---- */

static enum err open_trial(struct trial *trial)
{
    if (asprintf(&trial->guard_path, "%s/signalbox-guard", trial->config->program_dir ? trial->config->program_dir : "") <
        0) {
        trial->guard_path = NULL;
        return ERR_NOMEM;
    }
    trial->probes = calloc(trial->count + 1, sizeof(*trial->probes));
    if (!trial->probes) {
        return ERR_NOMEM;
    }
    struct config *mine = (struct config *)(uintptr_t)config_get(trial->config);
    enum err err = config_store_new(&trial->store, mine);
    if (err) {
        config_put(mine);
        return err;
    }
    log_set_level(LOG_LEVEL_ERROR); /* the report says the rest */
    err = credit_pool_new(&trial->credit, trial->config->credit_total_bytes);
    if (!err) {
        err = json_parser_new(&trial->parser, (int)trial->config->max_json_depth);
    }
    if (!err) {
        err = mailbox_new(&trial->inbox, "doctor", 0);
    }
    if (!err) {
        err = mailbox_new(&trial->wire, "wirelog", WIRELOG_BYTES_MAX);
    }
    if (!err) {
        const struct agent_wiring wiring = {.config = trial->store,
                                            .dispatch = trial->inbox,
                                            .credit = trial->credit,
                                            .guard_path = trial->guard_path,
                                            .version = SIGNALBOX_VERSION,
                                            .wirelog = trial->wire,
                                            .wirelog_always = true};
        err = agent_stream_start(&trial->stream, &wiring);
    }
    return err;
}

static void close_trial(struct trial *trial)
{
    agent_stream_stop(trial->stream);
    if (trial->inbox && trial->wire) {
        take_wire(trial);
        take_inbox(trial);
    }
    agent_stream_free(trial->stream);
    for (size_t i = 0; trial->probes && i < trial->count; i++) {
        finish(&trial->probes[i]);
        topic_put(trial->probes[i].topic);
    }
    rcu_barrier();
    config_store_free(trial->store);
    rcu_barrier();
    mailbox_free(trial->inbox);
    mailbox_free(trial->wire);
    credit_pool_free(trial->credit);
    json_parser_free(trial->parser);
    free(trial->probes);
    free(trial->guard_path);
}

enum err doctor_try_agents(const struct config *config, struct doctor_agent *agents, size_t count, int signal_fd,
                           bool *interrupted)
{
    struct trial trial = {.config = config, .count = count};
    enum err err = open_trial(&trial);
    for (size_t i = 0; trial.probes && i < count; i++) {
        agents[i].hello_ms = agents[i].session_ms = agents[i].end_ms = -1;
        agents[i].state = DOCTOR_FAILED;
        trial.probes[i] = (struct probe){.found = &agents[i], .hello_id = -1, .session_id = -1};
    }
    if (!err) {
        *interrupted = !try_all(&trial, signal_fd);
        for (size_t i = 0; *interrupted && i < count; i++) {
            if (!trial.probes[i].over) {
                trial.probes[i].too_late = true;
                set_text(&agents[i].reason, "It was not tried to the end.");
            }
        }
    } else {
        trial.count = trial.probes ? count : 0;
    }
    close_trial(&trial);
    return err;
}
