#include "support/fold_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/fold.h"

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "fold_log: %s\n", what);
        abort();
    }
}

uint64_t fold_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

size_t fold_below(uint64_t *state, size_t limit)
{
    return (size_t)(fold_random(state) % limit);
}

void fold_log_add(struct fold_log *log, uint64_t from, uint64_t seq, const char *json,
                  size_t length)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->rows = realloc(log->rows, log->capacity * sizeof(*log->rows));
        must(log->rows != NULL, "memory");
    }
    char *copy = malloc(length + 1);
    must(copy != NULL, "memory");
    memcpy(copy, json, length);
    copy[length] = '\0';
    log->rows[log->count++] = (struct fold_log_row){from, seq, copy, length};
}

void fold_log_free(struct fold_log *log)
{
    for (size_t index = 0; index < log->count; index++) {
        free(log->rows[index].json);
    }
    free(log->rows);
    *log = (struct fold_log){0};
}

void fold_log_copy(struct fold_log *to, const struct fold_log *from)
{
    *to = (struct fold_log){0};
    for (size_t index = 0; index < from->count; index++) {
        const struct fold_log_row *row = &from->rows[index];
        fold_log_add(to, row->from, row->seq, row->json, row->length);
    }
}

/* ---- Making one ---- */

enum { TOOLS = 5 };

struct world {
    struct fold_log *log;
    uint64_t random, seq;
    const uint8_t *bytes; /* in place of `random`: what is chosen */
    size_t bytes_left;
    bool strict;
    unsigned turns, messages, tools, users, requests;
    bool in_turn;
    unsigned block; /* 0: none; 1: text; 2: thought */
    struct buffer text;
    uint64_t block_units;
    struct {
        unsigned id;
        uint64_t units;
    } open[TOOLS];
    unsigned queued, request;
    struct buffer out;
};

static size_t roll(struct world *world, size_t limit)
{
    if (world->bytes) {
        size_t number = 0;
        for (size_t most = limit - 1; most > 0 && world->bytes_left > 0; most >>= 8) {
            number = number << 8 | *world->bytes++;
            world->bytes_left--;
        }
        return number % limit;
    }
    return fold_below(&world->random, limit);
}

static void start(struct world *world, const char *type)
{
    buffer_reset(&world->out);
    world->seq++;
    buffer_format(&world->out, "{\"seq\":%llu,\"ts\":%llu,\"type\":\"%s\",\"sessionId\":\"s-1\"",
                  (unsigned long long)world->seq, 1700000000000ULL + world->seq * 3, type);
    if (world->in_turn) {
        buffer_format(&world->out, ",\"turnId\":\"turn-%u\"", world->turns);
    }
}

static void finish(struct world *world)
{
    buffer_byte(&world->out, '}');
    must(buffer_ok(&world->out), "memory");
    fold_log_add(world->log, world->seq, world->seq, world->out.data, world->out.length);
}

static void simple(struct world *world, const char *type, const char *members)
{
    start(world, type);
    buffer_text(&world->out, members);
    finish(world);
}

static void put_text(struct world *world, struct buffer *out, size_t atoms)
{
    static const char *const texts[] = {
        "a",
        "word ",
        "\xc3\xa9",
        "e\xcc\x81",
        "\xf0\x9f\x98\x80",
        "\xe4\xb8\xad",
        "\n",
        "\"",
        "\\",
        "\x1b[31m",
        "/",
        "\xe2\x80\xa8",
        "\x01",
        "{[",
        "]}",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
    };
    while (atoms-- > 0) {
        buffer_text(out, texts[roll(world, sizeof(texts) / sizeof(texts[0]))]);
    }
}

static void put_delta(struct world *world, uint64_t *units, size_t atoms)
{
    struct buffer text = {0};
    put_text(world, &text, atoms);
    json_field_i64(&world->out, "offset", (int64_t)*units);
    json_field_text(&world->out, "delta", text.data, text.length);
    *units += utf8_utf16_length(text.data, text.length);
    if (world->block > 0 && units == &world->block_units) {
        buffer_append(&world->text, text.data, text.length);
    }
    buffer_free(&text);
}

static void put_message_id(struct world *world)
{
    buffer_format(&world->out, ",\"messageId\":\"m%u-%u\"", 1 + world->messages / 50,
                  world->messages);
}

static void end_block(struct world *world)
{
    if (world->block == 0) {
        return;
    }
    start(world, world->block == 1 ? "text_complete" : "thought_complete");
    put_message_id(world);
    json_field_text(&world->out, "text", world->text.data, world->text.length);
    buffer_text(&world->out, ",\"isIntermediate\":true");
    finish(world);
    world->block = 0;
    buffer_reset(&world->text);
    world->block_units = 0;
}

static void say(struct world *world)
{
    unsigned kind = roll(world, 12) == 0 ? 3 - (world->block ? world->block : 1)
                    : world->block > 0   ? world->block
                                         : 1;
    if (kind != world->block) {
        end_block(world);
        world->block = kind;
        world->messages++;
    }
    start(world, kind == 1 ? "text_delta" : "thought_delta");
    put_message_id(world);
    put_delta(world, &world->block_units, 1 + roll(world, 4));
    finish(world);
}

static void start_tool(struct world *world)
{
    size_t slot = roll(world, TOOLS);
    if (world->open[slot].id > 0) {
        return;
    }
    end_block(world);
    world->open[slot].id = ++world->tools;
    world->open[slot].units = 0;
    start(world, "tool_start");
    buffer_format(&world->out,
                  ",\"toolUseId\":\"t1-%u\",\"toolName\":\"bash\",\"toolInput\":{\"a\":[%zu]},"
                  "\"kind\":\"execute\"",
                  world->tools, roll(world, 9));
    finish(world);
}

static void put_update(struct world *world, unsigned id)
{
    enum { CONTENT = 3, INPUT = 5, FIELDS = 7 };
    /* A number comes between. */
    static const char *const fields[FIELDS][2] = {
        {",\"status\":\"in_progress ", "\""},
        {",\"title\":\"Title ", " \\\"q\\\"\""},
        {",\"kind\":\"read ", "\""},
        [CONTENT] = {",\"content\":[{\"type\":\"diff\",\"path\":\"p",
                     "\",\"oldText\":\"}\\\\\",\"newText\":\"]\"}]"},
        {",\"locations\":[{\"path\":\"l", "\"}]"},
        [INPUT] = {",\"toolInput\":{\"deep\":{\"n\":", "},\"s\":\"cut\"}"},
        {",\"novelty\":", ""},
    };
    start(world, "tool_update");
    buffer_format(&world->out, ",\"toolUseId\":\"t1-%u\"", id);
    bool has[FIELDS] = {false};
    for (size_t count = 1 + roll(world, 2), from = roll(world, FIELDS); count > 0; count--) {
        size_t field = (from + count) % FIELDS;
        has[field] = true;
        buffer_format(&world->out, "%s%zu%s", fields[field][0], roll(world, 100), fields[field][1]);
    }
    if ((has[INPUT] || has[CONTENT]) && roll(world, 2)) {
        buffer_format(&world->out, ",\"refs\":[{\"path\":\"/%s\",\"blob\":\"b%zu\",\"bytes\":9}]",
                      has[INPUT] ? "toolInput/s" : "content/0/newText", roll(world, 100));
    }
    finish(world);
}

static void end_tool(struct world *world, size_t slot)
{
    start(world, "tool_result");
    buffer_format(&world->out,
                  ",\"toolUseId\":\"t1-%u\",\"toolName\":\"bash\",\"result\":\"r %zu\"",
                  world->open[slot].id, roll(world, 100));
    if (roll(world, 3) == 0) {
        buffer_text(&world->out, ",\"content\":[{\"type\":\"terminal\"}]");
    }
    buffer_text(&world->out, ",\"isError\":false");
    finish(world);
    world->open[slot].id = 0;
}

static void put_output(struct world *world, size_t slot)
{
    start(world, "tool_output");
    buffer_format(&world->out, ",\"toolUseId\":\"t1-%u\"", world->open[slot].id);
    /* Some so long that windows are reached and crossed. */
    put_delta(world, &world->open[slot].units,
              roll(world, 12) == 0 ? 3000 + roll(world, 3000) : 1 + roll(world, 4));
    if (roll(world, 25) == 0) {
        buffer_text(&world->out, ",\"refs\":[{\"path\":\"/delta\",\"blob\":\"b\",\"bytes\":9}]");
    }
    finish(world);
}

static void work_tool(struct world *world)
{
    size_t slot = roll(world, TOOLS);
    unsigned id = world->open[slot].id;
    switch (id > 0 ? roll(world, 9) : 9) {
    case 0:
        end_tool(world, slot);
        break;
    case 1:
    case 2:
    case 3:
        put_update(world, id);
        break;
    case 9:
        if (world->tools > 0 && roll(world, 6) == 0) {
            put_update(world, 1 + (unsigned)roll(world, world->tools)); /* late, perhaps */
        } else {
            start_tool(world);
        }
        break;
    default:
        put_output(world, slot);
    }
}

static void put_user(struct world *world, unsigned id, const char *status)
{
    bool in_turn = world->in_turn;
    world->in_turn = false;
    start(world, "user_message");
    world->in_turn = in_turn;
    buffer_format(&world->out,
                  ",\"messageId\":\"u%u\",\"text\":\"do\",\"by\":{\"user\":\"local\"},"
                  "\"status\":\"%s\"",
                  id, status);
    finish(world);
}

static void start_turn(struct world *world)
{
    if (world->queued > 0) {
        put_user(world, world->users - world->queued + 1, "processing");
        world->queued--;
    } else {
        put_user(world, ++world->users, "accepted");
    }
    world->in_turn = true;
    world->turns++;
    simple(world, "turn_started", ",\"by\":{\"user\":\"local\"},\"messageId\":\"u\"");
    simple(world, "status", ",\"phase\":\"running\"");
}

static void end_turn(struct world *world)
{
    end_block(world);
    for (size_t slot = 0; slot < TOOLS; slot++) {
        if (world->open[slot].id > 0) {
            end_tool(world, slot);
        }
    }
    simple(world, "complete", ",\"stopReason\":\"end_turn\",\"durationMs\":5");
    world->in_turn = false;
    simple(world, "status", ",\"phase\":\"idle\"");
}

static void queue(struct world *world)
{
    if (world->queued > 0 && roll(world, 3) == 0) {
        put_user(world, world->users - --world->queued, "withdrawn");
        world->queued = 0; /* the others stay as they are */
    } else {
        put_user(world, ++world->users, "queued");
        world->queued++;
    }
}

static void ask(struct world *world)
{
    start(world, world->request ? "permission_resolved" : "permission_request");
    if (world->request) {
        buffer_format(&world->out, ",\"requestId\":\"r%u\",\"outcome\":\"allowed\"",
                      world->request);
        world->request = 0;
    } else {
        world->request = ++world->requests;
        buffer_format(&world->out, ",\"request\":{\"requestId\":\"r%u\",\"command\":\"ls\"}",
                      world->request);
    }
    finish(world);
}

static void something(struct world *world)
{
    static const char *const types[] = {
        "plan",   "usage",  "commands", "mode",         "config_options",    "title",
        "policy", "status", "error",    "agent_update", "prompt_capabilities", "of_a_later_version"};
    size_t which = roll(world, sizeof(types) / sizeof(types[0]));
    if (which == 0) {
        end_block(world);
    }
    start(world, types[which]);
    buffer_format(&world->out, ",\"value\":{\"n\":%zu}", roll(world, 1000));
    finish(world);
}

static void step(struct world *world)
{
    if (!world->in_turn && (world->strict || roll(world, 3) > 0)) {
        size_t what = roll(world, 3);
        if (what == 0) {
            start_turn(world);
        } else if (what == 1) {
            something(world);
        } else {
            queue(world);
        }
        return;
    }
    size_t what = roll(world, 40);
    if (what < 16) {
        say(world);
    } else if (what < 33) {
        work_tool(world);
    } else if (what < 35) {
        ask(world);
    } else if (what < 38) {
        something(world);
    } else if (what == 38) {
        queue(world);
    } else if (world->in_turn) {
        end_turn(world);
    }
}

void fold_log_make(struct fold_log *log, uint64_t seed, size_t length, bool strict)
{
    struct world world = {.log = log, .random = seed, .strict = strict};
    simple(&world, "session_created", ",\"agent\":\"a\",\"workspace\":\"w\"");
    while (log->count < length) {
        step(&world);
    }
    buffer_free(&world.text);
    buffer_free(&world.out);
}

void fold_log_make_of(struct fold_log *log, const uint8_t *bytes, size_t count)
{
    struct world world = {.log = log, .bytes = bytes, .bytes_left = count};
    simple(&world, "session_created", ",\"agent\":\"a\",\"workspace\":\"w\"");
    while (world.bytes_left > 0) {
        step(&world);
    }
    buffer_free(&world.text);
    buffer_free(&world.out);
}

/* ---- Folding it ---- */

static size_t first_row(const struct fold_log *log, uint64_t seq)
{
    size_t index = 0;
    while (index < log->count && log->rows[index].seq < seq) {
        index++;
    }
    return index;
}

uint64_t fold_log_replay(const struct fold_log *log, uint64_t begin, uint64_t after, uint64_t head,
                         struct fold_log *out)
{
    struct fold *fold = NULL;
    must(fold_new(&fold, after) == ERR_OK, "fold_new");
    size_t first = first_row(log, begin);
    size_t end = first;
    while (end < log->count && log->rows[end].from <= head) {
        struct fold_row row;
        must(fold_read(log->rows[end].json, log->rows[end].length, &row) == ERR_OK, "fold_read");
        must(row.seq == log->rows[end].seq && row.from == log->rows[end].from, "a row's range");
        must(fold_note(fold, &row) == ERR_OK, "fold_note");
        end++;
    }
    must(fold_decide(fold) == ERR_OK, "fold_decide");
    uint64_t unsafe = fold_unsafe(fold);
    uint64_t wanted = fold_wants(fold);
    for (size_t index = first_row(log, wanted); wanted > 0; index = first_row(log, wanted)) {
        struct fold_event event;
        const struct fold_log_row *row = &log->rows[index];
        must(fold_apply(fold, row->seq, row->json, row->length, &event) == ERR_OK, "fold_apply");
        if (event.json) {
            must(event.changed || event.json == row->json, "an unchanged row is not copied");
            fold_log_add(out, event.from, event.seq, event.json, event.length);
        }
        wanted = fold_wants(fold);
    }
    if (end > first && log->rows[end - 1].seq > after) {
        must(fold_position(fold) == log->rows[end - 1].seq, "the head came out");
    }
    fold_free(fold);
    return unsafe;
}

void fold_log_compact(struct fold_log *log, uint64_t first, uint64_t last)
{
    size_t index = first_row(log, first);
    struct fold_log folded = {0};
    uint64_t after = index < log->count ? log->rows[index].from - 1 : 0;
    fold_log_replay(log, first, after, last, &folded);
    struct fold_log made = {0};
    for (size_t at = 0; at < log->count; at++) {
        const struct fold_log_row *row = &log->rows[at];
        if (at == index) {
            for (size_t put = 0; put < folded.count; put++) {
                const struct fold_log_row *new = &folded.rows[put];
                fold_log_add(&made, new->from, new->seq, new->json, new->length);
            }
        }
        if (at < index || row->from > last) {
            fold_log_add(&made, row->from, row->seq, row->json, row->length);
        }
    }
    fold_log_free(&folded);
    fold_log_free(log);
    *log = made;
}

uint64_t fold_log_turn(const struct fold_log *log, uint64_t seq)
{
    uint64_t found = 1;
    for (size_t index = 0; index < log->count && log->rows[index].seq <= seq; index++) {
        if (strstr(log->rows[index].json, "\"type\":\"turn_started\"")) {
            found = log->rows[index].seq;
        }
    }
    return found;
}
