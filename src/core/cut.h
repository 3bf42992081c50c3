#pragma once
/*
 * Keeps a JSON object short (docs/protocol.md, "Large content"): long strings in it are cut, what was cut is kept as
 * blobs, and references say where. Where that does not do (too many strings, or what is long is no string), whole
 * members are replaced by one blob of their JSON. Works on text that we wrote ourselves. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "core/fold_scan.h"
#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"
#include "signalbox/core/blob.h"

enum {
    CUT_KEEP = 4096,     /* a string of so many bytes, as it stands in the JSON, stays whole */
    CUT_PREVIEW = 2048,  /* of one that is longer so many are shown */
    CUT_REFS_MAX = 32,   /* of one object */
    CUT_MEMBERS_MAX = 24,
    CUT_KNOWN_MAX = 256,
};

/* Blobs that were handed out before and need not be again: the youngest CUT_KNOWN_MAX. */
struct cut_known {
    struct digest names[CUT_KNOWN_MAX];
    size_t count, next;
};

struct cut_member {
    struct span name, value; /* of the object that was given */
    struct buffer out;       /* the value as it is now, if `changed` */
    struct buffer refs;      /* elements, commas between them; the paths begin with the member's name */
    size_t ref_count;
    struct blob *blobs;
    bool changed, whole;
};

struct cut {
    struct cut_member members[CUT_MEMBERS_MAX];
    size_t count;
    size_t copies;           /* of the references that count */
    struct cut_known *known; /* NULL: none */
    struct buffer text;      /* scratch */
    enum err err;
};

/* Takes apart `object`, which must have at most CUT_MEMBERS_MAX members and stay until cut_free, and makes it at most
 * `max_bytes` long with its references, which are to be written `copies` times. That can be done where it is what is in
 * arrays, objects or longer strings that is too much. `known` may be NULL. ERR_NOMEM. cut_free in any case. */
must_check enum err cut_begin(struct cut *cut, struct span object, size_t max_bytes, size_t copies,
                              struct cut_known *known);
/* True if anything was cut. */
bool cut_has_refs(const struct cut *cut);
/* How long it is now, with its references as often as they count. */
size_t cut_length(const struct cut *cut);
/* The member's value as it is now; an empty span if there is none of this name. */
struct span cut_value(const struct cut *cut, const char *name);
/* All members with their commas, without braces; then the references as the elements of an array, `prefix` before
 * each path. */
void cut_write(const struct cut *cut, struct buffer *out);
void cut_write_refs(const struct cut *cut, const char *prefix, struct buffer *out);
/* What is to be stored; the caller's from here on. Those in `known` are not among them, and they are put there. */
struct blob *cut_take_blobs(struct cut *cut);
void cut_free(struct cut *cut);

/* A text that is no member: cut to at most `room` bytes of JSON, its whole as a blob in *blob (NULL: it is known).
 * `text` gets the beginning. For a command, which is cut last. */
must_check enum err cut_text(const char *whole, size_t length, size_t room, struct cut_known *known,
                             struct buffer *text, struct digest *name, struct blob **blob);

/* Appends the text that the inside of a JSON string stands for. */
void cut_decode(struct buffer *out, struct span inside);

/* Cuts the tail of an event in `event` (core/event.h: `,"type":...`, no brace at its end) to fit into `max_bytes` once
 * it is sealed; *blobs gets what is to be stored before it, or NULL. ERR_NOMEM. */
must_check enum err cut_event(struct buffer *event, size_t max_bytes, struct cut_known *known, struct blob **blobs);
