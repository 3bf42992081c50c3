/* How a command was answered: the codes of nacks and problem documents, and their WebSocket
 * messages. */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/core/command.h"

static const struct {
    const char *name;
    int status;
} codes[ANSWER_CODE_COUNT] = {
#define X(symbol, name, status) [ANSWER_##symbol] = {name, status},
    ANSWER_CODES(X)
#undef X
};

const char *answer_code_name(enum answer_code code)
{
    CHECK((unsigned)code < ANSWER_CODE_COUNT);
    return codes[code].name;
}

bool answer_code_parse(const char *name, enum answer_code *out)
{
    for (enum answer_code code = 0; code < ANSWER_CODE_COUNT; code++) {
        if (!strcmp(codes[code].name, name)) {
            *out = code;
            return true;
        }
    }
    return false;
}

int answer_code_status(enum answer_code code)
{
    CHECK((unsigned)code < ANSWER_CODE_COUNT);
    return codes[code].status;
}

bool answer_code_retryable(enum answer_code code)
{
    switch (code) {
    case ANSWER_BUSY:
    case ANSWER_RATE_LIMITED:
    case ANSWER_QUEUE_FULL:
    case ANSWER_LIMIT_REACHED:
    case ANSWER_INTERNAL:
    case ANSWER_AGENT_UNAVAILABLE:
    case ANSWER_AGENT_FAILED:
    case ANSWER_STORAGE_UNAVAILABLE:
    case ANSWER_SHUTTING_DOWN:
        return true;
    default:
        return false;
    }
}

void answer_clear(struct answer *answer)
{
    free(answer->message);
    free(answer->fields);
    memset(answer, 0, sizeof(*answer));
}

void answer_write(struct buffer *out, const struct answer *answer, const char *id)
{
    bool refused = answer->code != ANSWER_OK;
    buffer_text(out, refused ? "{\"type\":\"nack\"" : "{\"type\":\"ack\"");
    json_field_string(out, "id", id);
    if (refused) {
        const char *name = answer_code_name(answer->code);
        json_field_string(out, "code", name);
        json_field_string(out, "message", answer->message ? answer->message : name);
        json_field_bool(out, "retryable", answer_code_retryable(answer->code));
    }
    if (answer->fields) {
        buffer_text(out, answer->fields);
    }
    buffer_byte(out, '}');
}
