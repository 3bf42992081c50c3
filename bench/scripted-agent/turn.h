// One prompt's script at play. A step that has to wait leaves an activity, which is called until it
// is done; nothing here blocks, but for what a script asks to block.
#pragma once

#include "agent.h"
#include "generator.h"

enum { TURN_DEPTH = 16, TURN_QUESTIONS = 64 };

// What became of a step or an activity. After TURN_ENDED the turn does not exist any more.
enum progress { TURN_NEXT, TURN_WAITS, TURN_ENDED, TURN_BAD };

struct frame {
    json_object *steps;
    size_t index;
    int64_t times; // left, with this one
};

// A request to the client that is not answered yet.
struct question {
    int64_t number;
    json_object *options; // of a permission request; NULL for any other request
    int index;            // counts from 1 among parallel ones, 0 for a single one
};

struct stream {
    int64_t count;
    int64_t done;
    int64_t start;
    double rate; // a second, 0 for as fast as possible
    size_t min;
    size_t max;
    enum generator_alphabet alphabet;
    bool numbers; // the pattern "count"
    bool stamp;
    bool stamp_due; // with the time at which the chunk was due
    int64_t number;
    char *text; // room for the longest chunk
    const char *kind;
    json_object *message_id;
};

struct tool {
    json_object *spec;
    char id[96];
    char *output;
    size_t length;
    int64_t pieces;
    int64_t done;
    int64_t start;
    double rate;
    bool terminal;
    bool asked;
};

struct turn {
    struct session *session;
    json_object *prompt; // id of the request
    json_object *blocks; // of the prompt
    json_object *script;
    struct frame stack[TURN_DEPTH];
    int depth;
    struct generator generator;
    json_object *message_id; // the script's, a text or NULL
    bool string_ids;
    bool ignore_cancel;
    bool cancelled;
    bool rejected;      // by one of the last permission requests
    bool end_on_reject; // what to do then
    enum progress (*activity)(struct turn *t, int64_t now);
    int64_t wake; // set by an activity that waits for a time
    int64_t until;
    struct question questions[TURN_QUESTIONS];
    int question_count;
    struct stream stream;
    struct tool tool;
    char *prefix; // of the last text line, see text.c
    size_t prefix_length;
    const char *prefix_kind;
    json_object *prefix_id;
    json_object *work; // the steps that a `work` became, or NULL
    char problem[160];
};

// Begins the turn of a prompt with these blocks, whose text is `text`; takes `id` over.
void turn_begin(struct session *s, json_object *id, json_object *blocks, const char *text,
                size_t length);

// Goes on until the script waits or enough is made to be written. Returns when to call it again.
int64_t turn_run(struct session *s, int64_t now);

void turn_cancel(struct session *s);
bool turn_answer(struct session *s, int64_t number, json_object *result, json_object *error);
void turn_free(struct turn *t);

// For the steps. The first three end the turn with the prompt's answer and return TURN_ENDED; they
// take over what they are given.
enum progress turn_stop(struct turn *t, const char *reason);
enum progress turn_result(struct turn *t, json_object *result);
enum progress turn_fail(struct turn *t, json_object *error);
enum progress turn_bad(struct turn *t, const char *problem);
bool turn_push(struct turn *t, json_object *steps, int64_t times);
enum progress turn_wait_answers(struct turn *t, int64_t now); // an activity

// Sends a request and notes it as a question; takes params and options over.
enum progress turn_ask(struct turn *t, const char *method, json_object *params,
                       json_object *options, int index);

// text.c: a text chunk of the given kind ("agent_message_chunk" and so on, a constant), written
// without building objects. The id is a text or NULL and stays the caller's.
void turn_text(struct turn *t, const char *kind, json_object *message_id, const char *text,
               size_t length);
void turn_say(struct turn *t, const char *text);

// steps.c: plays one step.
enum progress steps_play(struct turn *t, json_object *step, int64_t now);

// stream.c, tool.c and strain.c: the larger steps.
enum progress stream_step(struct turn *t, json_object *value, json_object *step, int64_t now);
enum progress stream_big_line(struct turn *t, json_object *value, json_object *step, int64_t now);
enum progress tool_step(struct turn *t, json_object *value, json_object *step, int64_t now);
enum progress strain_step(struct turn *t, json_object *value, json_object *step, int64_t now);
enum progress permission_step(struct turn *t, json_object *value, json_object *step, int64_t now);
