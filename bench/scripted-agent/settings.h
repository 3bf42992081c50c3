// Modes, models and config options of a session.
#pragma once

#include "agent.h"

// Adds what the command line switched on to the answer of session/new, load and resume.
void settings_describe(const struct session *s, json_object *result);

// The requests that change them. Each takes over `id` and answers it.
void settings_set_mode(struct session *s, json_object *id, json_object *params);
void settings_set_model(struct session *s, json_object *id, json_object *params);
void settings_set_option(struct session *s, json_object *id, json_object *params);
