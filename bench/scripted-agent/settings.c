#include "settings.h"

#include <string.h>

enum { VALUES = 3 };

// The first one is also the session's mode, the second also its model.
static const struct {
    const char *id;
    const char *name;
    const char *category;
    const char *values[VALUES];
} selects[AGENT_OPTIONS] = {
    {"mode", "Mode", "mode", {"ask", "code", "plan"}},
    {"model", "Model", "model", {"small", "medium", "large"}},
    {"effort", "Effort", "thought_level", {"low", "normal", "high"}},
};

static json_object *string(const char *text)
{
    return json_object_new_string(text);
}

static int find_value(int option, const char *value)
{
    for (int i = 0; i < VALUES && value != NULL; i++) {
        if (strcmp(selects[option].values[i], value) == 0) {
            return i;
        }
    }
    return -1;
}

// [{idKey: value, "name": value}] of one option
static json_object *value_list(int option, const char *id_key)
{
    json_object *list = json_object_new_array();
    for (int i = 0; i < VALUES; i++) {
        json_object *value = json_object_new_object();
        json_object_object_add(value, id_key, string(selects[option].values[i]));
        json_object_object_add(value, "name", string(selects[option].values[i]));
        json_object_array_add(list, value);
    }
    return list;
}

static json_object *option_list(const struct session *s)
{
    json_object *list = json_object_new_array();
    for (int i = 0; i < AGENT_OPTIONS; i++) {
        json_object *option = json_object_new_object();
        json_object_object_add(option, "id", string(selects[i].id));
        json_object_object_add(option, "name", string(selects[i].name));
        json_object_object_add(option, "category", string(selects[i].category));
        json_object_object_add(option, "type", string("select"));
        json_object_object_add(option, "currentValue", string(selects[i].values[s->choice[i]]));
        json_object_object_add(option, "options", value_list(i, "value"));
        json_object_array_add(list, option);
    }
    if (s->agent->boolean_options) {
        json_object *option = json_object_new_object();
        json_object_object_add(option, "id", string("web"));
        json_object_object_add(option, "name", string("Web search"));
        json_object_object_add(option, "type", string("boolean"));
        json_object_object_add(option, "currentValue", json_object_new_boolean(s->web));
        json_object_array_add(list, option);
    }
    return list;
}

void settings_describe(const struct session *s, json_object *result)
{
    const struct options *o = s->agent->options;
    if (o->modes) {
        json_object *modes = json_object_new_object();
        json_object_object_add(modes, "currentModeId", string(selects[0].values[s->choice[0]]));
        json_object_object_add(modes, "availableModes", value_list(0, "id"));
        json_object_object_add(result, "modes", modes);
    }
    if (o->models) {
        json_object *models = json_object_new_object();
        json_object_object_add(models, "currentModelId", string(selects[1].values[s->choice[1]]));
        json_object_object_add(models, "availableModels", value_list(1, "modelId"));
        json_object_object_add(result, "models", models);
    }
    if (o->config_options) {
        json_object_object_add(result, "configOptions", option_list(s));
    }
}

static void tell(struct session *s, int option)
{
    if (option == 0 && s->agent->options->modes) {
        json_object *update = agent_new_update("current_mode_update");
        json_object_object_add(update, "currentModeId", string(selects[0].values[s->choice[0]]));
        agent_update(s, update);
    }
    if (s->agent->options->config_options) {
        json_object *update = agent_new_update("config_option_update");
        json_object_object_add(update, "configOptions", option_list(s));
        agent_update(s, update);
    }
}

static void choose(struct session *s, json_object *id, int option, const char *value)
{
    int index = find_value(option, value);
    if (index < 0) {
        rpc_error(s->agent->rpc, id, RPC_INVALID_PARAMS, "No such value");
        return;
    }
    s->choice[option] = index;
    rpc_result(s->agent->rpc, id, json_object_new_object());
    tell(s, option);
}

void settings_set_mode(struct session *s, json_object *id, json_object *params)
{
    choose(s, id, 0, rpc_text(params, "modeId", NULL));
}

void settings_set_model(struct session *s, json_object *id, json_object *params)
{
    choose(s, id, 1, rpc_text(params, "modelId", NULL));
}

void settings_set_option(struct session *s, json_object *id, json_object *params)
{
    const char *option = rpc_text(params, "configId", NULL);
    int changed = -1;
    for (int i = 0; i < AGENT_OPTIONS && option != NULL; i++) {
        int value = find_value(i, rpc_text(params, "value", NULL));
        if (strcmp(option, selects[i].id) == 0 && value >= 0) {
            s->choice[i] = value;
            changed = i;
        }
    }
    json_object *value = rpc_member(params, "value", json_type_boolean);
    if (option != NULL && strcmp(option, "web") == 0 && value != NULL) {
        s->web = json_object_get_boolean(value);
        changed = AGENT_OPTIONS;
    }
    if (changed < 0) {
        rpc_error(s->agent->rpc, id, RPC_INVALID_PARAMS, "No such option or value");
        return;
    }
    json_object *result = json_object_new_object();
    json_object_object_add(result, "configOptions", option_list(s));
    rpc_result(s->agent->rpc, id, result);
    tell(s, changed);
}
