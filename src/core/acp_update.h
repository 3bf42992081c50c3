#pragma once
/* session/update (ACP SessionNotification) and what the session/new response says of the same
 * things. */
#include <json-c/json.h>

struct acp_peer;

void acp_update(struct acp_peer *peer, struct json_object *params);
/* Modes, config options and models of a new session, as events. */
void acp_update_opened(struct acp_peer *peer, struct json_object *result);
