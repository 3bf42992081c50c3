#include "support/fold_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/json.h"

/* Text as JavaScript has it. */
struct text {
    uint16_t *units;
    size_t length;
};

enum item_kind { ITEM_USER, ITEM_TEXT, ITEM_THOUGHT, ITEM_TOOL, ITEM_OTHER };

struct item {
    struct item *next;
    enum item_kind kind;
    char *id;
    bool done;
    struct text text;             /* of a block; a tool's live output */
    struct json_object *facts;    /* what else is known of it; a tool's fields */
    struct json_object *faithful; /* a tool's fields for a client whose results leave them alone */
};

struct fold_client {
    uint64_t seq;
    bool resumed;
    struct item *users, *blocks, *others; /* each in the order of the conversation */
    struct json_object *latest;           /* by type */
};

static void *need(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

struct fold_client *fold_client_new(void)
{
    struct fold_client *client = need(calloc(1, sizeof(*client)));
    client->latest = need(json_object_new_object());
    return client;
}

static void items_free(struct item *item)
{
    while (item) {
        struct item *next = item->next;
        free(item->id);
        free(item->text.units);
        json_object_put(item->facts);
        json_object_put(item->faithful);
        free(item);
        item = next;
    }
}

void fold_client_free(struct fold_client *client)
{
    if (client) {
        items_free(client->users);
        items_free(client->blocks);
        items_free(client->others);
        json_object_put(client->latest);
        free(client);
    }
}

static struct json_object *copy_json(struct json_object *value)
{
    struct json_object *copy = NULL;
    if (value && json_object_deep_copy(value, &copy, NULL) != 0) {
        abort();
    }
    return copy;
}

static struct item *items_copy(const struct item *item)
{
    struct item *first = NULL;
    struct item **to = &first;
    for (; item; item = item->next) {
        struct item *copy = need(calloc(1, sizeof(*copy)));
        *copy = *item;
        copy->next = NULL;
        copy->id = need(strdup(item->id));
        copy->text.units = need(malloc(item->text.length * 2 + 2));
        memcpy(copy->text.units, item->text.units ? item->text.units : copy->text.units,
               item->text.length * 2);
        copy->facts = copy_json(item->facts);
        copy->faithful = copy_json(item->faithful);
        *to = copy;
        to = &copy->next;
    }
    return first;
}

struct fold_client *fold_client_copy(const struct fold_client *client)
{
    struct fold_client *copy = need(calloc(1, sizeof(*copy)));
    copy->seq = client->seq;
    copy->resumed = client->resumed;
    copy->users = items_copy(client->users);
    copy->blocks = items_copy(client->blocks);
    copy->others = items_copy(client->others);
    copy->latest = copy_json(client->latest);
    return copy;
}

void fold_client_resume(struct fold_client *client)
{
    client->resumed = true;
}

uint64_t fold_client_position(const struct fold_client *client)
{
    return client->seq;
}

/* ---- Text ---- */

static struct text decode(const char *bytes, size_t length)
{
    struct text text = {.units = need(malloc(length * 2 + 2))};
    const uint8_t *at = (const uint8_t *)bytes;
    const uint8_t *end = at + length;
    while (at < end) {
        unsigned more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
        static const uint8_t masks[] = {0x7f, 0x1f, 0x0f, 0x07};
        uint32_t point = *at++ & masks[more];
        while (more-- > 0 && at < end) {
            point = point << 6 | (*at++ & 0x3f);
        }
        if (point >= 0x10000) {
            text.units[text.length++] = (uint16_t)(0xd800 + ((point - 0x10000) >> 10));
            text.units[text.length++] = (uint16_t)(0xdc00 + ((point - 0x10000) & 0x3ff));
        } else {
            text.units[text.length++] = (uint16_t)point;
        }
    }
    return text;
}

static struct text text_of(struct json_object *event, const char *key)
{
    size_t length = 0;
    const char *bytes = json_get_text(event, key, &length);
    return decode(bytes ? bytes : "", length);
}

static const char *splice(struct text *known, struct json_object *event)
{
    int64_t at = -1;
    if (!json_get_i64(event, "offset", &at) || at < 0 || (size_t)at > known->length) {
        return "a delta with a hole before it";
    }
    struct text delta = text_of(event, "delta");
    size_t offset = (size_t)at;
    size_t end = offset + delta.length;
    size_t overlap = (end < known->length ? end : known->length) - offset;
    bool same =
        memcmp(delta.units, known->units ? known->units + offset : delta.units, overlap * 2) == 0;
    if (same && end > known->length) {
        known->units = need(realloc(known->units, end * 2 + 2));
        memcpy(known->units + offset, delta.units, delta.length * 2);
        known->length = end;
    }
    free(delta.units);
    return same ? NULL : "a delta that contradicts what was shown";
}

/* ---- Items ---- */

static struct item **find(struct item **list, enum item_kind kind, const char *id)
{
    while (*list && ((*list)->kind != kind || strcmp((*list)->id, id) != 0)) {
        list = &(*list)->next;
    }
    return list;
}

static struct item *append(struct item **list, enum item_kind kind, const char *id)
{
    while (*list) {
        list = &(*list)->next;
    }
    struct item *item = need(calloc(1, sizeof(*item)));
    item->kind = kind;
    item->id = need(strdup(id));
    *list = item;
    return item;
}

/* The event without what only places it. */
static struct json_object *facts_of(struct json_object *event)
{
    static const char *const places[] = {"seq", "from", "ts", "sessionId"};
    struct json_object *facts = copy_json(event);
    for (size_t index = 0; index < sizeof(places) / sizeof(places[0]); index++) {
        json_object_object_del(facts, places[index]);
    }
    return facts;
}

static const char *user_message(struct fold_client *client, struct json_object *event,
                                const char *id)
{
    struct item **old = find(&client->users, ITEM_USER, id);
    if (*old) {
        struct item *item = *old;
        *old = item->next;
        item->next = NULL;
        items_free(item);
    }
    append(&client->users, ITEM_USER, id)->facts = facts_of(event);
    return NULL;
}

static const char *block_delta(struct fold_client *client, struct json_object *event,
                               enum item_kind kind, const char *id)
{
    struct item *item = *find(&client->blocks, kind, id);
    if (!item) {
        item = append(&client->blocks, kind, id);
    }
    return item->done ? "a delta of a message that is over" : splice(&item->text, event);
}

static const char *block_complete(struct fold_client *client, struct json_object *event,
                                  enum item_kind kind, const char *id)
{
    struct item *item = *find(&client->blocks, kind, id);
    if (!item) {
        item = append(&client->blocks, kind, id);
    }
    struct text text = text_of(event, "text");
    bool same = text.length >= item->text.length &&
                memcmp(text.units, item->text.units ? item->text.units : text.units,
                       item->text.length * 2) == 0;
    free(item->text.units);
    item->text = text;
    item->done = true;
    item->facts = facts_of(event);
    return same ? NULL : "a message that is not what was shown";
}

/* ---- Tools ---- */

static bool points_into(struct json_object *ref, const char *field)
{
    const char *path = json_get_string(ref, "path");
    size_t length = strlen(field);
    return path && path[0] == '/' && strncmp(path + 1, field, length) == 0 &&
           (path[1 + length] == '/' || path[1 + length] == '\0');
}

/* A blob belongs to the field that it was cut out of, and goes with it. */
static void set_field(struct json_object *fields, const char *name, struct json_object *value)
{
    struct json_object *refs = json_get(fields, "refs");
    struct json_object *kept = need(json_object_new_array());
    for (size_t index = 0; refs && index < json_object_array_length(refs); index++) {
        struct json_object *ref = json_object_array_get_idx(refs, index);
        if (!points_into(ref, name)) {
            json_object_array_add(kept, json_object_get(ref));
        }
    }
    json_object_object_add(fields, "refs", kept);
    json_object_object_add(fields, name, copy_json(value));
}

static int by_path(const void *left, const void *right)
{
    struct json_object *const *one = left;
    struct json_object *const *other = right;
    return strcmp(json_get_string(*one, "path"), json_get_string(*other, "path"));
}

static void set_fields(struct json_object *fields, struct json_object *event)
{
    static const char *const names[] = {
        "toolName", "toolInput", "toolIntent",      "status",  "title",          "kind",
        "content",  "locations", "parentToolUseId", "novelty", "toolDisplayName"};
    for (size_t index = 0; index < sizeof(names) / sizeof(names[0]); index++) {
        struct json_object *value = json_get(event, names[index]);
        if (value) {
            set_field(fields, names[index], value);
        }
    }
    struct json_object *refs = json_get(fields, "refs");
    struct json_object *more = json_get(event, "refs");
    for (size_t index = 0; more && index < json_object_array_length(more); index++) {
        json_object_array_add(refs, copy_json(json_object_array_get_idx(more, index)));
    }
    json_object_array_sort(refs, by_path);
}

static const char *tool(struct fold_client *client, struct json_object *event, const char *type,
                        const char *id)
{
    struct item *item = *find(&client->blocks, ITEM_TOOL, id);
    if (strcmp(type, "tool_start") == 0) {
        if (item) {
            return "a second tool_start";
        }
        item = append(&client->blocks, ITEM_TOOL, id);
        item->facts = need(json_object_new_object());
        item->faithful = need(json_object_new_object());
    } else if (!item) {
        return "a call that never began";
    }
    if (strcmp(type, "tool_output") == 0) {
        return item->done ? "output after the result" : splice(&item->text, event);
    }
    if (strcmp(type, "tool_result") == 0) {
        if (item->done) {
            return "a second result";
        }
        item->done = true;
        item->text.length = 0; /* the result is the text */
        set_field(item->facts, "content", NULL);
        set_field(item->facts, "status", NULL);
        json_object_object_add(item->faithful, "result", facts_of(event));
        json_object_object_add(item->facts, "result", facts_of(event));
    }
    set_fields(item->facts, event);
    if (strcmp(type, "tool_result") != 0) {
        set_fields(item->faithful, event);
    }
    return NULL;
}

/* ---- Events ---- */

static const char *range(struct fold_client *client, struct json_object *event)
{
    int64_t seq = 0;
    int64_t from = 0;
    if (!json_get_i64(event, "seq", &seq) || seq < 1) {
        return "no number";
    }
    if (!json_get_i64(event, "from", &from)) {
        from = seq;
    } else if (from >= seq) {
        return "a range of one";
    }
    uint64_t expected = client->seq + 1;
    bool fits = client->resumed ? (uint64_t)from <= expected : (uint64_t)from == expected;
    if (from < 1 || !fits || (uint64_t)seq < expected) {
        return "ranges do not tile";
    }
    client->resumed = false;
    client->seq = (uint64_t)seq;
    return NULL;
}

static const char *dispatch(struct fold_client *client, struct json_object *event)
{
    static const char *const last[] = {"plan",           "usage", "commands", "mode",
                                       "config_options", "title", "policy",   "status"};
    const char *type = json_get_string(event, "type");
    const char *message = json_get_string(event, "messageId");
    const char *call = json_get_string(event, "toolUseId");
    if (!type) {
        return "no type";
    }
    for (size_t index = 0; index < sizeof(last) / sizeof(last[0]); index++) {
        if (strcmp(type, last[index]) == 0) {
            json_object_object_add(client->latest, type, facts_of(event));
            return NULL;
        }
    }
    if (strcmp(type, "user_message") == 0) {
        return user_message(client, event, message);
    }
    if (strcmp(type, "text_delta") == 0 || strcmp(type, "thought_delta") == 0) {
        return block_delta(client, event, *(type + 1) == 'e' ? ITEM_TEXT : ITEM_THOUGHT, message);
    }
    if (strcmp(type, "text_complete") == 0 || strcmp(type, "thought_complete") == 0) {
        return block_complete(client, event, *(type + 1) == 'e' ? ITEM_TEXT : ITEM_THOUGHT,
                              message);
    }
    if (strncmp(type, "tool_", 5) == 0) {
        return tool(client, event, type, call);
    }
    append(&client->others, ITEM_OTHER, type)->facts = facts_of(event);
    return NULL;
}

const char *fold_client_apply(struct fold_client *client, const char *json, size_t length)
{
    struct json_parser *parser = NULL;
    struct json_object *event = NULL;
    const char *wrong = "no JSON";
    if (json_parser_new(&parser, 64) == ERR_OK && json_parse(parser, json, length, &event) == 0) {
        wrong = range(client, event);
    }
    if (!wrong) {
        wrong = dispatch(client, event);
    }
    json_object_put(event);
    json_parser_free(parser);
    return wrong;
}

/* ---- State ---- */

static int by_name(const void *left, const void *right)
{
    const char *const *one = left;
    const char *const *other = right;
    return strcmp(*one, *other);
}

/* Members in order of their names: their order in the JSON says nothing. */
static void put_sorted(struct buffer *out, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_object)) {
        json_put_object(out, value);
        return;
    }
    size_t count = 0;
    const char **names = need(calloc((size_t)json_object_object_length(value) + 1, sizeof(char *)));
    json_object_object_foreach(value, name, member)
    {
        (void)member;
        names[count++] = name;
    }
    qsort(names, count, sizeof(*names), by_name);
    buffer_byte(out, '{');
    for (size_t index = 0; index < count; index++) {
        buffer_format(out, " %s:", names[index]);
        put_sorted(out, json_get(value, names[index]));
    }
    buffer_byte(out, '}');
    free(names);
}

static void put_items(struct buffer *out, const struct item *item)
{
    for (; item; item = item->next) {
        buffer_format(out, "%d %s%s \"", (int)item->kind, item->id, item->done ? " done" : "");
        for (size_t index = 0; index < item->text.length; index++) {
            uint16_t unit = item->text.units[index];
            bool plain = unit >= ' ' && unit < 0x7f;
            buffer_format(out, plain ? "%c" : "<%x>", unit);
        }
        buffer_byte(out, '"');
        if (item->facts) {
            put_sorted(out, item->facts);
        }
        if (item->faithful) {
            put_sorted(out, item->faithful);
        }
        buffer_byte(out, '\n');
    }
}

char *fold_client_state(const struct fold_client *client)
{
    struct buffer out = {0};
    buffer_format(&out, "%llu\n", (unsigned long long)client->seq);
    put_items(&out, client->users);
    put_items(&out, client->blocks);
    put_items(&out, client->others);
    put_sorted(&out, client->latest);
    return need(buffer_take(&out));
}
