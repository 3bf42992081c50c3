#pragma once
/* What reaches the deflate thread: events of a topic, or a piece of a replay, that are to be compressed. */
#include "signalbox/mail/history.h"
#include "signalbox/share/topic.h"

enum deflate_mail_kind {
    DEFLATE_TOPIC = TOPIC_SQUEEZE_MAIL, /* struct topic_squeeze; asked for by topic_squeeze */
    DEFLATE_PIECE, /* struct history_request with frames, from who got it from history: goes back as it did from there */
    DEFLATE_STOP,
};
