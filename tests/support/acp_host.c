#define _GNU_SOURCE
#include "support/acp_host.h"

#include <stdarg.h>

#include "base/json_check.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/fold.h"
#include "support/pointer.h"
#include "support/test.h"

static void *grow(void *array, size_t count, size_t size)
{
    void *more = realloc(array, (count + 1) * size);
    if (more == NULL) {
        abort();
    }
    memset((char *)more + count * size, 0, size);
    return more;
}

static const char *text_of(struct json_object *event, const char *key)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(event, key, &value);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static char *join(char *to, const char *more)
{
    size_t length = to != NULL ? strlen(to) : 0;
    char *joined = realloc(to, length + strlen(more) + 1);
    if (joined == NULL) {
        abort();
    }
    strcpy(joined + length, more);
    return joined;
}

static size_t offset_of(struct json_object *event)
{
    struct json_object *value = NULL;
    CU_ASSERT_TRUE(json_object_object_get_ex(event, "offset", &value));
    return (size_t)json_object_get_int64(value);
}

static struct seen_block *open_block(struct host *host)
{
    return host->block_count > 0 && host->blocks[host->block_count - 1].open
               ? &host->blocks[host->block_count - 1]
               : NULL;
}

static struct seen_block *block_of(struct host *host, struct json_object *event, bool thought)
{
    const char *id = text_of(event, "messageId");
    struct seen_block *block = open_block(host);
    if (block == NULL) {
        for (size_t i = 0; i < host->block_count; i++) {
            CU_ASSERT_STRING_NOT_EQUAL(host->blocks[i].id, id);
        }
        host->blocks = grow(host->blocks, host->block_count, sizeof *host->blocks);
        block = &host->blocks[host->block_count++];
        *block = (struct seen_block){.id = join(NULL, id),
                                     .text = join(NULL, ""),
                                     .thought = thought,
                                     .open = true,
                                     .turn = host->turn};
    }
    TEST_TEXT(id, block->id); /* no two are open at once */
    CU_ASSERT_EQUAL(block->thought, thought);
    CU_ASSERT_EQUAL(block->turn, host->turn);
    return block;
}

static void watch_delta(struct host *host, struct json_object *event, bool thought)
{
    struct seen_block *block = block_of(host, event, thought);
    const char *delta = text_of(event, "delta");
    CU_ASSERT_TRUE(delta[0] != '\0' && utf8_valid(delta, strlen(delta)));
    CU_ASSERT_EQUAL(offset_of(event), utf8_utf16_length(block->text, strlen(block->text)));
    block->text = join(block->text, delta);
}

static void watch_complete(struct host *host, struct json_object *event, bool thought)
{
    struct seen_block *block = block_of(host, event, thought);
    struct json_object *intermediate = NULL;
    TEST_TEXT(text_of(event, "text"), block->text);
    CU_ASSERT_TRUE(json_object_object_get_ex(event, "isIntermediate", &intermediate));
    block->intermediate = json_object_get_boolean(intermediate);
    block->open = false;
}

static struct seen_tool *tool_of(struct host *host, struct json_object *event)
{
    const char *id = text_of(event, "toolUseId");
    for (size_t i = 0; i < host->tool_count; i++) {
        if (strcmp(host->tools[i].id, id) == 0) {
            return &host->tools[i];
        }
    }
    return NULL;
}

static void watch_tool_start(struct host *host, struct json_object *event)
{
    struct json_object *input = NULL;
    CU_ASSERT_PTR_NULL(tool_of(host, event));
    CU_ASSERT_PTR_NULL(open_block(host));
    CU_ASSERT_TRUE(json_object_object_get_ex(event, "toolInput", &input));
    CU_ASSERT_TRUE(json_object_is_type(input, json_type_object));
    CU_ASSERT_PTR_NOT_NULL(text_of(event, "toolName"));
    CU_ASSERT_PTR_NOT_NULL(text_of(event, "kind"));
    host->tools = grow(host->tools, host->tool_count, sizeof *host->tools);
    struct seen_tool *tool = &host->tools[host->tool_count++];
    tool->id = join(NULL, text_of(event, "toolUseId"));
    tool->start = json_object_get(event);
    tool->output = join(NULL, "");
    tool->turn = host->turn;
    tool->fields = json_object_new_object();
    json_object_object_add(tool->fields, "status", json_object_new_string("pending"));
    json_object_object_foreach(event, key, value)
    {
        const char *name = strcmp(key, "toolDisplayName") == 0 ? "title" : key;
        json_object_object_add(tool->fields, name, json_object_get(value));
    }
}

static void watch_tool_output(struct host *host, struct json_object *event)
{
    struct seen_tool *tool = tool_of(host, event);
    const char *delta = text_of(event, "delta");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tool);
    CU_ASSERT_PTR_NULL(tool->result);
    CU_ASSERT_TRUE(delta[0] != '\0' && utf8_valid(delta, strlen(delta)));
    CU_ASSERT_EQUAL(offset_of(event), tool->output_units);
    tool->output_units += utf8_utf16_length(delta, strlen(delta));
    tool->output = join(tool->output, delta);
}

static void watch_tool_update(struct host *host, struct json_object *event)
{
    struct seen_tool *tool = tool_of(host, event);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tool);
    json_object_object_foreach(event, key, value)
    {
        json_object_object_add(tool->fields, key, json_object_get(value));
    }
}

static void watch_tool_result(struct host *host, struct json_object *event)
{
    struct seen_tool *tool = tool_of(host, event);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tool);
    CU_ASSERT_PTR_NULL(tool->result);
    TEST_TEXT(text_of(event, "toolName"), text_of(tool->start, "toolName"));
    CU_ASSERT_PTR_NOT_NULL(text_of(event, "result"));
    tool->result = json_object_get(event);
}

static struct json_object *member(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(object, key, &value);
    return value;
}

static void check_number(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;
    if (json_object_object_get_ex(object, key, &value)) {
        CU_ASSERT_TRUE(json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0);
    }
}

/* Whatever an agent sent, the types within its own values are those that the schema promises. */
static void check_shape(struct json_object *event)
{
    struct json_object *locations = member(event, "locations");
    struct json_object *entries = member(event, "entries");
    for (size_t i = 0; locations != NULL && i < json_object_array_length(locations); i++) {
        struct json_object *location = json_object_array_get_idx(locations, i);
        CU_ASSERT_PTR_NOT_NULL(text_of(location, "path"));
        check_number(location, "line");
    }
    for (size_t i = 0; entries != NULL && i < json_object_array_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        CU_ASSERT_PTR_NOT_NULL(text_of(entry, "content"));
        CU_ASSERT_PTR_NOT_NULL(text_of(entry, "priority"));
        CU_ASSERT_PTR_NOT_NULL(text_of(entry, "status"));
    }
    check_number(event, "used");
    check_number(event, "size");
    CU_ASSERT_TRUE(member(event, "cost") == NULL || json_object_is_type(member(event, "cost"), json_type_object));
    CU_ASSERT_TRUE(member(event, "usage") == NULL || json_object_is_type(member(event, "usage"), json_type_object));
}

static void watch(struct host *host, enum event_kind kind, struct json_object *event)
{
    CU_ASSERT_EQUAL(text_of(event, "turnId") != NULL, host->turn >= 0);
    check_shape(event);
    switch (kind) {
    case EVENT_TEXT_DELTA:
    case EVENT_THOUGHT_DELTA:
        watch_delta(host, event, kind == EVENT_THOUGHT_DELTA);
        break;
    case EVENT_TEXT_COMPLETE:
    case EVENT_THOUGHT_COMPLETE:
        watch_complete(host, event, kind == EVENT_THOUGHT_COMPLETE);
        break;
    case EVENT_TOOL_START:
        watch_tool_start(host, event);
        break;
    case EVENT_TOOL_OUTPUT:
        watch_tool_output(host, event);
        break;
    case EVENT_TOOL_UPDATE:
        watch_tool_update(host, event);
        break;
    case EVENT_TOOL_RESULT:
        watch_tool_result(host, event);
        break;
    case EVENT_PLAN:
        CU_ASSERT_PTR_NULL(open_block(host));
        break;
    default:
        break;
    }
}

/* What a client would parse; a NUL in a text, which C's strings cannot show, becomes U+FFFD. */
static struct json_object *parse_strictly(const char *json, size_t length)
{
    struct json_tokener *tokener = json_tokener_new();
    char *text = strndup(json, length);
    if (tokener == NULL || text == NULL) {
        abort();
    }
    for (char *nul = strstr(text, "\\u0000"); nul != NULL; nul = strstr(nul, "\\u0000")) {
        memcpy(nul, "\\ufffd", 6);
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *value = json_tokener_parse_ex(tokener, text, (int)length);
    json_tokener_free(tokener);
    free(text);
    return value;
}

static void take_blobs(void *context, struct blob *blobs)
{
    struct host *host = context;
    while (blobs) {
        struct blob *blob = blobs;
        char id[BLOB_ID_SIZE];
        struct digest name;
        blobs = blob->next;
        blob_id(&blob->name, id);
        blob_name(blob->type, blob->data, blob->length, &name);
        CU_ASSERT_TRUE(digest_equal(&name, &blob->name));
        CU_ASSERT_PTR_NULL(host_blob(host, id)); /* what was sent is not sent again */
        blob->next = host->blobs;
        host->blobs = blob;
    }
}

const struct blob *host_blob(const struct host *host, const char *id)
{
    struct digest name;
    const struct blob *blob = host->blobs;
    CU_ASSERT_TRUE_FATAL(blob_id_parse(id, &name));
    while (blob && !digest_equal(&blob->name, &name)) {
        blob = blob->next;
    }
    return blob;
}

/* As a client that fetches all that was cut; each blob must have come before. */
static void restore(struct host *host, struct json_object **value)
{
    struct json_object *refs = json_object_object_get(*value, "refs");
    for (size_t i = 0; refs && i < json_object_array_length(refs); i++) {
        struct json_object *ref = json_object_array_get_idx(refs, i);
        struct json_object *there = NULL;
        const struct blob *blob = host_blob(host, text_of(ref, "blob"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
        CU_ASSERT_EQUAL(json_object_get_int64(json_object_object_get(ref, "bytes")), (int64_t)blob->length);
        CU_ASSERT_EQUAL_FATAL(json_pointer_get(*value, text_of(ref, "path"), &there), 0);
        struct json_object *whole;
        if (json_object_is_type(there, json_type_string)) {
            size_t shown = (size_t)json_object_get_string_len(there);
            const char *note = strstr(json_object_get_string(there), "\n["); /* of what is left out */
            shown = note ? (size_t)(note - json_object_get_string(there)) : shown;
            CU_ASSERT_TRUE(shown < blob->length && memcmp(json_object_get_string(there), blob->data, shown) == 0);
            TEST_TEXT(blob->type, BLOB_TEXT);
            whole = json_object_new_string_len(blob->data, (int)blob->length);
        } else {
            TEST_TEXT(blob->type, BLOB_JSON);
            whole = parse_strictly(blob->data, blob->length);
        }
        CU_ASSERT_EQUAL(pointer_put(*value, text_of(ref, "path"), whole), 0);
    }
}

/* What goes into a log is JSON (json-c would take more), text, and can be folded. */
static void check_stored(const struct seen_event *seen, uint64_t seq)
{
    uint8_t stack[1000];
    struct json_check check;
    struct fold_row row;
    CU_ASSERT_EQUAL(json_check(&check, seen->text, seen->length, stack, sizeof stack), ERR_OK);
    CU_ASSERT_TRUE(utf8_valid(seen->text, seen->length));
    CU_ASSERT_EQUAL_FATAL(fold_read(seen->text, seen->length, &row), ERR_OK);
    CU_ASSERT_EQUAL(row.kind, (int)seen->kind);
    CU_ASSERT_EQUAL(row.seq, seq);
}

static void take_event(void *context, struct event *event)
{
    struct host *host = context;
    host->events = grow(host->events, host->event_count, sizeof *host->events);
    struct seen_event *seen = &host->events[host->event_count++];
    event_number(event, host->event_count, event->at_wall_ms);
    seen->json = parse_strictly(frame_json(event->frame), frame_json_length(event->frame));
    seen->cut = parse_strictly(frame_json(event->frame), frame_json_length(event->frame));
    seen->length = frame_json_length(event->frame);
    seen->text = strndup(frame_json(event->frame), seen->length);
    seen->kind = event->kind;
    seen->at_wall_ms = event->at_wall_ms;
    seen->line_at = event->line_at;
    event_discard(event);
    CU_ASSERT_PTR_NOT_NULL_FATAL(seen->text);
    check_stored(seen, host->event_count);
    CU_ASSERT_PTR_NOT_NULL_FATAL(seen->json);
    bool message = seen->kind == EVENT_TEXT_DELTA || seen->kind == EVENT_TEXT_COMPLETE ||
                   seen->kind == EVENT_THOUGHT_DELTA || seen->kind == EVENT_THOUGHT_COMPLETE;
    CU_ASSERT_TRUE(message || seen->length <= host->max_event_bytes);
    restore(host, &seen->json);
    TEST_TEXT(text_of(seen->json, "type"), event_name(seen->kind));
    TEST_TEXT(text_of(seen->json, "sessionId"), "signal");
    /* Offsets of outputs count what is shown. */
    watch(host, seen->kind, seen->kind == EVENT_TOOL_OUTPUT ? seen->cut : seen->json);
}

static void take_notice(void *context, struct agent_notice *notice)
{
    struct host *host = context;
    host->notices = grow(host->notices, host->notice_count, sizeof *host->notices);
    host->notices[host->notice_count++] = *notice;
    if (notice->kind == NOTICE_TURN_ENDED) {
        CU_ASSERT_PTR_NULL(open_block(host));
        for (size_t i = 0; i < host->tool_count; i++) {
            CU_ASSERT_PTR_NOT_NULL(host->tools[i].result);
        }
        host->turn = -1;
    }
}

static void take_line(void *context, const char *line, size_t length)
{
    struct host *host = context;
    CU_ASSERT_FATAL(length > 0 && line[length - 1] == '\n');
    CU_ASSERT_PTR_NULL(memchr(line, '\n', length - 1));
    char *text = strndup(line, length - 1);
    struct json_object *message = json_tokener_parse(text);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    host->sent = grow(host->sent, host->sent_count, sizeof(struct json_object *));
    host->sent[host->sent_count++] = message;
}

static enum err take_file(void *context, uint64_t serial, struct file_call *call)
{
    struct host *host = context;
    if (host->refusal != ERR_OK) {
        return host->refusal;
    }
    host->files = grow(host->files, host->file_count, sizeof *host->files);
    host->files[host->file_count++] = *call;
    CU_ASSERT_EQUAL(serial, host->file_count);
    return ERR_OK;
}

static enum err take_command(void *context, uint64_t number, const struct terminal_command *command,
                             char *why)
{
    struct host *host = context;
    if (host->refusal != ERR_OK) {
        snprintf(why, TERMINAL_WHY_SIZE, "refused");
        return host->refusal;
    }
    char *words = join(NULL, "");
    for (size_t i = 0; command->environment[i] != NULL; i++) {
        words = join(join(words, command->environment[i]), "|");
    }
    for (size_t i = 0; i < command->argument_count; i++) {
        words = join(join(words, command->arguments[i]), "|");
    }
    CU_ASSERT_PTR_NULL(command->arguments[command->argument_count]);
    words = join(join(words, "in "), command->folder);
    host->commands = grow(host->commands, host->command_count, sizeof *host->commands);
    host->commands[host->command_count++] = (struct seen_command){.number = number, .words = words};
    return ERR_OK;
}

static void take_command_end(void *context, uint64_t number, bool at_once)
{
    struct host *host = context;
    for (size_t i = 0; i < host->command_count; i++) {
        if (host->commands[i].number == number) {
            host->commands[i].killed += !at_once;
            host->commands[i].released += at_once;
        }
    }
}

size_t host_answers(struct host *host, int id)
{
    size_t count = 0;
    for (size_t i = 0; i < host->sent_count; i++) {
        struct json_object *number = NULL;
        count += text_of(host->sent[i], "method") == NULL &&
                 json_object_object_get_ex(host->sent[i], "id", &number) &&
                 json_object_get_int(number) == id;
    }
    return count;
}

struct json_object *host_answer(struct host *host, int id)
{
    struct json_object *found = NULL;
    CU_ASSERT_EQUAL_FATAL(host_answers(host, id), 1);
    for (size_t i = 0; i < host->sent_count; i++) {
        struct json_object *number = NULL;
        if (text_of(host->sent[i], "method") == NULL &&
            json_object_object_get_ex(host->sent[i], "id", &number) &&
            json_object_get_int(number) == id) {
            found = host->sent[i];
        }
    }
    return found;
}

void host_open(struct host *host, const struct host_options *options)
{
    static const struct host_options usual = {50, 256 * 1024, 1, NULL, NULL, 0, 0};
    options = options != NULL ? options : &usual;
    *host = (struct host){.now = {1000000000}, .wall_ms = 1000000, .turn = -1};
    host->max_event_bytes = options->max_event_bytes ? options->max_event_bytes : 64 * 1024;
    enum err err = acp_peer_new(&host->peer,
                                &(struct acp_options){
                                    .session_id = "signal",
                                    .cwd = "/w",
                                    .run = options->run,
                                    .delta_window_ms = options->delta_window_ms,
                                    .max_message_text = options->max_message_text,
                                    .max_event_bytes = host->max_event_bytes,
                                    .version = "1.2.3",
                                    .resume = options->resume,
                                    .login = options->login,
                                    .offers = options->offers,
                                },
                                &(struct acp_sink){host, take_line, take_event, take_blobs, take_notice,
                                                   take_file, take_command, take_command_end});
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    acp_peer_time(host->peer, host->now, host->wall_ms);
}

void host_open_ready(struct host *host, const struct host_options *options, const char *response)
{
    host_open(host, options);
    acp_peer_start(host->peer);
    host_say(host, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":1}}");
    host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}",
              response != NULL ? response : "{\"sessionId\":\"s\"}");
    CU_ASSERT_PTR_NOT_NULL_FATAL(host_last_notice(host, NOTICE_READY));
}

void host_close(struct host *host)
{
    acp_peer_free(host->peer);
    for (size_t i = 0; i < host->sent_count; i++) {
        json_object_put(host->sent[i]);
    }
    for (size_t i = 0; i < host->event_count; i++) {
        json_object_put(host->events[i].json);
        json_object_put(host->events[i].cut);
        free(host->events[i].text);
    }
    for (size_t i = 0; i < host->notice_count; i++) {
        agent_notice_clear(&host->notices[i]);
    }
    for (size_t i = 0; i < host->tool_count; i++) {
        free(host->tools[i].id);
        free(host->tools[i].output);
        json_object_put(host->tools[i].start);
        json_object_put(host->tools[i].fields);
        json_object_put(host->tools[i].result);
    }
    for (size_t i = 0; i < host->file_count; i++) {
        file_call_clear(&host->files[i]);
    }
    for (size_t i = 0; i < host->command_count; i++) {
        free(host->commands[i].words);
    }
    free(host->files);
    free(host->commands);
    for (size_t i = 0; i < host->block_count; i++) {
        free(host->blocks[i].id);
        free(host->blocks[i].text);
    }
    blobs_free(host->blobs);
    free(host->sent);
    free(host->events);
    free(host->notices);
    free(host->tools);
    free(host->blocks);
}

void host_advance(struct host *host, int64_t ms)
{
    host->now = instant_after_ms(host->now, ms);
    host->wall_ms += ms;
    acp_peer_time(host->peer, host->now, host->wall_ms);
}

void host_tick(struct host *host)
{
    acp_peer_tick(host->peer);
}

enum err host_say_object(struct host *host, struct json_object *message)
{
    return acp_peer_message(host->peer, message);
}

enum err host_say(struct host *host, const char *text)
{
    struct json_object *message = json_tokener_parse(text);
    enum err err = host_say_object(host, message);
    json_object_put(message);
    return err;
}

enum err host_sayf(struct host *host, const char *format, ...)
{
    va_list arguments;
    char *line = NULL;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) {
        abort();
    }
    enum err err = host_say(host, line);
    free(line);
    return err;
}

void host_update(struct host *host, const char *update)
{
    enum err err = host_sayf(host,
                             "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":"
                             "{\"sessionId\":\"s\",\"update\":%s}}",
                             update);
    CU_ASSERT_EQUAL(err, ERR_OK);
}

static void say_chunk(struct host *host, const char *kind, const char *text)
{
    struct json_object *update = json_object_new_object();
    struct json_object *content = json_object_new_object();
    json_object_object_add(content, "type", json_object_new_string("text"));
    json_object_object_add(content, "text", json_object_new_string(text));
    json_object_object_add(update, "content", content);
    json_object_object_add(update, "sessionUpdate", json_object_new_string(kind));
    host_update(host, json_object_to_json_string(update));
    json_object_put(update);
}

void host_text(struct host *host, const char *text)
{
    say_chunk(host, "agent_message_chunk", text);
}

void host_thought(struct host *host, const char *thought)
{
    say_chunk(host, "agent_thought_chunk", thought);
}

void host_prompt(struct host *host)
{
    char id[32];
    snprintf(id, sizeof id, "turn-%d", host->turns);
    acp_peer_prompt(host->peer, id, "[{\"type\":\"text\",\n\"text\":\"hello\"}]");
    CU_ASSERT_PTR_NULL(open_block(host)); /* what was said between the turns is complete */
    host->turn = host->turns++;
}

void host_answer_prompt(struct host *host, const char *result)
{
    struct json_object *id = NULL;
    for (size_t i = 0; i < host->sent_count; i++) {
        const char *method = text_of(host->sent[i], "method");
        if (method != NULL && strcmp(method, "session/prompt") == 0) {
            json_object_object_get_ex(host->sent[i], "id", &id);
        }
    }
    host_sayf(host, "{\"jsonrpc\":\"2.0\",\"result\":%s,\"id\":%s}", result,
              json_object_get_string(id));
}

const char *host_kinds(struct host *host)
{
    static char names[4096];
    names[0] = '\0';
    for (size_t from = host->kinds_from; from < host->event_count; from++) {
        if (strlen(names) + 32 < sizeof names) {
            strcat(strcat(names, names[0] != '\0' ? " " : ""), event_name(host->events[from].kind));
        }
    }
    host->kinds_from = host->event_count;
    return names;
}

struct json_object *host_last_event(struct host *host, enum event_kind kind)
{
    for (size_t i = host->event_count; i-- > 0;) {
        if (host->events[i].kind == kind) {
            return host->events[i].json;
        }
    }
    return NULL;
}

struct agent_notice *host_last_notice(struct host *host, enum agent_notice_kind kind)
{
    for (size_t i = host->notice_count; i-- > 0;) {
        if (host->notices[i].kind == kind) {
            return &host->notices[i];
        }
    }
    return NULL;
}

struct json_object *host_last_sent(struct host *host)
{
    return host->sent_count > 0 ? host->sent[host->sent_count - 1] : NULL;
}

const char *at(struct json_object *object, const char *path)
{
    static char text[8][4096];
    static size_t turn;
    char *out = text[turn++ % 8];
    while (*path != '\0' && object != NULL) {
        char key[64];
        size_t length = strcspn(path, "/");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        path += length + (path[length] == '/');
        if (json_object_is_type(object, json_type_array)) {
            object = json_object_array_get_idx(object, (size_t)atoi(key));
        } else if (!json_object_object_get_ex(object, key, &object)) {
            object = NULL;
        }
    }
    snprintf(out, sizeof text[0], "%s",
             object == NULL ? ""
             : json_object_is_type(object, json_type_string)
                 ? json_object_get_string(object)
                 : json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
    return out;
}
