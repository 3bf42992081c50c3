#include "signalbox/role/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/deflate.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/log.h"
#include "socket_internal.h"

enum { EPOLL_EVENTS = 256, TICK_MS = 1000, STOP_TICK_MS = 50 };

/* ---- Mail ---- */

static void take_answer(struct socket_thread *thread, struct answer_mail *mail)
{
    struct client *client = client_find(thread, mail->serial);
    if (client) {
        client->in_flight--;
        if (mail->command == COMMAND_SUBSCRIBE) {
            subscription_refused(client, mail->session_id);
        } else if (mail->command == COMMAND_LIST_PERMISSIONS) {
            speech_listed(client);
        }
        client_answer(client, &mail->answer, mail->id);
        if (client->stream) {
            client_close(client, 3500, "the subscription was refused"); /* it has no other, and can ask for none */
        }
        client_update_interest(client);
    }
    answer_clear(&mail->answer);
    free(mail->id);
    free(mail->session_id);
    free(mail);
}

static void drop_unknown_logins(struct socket_thread *thread, struct client *client)
{
    const struct tokens *tokens = thread->config->tokens;
    if (tokens && !tokens_has_fingerprint(tokens, client->identity.user, client->identity.fingerprint)) {
        client_close(client, 3500, "no longer authenticated");
    }
}

static void put_in_slot(struct client *client, enum broadcast_slot slot, struct frame *frame)
{
    frame_put(client->slots[slot]);
    client->slots[slot] = frame;
    client_ready(client);
}

static struct frame *goodbye(struct socket_thread *thread)
{
    /* Each at another moment, so that they do not all come back in the same second. */
    int64_t spread = thread->config->reconnect_spread_ms;
    char text[96];
    int length = snprintf(text, sizeof(text), "{\"type\":\"shutting_down\",\"reconnectAfterMs\":%lld}",
                          (long long)(spread ? random() % (spread + 1) : 0));
    struct frame *frame = NULL;
    return frame_text(&frame, text, (size_t)length) == ERR_OK ? frame : NULL;
}

static void take_broadcast(struct socket_thread *thread, struct broadcast_mail *mail)
{
    frame_put(thread->lasting[mail->slot]);
    thread->lasting[mail->slot] = mail->lasts ? frame_get(mail->frame) : NULL;
    for (size_t i = 0; i < thread->client_slots; i++) {
        struct client *client = thread->clients[i];
        if (!client || client->state != CLIENT_OPEN) {
            continue;
        }
        if (mail->check_logins) {
            drop_unknown_logins(thread, client);
        }
        struct frame *frame = mail->slot == BROADCAST_SHUTDOWN ? goodbye(thread)
                              : mail->frame                    ? frame_get(mail->frame)
                                                               : NULL;
        if (frame && client->state == CLIENT_OPEN) {
            put_in_slot(client, mail->slot, frame);
        } else {
            frame_put(frame);
        }
    }
    frame_put(mail->frame);
    free(mail);
}

static void take_replaced(struct socket_thread *thread, struct replaced_mail *mail)
{
    struct client *client = client_find(thread, mail->serial);
    if (client) {
        client_close(client, 3504, "replaced by a newer connection of this client");
    }
    free(mail);
}

static void take_logout(struct socket_thread *thread, struct logout_mail *mail)
{
    for (size_t i = 0; i < thread->client_slots; i++) {
        struct client *client = thread->clients[i];
        if (client && !strcmp(client->identity.login, mail->login)) {
            client_close(client, 3500, "logged out");
        }
    }
    free(mail);
}

static void begin_stop(struct socket_thread *thread)
{
    thread->stopping = true;
    thread->stop_deadline = instant_after_ms(clock_now(), thread->stop_grace_ms);
    thread->next_tick = clock_now();
}

static void take_mail(struct socket_thread *thread, struct mail *mail)
{
    switch (mail->kind) {
    case CLIENT_MAIL_TAKE:
        client_take(thread, container_of(mail, struct client_take, mail));
        break;
    case CLIENT_MAIL_ANSWER:
        take_answer(thread, container_of(mail, struct answer_mail, mail));
        break;
    case CLIENT_MAIL_SUBSCRIBED:
        subscription_begin(thread, container_of(mail, struct subscribed_mail, mail));
        break;
    case CLIENT_MAIL_POKE:
        subscription_poked(thread, container_of(mail, struct topic_poke, mail));
        break;
    case CLIENT_MAIL_HISTORY:
        subscription_history(thread, container_of(mail, struct history_request, mail));
        break;
    case CLIENT_MAIL_LIST:
        subscription_list(thread, container_of(mail, struct list_request, mail));
        break;
    case CLIENT_MAIL_BROADCAST:
        take_broadcast(thread, container_of(mail, struct broadcast_mail, mail));
        break;
    case CLIENT_MAIL_REPLACED:
        take_replaced(thread, container_of(mail, struct replaced_mail, mail));
        break;
    case CLIENT_MAIL_LOGOUT:
        take_logout(thread, container_of(mail, struct logout_mail, mail));
        break;
    default:
        CHECK(mail->kind == CLIENT_MAIL_GATE);
        begin_stop(thread);
    }
}

/* ---- The round ---- */

static void take_event(struct socket_thread *thread, const struct epoll_event *event)
{
    if (event->data.ptr == thread) {
        mailbox_clear(thread->box); /* the mail itself is taken each round */
        return;
    }
    struct client *client = event->data.ptr;
    if (client->state == CLIENT_DEAD) {
        return;
    }
    if (event->events & EPOLLOUT) {
        client->blocked = false;
        client_ready(client);
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        client_read(client);
        if ((event->events & (EPOLLHUP | EPOLLERR)) && client->state != CLIENT_DEAD) {
            client_drop(client);
        }
    }
}

/* The clients that are left: told to come back, then waited for until the deadline. */
static void stop_step(struct socket_thread *thread)
{
    for (size_t i = 0; i < thread->client_slots; i++) {
        struct client *client = thread->clients[i];
        if (client && client->state == CLIENT_OPEN && !client->due && !client->partial.length) {
            client_close(client, 3000, "server is stopping");
        }
    }
}

static void tick(struct socket_thread *thread)
{
    struct instant now = clock_now();
    if (!instant_reached(thread->next_tick, now)) {
        return;
    }
    thread->next_tick = instant_after_ms(now, thread->stopping ? STOP_TICK_MS : TICK_MS);
    for (size_t i = 0; i < thread->client_slots; i++) {
        struct client *client = thread->clients[i];
        if (client && client->state != CLIENT_DEAD) {
            client_tick(client, now);
        }
    }
    if (thread->stopping) {
        stop_step(thread);
    }
}

static bool is_done(const struct socket_thread *thread)
{
    return thread->stopping && (!thread->client_count || instant_reached(thread->stop_deadline, clock_now()));
}

static void socket_run(void *context)
{
    struct socket_thread *thread = context;
    thread_check(THREAD_SOCKET);
    struct epoll_event events[EPOLL_EVENTS];
    while (!is_done(thread)) {
        int timeout = thread->ready ? 0 : clock_poll_timeout(thread->next_tick);
        int count = epoll_wait(thread->epoll, events, EPOLL_EVENTS, timeout);
        thread->config = config_current_get(thread->wiring.config);
        for (int i = 0; i < count; i++) {
            take_event(thread, &events[i]);
        }
        for (struct mail *mail; (mail = mailbox_take(thread->box));) {
            take_mail(thread, mail);
        }
        write_round(thread);
        tick(thread);
        client_bury_dead(thread);
        config_put(thread->config);
        thread->config = NULL;
    }
    thread->config = config_current_get(thread->wiring.config);
    for (size_t i = 0; i < thread->client_slots; i++) {
        if (thread->clients[i]) {
            client_drop(thread->clients[i]);
        }
    }
    client_bury_dead(thread);
    config_put(thread->config);
}

/* ---- Life ---- */

enum err socket_new(struct socket_thread **out, uint32_t index)
{
    struct socket_thread *thread = calloc(1, sizeof(*thread));
    if (!thread) {
        return ERR_NOMEM;
    }
    thread->wiring.index = index;
    thread->epoll = -1;
    thread->ready_last = &thread->ready;
    thread->gate.mail.kind = CLIENT_MAIL_GATE;
    enum err err = mailbox_new(&thread->box, "socket", 0);
    if (err) {
        free(thread);
        return err;
    }
    *out = thread;
    return ERR_OK;
}

struct mailbox *socket_mailbox(struct socket_thread *thread)
{
    return thread->box;
}

static enum err writer_start(struct socket_thread *thread, enum config_socket_writes how)
{
    char why[WRITER_WHY_SIZE];
    enum err err = writer_new(&thread->writer, how != SOCKET_WRITES_SEND, why);
    if (err == ERR_UNSUPPORTED && how == SOCKET_WRITES_AUTO) {
        if (thread->wiring.index == 0) { /* once, not for each thread */
            log_info("sockets are written one by one", "reason", "%s", why, NULL);
        }
        err = writer_new(&thread->writer, false, why);
    }
    if (err) {
        log_error("sockets cannot be written as `socket-writes` says", "reason", "%s", why, NULL);
    }
    return err;
}

enum err socket_start(struct socket_thread *thread, const struct socket_wiring *wiring)
{
    uint32_t index = thread->wiring.index;
    thread->wiring = *wiring;
    thread->wiring.index = index;
    const struct config *config = config_current_get(wiring->config);
    int depth = (int)config->max_json_depth;
    enum config_socket_writes how = config->socket_writes;
    config_put(config);
    enum err err = json_parser_new(&thread->parser, depth);
    if (err) {
        return err;
    }
    err = writer_start(thread, how);
    if (err) {
        return err;
    }
    thread->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (thread->epoll < 0) {
        return err_from_errno(errno);
    }
    thread->epoll = fd_lift(thread->epoll);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = thread};
    if (thread->epoll < 0 || epoll_ctl(thread->epoll, EPOLL_CTL_ADD, mailbox_fd(thread->box), &event)) {
        return err_from_errno(errno);
    }
    thread->next_tick = instant_after_ms(clock_now(), TICK_MS);
    return thread_start(&thread->thread, THREAD_SOCKET, (int)index, true, socket_run, thread);
}

void socket_stop(struct socket_thread *thread, int64_t grace_ms)
{
    thread->stop_grace_ms = grace_ms;
    mailbox_push(thread->box, &thread->gate.mail);
    thread_join(&thread->thread);
}

/* What came after the end. */
static void discard(struct mail *mail)
{
    switch (mail->kind) {
    case CLIENT_MAIL_TAKE: {
        struct client_take *take = container_of(mail, struct client_take, mail);
        fd_close(take->fd);
        free(take);
        break;
    }
    case CLIENT_MAIL_ANSWER: {
        struct answer_mail *answer = container_of(mail, struct answer_mail, mail);
        answer_clear(&answer->answer);
        free(answer->id);
        free(answer->session_id);
        free(answer);
        break;
    }
    case CLIENT_MAIL_SUBSCRIBED: {
        struct subscribed_mail *subscribed = container_of(mail, struct subscribed_mail, mail);
        topic_put(subscribed->topic);
        frame_put(subscribed->frame);
        free(subscribed);
        break;
    }
    case CLIENT_MAIL_POKE:
        topic_put(container_of(mail, struct topic_poke, mail)->topic);
        break;
    case CLIENT_MAIL_HISTORY:
        history_request_free(container_of(mail, struct history_request, mail));
        break;
    case CLIENT_MAIL_LIST:
        list_request_free(container_of(mail, struct list_request, mail));
        break;
    case CLIENT_MAIL_BROADCAST:
        frame_put(container_of(mail, struct broadcast_mail, mail)->frame);
        free(container_of(mail, struct broadcast_mail, mail));
        break;
    case CLIENT_MAIL_REPLACED:
        free(container_of(mail, struct replaced_mail, mail));
        break;
    case CLIENT_MAIL_LOGOUT:
        free(container_of(mail, struct logout_mail, mail));
        break;
    default:
        break; /* the gate's mail is a part of the thread */
    }
}

void socket_free(struct socket_thread *thread)
{
    if (!thread) {
        return;
    }
    for (struct mail *mail; (mail = mailbox_take(thread->box));) {
        discard(mail);
    }
    mailbox_free(thread->box);
    for (int slot = 0; slot < BROADCAST_SLOTS; slot++) {
        frame_put(thread->lasting[slot]);
    }
    fd_close(thread->epoll);
    json_parser_free(thread->parser);
    json_parser_free(thread->event_parser);
    reader_free(thread->spare_reader);
    inflater_free(thread->inflater);
    writer_free(thread->writer);
    free(thread->clients);
    free(thread->generations);
    free(thread->free_slots);
    buffer_free(&thread->scratch);
    free(thread);
}
