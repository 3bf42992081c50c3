#define _GNU_SOURCE
#include "model.h"

#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const last_kinds[8] = {"plan",           "usage", "commands", "mode",
                                          "config_options", "title", "policy",   "status"};
static const char *const tool_fields[12] = {
    "toolName",  "toolInput",       "toolIntent",      "toolDisplayName", "kind", "locations",
    "content",   "parentToolUseId", "status",          "title",           "refs", NULL,
};

// ---- Small things ----

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static uint64_t hash(const char *text)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (; *text != '\0'; text++) {
        sum = (sum ^ (uint8_t)*text) * 0x100000001b3;
    }
    return sum;
}

static uint64_t hash_value(json_object *value)
{
    return hash(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
}

static char *copy(const char *text)
{
    char *made = strdup(text);
    if (made == NULL) {
        die("out of memory");
    }
    return made;
}

static const char *member(json_object *object, const char *key)
{
    json_object *value = NULL;
    return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : NULL;
}

static uint64_t number(json_object *object, const char *key, uint64_t fallback)
{
    json_object *value = NULL;
    bool there = json_object_object_get_ex(object, key, &value) &&
                 json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0;
    return there ? (uint64_t)json_object_get_int64(value) : fallback;
}

static bool is_one(const char *type, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(type, *words) == 0) {
            return true;
        }
    }
    return false;
}

// Whatever the order of its members.
static uint64_t hash_event(json_object *event)
{
    uint64_t sum = 0;
    json_object_object_foreach(event, key, value)
    {
        sum += strcmp(key, "from") == 0 ? 0 : mix(hash(key) ^ mix(hash_value(value)));
    }
    return sum;
}

bool model_is_fixed(json_object *event, uint64_t *sum)
{
    // These are joined or merged, and those may be left out for a later one.
    static const char *const loose[] = {"text_delta",  "thought_delta", "tool_output",
                                        "tool_update", NULL};
    const char *type = member(event, "type");
    if (type == NULL || is_one(type, loose)) {
        return false;
    }
    bool stays = strcmp(type, "user_message") != 0;
    for (size_t i = 0; i < sizeof last_kinds / sizeof last_kinds[0]; i++) {
        stays = stays && strcmp(type, last_kinds[i]) != 0;
    }
    *sum = (hash_event(event) | MODEL_KNOWN) & ~(uint64_t)MODEL_STAYS;
    *sum |= stays ? MODEL_STAYS : 0;
    return true;
}

void model_open(struct model *m)
{
    *m = (struct model){.next = 1};
}

void model_clear(struct model *m)
{
    for (struct block *b = m->blocks, *before; b != NULL; b = before) {
        before = b->before;
        free(b->id);
        free(b->turn);
        free(b->text);
        free(b);
    }
    for (struct user_message *u = m->users, *before; u != NULL; u = before) {
        before = u->before;
        free(u->id);
        free(u);
    }
    for (struct turn_seen *t = m->turns, *before; t != NULL; t = before) {
        before = t->before;
        free(t->id);
        free(t->message);
        free(t);
    }
    for (struct permission_seen *p = m->open, *before; p != NULL; p = before) {
        before = p->before;
        free(p->id);
        free(p);
    }
    model_open(m);
}

// ---- Blocks ----

static struct block *find_block(struct model *m, enum block_kind kind, const char *id)
{
    struct block *b = m->blocks;
    while (b != NULL && (b->kind != kind || strcmp(b->id, id) != 0)) {
        b = b->before;
    }
    return b;
}

static struct block *add_block(struct model *m, enum block_kind kind, const char *id,
                               json_object *event)
{
    struct block *b = take(NULL, sizeof *b);
    const char *turn = member(event, "turnId");
    *b = (struct block){.before = m->blocks, .kind = kind, .id = copy(id), .turn = copy(turn != NULL ? turn : "")};
    m->blocks = b;
    return b;
}

static void set_text(struct block *b, size_t at, const char *text, size_t length)
{
    if (at + length + 1 > b->room) {
        b->room = 2 * (at + length) + 16;
        b->text = take(b->text, b->room);
    }
    memcpy(b->text + at, text, length);
    b->length = at + length;
    b->text[b->length] = '\0';
}

// Only ASCII is sent in these sessions, so that UTF-16 units are bytes.
static const char *splice(struct block *b, json_object *event, bool replaying)
{
    json_object *delta = NULL;
    uint64_t offset = number(event, "offset", UINT64_MAX);
    if (!json_object_object_get_ex(event, "delta", &delta) || offset == UINT64_MAX) {
        return "a delta without its members";
    }
    const char *text = json_object_get_string(delta);
    size_t length = (size_t)json_object_get_string_len(delta);
    if (offset > b->length) {
        return "a delta with a hole before it";
    }
    if (!replaying && offset != b->length) {
        return "a delta that repeats what was there";
    }
    size_t known = b->length - offset < length ? b->length - offset : length;
    if (known > 0 && memcmp(b->text + offset, text, known) != 0) {
        return "a delta that differs from what was there";
    }
    if (length > known) {
        set_text(b, b->length, text + known, length - known);
    }
    return NULL;
}

static const char *take_delta(struct model *m, enum block_kind kind, const char *id,
                              json_object *event, bool replaying)
{
    struct block *b = find_block(m, kind, id);
    if (b == NULL) {
        b = add_block(m, kind, id, event);
    }
    return b->done ? "a delta of a message that is over" : splice(b, event, replaying);
}

static const char *take_complete(struct model *m, enum block_kind kind, const char *id,
                                 json_object *event, bool replaying)
{
    struct block *b = find_block(m, kind, id);
    json_object *value = NULL;
    if (!json_object_object_get_ex(event, "text", &value)) {
        return "a message without its text";
    }
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    if (b == NULL) {
        b = add_block(m, kind, id, event);
    }
    if (b->done) {
        return "a message that is over twice";
    }
    if (length < b->length || (b->length > 0 && memcmp(b->text, text, b->length) != 0) ||
        (!replaying && length != b->length)) {
        return "a message that is not its joined deltas";
    }
    set_text(b, 0, text, length);
    b->done = true;
    b->result = hash_event(event);
    return NULL;
}

static const char *take_tool(struct model *m, const char *type, const char *id, json_object *event,
                             bool replaying)
{
    struct block *b = find_block(m, BLOCK_TOOL, id);
    if (strcmp(type, "tool_start") == 0) {
        if (b != NULL) {
            return "a tool call that begins twice";
        }
        b = add_block(m, BLOCK_TOOL, id, event);
    } else if (b == NULL) {
        return "a tool call that never began";
    } else if (b->done && strcmp(type, "tool_update") != 0) {
        return "output or a result of a tool call that is over";
    }
    if (strcmp(type, "tool_output") == 0) {
        return splice(b, event, replaying);
    }
    if (strcmp(type, "tool_result") == 0) {
        json_object *value = NULL;
        const char *error = member(event, "isError");
        json_object_object_get_ex(event, "result", &value);
        b->done = true;
        b->failed = error != NULL && strcmp(error, "true") == 0;
        b->result = hash_event(event);
        set_text(b, 0, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        return NULL;
    }
    for (size_t i = 0; tool_fields[i] != NULL; i++) {
        json_object *value = NULL;
        if (json_object_object_get_ex(event, tool_fields[i], &value)) {
            b->fields[i] = hash_value(value);
        }
    }
    return NULL;
}

// ---- The rest ----

static uint32_t seed_of(json_object *event)
{
    const char *text = member(event, "text");
    const char *at = text != NULL ? strstr(text, "\"seed\":") : NULL;
    return at != NULL ? (uint32_t)strtoul(at + strlen("\"seed\":"), NULL, 10) : 0;
}

static const char *take_user(struct model *m, const char *id, json_object *event)
{
    const char *status = member(event, "status");
    struct user_message **at = &m->users;
    while (*at != NULL && strcmp((*at)->id, id) != 0) {
        at = &(*at)->before;
    }
    struct user_message *u = *at;
    if (u != NULL) {
        *at = u->before; // its last status is its place
        m->queued -= u->queued;
    } else {
        u = take(NULL, sizeof *u);
        *u = (struct user_message){.id = copy(id)};
        m->user_count++;
    }
    u->before = m->users;
    u->sum = hash_event(event);
    u->seed = seed_of(event);
    u->queued = status != NULL && strcmp(status, "queued") == 0;
    m->queued += u->queued;
    m->users = u;
    return NULL;
}

static const char *take_turn(struct model *m, const char *type, json_object *event)
{
    const char *id = member(event, "turnId");
    const char *message = member(event, "messageId");
    if (id == NULL) {
        return "a turn without its id";
    }
    if (strcmp(type, "turn_started") == 0) {
        if (m->turns != NULL && m->turns->stop[0] == '\0') {
            return "a turn in a turn";
        }
        for (struct turn_seen *t = m->turns; t != NULL; t = t->before) {
            if (message != NULL && strcmp(t->message, message) == 0) {
                return "a prompt that was given to an agent twice";
            }
        }
        struct turn_seen *t = take(NULL, sizeof *t);
        *t = (struct turn_seen){
            .before = m->turns, .id = copy(id), .message = copy(message != NULL ? message : "")};
        m->turns = t;
        m->turn_count++;
        return NULL;
    }
    if (m->turns == NULL || strcmp(m->turns->id, id) != 0 || m->turns->stop[0] != '\0') {
        return "a turn that ends twice, or never began";
    }
    const char *stop = member(event, "stopReason");
    snprintf(m->turns->stop, sizeof m->turns->stop, "%s", stop != NULL ? stop : "?");
    return NULL;
}

static const char *take_permission(struct model *m, const char *type, json_object *event)
{
    json_object *request = NULL;
    if (strcmp(type, "permission_request") == 0) {
        json_object_object_get_ex(event, "request", &request);
        const char *id = member(request, "requestId");
        struct permission_seen *p = take(NULL, sizeof *p);
        *p = (struct permission_seen){.before = m->open, .id = copy(id != NULL ? id : "")};
        m->open = p;
        return NULL;
    }
    const char *id = member(event, "requestId");
    struct permission_seen **at = &m->open;
    while (*at != NULL && (id == NULL || strcmp((*at)->id, id) != 0)) {
        at = &(*at)->before;
    }
    struct permission_seen *p = *at;
    if (p == NULL) {
        return "a permission request that ends twice, or was never made";
    }
    *at = p->before;
    free(p->id);
    free(p);
    return NULL;
}

static void keep(struct model *m, json_object *event)
{
    m->kept = mix(m->kept ^ hash_event(event));
}

static const char *take_content(struct model *m, json_object *event, bool replaying)
{
    const char *type = member(event, "type");
    const char *message = member(event, "messageId");
    const char *tool = member(event, "toolUseId");
    for (size_t i = 0; i < sizeof last_kinds / sizeof last_kinds[0]; i++) {
        if (strcmp(type, last_kinds[i]) == 0) {
            static const char *const working[] = {"starting", "running", "waiting", NULL};
            const char *phase = member(event, "phase");
            m->latest[i] = hash_event(event);
            m->busy = phase != NULL ? is_one(phase, working) : m->busy;
            return NULL;
        }
    }
    if (strcmp(type, "user_message") == 0 && message != NULL) {
        return take_user(m, message, event);
    }
    if (strncmp(type, "text_", 5) == 0 || strncmp(type, "thought_", 8) == 0) {
        enum block_kind kind = type[1] == 'e' ? BLOCK_TEXT : BLOCK_THOUGHT;
        if (message == NULL) {
            return "a message without its id";
        }
        if (strstr(type, "_delta") != NULL) {
            return take_delta(m, kind, message, event, replaying);
        }
        keep(m, event);
        return take_complete(m, kind, message, event, replaying);
    }
    if (strncmp(type, "tool_", 5) == 0) {
        if (tool == NULL) {
            return "a tool call without its id";
        }
        if (strcmp(type, "tool_start") == 0 || strcmp(type, "tool_result") == 0) {
            keep(m, event);
        }
        return take_tool(m, type, tool, event, replaying);
    }
    keep(m, event);
    if (strcmp(type, "turn_started") == 0 || strcmp(type, "complete") == 0) {
        return take_turn(m, type, event);
    }
    return strncmp(type, "permission_", 11) == 0 ? take_permission(m, type, event) : NULL;
}

const char *model_take(struct model *m, json_object *event, bool replaying)
{
    uint64_t seq = number(event, "seq", 0);
    uint64_t from = number(event, "from", seq);
    if (seq == 0 || from == 0 || from > seq || member(event, "type") == NULL) {
        return "an event with a bad number, or without a type";
    }
    if (seq < m->next) {
        return "an event that was there before";
    }
    if (replaying ? from > m->next : from != m->next) {
        return "an event after a hole";
    }
    m->next = seq + 1;
    return take_content(m, event, replaying);
}

char *model_text(const struct model *m)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        die("out of memory");
    }
    fprintf(out, "head %llu\nkept %016llx\n", (unsigned long long)m->next - 1,
            (unsigned long long)m->kept);
    for (size_t i = 0; i < sizeof last_kinds / sizeof last_kinds[0]; i++) {
        fprintf(out, "%s %016llx\n", last_kinds[i], (unsigned long long)m->latest[i]);
    }
    for (const struct user_message *u = m->users; u != NULL; u = u->before) {
        fprintf(out, "user %s %016llx\n", u->id, (unsigned long long)u->sum);
    }
    for (const struct turn_seen *t = m->turns; t != NULL; t = t->before) {
        fprintf(out, "turn %s %s %s\n", t->id, t->message, t->stop);
    }
    for (const struct permission_seen *p = m->open; p != NULL; p = p->before) {
        fprintf(out, "open %s\n", p->id);
    }
    for (const struct block *b = m->blocks; b != NULL; b = b->before) {
        uint64_t fields = 0;
        for (size_t i = 0; tool_fields[i] != NULL; i++) {
            fields = mix(fields ^ b->fields[i]);
        }
        fprintf(out, "block %d %s %s %016llx %016llx %s\n", (int)b->kind, b->id,
                b->done ? "done" : "open", (unsigned long long)fields,
                (unsigned long long)b->result, b->text != NULL ? b->text : "");
    }
    if (fclose(out) != 0) {
        die("out of memory");
    }
    return text;
}
