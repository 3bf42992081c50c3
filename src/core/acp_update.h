#pragma once
/* session/update (ACP SessionNotification). */
#include <json-c/json.h>

struct acp_peer;

void acp_update(struct acp_peer *peer, struct json_object *params);
