#include "maintenance_create.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/mail/dispatch.h"

static void refuse(struct dispatch_command *command, enum answer_code code, const char *message, const char *field)
{
    struct buffer fields = {0};
    json_field_string(&fields, "field", field);
    command->refusal = (struct answer){.code = code, .message = strdup(message), .fields = buffer_take(&fields)};
}

static bool agent_is_there(const struct config *config, struct dispatch_command *command)
{
    const struct config_agent *agent = config_agent(config, command->command->agent);
    char reason[CONFIG_REASON_SIZE];
    char message[CONFIG_REASON_SIZE * 2];
    if (!agent) {
        snprintf(message, sizeof(message), "there is no agent named %s in the configuration", command->command->agent);
        refuse(command, ANSWER_NOT_FOUND, message, "agent");
        return false;
    }
    if (!config_agent_available(config, agent, reason)) {
        snprintf(message, sizeof(message), "%s%s%s", reason, agent->install ? "; install it with: " : "",
                 agent->install ? agent->install : "");
        refuse(command, ANSWER_AGENT_UNAVAILABLE, message, "agent");
        return false;
    }
    return true;
}

void maintenance_check_create(struct config_store *store, struct mailbox *dispatch, struct mail *mail)
{
    struct dispatch_command *command = container_of(mail, struct dispatch_command, mail);
    const struct config *config = config_current_get(store);
    char reason[CONFIG_REASON_SIZE];
    char *workspace = NULL;
    enum err err = config_workspace_resolve(config, command->command->workspace, &workspace, reason);
    if (err) {
        refuse(command, err == ERR_PERM ? ANSWER_FORBIDDEN : err == ERR_NOMEM ? ANSWER_INTERNAL : ANSWER_BAD_MESSAGE,
               reason, "workspace");
    } else if (agent_is_there(config, command)) {
        free(command->command->workspace);
        command->command->workspace = workspace;
        workspace = NULL;
    }
    free(workspace);
    config_put(config);
    command->checked = true;
    command->mail.kind = DISPATCH_COMMAND;
    mailbox_push(dispatch, &command->mail);
}
