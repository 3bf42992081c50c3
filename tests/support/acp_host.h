#pragma once
/*
 * A host for one ACP peer in a test: it speaks to the peer as an agent would, keeps what comes out,
 * and watches the events as a client does, with the rules of docs/protocol.md checked at each:
 * offsets, one open message at a time, a whole text equal to its deltas, a result for each tool
 * call.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/core/acp.h"

struct seen_event {
    struct json_object *json; /* sealed with its number and parsed back; what was cut is whole again */
    struct json_object *cut;  /* the same as it came */
    char *text;               /* as it stands in the log, NUL-terminated */
    size_t length;
    enum event_kind kind;
    int64_t at_wall_ms;
    struct instant line_at;
};

/* A tool call as a client has it. */
struct seen_tool {
    char *id;
    struct json_object *start, *fields, *result; /* `fields`: start and updates merged */
    char *output;
    size_t output_units;
    int turn; /* -1 outside of turns */
};

/* A finished message or thought. */
struct seen_block {
    char *id, *text;
    bool thought, open, intermediate;
    int turn;
};

/* A command that it was asked to run. */
struct seen_command {
    uint64_t number;
    char *words;          /* environment, arguments, folder: "A=b|prog|arg|in FOLDER" */
    int killed, released; /* how often */
};

struct host {
    struct acp_peer *peer;
    struct instant now;
    int64_t wall_ms;

    struct json_object **sent; /* lines to the agent */
    size_t sent_count;
    struct seen_event *events;
    size_t event_count;
    struct agent_notice *notices;
    size_t notice_count;

    struct file_call *files; /* that it was asked for; the serial of files[i] is i + 1 */
    size_t file_count;
    struct seen_command *commands;
    size_t command_count;
    enum err refusal; /* of the next file or command, if not ERR_OK */

    struct seen_tool *tools;
    size_t tool_count;
    struct seen_block *blocks;
    size_t block_count;
    struct blob *blobs; /* the last one first */
    size_t max_event_bytes;
    size_t kinds_from;
    int turn, turns; /* the running turn's number or -1; how many were begun */
};

struct host_options {
    int64_t delta_window_ms;
    size_t max_message_text;
    uint64_t run;
    const char *resume, *login; /* as in struct acp_options */
    size_t max_event_bytes; /* 0: 64 KiB */
    unsigned offers;        /* enum acp_offer */
};

/* A peer that has said nothing. `options` NULL: 50 ms, 256 KiB, run 1. */
void host_open(struct host *host, const struct host_options *options);
/* Started and led to NOTICE_READY; the agent's session is "s". `response` is the session/new
 * result, or NULL. */
void host_open_ready(struct host *host, const struct host_options *options, const char *response);
void host_close(struct host *host);

void host_advance(struct host *host, int64_t ms); /* moves the clock, no tick */
void host_tick(struct host *host);
enum err host_say(struct host *host, const char *message);
enum err host_say_object(struct host *host, struct json_object *message); /* borrowed */
enum err host_sayf(struct host *host, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* session/update of session "s" with this update. */
void host_update(struct host *host, const char *update);
void host_text(struct host *host, const char *text); /* agent_message_chunk; JSON-escaped here */
void host_thought(struct host *host, const char *thought); /* agent_thought_chunk */
void host_prompt(struct host *host);                       /* a turn with a made-up id */
void host_answer_prompt(struct host *host, const char *result);

/* The blob of this id; NULL if none came. */
const struct blob *host_blob(const struct host *host, const char *id);
/* What came since the last call, as names: "text_delta text_complete"; good until the next
 * call. */
const char *host_kinds(struct host *host);
struct json_object *host_last_event(struct host *host, enum event_kind kind); /* NULL if none */
struct agent_notice *host_last_notice(struct host *host, enum agent_notice_kind kind);
struct json_object *host_last_sent(struct host *host);
/* The one answer to the agent's request of this id; fails if there is none, or there are two. */
struct json_object *host_answer(struct host *host, int id);
size_t host_answers(struct host *host, int id); /* how many there are */
/* A member by a path such as "params/clientInfo/name", as text; "" if it is not there. Static
 * storage. */
const char *at(struct json_object *object, const char *path);
