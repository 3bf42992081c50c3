#pragma once
/*
 * Fields of messages, as rows of tables. The commands' rows are what the server checks commands with
 * (command_parse.c) and what their schemas are printed from (schema.c); the rows of what the server sends have no
 * place in a struct and are printed only.
 */
#include <stddef.h>
#include <stdint.h>

#include "signalbox/core/command.h"

enum field_kind {
    FIELD_STRING,  /* at least `minimum` and at most `maximum` bytes (0: no limit), without NUL */
    FIELD_WORD,    /* one of `words`, kept as it is */
    FIELD_CHOICE,  /* one of `words`, kept as an enum whose values count them from 1 */
    FIELD_BOOL,
    FIELD_COUNT,   /* a whole number, at least `minimum` */
    FIELD_NUMBER,  /* any number; only sent */
    FIELD_OBJECT,  /* of `members`, or of `ref`, or any object */
    FIELD_ARRAY,   /* of objects of `members`, of `ref`, of strings where `words` is "string", or of anything */
    FIELD_CONTENT, /* ACP content blocks: an array of objects, each with its `type` */
    FIELD_ANY,     /* any JSON value but null */
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_PATH = 2,     /* over REST it stands in the path, and the body's is not looked at */
    FIELD_NULLABLE = 4, /* null is sent where there is no value */
    FIELD_EMPTY = 8,    /* an empty string means the same as none */
};

struct field {
    const char *name; /* NULL ends a table */
    enum field_kind kind;
    unsigned flags;
    size_t minimum, maximum;
    const char *words;           /* separated by single spaces */
    const struct field *members;
    const char *ref;             /* a shape's name (schema_shapes) */
    size_t offset;               /* in struct command */
    size_t present;              /* FIELD_OBJECT: offset of a bool that says that it is there; 0 for none */
    const char *help;
};

struct command_shape {
    const char *name;
    const char *help;
    const char *answer;         /* the type of message that answers it */
    const struct field *fields;
    const struct field *ack;    /* what its `ack` adds; NULL for nothing */
    const char *extra;          /* further members of its schema, or NULL */
};

/* Its name is NULL for what no client can ask by message (REST only). */
const struct command_shape *command_shape(enum command_type type);
/* `id`, which every command may have. */
extern const struct field command_id_field;

/* A message that the server sends, or an object inside one. */
struct schema_shape {
    const char *name;
    const char *help;
    const struct field *fields;
};

/* Each ends with a NULL name. */
extern const struct schema_shape schema_controls[]; /* messages without a number */
extern const struct schema_shape schema_shapes[];   /* objects inside messages, for `ref` */
extern const struct schema_shape schema_bodies[];   /* bodies of HTTP requests and answers */
extern const struct schema_shape schema_events[];   /* by enum event_kind, without a NULL name at the end */
extern const struct field schema_event_common[];    /* what every session event has */

/*
 * Rows of what is sent. What a message always has is F, what it may have is O; a word that stands for another
 * shape is its name in schema_shapes. Enumerations of what is sent are open: a client takes words that it does not
 * know.
 */
#define FIELD_ROW(field_name, field_kind, field_flags, field_help, ...)                            \
    {                                                                                              \
        .name = field_name, .kind = FIELD_##field_kind, .flags = field_flags, .help = field_help,  \
        __VA_ARGS__                                                                                \
    }
#define F(field_name, field_kind, field_help, ...)                                                 \
    FIELD_ROW(field_name, field_kind, FIELD_REQUIRED, field_help, __VA_ARGS__)
#define O(field_name, field_kind, field_help, ...) FIELD_ROW(field_name, field_kind, 0, field_help, __VA_ARGS__)
#define N(field_name, field_kind, field_help, ...)                                                 \
    FIELD_ROW(field_name, field_kind, FIELD_REQUIRED | FIELD_NULLABLE, field_help, __VA_ARGS__)
#define ROWS(...) .fields = (const struct field[]){__VA_ARGS__, {.name = NULL}}
/* What an agent takes in a prompt: an event of its own, and a member of `subscribed`. */
#define PROMPT_CAPABILITY_ROWS                                                                     \
    F("image", BOOL, "Images."), F("audio", BOOL, "Audio."),                                       \
        F("embeddedContext", BOOL, "Files by their content: embedded resources.")
#define NO_ROWS   .fields = (const struct field[]){{.name = NULL}}

/* All named definitions as members of a JSON object, without its braces; `prefix` goes before a name in a $ref. */
void schema_definitions(struct buffer *out, const char *prefix);
/* `"type":"object","properties":{...},"required":[...]` of these rows, preceded by `"type":{"const":type}` where `type`
 * is not NULL. Rows of the path are left out where `without_path`. */
void schema_object(struct buffer *out, const char *prefix, const char *type, const struct field *common,
                   const struct field *fields, bool without_path);
