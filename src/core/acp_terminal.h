#pragma once
/*
 * terminal/create and so on (ACP): commands that the agent has its host run, and their output. The processes are
 * elsewhere (struct acp_sink); here is what was asked, what came out, and who waits for the end.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/delta.h"

struct acp_peer;
struct acp_tool;

enum {
    ACP_TERMINALS_MAX = 32,        /* not released, of one agent */
    ACP_TERMINAL_WAITERS_MAX = 64, /* of one terminal */
    /* Bytes of output that are kept of each, if the agent does not want less. */
    ACP_TERMINAL_OUTPUT_MAX = 1024 * 1024,
    /* So much is kept in any case, for a tool call that shows the terminal a little later. */
    ACP_TERMINAL_OUTPUT_MIN = 64 * 1024,
    ACP_TERMINAL_WORDS_MAX = 4096, /* arguments, and variables of the environment */
};

struct acp_terminal {
    struct acp_terminal *next;
    uint64_t number;
    char id[48];   /* what the agent calls it */
    bool starting; /* `request` is to be answered when the command runs, or cannot */
    struct json_object *request;
    size_t limit;             /* of terminal/output, bytes */
    struct delta_text output; /* its end; mended */
    uint64_t dropped;         /* bytes before it */
    bool exited;
    int code;                                              /* -1: it was ended by `signal` */
    int signal;                                            /* 0 where nobody knows */
    struct json_object *waiters[ACP_TERMINAL_WAITERS_MAX]; /* ids of open wait_for_exit */
    size_t waiter_count;
};

struct acp_terminals {
    struct acp_terminal *list; /* newest first */
    size_t count;
    uint64_t last_number;
};
void acp_terminals_free(struct acp_terminals *terminals);

void acp_terminal_create(struct acp_peer *peer, struct json_object *id, struct json_object *params);
void acp_terminal_output(struct acp_peer *peer, struct json_object *id, struct json_object *params);
void acp_terminal_wait(struct acp_peer *peer, struct json_object *id, struct json_object *params);
void acp_terminal_kill(struct acp_peer *peer, struct json_object *id, struct json_object *params);
void acp_terminal_release(struct acp_peer *peer, struct json_object *id,
                          struct json_object *params);
/* $/cancel_request: true if the id is one of these. */
bool acp_terminal_withdraw(struct acp_peer *peer, struct json_object *id);

/* The tool call's content may name terminals: their output, so far and to come, becomes its own. */
void acp_terminal_attach(struct acp_peer *peer, struct acp_tool *tool);
