/* What our own code reads of an HTTP request: the path, its route, the query, headers. CivetWeb has the rest. */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "role/http_internal.h"
#include "signalbox/base/check.h"

enum { HEADERS_MAX = 8 };

/* What was decoded fits, ends, and has no byte that would mean something else later. */
static void check_decoded(const char *path, bool segments)
{
    size_t length = strlen(path);
    char *text = fuzz_copy(path, length, false);
    for (size_t size = 1; size <= HTTP_PATH_MAX; size *= 4) {
        char *out = malloc(size); /* of its own, so that its end is seen */
        if (!out) {
            abort();
        }
        if (http_decode(text, length, segments, out, size)) {
            FUZZ_CHECK(memchr(out, '\0', size));
            FUZZ_CHECK(strlen(out) <= length);
        }
        free(out);
    }
    free(text);
}

static void check_route(const char *method, const char *path)
{
    struct route_match match;
    switch (route_match(method, path, &match)) {
    case ROUTE_FOUND:
        FUZZ_CHECK(match.route && match.value_count <= ROUTE_VALUES_MAX);
        for (size_t i = 0; i < match.value_count; i++) {
            FUZZ_CHECK(match.values[i][0] && strlen(match.values[i]) <= ROUTE_VALUE_MAX);
            FUZZ_CHECK(!strchr(match.values[i], '/') && strstr(path, match.values[i]));
        }
        break;
    case ROUTE_NO_METHOD:
        FUZZ_CHECK(match.allow[0] && strlen(match.allow) < sizeof(match.allow));
        break;
    case ROUTE_NO_PATH:
        break;
    }
}

static void check_query(struct http_request *request)
{
    static const char *const names[] = {"after", "limit", "client", "token", "closed", ""};
    for (size_t i = 0; i < array_size(names); i++) {
        for (size_t size = 1; size <= 64; size *= 8) {
            char *out = malloc(size);
            if (!out) {
                abort();
            }
            if (http_query(request, names[i], out, size)) {
                FUZZ_CHECK(memchr(out, '\0', size));
            }
            free(out);
        }
    }
}

/* "METHOD PATH?QUERY", then a line for each header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, true), *rest = text;
    char *line = strsep(&rest, "\n");
    char *target = line;
    char *method = strsep(&target, " ");
    struct http_header headers[HEADERS_MAX];
    struct http_request request = {.method = method, .headers = headers};
    while (rest && request.header_count < HEADERS_MAX) {
        char *value = strsep(&rest, "\n");
        char *name = strsep(&value, ":");
        headers[request.header_count++] = (struct http_header){name, value ? value + strspn(value, " ") : ""};
    }
    if (target) {
        char *path = strsep(&target, "?");
        request.query = target;
        check_decoded(path, true);
        check_decoded(path, false);
        if (http_decode(path, strlen(path), true, request.path, sizeof(request.path))) {
            check_route(method, request.path);
        }
        check_query(&request);
    }
    size_t count = 0;
    const char *value = http_header(&request, "Last-Event-ID", &count);
    FUZZ_CHECK(!value == !count);
    (void)http_wants_stream(&request);
    free(text);
    return 0;
}
