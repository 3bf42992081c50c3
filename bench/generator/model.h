// What a client knows of one session, made from the events that it was sent and from nothing else:
// two clients that saw the same history, live or folded, have the same state. It finds holes,
// repetitions and text that does not fit by itself.
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum block_kind { BLOCK_TEXT, BLOCK_THOUGHT, BLOCK_TOOL };

// A message, a thought or a tool call; newest first.
struct block {
    struct block *before;
    enum block_kind kind;
    bool done;
    bool failed; // a tool that ended as an error
    char *id;
    char *turn;
    char *text; // a tool's live output, and then its result
    size_t length;
    size_t room;
    uint64_t fields[12]; // hashes of a tool's
    uint64_t result;     // hash of what ended it
};

struct user_message {
    struct user_message *before;
    char *id;
    uint64_t sum;
    uint32_t seed; // of its script
    bool queued;
};

struct turn_seen {
    struct turn_seen *before;
    char *id;
    char *message;
    char stop[24]; // empty while it runs
};

struct permission_seen {
    struct permission_seen *before;
    char *id;
};

struct model {
    uint64_t next; // the number that it expects
    uint64_t kept; // a hash of all events that no folding leaves out, in their order
    uint64_t latest[8];
    struct block *blocks;
    struct user_message *users;
    struct turn_seen *turns;
    struct permission_seen *open;
    size_t turn_count;
    size_t user_count;
    size_t queued;
    bool busy; // the last phase is one in which an agent works
};

void model_open(struct model *m);
void model_clear(struct model *m); // frees what it has; then it is as after model_open

// A parsed event. `replaying`: what comes may begin before what is known. NULL, or what is wrong in
// words that stay.
const char *model_take(struct model *m, json_object *event, bool replaying);

// Whether the event is one whose content is the same in every history, so that two who saw its
// number saw the same. `*sum` is of all its members but `from`; it has MODEL_KNOWN, and MODEL_STAYS
// if no folding may leave the event out.
enum { MODEL_KNOWN = 1, MODEL_STAYS = 2 };
bool model_is_fixed(json_object *event, uint64_t *sum);

// The state as text, a line for each thing; to be freed.
char *model_text(const struct model *m);
