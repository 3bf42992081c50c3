#include "core/acp_files.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_path.h"
#include "core/acp_permission.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

static void place_clear(struct acp_files *files, struct acp_file *place)
{
    if (place->serial != 0) {
        files->count--;
    }
    json_object_put(place->id);
    free(place->path);
    *place = (struct acp_file){0};
}

void acp_files_free(struct acp_files *files)
{
    for (size_t i = 0; i < ACP_FILES_MAX; i++) {
        place_clear(files, &files->places[i]);
    }
}

static struct acp_file *find(struct acp_files *files, uint64_t serial)
{
    for (size_t i = 0; i < ACP_FILES_MAX; i++) {
        if (files->places[i].serial == serial) {
            return &files->places[i];
        }
    }
    return NULL;
}

/* A whole number from 0 on, or not there; false if it is something else. */
static bool take_count(struct json_object *params, const char *key, int64_t *count)
{
    return json_get(params, key) == NULL || (json_get_i64(params, key, count) && *count >= 0);
}

static bool copy_content(struct acp_peer *peer, struct json_object *params, struct file_call *call,
                         const char **wrong)
{
    size_t length;
    const char *content = json_get_text(params, "content", &length);
    if (content == NULL) {
        *wrong = "Invalid params: no content";
    } else if (length > FILE_TEXT_MAX) {
        *wrong = "Invalid params: the content has more than 4 MiB";
    } else if (!utf8_valid(content, length)) {
        *wrong = "Invalid params: the content is no UTF-8";
    } else {
        call->content = malloc(length + 1);
        if (call->content == NULL) {
            peer->error = ERR_NOMEM;
            return false;
        }
        memcpy(call->content, content, length);
        call->length = length;
        return true;
    }
    return false;
}

static bool read_params(struct acp_peer *peer, struct json_object *params, struct file_call *call,
                        const char **wrong)
{
    if (!acp_rpc_our_session(peer, params)) {
        *wrong = "Invalid params: unknown session";
        return false;
    }
    call->path = acp_path_take(peer, params, "path", wrong);
    if (call->path == NULL) {
        return false;
    }
    call->line = 1;
    call->limit = -1;
    if (call->write) {
        return copy_content(peer, params, call, wrong);
    }
    if (!take_count(params, "line", &call->line) || !take_count(params, "limit", &call->limit)) {
        *wrong = "Invalid params: line and limit are whole numbers from 0 on";
        return false;
    }
    call->line += call->line == 0; /* some count from 0 */
    return true;
}

/* Passes the call on, or what is wrong. */
static void take(struct acp_peer *peer, struct json_object *id, struct json_object *params,
                 bool write)
{
    struct acp_files *files = &peer->files;
    struct file_call call = {.write = write};
    const char *wrong = NULL;
    struct acp_file *place = find(files, 0);
    if (place == NULL) { /* the host reads no more from an agent with so many */
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, "Too many requests for files are open", NULL);
        return;
    }
    if (read_params(peer, params, &call, &wrong)) {
        call.workspace = strdup(peer->cwd);
        place->path = strdup(json_get_string(params, "path"));
        if (call.workspace == NULL || place->path == NULL) {
            peer->error = ERR_NOMEM;
        }
    }
    if (wrong == NULL && peer->error == ERR_OK && write && peer->read_only) {
        buffer_reset(&peer->text);
        buffer_format(&peer->text, "to write %s", place->path);
        acp_service_refuse(peer, id, &peer->text);
        place_clear(files, place);
        file_call_clear(&call);
        return;
    }
    if (wrong != NULL || peer->error != ERR_OK) {
        place_clear(files, place);
        file_call_clear(&call);
        if (wrong != NULL) {
            acp_rpc_error(peer, id, RPC_INVALID_PARAMS, wrong, NULL);
        }
        return;
    }
    files->count++;
    place->serial = ++files->serial;
    place->id = json_object_get(id);
    place->write = write;
    enum err err = peer->sink.file(peer->sink.context, place->serial, &call);
    if (err == ERR_OK) {
        return;
    }
    place_clear(files, place);
    file_call_clear(&call);
    if (err == ERR_NOMEM) {
        peer->error = err;
    } else {
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, err_text(err), NULL);
    }
}

void acp_files_read(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    take(peer, id, params, false);
}

void acp_files_write(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    take(peer, id, params, true);
}

bool acp_peer_is_full(const struct acp_peer *peer)
{
    return peer->files.count == ACP_FILES_MAX;
}

bool acp_peer_has_files(const struct acp_peer *peer)
{
    return peer->files.count > 0;
}

bool acp_files_withdraw(struct acp_peer *peer, struct json_object *id)
{
    for (size_t i = 0; i < ACP_FILES_MAX; i++) {
        struct acp_file *place = &peer->files.places[i];
        if (place->serial == 0 || place->answered || !acp_rpc_same_id(place->id, id)) {
            continue;
        }
        if (!place->write) {
            place->answered = true;
            acp_rpc_error(peer, place->id, RPC_CANCELLED, "Request cancelled", NULL);
        }
        return true;
    }
    return false;
}

static void answer_read(struct acp_peer *peer, const struct acp_file *place,
                        const struct file_call *call)
{
    struct buffer *out = acp_rpc_answer(peer, place->id);
    json_field_text(out, "content", call->length > 0 ? call->content : "", call->length);
    acp_rpc_send(peer);
}

static void answer_error(struct acp_peer *peer, const struct acp_file *place,
                         const struct file_call *call)
{
    static const struct {
        int code;
        const char *text;
    } words[] = {
        [FILE_DONE] = {0, ""},
        [FILE_MISSING] = {RPC_NOT_FOUND, "Resource not found"},
        [FILE_OUTSIDE] = {RPC_INVALID_PARAMS,
                          "A link leads out of the session's workspace (absolute links do)"},
        [FILE_NOT_REGULAR] = {RPC_INVALID_PARAMS, "This is no regular file"},
        [FILE_TOO_LARGE] = {RPC_INVALID_PARAMS,
                            "This is too much at once (4 MiB, or a line behind 256 MiB); take less "
                            "by line and limit"},
        [FILE_NOT_TEXT] = {RPC_INVALID_PARAMS, "This is no text: it is not UTF-8"},
        [FILE_UNSUPPORTED] = {RPC_INTERNAL_ERROR,
                              "The server's kernel cannot confine file access (openat2)"},
        [FILE_FAILED] = {RPC_INTERNAL_ERROR, NULL},
    };
    struct buffer *text = &peer->text;
    buffer_reset(text);
    const char *what = words[call->outcome].text;
    buffer_format(text, "%s: %s", what != NULL ? what : err_text(err_from_errno(call->error)),
                  place->path);
    char *message = acp_take(peer, text, ACP_TEXT_MAX);
    if (message != NULL) {
        acp_rpc_error(peer, place->id, words[call->outcome].code, message, NULL);
    }
    free(message);
}

void acp_peer_file(struct acp_peer *peer, uint64_t serial, const struct file_call *call)
{
    struct acp_file *place = serial != 0 ? find(&peer->files, serial) : NULL;
    if (place == NULL) {
        return;
    }
    if (!place->answered && peer->state != ACP_ENDED && peer->error == ERR_OK) {
        if (call->outcome != FILE_DONE) {
            answer_error(peer, place, call);
        } else if (place->write) {
            acp_rpc_result(peer, place->id, "{}");
        } else {
            answer_read(peer, place, call);
        }
    }
    place_clear(&peer->files, place);
}
