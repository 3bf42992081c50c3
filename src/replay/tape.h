// A transcript, cut into what belongs to each request of the client.
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum item_kind {
    ITEM_SEND,        // the agent sent `message`; one that is a JSON string is sent as its text: it was no JSON
    ITEM_ANSWER,      // the agent sent its answer to the segment's request
    ITEM_WAIT_ANSWER, // the client answered the agent's request `message` (its id)
    ITEM_WAIT_CANCEL, // the client cancelled
    ITEM_END,         // the agent ended by itself: `message` has its exitStatus or its signal
};

struct item {
    enum item_kind kind;
    int64_t t; // milliseconds of the transcript
    json_object *message;
};

struct segment {
    const char *method;
    const char *session; // of its params or, once answered, of its result; or NULL
    json_object *request;
    int64_t t;
    struct item *items;
    size_t count;
    size_t room;
    bool answered; // in the transcript
    bool used;     // by the player
};

struct tape {
    struct segment *segments; // the first holds what came before any request
    size_t count;
    size_t room;
};

// Reads a transcript, one file or several that follow each other. A last line that breaks off (its writer was killed)
// is left out. On failure returns -1, says why on stderr, and leaves nothing to free.
int tape_read(struct tape *tape, char *const *paths, int count);
void tape_free(struct tape *tape);
