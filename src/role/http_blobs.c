/* Blobs: content that is sent up, and content that is fetched, whole or in part. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/check.h"

enum { PIECE_BYTES = 256 * 1024 };

/* ---- Fetched ---- */

struct fetch {
    int64_t key;
    struct digest name;
    uint64_t at, end; /* what is still to be sent: from here, to before there */
};

static struct history_request *question_of(const struct fetch *fetch, size_t most)
{
    struct history_request *question;
    if (history_request_new(&question)) {
        return NULL;
    }
    question->kind = HISTORY_BLOB;
    question->session_key = fetch->key;
    question->blob = fetch->name;
    question->from = fetch->at;
    question->max_bytes = most;
    return question;
}

static bool next_piece(struct http_request *request, void *context, struct buffer *piece)
{
    struct fetch *fetch = context;
    size_t most = fetch->end - fetch->at < PIECE_BYTES ? (size_t)(fetch->end - fetch->at) : PIECE_BYTES;
    struct http_response unsent = {.status = 200}; /* the head of the answer has gone out: nothing can be said any more */
    struct history_request *question = question_of(fetch, most);
    struct history_request *answer = question ? http_ask_history(request, &unsent, question) : NULL;
    buffer_free(&unsent.body);
    buffer_free(&unsent.headers);
    if (!answer) {
        return false;
    }
    buffer_free(piece);
    *piece = answer->bytes;
    answer->bytes = (struct buffer){0};
    fetch->at += piece->length;
    history_request_free(answer);
    return true;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_UNSATISFIABLE };

/* Digits that are a number; false for none. One that is too large is the largest. */
static bool read_number(const char **at, uint64_t *out)
{
    const char *begin = *at;
    *out = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        unsigned digit = (unsigned)(**at - '0');
        if (__builtin_mul_overflow(*out, (uint64_t)10, out) || __builtin_add_overflow(*out, digit, out)) {
            *out = UINT64_MAX / 16;
        }
    }
    return *at > begin;
}

/* One range of bytes (RFC 9110, section 14); what is none, or more than one, is not looked at, as it allows. */
static enum range read_range(const char *text, uint64_t bytes, uint64_t *from, uint64_t *to)
{
    static const char unit[] = "bytes=";
    if (!text || strncmp(text, unit, sizeof(unit) - 1)) {
        return RANGE_NONE;
    }
    const char *at = text + sizeof(unit) - 1;
    bool has_from = read_number(&at, from);
    if (*at++ != '-') {
        return RANGE_NONE;
    }
    bool has_to = read_number(&at, to);
    if (*at || (!has_from && !has_to) || (has_from && has_to && *to < *from)) {
        return RANGE_NONE;
    }
    if (!has_from) { /* the last so many */
        if (*to == 0) {
            return RANGE_UNSATISFIABLE;
        }
        *from = *to < bytes ? bytes - *to : 0;
        *to = UINT64_MAX;
    } else if (!has_to) {
        *to = UINT64_MAX;
    }
    if (*from >= bytes) {
        return RANGE_UNSATISFIABLE;
    }
    *to = *to < bytes ? *to : bytes - 1;
    return RANGE_PART;
}

/* What agents and people have made is hostile: it is not shown as a page of ours, whatever it says that it is. */
static void put_headers(struct http_response *response, const char *tag)
{
    buffer_format(&response->headers,
                  "ETag: %s\r\nCache-Control: private, max-age=31536000, immutable\r\nAccept-Ranges: bytes\r\n", tag);
    buffer_text(&response->headers, "Content-Security-Policy: default-src 'none'; sandbox\r\n"
                                    "Content-Disposition: attachment\r\n");
}

static bool matches(const char *header, const char *tag)
{
    return header && (!strcmp(header, "*") || strstr(header, tag));
}

static void serve(struct http_request *request, struct http_response *response, struct fetch *fetch,
                  const struct blob_info *info)
{
    char tag[BLOB_ID_SIZE + 2], id[BLOB_ID_SIZE];
    blob_id(&fetch->name, id);
    snprintf(tag, sizeof(tag), "\"%s\"", id);
    put_headers(response, tag);
    if (matches(http_header(request, "If-None-Match", NULL), tag)) {
        response->status = 304;
        return;
    }
    uint64_t from = 0, to = info->bytes;
    const char *condition = http_header(request, "If-Range", NULL);
    bool ranged = !strcmp(request->method, "GET") && (!condition || !strcmp(condition, tag));
    switch (ranged ? read_range(http_header(request, "Range", NULL), info->bytes, &from, &to) : RANGE_NONE) {
    case RANGE_NONE:
        from = 0;
        to = info->bytes;
        break;
    case RANGE_PART:
        response->status = 206;
        buffer_format(&response->headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", from, to,
                      info->bytes);
        to++;
        break;
    case RANGE_UNSATISFIABLE:
        buffer_reset(&response->headers);
        http_problem_status(response, 416, ANSWER_BAD_MESSAGE, "the range begins behind the end");
        buffer_format(&response->headers, "Content-Range: bytes */%" PRIu64 "\r\n", info->bytes);
        return;
    }
    fetch->at = from;
    fetch->end = to;
    response->source = next_piece;
    response->source_length = to - from;
}

/* Lives as long as the response, whose Content-Type stands in it. */
struct served {
    struct fetch fetch;
    struct blob_info info;
};

static bool served_piece(struct http_request *request, void *context, struct buffer *piece)
{
    struct served *served = context;
    return next_piece(request, &served->fetch, piece);
}

void http_blob(struct http_request *request, struct http_response *response)
{
    struct served *served = calloc(1, sizeof(*served));
    if (!served) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    response->source_context = served;
    if (!http_find_key(request, response, &served->fetch.key)) {
        return;
    }
    struct history_request *answer = NULL;
    bool named = blob_id_parse(request->match.values[1], &served->fetch.name);
    struct history_request *question = named ? question_of(&served->fetch, 0) : NULL;
    if (named && !question) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    if (named) {
        answer = http_ask_history(request, response, question);
    }
    if (!named || (!answer && response->status == 404)) {
        http_problem(response, ANSWER_NOT_FOUND, "there is no such blob in this session", "blob", NULL);
    }
    if (!answer) {
        return;
    }
    served->info = answer->blob_info;
    history_request_free(answer);
    response->type = served->info.type;
    serve(request, response, &served->fetch, &served->info);
    if (response->source) {
        response->source = served_piece;
    }
}

/* ---- Sent up ---- */

/* Room for `bytes` among what is on its way to the store. NULL: the response says why not. */
static struct credit *take_room(struct http_request *request, struct http_response *response, uint32_t bytes)
{
    struct credit_pool *pool = request->http->wiring.uploads;
    struct credit *credit;
    if (credit_new(&credit, pool, 0, request->handler->box)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return NULL;
    }
    credit_take(credit, bytes);
    /* One that is longer than all may have goes alone. */
    if (credit_pool_left(pool) < 0 && credit_pool_used(pool) > (int64_t)bytes) {
        credit_give(credit, bytes);
        credit_put(credit);
        http_problem_status(response, 503, ANSWER_BUSY, "too much is being sent up at the moment");
        return NULL;
    }
    return credit;
}

static bool read_content(struct http_request *request, struct http_response *response, struct buffer *body)
{
    enum err err = http_read_body(request, (size_t)request->content_length, body);
    if (!err) {
        return true;
    }
    response->close = true;
    if (err == ERR_NOMEM) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    } else if (err == ERR_TIMEDOUT) {
        http_problem_status(response, 408, ANSWER_BAD_MESSAGE, "the body came too slowly");
    } else {
        http_problem(response, ANSWER_BAD_MESSAGE, "the body did not come whole", NULL, NULL);
    }
    return false;
}

static void write_stored(struct http_response *response, const struct digest *name, uint64_t bytes, const char *type)
{
    char id[BLOB_ID_SIZE];
    blob_id(name, id);
    buffer_byte(&response->body, '{');
    json_field_string(&response->body, "blob", id);
    json_field_i64(&response->body, "bytes", (int64_t)bytes);
    json_field_string(&response->body, "contentType", type);
    buffer_byte(&response->body, '}');
}

/* Gives the content to the dispatcher; takes `body` and the credit. */
static bool store(struct http_request *request, struct http_response *response, const char *type,
                  const struct digest *name, struct buffer *body, struct credit *credit, uint32_t bytes)
{
    struct command *command = NULL;
    struct command_error error;
    char *fields = NULL;
    size_t length = body->length;
    char *data = buffer_take(body);
    enum err err = data ? command_parse_body(COMMAND_STORE_BLOB, NULL, &command, &error) : ERR_NOMEM;
    if (!err) {
        command->session_id = strdup(request->match.values[0]);
        err = command->session_id ? blob_new(&command->blobs, type, name, data, length) : ERR_NOMEM;
    }
    if (err) {
        free(data);
        command_free(command);
        credit_give(credit, bytes);
        credit_put(credit);
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return false;
    }
    bool fine = http_ask_dispatcher_with(request, response, command, credit, bytes, &fields);
    free(fields);
    return fine;
}

/* Whether the session has it already: then nothing is done, and no limit is reached. */
static bool is_there(struct http_request *request, int64_t key, const struct digest *name)
{
    struct fetch fetch = {.key = key, .name = *name};
    struct history_request *question = question_of(&fetch, 0);
    struct http_response unsent = {.status = 200};
    struct history_request *answer = question ? http_ask_history(request, &unsent, question) : NULL;
    buffer_free(&unsent.body);
    buffer_free(&unsent.headers);
    bool there = answer != NULL;
    history_request_free(answer);
    return there;
}

static void take_content(struct http_request *request, struct http_response *response, const char *type, int64_t key)
{
    uint32_t bytes = (uint32_t)request->content_length;
    struct credit *credit = take_room(request, response, bytes);
    struct buffer body = {0};
    struct digest name;
    if (!credit) {
        response->close = true;
        return;
    }
    bool fine = read_content(request, response, &body);
    if (fine) {
        blob_name(type, body.data ? body.data : "", body.length, &name);
    }
    if (!fine || is_there(request, key, &name)) {
        credit_give(credit, bytes);
        credit_put(credit);
    } else {
        fine = store(request, response, type, &name, &body, credit, bytes);
    }
    if (fine) {
        char id[BLOB_ID_SIZE];
        write_stored(response, &name, bytes, type);
        blob_id(&name, id);
        buffer_format(&response->headers, "Location: %s/%s\r\n", request->path, id);
    }
    buffer_free(&body);
}

void http_store_blob(struct http_request *request, struct http_response *response)
{
    const char *type = http_header(request, "Content-Type", NULL);
    int64_t key;
    type = type && *type ? type : BLOB_BYTES;
    response->close = true; /* until the body is read */
    if (!http_key_allowed(request, response)) {
        return;
    }
    if (!blob_type_valid(type)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "the Content-Type is none", "Content-Type", NULL);
        return;
    }
    if (request->content_length < 0) {
        http_problem_status(response, 411, ANSWER_BAD_MESSAGE, "the length of the body must be told (Content-Length)");
        return;
    }
    if (request->content_length > request->config->max_blob_bytes) {
        http_problem(response, ANSWER_TOO_LARGE, "the body is longer than `max-blob-bytes`", NULL, NULL);
        return;
    }
    if (!http_find_key(request, response, &key)) {
        return;
    }
    response->close = false;
    take_content(request, response, type, key);
}
