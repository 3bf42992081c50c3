#pragma once
/*
 * What our schema promises of an agent's own values. A watcher may go by it, so what an agent says is
 * brought to it here, once, and not by each of them.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "signalbox/base/buffer.h"

/* Writes the field `locations` without what names no path, and without a line that is none. NULL
 * writes nothing. The array keeps them: by it a rule knows that it does not know all paths. */
void acp_shape_put_locations(struct buffer *out, struct json_object *locations);
/* Whether these are the entries of a plan. One that lacks its priority or status gets ACP's middle
 * one, or that it is not begun. */
bool acp_shape_plan(struct json_object *entries);
/* Whether its `used`, `size` and `cost`, where they are there, are what they should be. */
bool acp_shape_usage(struct json_object *usage);
/* Whether the content of a tool call is nothing but what acp_shape_join_text makes of it. */
bool acp_shape_only_text(struct json_object *content);
/* Appends its text blocks, joined by line ends; false if there is none. NULL has none. */
bool acp_shape_join_text(struct buffer *out, struct json_object *content);
