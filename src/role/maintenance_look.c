#define _GNU_SOURCE
#include "maintenance_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "signalbox/base/path.h"

/*
 * The path with all links resolved, also where its end does not exist yet: a file that is to be made, perhaps in a
 * folder that is to be made. NULL where that cannot be told: a link that leads nowhere could lead anywhere when it is
 * written through.
 */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    if (real || errno != ENOENT) {
        return real;
    }
    char *folder = strdup(path);
    if (!folder) {
        return NULL;
    }
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        folder[--length] = '\0';
    }
    char *slash = strrchr(folder, '/');
    char *name = slash ? slash + 1 : folder;
    struct stat status;
    bool missing = lstat(folder, &status) != 0 && errno == ENOENT;
    bool plain = *name && strcmp(name, ".") && strcmp(name, "..");
    if (slash && missing && plain) {
        *slash = '\0';
        char *parent = resolve(slash == folder ? "/" : folder);
        real = parent ? path_join(parent, name) : NULL;
        free(parent);
    }
    free(folder);
    return real;
}

void maintenance_look(struct look_request *request)
{
    char *workspace = realpath(request->workspace, NULL);
    request->workspace_real = workspace && !strcmp(workspace, request->workspace);
    free(workspace);
    for (size_t i = 0; i < request->count; i++) {
        request->real_paths[i] = resolve(request->paths[i]);
    }
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}
