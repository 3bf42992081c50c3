#pragma once
/* What the files of the HTTP role share. CivetWeb itself is seen by http_civetweb.c only. */
#include <json-c/json.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/json.h"
#include "signalbox/base/thread.h"
#include "signalbox/core/command.h"
#include "signalbox/core/route.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"
#include "signalbox/role/http.h"
#include "signalbox/share/credit.h"

enum { HTTP_PATH_MAX = 1024, HTTP_PEER_SIZE = 48 };

/* One of CivetWeb's threads. Only it uses what is inside, but for the mailbox; freed by http_free,
 * since answers may come late. */
struct http_handler {
    struct http *http;
    struct mailbox *box;
    struct json_parser *parser;
    uint64_t serial; /* of the call whose answer is waited for */
    struct http_handler *next;
    /* Guarded by http->lock: */
    const struct http_request *reading; /* whose body is read; NULL: none */
    struct instant read_until;
    bool read_cut; /* that was over: its socket gives nothing more */
};

struct http_logins;
struct http_failures;
struct mg_context;

struct http {
    struct http_wiring wiring;
    struct mg_context *civetweb;
    atomic_int port; /* 0 until it is known: a handler may serve before http_start returns */
    atomic_bool refusing, stopping;
    _Atomic(uint64_t) upgrades; /* so many requests for a WebSocket so far */
    atomic_uint turn; /* which socket thread takes the next WebSocket */
    struct http_logins *logins;
    struct http_failures *failures;
    pthread_mutex_t lock; /* of `handlers`, what they read, and slow_look */
    struct http_handler *handlers;
    struct mailbox *slow_box; /* of the thread that ends what is read too long: only poked */
    struct thread slow_thread;
    struct instant slow_look; /* when it looks next */
    bool slow_used; /* something was read since it looked */
    atomic_int handler_count;
};

struct http_header {
    const char *name, *value;
};

/* A request while it is served. Texts are CivetWeb's and live as long. */
struct http_request {
    struct http *http;
    struct http_handler *handler;
    const struct config *config; /* referenced while the request is served */
    const char *method;
    char path[HTTP_PATH_MAX]; /* decoded; empty for one that is no path of ours */
    const char *query;        /* as it came; NULL for none */
    const struct http_header *headers;
    size_t header_count;
    char peer[HTTP_PEER_SIZE]; /* the client's address */
    int peer_port;
    bool upgrade;             /* asks for a WebSocket */
    long long content_length; /* -1 if it is not said (chunked) */
    void *connection;         /* CivetWeb's */
    struct route_match match;
    struct identity identity; /* after http_auth_check */
};

/* What is sent back. */
struct http_response {
    int status;
    const char *type;      /* Content-Type */
    struct buffer headers; /* further ones, each with its CRLF */
    struct buffer body;
    const void *fixed; /* a body that is not in `body`: static */
    size_t fixed_length;
    /* A body that is made while it is sent, `source_length` bytes in all: each call replaces what is in `piece` by the
     * next bytes, one at least; false breaks the connection off. NULL for none. */
    bool (*source)(struct http_request *request, void *context, struct buffer *piece);
    void *source_context; /* malloc'd; freed with the response */
    uint64_t source_length;
    bool close;       /* the connection cannot be used again */
    bool handed_over; /* nothing is sent: the socket belongs to somebody else */
    /* A body of any length, sent while it is made: `body` has its first part, and this puts the next one into it, emptied;
     * nothing for the end. False: there is no next one to be had, and the connection is cut, so that the client sees that
     * something is missing. NULL: `body` is all. */
    bool (*next_part)(struct http_request *request, struct http_response *response);
    void *parts; /* its own; freed by parts_free */
    void (*parts_free)(void *parts);
};

/* http.c */
void http_serve(struct http_request *request, struct http_response *response);
/* NULL if there is none; `*count` (may be NULL) gets how many there are. */
const char *http_header(const struct http_request *request, const char *name, size_t *count);
/* A parameter of the query, decoded, into `out`. false if there is none; one that does not fit is
 * cut to nothing. */
bool http_query(const struct http_request *request, const char *name, char *out, size_t size);
/* Decodes %XX. false for one that is malformed, a NUL, a slash (where `segments`), or too long. */
bool http_decode(const char *text, size_t length, bool segments, char *out, size_t size);
/* The thread's next mail with this serial, or NULL when nobody answered in time or the server
 * stops. Other mail is late, and freed. */
struct mail *http_wait(struct http_handler *handler, uint64_t serial);
enum { HTTP_MAIL_ANSWER = 1, HTTP_MAIL_HISTORY, HTTP_MAIL_LIST };
struct http_handler *http_handler_new(struct http *http, int *index);

/* http_civetweb.c */
must_check enum err http_civetweb_start(struct http *http, char *why, size_t why_size);
void http_civetweb_stop(struct http *http);
/* The whole body, at most `limit` bytes. It has http-request-timeout-ms, and a second more for each
 * HTTP_BODY_RATE bytes that came. ERR_TOOBIG, ERR_PIPE (it did not come whole), ERR_TIMEDOUT (not in
 * that time), ERR_NOMEM. */
enum { HTTP_BODY_RATE = 16 * 1024 };
must_check enum err http_read_body(struct http_request *request, size_t limit, struct buffer *body);

/* http_slow.c: a handler's reads have an end. By the handler's thread, and not nested: */
must_check enum err http_slow_start(struct http *http);
void http_slow_stop(struct http *http); /* `stopping` is set, and no handler reads any more */
void http_read_begin(struct http_request *request, struct instant until);
void http_read_extend(struct http_request *request, struct instant until);
/* True: it took too long, and the socket gives nothing more. */
bool http_read_end(struct http_request *request);

/* http_problem.c: makes the response a problem document. `message` may be NULL; `fields` are
 * further members. */
void http_problem(struct http_response *response, enum answer_code code, const char *message,
                  const char *field, const char *fields);
void http_problem_status(struct http_response *response, int status, enum answer_code code,
                         const char *message);
const char *http_status_text(int status);

/* http_auth.c */
must_check enum err http_auth_open(struct http *http);
void http_auth_close(struct http *http);
/* Who is asking, where from, and whether it may. False: the response says why not. */
bool http_auth_check(struct http_request *request, struct http_response *response);
/* True if the request names who is asking (or nobody needs to), for details that are not for
 * everybody. */
bool http_auth_known(struct http_request *request);
/* Ends every connection that was opened with this login. */
void http_end_connections(struct http *http, const char *login);
void http_login(struct http_request *request, struct http_response *response);
void http_logout(struct http_request *request, struct http_response *response);

/* http_login.c: the logins of browsers. Any handler thread. */
must_check enum err http_logins_open(struct http_logins **out, const char *data_directory);
void http_logins_free(struct http_logins *logins);
enum { HTTP_LOGIN_ID_SIZE = 23 };
/* A new login of this user; `id` is what its cookie has. */
must_check enum err http_logins_add(struct http_logins *logins, const char *user,
                                    const char *fingerprint, int64_t expires_at,
                                    char id[HTTP_LOGIN_ID_SIZE]);
/* Whose login this is, while its token is known and it has not expired. */
bool http_logins_find(struct http_logins *logins, const struct tokens *tokens, const char *id,
                      struct identity *identity);
/* `fingerprint` gets that of the login's id, there or not. */
void http_logins_remove(struct http_logins *logins, const char *id,
                        char fingerprint[TOKENS_FINGERPRINT_SIZE]);
/* Whether a login of this fingerprint is there. */
bool http_logins_has(struct http_logins *logins, const char *fingerprint);

/* Failed logins by address. */
struct http_failures *http_failures_new(void);
void http_failures_free(struct http_failures *failures);
void http_failures_add(struct http_failures *failures, const char *address);
/* True when this address has failed too often; `*seconds` says how long it is to wait. */
bool http_failures_over(struct http_failures *failures, const char *address, int64_t per_minute,
                        int *seconds);

/* http_rest.c, http_lists.c, http_static.c, http_upgrade.c */
void http_rest_command(struct http_request *request, struct http_response *response);
/* Gives `command` (owned) to the dispatcher and waits. ANSWER_OK, and *fields (malloc'd, the
 * caller's; may be NULL) has what the answer adds, without its first comma. Else the response is a
 * problem. */
bool http_ask_dispatcher(struct http_request *request, struct http_response *response,
                         struct command *command, char **fields);
/* The same for a command whose blob has taken so many bytes of `credit` (the reference passes on). */
bool http_ask_dispatcher_with(struct http_request *request, struct http_response *response, struct command *command,
                              struct credit *credit, uint32_t credit_bytes, char **fields);
/* The Idempotency-Key is one, or absent. False: the response says why not. */
bool http_key_allowed(const struct http_request *request, struct http_response *response);
/* The JSON body; an absent one is NULL and fine if `optional`. false: the response is a problem. */
bool http_json_body(struct http_request *request, struct http_response *response, bool optional,
                    struct json_object **body);
void http_agents(struct http_request *request, struct http_response *response);
void http_sessions(struct http_request *request, struct http_response *response);
/* http_folders.c */
void http_folders(struct http_request *request, struct http_response *response);
void http_events(struct http_request *request, struct http_response *response);
/* `limit` of the query: `fallback` without one, `most` at most. false: the response says what is wrong with it. */
bool http_read_limit(struct http_request *request, struct http_response *response, int64_t fallback,
                     int64_t most, int64_t *out);
/* Who was asked has not answered, or not with a result. */
void http_no_answer(struct http_request *request, struct http_response *response);
void http_store_problem(struct http_response *response, enum err err);
/* http_audit.c */
void http_rules(struct http_request *request, struct http_response *response);
void http_audit(struct http_request *request, struct http_response *response);
bool http_static(struct http_request *request, struct http_response *response);
void http_upgrade(struct http_request *request, struct http_response *response);
/* May one more connection be handed over? false: the response says why not. */
bool http_may_connect(struct http_request *request, struct http_response *response);
/* The request's socket, CivetWeb's no more. false: the response is a problem. */
bool http_take_socket(struct http_request *request, struct http_response *response, int *fd);
/* Gives it to one of the socket threads, in turn. Takes `take`. */
void http_hand_over(struct http *http, struct client_take *take);

/* http_blobs.c */
void http_blob(struct http_request *request, struct http_response *response);
void http_store_blob(struct http_request *request, struct http_response *response);

/* http_craft.c: the paths of craft's clients; their problems, in their form */
void http_craft(struct http_request *request, struct http_response *response);
void http_craft_problem(struct http_request *request, struct http_response *response);

/* http_lists.c: asks maintenance for the page that `list` describes (takes it). It comes back, whatever became of it; NULL:
 * nobody answers, and it is freed when it comes. */
struct list_request *http_ask_list(struct http_request *request, struct list_request *list);
/* http_lists.c: asks history (takes `question`); NULL: the response is a problem. */
struct history_request *http_ask_history(struct http_request *request, struct http_response *response,
                                         struct history_request *question);
/* The store's key of the session that the path names. */
bool http_find_key(struct http_request *request, struct http_response *response, int64_t *key);

/* http_stream.c: server-sent events (SSE) of the session that the request's path names, which exists. */
bool http_wants_stream(const struct http_request *request);
/* `epoch` empty: from the beginning. */
void http_stream(struct http_request *request, struct http_response *response, const char *epoch, uint64_t after);
