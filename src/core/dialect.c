#include "core/dialect_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"

/* A dialect's place here is its number; a new one goes to the end. */
static const struct dialect *const dialects[] = {
    &dialect_craft,
    &dialect_claudecodeui,
    &dialect_factory_factory,
};
_Static_assert(sizeof(dialects) / sizeof(dialects[0]) <= DIALECTS_MAX, "an event has a place for each");

enum { OPCODE_TEXT = 1, BATCH_BYTES = 64 * 1024, PATH_SIZE = 96 };

size_t dialect_count(void)
{
    return sizeof(dialects) / sizeof(dialects[0]);
}

const struct dialect *dialect_at(size_t index)
{
    CHECK(index < dialect_count());
    return dialects[index];
}

int dialect_index(const struct dialect *dialect)
{
    for (size_t i = 0; i < dialect_count(); i++) {
        if (dialects[i] == dialect) {
            return (int)i;
        }
    }
    return -1;
}

const struct dialect *dialect_by_subprotocol(const char *name, size_t length)
{
    for (size_t i = 0; i < dialect_count(); i++) {
        const char *known = dialects[i]->subprotocol;
        if (strlen(known) == length && !memcmp(known, name, length)) {
            return dialects[i];
        }
    }
    return NULL;
}

const struct dialect *dialect_by_path(const char *path)
{
    for (size_t i = 0; i < dialect_count(); i++) {
        if (dialects[i]->path && !strcmp(dialects[i]->path, path)) {
            return dialects[i];
        }
    }
    return NULL;
}

/* ---- Frames ---- */

void dialect_out_free(struct dialect_out *out)
{
    buffer_free(&out->frames);
    buffer_free(&out->commands);
    buffer_free(&out->text);
    buffer_free(&out->batch);
}

bool dialect_out_ok(const struct dialect_out *out)
{
    return buffer_ok(&out->frames) && buffer_ok(&out->commands) && buffer_ok(&out->text) &&
           buffer_ok(&out->batch);
}

/* One frame of these three texts. */
static void put_frame(struct dialect_out *out, const char *open, const struct buffer *text,
                      const char *close)
{
    char room[FRAME_HEADER_MAX];
    size_t before = open ? strlen(open) : 0, behind = close ? strlen(close) : 0;
    size_t header =
        frame_header(room + sizeof(room), OPCODE_TEXT, before + text->length + behind);
    buffer_append(&out->frames, room + sizeof(room) - header, header);
    buffer_append(&out->frames, open ? open : "", before);
    buffer_append(&out->frames, text->data, text->length);
    buffer_append(&out->frames, close ? close : "", behind);
}

static void end_batch(struct dialect_out *out)
{
    if (out->batch.length) {
        put_frame(out, out->dialect->batch_open, &out->batch, out->dialect->batch_close);
        buffer_reset(&out->batch);
    }
}

static struct buffer *open_text(struct dialect_out *out, const char *type)
{
    bool failed = out->text.failed;
    buffer_reset(&out->text);
    out->text.failed = failed; /* of a text before: nobody has looked yet */
    buffer_byte(&out->text, '{');
    json_field_string(&out->text, "type", type);
    return &out->text;
}

struct buffer *dialect_frame_open(struct dialect_out *out, const char *type)
{
    return open_text(out, type);
}

void dialect_frame_close(struct dialect_out *out)
{
    buffer_byte(&out->text, '}');
    end_batch(out); /* what came before stands before it */
    put_frame(out, NULL, &out->text, NULL);
}

struct buffer *dialect_part_open(struct dialect_out *out, const char *type)
{
    return open_text(out, type);
}

void dialect_part_close(struct dialect_out *out)
{
    buffer_byte(&out->text, '}');
    if (!out->replay || !out->dialect->batch_open) {
        put_frame(out, out->dialect->part_open, &out->text, out->dialect->part_close);
        return;
    }
    if (out->batch.length) {
        buffer_byte(&out->batch, ',');
    }
    buffer_append(&out->batch, out->text.data, out->text.length);
    if (out->batch.length >= BATCH_BYTES) {
        end_batch(out);
    }
}

/* ---- Commands: each its flag, its text, and a NUL, which JSON has none of ---- */

struct buffer *dialect_command_open(struct dialect_out *out, const char *type, const char *id)
{
    open_text(out, type);
    json_field_string(&out->text, "id", id);
    return &out->text;
}

void dialect_command_close(struct dialect_out *out, bool by_key)
{
    buffer_byte(&out->text, '}');
    buffer_byte(&out->commands, by_key ? 'k' : 'c');
    buffer_append(&out->commands, out->text.data, out->text.length);
    buffer_byte(&out->commands, '\0');
}

bool dialect_next_command(const struct dialect_out *out, size_t *at,
                          struct dialect_command *command)
{
    if (*at >= out->commands.length) {
        return false;
    }
    const char *text = out->commands.data + *at + 1;
    *command = (struct dialect_command){
        .text = text, .length = strlen(text), .by_key = text[-1] == 'k'};
    *at += command->length + 2;
    return true;
}

void dialect_close(struct dialect_out *out, uint16_t code, const char *why)
{
    out->close_code = code;
    out->close_why = why;
}

/* ---- Writing ---- */

void dialect_object_open(struct buffer *text, const char *key)
{
    json_key(text, key);
    buffer_byte(text, '{');
}

void dialect_object_close(struct buffer *text)
{
    buffer_byte(text, '}');
}

const char *dialect_text(struct json_object *object, const char *key)
{
    const char *text = json_get_string(object, key);
    return text ? text : "";
}

void dialect_copy(struct buffer *text, const char *key, struct json_object *object,
                  const char *from)
{
    size_t length;
    const char *value = json_get_text(object, from, &length);
    if (value) {
        json_field_text(text, key, value, length);
    }
}

int64_t dialect_number(struct json_object *object, const char *key, int64_t fallback)
{
    int64_t number;
    return json_get_i64(object, key, &number) ? number : fallback;
}

void dialect_put_date(struct buffer *text, const char *key, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char date[40];
    if (wall_ms < 0 || !gmtime_r(&seconds, &parts) ||
        !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts)) {
        return;
    }
    json_key(text, key);
    buffer_format(text, "\"%s.%03dZ\"", date, (int)(wall_ms % 1000));
}

const char *dialect_after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) ? NULL : text + length;
}

/* ---- Events ---- */

static void take_event(struct dialect_out *out, struct json_object *event)
{
    const struct dialect *dialect = out->dialect;
    const char *type = dialect_text(event, "type");
    int kind = event_kind_of(type);
    void (*take)(struct dialect_out *, struct json_object *) = NULL;
    if (kind >= 0) {
        take = dialect->events[kind];
    } else if (!strcmp(type, "permission_waiting")) {
        take = dialect->waiting;
    } else if (!strcmp(type, "permission_ended")) {
        take = dialect->ended;
    }
    if (take) {
        take(out, event);
    }
}

enum err dialect_events(const struct dialect *dialect, struct json_parser *parser,
                        const char *native, size_t length, bool replay, struct buffer *frames)
{
    struct dialect_out out = {.dialect = dialect, .replay = replay, .frames = *frames};
    enum err err = ERR_OK;
    for (size_t at = 0; at < length && err == ERR_OK;) {
        const char *json;
        size_t json_length;
        at += frame_read(native + at, &json, &json_length);
        struct json_object *event = NULL;
        err = json_parse(parser, json, json_length, &event);
        if (err == ERR_OK) {
            take_event(&out, event);
        } else if (err != ERR_NOMEM) {
            err = ERR_CORRUPT;
        }
        json_object_put(event);
    }
    end_batch(&out);
    if (err == ERR_OK && !dialect_out_ok(&out)) {
        err = ERR_NOMEM;
    }
    *frames = out.frames;
    out.frames = (struct buffer){0};
    dialect_out_free(&out);
    return err;
}

void dialect_control(struct dialect_out *out, const struct dialect_client *client,
                     struct json_object *control)
{
    if (json_get_string(control, "type")) {
        out->dialect->control(out, client, control);
    }
}

/* ---- Messages ---- */

static bool is_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; *at;) {
        size_t span = strcspn(at, " ");
        if (span == length && !memcmp(at, word, span)) {
            return true;
        }
        at += span + (at[span] == ' ');
    }
    return false;
}

/* NULL: it is as it should be. */
static const char *fault_of(const struct field *field, struct json_object *object)
{
    struct json_object *value = json_get(object, field->name);
    switch (field->kind) {
    case FIELD_STRING: {
        size_t length;
        const char *text = json_get_text(object, field->name, &length);
        if (!text) {
            return "must be a string";
        }
        if (memchr(text, '\0', length)) {
            return "must not contain NUL characters";
        }
        if (length < field->minimum) {
            return "must not be empty";
        }
        return field->maximum && length > field->maximum ? "is too long" : NULL;
    }
    case FIELD_WORD: {
        const char *word = json_get_string(object, field->name);
        return word && is_word(field->words, word) ? NULL : "is none of the known words";
    }
    case FIELD_BOOL:
        return json_object_is_type(value, json_type_boolean) ? NULL : "must be true or false";
    case FIELD_COUNT: {
        int64_t number;
        bool fine = json_get_i64(object, field->name, &number) && number >= (int64_t)field->minimum;
        return fine ? NULL : "must be a whole number that is not negative";
    }
    case FIELD_OBJECT:
        return json_object_is_type(value, json_type_object) ? NULL : "must be an object";
    case FIELD_ARRAY:
        return json_object_is_type(value, json_type_array) ? NULL : "must be an array";
    case FIELD_ANY:
        return NULL;
    case FIELD_CHOICE:
    case FIELD_NUMBER:
    case FIELD_CONTENT:
        break;
    }
    CHECK(false && "a kind of field that no dialect has");
    return NULL;
}

static bool check_fields(const struct field *fields, const char *prefix, struct json_object *object,
                         char *why, size_t size)
{
    for (const struct field *field = fields; field->name; field++) {
        const char *fault = NULL;
        if (json_get(object, field->name)) {
            fault = fault_of(field, object);
        } else if (field->flags & FIELD_REQUIRED) {
            fault = "is missing";
        } else {
            continue;
        }
        if (fault) {
            snprintf(why, size, "`%s%s` %s", prefix, field->name, fault);
            return false;
        }
        if (field->members) {
            char path[PATH_SIZE];
            snprintf(path, sizeof(path), "%s%s.", prefix, field->name);
            if (!check_fields(field->members, path, json_get(object, field->name), why, size)) {
                return false;
            }
        }
    }
    return true;
}

void dialect_message(struct dialect_out *out, const struct dialect_client *client,
                     struct json_object *message)
{
    const struct dialect *dialect = out->dialect;
    const char *kind = dialect->kind ? dialect->kind : "type";
    const char *type = json_get_string(message, kind);
    char why[192];
    if (!json_object_is_type(message, json_type_object) || !type) {
        snprintf(why, sizeof(why), "a message must be an object with a `%s`", kind);
        dialect->refused(out, client, NULL, "bad_message", why);
        return;
    }
    for (const struct dialect_message *known = dialect->messages; known->name; known++) {
        if (strcmp(known->name, type)) {
            continue;
        }
        if (check_fields(known->fields, "", message, why, sizeof(why))) {
            known->take(out, client, message);
        } else {
            dialect->refused(out, client, message, "bad_message", why);
        }
        return;
    }
    snprintf(why, sizeof(why), "there is no message of this `%s`", kind);
    dialect->refused(out, client, message, "unknown_type", why);
}

void dialect_refuse(struct dialect_out *out, const struct dialect_client *client, const char *code,
                    const char *why)
{
    out->dialect->refused(out, client, NULL, code, why);
}
