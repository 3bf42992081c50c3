#define _GNU_SOURCE
#include "agent.h"
#include "settings.h"
#include "state.h"
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int64_t agent_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

json_object *agent_new_update(const char *kind)
{
    json_object *update = json_object_new_object();
    json_object_object_add(update, "sessionUpdate", json_object_new_string(kind));
    return update;
}

json_object *agent_text_block(const char *text, size_t length)
{
    json_object *block = json_object_new_object();
    json_object_object_add(block, "type", json_object_new_string("text"));
    json_object_object_add(block, "text", json_object_new_string_len(text, (int)length));
    return block;
}

static void send_update(struct session *s, json_object *update)
{
    json_object *params = json_object_new_object();
    json_object_object_add(params, "sessionId", json_object_new_string(s->id));
    json_object_object_add(params, "update", update);
    rpc_notify(s->agent->rpc, "session/update", params);
}

void agent_update(struct session *s, json_object *update)
{
    state_update(s, update);
    send_update(s, update);
}

static struct session *find_session(struct agent *a, const char *id)
{
    struct session *s = a->sessions;
    while (s != NULL && (id == NULL || strcmp(s->id, id) != 0)) {
        s = s->next;
    }
    return s;
}

static struct session *add_session(struct agent *a, const char *id)
{
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    if (id != NULL) {
        snprintf(s->id, sizeof s->id, "%s", id);
    } else {
        unsigned char name[8] = {0};
        ssize_t ignored = getrandom(name, sizeof name, 0);
        (void)ignored;
        size_t at = (size_t)snprintf(s->id, sizeof s->id, "scripted-");
        for (size_t i = 0; i < sizeof name; i++) {
            at += (size_t)snprintf(s->id + at, sizeof s->id - at, "%02x", name[i]);
        }
    }
    s->agent = a;
    s->choice[1] = 1;
    s->choice[2] = 1;
    s->next = a->sessions;
    a->sessions = s;
    return s;
}

static void free_session(struct session *s)
{
    turn_free(s->turn);
    free(s->record);
    free(s);
}

static void initialize(struct agent *a, json_object *id, json_object *params)
{
    const struct options *o = a->options;
    if (o->hang_initialize) {
        json_object_put(id);
        return;
    }
    json_object *client = rpc_member(params, "clientCapabilities", json_type_object);
    json_object *session = rpc_member(client, "session", json_type_object);
    json_object *config = rpc_member(session, "configOptions", json_type_object);
    a->boolean_options = rpc_member(config, "boolean", json_type_object) != NULL;
    json_object *result = json_tokener_parse(
        "{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":false,"
        "\"promptCapabilities\":{\"image\":true,\"audio\":false,\"embeddedContext\":true},"
        "\"sessionCapabilities\":{\"close\":{}}},\"authMethods\":[],"
        "\"agentInfo\":{\"name\":\"signalbox-scripted-agent\",\"title\":\"Scripted\","
        "\"version\":\"1.0.0\"}}");
    if (o->load) {
        json_object *capabilities = rpc_member(result, "agentCapabilities", json_type_object);
        json_object_object_add(capabilities, "loadSession", json_object_new_boolean(1));
        json_object *sessions = rpc_member(capabilities, "sessionCapabilities", json_type_object);
        json_object_object_add(sessions, "resume", json_object_new_object());
        json_object_object_add(sessions, "list", json_object_new_object());
    }
    if (o->auth_required) {
        json_object_object_add(result, "authMethods",
                               json_tokener_parse("[{\"id\":\"token\",\"name\":\"A token\"}]"));
    }
    rpc_result(a->rpc, id, result);
}

static void authenticate(struct agent *a, json_object *id, json_object *params)
{
    const char *method = rpc_text(params, "methodId", NULL);
    if (!a->options->auth_required || method == NULL || strcmp(method, "token") != 0) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, "No such method of authentication");
        return;
    }
    a->authenticated = true;
    rpc_result(a->rpc, id, json_object_new_object());
}

// Answers with an error and returns false where a session cannot be had.
static bool may_open(struct agent *a, json_object *id, json_object *params)
{
    const char *cwd = rpc_text(params, "cwd", NULL);
    if (a->options->auth_required && !a->authenticated) {
        rpc_error(a->rpc, id, RPC_AUTH_REQUIRED, "Authentication required");
    } else if (cwd == NULL || cwd[0] != '/') {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, "cwd must be an absolute path");
    } else {
        return true;
    }
    return false;
}

static void send_commands(struct session *s)
{
    json_object *update = agent_new_update("available_commands_update");
    json_object_object_add(
        update, "availableCommands",
        json_tokener_parse("[{\"name\":\"play\",\"description\":\"Play a script\","
                           "\"input\":{\"hint\":\"JSON\"}}]"));
    agent_update(s, update);
}

static void new_session(struct agent *a, json_object *id, json_object *params)
{
    if (a->options->new_fails) {
        rpc_error(a->rpc, id, a->options->new_fails_code, "The session could not be made");
        return;
    }
    if (!may_open(a, id, params)) {
        return;
    }
    struct session *s = add_session(a, NULL);
    if (s == NULL) {
        rpc_error(a->rpc, id, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    state_new_session(s, rpc_text(params, "cwd", NULL));
    if (a->options->update_before_response) {
        send_commands(s);
    }
    json_object *result = json_object_new_object();
    json_object_object_add(result, "sessionId", json_object_new_string(s->id));
    settings_describe(s, result);
    rpc_result(a->rpc, id, result);
}

static void replay_update(void *owner, json_object *update)
{
    send_update(owner, json_object_get(update));
}

static void open_again(struct agent *a, json_object *id, json_object *params, bool replay)
{
    const char *session = rpc_text(params, "sessionId", NULL);
    if (!a->options->load) {
        rpc_error(a->rpc, id, RPC_METHOD_NOT_FOUND, "Method not found");
        return;
    }
    if (!may_open(a, id, params)) {
        return;
    }
    struct session *s = NULL;
    if (session != NULL && state_replay(a->options, session, NULL, NULL)) {
        s = find_session(a, session);
        s = s != NULL ? s : add_session(a, session);
    }
    if (s == NULL) {
        rpc_error(a->rpc, id, RPC_NOT_FOUND, "No such session");
        return;
    }
    json_object *result = json_object_new_object();
    settings_describe(s, result);
    if (replay && a->options->load_response_first) {
        rpc_result(a->rpc, id, result);
        state_replay(a->options, session, replay_update, s);
        return;
    }
    if (replay) {
        state_replay(a->options, session, replay_update, s);
    }
    rpc_result(a->rpc, id, result);
}

static void load_session(struct agent *a, json_object *id, json_object *params)
{
    open_again(a, id, params, true);
}

static void resume_session(struct agent *a, json_object *id, json_object *params)
{
    open_again(a, id, params, false);
}

static void list_sessions(struct agent *a, json_object *id, json_object *params)
{
    (void)params;
    if (!a->options->load) {
        rpc_error(a->rpc, id, RPC_METHOD_NOT_FOUND, "Method not found");
        return;
    }
    json_object *result = json_object_new_object();
    json_object_object_add(result, "sessions", state_list(a->options));
    rpc_result(a->rpc, id, result);
}

// The text of a prompt's text blocks, one after the other; the caller's.
static char *prompt_text(json_object *blocks, size_t *length)
{
    size_t total = 0;
    size_t count = json_object_array_length(blocks);
    char *text = NULL;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = 0;
            const char *part = rpc_text(json_object_array_get_idx(blocks, i), "text", &size);
            if (part != NULL && text != NULL) {
                memcpy(text + at, part, size);
            }
            at += size;
        }
        total = at;
        if (text == NULL && (text = malloc(total + 1)) == NULL) {
            return NULL;
        }
    }
    text[total] = '\0';
    *length = total;
    return text;
}

static void prompt(struct session *s, json_object *id, json_object *params)
{
    struct rpc *rpc = s->agent->rpc;
    json_object *blocks = rpc_member(params, "prompt", json_type_array);
    if (blocks == NULL || s->turn != NULL) {
        rpc_error(rpc, id, blocks == NULL ? RPC_INVALID_PARAMS : RPC_INVALID_REQUEST,
                  blocks == NULL ? "prompt must be an array" : "A turn is running");
        return;
    }
    size_t length;
    char *text = prompt_text(blocks, &length);
    if (text == NULL) {
        rpc_error(rpc, id, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    turn_begin(s, id, blocks, text, length);
    free(text);
}

static void close_session(struct session *s, json_object *id, json_object *params)
{
    (void)params;
    struct agent *a = s->agent;
    if (s->turn != NULL) {
        turn_stop(s->turn, "cancelled");
    }
    struct session **at = &a->sessions;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    free_session(s);
    rpc_result(a->rpc, id, json_object_new_object());
}

static void on_request(void *owner, const char *method, json_object *id, json_object *params)
{
    static const struct {
        const char *name;
        void (*handle)(struct agent *, json_object *, json_object *);
    } methods[] = {
        {"initialize", initialize},         {"authenticate", authenticate},
        {"session/new", new_session},       {"session/load", load_session},
        {"session/resume", resume_session}, {"session/list", list_sessions},
    };
    static const struct {
        const char *name;
        void (*handle)(struct session *, json_object *, json_object *);
    } session_methods[] = {
        {"session/prompt", prompt},
        {"session/close", close_session},
        {"session/set_mode", settings_set_mode},
        {"session/set_model", settings_set_model},
        {"session/set_config_option", settings_set_option},
    };
    struct agent *a = owner;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(method, methods[i].name) == 0) {
            methods[i].handle(a, json_object_get(id), params);
            return;
        }
    }
    for (size_t i = 0; i < sizeof session_methods / sizeof session_methods[0]; i++) {
        if (strcmp(method, session_methods[i].name) != 0) {
            continue;
        }
        struct session *s = find_session(a, rpc_text(params, "sessionId", NULL));
        if (s == NULL) {
            rpc_error(a->rpc, json_object_get(id), RPC_INVALID_PARAMS, "No such session");
        } else {
            session_methods[i].handle(s, json_object_get(id), params);
        }
        return;
    }
    rpc_error(a->rpc, json_object_get(id), RPC_METHOD_NOT_FOUND, "Method not found");
}

static void on_notification(void *owner, const char *method, json_object *params)
{
    struct session *s = find_session(owner, rpc_text(params, "sessionId", NULL));
    if (s != NULL && strcmp(method, "session/cancel") == 0) {
        turn_cancel(s);
        return;
    }
    json_object *id;
    if (strcmp(method, "$/cancel_request") != 0 || !json_object_is_type(params, json_type_object) ||
        !json_object_object_get_ex(params, "requestId", &id)) {
        return;
    }
    for (s = ((struct agent *)owner)->sessions; s != NULL; s = s->next) {
        if (s->turn != NULL && rpc_same_id(s->turn->prompt, id)) {
            turn_cancel(s);
        }
    }
}

static void on_response(void *owner, json_object *id, json_object *result, json_object *error)
{
    for (struct session *s = ((struct agent *)owner)->sessions; s != NULL; s = s->next) {
        if (turn_answer(s, rpc_number(id), result, error)) {
            return;
        }
    }
}

const struct rpc_handler agent_handler = {
    .request = on_request, .notification = on_notification, .response = on_response};

int64_t agent_run(struct agent *a, int64_t now)
{
    int64_t wake = INT64_MAX;
    for (struct session *s = a->sessions; s != NULL; s = s->next) {
        int64_t next = turn_run(s, now);
        wake = next < wake ? next : wake;
    }
    return wake;
}

void agent_release(struct agent *a)
{
    while (a->sessions != NULL) {
        struct session *s = a->sessions;
        a->sessions = s->next;
        free_session(s);
    }
}
