// HTTP as far as a test needs it: one GET on a connection of its own, which blocks.
#pragma once

#include "connection.h"

// The status of the answer, and its body, NUL-terminated, to be freed; 0: what answers does not speak HTTP, or not to the
// end; -errno: it cannot be reached.
int http_ask(const struct target *target, const char *path, int seconds, char **body);
// The body of an answer with status 200, NUL-terminated; to be freed. NULL otherwise.
char *http_get(const struct target *target, const char *path, int seconds);
