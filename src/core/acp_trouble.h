#pragma once
/*
 * Messages for people about an agent that refuses. Each returns a malloc'd text of at most
 * ACP_TEXT_MAX bytes (and an ellipsis), or NULL when memory ran out (then the peer's error is set).
 */
#include <json-c/json.h>
#include <stdbool.h>

struct acp_peer;

char *acp_trouble(struct acp_peer *peer, const char *text);
/* What a JSON-RPC error says. `method`: what was refused, or NULL for the bare reason. */
char *acp_trouble_error(struct acp_peer *peer, const char *method, struct json_object *error);
/* Whether the configured login may be tried: there is one, and nothing known speaks against it. */
bool acp_trouble_may_log_in(const struct acp_peer *peer);
/* That the agent needs a login, and which it offers (ACP authMethods). */
char *acp_trouble_login(struct acp_peer *peer, struct json_object *error);
