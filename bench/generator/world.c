#define _GNU_SOURCE
#include "world.h"

#include "http.h"
#include "plain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_SECONDS = 60,
    AUDIT_SESSIONS = 64,
    SLICE_US = 500000,
    PATIENCE_US = 3000000,
    LEAD_US = 500000,
    LEAD_SESSION_US = 2000,
    WORK_SEED = 1000000, // what is chosen is not what the text comes from
};

void world_problem(struct world *w, const char *format, ...)
{
    va_list arguments;
    if (w->errors < PROBLEMS) {
        va_start(arguments, format);
        vsnprintf(w->problems[w->errors], PROBLEM_BYTES, format, arguments);
        va_end(arguments);
        fprintf(stderr, "WRONG: %s\n", w->problems[w->errors]);
    }
    w->errors++;
}

uint64_t world_random(struct world *w)
{
    w->random += 0x9e3779b97f4a7c15;
    uint64_t value = w->random;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

bool world_wait(struct world *w, bool (*done)(void *world), double seconds, const char *what)
{
    int64_t until = clock_us() + (int64_t)(seconds * 1e6);
    while (!loop_run(&w->loop, done, w,
                     until < clock_us() + SLICE_US ? until : clock_us() + SLICE_US)) {
        int64_t now = clock_us();
        if (done != NULL && w->errors > 0 && until > now + PATIENCE_US) {
            until = now + PATIENCE_US; // with what is wrong it may never come
        }
        if (now >= until) {
            if (done != NULL) {
                world_problem(w, "waited in vain for %s", what);
            }
            return false;
        }
    }
    return true;
}

bool world_server_ended(void *context)
{
    struct world *w = context;
    bool good = true;
    bool ended = server_ended(&w->server, &good);
    if (ended && !good) {
        world_problem(w, "the server did not end in order");
    }
    return ended;
}

bool world_server_is_up(void *context)
{
    return server_is_ready(&((struct world *)context)->server);
}

// ---- The control connection: commands ----

// Its id is the letter and a number that no other command of this connection has.
static json_object *command(struct world *w, const char *type, char letter)
{
    char id[32];
    json_object *o = json_object_new_object();
    snprintf(id, sizeof id, "%c%zu", letter, w->commands++);
    json_object_object_add(o, "type", json_object_new_string(type));
    json_object_object_add(o, "id", json_object_new_string(id));
    return o;
}

static void send_command(struct world *w, json_object *o)
{
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    w->answers++;
    connection_send(&w->control, text, strlen(text));
    json_object_put(o);
}

size_t world_other(struct world *w, const char *type, json_object *o)
{
    char id[32];
    size_t number = w->commands++;
    snprintf(id, sizeof id, "o%zu", number);
    json_object_object_add(o, "type", json_object_new_string(type));
    json_object_object_add(o, "id", json_object_new_string(id));
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    connection_send(&w->control, text, strlen(text));
    json_object_put(o);
    return number;
}

static bool other_answer(struct world *w, const struct scan *s, bool done)
{
    const struct value *id = &s->fields[SCAN_ID];
    if (id->at == NULL || id->length < 2 || id->at[0] != 'o') {
        return false;
    }
    struct value number = {.at = id->at + 1, .length = id->length - 1};
    if (w->answered != NULL) {
        w->answered(w, (size_t)value_number(&number, UINT64_MAX), done, s);
    }
    return true;
}

static struct world *world_of(struct connection *c)
{
    return (struct world *)((char *)c - offsetof(struct world, control));
}

static void control_text(struct connection *c, const char *text, size_t length, int64_t now)
{
    struct world *w = world_of(c);
    struct scan s;
    (void)now;
    if (!scan_object(&s, text, length)) {
        world_problem(w, "the control connection got what is no object");
        return;
    }
    const struct value *type = &s.fields[SCAN_TYPE];
    if (value_is(type, "connected")) {
        w->control_open = true;
    } else if ((value_is(type, "ack") || value_is(type, "nack")) &&
               other_answer(w, &s, value_is(type, "ack"))) {
        return;
    } else if (value_is(type, "nack")) {
        w->answers--;
        world_problem(w, "a command was refused: %.*s", (int)(length < 160 ? length : 160), text);
    } else if (value_is(type, "ack")) {
        const struct value *id = &s.fields[SCAN_ID];
        w->answers--;
        if (id->at != NULL && id->length > 1 && id->at[0] == 'n') {
            struct value number = {.at = id->at + 1, .length = id->length - 1};
            uint64_t index = value_number(&number, UINT64_MAX);
            if (index < w->session_count) {
                value_copy(&s.fields[SCAN_SESSION], w->sessions[index].id,
                           sizeof w->sessions[index].id);
            }
        }
    }
}

static void control_open(struct connection *c)
{
    (void)c; // `connected` says it
}

static void control_closed(struct connection *c, int code, const char *why)
{
    (void)c;
    die("the control connection was closed: %d %s", code, why);
}

static const struct connection_events control_events = {
    .open = control_open, .text = control_text, .closed = control_closed};

static bool is_open(void *world)
{
    return ((struct world *)world)->control_open;
}

static bool is_answered(void *world)
{
    return ((struct world *)world)->answers == 0;
}

// ---- Opening ----

static void set_target(struct world *w)
{
    struct target *t = &w->target;
    char host[64];
    snprintf(host, sizeof host, "%s", w->server.address);
    snprintf(t->host, sizeof t->host, "%s", w->server.address);
    char *colon = strrchr(host, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 80;
    if (colon != NULL) {
        *colon = '\0';
    }
    const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    t->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port > 65535 || inet_pton(AF_INET, number, &t->address.sin_addr) != 1) {
        die("--url: http://ADDRESS:PORT with an IPv4 address and without TLS, not %s",
            w->options->url != NULL ? w->options->url : w->server.address);
    }
    t->token = w->options->token != NULL ? strdup(w->options->token) : NULL;
}

static void open_server(struct world *w, const char *const *settings)
{
    const struct options *o = w->options;
    if (o->url == NULL) {
        const struct server_options start = {.program = o->server,
                                             .peer = o->peer,
                                             .settings = settings,
                                             .more = o->settings,
                                             .keep = o->keep};
        server_start(&w->server, &start);
        return;
    }
    char address[64];
    const char *begin = strncmp(o->url, "http://", 7) == 0 ? o->url + 7 : o->url;
    snprintf(address, sizeof address, "%.*s", (int)strcspn(begin, "/"), begin);
    server_find(&w->server, address);
}

static void create_sessions(struct world *w)
{
    const struct options *o = w->options;
    char workspace[256];
    snprintf(workspace, sizeof workspace, "%s/workspace", w->server.folder);
    for (size_t i = 0; i < w->session_count; i++) {
        struct session *s = &w->sessions[i];
        *s = (struct session){.world = w, .seed = o->seed + (uint32_t)i};
        record_open(&s->record);
        json_object *create = command(w, "create_session", 'n'); // n0 is the first session's
        json_object_object_add(create, "agent", json_object_new_string(o->agent));
        json_object_object_add(create, "workspace",
                               json_object_new_string(w->server.ours ? workspace : o->workspace));
        send_command(w, create);
    }
    if (!world_wait(w, is_answered, START_SECONDS, "the sessions") || w->errors > 0) {
        die("the sessions cannot be made");
    }
}

// A running server that cannot be measured is told of now, by the reason, and not by what fails first.
static void check_running(const struct world *w)
{
    char *body;
    int status = http_ask(&w->target, "/v1/agents", 10, &body);
    free(body);
    if (status < 0) {
        die("%s: %s", w->options->url, strerror(-status));
    }
    if (status == 401 || status == 403) {
        die("%s %s", w->options->url,
            w->target.token != NULL ? "does not know this token" : "wants a token: --token TOKEN");
    }
    if (status != 200) {
        die("%s does not answer as Signalbox does (GET /v1/agents: status %d)", w->options->url,
            status);
    }
}

void world_begin(struct world *w, const struct options *o, const char *const *settings)
{
    *w = (struct world){.options = o, .measure_to = INT64_MAX, .random = o->seed};
    w->queue_last = &w->queue;
    open_server(w, settings);
    set_target(w);
    if (o->url != NULL && o->peer == NULL && !o->plain) {
        check_running(w);
    }
    loop_open(&w->loop);
}

void world_open(struct world *w, const struct options *o, const char *const *settings)
{
    world_begin(w, o, settings);
    connection_init(&w->control, &w->loop, &control_events);
    w->session_count = (size_t)o->sessions;
    w->sessions = take(NULL, w->session_count * sizeof *w->sessions);
    if (o->plain) {
        plain_open(w);
        return;
    }
    struct connect_options plain = {0};
    if (!connection_connect(&w->control, &w->target, &plain)) {
        die("%s: %s", w->server.address, strerror(errno));
    }
    if (!world_wait(w, is_open, START_SECONDS, "the control connection")) {
        die("%s does not answer", w->server.address);
    }
    create_sessions(w);
}

void world_close(struct world *w)
{
    for (size_t i = 0; i < w->watcher_count; i++) {
        connection_drop(&w->watchers[i].connection, false);
    }
    connection_drop(&w->control, false);
    if (w->options->plain) {
        plain_close(w);
    }
    loop_close(&w->loop);
    if (!server_stop(&w->server)) {
        world_problem(w, "the server did not end in order");
    }
    for (size_t i = 0; i < w->session_count; i++) {
        record_free(&w->sessions[i].record);
    }
    free(w->sessions);
    free(w->watchers);
    free(w->target.token);
}

void world_add_watchers(struct world *w, size_t count, size_t extra,
                        const struct watcher_hooks *hooks)
{
    w->hooks = hooks;
    w->watcher_count = count + extra;
    w->watchers = take(NULL, w->watcher_count * sizeof *w->watchers);
    for (size_t i = 0; i < w->watcher_count; i++) {
        watcher_init(&w->watchers[i], &w->sessions[i % w->session_count], i);
    }
}

void world_prompt(struct world *w, struct session *s, const char *steps, bool tools)
{
    char *script = NULL;
    if (asprintf(&script, "{\"seed\":%u,\"steps\":%s}", s->seed, steps) < 0) {
        die("out of memory");
    }
    record_expect(&s->record, s->seed, (size_t)w->options->size, tools);
    s->prompted++;
    s->record.idle = false;
    json_object *prompt = command(w, "prompt", 'p');
    json_object_object_add(prompt, "sessionId", json_object_new_string(s->id));
    json_object_object_add(prompt, "text", json_object_new_string(script));
    send_command(w, prompt);
    free(script);
}

int64_t world_lead(const struct world *w)
{
    return clock_us() + LEAD_US + LEAD_SESSION_US * (int64_t)w->session_count;
}

int64_t world_work(struct world *w, double seconds, bool permissions)
{
    const struct options *o = w->options;
    int64_t begin = world_lead(w);
    for (size_t i = 0; i < w->session_count; i++) {
        char steps[256];
        snprintf(steps, sizeof steps,
                 "[{\"work\":{\"seconds\":%g,\"at\":%lld,\"size\":%ld,\"rate\":%ld,\"seed\":%u,"
                 "\"permissions\":%s}}]",
                 seconds, (long long)begin, o->size, o->rate, w->sessions[i].seed + WORK_SEED,
                 permissions ? "true" : "false");
        world_prompt(w, &w->sessions[i], steps, true);
    }
    return begin;
}

int64_t world_offer(struct world *w, double seconds)
{
    const struct options *o = w->options;
    int64_t begin = world_lead(w);
    long long chunks = (long long)(seconds * (double)o->rate);
    if (o->plain) {
        plain_offer(w, begin, seconds);
        return begin;
    }
    for (size_t i = 0; i < w->session_count; i++) {
        char steps[192];
        double offset = 1e6 * (double)i / (double)w->session_count / (double)o->rate;
        snprintf(steps, sizeof steps,
                 "[{\"chunks\":%lld,\"size\":%ld,\"rate\":%ld,\"at\":%lld,\"stamp\":\"due\"}]",
                 chunks > 0 ? chunks : 1, o->size, o->rate, (long long)(begin + (int64_t)offset));
        world_prompt(w, &w->sessions[i], steps, false);
    }
    return begin;
}

void world_answer(struct world *w, struct session *s)
{
    json_object *answer = command(w, "permission_response", 'a');
    json_object_object_add(answer, "requestId", json_object_new_string(s->record.asked));
    json_object_object_add(answer, "allowed", json_object_new_boolean(true));
    s->record.asked[0] = '\0';
    send_command(w, answer);
}

// ---- What is waited for ----

bool world_idle(void *world)
{
    const struct world *w = world;
    for (size_t i = 0; i < w->session_count; i++) {
        const struct record *r = &w->sessions[i].record;
        if (!r->idle || r->completes < (uint64_t)w->sessions[i].prompted) {
            return false;
        }
    }
    return true;
}

bool world_live(void *world)
{
    const struct world *w = world;
    for (size_t i = 0; i < w->watcher_count; i++) {
        const struct watcher *watcher = &w->watchers[i];
        if (watcher->state != WATCHER_LIVE &&
            (watcher->state != WATCHER_OFF || watcher->timer.place != 0)) {
            return false;
        }
    }
    return w->errors > 0 || world_idle(world);
}

bool world_level(void *world)
{
    const struct world *w = world;
    for (size_t i = 0; i < w->watcher_count; i++) {
        const struct watcher *watcher = &w->watchers[i];
        if (watcher->state == WATCHER_OFF ? watcher->timer.place != 0
                                          : watcher->state != WATCHER_LIVE ||
                                                watcher->next != watcher->session->record.next) {
            return false;
        }
    }
    return true;
}

bool world_finished(void *world)
{
    return world_level(world) && world_idle(world);
}

// ---- The end ----

static void audit_one(struct world *w, const struct watcher *watcher, const char *who)
{
    const struct record *r = &watcher->session->record;
    if (watcher->next != r->next || watcher->text != r->length || watcher->sum != r->sum) {
        world_problem(w,
                      "%s %zu ends at %llu with %llu bytes of text, not at %llu with %llu, or saw "
                      "other events",
                      who, (size_t)(watcher - w->watchers), (unsigned long long)watcher->next - 1,
                      (unsigned long long)watcher->text, (unsigned long long)r->next - 1,
                      (unsigned long long)r->length);
    }
}

void world_audit(struct world *w)
{
    static const struct watcher_hooks none;
    size_t fresh = w->session_count < AUDIT_SESSIONS ? w->session_count : AUDIT_SESSIONS;
    fresh = fresh < w->watcher_count ? fresh : w->watcher_count;
    for (size_t i = 0; i < w->watcher_count; i++) {
        if (w->watchers[i].state != WATCHER_OFF) {
            audit_one(w, &w->watchers[i], "watcher");
        }
    }
    w->hooks = &none;
    fresh = w->options->peer != NULL ? 0 : fresh; // a peer keeps no history
    for (size_t i = 0; i < fresh; i++) {           // the first ones are of different sessions
        struct watcher *watcher = &w->watchers[i];
        watcher_drop(watcher, false);
        watcher_forget(watcher);
        watcher->silent = true;
        watcher->small = false;
        watcher_connect(watcher);
    }
    world_wait(w, world_level, START_SECONDS, "the fresh watchers of the audit");
    for (size_t i = 0; i < fresh; i++) {
        audit_one(w, &w->watchers[i], "fresh watcher");
    }
    for (size_t i = 0; i < w->session_count; i++) {
        const struct record *r = &w->sessions[i].record;
        if (r->permissions != r->permissions_ended) {
            world_problem(w, "session %s has open permission requests", w->sessions[i].id);
        }
        if (r->chunk > 0 && r->checked < r->length && r->text[r->checked] == '@') {
            world_problem(w, "the text of session %s ends in the middle of a chunk",
                          w->sessions[i].id);
        }
    }
}
