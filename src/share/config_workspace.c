/* Where agents may work: a configured root, or below one. */
#include "config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool lies_under(const char *path, const char *root)
{
    size_t length = strlen(root);
    if (length == 1) {
        return true; /* the root of all */
    }
    return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static enum err refuse(char reason[CONFIG_REASON_SIZE], enum err err, const char *path,
                       const char *why)
{
    /* The path may be of any length; a reason is for people. */
    snprintf(reason, CONFIG_REASON_SIZE, "workspace %.300s%s %s", path,
             strlen(path) > 300 ? "..." : "", why);
    return err;
}

static enum err refuse_errno(char reason[CONFIG_REASON_SIZE], int number, const char *path)
{
    switch (number) {
    case ENOENT:
        return refuse(reason, ERR_NOENT, path, "does not exist");
    case EACCES:
        return refuse(reason, ERR_ACCES, path, "cannot be entered");
    case ENOMEM:
        return refuse(reason, ERR_NOMEM, path, "cannot be looked at: out of memory");
    default:
        return refuse(reason, ERR_INVAL, path, err_text(err_from_errno(number)));
    }
}

enum err config_workspace_resolve(const struct config *config, const char *path, char **resolved,
                                  char reason[CONFIG_REASON_SIZE])
{
    if (path[0] != '/') {
        return refuse(reason, ERR_INVAL, path, "is not an absolute path");
    }
    if (config->workspace_roots.count == 0) {
        return refuse(reason, ERR_PERM, path, "is not allowed: no workspace-roots are configured");
    }
    char *real = realpath(path, NULL);
    if (real == NULL) {
        return refuse_errno(reason, errno, path);
    }
    bool inside = false;
    for (size_t i = 0; !inside && i < config->workspace_roots.count; i++) {
        inside = lies_under(real, config->workspace_roots.items[i]);
    }
    struct stat status;
    enum err err = ERR_OK;
    if (!inside) {
        err = refuse(reason, ERR_PERM, path, "is outside the workspace-roots");
    } else if (stat(real, &status) != 0) {
        err = refuse_errno(reason, errno, path);
    } else if (!S_ISDIR(status.st_mode)) {
        err = refuse(reason, ERR_INVAL, path, "is no folder");
    } else if (access(real, X_OK) != 0) {
        err = refuse_errno(reason, errno, path);
    }
    if (err != ERR_OK) {
        free(real);
        return err;
    }
    *resolved = real;
    return ERR_OK;
}
