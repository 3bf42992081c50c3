#pragma once
/*
 * JSON: parsing by json-c (included here only by those who walk its objects), writing by ourselves, straight
 * into a buffer, since what we write is sent as it stands.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"

/* A reusable parser of one thread. Strict (RFC 8259), one value a text, at most max_depth brackets deep. */
struct json_parser;
must_check enum err json_parser_new(struct json_parser **out, int max_depth);
void json_parser_free(struct json_parser *parser);
/*
 * Parses exactly one value. The caller owns *out (json_object_put), which is NULL for a text `null`. Integers
 * beyond 64 bits become the nearest that fits. ERR_SYNTAX, ERR_DEPTH, ERR_TOOBIG (2 GiB) or ERR_NOMEM; after
 * an error json_parser_message says what and where ("unexpected character at byte 12"), until the next call.
 * Bytes that are not UTF-8 inside strings pass unchanged: who sends them on uses json_put_string, which mends.
 */
must_check enum err json_parse(struct json_parser *parser, const char *text, size_t length, struct json_object **out);
const char *json_parser_message(const struct json_parser *parser);
/* The same, with a parser of its own, for what we wrote ourselves and read seldom: up to JSON_OWN_DEPTH brackets deep, which is
 * more than anybody may send. (json-c's own short way ends at 32.) */
enum { JSON_OWN_DEPTH = 4096 };
must_check enum err json_parse_own(const char *text, struct json_object **out);

/* Readers that tell "missing" (NULL/false) from "there". A JSON null counts as missing. Borrowed from `object`,
 * which may be NULL or no object. */
struct json_object *json_get(struct json_object *object, const char *key);
const char *json_get_string(struct json_object *object, const char *key);           /* NULL if missing or no string */
const char *json_get_text(struct json_object *object, const char *key, size_t *length); /* with length: may hold NULs */
bool json_get_bool(struct json_object *object, const char *key, bool fallback);
must_check bool json_get_i64(struct json_object *object, const char *key, int64_t *out); /* whole numbers only */

/* Writers. A key is a literal of ours and is not escaped. `json_put_*` write a value; `json_key` writes `,"key":`
 * or `"key":` right after an opening brace (in an empty buffer with the comma: the tail of an object whose
 * beginning is known later). */
void json_key(struct buffer *out, const char *key);
/* Escapes as RFC 8259 demands; every byte sequence that is not UTF-8 becomes U+FFFD. */
void json_put_string(struct buffer *out, const char *text, size_t length);
void json_put_object(struct buffer *out, struct json_object *value); /* any value; compact, UTF-8 mended */
void json_put_i64(struct buffer *out, int64_t number);
void json_put_bool(struct buffer *out, bool value);
/* Key and value in one. A NULL text writes nothing at all. */
void json_field_string(struct buffer *out, const char *key, const char *text);
void json_field_text(struct buffer *out, const char *key, const char *text, size_t length);
void json_field_i64(struct buffer *out, const char *key, int64_t number);
void json_field_bool(struct buffer *out, const char *key, bool value);
void json_field_object(struct buffer *out, const char *key, struct json_object *value); /* NULL writes nothing */
/* A value that is JSON already. NULL writes nothing. */
void json_field_raw(struct buffer *out, const char *key, const char *json);
