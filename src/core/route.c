#include "signalbox/core/route.h"

#include <stdio.h>
#include <string.h>

#include "signalbox/base/check.h"

#define SESSION "/v1/sessions/{sessionId}"
#define CRAFT   "/api/sessions/{sessionId}"

static const struct route_query client_query[] = {
    {"client", "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"}",
     "A random id of the client's own making, kept over reconnects."},
    {NULL, NULL, NULL},
};
static const struct route_query folders_query[] = {
    {"path", "{\"type\":\"string\",\"pattern\":\"^/\"}", "The folders in this one; without it, the `workspace-roots`."},
    {NULL, NULL, NULL},
};
static const struct route_query chat_query[] = {
    {"sessionId", "{\"type\":\"string\"}", "The session; required."},
    {NULL, NULL, NULL},
};
static const struct route_query sessions_query[] = {
    {"after", "{\"type\":\"string\"}", "The `next` of the page before."},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":100}", "Sessions a page."},
    {NULL, NULL, NULL},
};
static const struct route_query close_query[] = {
    {"purge", "{\"enum\":[\"0\",\"1\"],\"default\":\"0\"}",
     "`1`: the session is erased, too, with its events and its content; the audit stays."},
    {NULL, NULL, NULL},
};
static const struct route_query events_query[] = {
    {"after", "{\"type\":\"string\"}", "EPOCH:SEQ: only what comes behind it. An epoch of another history is left out."},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":256}", "Events a page."},
    {NULL, NULL, NULL},
};
static const struct route_query rules_query[] = {
    {"user", "{\"type\":\"string\"}", "Only what this user made."},
    {"session", "{\"type\":\"string\"}", "Only those of this session."},
    {"workspace", "{\"type\":\"string\"}", "Only those that hold in this folder."},
    {"after", "{\"type\":\"string\"}", "The `next` of the page before."},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":100}", "Rules a page."},
    {NULL, NULL, NULL},
};
#define WHEN "{\"type\":\"integer\",\"minimum\":0}"
static const struct route_query audit_query[] = {
    {"session", "{\"type\":\"string\"}", "Only entries about this session."},
    {"user", "{\"type\":\"string\"}", "Only entries behind which this user is."},
    {"outcome", "{\"enum\":[\"allowed\",\"rejected\",\"timeout\",\"cancelled\"]}", "Only requests that ended like this."},
    {"since", WHEN, "Not before this time, Unix milliseconds."},
    {"until", WHEN, "Before this time, Unix milliseconds."},
    {"order", "{\"enum\":[\"asc\",\"desc\"],\"default\":\"asc\"}", "By number: the first entry first, or the last."},
    {"after", "{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"}",
     "Only what comes behind the entry with this number, in that order."},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"default\":100}",
     "Entries a page, at most 500; with `jsonl`, entries in all, and everything without it."},
    {"format", "{\"enum\":[\"json\",\"jsonl\"]}",
     "`jsonl`: all of it, an entry a line, as `Accept: application/x-ndjson` asks for, too."},
    {NULL, NULL, NULL},
};

static const struct route routes[] = {
    {.id = ROUTE_HEALTH, .method = "GET", .path = "/healthz", .command = -1, .open = true, .status = 200,
     .summary = "Is the server alive?", .response = "health"},
    {.id = ROUTE_READY, .method = "GET", .path = "/readyz", .command = -1, .open = true, .status = 200,
     .summary = "Can the server serve? 503 if not.", .response = "readiness"},
    {.id = ROUTE_METRICS, .method = "GET", .path = "/metrics", .command = -1, .status = 200,
     .summary = "Metrics in Prometheus' text format.", .media_type = "text/plain; version=0.0.4; charset=utf-8"},
    {.id = ROUTE_OPENAPI, .method = "GET", .path = "/openapi.json", .command = -1, .open = true, .status = 200,
     .summary = "This description."},
    {.id = ROUTE_THEME, .method = "GET", .path = "/theme.json", .command = -1, .open = true, .status = 200,
     .summary = "The theme of the web client: any JSON object."},
    {.id = ROUTE_WEBSOCKET, .method = "GET", .path = "/ws", .command = -1, .changes = true, .status = 101,
     .summary = "The WebSocket, subprotocol signalbox.v1.", .query = client_query},
    {.id = ROUTE_CLAUDECODEUI, .method = "GET", .path = "/ws/claudecodeui", .command = -1, .changes = true, .status = 101,
     .summary = "The WebSocket of clients of claudecodeui, subprotocol claudecodeui.v1."},
    {.id = ROUTE_FACTORY_FACTORY, .method = "GET", .path = "/chat", .command = -1, .changes = true, .status = 101,
     .summary = "The WebSocket of clients of factory-factory, subprotocol factory-factory.v1.", .query = chat_query},
    {.id = ROUTE_LOGIN, .method = "POST", .path = "/v1/login", .command = -1, .changes = true, .open = true,
     .status = 200, .summary = "Log a browser in: sets a cookie.", .request = "login", .response = "loggedIn"},
    {.id = ROUTE_LOGOUT, .method = "POST", .path = "/v1/logout", .command = -1, .changes = true, .open = true,
     .status = 200, .summary = "End the login of the request's cookie.", .response = "loggedOut"},
    {.id = ROUTE_AGENTS, .method = "GET", .path = "/v1/agents", .command = COMMAND_AGENT_STATES, .status = 200,
     .summary = "The configured agents and their state.", .response = "agents"},
    {.id = ROUTE_FOLDERS, .method = "GET", .path = "/v1/folders", .command = -1, .status = 200,
     .summary = "Folders in which agents may work, to choose a workspace from.", .response = "folderList",
     .query = folders_query},
    {.id = ROUTE_SESSIONS, .method = "GET", .path = "/v1/sessions", .command = -1, .status = 200,
     .summary = "Sessions, newest change first.", .response = "sessionList", .query = sessions_query},
    {.id = ROUTE_CREATE_SESSION, .method = "POST", .path = "/v1/sessions", .command = COMMAND_CREATE_SESSION,
     .changes = true, .status = 201, .summary = "Create a session.", .request = "body.create_session",
     .response = "created"},
    {.id = ROUTE_SESSION, .method = "GET", .path = SESSION, .command = COMMAND_GET_SESSION, .status = 200,
     .summary = "A session.", .response = "session"},
    {.id = ROUTE_CLOSE_SESSION, .method = "DELETE", .path = SESSION, .command = COMMAND_CLOSE_SESSION,
     .changes = true, .status = 200, .summary = "Close a session; its log stays, or is erased with it.",
     .response = "done", .query = close_query},
    {.id = ROUTE_EVENTS, .method = "GET", .path = SESSION "/events", .command = COMMAND_GET_SESSION, .status = 200,
     .summary = "A page of a session's events.", .response = "eventPage", .query = events_query},
    {.id = ROUTE_PROMPT, .method = "POST", .path = SESSION "/messages", .command = COMMAND_PROMPT, .changes = true,
     .status = 202, .summary = "Prompt the agent. Answered when the prompt is committed.",
     .request = "body.prompt", .response = "accepted"},
    {.id = ROUTE_CANCEL, .method = "POST", .path = SESSION "/cancel", .command = COMMAND_CANCEL, .changes = true,
     .status = 200, .summary = "Cancel the turn and withdraw queued prompts.", .request = "body.cancel",
     .body_optional = true, .response = "cancelled"},
    {.id = ROUTE_STORE_BLOB, .method = "POST", .path = SESSION "/blobs", .command = COMMAND_STORE_BLOB, .changes = true,
     .status = 201, .summary = "Send content up, to be named in a prompt. The same content again is the same blob.",
     .any_body = true, .response = "storedBlob"},
    {.id = ROUTE_BLOB, .method = "GET", .path = SESSION "/blobs/{blob}", .command = -1, .status = 200,
     .summary = "Content that was too large for an event, or that was sent up; also in part (Range).",
     .media_type = "*/*"},
    {.id = ROUTE_PERMISSIONS, .method = "GET", .path = "/v1/permissions", .command = COMMAND_LIST_PERMISSIONS,
     .status = 200, .summary = "Everything that waits for an answer, over all sessions.", .response = "permissions"},
    {.id = ROUTE_PERMISSION_RESPONSE, .method = "POST", .path = SESSION "/permissions/{requestId}",
     .command = COMMAND_PERMISSION_RESPONSE, .changes = true, .status = 200,
     .summary = "Answer a permission request.", .request = "body.permission_response", .response = "answered"},
    {.id = ROUTE_DELETE_RULE, .method = "DELETE", .path = "/v1/rules/{ruleId}", .command = COMMAND_DELETE_RULE,
     .changes = true, .status = 200, .summary = "Revoke a rule: it answers nothing any more.", .response = "revoked"},
    {.id = ROUTE_RULES, .method = "GET", .path = "/v1/rules", .command = -1, .status = 200,
     .summary = "The rules of everybody, in the order in which they were made.", .response = "ruleList",
     .query = rules_query},
    {.id = ROUTE_AUDIT, .method = "GET", .path = "/v1/audit", .command = -1, .status = 200,
     .summary = "The audit: who decided what.", .response = "auditPage", .lines = "auditEntry", .query = audit_query},
    {.id = ROUTE_CRAFT_SESSIONS, .method = "GET", .path = "/api/sessions", .command = -1, .status = 200,
     .summary = "For clients of craft: all sessions, an array.", .response = "craftSession", .response_array = true},
    {.id = ROUTE_CRAFT_CREATE, .method = "POST", .path = "/api/sessions", .command = -1, .changes = true, .status = 201,
     .summary = "For clients of craft: create a session.", .request = "craftCreate", .response = "craftSession"},
    {.id = ROUTE_CRAFT_SESSION, .method = "GET", .path = CRAFT, .command = -1, .status = 200,
     .summary = "For clients of craft: a session with its messages.", .response = "craftSession"},
    {.id = ROUTE_CRAFT_DELETE, .method = "DELETE", .path = CRAFT, .command = -1, .changes = true, .status = 200,
     .summary = "For clients of craft: close a session; its log stays.", .response = "craftSuccess"},
    {.id = ROUTE_CRAFT_MESSAGE, .method = "POST", .path = CRAFT "/messages", .command = -1, .changes = true,
     .status = 202, .summary = "For clients of craft: prompt the agent.", .request = "craftMessage",
     .response = "accepted"},
    {.id = ROUTE_CRAFT_ABORT, .method = "POST", .path = CRAFT "/abort", .command = -1, .changes = true, .status = 200,
     .summary = "For clients of craft: cancel the turn.", .response = "craftSuccess"},
};
_Static_assert(array_size(routes) == ROUTE_COUNT, "every route has its row");

size_t route_count(void)
{
    return array_size(routes);
}

const struct route *route_at(size_t index)
{
    CHECK(index < array_size(routes));
    return &routes[index];
}

/* True if `path` has the template's form; its values go to *out. */
static bool fits(const char *template, const char *path, struct route_match *out)
{
    out->value_count = 0;
    while (*template) {
        if (*template != '{') {
            if (*template++ != *path++) {
                return false;
            }
            continue;
        }
        size_t length = strcspn(path, "/");
        if (!length || length > ROUTE_VALUE_MAX) {
            return false;
        }
        CHECK(out->value_count < ROUTE_VALUES_MAX);
        char *value = out->values[out->value_count++];
        memcpy(value, path, length);
        value[length] = '\0';
        path += length;
        template += strcspn(template, "}") + 1;
    }
    return !*path;
}

static void allow(struct route_match *out, const char *method)
{
    size_t length = strlen(out->allow);
    snprintf(out->allow + length, sizeof(out->allow) - length, "%s%s%s", length ? ", " : "", method,
             strcmp(method, "GET") ? "" : ", HEAD");
}

enum route_result route_match(const char *method, const char *path, struct route_match *out)
{
    struct route_match match = {.route = NULL};
    const char *wanted = strcmp(method, "HEAD") ? method : "GET";
    bool found_path = false;
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < array_size(routes); i++) {
        if (!fits(routes[i].path, path, &match)) {
            continue;
        }
        found_path = true;
        allow(&match, routes[i].method);
        if (!strcmp(routes[i].method, wanted)) {
            match.route = &routes[i];
            memcpy(out, &match, sizeof(*out));
        }
    }
    memcpy(out->allow, match.allow, sizeof(out->allow));
    if (!found_path) {
        return ROUTE_NO_PATH;
    }
    return out->route ? ROUTE_FOUND : ROUTE_NO_METHOD;
}
