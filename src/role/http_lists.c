/* Lists: the agents, pages of sessions, pages of a session's events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/check.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"

enum {
    SESSIONS_DEFAULT = 100,
    SESSIONS_MAX = 500,
    EVENTS_DEFAULT = 256,
    EVENTS_MAX = 1000,
    PAGE_BYTES = 1024 * 1024
};

bool http_read_limit(struct http_request *request, struct http_response *response,
                     int64_t fallback, int64_t most, int64_t *out)
{
    char text[24], *end;
    *out = fallback;
    if (!http_query(request, "limit", text, sizeof(text))) {
        return true;
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < 1) {
        http_problem(response, ANSWER_BAD_MESSAGE, "`limit` must be a whole number >= 1", "limit",
                     NULL);
        return false;
    }
    *out = number < most ? number : most;
    return true;
}

void http_no_answer(struct http_request *request, struct http_response *response)
{
    bool stopping = atomic_load(&request->http->stopping);
    http_problem(response, stopping ? ANSWER_SHUTTING_DOWN : ANSWER_STORAGE_UNAVAILABLE,
                 stopping ? "the server is stopping" : "the store does not answer", NULL, NULL);
}

void http_store_problem(struct http_response *response, enum err err)
{
    switch (err) {
    case ERR_NOENT:
        http_problem(response, ANSWER_NOT_FOUND, "there is no such session", NULL, NULL);
        break;
    case ERR_INVAL:
        http_problem(response, ANSWER_BAD_MESSAGE,
                     "`after` is no position that this server has given", "after", NULL);
        break;
    case ERR_STOPPING:
        http_problem(response, ANSWER_SHUTTING_DOWN, "the server is stopping", NULL, NULL);
        break;
    case ERR_NOMEM:
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        break;
    default:
        http_problem(response, ANSWER_STORAGE_UNAVAILABLE, "the store cannot be read", NULL, NULL);
    }
}

/* ---- Agents ---- */

static void write_agent(struct buffer *out, const struct config *config,
                        const struct config_agent *agent, struct json_object *known)
{
    char reason[CONFIG_REASON_SIZE];
    bool available = config_agent_available(config, agent, reason);
    const char *state = json_get_string(known, "state");
    int64_t running = 0, waiting = 0;
    if (!json_get_i64(known, "running", &running) || !json_get_i64(known, "waiting", &waiting)) {
        running = waiting = 0; /* it was configured between the two looks */
    }
    buffer_byte(out, '{');
    json_field_string(out, "name", agent->name);
    json_field_string(out, "title", agent->title);
    json_field_bool(out, "available", available);
    json_field_string(out, "reason", available ? NULL : reason);
    json_field_string(out, "install", available ? NULL : agent->install);
    json_field_i64(out, "running", running);
    json_field_i64(out, "waiting", waiting);
    json_field_string(out, "state", state ? state : "closed");
    json_field_object(out, "until", json_get(known, "until"));
    json_field_object(out, "lastError", json_get(known, "lastError"));
    buffer_byte(out, '}');
}

void http_agents(struct http_request *request, struct http_response *response)
{
    struct command *command;
    struct command_error error;
    char *fields = NULL;
    if (command_parse_body(COMMAND_AGENT_STATES, NULL, &command, &error)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    if (!http_ask_dispatcher(request, response, command, &fields)) {
        return;
    }
    const struct config *config = request->config;
    struct buffer text = {0}, *out = &response->body;
    struct json_object *states = NULL;
    buffer_format(&text, "{%s}", fields ? fields : "");
    enum err err = buffer_ok(&text)
                       ? json_parse(request->handler->parser, text.data, text.length, &states)
                       : ERR_NOMEM;
    free(fields);
    buffer_free(&text);
    if (err) {
        http_problem(response, ANSWER_INTERNAL, "the agents' state cannot be read", NULL, NULL);
        return;
    }
    buffer_text(out, "{\"agents\":[");
    for (size_t i = 0; i < config->agent_count; i++) {
        buffer_text(out, i ? "," : "");
        write_agent(out, config, &config->agents[i],
                    json_get(json_get(states, "agents"), config->agents[i].name));
    }
    buffer_text(out, "],\"workspaceRoots\":[");
    for (size_t i = 0; i < config->workspace_roots.count; i++) {
        buffer_text(out, i ? "," : "");
        json_put_string(out, config->workspace_roots.items[i],
                        strlen(config->workspace_roots.items[i]));
    }
    buffer_text(out, "]}");
    json_object_put(states);
}

/* ---- Sessions ---- */

struct list_request *http_ask_list(struct http_request *request, struct list_request *list)
{
    struct http_handler *handler = request->handler;
    list->mail.kind = MAINTENANCE_LIST;
    list->reply_to = handler->box;
    list->reply_kind = HTTP_MAIL_LIST;
    list->cookie[0] = ++handler->serial;
    mailbox_push(request->http->wiring.maintenance, &list->mail);
    struct mail *mail = http_wait(handler, handler->serial);
    return mail ? container_of(mail, struct list_request, mail) : NULL;
}

void http_sessions(struct http_request *request, struct http_response *response)
{
    struct list_request *list;
    int64_t limit;
    if (!http_read_limit(request, response, SESSIONS_DEFAULT, SESSIONS_MAX, &limit)) {
        return;
    }
    if (list_request_new(&list)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    if (http_query(request, "after", list->after, sizeof(list->after)) && !list->after[0]) {
        http_store_problem(response, ERR_INVAL);
        list_request_free(list);
        return;
    }
    list->limit = (size_t)limit;
    list = http_ask_list(request, list);
    if (!list) {
        http_no_answer(request, response);
        return;
    }
    if (list->result) {
        http_store_problem(response, list->result);
    } else {
        buffer_text(&response->body, "{\"items\":[");
        buffer_append(&response->body, list->items.data, list->items.length);
        buffer_byte(&response->body, ']');
        json_field_string(&response->body, "next", list->next[0] ? list->next : NULL);
        buffer_byte(&response->body, '}');
    }
    list_request_free(list);
}

/* ---- Events ---- */

struct history_request *http_ask_history(struct http_request *request, struct http_response *response,
                                         struct history_request *question)
{
    struct http_handler *handler = request->handler;
    question->reply_to = handler->box;
    question->reply_kind = HTTP_MAIL_HISTORY;
    question->cookie[0] = ++handler->serial;
    mailbox_push(request->http->wiring.history, &question->mail);
    struct mail *mail = http_wait(handler, handler->serial);
    if (!mail) {
        http_no_answer(request, response);
        return NULL;
    }
    struct history_request *answer = container_of(mail, struct history_request, mail);
    if (answer->result) {
        http_store_problem(response, answer->result);
        history_request_free(answer);
        return NULL;
    }
    return answer;
}

/* `EPOCH:SEQ`, where an epoch may have colons of its own. */
static bool read_position(const char *text, char *epoch, size_t size, uint64_t *seq)
{
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon || colon == text || (size_t)(colon - text) >= size || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    memcpy(epoch, text, (size_t)(colon - text));
    epoch[colon - text] = '\0';
    errno = 0;
    *seq = strtoull(colon + 1, &end, 10);
    return !errno;
}

struct page {
    char after_epoch[EPOCH_MAX + 1], epoch[EPOCH_MAX + 1];
    uint64_t after, head;
    int64_t limit, key;
};

static bool read_page(struct http_request *request, struct http_response *response,
                      struct page *page)
{
    char after[EPOCH_MAX + 32];
    if (!http_read_limit(request, response, EVENTS_DEFAULT, EVENTS_MAX, &page->limit)) {
        return false;
    }
    /* A browser's EventSource comes back with the id of the last event that it got; then its URL is out of date. */
    const char *last = http_wants_stream(request) ? http_header(request, "Last-Event-ID", NULL) : NULL;
    if (last && *last) {
        if (!read_position(last, page->after_epoch, sizeof(page->after_epoch), &page->after)) {
            http_problem(response, ANSWER_BAD_MESSAGE, "`Last-Event-ID` must be EPOCH:SEQ", "Last-Event-ID", NULL);
            return false;
        }
        return true;
    }
    if (http_query(request, "after", after, sizeof(after)) &&
        !read_position(after, page->after_epoch, sizeof(page->after_epoch), &page->after)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "`after` must be EPOCH:SEQ", "after", NULL);
        return false;
    }
    return true;
}

/* Epoch and head as the dispatcher has them: it answers after the commit. */
static bool find_head(struct http_request *request, struct http_response *response,
                      struct page *page)
{
    struct command *command;
    struct command_error error;
    char *fields = NULL;
    if (command_parse_body(COMMAND_GET_SESSION, NULL, &command, &error)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return false;
    }
    command->session_id = strdup(request->match.values[0]);
    if (!command->session_id) {
        command_free(command);
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return false;
    }
    if (!http_ask_dispatcher(request, response, command, &fields)) {
        return false;
    }
    struct buffer text = {0};
    struct json_object *session = NULL;
    int64_t head = -1;
    buffer_format(&text, "{%s}", fields ? fields : "");
    bool fine = buffer_ok(&text) &&
                !json_parse(request->handler->parser, text.data, text.length, &session) &&
                json_get_string(session, "epoch") && json_get_i64(session, "head", &head) &&
                head >= 0;
    if (fine) {
        snprintf(page->epoch, sizeof(page->epoch), "%s", json_get_string(session, "epoch"));
        page->head = (uint64_t)head;
    } else {
        http_problem(response, ANSWER_INTERNAL, "the session's state cannot be read", NULL, NULL);
    }
    json_object_put(session);
    buffer_free(&text);
    free(fields);
    return fine;
}

bool http_find_key(struct http_request *request, struct http_response *response, int64_t *key)
{
    struct history_request *question;
    if (history_request_new(&question)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return false;
    }
    const char *id = request->match.values[0];
    if (strlen(id) >= sizeof(question->session_id)) {
        history_request_free(question);
        http_store_problem(response, ERR_NOENT);
        return false;
    }
    question->kind = HISTORY_SESSION;
    memcpy(question->session_id, id, strlen(id) + 1);
    struct history_request *answer = http_ask_history(request, response, question);
    if (!answer) {
        return false;
    }
    *key = answer->row.key;
    history_request_free(answer);
    return true;
}

/* The last number of a page is a position, and may not be a whole one. A session that is not in memory needs no note:
 * when it comes back, none below its head counts as whole. */
static void note_page(struct http_request *request, const struct history_request *answer)
{
    struct topic_map *topics = request->http->wiring.topics;
    struct topic *topic = topics ? topic_map_find(topics, request->match.values[0]) : NULL;
    if (topic) {
        topic_whole_from(topic, answer->whole_from);
        topic_put(topic);
    }
}

void http_events(struct http_request *request, struct http_response *response)
{
    struct page page = {.after = 0};
    struct history_request *question;
    if (!read_page(request, response, &page) || !find_head(request, response, &page)) {
        return;
    }
    if (http_wants_stream(request)) {
        http_stream(request, response, page.after_epoch, page.after);
        return;
    }
    if (!http_find_key(request, response, &page.key)) {
        return;
    }
    /* A position of another history, or ahead of this one, is none: everything follows. */
    if (strcmp(page.after_epoch, page.epoch) || page.after > page.head) {
        page.after = 0;
    }
    if (history_request_new(&question)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    question->kind = HISTORY_JSON;
    question->session_key = page.key;
    question->began = page.after;
    question->from = page.after + 1;
    question->to = page.head;
    question->whole = page.after == 0;
    question->max_bytes = PAGE_BYTES;
    question->max_events = (size_t)page.limit;
    struct history_request *answer = http_ask_history(request, response, question);
    if (!answer) {
        return;
    }
    note_page(request, answer);
    struct buffer *out = &response->body;
    buffer_byte(out, '{');
    json_field_string(out, "epoch", page.epoch);
    json_field_i64(out, "head", (int64_t)page.head);
    json_key(out, "events");
    buffer_byte(out, '[');
    buffer_append(out, answer->bytes.data, answer->bytes.length);
    buffer_byte(out, ']');
    if (answer->last < page.head && answer->last > page.after) {
        char next[EPOCH_MAX + 32];
        snprintf(next, sizeof(next), "%s:%llu", page.epoch, (unsigned long long)answer->last);
        json_field_string(out, "next", next);
    }
    buffer_byte(out, '}');
    history_request_free(answer);
}
