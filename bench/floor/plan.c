#define _GNU_SOURCE
#include "plan.h"

#include "generator/loop.h"
#include "scripted-agent/generator.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AROUND = 320, BEFORE = 1, BEHIND = 2, STAMP_BYTES = 18 };

size_t frame_header(uint8_t header[10], size_t length)
{
    header[0] = 0x81;
    if (length < 126) {
        header[1] = (uint8_t)length;
        return 2;
    }
    size_t digits = length <= 0xffff ? 2 : 8;
    header[1] = digits == 2 ? 126 : 127;
    for (size_t i = 0; i < digits; i++) {
        header[2 + i] = (uint8_t)(length >> (8 * (digits - 1 - i)));
    }
    return 2 + digits;
}

static bool read_number(const char *script, const char *name, double *out)
{
    const char *at = strstr(script, name);
    if (at != NULL) {
        *out = strtod(at + strlen(name), NULL);
    }
    return at != NULL;
}

static void add(struct plan *p, const char *text, size_t length)
{
    uint8_t header[10];
    size_t begin = p->frames > 0 ? p->ends[p->frames - 1] : 0;
    size_t size = frame_header(header, length);
    memcpy(p->bytes + begin, header, size);
    memcpy(p->bytes + begin + size, text, length);
    p->ends[p->frames++] = begin + size + length;
}

static long long wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *plan_make(struct plan *p, const char *script, uint64_t seq)
{
    double seed;
    double chunks;
    double size;
    double rate;
    double at;
    if (!read_number(script, "\"seed\":", &seed) || !read_number(script, "\"chunks\":", &chunks) ||
        !read_number(script, "\"size\":", &size) || !read_number(script, "\"rate\":", &rate) ||
        !read_number(script, "\"at\":", &at) || chunks < 1 || size < 1 || rate <= 0) {
        return "the floor plays one step of chunks, with seed, size, rate and at";
    }
    struct generator generator;
    size_t length = (size_t)size;
    size_t room = AROUND + STAMP_BYTES + length;
    char *text = take(NULL, room);
    p->chunks = (size_t)chunks;
    p->rate = rate;
    p->at = (int64_t)at;
    p->frames = 0;
    p->bytes = take(NULL, (p->chunks + BEFORE + BEHIND) * room);
    p->ends = take(NULL, (p->chunks + BEFORE + BEHIND) * sizeof *p->ends);
    generator_seed(&generator, (uint32_t)seed);
    int used = snprintf(text, room,
                        "{\"seq\":%llu,\"ts\":%lld,\"type\":\"turn_started\",\"sessionId\":\"%s\","
                        "\"turnId\":\"turn-6\"}",
                        (unsigned long long)seq++, wall_ms(), p->id);
    add(p, text, (size_t)used);
    char began[40] = ""; // as of ours: all but the first piece of a text say which one began it
    for (size_t k = 0; k < p->chunks; k++) {
        used = snprintf(
            text, room,
            "{\"seq\":%llu,\"ts\":%lld%s,\"type\":\"text_delta\",\"sessionId\":\"%s\","
            "\"turnId\":\"turn-6\",\"messageId\":\"m3-1\",\"offset\":%zu,\"delta\":\"@%016lld ",
            (unsigned long long)seq, wall_ms(), began, p->id, k * (STAMP_BYTES + length),
            (long long)plan_due(p, k));
        generator_fill(&generator, ALPHABET_ASCII, text + used, length);
        memcpy(text + used + length, "\"}", 2);
        add(p, text, (size_t)used + length + 2);
        if (k == 0) {
            snprintf(began, sizeof began, ",\"began\":%llu", (unsigned long long)seq);
        }
        seq++;
    }
    used = snprintf(text, room,
                    "{\"seq\":%llu,\"ts\":%lld,\"type\":\"complete\",\"sessionId\":\"%s\","
                    "\"stopReason\":\"end_turn\"}",
                    (unsigned long long)seq++, wall_ms(), p->id);
    add(p, text, (size_t)used);
    used = snprintf(text, room,
                    "{\"seq\":%llu,\"ts\":%lld,\"type\":\"status\",\"sessionId\":\"%s\","
                    "\"phase\":\"idle\"}",
                    (unsigned long long)seq, wall_ms(), p->id);
    add(p, text, (size_t)used);
    free(text);
    return NULL;
}

int64_t plan_due(const struct plan *p, size_t k)
{
    return p->at + (int64_t)((double)k * 1e6 / p->rate);
}

size_t plan_frames(const struct plan *p, size_t k)
{
    return k + 1 == p->chunks ? p->frames : BEFORE + k + 1;
}
