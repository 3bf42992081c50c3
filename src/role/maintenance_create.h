#pragma once
/* What a new session needs of the file system, looked up by the maintenance thread. */
#include "signalbox/base/mailbox.h"
#include "signalbox/share/config.h"

/* A MAINTENANCE_CREATE: resolves the workspace, looks for the agent's program, and sends the command back to `dispatch`,
 * with a refusal if it is one. */
void maintenance_check_create(struct config_store *config, struct mailbox *dispatch, struct mail *mail);
