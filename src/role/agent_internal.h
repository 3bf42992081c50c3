#pragma once
/*
 * What the files of the agent-stream thread share:
 *   agent.c          the thread and its mail
 *   agent_life.c     an agent's way from start to end, and what it has the dispatcher told
 *   agent_process.c  the guard: starting it, its lifeline, ending it
 *   agent_stream.c   stdin and stdout
 *   agent_errors.c   stderr
 *   agent_terminal.c commands that it has us run
 *   agent_files.c    files that it has us read and write
 *   agent_wirelog.c  what the wirelog thread is told
 *   agent_limits.c   what its processes may use (agent_limits.h)
 * Everything here belongs to the thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/heap.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/pace.h"
#include "signalbox/base/thread.h"
#include "signalbox/core/acp.h"
#include "signalbox/core/silence.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/files.h"
#include "signalbox/mail/wirelog.h"
#include "signalbox/role/agent.h"
#include "signalbox/share/config.h"
#include "signalbox/share/credit.h"

enum {
    AGENT_READ_BYTES = 64 * 1024, /* of one read */
    AGENT_TAIL_BYTES = 2048,      /* of stderr, kept for the last word */
    AGENT_LOG_LINE_BYTES = 1024,
    AGENT_LIFELINE_LINE_BYTES = 1200, /* the guard's lines have 1024 at most */
    AGENT_BUCKETS = 1024,
    /* The most that a pipe holds: who writes more after the guard's end has escaped it. */
    AGENT_LATE_BYTES_MAX = 1024 * 1024,
};

/* ---- The thread ---- */

enum agent_source_kind {
    AGENT_SOURCE_MAILBOX,
    AGENT_SOURCE_INPUT,
    AGENT_SOURCE_OUTPUT,
    AGENT_SOURCE_ERRORS,
    AGENT_SOURCE_LIFELINE,
    AGENT_SOURCE_GUARD, /* a pidfd: readable when the guard has ended */
    AGENT_SOURCE_TERMINAL_OUTPUT,
    AGENT_SOURCE_TERMINAL_LIFELINE,
    AGENT_SOURCE_TERMINAL_GUARD,
};

/* A descriptor of ours that epoll watches; -1 when it is closed. */
struct agent_source {
    enum agent_source_kind kind;
    int fd;
    struct agent *agent;
};

struct agent_stream {
    /* fixed */
    struct agent_wiring wiring;
    struct mailbox *box; /* shared */
    struct thread thread;
    struct mail stop;
    int64_t credit_bytes;
    /* the thread's */
    int epoll;
    struct agent_source mail_source;
    struct json_parser *parser;
    const struct config *config; /* the snapshot of this wake-up */
    struct instant now;          /* when this wake-up, or the last read in it, was */
    int64_t wall_ms;
    struct heap ticks, ends, hushes; /* of agents' tick, end and hush nodes */
    struct agent *buckets[AGENT_BUCKETS]; /* by topic */
    struct agent *dead; /* buried in this wake-up; an event of it may still name them */
    struct heap terminal_ends; /* of terminals' end nodes */
    struct agent_terminal *dead_terminals; /* as `dead` */
    size_t count, terminal_count, paused;
    struct agent *line_first, *line_last; /* agents that have more to say than their slice */
    struct instant rest_at;               /* when the thread is to rest, if it was at work till then */
    struct pace pace;                     /* how often it may be woken, */
    int64_t round_ms;                     /* and for how long not, where that is too often */
    bool stopping;
    struct instant stop_by;
    char scratch[AGENT_READ_BYTES];
};

/* Reads the clocks. */
void agent_stream_clock(struct agent_stream *stream);
/* Watches source->fd. Level-triggered if `events` are asked for; with none only changes of its state are told, so a
 * hang-up that nobody looks at does not spin. */
must_check enum err agent_source_add(struct agent_stream *stream, struct agent_source *source, uint32_t events);
void agent_source_watch(struct agent_stream *stream, struct agent_source *source, uint32_t events);
void agent_source_close(struct agent_stream *stream, struct agent_source *source);

/* ---- An agent ---- */

/* How the agent's own process ended, as its guard told. */
enum agent_fate { FATE_RUNNING, FATE_NOT_STARTED, FATE_EXITED, FATE_KILLED };

struct agent {
    struct agent_stream *stream;
    struct agent *next; /* in its bucket, or in the list of the dead */
    struct topic *topic;
    uint64_t run;
    char *workspace; /* absolute, without links */
    struct credit *credit;
    struct acp_peer *peer;
    struct agent_notice_mail *last; /* made at the start, so that no lack of memory can lose the last notice */
    struct heap_node tick;          /* acp_peer_deadline */
    struct heap_node end;           /* what is to be done about a guard that does not end */
    struct heap_node hush;          /* silence_deadline */
    struct silence silence;
    char *name;                     /* of its configuration */
    struct config_limits limits;    /* that it was started with */

    /* stdin: queue[written..] waits to be written */
    struct agent_source input;
    struct buffer queue;
    size_t written;
    size_t unread_answers; /* bytes of answers to the agent's own requests, queued since the queue was last empty */
    bool answering;        /* within acp_peer_message */
    bool input_closing;    /* close it when the queue is empty */

    /* stdout: pending[line_start..] is not processed yet, pending[line_start..scanned] has no line end; with line_found
     * it is at `scanned` */
    struct agent_source output;
    struct buffer pending;
    size_t line_start, scanned;
    size_t late_bytes; /* read after the guard was gone */
    bool line_found;
    bool paused;    /* until credit comes back, or its answers are read */
    bool unwatched; /* by epoll */
    bool in_line;   /* it had its slice, and its turn comes again */
    struct agent *before, *after; /* in that line */
    struct log_limit garbage_limit;

    /* stderr */
    struct agent_source errors;
    char error_line[AGENT_LOG_LINE_BYTES];
    size_t error_length;
    char tail[AGENT_TAIL_BYTES];
    size_t tail_length;
    struct log_limit errors_limit;

    /* the wire log: NULL where there is none */
    struct wirelog_run *wirelog;
    struct instant wirelog_since;
    uint64_t wirelog_missing; /* lines that it had no room for since the last one */
    bool wirelog_was_off;     /* a line was not to be kept since then */

    /* the guard */
    struct agent_source lifeline, guard;
    pid_t guard_pid;
    char line[AGENT_LIFELINE_LINE_BYTES];
    size_t line_length;
    enum agent_fate fate;
    int fate_code;     /* errno, exit status or signal */
    bool fate_own;     /* nobody had told it to end */
    char *fate_text;   /* FATE_NOT_STARTED: the guard's words */
    bool gone;         /* the guard is: nothing of the agent runs any more */
    bool reaped;
    bool guard_killed; /* by us: it hung */
    unsigned guard_rounds; /* of agent_guard_kill */

    /* what it has us run */
    struct agent_terminal *terminals;
    size_t terminal_count; /* those on their way out too */

    /* its end */
    char why[160];       /* ours, if it is we who end it; else empty */
    char *cancelled_turn; /* the last one that an ORDER_CANCEL named; NULL for none */
    bool doomed;         /* it is to be killed and not to be heard any more */
    bool given_up;       /* it is to be stopped: it cannot be talked to */
    bool stop_told;      /* the guard knows, */
    bool quit;           /* but only after the agent's own end of a pipe was gone, */
    struct instant kills_at; /* and kills from then on */
    bool out_of_memory;
    bool peer_ended;
    bool buried;
};

/* agent_life.c */

struct agent **agent_bucket(struct agent_stream *stream, const struct topic *topic);
/* Not yet in its bucket and without a process. */
must_check enum err agent_new(struct agent **out, struct agent_stream *stream, const struct agent_start *start);
void agent_free(struct agent *agent);
/* Fills `mail`, which passes on; the notice's contents pass too. */
void agent_push_notice(struct agent_stream *stream, struct agent_notice_mail *mail, struct topic *topic, uint64_t run,
                       const struct agent_notice *notice);
/* After all that it said: tells the watchers, once. */
void agent_end_peer(struct agent *agent);
/* Takes it out of everything; it is freed at the end of the wake-up. */
void agent_bury(struct agent *agent);
/* Looks what became of the agent and does what follows; after every call that may have changed anything. */
void agent_settle(struct agent *agent);
/* A line of it was read: a sign of life. */
void agent_heard(struct agent *agent);
/* The `hush` node is due. */
void agent_silent(struct agent *agent);
/* It is to be killed, for this reason (the first one counts), and not to be heard any more. Done by agent_settle. */
void agent_doom(struct agent *agent, const char *why);

/* agent_process.c */

/* Why an agent could not be started: for people, and a code of enum answer_code's names. */
struct agent_failure {
    const char *code;
    char text[1024];
};
/* Opens the channels and starts the guard. On failure nothing is left of it, and *failure says why. */
must_check enum err agent_process_start(struct agent *agent, const struct agent_start *start,
                                        struct agent_failure *failure);
/* A pipe, or for a lifeline a socket pair: our end goes into the source and is watched, *theirs is the caller's. */
must_check enum err agent_channel_open(struct agent_stream *stream, struct agent_source *source, int *theirs);
/* Starts the program with theirs[0..3] as its descriptors 0 to 3 and no others. */
must_check enum err agent_guard_spawn(pid_t *pid, const char *path, char **arguments, char **environment,
                                      const int theirs[4]);
void agent_lifeline_read(struct agent *agent);
void agent_reap(struct agent *agent);
/* Tells the guard to end everything: by end-of-file and, after `grace_ms`, by signals; or at once. */
void agent_process_stop(struct agent *agent, int64_t grace_ms);
void agent_process_kill(struct agent *agent);
/* The `end` node is due. */
void agent_process_overdue(struct agent *agent);
/* Ends a guard that hangs: first what lives below it, since nobody could find that any more once the guard is gone, then
 * the guard. False: something lived there, and it is to be called again, a bounded number of times that *rounds counts (0 at
 * first). One that was only slow may meanwhile end by itself. Looks at every process of the machine, so it is for what
 * hangs only. `guard` is not reaped yet. */
must_check bool agent_guard_kill(const struct agent *agent, pid_t guard, unsigned *rounds);
/* The sentence of the last notice; the caller frees it. NULL when out of memory. */
char *agent_last_words(const struct agent *agent);

/* agent_stream.c */

void agent_input_send(struct agent *agent, const char *line, size_t length);
void agent_input_write(struct agent *agent); /* it may take more */
void agent_input_close(struct agent *agent); /* once all is written */
/* Reads and processes what there is, as far as credit and fairness allow; who is not done then stands in line for its
 * next slice. Closes stdout at its end. */
void agent_output_read(struct agent *agent);
/* One that paused need not any more, perhaps: it stands in line. */
void agent_output_resume(struct agent *agent);
void agent_output_close(struct agent *agent);
bool agent_is_blank(const char *line, size_t length);

/* agent_terminal.c */

/* acp_sink's functions. */
enum err agent_terminal_start(struct agent *agent, uint64_t number, const struct terminal_command *command, char *why);
void agent_terminal_end(struct agent *agent, uint64_t number, bool at_once);
/* All are killed. */
void agent_terminals_end(struct agent *agent);
/* A terminal's source has something; agent_settle is to follow. */
void agent_terminal_event(struct agent_source *source);
/* Credit may have come back. */
void agent_terminals_resume(struct agent *agent);
/* The first of stream->terminal_ends is due. */
void agent_terminal_overdue(struct heap_node *node);
/* Nobody waits any longer for the guards that are left. */
void agent_terminals_abandon(struct agent *agent);
void agent_terminals_free_dead(struct agent_stream *stream);

/* agent_files.c */

/* acp_sink's function. */
enum err agent_file_ask(struct agent *agent, uint64_t serial, struct file_call *call);
/* A request is back; `agent` is NULL if it has ended. Frees the request. */
void agent_file_answered(struct agent *agent, struct file_request *request);

/* agent_errors.c */

void agent_errors_read(struct agent *agent);
/* Everything that is there. */
void agent_errors_drain(struct agent *agent);
/* What of stderr tells best why the agent ended; NULL if it said nothing. Into `line`. */
const char *agent_errors_last(const struct agent *agent, char line[AGENT_LOG_LINE_BYTES]);

/* agent_wirelog.c */

/* Once, when it starts, with the environment that it gets. */
void agent_wirelog_begin(struct agent *agent, const struct config_agent *config, char *const *environment);
/* A line on its way; copied. Costs the copy, if the configuration wants it kept, and never waits. */
void agent_wirelog_line(struct agent *agent, enum wirelog_direction direction, const char *text, size_t length,
                        bool is_json);
void agent_wirelog_end(struct agent *agent);
