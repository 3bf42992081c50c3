// Output of a command, kept within bounds and made valid UTF-8.
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

// The first and the last 256 KiB of what was added; zero-initialised it is empty.
struct text_capture {
    char *head;
    size_t head_length;
    size_t head_room;
    char *tail; // a ring; tail_length counts all that ever went into it
    size_t tail_length;
    bool short_of_memory;
};

void text_add(struct text_capture *c, const char *bytes, size_t size);
void text_release(struct text_capture *c);

// Bytes in the middle that were not kept.
size_t text_cut(const struct text_capture *c);

// All that is kept as a JSON text: bytes that are not UTF-8 become U+FFFD, and a line in the middle
// says how much was cut. With `more` to come, an unfinished character at the end is left out. NULL
// when memory ran out.
json_object *text_json(const struct text_capture *c, bool more);

// A JSON text of at most `characters` of the first line of `text`, with an ellipsis where something
// is left out.
json_object *text_shortened(const char *text, size_t characters);
