#pragma once
/* Paths that agents name. */
#include <json-c/json.h>
#include <stdbool.h>

struct acp_peer;

/*
 * Reads the absolute path in `params` under `key` as one beneath the workspace: "." and ".." are
 * taken out of it by the letter (links are resolved by who opens it). malloc'd. NULL if it is none,
 * with *wrong set to what is wrong with it, or with the peer's error set.
 */
char *acp_path_take(struct acp_peer *peer, struct json_object *params, const char *key,
                    const char **wrong);

/* The normalised path relative to `workspace` (absolute, no slash at its end unless it is "/");
 * malloc'd. NULL if it is not beneath it, or when memory ran out (*no_memory). */
char *acp_path_beneath(const char *workspace, const char *path, bool *no_memory);
