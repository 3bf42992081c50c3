#include "core/acp_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_peer.h"
#include "signalbox/base/json.h"

/* Into `out`, which has room for strlen(path) + 1 bytes: "/a//b/./../c/" becomes "/a/c". */
static void normalise(char *out, const char *path)
{
    size_t length = 0;
    while (*path != '\0') {
        path += strspn(path, "/");
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (length > 0 && out[--length] != '/') {
            }
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            out[length++] = '/';
            memcpy(out + length, path, part);
            length += part;
        }
        path += part;
    }
    if (length == 0) {
        out[length++] = '/';
    }
    out[length] = '\0';
}

char *acp_path_beneath(const char *workspace, const char *path, bool *no_memory)
{
    char *whole = malloc(strlen(path) + 2);
    *no_memory = whole == NULL;
    if (whole == NULL) {
        return NULL;
    }
    normalise(whole, path);
    size_t above = strcmp(workspace, "/") == 0 ? 0 : strlen(workspace);
    const char *rest = NULL;
    if (strncmp(whole, workspace, above) == 0) {
        if (whole[above] == '/') {
            rest = whole[above + 1] != '\0' ? whole + above + 1 : ".";
        } else if (whole[above] == '\0') {
            rest = ".";
        }
    }
    char *beneath = rest != NULL ? strdup(rest) : NULL;
    *no_memory = rest != NULL && beneath == NULL;
    free(whole);
    return beneath;
}

char *acp_path_take(struct acp_peer *peer, struct json_object *params, const char *key,
                    const char **wrong)
{
    size_t length;
    const char *path = json_get_text(params, key, &length);
    if (path == NULL) {
        *wrong = "Invalid params: no path";
        return NULL;
    }
    if (strlen(path) != length || length >= PATH_MAX) {
        *wrong = "Invalid params: a path without NULs and with less than 4096 bytes is wanted";
        return NULL;
    }
    if (path[0] != '/') {
        *wrong = "Invalid params: the path is not absolute";
        return NULL;
    }
    bool no_memory;
    char *beneath = acp_path_beneath(peer->cwd, path, &no_memory);
    if (no_memory) {
        peer->error = ERR_NOMEM;
    } else if (beneath == NULL) {
        *wrong = "Invalid params: the path is outside of the session's workspace";
    }
    return beneath;
}
