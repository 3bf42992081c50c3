#include "signalbox/mail/dispatch.h"

#include <stdlib.h>

enum err dispatch_command_new(struct dispatch_command **out)
{
    struct dispatch_command *command = calloc(1, sizeof(*command));
    if (!command) {
        return ERR_NOMEM;
    }
    command->mail.kind = DISPATCH_COMMAND;
    *out = command;
    return ERR_OK;
}

void dispatch_command_free(struct dispatch_command *command)
{
    if (command) {
        command_free(command->command);
        free(command);
    }
}
