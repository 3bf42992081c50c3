/* Rules and the audit: pages, and the audit as lines without an end to its length. */
#define _GNU_SOURCE /* strcasestr */
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/check.h"
#include "signalbox/mail/list.h"

enum { RULES_DEFAULT = 100, RULES_MAX = 500, ENTRIES_DEFAULT = 100, ENTRIES_MAX = 500, FILTER_MAX = 4096 };

/* An empty filter, or one that is too long, cannot be meant. */
static bool read_filter(struct http_request *request, struct http_response *response, const char *name, char **out)
{
    char text[FILTER_MAX + 1];
    if (!http_query(request, name, text, sizeof(text))) {
        return true;
    }
    if (!text[0]) {
        http_problem(response, ANSWER_BAD_MESSAGE, "this filter must have 1 to 4096 bytes", name, NULL);
        return false;
    }
    *out = strdup(text);
    if (!*out) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    }
    return *out;
}

static bool read_word(struct http_request *request, struct http_response *response, const char *name,
                      const char *const *words, const char *message, const char **out)
{
    char text[32];
    if (!http_query(request, name, text, sizeof(text))) {
        return true;
    }
    for (; *words; words++) {
        if (!strcmp(text, *words)) {
            *out = *words;
            return true;
        }
    }
    http_problem(response, ANSWER_BAD_MESSAGE, message, name, NULL);
    return false;
}

static bool read_time(struct http_request *request, struct http_response *response, const char *name, int64_t *out)
{
    char text[24], *end;
    if (!http_query(request, name, text, sizeof(text))) {
        return true;
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || strspn(text, "0123456789") != strlen(text)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "a time must be a whole number, Unix milliseconds", name, NULL);
        return false;
    }
    *out = number;
    return true;
}

/* 0 is every time for a filter, and no time here: nothing is older than the first millisecond. */
static bool read_until(struct http_request *request, struct http_response *response, struct list_request *list)
{
    char ignored[8];
    if (!read_time(request, response, "until", &list->until)) {
        return false;
    }
    if (!list->until && http_query(request, "until", ignored, sizeof(ignored))) {
        list->until = 1;
    }
    return true;
}

static bool read_after(struct http_request *request, struct http_response *response, struct list_request *list)
{
    if (http_query(request, "after", list->after, sizeof(list->after)) && !list->after[0]) {
        http_store_problem(response, ERR_INVAL);
        return false;
    }
    return true;
}

static void serve_page(struct http_request *request, struct http_response *response, struct list_request *list)
{
    list = http_ask_list(request, list);
    if (!list) {
        http_no_answer(request, response);
        return;
    }
    if (list->result) {
        http_store_problem(response, list->result);
    } else {
        struct buffer *out = &response->body;
        buffer_text(out, "{\"items\":[");
        buffer_append(out, list->items.data, list->items.length);
        buffer_byte(out, ']');
        json_field_string(out, "next", list->next[0] ? list->next : NULL);
        buffer_byte(out, '}');
    }
    list_request_free(list);
}

void http_rules(struct http_request *request, struct http_response *response)
{
    struct list_request *list;
    int64_t limit;
    if (list_request_new(&list)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    list->kind = LIST_RULES;
    if (!http_read_limit(request, response, RULES_DEFAULT, RULES_MAX, &limit) ||
        !read_after(request, response, list) || !read_filter(request, response, "user", &list->user) ||
        !read_filter(request, response, "session", &list->session_id) ||
        !read_filter(request, response, "workspace", &list->workspace)) {
        list_request_free(list);
        return;
    }
    list->limit = (size_t)limit;
    serve_page(request, response, list);
}

/* ---- Lines ---- */

static bool wants_lines(const struct http_request *request, const char *format)
{
    const char *accept = http_header(request, "Accept", NULL);
    return format ? !strcmp(format, "jsonl") : accept && strcasestr(accept, "application/x-ndjson");
}

/* What is left to be sent. */
struct lines {
    struct list_request *list; /* the page that was sent last */
    bool bounded;
    int64_t rest;              /* bounded: entries that may follow it */
};

static void lines_free(void *context)
{
    struct lines *lines = context;
    list_request_free(lines->list);
    free(lines);
}

/* Takes the page that came. */
static void put_lines(struct lines *lines, struct http_response *response)
{
    buffer_append(&response->body, lines->list->items.data, lines->list->items.length);
    lines->rest -= (int64_t)lines->list->count;
}

static bool next_lines(struct http_request *request, struct http_response *response)
{
    struct lines *lines = response->parts;
    struct list_request *list = lines->list;
    if (!list->next[0] || (lines->bounded && lines->rest <= 0)) {
        return true;
    }
    memcpy(list->after, list->next, sizeof(list->after));
    list->limit = lines->bounded && lines->rest < ENTRIES_MAX ? (size_t)lines->rest : ENTRIES_MAX;
    lines->list = http_ask_list(request, list);
    if (!lines->list || lines->list->result) {
        return false;
    }
    put_lines(lines, response);
    return buffer_ok(&response->body);
}

/* The first page is fetched before the head is sent, so that a failure is said as one. */
static void serve_lines(struct http_request *request, struct http_response *response, struct list_request *list,
                        int64_t limit)
{
    struct lines *lines = calloc(1, sizeof(*lines));
    if (!lines) {
        list_request_free(list);
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    *lines = (struct lines){.bounded = limit > 0, .rest = limit};
    list->lines = true;
    list->limit = limit > 0 && limit < ENTRIES_MAX ? (size_t)limit : ENTRIES_MAX;
    lines->list = http_ask_list(request, list);
    if (!lines->list || lines->list->result) {
        if (lines->list) {
            http_store_problem(response, lines->list->result);
        } else {
            http_no_answer(request, response);
        }
        lines_free(lines);
        return;
    }
    put_lines(lines, response);
    response->type = "application/x-ndjson";
    response->next_part = next_lines;
    response->parts = lines;
    response->parts_free = lines_free;
}

void http_audit(struct http_request *request, struct http_response *response)
{
    static const char *const outcomes[] = {"allowed", "rejected", "timeout", "cancelled", NULL};
    static const char *const orders[] = {"asc", "desc", NULL};
    static const char *const formats[] = {"json", "jsonl", NULL};
    const char *outcome = NULL, *order = orders[0], *format = NULL;
    struct list_request *list;
    int64_t limit = 0;
    if (list_request_new(&list)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    list->kind = LIST_AUDIT;
    bool fine = read_word(request, response, "format", formats, "`format` must be json or jsonl", &format) &&
                read_word(request, response, "order", orders, "`order` must be asc or desc", &order) &&
                read_word(request, response, "outcome", outcomes,
                          "`outcome` must be allowed, rejected, timeout or cancelled", &outcome) &&
                read_after(request, response, list) && read_filter(request, response, "user", &list->user) &&
                read_filter(request, response, "session", &list->session_id) &&
                read_time(request, response, "since", &list->since) &&
                read_until(request, response, list);
    bool lines = fine && wants_lines(request, format);
    fine = fine && http_read_limit(request, response, lines ? 0 : ENTRIES_DEFAULT, lines ? INT64_MAX : ENTRIES_MAX,
                                   &limit);
    if (fine && outcome && !(list->outcome = strdup(outcome))) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        fine = false;
    }
    if (!fine) {
        list_request_free(list);
        return;
    }
    list->newest_first = !strcmp(order, "desc");
    if (lines) {
        serve_lines(request, response, list, limit);
        return;
    }
    list->limit = (size_t)limit;
    serve_page(request, response, list);
}
