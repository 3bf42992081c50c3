// What the log of one session is, as far as any watcher has seen it: every watcher's messages are
// compared with it. It learns from whoever sees a number first, and compares the text with what the
// agent makes.
#pragma once

#include "histogram.h"
#include "scan.h"
#include "scripted-agent/generator.h"

enum kind {
    KIND_TEXT_DELTA,
    KIND_TEXT_COMPLETE,
    KIND_STAYS, // an event that no folding leaves out
    KIND_OTHER, // one that folding may leave out
    KIND_CONTROL,
};

enum permission { PERMISSION_NONE, PERMISSION_ASKED, PERMISSION_ENDED };

// What one message is about.
struct facts {
    enum kind kind;
    uint64_t from;
    uint64_t seq;
    uint64_t begin; // of its text in all the text of the session, in bytes
    uint64_t end;
    enum permission permission;
    uint64_t sum; // says which event it is and what is in it; 0 for what folding may leave out
};

struct stamp {
    uint64_t end; // where its chunk ends in the session's text
    int64_t at;   // microseconds of the monotonic clock
};

struct record_message;
struct record_frame;

struct record {
    uint64_t next; // the next number that nobody has seen
    uint64_t sum;  // of all events so far that stay
    // The text of all messages, one behind the other.
    char *text;
    size_t length;
    size_t room;
    struct record_message *messages;
    size_t message_count;
    struct stamp *stamps;
    size_t stamp_count;
    size_t stamp_room;
    // The last frames as they came: most watchers get the same bytes, and comparing them is enough.
    struct record_frame *frames;
    // The agent's generator, and how far its text is checked.
    struct generator generator;
    size_t chunk;   // bytes of generated text in a stamped chunk; 0: the text is not checked
    size_t checked; // of the text
    char *expected; // one chunk
    bool tools;     // the results of tools come from the same generator
    // How long the events are that have an agent's content whole (texts, thoughts, tools' inputs and results), where that
    // is asked for; else NULL. And the bytes of all events, and of those about tools.
    struct histogram *sizes;
    uint64_t bytes;
    uint64_t tool_bytes;
    // What happened.
    uint64_t turns;
    uint64_t completes;
    uint64_t permissions; // requests
    uint64_t permissions_ended;
    char open_permissions[16][96];
    char asked[96]; // a request that was learned of just now; emptied by who answers it
    bool idle;
    // What a joining watcher must be sent at least: texts, inputs and results as they stand in
    // JSON, and the number of events that stay when all is folded.
    uint64_t content_bytes;
    uint64_t staying;
    uint64_t last_kinds[16]; // of which the last one stays
    bool tool_updated;
};

void record_open(struct record *r);
void record_free(struct record *r);

// The next prompt's script has this seed, and stamped chunks of this size; with `tools`, tool calls
// with generated output as well.
void record_expect(struct record *r, uint32_t seed, size_t chunk, bool tools);

// Looks at an event or control message. False when something is wrong: `*problem` says what, in
// words that stay. Of a control message (KIND_CONTROL), and of an event that is not known from
// before, the members are in `*scan`.
bool record_take(struct record *r, const char *text, size_t length, struct facts *facts,
                 struct scan *scan, const char **problem);
