#pragma once
/*
 * Takes secrets out of what is kept of an agent's conversation (docs/operation.md, "The wire log"). Best effort: it
 * knows a secret by its value (of the agent's environment), by its name, or by its looks, and cannot know one that has
 * neither, or that comes in pieces. Pure; one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"

#define REDACTED "[redacted]"

/* Values that are secret wherever they stand. */
struct redact_secrets {
    char **items; /* the longest first, so that one that holds another goes as a whole */
    size_t count;
};
/* Those of an environment (NULL-terminated KEY=VALUE) whose names say so and that have at least 6 characters. */
must_check enum err redact_secrets_of(struct redact_secrets *out, char *const *environment);
void redact_secrets_free(struct redact_secrets *secrets); /* also resets it */

/* Does a member, a variable or a header of this name hold a secret? apiKey, GITHUB_TOKEN, Authorization ... */
bool redact_is_secret_name(const char *name, size_t length);

/* Appends the text with its secrets replaced; true if there were some. */
bool redact_text(struct buffer *out, const struct redact_secrets *secrets, const char *text, size_t length);

/* Appends a JSON value, byte for byte as it is but for strings that are not UTF-8 (mended), white space between its
 * parts (left out), and secrets: strings of members with a secret name, of `value` beside a secret `name`, and what
 * redact_text finds in any string or name, decoded. Numbers stay. What is no JSON, or nests deeper than 1,000, is
 * ERR_SYNTAX, and `out` is as it was. The result is JSON if the text was. */
must_check enum err redact_json(struct buffer *out, const struct redact_secrets *secrets, const char *text,
                                size_t length);
