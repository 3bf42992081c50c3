#define _GNU_SOURCE
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MAX = 64 * 1024 * 1024, STAMP_BYTES = 18, NUMBER_BYTES = 24 };

// When a chunk is to be sent.
static int64_t due_at(const struct stream *s)
{
    return s->start + (int64_t)((double)s->done * 1e9 / s->rate);
}

static size_t make_text(struct turn *t, struct stream *s, int64_t now)
{
    if (s->numbers) {
        return (size_t)snprintf(s->text, NUMBER_BYTES, "%lld ", (long long)s->number++);
    }
    size_t stamp = 0;
    if (s->stamp) {
        stamp = (size_t)snprintf(s->text, STAMP_BYTES + 1, "@%016lld ", (long long)(now / 1000));
    }
    size_t size = s->min;
    if (s->max > s->min) {
        size += generator_next(&t->generator) % (uint32_t)(s->max - s->min + 1);
    }
    generator_fill(&t->generator, s->alphabet, s->text + stamp, size);
    return stamp + size;
}

static enum progress stream_activity(struct turn *t, int64_t now)
{
    struct stream *s = &t->stream;
    struct wire *w = t->session->agent->wire;
    while (s->done < s->count) {
        if (s->rate > 0) {
            int64_t due = due_at(s);
            if (due > now) {
                t->wake = due;
                return TURN_WAITS;
            }
        }
        if (wire_pending(w) >= AGENT_BATCH) {
            t->wake = now;
            return TURN_WAITS;
        }
        // A stamp is only worth something when it is of this chunk.
        int64_t at = !s->stamp ? now : s->stamp_due && s->rate > 0 ? due_at(s) : agent_now();
        size_t length = make_text(t, s, at);
        turn_text(t, s->kind, s->message_id, s->text, length);
        s->done++;
    }
    return TURN_NEXT;
}

static bool read_size(struct stream *s, json_object *size)
{
    int64_t min = 16;
    int64_t max = 16;
    if (json_object_is_type(size, json_type_int)) {
        min = json_object_get_int64(size);
        max = min;
    } else if (json_object_is_type(size, json_type_array) && json_object_array_length(size) == 2) {
        min = json_object_get_int64(json_object_array_get_idx(size, 0));
        max = json_object_get_int64(json_object_array_get_idx(size, 1));
    } else if (size != NULL) {
        return false;
    }
    s->min = (size_t)min;
    s->max = (size_t)max;
    return min >= 0 && max >= min && max <= CHUNK_MAX;
}

// The step's own id, or the script's; "messageId":null means none.
static json_object *message_id(struct turn *t, json_object *step)
{
    json_object *id;
    return json_object_object_get_ex(step, "messageId", &id) ? id : t->message_id;
}

static enum progress start(struct turn *t, int64_t now)
{
    struct stream *s = &t->stream;
    char *text = realloc(s->text, s->max + STAMP_BYTES + NUMBER_BYTES);
    if (text == NULL) {
        return turn_bad(t, "out of memory");
    }
    s->text = text;
    s->start = s->start != 0 ? s->start : now;
    t->activity = stream_activity;
    return TURN_NEXT;
}

enum progress stream_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    struct stream *s = &t->stream;
    const char *kind = rpc_text(step, "kind", NULL);
    const char *alphabet = rpc_text(step, "alphabet", NULL);
    const char *pattern = rpc_text(step, "pattern", NULL);
    json_object *size = NULL;
    json_object *rate = NULL;
    json_object *seed = rpc_member(step, "seed", json_type_int);
    json_object_object_get_ex(step, "size", &size);
    json_object_object_get_ex(step, "rate", &rate);
    *s = (struct stream){.text = s->text};
    s->count = json_object_get_int64(value);
    s->rate = json_object_get_double(rate);
    s->alphabet = alphabet == NULL ? ALPHABET_ASCII : generator_alphabet_named(alphabet);
    s->numbers = pattern != NULL && strcmp(pattern, "count") == 0;
    s->number = json_object_get_int64(rpc_member(step, "from", json_type_int));
    s->start = 1000 * json_object_get_int64(rpc_member(step, "at", json_type_int));
    const char *stamp = rpc_text(step, "stamp", NULL);
    s->stamp_due = stamp != NULL && strcmp(stamp, "due") == 0;
    s->stamp = s->stamp_due || json_object_get_boolean(rpc_member(step, "stamp", json_type_boolean));
    s->kind = kind != NULL && strcmp(kind, "thought") == 0 ? "agent_thought_chunk"
                                                           : "agent_message_chunk";
    s->message_id = message_id(t, step);
    if (!json_object_is_type(value, json_type_int) || s->count < 0 || s->rate < 0 ||
        s->alphabet == ALPHABET_UNKNOWN || !read_size(s, size)) {
        return turn_bad(t, "chunks: a bad number, size, rate or alphabet");
    }
    if (seed != NULL) {
        generator_seed(&t->generator, (uint32_t)json_object_get_int64(seed));
    }
    return start(t, now);
}

enum progress stream_big_line(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    struct stream *s = &t->stream;
    *s = (struct stream){.text = s->text, .count = 1, .kind = "agent_message_chunk"};
    s->message_id = message_id(t, step);
    if (!json_object_is_type(value, json_type_int) || !read_size(s, value)) {
        return turn_bad(t, "bigLine: a number of bytes");
    }
    return start(t, now);
}
