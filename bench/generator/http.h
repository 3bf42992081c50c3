// HTTP as far as a test needs it: one GET on a connection of its own, which blocks.
#pragma once

#include "connection.h"

// The body of an answer with status 200, NUL-terminated; to be freed. NULL otherwise.
char *http_get(const struct target *target, const char *path, int seconds);
