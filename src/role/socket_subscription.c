/* Subscriptions: a client's cursor in a topic, and how one that is behind the tail catches up. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/pause.h"
#include "socket_internal.h"

enum { PREFETCHED = 8 }; /* so many watchers of a topic come from memory at once */

void subscription_due(struct subscription *subscription)
{
    struct client *client = subscription->client;
    if (!subscription->due_link) {
        subscription->due_next = NULL;
        subscription->due_link = client->due_last;
        *client->due_last = subscription;
        client->due_last = &subscription->due_next;
    }
    client_ready(client);
}

void subscription_not_due(struct subscription *subscription)
{
    struct client *client = subscription->client;
    if (!subscription->due_link) {
        return;
    }
    *subscription->due_link = subscription->due_next;
    if (subscription->due_next) {
        subscription->due_next->due_link = subscription->due_link;
    } else {
        client->due_last = subscription->due_link;
    }
    subscription->due_link = NULL;
    subscription->due_next = NULL;
}

/*
 * One client may watch thousands of sessions, and each piece that was read for it stays until its
 * socket takes it. So few are read at a time, in the order in which they were wanted.
 */
static void wait_to_ask(struct subscription *subscription)
{
    struct client *client = subscription->client;
    if (!subscription->wait_link) {
        subscription->wait_next = NULL;
        subscription->wait_link = client->waiting_last;
        *client->waiting_last = subscription;
        client->waiting_last = &subscription->wait_next;
    }
}

static void not_waiting(struct subscription *subscription)
{
    if (!subscription->wait_link) {
        return;
    }
    *subscription->wait_link = subscription->wait_next;
    if (subscription->wait_next) {
        subscription->wait_next->wait_link = subscription->wait_link;
    } else {
        subscription->client->waiting_last = subscription->wait_link;
    }
    subscription->wait_link = NULL;
    subscription->wait_next = NULL;
}

void subscription_wake(struct client *client)
{
    struct subscription *subscription = client->waiting;
    if (subscription && client->reads < READS_MAX) {
        not_waiting(subscription);
        subscription_due(subscription);
    }
}

void subscription_read_over(struct client *client)
{
    client->reads--;
    subscription_wake(client);
}

/* ---- A topic's watchers in this thread ---- */

static struct topic_poke *poke_of(struct socket_thread *thread, struct topic *topic)
{
    return &topic->pokes[thread->wiring.index];
}

static enum err watched_of(struct socket_thread *thread, struct topic *topic, struct watched **out)
{
    struct topic_poke *poke = poke_of(thread, topic);
    struct watched *watched = poke->watched;
    if (!watched) {
        watched = calloc(1, sizeof(*watched));
        if (!watched) {
            return ERR_NOMEM;
        }
        watched->topic = topic_get(topic);
        poke->watched = watched;
    }
    *out = watched;
    return ERR_OK;
}

static void watched_free_empty(struct socket_thread *thread, struct watched *watched)
{
    if (!watched->count) {
        poke_of(thread, watched->topic)->watched =
            NULL; /* a poke that is still on its way finds nothing to do */
        topic_put(watched->topic);
        free(watched->watchers);
        free(watched);
    }
}

static enum err watch_topic(struct socket_thread *thread, struct topic *topic,
                            struct subscription *subscription)
{
    struct watched *watched;
    enum err err = watched_of(thread, topic, &watched);
    if (err) {
        return err;
    }
    if (watched->count == watched->capacity) {
        size_t capacity = watched->capacity ? watched->capacity * 2 : 4;
        struct watcher *watchers = reallocarray(watched->watchers, capacity, sizeof(*watchers));
        if (!watchers) {
            watched_free_empty(thread, watched);
            return ERR_NOMEM;
        }
        watched->watchers = watchers;
        watched->capacity = capacity;
    }
    subscription->watched = watched;
    subscription->place = watched->count;
    watched->watchers[watched->count++] = (struct watcher){subscription, subscription->client};
    /* seq_cst: from here on the journal pokes; what it published before is found by the look at the
     * head that follows. */
    atomic_fetch_add(&poke_of(thread, topic)->watchers, 1);
    return ERR_OK;
}

static void unwatch_topic(struct socket_thread *thread, struct subscription *subscription)
{
    struct watched *watched = subscription->watched;
    struct watcher last = watched->watchers[--watched->count];
    watched->watchers[subscription->place] = last;
    last.subscription->place = subscription->place;
    atomic_fetch_sub(&poke_of(thread, watched->topic)->watchers, 1);
    watched_free_empty(thread, watched);
}

/* Thousands of connections are in no cache, and to look at one after the other is to wait for
 * memory most of the time. */
static void prefetch(const struct watched *watched, size_t from)
{
    for (size_t i = from; i < watched->count && i < from + PREFETCHED; i++) {
        __builtin_prefetch(watched->watchers[i].subscription);
        __builtin_prefetch(watched->watchers[i].client);
    }
}

void subscription_poked(struct socket_thread *thread, struct topic_poke *poke)
{
    (void)thread;
    /* Before the heads are looked at, so that what is published from now on pokes again. */
    atomic_exchange(&poke->flagged, 0);
    struct watched *watched = poke->watched;
    if (!watched) {
        topic_put(poke->topic); /* the mail's */
        return;
    }
    uint64_t head = atomic_load(&poke->topic->head);
    uint32_t version = atomic_load(&poke->topic->pending_version);
    bool erased = atomic_load(&poke->topic->erased);
    for (size_t i = 0; i < watched->count; i++) {
        if (i % PREFETCHED == 0) {
            prefetch(watched, i);
        }
        struct subscription *s = watched->watchers[i].subscription;
        if (!s->asked && (s->cursor <= head || s->pending_version != version || erased)) {
            subscription_due(s);
        }
    }
    topic_put(poke->topic); /* the mail's */
}

/* ---- Beginning and ending ---- */

struct subscription *subscription_find(struct client *client, const char *session_id)
{
    for (struct subscription *s = client->subscriptions; s; s = s->next) {
        if (!s->feed && !strcmp(s->watched->topic->session_id, session_id)) {
            return s;
        }
    }
    return NULL;
}

struct subscription *subscription_new(struct client *client, struct topic *topic)
{
    struct subscription *subscription = calloc(1, sizeof(*subscription));
    if (!subscription) {
        return NULL;
    }
    subscription->client = client;
    subscription->serial = ++client->thread->next_subscription;
    subscription->pending_version = atomic_load(&topic->pending_version);
    if (watch_topic(client->thread, topic, subscription)) {
        free(subscription);
        return NULL;
    }
    subscription->next = client->subscriptions;
    subscription->link = &client->subscriptions;
    if (subscription->next) {
        subscription->next->link = &subscription->next;
    }
    client->subscriptions = subscription;
    client->subscription_count++;
    metric_add(METRIC_SUBSCRIPTIONS, 1);
    return subscription;
}

void subscription_end(struct subscription *subscription)
{
    struct client *client = subscription->client;
    subscription_not_due(subscription);
    unwatch_topic(client->thread, subscription);
    *subscription->link = subscription->next;
    if (subscription->next) {
        subscription->next->link = subscription->link;
    }
    client->subscription_count--;
    metric_add(METRIC_SUBSCRIPTIONS, -1);
    not_waiting(subscription);
    if (subscription->read_back) {
        history_request_free(subscription->read_back);
        subscription_read_over(client);
    }
    for (struct list_id *id; (id = subscription_list_id(subscription));) {
        free(id);
    }
    free(subscription);
}

/* The server ends it. A stream has nothing else, and is closed with it. */
static void break_off(struct subscription *subscription, const char *reason, uint16_t code, const char *text_of_close)
{
    struct client *client = subscription->client;
    char session_id[SESSION_ID_MAX + 1];
    snprintf(session_id, sizeof(session_id), "%s", subscription->watched->topic->session_id);
    subscription_end(subscription);
    if (client->stream) {
        client_close(client, code, text_of_close);
        return;
    }
    struct buffer *text = &client->thread->scratch;
    buffer_reset(text);
    buffer_text(text, "{\"type\":\"unsubscribed\"");
    json_field_string(text, "sessionId", session_id);
    json_field_string(text, "reason", reason);
    buffer_byte(text, '}');
    client_send(client, text);
}

void subscription_erased(struct subscription *subscription)
{
    break_off(subscription, "erased", 1000, "the session was erased");
}

/* Whether the client still wants the session that its oldest unanswered subscribe of this name was
 * for. */
static bool still_expected(struct client *client, const char *session_id)
{
    struct expected **at = &client->expected;
    while (*at && strcmp((*at)->session_id, session_id)) {
        at = &(*at)->next;
    }
    struct expected *expected = *at;
    if (!expected) {
        return false;
    }
    bool wanted = !expected->dropped;
    *at = expected->next;
    free(expected);
    return wanted;
}

void subscription_refused(struct client *client, const char *session_id)
{
    (void)still_expected(client, session_id);
}

void subscription_begin(struct socket_thread *thread, struct subscribed_mail *mail)
{
    struct client *client = client_find(thread, mail->serial);
    if (client) {
        client->in_flight--;
        bool wanted = still_expected(client, mail->topic->session_id);
        if (wanted && client->state == CLIENT_OPEN) {
            struct subscription *before = subscription_find(client, mail->topic->session_id);
            if (before) {
                subscription_end(before);
            }
            struct subscription *subscription = subscription_new(client, mail->topic);
            if (subscription) {
                subscription->cursor = mail->from;
                subscription->head = mail->head;
                subscription->replay = mail->replay;
                subscription->stalls = client->stalls;
                if (mail->replay) {
                    catch_up_replay(subscription, mail->came_back);
                }
                pause_at(PAUSE_REGISTER_READ);
                client_send_frame(client, mail->frame); /* control messages go before events */
                if (client->history_none && !mail->replay && client->state == CLIENT_OPEN) {
                    speech_say_pending(client, mail->frame);
                }
                if (client->state == CLIENT_OPEN) {
                    subscription_due(subscription);
                }
            } else {
                client_drop(client);
            }
        }
        client_update_interest(client);
    }
    topic_put(mail->topic);
    frame_put(mail->frame);
    free(mail);
}

/* ---- Behind the tail ---- */

void subscription_ask(struct subscription *subscription)
{
    struct client *client = subscription->client;
    struct socket_thread *thread = client->thread;
    struct topic *topic = subscription->watched->topic;
    if (subscription->feed) {
        subscription_ask_list(subscription);
        return;
    }
    if (client->reads >= READS_MAX) {
        wait_to_ask(subscription);
        return;
    }
    struct history_request *request;
    if (history_request_new(&request)) {
        client_drop(client);
        return;
    }
    not_waiting(subscription);
    client->reads++;
    request->kind = HISTORY_FRAMES;
    request->reply_to = thread->box;
    request->reply_kind = CLIENT_MAIL_HISTORY;
    request->cookie[0] = client->serial;
    request->cookie[1] = subscription->serial;
    request->session_key = topic->session_key;
    request->from = subscription->cursor;
    request->to = subscription->fold_to;
    request->began = subscription->began;
    request->whole = subscription->began_whole;
    request->max_bytes = HISTORY_BYTES;
    request->dialect = client->speech ? client->speech->dialect : NULL;
    subscription->asked = true;
    mailbox_push(thread->wiring.history, &request->mail);
}

struct subscription *subscription_find_asked(struct socket_thread *thread, const uint64_t cookie[2])
{
    struct client *client = client_find(thread, cookie[0]);
    struct subscription *s = client ? client->subscriptions : NULL;
    while (s && s->serial != cookie[1]) {
        s = s->next;
    }
    return s && s->asked ? s : NULL;
}

void subscription_history(struct socket_thread *thread, struct history_request *request)
{
    struct subscription *subscription = subscription_find_asked(thread, request->cookie);
    if (!subscription) {
        struct client *client = client_find(thread, request->cookie[0]);
        if (client) {
            subscription_read_over(client);
        }
        history_request_free(request);
        return;
    }
    struct client *client = subscription->client;
    if (!request->result && deflate_piece(client, request)) {
        return;
    }
    subscription->asked = false;
    if (atomic_load(
            &subscription->watched->topic->erased)) { /* so there was nothing to be read, perhaps */
        history_request_free(request);
        subscription_read_over(client);
        subscription_due(subscription);
        return;
    }
    if (request->result == ERR_CORRUPT && !client->speech) { /* other sessions of the client do not suffer; dialects have no word for it */
        history_request_free(request);
        subscription_read_over(client);
        break_off(subscription, "damaged", 1011, "the session's log is damaged");
        return;
    }
    if (request->result || request->last < request->from) {
        /* What is numbered and visible is in the store, so this is a store that cannot be read. The
         * client comes back with its position, and finds out whether that helped. */
        history_request_free(request);
        subscription_read_over(client);
        client_close(client, 1011, "the history could not be read");
        return;
    }
    /* Before any of it is sent: where it may break off, a client is not whole. */
    topic_whole_from(subscription->watched->topic, request->whole_from);
    subscription->read_back = request;
    subscription_due(subscription);
}
