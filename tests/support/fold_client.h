#pragma once
/*
 * A client of one session, made from docs/protocol.md alone: what a page would show, from the
 * events that came. Every event is checked when it comes: ranges tile, text has no hole and does
 * not contradict what was shown, a call has its start.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fold_client;
struct fold_client *fold_client_new(void); /* aborts when out of memory, like all of it */
void fold_client_free(struct fold_client *client);
/* A second one that has seen the same. */
struct fold_client *fold_client_copy(const struct fold_client *client);
/* It subscribes again: the next event may begin before the number that it expects. */
void fold_client_resume(struct fold_client *client);
/* NULL, or what is wrong with it; a literal. */
const char *fold_client_apply(struct fold_client *client, const char *json, size_t length);
uint64_t fold_client_position(const struct fold_client *client);
/* All that it knows, as text to compare; the caller frees it. */
char *fold_client_state(const struct fold_client *client);
