#pragma once
/* session/request_permission (ACP): the agent's requests that wait for an answer. */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acp_peer;
struct acp_tool;
struct buffer;
struct permission_ask;

struct acp_ask;
struct acp_asks {
    struct acp_ask *open; /* oldest first */
    size_t open_count;
    uint64_t count; /* of requests so far */
};
void acp_asks_free(struct acp_asks *asks);

void acp_permission_request(struct acp_peer *peer, struct json_object *id,
                            struct json_object *params);
/* A service (fs, terminal) that the session's policy forbids: told, and answered after that is recorded. `wanted` is what
 * the agent wanted, as in "to write /w/a"; at least ACP_TEXT_MAX of it is shown. */
void acp_service_refuse(struct acp_peer *peer, struct json_object *id, struct buffer *wanted);
/* $/cancel_request: true if the id is one of these. */
bool acp_permission_withdraw(struct acp_peer *peer, struct json_object *id);

/* acp_command.c: what a person judges by: the command line, or the paths and what is done to
 * them. Never empty. */
void acp_command_write(struct buffer *out, const struct acp_tool *tool);
/* A sentence or a title that says what it is for. Never empty. */
void acp_command_describe(struct buffer *out, const struct acp_tool *tool);

/* acp_reach.c: what rules look at: the command, and the paths that it names. */
void acp_reach(struct acp_peer *peer, struct permission_ask *ask, const struct acp_tool *tool);
