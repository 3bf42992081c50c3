#include "journal_tails.h"

#include "signalbox/base/metrics.h"

static bool listed(const struct tails *tails, const struct topic *topic)
{
    return topic->tails_newer || topic->tails_older || tails->newest == topic;
}

static void take_out(struct tails *tails, struct topic *topic)
{
    *(topic->tails_newer ? &topic->tails_newer->tails_older : &tails->newest) = topic->tails_older;
    *(topic->tails_older ? &topic->tails_older->tails_newer : &tails->oldest) = topic->tails_newer;
    topic->tails_newer = topic->tails_older = NULL;
}

static void put_first(struct tails *tails, struct topic *topic)
{
    topic->tails_older = tails->newest;
    *(tails->newest ? &tails->newest->tails_newer : &tails->oldest) = topic;
    tails->newest = topic;
}

void tails_changed(struct tails *tails, struct topic *topic, size_t most)
{
    size_t before = topic->tail_counted;
    topic->tail_counted = topic_memory(topic);
    tails->bytes = tails->bytes - before + topic->tail_counted;
    if (tails->newest != topic) {
        if (listed(tails, topic)) {
            take_out(tails, topic);
        }
        put_first(tails, topic);
    }
    /* Never the one that was just appended to: it has a bound of its own. */
    while (most && tails->bytes > most && tails->oldest != topic) {
        struct topic *quiet = tails->oldest;
        tails_forget(tails, quiet);
        topic_trim(quiet);
    }
    metric_set(METRIC_TAIL_BYTES, (int64_t)tails->bytes);
}

void tails_forget(struct tails *tails, struct topic *topic)
{
    if (listed(tails, topic)) {
        take_out(tails, topic);
        tails->bytes -= topic->tail_counted;
        topic->tail_counted = 0;
        metric_set(METRIC_TAIL_BYTES, (int64_t)tails->bytes);
    }
}
