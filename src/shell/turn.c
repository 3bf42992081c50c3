#define _GNU_SOURCE
#include "turn.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    UPDATE_MS = 50,           // at most 20 updates a second ...
    UPDATE_BYTES_A_MS = 4096, // ... and fewer when each is long, since each carries all so far
    TITLE_CHARACTERS = 60,
    QUOTE_CHARACTERS = 80,
};

enum phase { PHASE_ASKING, PHASE_RUNNING };

struct turn {
    enum phase phase;
    json_object *prompt; // id of the prompt request
    char *command;
    char tool[32];
    int64_t question; // number of the permission request
    struct run run;
    int64_t next_update;
};

static json_object *string(const char *text)
{
    return json_object_new_string(text);
}

static void add(json_object *object, const char *name, json_object *value)
{
    json_object_object_add(object, name, value);
}

static json_object *text_block(json_object *text)
{
    json_object *block = json_object_new_object();
    add(block, "type", string("text"));
    add(block, "text", text);
    return block;
}

static void send_update(struct session *s, json_object *update)
{
    json_object *params = json_object_new_object();
    add(params, "sessionId", string(s->id));
    add(params, "update", update);
    rpc_notify(s->agent->rpc, "session/update", params);
}

static json_object *new_update(const char *kind)
{
    json_object *update = json_object_new_object();
    add(update, "sessionUpdate", string(kind));
    return update;
}

static void say(struct session *s, unsigned message, const char *text)
{
    char id[32];
    snprintf(id, sizeof id, "turn-%u-%u", s->turns, message);
    json_object *update = new_update("agent_message_chunk");
    add(update, "messageId", string(id));
    add(update, "content", text_block(string(text)));
    send_update(s, update);
}

static void stop(struct session *s, json_object *prompt, const char *reason)
{
    json_object *result = json_object_new_object();
    add(result, "stopReason", string(reason));
    rpc_result(s->agent->rpc, prompt, result);
}

void turn_say_only(struct session *s, json_object *id, const char *text)
{
    s->turns++;
    say(s, 1, text);
    stop(s, id, "end_turn");
}

// The fields that describe the tool call, shared by its announcement and the permission request.
static void describe(const struct session *s, json_object *call)
{
    const struct turn *t = s->turn;
    add(call, "toolCallId", string(t->tool));
    add(call, "title", string(t->command));
    add(call, "name", string("shell"));
    add(call, "kind", string("execute"));
    add(call, "status", string("pending"));
    json_object *input = json_object_new_object();
    add(input, "command", string(t->command));
    add(input, "cwd", string(s->cwd));
    add(call, "rawInput", input);
    json_object *location = json_object_new_object();
    add(location, "path", string(s->cwd));
    json_object *locations = json_object_new_array();
    json_object_array_add(locations, location);
    add(call, "locations", locations);
}

static json_object *tool_update(const struct session *s, const char *status)
{
    json_object *update = new_update("tool_call_update");
    add(update, "toolCallId", string(s->turn->tool));
    add(update, "status", string(status));
    return update;
}

// `text` in Markdown's code quotes; the caller's.
static char *quoted(const char *text)
{
    json_object *shortened = text_shortened(text, QUOTE_CHARACTERS);
    const char *fence = strchr(text, '`') == NULL ? "`" : "`` ";
    const char *closing = *text != '\0' && fence[1] != '\0' ? " ``" : "`";
    char *result = NULL;
    if (asprintf(&result, "%s%s%s", fence, json_object_get_string(shortened), closing) < 0) {
        result = NULL;
    }
    json_object_put(shortened);
    return result;
}

static json_object *option(const char *id, const char *name)
{
    json_object *o = json_object_new_object();
    add(o, "optionId", string(id));
    add(o, "name", string(name));
    add(o, "kind", string(id));
    return o;
}

static void ask(struct session *s)
{
    struct turn *t = s->turn;
    char *command = quoted(t->command);
    char *always = NULL;
    if (command == NULL || asprintf(&always, "Always allow %s", command) < 0) {
        always = NULL;
    }
    json_object *options = json_object_new_array();
    json_object_array_add(options, option("allow_once", "Allow once"));
    json_object_array_add(options,
                          option("allow_always", always != NULL ? always : "Always allow"));
    json_object_array_add(options, option("reject_once", "Reject"));
    free(command);
    free(always);

    json_object *call = json_object_new_object();
    describe(s, call);
    json_object *params = json_object_new_object();
    add(params, "sessionId", string(s->id));
    add(params, "toolCall", call);
    add(params, "options", options);
    t->question = rpc_request(s->agent->rpc, "session/request_permission", params, false);
    t->phase = PHASE_ASKING;
}

static void end(struct session *s, const char *reason)
{
    struct turn *t = s->turn;
    stop(s, t->prompt, reason);
    t->prompt = NULL;
    turn_drop(s);
}

static json_object *output_content(const struct run *r, bool more)
{
    // The first block is the standard output and nothing else, also when it is empty: a reader
    // tells the two streams apart by their place.
    json_object *content = json_object_new_array();
    for (int i = 0; i < 2; i++) {
        const struct text_capture *text = i == 0 ? &r->out_text : &r->err_text;
        if (i == 1 && text->head_length == 0) {
            break;
        }
        json_object *item = json_object_new_object();
        add(item, "type", string("content"));
        add(item, "content", text_block(text_json(text, more)));
        json_object_array_add(content, item);
    }
    return content;
}

static void start(struct session *s)
{
    struct turn *t = s->turn;
    send_update(s, tool_update(s, "in_progress"));
    int error = run_start(&t->run, t->command, s->cwd);
    if (error == 0) {
        t->phase = PHASE_RUNNING;
        return;
    }
    send_update(s, tool_update(s, "failed"));
    char *text = NULL;
    if (asprintf(&text, "The command could not be started in %s: %s.", s->cwd, strerror(error)) <
        0) {
        text = NULL;
    }
    say(s, 2, text != NULL ? text : "The command could not be started.");
    free(text);
    end(s, "end_turn");
}

void turn_begin(struct session *s, json_object *id, const char *command)
{
    struct turn *t = calloc(1, sizeof *t);
    char *copy = strdup(command);
    if (t == NULL || copy == NULL) {
        free(t);
        free(copy);
        rpc_error(s->agent->rpc, id, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    s->turn = t;
    s->turns++;
    t->prompt = id;
    t->command = copy;
    snprintf(t->tool, sizeof t->tool, "call-%u", s->turns);
    if (!s->titled) {
        s->titled = true;
        json_object *update = new_update("session_info_update");
        add(update, "title", text_shortened(command, TITLE_CHARACTERS));
        send_update(s, update);
    }
    bool allowed = agent_allows(s->agent, command);
    say(s, 1, allowed ? "I run this command, which you always allow:" : "I will run this command:");
    json_object *call = new_update("tool_call");
    describe(s, call);
    send_update(s, call);
    if (allowed) {
        start(s);
    } else {
        ask(s);
    }
}

static void not_run(struct session *s, const char *reason)
{
    send_update(s, tool_update(s, "failed"));
    say(s, 2, "Not run.");
    end(s, reason);
}

bool turn_answer(struct session *s, int64_t number, json_object *result)
{
    struct turn *t = s->turn;
    if (t == NULL || t->phase != PHASE_ASKING || t->question != number) {
        return false;
    }
    json_object *outcome = rpc_member(result, "outcome", json_type_object);
    const char *kind = rpc_text(outcome, "outcome", NULL);
    const char *chosen = rpc_text(outcome, "optionId", NULL);
    if (kind == NULL || strcmp(kind, "selected") != 0 || chosen == NULL) {
        chosen = "";
    }
    if (strcmp(chosen, "allow_always") == 0) {
        agent_allow(s->agent, t->command);
        start(s);
    } else if (strcmp(chosen, "allow_once") == 0) {
        start(s);
    } else {
        not_run(s, "end_turn");
    }
    return true;
}

void turn_cancel(struct session *s, bool void_question)
{
    struct turn *t = s->turn;
    if (t == NULL) {
        return;
    }
    if (t->phase == PHASE_RUNNING) {
        run_cancel(&t->run, run_now());
        return;
    }
    if (void_question) {
        json_object *params = json_object_new_object();
        add(params, "requestId", json_object_new_int64(t->question));
        rpc_notify(s->agent->rpc, "$/cancel_request", params);
    }
    not_run(s, "cancelled");
}

bool turn_is_for(const struct session *s, json_object *id)
{
    return s->turn != NULL && rpc_same_id(s->turn->prompt, id);
}

nfds_t turn_poll(const struct session *s, struct pollfd *fds)
{
    return s->turn != NULL && s->turn->phase == PHASE_RUNNING ? run_poll(&s->turn->run, fds) : 0;
}

static void report(struct session *s, int status, int64_t now)
{
    struct turn *t = s->turn;
    struct run *r = &t->run;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !r->cancelled;
    json_object *update = tool_update(s, good ? "completed" : "failed");
    json_object *content = output_content(r, false);
    json_object *raw = json_object_new_object();
    char ending[64];
    if (WIFEXITED(status)) {
        add(raw, "exitCode", json_object_new_int(WEXITSTATUS(status)));
        snprintf(ending, sizeof ending, "ended with exit status %d", WEXITSTATUS(status));
    } else {
        const char *name = sigabbrev_np(WTERMSIG(status));
        char signal[16];
        snprintf(signal, sizeof signal, "SIG%s", name != NULL ? name : "");
        add(raw, "signal", string(signal));
        snprintf(ending, sizeof ending, "was ended by signal %d (%s)", WTERMSIG(status), signal);
    }
    add(raw, "stdout", text_json(&r->out_text, false));
    add(raw, "stderr", text_json(&r->err_text, false));
    add(raw, "truncated",
        json_object_new_boolean(text_cut(&r->out_text) + text_cut(&r->err_text) > 0));
    add(raw, "durationMs", json_object_new_int64(now - r->started_at));
    add(update, "content", content);
    add(update, "rawOutput", raw);
    send_update(s, update);

    char *command = quoted(t->command);
    char *text = NULL;
    if (command != NULL && asprintf(&text, "%s %s%s.", command, ending,
                                    r->cancelled ? " after it was cancelled" : "") >= 0) {
        say(s, 2, text);
        free(text);
    }
    free(command);
    end(s, r->cancelled ? "cancelled" : "end_turn");
}

static size_t kept(const struct text_capture *c)
{
    return c->head_length + c->tail_length - text_cut(c);
}

int64_t turn_step(struct session *s, bool read, int64_t now)
{
    struct turn *t = s->turn;
    if (t == NULL || t->phase != PHASE_RUNNING) {
        return INT64_MAX;
    }
    struct run *r = &t->run;
    if (read) {
        run_read(r);
    }
    if (run_step(r, now)) {
        report(s, run_finish(r), now);
        return INT64_MAX;
    }
    int64_t deadline = run_deadline(r);
    if (r->changed && read) {
        if (now >= t->next_update) {
            json_object *update = tool_update(s, "in_progress");
            add(update, "content", output_content(r, true));
            send_update(s, update);
            r->changed = false;
            size_t size = kept(&r->out_text) + kept(&r->err_text);
            t->next_update = now + UPDATE_MS + (int64_t)(size / UPDATE_BYTES_A_MS);
        } else if (t->next_update < deadline) {
            deadline = t->next_update;
        }
    }
    return deadline;
}

void turn_drop(struct session *s)
{
    struct turn *t = s->turn;
    if (t == NULL) {
        return;
    }
    run_release(&t->run);
    json_object_put(t->prompt);
    free(t->command);
    free(t);
    s->turn = NULL;
}
