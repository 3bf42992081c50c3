// What a crowd saw, beside what a fresh client is sent, what REST pages say, and what stands in the
// store's file, read without the server.
#define _GNU_SOURCE
#include "crowd.h"

#include "http.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALM_US = 1000000,    // so long nothing may happen before all is said to be at rest
    HELP_US = 300000,     // how often what hinders is helped
    FRESH_SECONDS = 120,
    REST_SECONDS = 10,
    LINE = 200,
    FRESH = 1000000, // where the fresh clients' ids begin
};

// ---- Rest ----

static struct client *first_live(struct crowd *crowd, const struct place *place)
{
    for (size_t i = place->index; i < crowd->client_count; i += crowd->place_count) {
        if (crowd->clients[i].state == CLIENT_LIVE) {
            return &crowd->clients[i];
        }
    }
    return NULL;
}

static bool is_open_turn(const struct model *m)
{
    return m->turns != NULL && m->turns->stop[0] == '\0';
}

// Answers what waits for a person, and goes on with a queue that a restart has paused.
static void help(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->place_count; i++) {
        struct client *c = first_live(crowd, &crowd->places[i]);
        if (c == NULL || c->commands != NULL) {
            continue;
        }
        json_object *o = json_object_new_object();
        if (c->model.open != NULL) {
            json_object_object_add(o, "requestId", json_object_new_string(c->model.open->id));
            json_object_object_add(o, "allowed", json_object_new_boolean(true));
            client_command(c, COMMAND_ANSWER, c->place, o);
        } else if (c->model.queued > 0 && !c->model.busy && !is_open_turn(&c->model)) {
            json_object_object_add(o, "sessionId", json_object_new_string(c->place->id));
            client_command(c, COMMAND_RESUME, c->place, o);
        } else {
            json_object_put(o);
        }
    }
}

static bool at_rest(const struct client *c)
{
    const struct model *m = &c->model;
    return c->state == CLIENT_LIVE && c->commands == NULL && m->next == c->place->head + 1 &&
           m->open == NULL && m->queued == 0 && !m->busy && !is_open_turn(m);
}

bool crowd_rests(void *context)
{
    static int64_t since;
    static int64_t helped;
    static uint64_t events;
    struct crowd *crowd = context;
    int64_t now = clock_us();
    if (now > helped + HELP_US) {
        helped = now;
        help(crowd);
    }
    bool rest = events == crowd->events;
    for (size_t i = 0; rest && i < crowd->client_count; i++) {
        rest = at_rest(&crowd->clients[i]);
    }
    if (!rest) {
        events = crowd->events;
        since = now;
    }
    return now > since + CALM_US;
}

// ---- Comparing ----

// The first line in which two texts differ.
static void differ(struct crowd *crowd, const struct place *place, const char *who,
                   const char *theirs, const char *what, const char *ours)
{
    while (*theirs != '\0' && *ours != '\0') {
        size_t left = strcspn(theirs, "\n");
        size_t right = strcspn(ours, "\n");
        if (left != right || memcmp(theirs, ours, left) != 0) {
            break;
        }
        theirs += left + (theirs[left] == '\n');
        ours += right + (ours[right] == '\n');
    }
    world_problem(&crowd->world, "session %s: %s has \"%.*s\", %s has \"%.*s\"", place->id, who,
                  (int)strcspn(theirs, "\n") < LINE / 3 ? (int)strcspn(theirs, "\n") : LINE / 3,
                  theirs, what,
                  (int)strcspn(ours, "\n") < LINE / 3 ? (int)strcspn(ours, "\n") : LINE / 3, ours);
}

static void compare(struct crowd *crowd, const struct place *place, const struct model *m,
                    const char *who, const char *right)
{
    char *text = model_text(m);
    if (strcmp(text, right) != 0) {
        differ(crowd, place, who, text, "the store's file", right);
    }
    free(text);
}

static void apply(struct crowd *crowd, const struct place *place, struct model *m,
                  json_object *event, const char *where)
{
    const char *why = event != NULL ? model_take(m, event, true) : "no JSON";
    if (why != NULL) {
        world_problem(&crowd->world, "session %s at %llu of %s: %s", place->id,
                      (unsigned long long)m->next, where, why);
    }
}

// ---- The REST pages ----

static void read_pages(struct crowd *crowd, const struct place *place, struct model *m)
{
    char after[160] = "";
    for (bool more = true; more && crowd->world.errors < PROBLEMS;) {
        char path[320];
        json_object *events = NULL;
        json_object *next = NULL;
        snprintf(path, sizeof path, "/v1/sessions/%s/events?limit=200%s%s", place->id,
                 *after != '\0' ? "&after=" : "", after);
        char *text = http_get(&crowd->world.target, path, REST_SECONDS);
        json_object *page = text != NULL ? json_tokener_parse(text) : NULL;
        free(text);
        if (page == NULL || !json_object_object_get_ex(page, "events", &events)) {
            world_problem(&crowd->world, "no page of events: %s", path);
            json_object_put(page);
            return;
        }
        for (size_t i = 0; i < json_object_array_length(events); i++) {
            apply(crowd, place, m, json_object_array_get_idx(events, i), "the REST pages");
        }
        more = json_object_object_get_ex(page, "next", &next) && next != NULL;
        snprintf(after, sizeof after, "%s", more ? json_object_get_string(next) : "");
        json_object_put(page);
    }
}

// ---- The store's file ----

// What was seen of a number, beside what the file has there; rows come in order.
static void check_seen(struct crowd *crowd, const struct place *place, uint64_t from, uint64_t seq,
                       json_object *event)
{
    uint64_t sum = 0;
    for (uint64_t i = from; i < seq && i < place->room; i++) {
        if (place->sums[i] & MODEL_STAYS) {
            world_problem(&crowd->world, "session %s: event %llu was seen, and is not in the file",
                          place->id, (unsigned long long)i);
        }
    }
    if (seq < place->room && place->sums[seq] != 0 && model_is_fixed(event, &sum) &&
        sum != place->sums[seq]) {
        world_problem(&crowd->world, "session %s: event %llu in the file is not what was seen",
                      place->id, (unsigned long long)seq);
    }
}

static void read_rows(struct crowd *crowd, sqlite3 *db, const struct place *place, struct model *m)
{
    sqlite3_stmt *rows = NULL;
    uint64_t seen = 1;
    if (sqlite3_prepare_v2(db,
                           "SELECT seq, body FROM events WHERE session = (SELECT key FROM sessions "
                           "WHERE id = ?1) ORDER BY seq",
                           -1, &rows, NULL) != SQLITE_OK ||
        sqlite3_bind_text(rows, 1, place->id, -1, SQLITE_STATIC) != SQLITE_OK) {
        die("the store's file: %s", sqlite3_errmsg(db));
    }
    while (sqlite3_step(rows) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(rows, 0);
        json_object *event = json_tokener_parse((const char *)sqlite3_column_text(rows, 1));
        apply(crowd, place, m, event, "the store's file");
        check_seen(crowd, place, seen, seq, event);
        seen = seq + 1;
        json_object_put(event);
    }
    sqlite3_finalize(rows);
    check_seen(crowd, place, seen, place->head + 1, NULL);
}

static sqlite3 *open_file(const struct crowd *crowd)
{
    char path[256];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/data/signalbox.db", crowd->world.server.folder);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        die("%s: %s", path, sqlite3_errmsg(db));
    }
    sqlite3_busy_timeout(db, 10000);
    return db;
}

static void count_sessions(struct crowd *crowd, sqlite3 *db)
{
    sqlite3_stmt *count = NULL;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM sessions", -1, &count, NULL) != SQLITE_OK ||
        sqlite3_step(count) != SQLITE_ROW) {
        die("the store's file: %s", sqlite3_errmsg(db));
    }
    if (sqlite3_column_int64(count, 0) != (int64_t)crowd->made) {
        world_problem(&crowd->world, "%lld sessions in the file, %zu were made",
                      (long long)sqlite3_column_int64(count, 0), crowd->made);
    }
    sqlite3_finalize(count);
}

// ---- Prompts and their turns ----

static const struct prompt *prompt_of(const struct place *place, uint32_t seed)
{
    for (size_t i = 0; i < place->prompt_count; i++) {
        if (place->prompts[i].seed == seed) {
            return &place->prompts[i];
        }
    }
    return NULL;
}

static void check_prompts(struct crowd *crowd, const struct place *place, const struct model *m)
{
    for (size_t i = 0; i < place->prompt_count; i++) {
        const struct prompt *prompt = &place->prompts[i];
        size_t done = 0;
        for (const struct user_message *u = m->users; u != NULL; u = u->before) {
            done += u->seed == prompt->seed && strcmp(u->id, prompt->message) == 0;
        }
        if (done != 1) {
            world_problem(&crowd->world, "session %s: prompt %u was acknowledged as %s, and is there %zu times",
                          place->id, prompt->seed, prompt->message, done);
        }
    }
    if (m->user_count != place->prompt_count) {
        world_problem(&crowd->world, "session %s: %zu prompts were sent, %zu are there", place->id,
                      place->prompt_count, m->user_count);
    }
    if (m->turn_count != m->user_count) {
        world_problem(&crowd->world, "session %s: %zu prompts, and %zu turns", place->id,
                      m->user_count, m->turn_count);
    }
}

// The number after the last one of `0 1 2 ... `, which go on from `from`; -1 for other text. The agent
// says the answers to its requests between them.
static long count_on(const char *text, long from)
{
    while (*text != '\0') {
        if (strncmp(text, "answer:", 7) == 0) {
            text += strspn(text, "abcdefghijklmnopqrstuvwxyz:_");
            continue;
        }
        char wanted[24];
        int length = snprintf(wanted, sizeof wanted, "%ld ", from);
        if (strncmp(text, wanted, (size_t)length) != 0) {
            return -1;
        }
        text += length;
        from++;
    }
    return from;
}

// Blocks are newest first.
static void check_blocks(const struct block *b, const char *turn, const struct prompt *prompt,
                         long counts[2], int *tools, const char **problem)
{
    if (b == NULL) {
        return;
    }
    check_blocks(b->before, turn, prompt, counts, tools, problem);
    if (strcmp(b->turn, turn) != 0) {
        return;
    }
    if (b->kind == BLOCK_TOOL) {
        char wanted[64];
        crowd_tool_output(prompt->seed, (*tools)++, wanted, sizeof wanted);
        if (!b->failed && strcmp(b->text != NULL ? b->text : "", wanted) != 0) {
            *problem = "a tool's result that is not the agent's";
        }
        return;
    }
    long *count = &counts[b->kind == BLOCK_THOUGHT];
    *count = *count < 0 ? -1 : count_on(b->text != NULL ? b->text : "", *count);
    if (!b->done) {
        *problem = "a message that is still open";
    }
}

static void check_turns(struct crowd *crowd, const struct place *place, const struct model *m)
{
    for (const struct turn_seen *t = m->turns; t != NULL; t = t->before) {
        const struct user_message *u = m->users;
        while (u != NULL && strcmp(u->id, t->message) != 0) {
            u = u->before;
        }
        const struct prompt *prompt = u != NULL ? prompt_of(place, u->seed) : NULL;
        const char *problem = prompt == NULL ? "a turn without a prompt" : NULL;
        long counts[2] = {0, 0};
        int tools = 0;
        if (prompt != NULL) {
            check_blocks(m->blocks, t->id, prompt, counts, &tools, &problem);
        }
        bool whole = strcmp(t->stop, "end_turn") == 0;
        if (prompt != NULL && (counts[0] < 0 || counts[1] < 0)) {
            problem = "text that is not the agent's";
        } else if (prompt != NULL && whole &&
                   (counts[0] != prompt->texts || counts[1] != prompt->thoughts ||
                    tools != prompt->tools)) {
            problem = "a turn that is not whole";
        } else if (!whole && strcmp(t->stop, "server_restarted") != 0 &&
                   !(crowd->stopped && strcmp(t->stop, "cancelled") == 0)) {
            problem = "a turn that ended neither by itself nor by a restart";
        }
        if (problem != NULL) {
            world_problem(&crowd->world, "session %s, turn %s (%s): %s: %ld numbers, %ld thoughts, %d tools",
                          place->id, t->id, t->stop, problem, counts[0], counts[1], tools);
        }
        crowd->turns++;
        crowd->whole_turns += whole;
    }
}

// ---- All of it ----

static void audit_place(struct crowd *crowd, const struct place *place, sqlite3 *db,
                        const struct client *fresh)
{
    struct model rows;
    struct model pages;
    model_open(&rows);
    model_open(&pages);
    read_rows(crowd, db, place, &rows);
    read_pages(crowd, place, &pages);
    char *right = model_text(&rows);
    compare(crowd, place, &pages, "REST", right);
    compare(crowd, place, &fresh->model, "a fresh client", right);
    for (size_t i = place->index; i < crowd->client_count; i += crowd->place_count) {
        char who[32];
        snprintf(who, sizeof who, "client %zu", i);
        compare(crowd, place, &crowd->clients[i].model, who, right);
    }
    check_prompts(crowd, place, &rows);
    check_turns(crowd, place, &rows);
    free(right);
    model_clear(&rows);
    model_clear(&pages);
}

struct fresh {
    struct crowd *crowd;
    struct client *clients;
};

static bool are_fresh(void *context)
{
    const struct fresh *fresh = context;
    for (size_t i = 0; i < fresh->crowd->place_count; i++) {
        const struct client *c = &fresh->clients[i];
        if (c->state != CLIENT_LIVE || c->model.next != c->place->head + 1) {
            return false;
        }
    }
    return true;
}

void crowd_audit(struct crowd *crowd)
{
    static const struct crowd_hooks none;
    struct fresh fresh = {.crowd = crowd,
                          .clients = take(NULL, crowd->place_count * sizeof *fresh.clients)};
    const struct crowd_hooks *hooks = crowd->hooks;
    crowd->hooks = &none;
    for (size_t i = 0; i < crowd->place_count; i++) {
        client_init(&fresh.clients[i], crowd, FRESH + crowd->fills * crowd->place_count + i,
                    &crowd->places[i]);
        client_connect(&fresh.clients[i]);
    }
    int64_t until = clock_us() + FRESH_SECONDS * 1000000LL;
    if (!loop_run(&crowd->world.loop, are_fresh, &fresh, until)) {
        world_problem(&crowd->world, "waited in vain for the fresh clients of the audit");
    }
    sqlite3 *db = open_file(crowd);
    count_sessions(crowd, db);
    for (size_t i = 0; i < crowd->place_count; i++) {
        audit_place(crowd, &crowd->places[i], db, &fresh.clients[i]);
    }
    sqlite3_close(db);
    for (size_t i = 0; i < crowd->place_count; i++) {
        client_free(&fresh.clients[i]);
    }
    free(fresh.clients);
    crowd->hooks = hooks;
}
