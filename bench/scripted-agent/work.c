#define _GNU_SOURCE
#include "work.h"

#include "generator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of recorded sessions: their events have 190 bytes to 260 KB, the median 1.4 KB, and most of the
// bytes are what tools say. A fifth of the tools say it piece by piece.
enum {
    OUTPUT_MEDIAN = 4000,
    OUTPUT_MAX = 256 * 1024,
    INPUT_MEDIAN = 1100,
    INPUT_MAX = 8 * 1024,
    PIECES_MAX = 8,
    PIECE_RATE = 20,
    TOOLS_MAX = 4,
    ASKS_ONE_OF = 8,
    PIECES_ONE_OF = 5,
};

static const double spread_output = 1.6;
static const double spread_input = 1.0;
static const double spread_burst = 0.9;
static const double median_thoughts = 25;
static const double median_chunks = 40;
static const double answer_s = 0.5; // a person's, or a program's in its stead

struct script {
    json_object *steps;
    struct generator random;
    double now; // seconds behind the beginning
    int64_t at;
};

// In (0, 1).
static double share(struct script *s)
{
    return ((double)generator_next(&s->random) + 0.5) / 4294967296.0;
}

static double between(struct script *s, double low, double high)
{
    return low + (high - low) * share(s);
}

static bool one_of(struct script *s, uint32_t count)
{
    return generator_next(&s->random) % count == 0;
}

// Log-normal: as the sizes of what people and programs write.
static long draw(struct script *s, double median, double spread, long least, long most)
{
    double normal = sqrt(-2 * log(share(s))) * cos(2 * M_PI * share(s));
    double value = median * exp(spread * normal);
    return value < (double)least ? least : value > (double)most ? most : (long)value;
}

static json_object *step(struct script *s, const char *name, json_object *value)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, name, value);
    json_object_array_add(s->steps, o);
    return o;
}

static int64_t time_of(const struct script *s)
{
    return s->at + (int64_t)(s->now * 1e6);
}

static json_object *burst(struct script *s, double median, double rate)
{
    long chunks = draw(s, median, spread_burst, 1, 600);
    json_object *o = step(s, "chunks", json_object_new_int64(chunks));
    json_object_object_add(o, "rate", json_object_new_double(rate));
    json_object_object_add(o, "at", json_object_new_int64(time_of(s)));
    s->now += (double)chunks / rate;
    return o;
}

static void think(struct script *s, double rate)
{
    json_object *o = burst(s, median_thoughts, rate * between(s, 0.4, 1));
    json_object_object_add(o, "kind", json_object_new_string("thought"));
    json_object_object_add(
        o, "pattern", json_object_new_string("count")); // takes nothing from the text's generator
}

static void say(struct script *s, const struct work *w)
{
    json_object *o = burst(s, median_chunks, w->rate * between(s, 0.3, 1));
    json_object_object_add(o, "size", json_object_new_int64(w->size));
    json_object_object_add(o, "stamp", json_object_new_string("due"));
}

static json_object *input(struct script *s)
{
    static char text[INPUT_MAX + 1];
    long length = draw(s, INPUT_MEDIAN, spread_input, 20, INPUT_MAX);
    json_object *o = json_object_new_object();
    generator_fill(&s->random, ALPHABET_ASCII, text, (size_t)length);
    json_object_object_add(o, "command", json_object_new_string_len(text, (int)length));
    return o;
}

static void use_tool(struct script *s, bool permissions)
{
    json_object *tool = json_object_new_object();
    bool asks = permissions && one_of(s, ASKS_ONE_OF);
    step(s, "until", json_object_new_int64(time_of(s)));
    json_object_object_add(tool, "title", json_object_new_string("a command of the work"));
    json_object_object_add(tool, "kind", json_object_new_string("execute"));
    json_object_object_add(tool, "input", input(s));
    json_object_object_add(
        tool, "output",
        json_object_new_int64(draw(s, OUTPUT_MEDIAN, spread_output, 1, OUTPUT_MAX)));
    if (one_of(s, PIECES_ONE_OF)) {
        int pieces = 2 + (int)(generator_next(&s->random) % (PIECES_MAX - 1));
        json_object_object_add(tool, "outputChunks", json_object_new_int(pieces));
        json_object_object_add(tool, "rate", json_object_new_int(PIECE_RATE));
        s->now += (double)pieces / PIECE_RATE;
    }
    if (asks) {
        json_object_object_add(tool, "permission", json_object_new_boolean(true));
        s->now += answer_s;
    }
    step(s, "tool", tool);
    s->now += between(s, 0.02, 0.5);
}

json_object *work_steps(const struct work *w)
{
    struct script s = {.steps = json_object_new_array(), .at = w->at};
    generator_seed(&s.random, w->seed);
    if (s.steps == NULL) {
        return NULL;
    }
    s.now = between(&s, 0, 1); // not all at once
    while (s.now < w->seconds) {
        think(&s, w->rate);
        say(&s, w);
        for (uint32_t tools = generator_next(&s.random) % (TOOLS_MAX + 1); tools > 0; tools--) {
            use_tool(&s, w->permissions);
        }
        s.now += between(&s, 0.1, 1.2); // until the model goes on
    }
    return s.steps;
}
