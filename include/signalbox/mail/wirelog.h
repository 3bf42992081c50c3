#pragma once
/*
 * What reaches the wirelog thread: every line between the server and an agent, to be kept in a file (or whoever else
 * listens: `signalbox doctor` hears what an agent answers). The sender never waits: where its mailbox has no room left,
 * a line is left out and counted.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/mailbox.h"
#include "signalbox/core/redact.h"

enum wirelog_mail_kind {
    WIRELOG_BEGIN = 1, /* struct wirelog_run, its `begin`: an agent is started */
    WIRELOG_LINE,      /* struct wirelog_line */
    WIRELOG_END,       /* struct wirelog_run, its `end`: its last mail; the receiver frees it */
    WIRELOG_PURGE,     /* struct wirelog_purge: everything of a session is to go */
};

enum wirelog_direction { WIRELOG_OUT, WIRELOG_IN, WIRELOG_ERR }; /* to the agent, from it, its stderr */

/* How a process of an agent ended, as far as it is to be kept. */
enum wirelog_ending {
    WIRELOG_ENDING_UNKNOWN,   /* or nobody wants it kept */
    WIRELOG_ENDING_BY_SERVER, /* it was told to end, or killed */
    WIRELOG_ENDING_EXITED,    /* by itself, with this status */
    WIRELOG_ENDING_KILLED,    /* by this signal, which was not ours */
};

/* One process of an agent. The sender makes it, and keeps it for as long as it sends lines; `begin` is its first mail
 * and `end` its last, and between them the receiver may use what is fixed. */
struct wirelog_run {
    struct mail begin, end;
    /* fixed */
    char *session_id, *agent;
    uint64_t run;
    int64_t started_at; /* wall ms */
    struct redact_secrets secrets;
    /* written by the sender before `end` */
    uint64_t missing; /* lines that were left out behind the last one */
    int64_t ended_ms; /* as wirelog_line.ms */
    enum wirelog_ending ending;
    int ending_code;
    /* the receiver's */
    void *state;
};
/* The texts are copied; `secrets` passes over on success. */
must_check enum err wirelog_run_new(struct wirelog_run **out, const char *session_id, const char *agent, uint64_t run,
                                    int64_t started_at, struct redact_secrets *secrets);
void wirelog_run_free(struct wirelog_run *run); /* NULL is fine */

struct wirelog_line {
    struct mail mail;
    struct wirelog_run *run;
    enum wirelog_direction direction;
    bool is_json;     /* json_parse took it */
    bool resumed;     /* lines before it were not to be kept */
    int64_t ms;       /* since the start of the run */
    uint64_t missing; /* lines that were left out just before it */
    size_t length;
    char text[]; /* without its line end */
};

/* The bytes of lines on their way that a mailbox for them has places for. */
enum { WIRELOG_BYTES_MAX = 32 * 1024 * 1024 };

/* Copies the line and sends it. False when there is no room or no memory: it is left out. Never blocks. `line` says all
 * but `mail` and `text`. */
must_check bool wirelog_line_send(struct mailbox *box, const struct wirelog_line *line, const char *text);
/* For the receiver: gives the room back. */
void wirelog_line_free(struct mailbox *box, struct wirelog_line *line);

struct wirelog_purge {
    struct mail mail;
    char session_id[];
};
must_check enum err wirelog_purge_new(struct wirelog_purge **out, const char *session_id);
