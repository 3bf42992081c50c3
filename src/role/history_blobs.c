#include "history_blobs.h"

#include <string.h>

#include "signalbox/base/base64.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/prompt.h"

enum { DEPTH_MAX = 1024 }; /* what clients may nest was bounded when it came */

enum err history_check_blobs(struct store_reader *reader, struct history_request *request)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < request->blob_count; i++) {
        struct blob_info info;
        enum err err = reader->operations->read_blob(reader, request->session_key, &request->blobs[i], 0, 0, &info, NULL);
        request->last = i;
        if (err) {
            return err;
        }
        bytes += info.bytes;
        if (bytes > request->max_bytes) {
            return ERR_TOOBIG;
        }
    }
    return ERR_OK;
}

/* Each of them as ACP has it: the data in place of the blob's name. */
static enum err fill_block(struct store_reader *reader, int64_t session_key, struct json_object *block,
                           struct buffer *out)
{
    struct digest name;
    struct blob_info info;
    struct buffer data = {0};
    if (!prompt_block_blob(block, &name)) {
        json_put_object(out, block);
        return ERR_OK;
    }
    enum err err = reader->operations->read_blob(reader, session_key, &name, 0, SIZE_MAX, &info, &data);
    if (!err) {
        prompt_block_fill(out, block, info.type, data.data ? data.data : "", data.length);
    }
    buffer_free(&data);
    return err;
}

enum err history_fill_prompt(struct store_reader *reader, struct history_request *request)
{
    struct json_parser *parser;
    struct json_object *blocks = NULL;
    enum err err = json_parser_new(&parser, DEPTH_MAX);
    if (err) {
        return err;
    }
    err = json_parse(parser, request->content, strlen(request->content), &blocks);
    json_parser_free(parser);
    struct buffer *out = &request->bytes;
    buffer_reset(out);
    buffer_byte(out, '[');
    size_t count = json_object_is_type(blocks, json_type_array) ? json_object_array_length(blocks) : 0;
    for (size_t i = 0; i < count && !err; i++) {
        if (i > 0) {
            buffer_byte(out, ',');
        }
        err = fill_block(reader, request->session_key, json_object_array_get_idx(blocks, i), out);
    }
    buffer_byte(out, ']');
    json_object_put(blocks);
    return err ? err : buffer_ok(out) ? ERR_OK : ERR_NOMEM;
}
