#pragma once
/*
 * Content blocks of prompts that name a blob instead of having data (docs/protocol.md, "Files and images"):
 *   {"type":"image"|"audio", "blob":ID, "mimeType"?, ...}
 *   {"type":"resource", "blob":ID, "resource":{"uri", "mimeType"?}, ...}
 * Pure.
 */
#include <json-c/json.h>

#include "signalbox/base/buffer.h"
#include "signalbox/core/blob.h"
#include "signalbox/core/command.h"

enum {
    PROMPT_BLOBS_MAX = 64,         /* that a prompt may name */
    PROMPT_INLINE_MAX = 4 * 1024,  /* bytes of data in a block that stay in it */
    PROMPT_INLINE_TOTAL = 6 * 1024, /* the same for all blocks */
    PROMPT_OTHER_MAX = 12 * 1024,   /* bytes of a prompt's blocks that are no text, and were not taken out of them: they
                                       must fit into the shortest max-event-bytes */
};

/* Whether a block names a blob, and which. */
bool prompt_block_blob(struct json_object *block, struct digest *name);
/* Writes the block as ACP has it, with the blob's content: images and sounds as base64 in `data` with their `mimeType`
 * (the blob's where the block has none), resources as `text` where the blob is one, else as base64 in `blob`. */
void prompt_block_fill(struct buffer *out, struct json_object *block, const char *type, const char *data, size_t length);

/*
 * Takes the data of `blocks` (checked for form) that is longer than PROMPT_INLINE_MAX out of them: writes them to `out`
 * as the elements of an array, each such block naming the blob that is appended to command->blobs, and notes in
 * command->uses what blobs the client itself names. ERR_SYNTAX fills *error; ERR_NOMEM.
 */
must_check enum err prompt_take_blocks(struct json_object *blocks, struct buffer *out, struct command *command,
                                       struct command_error *error);
