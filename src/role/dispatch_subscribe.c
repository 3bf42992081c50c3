/* The answer to `subscribe`: where the client is in the log, and what it will get. */
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/need.h"

struct place {
    const char *mode;
    uint64_t from;
    bool replay, came_back;
};

static struct place place_of(const struct session *session, const struct topic *topic, const struct command *command,
                             bool history_none)
{
    const struct place live = {"live", session->head + 1, false, false};
    if (command->has_after) {
        if (strcmp(command->after_epoch, topic->epoch) || command->after_seq > session->head) {
            return (struct place){"reset", 1, true, false};
        }
        return command->after_seq == session->head ? live : (struct place){"replay", command->after_seq + 1, true, true};
    }
    enum history_mode history = command->history;
    if (history == HISTORY_DEFAULT) {
        history = history_none ? HISTORY_NONE : HISTORY_FULL;
    }
    switch (history) {
    case HISTORY_NONE:
        return live;
    case HISTORY_TURN:
        return session->turn.id ? (struct place){"replay", session->turn.from, true, false} : live;
    default:
        return session->head ? (struct place){"replay", 1, true, false} : live;
    }
}

static void subscribed_refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    struct subscribed_mail *subscribed = container_of(mail, struct subscribed_mail, mail);
    topic_put(subscribed->topic);
    frame_put(subscribed->frame);
    free(subscribed);
}

void dispatch_subscribe(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    const struct session *session = held->session;
    struct place place = place_of(session, held->topic, command->command, command->history_none);

    struct buffer text = {0};
    buffer_text(&text, "{\"type\":\"subscribed\"");
    json_field_string(&text, "id", command->command->id);
    json_field_string(&text, "sessionId", session->id);
    json_field_string(&text, "epoch", held->topic->epoch);
    json_field_i64(&text, "head", (int64_t)session->head);
    json_field_string(&text, "mode", place.mode);
    session_describe(session, &text);
    buffer_byte(&text, '}');

    struct subscribed_mail *mail = need_zero(sizeof(*mail));
    need_ok(buffer_ok(&text) ? frame_text(&mail->frame, text.data, text.length) : ERR_NOMEM);
    buffer_free(&text);
    mail->serial = command->reply.serial;
    mail->topic = topic_get(held->topic);
    mail->head = session->head;
    mail->from = place.from;
    mail->replay = place.replay;
    mail->came_back = place.came_back;
    /* Through the journal: head, phase and pending are then those of a committed number. */
    dispatch_forward(dispatch, &mail->mail, command->reply.to, CLIENT_MAIL_SUBSCRIBED, subscribed_refuse);
}
