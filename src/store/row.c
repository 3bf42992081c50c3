#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/store/store.h"

static const size_t texts[] = {
    offsetof(struct session_row, id),        offsetof(struct session_row, agent),
    offsetof(struct session_row, workspace), offsetof(struct session_row, title),
    offsetof(struct session_row, policy),    offsetof(struct session_row, phase),
    offsetof(struct session_row, epoch),     offsetof(struct session_row, created_by),
    offsetof(struct session_row, queue),     offsetof(struct session_row, agent_state),
};

static char **text_at(struct session_row *row, size_t index)
{
    return (char **)(void *)((char *)row + texts[index]);
}

void session_row_clear(struct session_row *row)
{
    for (size_t i = 0; i < array_size(texts); i++) {
        free(*text_at(row, i));
    }
    *row = (struct session_row){0};
}

enum err session_row_copy(struct session_row *to, const struct session_row *from)
{
    *to = *from;
    bool whole = true;
    for (size_t i = 0; i < array_size(texts); i++) {
        char **text = text_at(to, i);
        if (*text != NULL) {
            *text = strdup(*text);
            whole = whole && *text != NULL;
        }
    }
    if (!whole) {
        session_row_clear(to);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

bool session_row_live(const struct session_row *row)
{
    if (row->open_from != 0 || row->pending != 0) {
        return true;
    }
    static const char *const phases[] = {"starting", "idle", "running", "waiting"};
    for (size_t i = 0; row->phase != NULL && i < array_size(phases); i++) {
        if (strcmp(row->phase, phases[i]) == 0) {
            return true;
        }
    }
    return false;
}
