#define _GNU_SOURCE
/* What happens to permission requests: how long they wait, which policies there are, and what is denied. */
#include "config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const config_policy_names[] = {"ask", "read-only", "trust", NULL};

void config_timeouts_free(struct config_timeouts *timeouts)
{
    config_list_free(&timeouts->kinds);
    free(timeouts->ms);
    *timeouts = (struct config_timeouts){0};
}

bool config_action_parse(const char *text, enum config_action *out)
{
    if (strcmp(text, "reject") != 0 && strcmp(text, "cancel") != 0) {
        return false;
    }
    *out = *text == 'r' ? ACTION_REJECT : ACTION_CANCEL;
    return true;
}

static bool is_kind(const char *text, size_t length)
{
    return length > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyz_") >= length;
}

static enum err add_timeout(struct config_timeouts *timeouts, const char *kind, size_t length,
                            int64_t ms)
{
    int64_t *more = realloc(timeouts->ms, (timeouts->kinds.count + 1) * sizeof(*more));
    if (more == NULL) {
        return ERR_NOMEM;
    }
    timeouts->ms = more;
    more[timeouts->kinds.count] = ms;
    return config_list_take(&timeouts->kinds, strndup(kind, length));
}

/* "KIND=MILLISECONDS". On failure a reason, malloc'd, or NULL when out of memory. */
static enum err parse_timeout(struct config_timeouts *timeouts, const char *text, char **reason)
{
    const struct config_option *general = &config_options[CONFIG_OPTION_permission_timeout_ms];
    const char *equals = strchr(text, '=');
    *reason = NULL;
    if (equals == NULL || !is_kind(text, (size_t)(equals - text))) {
        if (asprintf(reason, "permission-timeouts: \"%s\" is not KIND=MILLISECONDS", text) < 0) {
            *reason = NULL;
        }
        return ERR_INVAL;
    }
    int64_t ms;
    if (!config_number_parse("permission-timeouts", general->type, general->minimum,
                             general->maximum, equals + 1, &ms, reason)) {
        return ERR_INVAL;
    }
    for (size_t i = 0; i < timeouts->kinds.count; i++) {
        if (strlen(timeouts->kinds.items[i]) == (size_t)(equals - text) &&
            strncmp(timeouts->kinds.items[i], text, (size_t)(equals - text)) == 0) {
            if (asprintf(reason, "permission-timeouts: the kind of \"%s\" stands there twice",
                         text) < 0) {
                *reason = NULL;
            }
            return ERR_INVAL;
        }
    }
    return add_timeout(timeouts, text, (size_t)(equals - text), ms);
}

static enum err check_words(struct config_build *build)
{
    struct config *config = build->config;
    for (size_t i = 0; i < config->forbidden_policies.count; i++) {
        const char *word = config->forbidden_policies.items[i];
        int policy = 0;
        while (config_policy_names[policy] != NULL &&
               strcmp(config_policy_names[policy], word) != 0) {
            policy++;
        }
        if (config_policy_names[policy] == NULL) {
            return config_build_fail(build, CONFIG_OPTION_forbidden_policies, ERR_INVAL,
                                     "forbidden-policies: \"%s\" is none of ask, read-only, trust",
                                     word);
        }
        if (policy == (int)config->default_policy) {
            return config_build_fail(build, CONFIG_OPTION_forbidden_policies, ERR_INVAL,
                                     "forbidden-policies: %s is the default-policy", word);
        }
    }
    for (size_t i = 0; i < config->deny_kinds.count; i++) {
        const char *kind = config->deny_kinds.items[i];
        if (!is_kind(kind, strlen(kind))) {
            return config_build_fail(build, CONFIG_OPTION_deny_kinds, ERR_INVAL,
                                     "deny-kinds: \"%s\" is no kind of tool", kind);
        }
    }
    return ERR_OK;
}

static bool steps_out(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Without slashes at its end or side by side, which paths of requests do not have either. */
static void trim(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        bool doubled = *from == '/' && (from[1] == '/' || from[1] == '\0');
        if (!doubled || (to == path && from[1] == '\0')) {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static enum err build_denied(struct config_build *build)
{
    struct config *config = build->config;
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < config->deny_paths.count; i++) {
        const char *text = config->deny_paths.items[i];
        if (steps_out(text) || strncmp(text, "./", 2) == 0 || strcmp(text, ".") == 0) {
            return config_build_fail(build, CONFIG_OPTION_deny_paths, ERR_INVAL,
                                     "deny-paths: %s: write it without . and ..", text);
        }
        bool absolute = text[0] == '/' || (text[0] == '~' && (text[1] == '/' || text[1] == '\0'));
        char *path = absolute ? config_path_absolute("/", text) : strdup(text);
        if (path == NULL) {
            return ERR_NOMEM;
        }
        trim(path);
        char *real = absolute ? realpath(path, NULL) : NULL;
        if (real != NULL && strcmp(real, path) != 0) {
            err = config_list_add(&config->denied_paths, real);
        }
        free(real);
        if (err == ERR_OK) {
            err = config_list_take(&config->denied_paths, path);
        } else {
            free(path);
        }
    }
    return err;
}

enum err config_build_permissions(struct config_build *build)
{
    struct config *config = build->config;
    for (size_t i = 0; i < config->permission_timeouts.count; i++) {
        char *reason = NULL;
        enum err err =
            parse_timeout(&config->timeouts, config->permission_timeouts.items[i], &reason);
        if (err == ERR_INVAL) {
            err = config_build_fail(build, CONFIG_OPTION_permission_timeouts, err, "%s",
                                    reason != NULL ? reason : "out of memory");
        }
        free(reason);
        if (err != ERR_OK) {
            return err;
        }
    }
    enum err err = check_words(build);
    return err == ERR_OK ? build_denied(build) : err;
}

/* Behind what the agent's own section says of kinds comes what is said of kinds in general; unless the section has a
 * timeout for all, which is more its own than that. */
static enum err add_general(struct config_timeouts *timeouts, const struct config_timeouts *general)
{
    for (size_t i = 0; i < general->kinds.count; i++) {
        const char *kind = general->kinds.items[i];
        enum err err = add_timeout(timeouts, kind, strlen(kind), general->ms[i]);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

enum err config_build_agent_permissions(struct config_build *build,
                                        const struct config_raw_agent *raw,
                                        struct config_agent *agent)
{
    const struct config_raw *own = &raw->options[CONFIG_AGENT_PERMISSION_TIMEOUTS];
    const struct config_raw *action = &raw->options[CONFIG_AGENT_PERMISSION_ACTION];
    for (size_t i = 0; i < own->values.count; i++) {
        char *reason = NULL;
        enum err err = parse_timeout(&agent->timeouts, own->values.items[i], &reason);
        if (err == ERR_INVAL) {
            err = config_agent_fail(build, own->line, "agent %s: %s", raw->name,
                                    reason != NULL ? reason : "out of memory");
        }
        free(reason);
        if (err != ERR_OK) {
            return err;
        }
    }
    agent->permission_timeout_action = build->config->permission_timeout_action;
    if (action->given && action->values.count > 0 &&
        !config_action_parse(action->values.items[0], &agent->permission_timeout_action)) {
        return config_agent_fail(
            build, action->line,
            "agent %s: permission-timeout-action: \"%s\" is neither reject nor cancel", raw->name,
            action->values.items[0]);
    }
    return raw->options[CONFIG_AGENT_PERMISSION_TIMEOUT].given
               ? ERR_OK
               : add_general(&agent->timeouts, &build->config->timeouts);
}
