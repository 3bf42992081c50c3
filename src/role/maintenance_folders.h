#pragma once
/* The folders beneath one in which agents may work, for who chooses a workspace; for the maintenance thread. */
#include "signalbox/mail/list.h"
#include "signalbox/share/config.h"

enum {
    FOLDERS_MAX = 2000,          /* in one answer */
    FOLDER_ENTRIES_MAX = 100000, /* that are looked at for it */
};

/* Answers a request for LIST_FOLDERS: its items are the tail of the answer's object. Else its `message` says why not, and
 * it is as config_workspace_resolve has it, and ERR_ACCES for a folder that cannot be read. Blocks. */
must_check enum err maintenance_list_folders(const struct config *config, struct list_request *request);
