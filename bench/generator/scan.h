// Finds the members of a JSON object that matter here, without building anything: the load
// generator looks at every message of thousands of watchers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_FIELDS(X)                                                                             \
    X(SEQ, "seq")                                                                                  \
    X(FROM, "from")                                                                                \
    X(TYPE, "type")                                                                                \
    X(ID, "id")                                                                                    \
    X(SESSION, "sessionId")                                                                        \
    X(MESSAGE, "messageId")                                                                        \
    X(OFFSET, "offset")                                                                            \
    X(DELTA, "delta")                                                                              \
    X(TEXT, "text")                                                                                \
    X(TOOL, "toolUseId")                                                                           \
    X(INPUT, "toolInput")                                                                          \
    X(RESULT, "result")                                                                            \
    X(IS_ERROR, "isError")                                                                         \
    X(REQUEST, "request")                                                                          \
    X(REQUEST_ID, "requestId")                                                                     \
    X(PHASE, "phase")                                                                              \
    X(STATUS, "status")                                                                            \
    X(EPOCH, "epoch")                                                                              \
    X(HEAD, "head")                                                                                \
    X(MODE, "mode")                                                                                \
    X(CODE, "code")                                                                                \
    X(REFS, "refs")                                                                                \
    X(STOP, "stopReason")

#define X(name, text) SCAN_##name,
enum scan_field { SCAN_FIELDS(X) SCAN_COUNT };
#undef X

// The value's bytes as they stand in the text: a string without its quotes and with its escapes.
struct value {
    const char *at; // NULL: there is no such member
    size_t length;
    bool string;
};

struct scan {
    struct value fields[SCAN_COUNT];
};

// The members of the outermost object. False when the text is no object. It is no validator: it
// takes what a server writes.
bool scan_object(struct scan *s, const char *text, size_t length);

// The members of an object that is a value.
bool scan_inner(struct scan *s, const struct value *value);

bool value_is(const struct value *value, const char *text);
// A number of digits only, else `fallback`.
uint64_t value_number(const struct value *value, uint64_t fallback);
// Copies a string without escapes; cut to the size.
void value_copy(const struct value *value, char *to, size_t size);
