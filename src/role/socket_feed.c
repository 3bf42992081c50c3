/* All sessions at a glance: who watches the feed catches up with it by a list of the sessions. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "socket_internal.h"

struct list_id *subscription_list_id(struct subscription *feed)
{
    struct list_id *id = feed->list_ids;
    if (id) {
        feed->list_ids = id->next;
        feed->client->in_flight--;
    }
    return id;
}

static bool want_list(struct subscription *feed, const char *id)
{
    struct list_id *wanted = malloc(sizeof(*wanted) + strlen(id) + 1);
    if (!wanted) {
        return false;
    }
    wanted->next = NULL;
    memcpy(wanted->id, id, strlen(id) + 1);
    struct list_id **last = &feed->list_ids;
    while (*last) {
        last = &(*last)->next;
    }
    *last = wanted;
    feed->client->in_flight++;
    return true;
}

void subscription_watch_all(struct client *client, const char *id)
{
    struct subscription *feed = client->subscriptions;
    while (feed && !feed->feed) {
        feed = feed->next;
    }
    if (!feed) {
        feed = subscription_new(client, client->thread->wiring.feed);
        if (!feed) {
            client_drop(client);
            return;
        }
        feed->feed = true;
    }
    if (id && !want_list(feed, id)) {
        client_drop(client);
        return;
    }
    /* Each id is answered by a list of its own; who gave none is answered by one that is under way.
     */
    feed->list_due = feed->list_due || id || !feed->asked;
    subscription_due(feed);
}

void subscription_ask_list(struct subscription *feed)
{
    struct client *client = feed->client;
    struct socket_thread *thread = client->thread;
    struct topic *topic = feed->watched->topic;
    struct list_request *request;
    if (list_request_new(&request)) {
        client_drop(client);
        return;
    }
    /* The list is made after this look at the head, so it holds all that went before. A dialect
     * gets all that is still there: it has nothing of what waits in a list of sessions. */
    if (!client->speech || feed->cursor < atomic_load(&topic->first)) {
        feed->cursor = atomic_load(&topic->head) + 1;
    }
    request->reply_to = thread->box;
    request->reply_kind = CLIENT_MAIL_LIST;
    request->cookie[0] = client->serial;
    request->cookie[1] = feed->serial;
    request->limit = 200;
    request->mail.kind = MAINTENANCE_LIST;
    feed->asked = true;
    feed->list_due = false;
    client->in_flight++; /* so who asks for one after the other is not read */
    mailbox_push(thread->wiring.maintenance, &request->mail);
}

void subscription_list(struct socket_thread *thread, struct list_request *request)
{
    struct client *client = client_find(thread, request->cookie[0]);
    if (client) {
        client->in_flight--;
        client_update_interest(client);
    }
    struct subscription *subscription = subscription_find_asked(thread, request->cookie);
    if (!subscription) {
        list_request_free(request);
        return;
    }
    subscription->asked = false;
    if (request->result) {
        struct answer answer = {.code = ANSWER_STORAGE_UNAVAILABLE,
                                .message = strdup("the list could not be read")};
        struct list_id *id = subscription_list_id(subscription);
        do {
            client_answer(client, &answer, id ? id->id : NULL);
            free(id);
        } while (client->state == CLIENT_OPEN && (id = subscription_list_id(subscription)));
        answer_clear(&answer);
        if (client->state == CLIENT_OPEN) { /* else it has ended with the client */
            subscription_end(subscription);
        }
        list_request_free(request);
        return;
    }
    struct list_id *id = subscription_list_id(subscription);
    subscription->list_due = subscription->list_ids;
    struct buffer *text = &thread->scratch;
    buffer_reset(text);
    buffer_text(text, "{\"type\":\"sessions\"");
    json_field_string(text, "id", id ? id->id : NULL);
    json_key(text, "items");
    buffer_byte(text, '[');
    buffer_append(text, request->items.data, request->items.length);
    buffer_byte(text, ']');
    if (request->next[0]) {
        json_field_string(text, "next", request->next);
    }
    buffer_byte(text, '}');
    free(id);
    list_request_free(request);
    client_send(client, text);
    if (client->state == CLIENT_OPEN) {
        subscription_due(subscription);
    }
}
