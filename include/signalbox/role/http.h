#pragma once
/*
 * The handler threads, which are CivetWeb's: REST, pages, login, and the WebSocket upgrade, after which the socket is
 * handed over to a socket thread (docs/architecture.md). Each handler thread has a mailbox of its own for answers.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/core/coding.h"
#include "signalbox/mail/client.h"
#include "signalbox/share/config.h"
#include "signalbox/share/credit.h"

/* A file of the page, inside the program (cmake/web.cmake). */
struct http_file {
    const char *path; /* "/assets/index-1a2b3c4d.js"; NULL ends a table */
    const char *tag;  /* of its plain bytes, hexadecimal */
    struct {
        const char *begin, *end; /* NULL: it is not there in that coding */
    } bytes[CODING_COUNT];
};
extern const struct http_file http_page[]; /* the program's; the tests have none */

struct http_wiring {
    struct config_store *config;
    struct mailbox *dispatch;    /* DISPATCH_COMMAND, each after a reservation of one place */
    struct mailbox *maintenance; /* MAINTENANCE_LIST */
    struct mailbox *history;     /* struct history_request */
    struct topic_map *topics;    /* read only; NULL in tests: no session is in memory */
    struct mailbox *const *socket_boxes; /* CLIENT_MAIL_TAKE, in turn */
    uint32_t socket_threads;
    struct credit_pool *uploads; /* of the content that is sent up and not committed yet */
    const struct http_file *files; /* what is served beside the routes */
    const char *version;
    /* The wiring's, called by handler threads with `context`: */
    void *context;
    void (*metrics)(void *context, struct buffer *out);            /* families that only the wiring can see */
    bool (*ready)(void *context, struct buffer *reasons);          /* false: `reasons` gets JSON members, comma first */
};

struct http;
/* Opens the port and serves. `why` gets a sentence on failure (`why_size` bytes), such as that the address is in use; it must be an
 * empty string before. */
must_check enum err http_start(struct http **out, const struct http_wiring *wiring, char *why, size_t why_size);
/* The port that is served: the configured one, or the one that the system chose for port 0. */
int http_port(const struct http *http);
/* Refuses new connections and upgrades from here on; requests in work go on. Main. */
void http_close(struct http *http);
/* Ends the handler threads; requests that still wait for an answer get `shutting_down`. The other roles' mailboxes must
 * still be there. NULL is fine. Main. */
void http_stop(struct http *http);
/* After http_stop, when everybody who may still answer a handler thread has ended too (history and maintenance answer
 * whatever they were asked): frees the threads' mailboxes with what is in them. NULL is fine. */
void http_free(struct http *http);
