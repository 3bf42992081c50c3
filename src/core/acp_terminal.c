#define _GNU_SOURCE
#include "core/acp_terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_path.h"
#include "core/acp_permission.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "signalbox/base/json.h"

static void terminal_free(struct acp_terminal *terminal)
{
    json_object_put(terminal->request);
    for (size_t i = 0; i < terminal->waiter_count; i++) {
        json_object_put(terminal->waiters[i]);
    }
    delta_text_free(&terminal->output);
    free(terminal);
}

void acp_terminals_free(struct acp_terminals *terminals)
{
    while (terminals->list != NULL) {
        struct acp_terminal *terminal = terminals->list;
        terminals->list = terminal->next;
        terminal_free(terminal);
    }
    terminals->count = 0;
}

static void forget(struct acp_peer *peer, struct acp_terminal *terminal)
{
    struct acp_terminal **link = &peer->terminals.list;
    while (*link != terminal) {
        link = &(*link)->next;
    }
    *link = terminal->next;
    peer->terminals.count--;
    terminal_free(terminal);
}

static struct acp_terminal *by_number(struct acp_peer *peer, uint64_t number)
{
    struct acp_terminal *terminal = peer->terminals.list;
    while (terminal != NULL && terminal->number != number) {
        terminal = terminal->next;
    }
    return terminal;
}

static struct acp_terminal *by_id(struct acp_peer *peer, const char *id)
{
    struct acp_terminal *terminal = peer->terminals.list;
    while (terminal != NULL && (terminal->starting || strcmp(terminal->id, id) != 0)) {
        terminal = terminal->next;
    }
    return terminal;
}

/* The terminal that a request is about; NULL after it was refused. */
static struct acp_terminal *find(struct acp_peer *peer, struct json_object *id,
                                 struct json_object *params)
{
    const char *name = json_get_string(params, "terminalId");
    struct acp_terminal *terminal = NULL;
    if (!acp_rpc_our_session(peer, params)) {
        acp_rpc_error(peer, id, RPC_INVALID_PARAMS, "Invalid params: unknown session", NULL);
    } else if (name == NULL) {
        acp_rpc_error(peer, id, RPC_INVALID_PARAMS, "Invalid params: no terminalId", NULL);
    } else {
        terminal = by_id(peer, name);
        if (terminal == NULL) {
            acp_rpc_error(peer, id, RPC_NOT_FOUND, "There is no such terminal (any more)", NULL);
        }
    }
    return terminal;
}

/* ---- terminal/create ---- */

/* What is made of the params: borrowed texts but for the environment's. */
struct words {
    const char **arguments;
    size_t argument_count;
    char **environment;
    char *folder;
};

static void words_free(struct words *words)
{
    for (size_t i = 0; words->environment != NULL && words->environment[i] != NULL; i++) {
        free(words->environment[i]);
    }
    free(words->environment);
    free(words->arguments);
    free(words->folder);
}

/* A text that can be passed to a program: without NULs. */
static const char *word(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string)) {
        return NULL;
    }
    const char *text = json_object_get_string(value);
    return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static size_t count_of(struct json_object *list)
{
    return list != NULL ? json_object_array_length(list) : 0;
}

static bool is_list(struct json_object *list)
{
    return list == NULL || (json_object_is_type(list, json_type_array) &&
                            json_object_array_length(list) <= ACP_TERMINAL_WORDS_MAX);
}

/* Agents that were made for hosts with a shell give a whole command line and no arguments. */
static bool is_command_line(const char *command)
{
    return strpbrk(command, " \t\n;|&<>()$`\"'*?~") != NULL;
}

static const char *take_arguments(struct acp_peer *peer, struct json_object *params,
                                  struct words *words)
{
    struct json_object *list = json_get(params, "args");
    const char *command = word(json_get(params, "command"));
    if (command == NULL || *command == '\0') {
        return "Invalid params: no command";
    }
    if (!is_list(list)) {
        return "Invalid params: args is no list, or too long";
    }
    words->arguments = calloc(count_of(list) + 4, sizeof *words->arguments);
    if (words->arguments == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    if (count_of(list) == 0 && is_command_line(command)) {
        words->arguments[words->argument_count++] = "/bin/sh";
        words->arguments[words->argument_count++] = "-c";
    }
    words->arguments[words->argument_count++] = command;
    for (size_t i = 0; i < count_of(list); i++) {
        const char *argument = word(json_object_array_get_idx(list, i));
        if (argument == NULL) {
            return "Invalid params: an argument is no text, or has a NUL";
        }
        words->arguments[words->argument_count++] = argument;
    }
    return NULL;
}

static const char *take_environment(struct acp_peer *peer, struct json_object *params,
                                    struct words *words)
{
    struct json_object *list = json_get(params, "env");
    if (!is_list(list)) {
        return "Invalid params: env is no list, or too long";
    }
    words->environment = calloc(count_of(list) + 1, sizeof *words->environment);
    if (words->environment == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    for (size_t i = 0; i < count_of(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        const char *name = word(json_get(entry, "name"));
        const char *value = word(json_get(entry, "value"));
        if (name == NULL || value == NULL || *name == '\0' || strchr(name, '=') != NULL) {
            return "Invalid params: env has an entry that is no name and value";
        }
        struct buffer text = {0};
        buffer_text(&text, name);
        buffer_byte(&text, '=');
        buffer_text(&text, value);
        words->environment[i] = buffer_take(&text);
        if (words->environment[i] == NULL) {
            peer->error = ERR_NOMEM;
            return NULL;
        }
    }
    return NULL;
}

static const char *take_folder(struct acp_peer *peer, struct json_object *params,
                               struct words *words)
{
    const char *wrong = NULL;
    if (json_get(params, "cwd") != NULL) {
        words->folder = acp_path_take(peer, params, "cwd", &wrong);
    } else {
        words->folder = strdup(".");
        if (words->folder == NULL) {
            peer->error = ERR_NOMEM;
        }
    }
    return wrong;
}

static const char *take_limit(struct json_object *params, size_t *limit)
{
    int64_t wanted = ACP_TERMINAL_OUTPUT_MAX;
    if (json_get(params, "outputByteLimit") != NULL &&
        (!json_get_i64(params, "outputByteLimit", &wanted) || wanted < 0)) {
        return "Invalid params: outputByteLimit is no whole number from 0 on";
    }
    *limit = wanted < ACP_TERMINAL_OUTPUT_MAX ? (size_t)wanted : (size_t)ACP_TERMINAL_OUTPUT_MAX;
    return NULL;
}

static struct acp_terminal *add(struct acp_peer *peer, struct json_object *id, size_t limit)
{
    struct acp_terminal *terminal = calloc(1, sizeof *terminal);
    if (terminal == NULL) {
        peer->error = ERR_NOMEM;
        return NULL;
    }
    terminal->number = ++peer->terminals.last_number;
    /* The run is in it, so that an agent that comes back does not mean one of an earlier life. */
    snprintf(terminal->id, sizeof terminal->id, "term-%" PRIu64 "-%" PRIu64, peer->run,
             terminal->number);
    terminal->starting = true;
    terminal->request = json_object_get(id);
    terminal->limit = limit;
    terminal->next = peer->terminals.list;
    peer->terminals.list = terminal;
    peer->terminals.count++;
    return terminal;
}

static void start(struct acp_peer *peer, struct json_object *id, const struct words *words,
                  size_t limit)
{
    struct acp_terminal *terminal = add(peer, id, limit);
    if (terminal == NULL) {
        return;
    }
    const struct terminal_command command = {
        .arguments = words->arguments,
        .argument_count = words->argument_count,
        .environment = (const char *const *)words->environment,
        .folder = words->folder,
    };
    char why[TERMINAL_WHY_SIZE] = "";
    enum err err = peer->sink.terminal_start(peer->sink.context, terminal->number, &command, why);
    if (err == ERR_OK) {
        return;
    }
    forget(peer, terminal);
    acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, why[0] != '\0' ? why : err_text(err), NULL);
}

static void refuse(struct acp_peer *peer, struct json_object *id, const struct words *words)
{
    buffer_reset(&peer->text);
    buffer_text(&peer->text, "to run");
    for (size_t i = 0; i < words->argument_count; i++) {
        buffer_byte(&peer->text, ' ');
        buffer_text(&peer->text, words->arguments[i]);
    }
    acp_service_refuse(peer, id, &peer->text);
}

void acp_terminal_create(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    struct words words = {0};
    size_t limit = 0;
    const char *wrong = NULL;
    if (!acp_rpc_our_session(peer, params)) {
        wrong = "Invalid params: unknown session";
    }
    wrong = wrong != NULL ? wrong : take_limit(params, &limit);
    wrong = wrong != NULL ? wrong : take_arguments(peer, params, &words);
    wrong = wrong != NULL ? wrong : take_environment(peer, params, &words);
    wrong = wrong != NULL ? wrong : take_folder(peer, params, &words);
    if (peer->error != ERR_OK) {
        /* nothing more goes out */
    } else if (wrong != NULL) {
        acp_rpc_error(peer, id, RPC_INVALID_PARAMS, wrong, NULL);
    } else if (peer->read_only) {
        refuse(peer, id, &words);
    } else if (peer->terminals.count == ACP_TERMINALS_MAX) {
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR,
                      "There are too many terminals: release some of them", NULL);
    } else {
        start(peer, id, &words, limit);
    }
    words_free(&words);
}

void acp_peer_terminal_started(struct acp_peer *peer, uint64_t number, const char *why)
{
    struct acp_terminal *terminal = by_number(peer, number);
    if (terminal == NULL || !terminal->starting || acp_peer_is_over(peer)) {
        return;
    }
    terminal->starting = false;
    if (why != NULL) {
        buffer_reset(&peer->text);
        buffer_format(&peer->text, "The command could not be started: %s", why);
        char *message = acp_take(peer, &peer->text, ACP_TEXT_MAX);
        if (message != NULL) {
            acp_rpc_error(peer, terminal->request, RPC_INTERNAL_ERROR, message, NULL);
        }
        free(message);
        forget(peer, terminal);
        return;
    }
    struct buffer *out = acp_rpc_answer(peer, terminal->request);
    json_field_string(out, "terminalId", terminal->id);
    acp_rpc_send(peer);
    json_object_put(terminal->request);
    terminal->request = NULL;
}

/* ---- Output ---- */

static bool shows(const struct acp_tool *tool, const struct acp_terminal *terminal)
{
    for (size_t i = 0; i < tool->terminal_count; i++) {
        if (tool->terminals[i] == terminal->number) {
            return true;
        }
    }
    return false;
}

/* The mended output from `begin` on goes to the tool calls that show it, and what is too old of it
 * is dropped. */
static void pass_on(struct acp_peer *peer, struct acp_terminal *terminal, size_t begin)
{
    struct delta_text *output = &terminal->output;
    if (!buffer_ok(&output->text)) {
        peer->error = ERR_NOMEM;
        return;
    }
    size_t length = output->text.length - begin;
    for (struct acp_tool *tool = peer->tools.open; length > 0 && tool != NULL; tool = tool->next) {
        if (shows(tool, terminal)) {
            acp_tool_add_output(peer, tool, output->text.data + begin, length);
        }
    }
    size_t keep = terminal->limit;
    keep = keep > ACP_TERMINAL_OUTPUT_MIN ? keep : (size_t)ACP_TERMINAL_OUTPUT_MIN;
    delta_text_mark_sent(output);
    /* Not at each piece, so that the bytes are not moved all the time. */
    if (output->text.length > 2 * keep) {
        terminal->dropped += delta_text_trim(output, keep);
    }
}

void acp_peer_terminal_output(struct acp_peer *peer, uint64_t number, const char *bytes,
                              size_t length)
{
    struct acp_terminal *terminal = by_number(peer, number);
    if (terminal == NULL || acp_peer_is_over(peer)) {
        return;
    }
    peer->line_at = peer->now;
    size_t begin = terminal->output.text.length;
    delta_text_add(&terminal->output, bytes, length, SIZE_MAX);
    pass_on(peer, terminal, begin);
    peer->line_at = (struct instant){0};
}

static void put_exit(struct buffer *out, const struct acp_terminal *terminal)
{
    if (terminal->code >= 0) {
        json_field_i64(out, "exitCode", terminal->code);
        json_field_raw(out, "signal", "null");
        return;
    }
    const char *name = sigabbrev_np(terminal->signal);
    char text[32];
    if (name != NULL) {
        snprintf(text, sizeof text, "SIG%s", name);
    } else {
        snprintf(text, sizeof text, "signal %d", terminal->signal);
    }
    json_field_raw(out, "exitCode", "null");
    json_field_string(out, "signal", text);
}

void acp_terminal_output(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    struct acp_terminal *terminal = find(peer, id, params);
    if (terminal == NULL) {
        return;
    }
    size_t length = terminal->output.text.length;
    const char *text = length > 0 ? terminal->output.text.data : "";
    size_t skip = length > terminal->limit ? length - terminal->limit : 0;
    while (skip > 0 && skip < length && ((unsigned char)text[skip] & 0xC0) == 0x80) {
        skip++; /* to the begin of the next character */
    }
    struct buffer *out = acp_rpc_answer(peer, id);
    json_field_text(out, "output", text + skip, length - skip);
    json_field_bool(out, "truncated", terminal->dropped > 0 || skip > 0);
    if (terminal->exited) {
        json_key(out, "exitStatus");
        buffer_byte(out, '{');
        put_exit(out, terminal);
        buffer_byte(out, '}');
    }
    acp_rpc_send(peer);
}

/* ---- The end ---- */

static void answer_wait(struct acp_peer *peer, struct json_object *id,
                        const struct acp_terminal *terminal)
{
    put_exit(acp_rpc_answer(peer, id), terminal);
    acp_rpc_send(peer);
}

static void note_exit(struct acp_tool *tool, const struct acp_terminal *terminal)
{
    tool->exited = true;
    tool->exit_failed = tool->exit_failed || terminal->code != 0;
}

void acp_peer_terminal_exited(struct acp_peer *peer, uint64_t number, int code, int signal)
{
    struct acp_terminal *terminal = by_number(peer, number);
    if (terminal == NULL || terminal->exited || acp_peer_is_over(peer)) {
        return;
    }
    size_t begin = terminal->output.text.length;
    delta_text_end(&terminal->output);
    pass_on(peer, terminal, begin);
    terminal->exited = true;
    terminal->code = code;
    terminal->signal = signal;
    for (struct acp_tool *tool = peer->tools.open; tool != NULL; tool = tool->next) {
        if (shows(tool, terminal)) {
            note_exit(tool, terminal);
        }
    }
    for (size_t i = 0; i < terminal->waiter_count; i++) {
        answer_wait(peer, terminal->waiters[i], terminal);
        json_object_put(terminal->waiters[i]);
    }
    terminal->waiter_count = 0;
}

void acp_terminal_wait(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    struct acp_terminal *terminal = find(peer, id, params);
    if (terminal == NULL) {
        return;
    }
    if (terminal->exited) {
        answer_wait(peer, id, terminal);
    } else if (terminal->waiter_count == ACP_TERMINAL_WAITERS_MAX) {
        acp_rpc_error(peer, id, RPC_INTERNAL_ERROR, "Too many requests wait for this terminal",
                      NULL);
    } else {
        terminal->waiters[terminal->waiter_count++] = json_object_get(id);
    }
}

void acp_terminal_kill(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    struct acp_terminal *terminal = find(peer, id, params);
    if (terminal == NULL) {
        return;
    }
    if (!terminal->exited) {
        peer->sink.terminal_end(peer->sink.context, terminal->number, false);
    }
    acp_rpc_result(peer, id, "{}");
}

void acp_terminal_release(struct acp_peer *peer, struct json_object *id, struct json_object *params)
{
    struct acp_terminal *terminal = find(peer, id, params);
    if (terminal == NULL) {
        return;
    }
    for (size_t i = 0; i < terminal->waiter_count; i++) {
        acp_rpc_error(peer, terminal->waiters[i], RPC_CANCELLED, "The terminal was released", NULL);
    }
    peer->sink.terminal_end(peer->sink.context, terminal->number, true);
    forget(peer, terminal);
    acp_rpc_result(peer, id, "{}");
}

bool acp_terminal_withdraw(struct acp_peer *peer, struct json_object *id)
{
    for (struct acp_terminal *t = peer->terminals.list; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->waiter_count; i++) {
            if (acp_rpc_same_id(t->waiters[i], id)) {
                acp_rpc_error(peer, t->waiters[i], RPC_CANCELLED, "Request cancelled", NULL);
                json_object_put(t->waiters[i]);
                t->waiters[i] = t->waiters[--t->waiter_count];
                return true;
            }
        }
    }
    return false;
}

/* ---- Shown by a tool call ---- */

static void attach(struct acp_peer *peer, struct acp_tool *tool, struct acp_terminal *terminal)
{
    if (shows(tool, terminal) || tool->terminal_count == ACP_TOOL_TERMINALS_MAX) {
        return;
    }
    tool->terminals[tool->terminal_count++] = terminal->number;
    tool->terminal = true;
    tool->output_dropped += terminal->dropped;
    if (terminal->output.text.length > 0) {
        acp_tool_add_output(peer, tool, terminal->output.text.data, terminal->output.text.length);
    }
    if (terminal->exited) {
        note_exit(tool, terminal);
    }
}

void acp_terminal_attach(struct acp_peer *peer, struct acp_tool *tool)
{
    for (size_t i = 0; peer->terminals.count > 0 && i < count_of(tool->content); i++) {
        struct json_object *block = json_object_array_get_idx(tool->content, i);
        const char *type = json_get_string(block, "type");
        const char *id = json_get_string(block, "terminalId");
        struct acp_terminal *terminal =
            type != NULL && id != NULL && strcmp(type, "terminal") == 0 ? by_id(peer, id) : NULL;
        if (terminal != NULL) {
            attach(peer, tool, terminal);
        }
    }
}
