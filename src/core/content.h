#pragma once
/* Blocks of a prompt (ACP ContentBlock). */
#include <json-c/json.h>

struct buffer;

/* What an agent must be able to take for these blocks, as bits of enum agent_can; text and resource
 * links need nothing. */
unsigned content_needs(struct json_object *blocks);
/* What it cannot take, for people: the first that is in `needs` and not in `can`; NULL if nothing
 * is. Static. */
const char *content_refusal(unsigned needs, unsigned can);
/* `can` (bits of enum agent_can) as JSON members by ACP's names. */
void content_put_can(struct buffer *out, unsigned can);
