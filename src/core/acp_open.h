#pragma once
/* From `initialize` to a session that takes prompts (ACP initialize, authenticate, session/resume,
 * session/load, session/new). Ends in NOTICE_READY or NOTICE_FAILED. */
#include <json-c/json.h>

struct acp_peer;
enum acp_call;

void acp_open_start(struct acp_peer *peer);
/* The answer to one of the requests above, or to session/close, which nobody waits for. */
void acp_open_answered(struct acp_peer *peer, enum acp_call call, struct json_object *result,
                       struct json_object *error);
/* Something of the conversation was replayed: what comes next is waited for. */
void acp_open_replayed(struct acp_peer *peer);
/* Nothing has been replayed for a while. */
void acp_open_settled(struct acp_peer *peer);
