#include "signalbox/mail/wirelog.h"

#include <stdlib.h>
#include <string.h>

enum err wirelog_run_new(struct wirelog_run **out, const char *session_id, const char *agent, uint64_t run,
                         int64_t started_at, struct redact_secrets *secrets)
{
    struct wirelog_run *made = calloc(1, sizeof(*made));
    if (!made) {
        return ERR_NOMEM;
    }
    made->session_id = strdup(session_id);
    made->agent = strdup(agent);
    if (!made->session_id || !made->agent) {
        wirelog_run_free(made);
        return ERR_NOMEM;
    }
    made->begin.kind = WIRELOG_BEGIN;
    made->end.kind = WIRELOG_END;
    made->run = run;
    made->started_at = started_at;
    made->secrets = *secrets;
    *secrets = (struct redact_secrets){0};
    *out = made;
    return ERR_OK;
}

void wirelog_run_free(struct wirelog_run *run)
{
    if (!run) {
        return;
    }
    redact_secrets_free(&run->secrets);
    free(run->session_id);
    free(run->agent);
    free(run);
}

bool wirelog_line_send(struct mailbox *box, const struct wirelog_line *line, const char *text)
{
    size_t bytes = sizeof(*line) + line->length;
    if (!mailbox_reserve(box, bytes)) {
        return false;
    }
    struct wirelog_line *copy = malloc(bytes);
    if (!copy) {
        mailbox_release(box, bytes);
        return false;
    }
    *copy = *line;
    copy->mail.kind = WIRELOG_LINE;
    memcpy(copy->text, text, line->length);
    mailbox_push(box, &copy->mail);
    return true;
}

void wirelog_line_free(struct mailbox *box, struct wirelog_line *line)
{
    mailbox_release(box, sizeof(*line) + line->length);
    free(line);
}

enum err wirelog_purge_new(struct wirelog_purge **out, const char *session_id)
{
    size_t length = strlen(session_id);
    struct wirelog_purge *made = calloc(1, sizeof(*made) + length + 1);
    if (!made) {
        return ERR_NOMEM;
    }
    made->mail.kind = WIRELOG_PURGE;
    memcpy(made->session_id, session_id, length);
    *out = made;
    return ERR_OK;
}
