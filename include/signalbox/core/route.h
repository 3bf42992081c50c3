#pragma once
/*
 * The paths that the server serves over HTTP, beside its web pages: one table, which the handler
 * threads match requests with and /openapi.json is printed from.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/core/command.h"

enum route_id {
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_OPENAPI,
    ROUTE_THEME,
    ROUTE_WEBSOCKET,
    ROUTE_CLAUDECODEUI,
    ROUTE_FACTORY_FACTORY,
    ROUTE_LOGIN,
    ROUTE_LOGOUT,
    ROUTE_AGENTS,
    ROUTE_FOLDERS,
    ROUTE_SESSIONS,
    ROUTE_CREATE_SESSION,
    ROUTE_SESSION,
    ROUTE_CLOSE_SESSION,
    ROUTE_EVENTS,
    ROUTE_PROMPT,
    ROUTE_CANCEL,
    ROUTE_STORE_BLOB,
    ROUTE_BLOB,
    ROUTE_PERMISSIONS,
    ROUTE_PERMISSION_RESPONSE,
    ROUTE_DELETE_RULE,
    ROUTE_RULES,
    ROUTE_AUDIT,
    ROUTE_CRAFT_SESSIONS,
    ROUTE_CRAFT_CREATE,
    ROUTE_CRAFT_SESSION,
    ROUTE_CRAFT_DELETE,
    ROUTE_CRAFT_MESSAGE,
    ROUTE_CRAFT_ABORT,
    ROUTE_COUNT
};

/* A parameter of the query. */
struct route_query {
    const char *name;   /* NULL ends the list */
    const char *schema; /* JSON */
    const char *help;
};

struct route {
    enum route_id id;
    const char *method; /* GET also answers HEAD */
    const char *path;   /* each {name} is one segment */
    int command;        /* enum command_type of what is given to the dispatcher; -1 for none */
    bool changes;       /* it changes something: its Origin is checked */
    bool open;          /* served without authentication */
    int status;         /* of success */
    const char *summary;
    const char *request; /* name of the body's schema, NULL for no JSON body */
    bool any_body;       /* the body is content of any type */
    bool body_optional;
    const char *response; /* name of the answer's schema; NULL where it is no JSON of ours */
    bool response_array;  /* it is an array of those */
    const char *lines;    /* name of the schema of a line, where the answer also comes as application/x-ndjson */
    const char *media_type;          /* of the answer, where that is not application/json */
    const struct route_query *query; /* NULL for none */
};

size_t route_count(void);
const struct route *route_at(size_t index);

enum { ROUTE_VALUES_MAX = 2, ROUTE_VALUE_MAX = 256, ROUTE_ALLOW_SIZE = 64 };

struct route_match {
    const struct route *route;
    size_t value_count;
    char values[ROUTE_VALUES_MAX][ROUTE_VALUE_MAX + 1]; /* in the order of the template */
    char allow[ROUTE_ALLOW_SIZE]; /* for the header Allow: the methods of this path, `GET, HEAD,
                                     POST` */
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_PATH,   /* 404 */
    ROUTE_NO_METHOD, /* 405, with `allow` */
};

/* `path` is decoded, and without its query. */
enum route_result route_match(const char *method, const char *path, struct route_match *out);
