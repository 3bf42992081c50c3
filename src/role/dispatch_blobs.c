/* Blobs from clients: what is sent up, and prompts that name some. */
#include "dispatch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/json.h"
#include "signalbox/base/need.h"

/* ---- Sent up ---- */

void dispatch_store_blob(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    struct session *session = held->session;
    struct blob *blob = command->command->blobs;
    const struct config *config = dispatch->config;
    const char *closed = session_refusal(session);
    if (closed) {
        dispatch_answer(dispatch, command, ANSWER_CLOSED, closed, NULL);
        return;
    }
    if (session->uploads >= (size_t)config->max_session_blobs) {
        dispatch_answer(dispatch, command, ANSWER_LIMIT_REACHED,
                        "too many blobs were sent up to this session (max-session-blobs)", NULL);
        return;
    }
    if ((int64_t)blob->length > config->max_session_blob_bytes - session->upload_bytes) {
        dispatch_answer(dispatch, command, ANSWER_LIMIT_REACHED,
                        "the session's blobs are too long together (max-session-blob-bytes)", NULL);
        return;
    }
    struct buffer fields = {0};
    char id[BLOB_ID_SIZE];
    blob_id(&blob->name, id);
    json_field_string(&fields, "blob", id);
    json_field_i64(&fields, "bytes", (int64_t)blob->length);
    json_field_string(&fields, "contentType", blob->type);
    char *text = buffer_take(&fields);
    need_ok(text ? ERR_OK : ERR_NOMEM);

    session->uploads++;
    session->upload_bytes += (int64_t)blob->length;
    session->changed = true;
    struct journal_item *item = dispatch_blob(dispatch, held, blob);
    item->blob.credit = command->credit;
    item->blob.credit_bytes = command->credit_bytes;
    command->command->blobs = NULL;
    command->credit = NULL;
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, text);
    free(text);
}

/* ---- Named in prompts ---- */

static void ask(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    const struct command *given = command->command;
    struct history_request *request;
    need_ok(history_request_new(&request));
    request->kind = HISTORY_CHECK;
    request->session_key = held->session->key;
    request->blobs = need_zero(given->use_count * sizeof(*request->blobs));
    request->blob_count = given->use_count;
    for (size_t i = 0; i < given->use_count; i++) {
        request->blobs[i] = given->uses[i].name;
    }
    request->max_bytes = (size_t)dispatch->config->max_blob_bytes;
    request->owner = command;
    request->reply_to = dispatch->inbox;
    request->reply_kind = DISPATCH_CHECKED;
    held->checking = true;
    mailbox_push(dispatch->wiring.history, &request->mail);
}

bool dispatch_prompt_waits(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    if (command->command->type != COMMAND_PROMPT || command->checked) {
        return false;
    }
    if (held->checking) { /* prompts keep their order */
        command->parked_next = NULL;
        *held->parked_last = command;
        held->parked_last = &command->parked_next;
        return true;
    }
    if (!command->command->use_count) {
        return false;
    }
    ask(dispatch, held, command);
    return true;
}

static void set_refusal(struct dispatch_command *command, enum answer_code code, const char *message, size_t which)
{
    struct buffer field = {0}, fields = {0};
    buffer_format(&field, "content[%zu].blob", command->command->uses[which].index);
    char *name = buffer_take(&field);
    need_ok(name ? ERR_OK : ERR_NOMEM);
    json_field_string(&fields, "field", name);
    free(name);
    command->refusal = (struct answer){.code = code, .message = need_copy(message), .fields = buffer_take(&fields)};
    need_ok(command->refusal.fields ? ERR_OK : ERR_NOMEM);
}

void dispatch_prompt_checked(struct dispatch *dispatch, struct history_request *request)
{
    struct dispatch_command *command = request->owner;
    size_t which = (size_t)request->last;
    switch (request->result) {
    case ERR_OK:
        break;
    case ERR_NOENT:
        set_refusal(command, ANSWER_NOT_FOUND, "there is no such blob in this session", which);
        break;
    case ERR_TOOBIG:
        set_refusal(command, ANSWER_TOO_LARGE, "the blobs of the prompt are too long together (max-blob-bytes)", which);
        break;
    default:
        set_refusal(command, ANSWER_STORAGE_UNAVAILABLE, "the blobs of the prompt cannot be read", which);
    }
    command->checked = true;
    history_request_free(request);

    struct held *held = dispatch_find(dispatch, command->command->session_id); /* it does not leave while it checks */
    struct dispatch_command *parked = held->parked;
    held->checking = false;
    held->parked = NULL;
    held->parked_last = &held->parked;
    dispatch_take_command(dispatch, command);
    while (parked) {
        struct dispatch_command *next = parked->parked_next;
        dispatch_take_command(dispatch, parked);
        parked = next;
    }
}
