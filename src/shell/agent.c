#define _GNU_SOURCE
#include "agent.h"
#include "turn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] = "Type a shell command, for example `ls -la`. I ask before I run it. "
                           "`cd FOLDER` changes the folder for the commands that follow.";

bool agent_allows(const struct agent *a, const char *command)
{
    for (unsigned i = 0; i < a->allowed_count; i++) {
        if (strcmp(a->allowed[i], command) == 0) {
            return true;
        }
    }
    return false;
}

void agent_allow(struct agent *a, const char *command)
{
    // A full list means only that the person is asked again.
    if (agent_allows(a, command) || a->allowed_count == AGENT_ALLOWED_MAX) {
        return;
    }
    char **list = realloc(a->allowed, (a->allowed_count + 1) * sizeof *list);
    if (list == NULL) {
        return;
    }
    a->allowed = list;
    char *copy = strdup(command);
    if (copy != NULL) {
        a->allowed[a->allowed_count++] = copy;
    }
}

static struct session *find_session(struct agent *a, json_object *params)
{
    const char *id = rpc_text(params, "sessionId", NULL);
    if (id == NULL) {
        return NULL;
    }
    for (struct session *s = a->sessions; s != NULL; s = s->next) {
        if (!s->closed && strcmp(s->id, id) == 0) {
            return s;
        }
    }
    return NULL;
}

static void free_session(struct session *s)
{
    turn_drop(s);
    free(s->root);
    free(s->cwd);
    free(s);
}

static void initialize(struct agent *a, json_object *id, json_object *params)
{
    if (rpc_member(params, "protocolVersion", json_type_int) == NULL) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, "protocolVersion must be a whole number");
        return;
    }
    // Whatever the client offers: version 1 is the one spoken here.
    rpc_result(
        a->rpc, id,
        json_tokener_parse(
            "{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":false,"
            "\"promptCapabilities\":{\"image\":false,\"audio\":false,\"embeddedContext\":false},"
            "\"mcpCapabilities\":{\"http\":false,\"sse\":false},"
            "\"sessionCapabilities\":{\"close\":{}}},\"authMethods\":[],"
            "\"agentInfo\":{\"name\":\"signalbox-shell\",\"title\":\"Shell\","
            "\"version\":\"1.0.0\"}}"));
}

static bool is_folder(const char *path)
{
    struct stat kind;
    return stat(path, &kind) == 0 && S_ISDIR(kind.st_mode);
}

static void new_session(struct agent *a, json_object *id, json_object *params)
{
    size_t length = 0;
    const char *cwd = rpc_text(params, "cwd", &length);
    json_object *servers = NULL;
    if (cwd == NULL || cwd[0] != '/' || strlen(cwd) != length || !is_folder(cwd)) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, "cwd must be the absolute path of a folder");
        return;
    }
    if (json_object_object_get_ex(params, "mcpServers", &servers) &&
        !json_object_is_type(servers, json_type_array)) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, "mcpServers must be an array");
        return;
    }
    if (a->session_count == AGENT_SESSIONS_MAX) {
        rpc_error(a->rpc, id, RPC_INTERNAL_ERROR, "Too many sessions in this process");
        return;
    }
    struct session *s = calloc(1, sizeof *s);
    unsigned char name[12];
    if (s == NULL || (s->root = realpath(cwd, NULL)) == NULL ||
        (s->cwd = strdup(s->root)) == NULL ||
        getrandom(name, sizeof name, 0) != (ssize_t)sizeof name) {
        if (s != NULL) {
            free_session(s);
        }
        rpc_error(a->rpc, id, RPC_INTERNAL_ERROR, "The session could not be made");
        return;
    }
    size_t at = (size_t)snprintf(s->id, sizeof s->id, "shell-");
    for (size_t i = 0; i < sizeof name; i++) {
        at += (size_t)snprintf(s->id + at, sizeof s->id - at, "%02x", name[i]);
    }
    s->agent = a;
    s->next = a->sessions;
    a->sessions = s;
    a->session_count++;
    json_object *result = json_object_new_object();
    json_object_object_add(result, "sessionId", json_object_new_string(s->id));
    rpc_result(a->rpc, id, result);
}

static void close_session(struct agent *a, json_object *id, json_object *params)
{
    struct session *s = find_session(a, params);
    if (s == NULL) {
        rpc_error(a->rpc, id, RPC_NOT_FOUND, "No such session");
        return;
    }
    turn_cancel(s, false);
    s->closed = true; // agent_step removes it when its command has ended
    rpc_result(a->rpc, id, json_object_new_object());
}

static void sweep_sessions(struct agent *a)
{
    struct session **at = &a->sessions;
    while (*at != NULL) {
        struct session *s = *at;
        if (s->closed && s->turn == NULL) {
            *at = s->next;
            a->session_count--;
            free_session(s);
        } else {
            at = &s->next;
        }
    }
}

// The command line: the prompt's text blocks, one a line, without blanks around. NULL (and
// *problem) when the prompt is not one that ACP allows here; else the caller's.
static char *command_line(json_object *prompt, const char **problem)
{
    char *command = strdup("");
    size_t count = json_object_array_length(prompt);
    for (size_t i = 0; i < count && command != NULL; i++) {
        json_object *block = json_object_array_get_idx(prompt, i);
        const char *type = rpc_text(block, "type", NULL);
        if (type != NULL && strcmp(type, "resource_link") == 0) {
            continue;
        }
        size_t length = 0;
        const char *text = rpc_text(block, "text", &length);
        if (type == NULL || strcmp(type, "text") != 0 || text == NULL || strlen(text) != length) {
            *problem = "A prompt is a shell command line: text without a NUL, and nothing else";
            free(command);
            return NULL;
        }
        char *longer = NULL;
        if (asprintf(&longer, "%s%s%s", command, *command != '\0' ? "\n" : "", text) < 0) {
            longer = NULL;
        }
        free(command);
        command = longer;
    }
    if (command == NULL) {
        *problem = "Out of memory";
        return NULL;
    }
    size_t start = strspn(command, " \t\r\n");
    size_t end = strlen(command);
    while (end > start && strchr(" \t\r\n", command[end - 1]) != NULL) {
        end--;
    }
    memmove(command, command + start, end - start);
    command[end - start] = '\0';
    return command;
}

// `cd FOLDER` and nothing else that a shell would look at: the folder ("" for the workspace
// itself). NULL when it is an ordinary command.
static const char *cd_target(const char *command)
{
    if (strncmp(command, "cd", 2) != 0 || (command[2] != ' ' && command[2] != '\0')) {
        return NULL;
    }
    const char *folder = command + 2 + strspn(command + 2, " ");
    return strpbrk(folder, "|&;<>()$`\\\"'*?[]#~={}\n\t ") == NULL && *folder != '-' ? folder
                                                                                     : NULL;
}

static void change_folder(struct session *s, json_object *id, const char *folder)
{
    char *path = NULL;
    char *real = NULL;
    int made = *folder == '\0'  ? asprintf(&path, "%s", s->root)
               : *folder == '/' ? asprintf(&path, "%s", folder)
                                : asprintf(&path, "%s/%s", s->cwd, folder);
    if (made >= 0) {
        real = realpath(path, NULL);
    }
    int error = errno;
    char *text = NULL;
    size_t root = strlen(s->root);
    if (real == NULL) {
        made = asprintf(&text, "%s: %s.", folder, strerror(error));
    } else if (!is_folder(real)) {
        made = asprintf(&text, "%s is not a folder.", folder);
    } else if (strcmp(s->root, "/") != 0 &&
               (strncmp(real, s->root, root) != 0 || (real[root] != '/' && real[root] != '\0'))) {
        made = asprintf(&text, "%s is outside the workspace %s.", folder, s->root);
    } else {
        free(s->cwd);
        s->cwd = real;
        real = NULL;
        made = asprintf(&text, "Commands now run in %s.", s->cwd);
    }
    turn_say_only(s, id, made >= 0 ? text : "Out of memory.");
    free(path);
    free(real);
    if (made >= 0) {
        free(text);
    }
}

static void prompt(struct agent *a, json_object *id, json_object *params)
{
    json_object *blocks = rpc_member(params, "prompt", json_type_array);
    struct session *s = find_session(a, params);
    if (s == NULL || blocks == NULL) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS,
                  s == NULL ? "No such session" : "prompt must be an array of content blocks");
        return;
    }
    if (s->turn != NULL) {
        rpc_error(a->rpc, id, RPC_INVALID_REQUEST, "A command of this session still runs");
        return;
    }
    const char *problem = NULL;
    char *command = command_line(blocks, &problem);
    if (command == NULL) {
        rpc_error(a->rpc, id, RPC_INVALID_PARAMS, problem);
        return;
    }
    const char *folder = cd_target(command);
    if (*command == '\0') {
        turn_say_only(s, id, help);
    } else if (folder != NULL) {
        change_folder(s, id, folder);
    } else {
        turn_begin(s, id, command);
    }
    free(command);
}

static void on_request(void *owner, const char *method, json_object *id, json_object *params)
{
    static const struct {
        const char *name;
        void (*handle)(struct agent *, json_object *, json_object *);
    } methods[] = {
        {"initialize", initialize},
        {"session/new", new_session},
        {"session/prompt", prompt},
        {"session/close", close_session},
    };
    struct agent *a = owner;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(method, methods[i].name) == 0) {
            methods[i].handle(a, json_object_get(id), params);
            return;
        }
    }
    rpc_error(a->rpc, json_object_get(id), RPC_METHOD_NOT_FOUND, "Method not found");
}

static void on_notification(void *owner, const char *method, json_object *params)
{
    struct agent *a = owner;
    json_object *id;
    if (strcmp(method, "session/cancel") == 0) {
        struct session *s = find_session(a, params);
        if (s != NULL) {
            turn_cancel(s, false);
        }
    } else if (strcmp(method, "$/cancel_request") == 0 &&
               json_object_is_type(params, json_type_object) &&
               json_object_object_get_ex(params, "requestId", &id)) {
        for (struct session *s = a->sessions; s != NULL; s = s->next) {
            if (turn_is_for(s, id)) {
                turn_cancel(s, true);
            }
        }
    }
}

static void on_response(void *owner, json_object *id, json_object *result, json_object *error)
{
    (void)error; // has no result, and so allows nothing
    struct agent *a = owner;
    for (struct session *s = a->sessions; s != NULL; s = s->next) {
        if (turn_answer(s, rpc_number(id), result)) {
            return;
        }
    }
}

const struct rpc_handler agent_handler = {
    .request = on_request, .notification = on_notification, .response = on_response};

nfds_t agent_poll(const struct agent *a, struct pollfd *fds)
{
    nfds_t count = 0;
    for (const struct session *s = a->sessions; s != NULL; s = s->next) {
        count += turn_poll(s, fds + count);
    }
    return count;
}

int64_t agent_step(struct agent *a, bool read, int64_t now)
{
    int64_t deadline = INT64_MAX;
    for (struct session *s = a->sessions; s != NULL; s = s->next) {
        int64_t next = turn_step(s, read, now);
        deadline = next < deadline ? next : deadline;
    }
    sweep_sessions(a);
    return deadline;
}

void agent_cancel_all(struct agent *a)
{
    for (struct session *s = a->sessions; s != NULL; s = s->next) {
        turn_cancel(s, false);
    }
}

bool agent_busy(const struct agent *a)
{
    for (const struct session *s = a->sessions; s != NULL; s = s->next) {
        if (s->turn != NULL) {
            return true;
        }
    }
    return false;
}

void agent_release(struct agent *a)
{
    while (a->sessions != NULL) {
        struct session *s = a->sessions;
        a->sessions = s->next;
        free_session(s);
    }
    for (unsigned i = 0; i < a->allowed_count; i++) {
        free(a->allowed[i]);
    }
    free(a->allowed);
}
