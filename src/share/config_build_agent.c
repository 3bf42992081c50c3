/* From texts to a snapshot: the agents. */
#include "config_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum err config_agent_fail(struct config_build *build, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum err err = config_error_set_list(build->error, ERR_INVAL, build->config->file, line, format, arguments);
    va_end(arguments);
    return err;
}

static enum err check_agent(struct config_build *build, const struct config_raw_agent *raw)
{
    const struct config_raw *command = &raw->options[CONFIG_AGENT_COMMAND];
    const struct config_raw *environment = &raw->options[CONFIG_AGENT_ENVIRONMENT];
    int line = command->line != 0 ? command->line : raw->line;
    size_t length = strlen(raw->name);
    if (length == 0 || length > 64) {
        return config_agent_fail(build, line, "agent \"%s\": a name has 1 to 64 characters", raw->name);
    }
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)raw->name[i]) && strchr("-_.", raw->name[i]) == NULL) {
            return config_agent_fail(build, line,
                              "agent \"%s\": a name is made of letters, digits, - _ and .",
                              raw->name);
        }
    }
    if (command->values.count == 0 || command->values.items[0][0] == '\0') {
        return config_agent_fail(build, line, "agent %s: command is missing", raw->name);
    }
    for (size_t i = 0; i < environment->values.count; i++) {
        const char *entry = environment->values.items[i];
        if (entry[0] == '\0' || entry[0] == '=' || strchr(entry, '=') == NULL) {
            return config_agent_fail(build, environment->line,
                              "agent %s: environment: item %zu is not KEY=VALUE", raw->name, i + 1);
        }
    }
    return ERR_OK;
}

static const char *scalar(const struct config_raw *raw)
{
    return raw->values.count > 0 && raw->values.items[0][0] != '\0' ? raw->values.items[0] : NULL;
}

/* Where a number of an agent's section goes. */
static const struct agent_number {
    enum config_agent_option_index option;
    size_t offset; /* in struct config_agent */
    enum config_option_index general; /* whose bounds and value it has; CONFIG_OPTION_COUNT: none */
    enum config_type type;
    int64_t minimum, maximum;
} agent_numbers[] = {
#define GENERAL(option, field, key)                                                                \
    {CONFIG_AGENT_##option, offsetof(struct config_agent, field), CONFIG_OPTION_##key, CONFIG_MS, 0, 0}
#define OWN(option, field, type, minimum, maximum)                                                 \
    {CONFIG_AGENT_##option, offsetof(struct config_agent, limits.field), CONFIG_OPTION_COUNT,      \
     CONFIG_##type, minimum, maximum}
    GENERAL(PERMISSION_TIMEOUT, permission_timeout_ms, permission_timeout_ms),
    GENERAL(IDLE, idle_ms, agent_idle_ms),
    GENERAL(SILENCE, silence_ms, agent_silence_ms),
    GENERAL(HANG, hang_ms, agent_hang_ms),
    OWN(MEMORY, memory_bytes, BYTES, INT64_C(16) << 20, INT64_C(1) << 40),
    OWN(CPU, cpu_seconds, COUNT, 1, 31536000),
    OWN(FILES, open_files, COUNT, 16, 1048576),
    OWN(FILE_SIZE, file_bytes, BYTES, 4096, INT64_C(1) << 40),
    OWN(NICE, nice, COUNT, 0, 19),
    OWN(OOM_SCORE, oom_score_adj, COUNT, 0, 1000),
#undef GENERAL
#undef OWN
};

/* What holds where the section says nothing. */
static void default_numbers(const struct config *config, struct config_agent *agent)
{
    for (size_t i = 0; i < array_size(agent_numbers); i++) {
        const struct agent_number *number = &agent_numbers[i];
        int64_t *field = (int64_t *)(void *)((char *)agent + number->offset);
        *field = -1;
        if (number->general != CONFIG_OPTION_COUNT) {
            *field = *(int64_t *)config_option_field(config, &config_options[number->general]);
        }
    }
}

static enum err build_numbers(struct config_build *build, const struct config_raw_agent *raw,
                              struct config_agent *agent)
{
    default_numbers(build->config, agent);
    for (size_t i = 0; i < array_size(agent_numbers); i++) {
        const struct agent_number *number = &agent_numbers[i];
        const struct config_raw *given = &raw->options[number->option];
        const struct config_option *general =
            number->general != CONFIG_OPTION_COUNT ? &config_options[number->general] : NULL;
        char *reason = NULL;
        if (!given->given ||
            config_number_parse(config_agent_options[number->option].key,
                                general ? general->type : number->type,
                                general ? general->minimum : number->minimum,
                                general ? general->maximum : number->maximum,
                                given->values.count > 0 ? given->values.items[0] : "",
                                (int64_t *)(void *)((char *)agent + number->offset), &reason)) {
            continue;
        }
        enum err err = config_agent_fail(build, given->line, "agent %s: %s", raw->name,
                                  reason != NULL ? reason : "out of memory");
        free(reason);
        return err;
    }
    return ERR_OK;
}

static enum err agent_wire_log(struct config_build *build, const struct config_raw_agent *raw,
                               struct config_agent *agent)
{
    const struct config_raw *own = &raw->options[CONFIG_AGENT_WIRE_LOG];
    agent->wire_log = build->config->wire_log;
    if (!own->given || config_bool_parse(own->values.items[0], &agent->wire_log)) {
        return ERR_OK;
    }
    return config_agent_fail(build, own->line, "agent %s: wire-log: \"%s\" is neither true nor false",
                      raw->name, own->values.items[0]);
}

static enum err agent_offers(struct config_build *build, const struct config_raw_agent *raw,
                             struct config_agent *agent)
{
    const struct config_raw *offers = &raw->options[CONFIG_AGENT_OFFERS];
    for (size_t i = 0; i < offers->values.count; i++) {
        const char *name = offers->values.items[i];
        if (strcmp(name, "fs") == 0) {
            agent->offers_fs = true;
        } else if (strcmp(name, "terminal") == 0) {
            agent->offers_terminal = true;
        } else {
            return config_agent_fail(build, offers->line,
                              "agent %s: offers: \"%s\" is neither fs nor terminal", raw->name,
                              name);
        }
    }
    return ERR_OK;
}

/* A program with a slash that is not absolute would mean another file in every workspace. */
static enum err fix_program(struct config_build *build, struct config_agent *agent)
{
    char *program = agent->command.items[0];
    if (strchr(program, '/') == NULL || build->config->file == NULL) {
        return ERR_OK;
    }
    char *folder = config_path_folder(build->config->file);
    char *absolute = folder != NULL ? config_path_absolute(folder, program) : NULL;
    free(folder);
    if (absolute == NULL) {
        return ERR_NOMEM;
    }
    free(program);
    agent->command.items[0] = absolute;
    return ERR_OK;
}

static enum err build_agent(struct config_build *build, const struct config_raw_agent *raw,
                            struct config_agent *agent)
{
    const char *title = scalar(&raw->options[CONFIG_AGENT_TITLE]);
    const char *install = scalar(&raw->options[CONFIG_AGENT_INSTALL]);
    const char *login = scalar(&raw->options[CONFIG_AGENT_LOGIN]);
    enum err err = check_agent(build, raw);
    if (err != ERR_OK) {
        return err;
    }
    agent->line = raw->options[CONFIG_AGENT_COMMAND].line;
    agent->name = strdup(raw->name);
    agent->title = strdup(title != NULL ? title : raw->name);
    agent->install = install != NULL ? strdup(install) : NULL;
    agent->login = login != NULL ? strdup(login) : NULL;
    if (agent->name == NULL || agent->title == NULL ||
        (install != NULL && agent->install == NULL) || (login != NULL && agent->login == NULL)) {
        return ERR_NOMEM;
    }
    err = config_list_copy(&agent->command, &raw->options[CONFIG_AGENT_COMMAND].values);
    if (err == ERR_OK) {
        err = config_list_copy(&agent->environment, &raw->options[CONFIG_AGENT_ENVIRONMENT].values);
    }
    if (err == ERR_OK) {
        err = fix_program(build, agent);
    }
    if (err == ERR_OK) {
        err = agent_offers(build, raw, agent);
    }
    if (err == ERR_OK) {
        err = agent_wire_log(build, raw, agent);
    }
    if (err == ERR_OK) {
        err = build_numbers(build, raw, agent);
    }
    return err == ERR_OK ? config_build_agent_permissions(build, raw, agent) : err;
}

static enum err build_shell(struct config_build *build)
{
    struct config *config = build->config;
    static const struct config_raw_agent nothing;
    struct config_agent *agent = &config->agents[0];
    agent->name = strdup("shell");
    agent->title = strdup("Shell");
    default_numbers(config, agent);
    agent->wire_log = config->wire_log;
    if (agent->name == NULL || agent->title == NULL) {
        return ERR_NOMEM;
    }
    enum err err = config_list_add(&agent->command, "signalbox-shell");
    return err == ERR_OK ? config_build_agent_permissions(build, &nothing, agent) : err;
}

enum err config_build_agents(struct config_build *build)
{
    struct config *config = build->config;
    bool built_in = build->draft.agent_count == 0;
    config->agent_count = built_in ? 1 : build->draft.agent_count;
    config->agents = calloc(config->agent_count, sizeof(*config->agents));
    if (config->agents == NULL) {
        config->agent_count = 0;
        return ERR_NOMEM;
    }
    if (built_in) {
        return build_shell(build);
    }
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < config->agent_count; i++) {
        err = build_agent(build, &build->draft.agents[i], &config->agents[i]);
    }
    return err;
}
