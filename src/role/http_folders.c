/* The folders in which agents may work, for who chooses one. */
#include <limits.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/check.h"

static void refuse(struct http_response *response, const struct list_request *list)
{
    static const struct {
        enum err err;
        enum answer_code code;
    } codes[] = {
        {ERR_NOENT, ANSWER_NOT_FOUND}, {ERR_PERM, ANSWER_FORBIDDEN},         {ERR_ACCES, ANSWER_FORBIDDEN},
        {ERR_INVAL, ANSWER_BAD_MESSAGE}, {ERR_STOPPING, ANSWER_SHUTTING_DOWN},
    };
    enum answer_code code = ANSWER_INTERNAL;
    for (size_t i = 0; i < array_size(codes); i++) {
        if (codes[i].err == list->result) {
            code = codes[i].code;
        }
    }
    const char *message = list->message ? list->message : err_text(list->result);
    http_problem(response, code, message, list->message ? "path" : NULL, NULL);
}

void http_folders(struct http_request *request, struct http_response *response)
{
    struct list_request *list;
    char path[PATH_MAX];
    bool beneath = http_query(request, "path", path, sizeof(path));
    if (beneath && path[0] != '/') {
        http_problem(response, ANSWER_BAD_MESSAGE, "`path` must be an absolute path", "path", NULL);
        return;
    }
    if (list_request_new(&list)) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    list->kind = LIST_FOLDERS;
    if (beneath && !(list->folder = strdup(path))) {
        list_request_free(list);
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    list = http_ask_list(request, list);
    if (!list) {
        http_no_answer(request, response);
        return;
    }
    if (list->result) {
        refuse(response, list);
    } else {
        /* The tail of an object: its first byte is a comma. */
        buffer_byte(&response->body, '{');
        buffer_append(&response->body, list->items.data + 1, list->items.length - 1);
        buffer_byte(&response->body, '}');
    }
    list_request_free(list);
}
