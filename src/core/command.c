#include "signalbox/core/command.h"

#include <stdlib.h>

void command_free(struct command *command)
{
    if (!command) {
        return;
    }
    char *texts[] = {
        command->id,
        command->session_id,
        command->message_id,
        command->request_id,
        command->turn_id,
        command->agent,
        command->workspace,
        command->title,
        command->text,
        command->content,
        command->option_id,
        command->decision,
        command->message,
        command->updated_input,
        command->rule_id,
        command->remember_scope,
        command->remember_match,
        command->policy,
        command->mode_id,
        command->config_id,
        command->value,
        command->after_epoch,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(texts[i]);
    }
    blobs_free(command->blobs);
    free(command->uses);
    free(command);
}
