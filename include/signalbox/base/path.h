#pragma once

/* Both by a slash, and only one. The caller frees it; NULL when out of memory. */
char *path_join(const char *folder, const char *name);
