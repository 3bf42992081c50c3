#pragma once
/*
 * What an agent lets people choose: its modes (ACP session/set_mode), its config options
 * (session/set_config_option), and the models of agents that have them outside of the options
 * (session/set_model, which was never stable); these are shown as one more option, `model`, so that
 * a client knows one way only.
 */
#include <json-c/json.h>
#include <stdbool.h>

struct acp_peer;
struct acp_outstanding;

void acp_settings_free(struct acp_peer *peer);
/* Those of a session that was opened, as events. */
void acp_settings_opened(struct acp_peer *peer, struct json_object *result);
/* The agent changed its mode, or its options. False if `update` does not say to what. */
bool acp_setting_mode_update(struct acp_peer *peer, struct json_object *update);
bool acp_setting_options_update(struct acp_peer *peer, struct json_object *update);
/* The answer to acp_peer_set's request. */
void acp_setting_answered(struct acp_peer *peer, const struct acp_outstanding *call,
                          struct json_object *result, struct json_object *error);
