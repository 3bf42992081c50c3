/* Clients that keep their id: of two connections with one id the older one is replaced. */
#include "dispatch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/need.h"

struct known_client {
    struct rcu_map_node node;
    struct rcu_head rcu;
    struct mailbox *box;
    uint64_t serial, arrived;
    char key[USER_MAX + 1 + CLIENT_ID_MAX + 1];
};

static void known_client_free(struct rcu_head *head)
{
    free(container_of(head, struct known_client, rcu));
}

enum err dispatch_clients_new(struct dispatch *dispatch)
{
    return rcu_map_new(&dispatch->clients, 16384);
}

void dispatch_take_client(struct dispatch *dispatch, struct client_note *note)
{
    char key[USER_MAX + 1 + CLIENT_ID_MAX + 1];
    snprintf(key, sizeof(key), "%s\n%s", note->identity.user, note->identity.client_id);
    rcu_read_lock();
    struct rcu_map_node *node = rcu_map_find(dispatch->clients, key);
    rcu_read_unlock(); /* this thread is the map's only writer, so what was found stays */
    struct known_client *known = node ? container_of(node, struct known_client, node) : NULL;

    if (note->gone) {
        if (known && known->box == note->box && known->serial == note->serial) {
            rcu_map_remove(dispatch->clients, &known->node);
            rcu_retire(&known->rcu, known_client_free);
        }
    } else if (known) {
        /* Two connections go through two handler threads and two socket threads: the older one may come here last. */
        bool newer = note->arrived >= known->arrived;
        struct replaced_mail *mail = need_zero(sizeof(*mail));
        mail->mail.kind = CLIENT_MAIL_REPLACED;
        mail->serial = newer ? known->serial : note->serial;
        mailbox_push(newer ? known->box : note->box, &mail->mail);
        if (newer) {
            known->box = note->box;
            known->serial = note->serial;
            known->arrived = note->arrived;
        }
    } else {
        known = need_zero(sizeof(*known));
        memcpy(known->key, key, sizeof(key));
        known->node.key = known->key;
        known->box = note->box;
        known->serial = note->serial;
        known->arrived = note->arrived;
        need_ok(rcu_map_add(dispatch->clients, &known->node));
    }
    free(note);
}

static void client_visit(struct rcu_map_node *node, void *context)
{
    struct dispatch *dispatch = context;
    rcu_map_remove(dispatch->clients, node);
    rcu_retire(&container_of(node, struct known_client, node)->rcu, known_client_free);
}

void dispatch_clients_free(struct dispatch *dispatch)
{
    if (dispatch->clients) {
        rcu_read_lock();
        rcu_map_each(dispatch->clients, client_visit, dispatch);
        rcu_read_unlock();
        rcu_map_free(dispatch->clients);
    }
}
