#define _GNU_SOURCE
#include "turn.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum progress text(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)now;
    if (!json_object_is_type(value, json_type_string)) {
        return turn_bad(t, "text: a text");
    }
    json_object *id;
    const char *kind = rpc_text(step, "kind", NULL);
    turn_text(t,
              kind != NULL && strcmp(kind, "thought") == 0 ? "agent_thought_chunk"
                                                           : "agent_message_chunk",
              json_object_object_get_ex(step, "messageId", &id) ? id : t->message_id,
              json_object_get_string(value), (size_t)json_object_get_string_len(value));
    return TURN_NEXT;
}

// The prompt's blocks that are no text, as the agent got them.
static enum progress blocks(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    static const char prefix[] = "blocks:";
    (void)value;
    (void)step;
    (void)now;
    json_object *others = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(t->blocks); i++) {
        json_object *block = json_object_array_get_idx(t->blocks, i);
        if (strcmp(rpc_text(block, "type", NULL), "text") != 0) {
            json_object_array_add(others, json_object_get(block));
        }
    }
    size_t length;
    const char *json = json_object_to_json_string_length(
        others, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    char *said = malloc(sizeof prefix + length);
    if (said != NULL) {
        memcpy(said, prefix, sizeof prefix - 1);
        memcpy(said + sizeof prefix - 1, json, length);
        turn_text(t, "agent_message_chunk", t->message_id, said, sizeof prefix - 1 + length);
        free(said);
    }
    json_object_put(others);
    return TURN_NEXT;
}

// An update with one member, whose name is not that of the step.
static enum progress simple(struct turn *t, const char *kind, const char *name, json_object *value)
{
    json_object *update = agent_new_update(kind);
    json_object_object_add(update, name, json_object_get(value));
    agent_update(t->session, update);
    return TURN_NEXT;
}

static enum progress mode(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return simple(t, "current_mode_update", "currentModeId", value);
}

static enum progress title(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return simple(t, "session_info_update", "title", value);
}

static enum progress config_options(struct turn *t, json_object *value, json_object *step,
                                    int64_t now)
{
    (void)step;
    (void)now;
    return simple(t, "config_option_update", "configOptions", value);
}

// A list whose entries are objects, or texts that become objects with defaults around them.
static enum progress list(struct turn *t, json_object *value, const char *kind, const char *name,
                          const char *key, const char *defaults)
{
    if (!json_object_is_type(value, json_type_array)) {
        return turn_bad(t, "plan and commands: an array");
    }
    json_object *entries = json_object_new_array();
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count; i++) {
        json_object *entry = json_object_array_get_idx(value, i);
        if (json_object_is_type(entry, json_type_object)) {
            json_object_array_add(entries, json_object_get(entry));
            continue;
        }
        json_object *made = json_tokener_parse(defaults);
        json_object_object_add(made, key, json_object_get(entry));
        json_object_array_add(entries, made);
    }
    enum progress progress = simple(t, kind, name, entries);
    json_object_put(entries);
    return progress;
}

static enum progress plan(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return list(t, value, "plan", "entries", "content",
                "{\"priority\":\"medium\",\"status\":\"pending\"}");
}

static enum progress commands(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return list(t, value, "available_commands_update", "availableCommands", "name",
                "{\"description\":\"A command\"}");
}

static enum progress usage(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    if (!json_object_is_type(value, json_type_object)) {
        return turn_bad(t, "usage: an object");
    }
    json_object *update = agent_new_update("usage_update");
    json_object_object_foreach(value, name, member)
    {
        json_object_object_add(update, name, json_object_get(member));
    }
    agent_update(t->session, update);
    return TURN_NEXT;
}

static enum progress raw_update(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)now;
    const char *session = rpc_text(step, "sessionId", NULL);
    json_object *params = json_object_new_object();
    json_object_object_add(params, "sessionId",
                           json_object_new_string(session != NULL ? session : t->session->id));
    json_object_object_add(params, "update", json_object_get(value));
    rpc_notify(t->session->agent->rpc, "session/update", params);
    return TURN_NEXT;
}

static enum progress raw(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)now;
    static const char place[] = "${sessionId}";
    struct wire *w = t->session->agent->wire;
    const char *rest = json_object_get_string(value);
    size_t left = (size_t)json_object_get_string_len(value);
    if (!json_object_is_type(value, json_type_string)) {
        return turn_bad(t, "raw: a text");
    }
    char *found;
    while ((found = memmem(rest, left, place, sizeof place - 1)) != NULL) {
        wire_put(w, rest, (size_t)(found - rest));
        wire_put(w, t->session->id, strlen(t->session->id));
        left -= (size_t)(found - rest) + sizeof place - 1;
        rest = found + sizeof place - 1;
    }
    wire_put(w, rest, left);
    if (!json_object_get_boolean(rpc_member(step, "noNewline", json_type_boolean))) {
        wire_put(w, "\n", 1);
    }
    return TURN_NEXT;
}

static enum progress raw_hex(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    const char *hex = json_object_get_string(value);
    while (hex != NULL && *hex != '\0') {
        unsigned byte;
        int used = 0;
        if (sscanf(hex, " %2x%n", &byte, &used) != 1) {
            return turn_bad(t, "rawHex: pairs of hexadecimal digits");
        }
        char c = (char)byte;
        wire_put(t->session->agent->wire, &c, 1);
        hex += used;
    }
    return TURN_NEXT;
}

static enum progress standard_error(struct turn *t, json_object *value, json_object *step,
                                    int64_t now)
{
    (void)t;
    (void)step;
    (void)now;
    if (json_object_is_type(value, json_type_int)) {
        static const char line[] =
            "signalbox-scripted-agent: a line of noise for the log ........\n";
        for (int64_t left = json_object_get_int64(value); left > 0;
             left -= (int64_t)sizeof line - 1) {
            fputs(line, stderr);
        }
    } else {
        fprintf(stderr, "%s\n", json_object_get_string(value));
    }
    fflush(stderr);
    return TURN_NEXT;
}

static enum progress sleeping(struct turn *t, int64_t now)
{
    t->wake = t->until;
    return now >= t->until ? TURN_NEXT : TURN_WAITS;
}

static enum progress sleep_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    t->until = now + (int64_t)(json_object_get_double(value) * 1e6);
    t->activity = sleeping;
    return TURN_NEXT;
}

static enum progress until_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    t->until = 1000 * json_object_get_int64(value);
    t->activity = sleeping;
    return TURN_NEXT;
}

static enum progress work_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    json_object *rate = NULL;
    json_object *seconds = NULL;
    struct work w = {
        .seed = (uint32_t)json_object_get_int64(rpc_member(value, "seed", json_type_int)),
        .at = json_object_get_int64(rpc_member(value, "at", json_type_int)),
        .size = (long)json_object_get_int64(rpc_member(value, "size", json_type_int)),
        .permissions = json_object_get_boolean(rpc_member(value, "permissions", json_type_boolean)),
        .rate = 150,
    };
    if (json_object_object_get_ex(value, "rate", &rate)) {
        w.rate = json_object_get_double(rate);
    }
    json_object_object_get_ex(value, "seconds", &seconds);
    w.seconds = json_object_get_double(seconds);
    w.at = w.at != 0 ? w.at : now / 1000;
    if (w.size < 1 || w.size > 1024 || !(w.rate > 0) || !(w.seconds >= 0) || w.seconds > 86400) {
        return turn_bad(t, "work: a bad size, rate or time");
    }
    json_object_put(t->work); // one of before, which is done
    t->work = work_steps(&w);
    if (t->work == NULL || !turn_push(t, t->work, 1)) {
        return turn_bad(t, "work: out of memory, or too deep");
    }
    return TURN_NEXT;
}

static enum progress waiting_cancel(struct turn *t, int64_t now)
{
    (void)now;
    return t->cancelled ? TURN_NEXT : TURN_WAITS;
}

static enum progress wait_cancel(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)value;
    (void)step;
    (void)now;
    t->activity = waiting_cancel;
    return TURN_NEXT;
}

static enum progress request(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)now;
    const char *method = rpc_text(value, "method", NULL);
    if (method == NULL) {
        return turn_bad(t, "request: an object with a method");
    }
    json_object *params = NULL;
    json_object *given = rpc_member(value, "params", json_type_object);
    if (given == NULL || json_object_deep_copy(given, &params, NULL) != 0) {
        params = json_object_new_object();
    }
    if (!json_object_object_get_ex(params, "sessionId", NULL) &&
        !json_object_get_boolean(rpc_member(value, "bare", json_type_boolean))) {
        json_object_object_add(params, "sessionId", json_object_new_string(t->session->id));
    }
    if (!json_object_get_boolean(rpc_member(step, "noWait", json_type_boolean))) {
        t->rejected = false;
        t->end_on_reject = false;
        t->activity = turn_wait_answers;
    }
    return turn_ask(t, method, params, NULL, 0);
}

static enum progress exit_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    wire_flush_all(t->session->agent->wire);
    _exit(json_object_get_int(value));
}

static enum progress kill_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    int number = json_object_get_int(value);
    if (json_object_is_type(value, json_type_string)) {
        const char *name = json_object_get_string(value);
        name += strncmp(name, "SIG", 3) == 0 ? 3 : 0;
        for (number = NSIG - 1; number > 0; number--) {
            const char *known = sigabbrev_np(number);
            if (known != NULL && strcmp(known, name) == 0) {
                break;
            }
        }
    }
    if (number <= 0 || number >= NSIG) {
        return turn_bad(t, "kill: a signal");
    }
    wire_flush_all(t->session->agent->wire);
    signal(number, SIG_DFL);
    raise(number);
    return TURN_NEXT;
}

static enum progress spawn(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)now;
    bool hold = json_object_get_boolean(rpc_member(step, "holdStdout", json_type_boolean));
    const char *command = json_object_get_string(value);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        signal(SIGCHLD, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(null, 2);
        if (!hold) {
            dup2(null, 1);
        }
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    if (pid < 0) {
        return turn_bad(t, strerror(errno));
    }
    char said[32];
    snprintf(said, sizeof said, "pid:%d", (int)pid);
    turn_say(t, said);
    return TURN_NEXT;
}

static enum progress error_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return turn_fail(t, json_object_get(value));
}

static enum progress stop(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return turn_stop(t, json_object_get_string(value));
}

static enum progress result(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    return turn_result(t, json_object_get(value));
}

static enum progress ignore_cancel(struct turn *t, json_object *value, json_object *step,
                                   int64_t now)
{
    (void)step;
    (void)now;
    t->ignore_cancel = json_object_get_boolean(value);
    return TURN_NEXT;
}

static enum progress string_ids(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    t->string_ids = json_object_get_boolean(value);
    return TURN_NEXT;
}

static enum progress split_writes(struct turn *t, json_object *value, json_object *step,
                                  int64_t now)
{
    (void)step;
    (void)now;
    json_object *bytes = rpc_member(value, "bytes", json_type_int);
    json_object *delay = rpc_member(value, "delayUs", json_type_int);
    int64_t size = json_object_get_int64(bytes != NULL ? bytes : value);
    if (size < 0) {
        return turn_bad(t, "splitWrites: a number of bytes");
    }
    wire_flush_all(t->session->agent->wire); // what was said before goes out whole
    wire_split(t->session->agent->wire, (size_t)size, (unsigned)json_object_get_int(delay));
    return TURN_NEXT;
}

static enum progress repeat(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    json_object *steps = rpc_member(value, "steps", json_type_array);
    json_object *times = rpc_member(value, "times", json_type_int);
    if (steps == NULL || times == NULL) {
        return turn_bad(t, "repeat: times and steps");
    }
    return turn_push(t, steps, json_object_get_int64(times)) ? TURN_NEXT
                                                             : turn_bad(t, "repeat: too deep");
}

// What a process that plays many agents must not do for one of them.
static bool is_of_process(const char *name)
{
    static const char *const steps[] = {"exit", "kill", "spawn", "strain", "splitWrites"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(steps[i], name) == 0) {
            return true;
        }
    }
    return false;
}

enum progress steps_play(struct turn *t, json_object *step, int64_t now)
{
    static const struct {
        const char *name;
        enum progress (*play)(struct turn *, json_object *, json_object *, int64_t);
    } kinds[] = {
        {"text", text},
        {"chunks", stream_step},
        {"tool", tool_step},
        {"permission", permission_step},
        {"plan", plan},
        {"usage", usage},
        {"commands", commands},
        {"mode", mode},
        {"title", title},
        {"blocks", blocks},
        {"configOptions", config_options},
        {"update", raw_update},
        {"raw", raw},
        {"rawHex", raw_hex},
        {"stderr", standard_error},
        {"sleep", sleep_step},
        {"until", until_step},
        {"work", work_step},
        {"waitCancel", wait_cancel},
        {"request", request},
        {"exit", exit_step},
        {"kill", kill_step},
        {"spawn", spawn},
        {"strain", strain_step},
        {"error", error_step},
        {"stop", stop},
        {"result", result},
        {"ignoreCancel", ignore_cancel},
        {"bigLine", stream_big_line},
        {"splitWrites", split_writes},
        {"stringIds", string_ids},
        {"repeat", repeat},
    };
    if (!json_object_is_type(step, json_type_object)) {
        return turn_bad(t, "a step must be an object");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        json_object *value;
        if (json_object_object_get_ex(step, kinds[i].name, &value)) {
            if (t->session->agent->options->host != NULL && is_of_process(kinds[i].name)) {
                return turn_bad(t, "a step for an agent with a process of its own");
            }
            return kinds[i].play(t, value, step, now);
        }
    }
    return turn_bad(t, "an unknown step");
}
