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
        answer_clear(&command->refusal);
        if (command->credit) {
            credit_give(command->credit, command->credit_bytes);
            credit_put(command->credit);
        }
        free(command);
    }
}

void erased_note_free(struct erased_note *note)
{
    topic_put(note->topic);
    free(note);
}

void agent_blobs_mail_free(struct agent_blobs_mail *mail)
{
    if (mail) {
        credit_put(mail->credit);
        blobs_free(mail->blob);
        topic_put(mail->topic);
        free(mail);
    }
}

void dispatch_command_remember(struct dispatch_command *command, enum remember how)
{
    const struct command *given = command->command;
    if (!given->id || !command_is_remembered(given->type)) {
        return;
    }
    command->remember = how;
    struct digest_work work;
    digest_begin(&work);
    digest_text(&work, command->identity.user);
    digest_text(&work, how == REMEMBER_KEY ? NULL : command->identity.client_id);
    digest_text(&work, given->id);
    digest_end(&work, &command->name);
    command_digest(given, &command->body);
}
