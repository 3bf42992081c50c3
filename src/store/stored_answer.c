#include <stdlib.h>
#include <string.h>

#include "signalbox/store/store.h"

void stored_answer_clear(struct stored_answer *answer)
{
    free(answer->code);
    free(answer->message);
    free(answer->fields);
    *answer = (struct stored_answer){0};
}

enum err stored_answer_copy(struct stored_answer *to, const struct stored_answer *from)
{
    *to = *from;
    to->code = from->code ? strdup(from->code) : NULL;
    to->message = from->message ? strdup(from->message) : NULL;
    to->fields = from->fields ? strdup(from->fields) : NULL;
    if (!to->code != !from->code || !to->message != !from->message || !to->fields != !from->fields) {
        stored_answer_clear(to);
        return ERR_NOMEM;
    }
    return ERR_OK;
}
