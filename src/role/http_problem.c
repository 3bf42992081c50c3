/* Problem documents (RFC 9457), with the codes that nacks have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/clock.h"

enum { RETRY_AFTER_SECONDS = 2 };

const char *http_status_text(int status)
{
    switch (status) {
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return status < 500 ? "Bad Request" : "Internal Server Error";
    }
}

/* In seconds; as the fields say by `until`, where they do. */
static int64_t retry_after(const char *fields)
{
    static const char key[] = ",\"until\":";
    const char *until = fields ? strstr(fields, key) : NULL;
    if (!until) {
        return RETRY_AFTER_SECONDS;
    }
    int64_t left_ms = strtoll(until + strlen(key), NULL, 10) - clock_wall_ms();
    return left_ms > 0 ? (left_ms + 999) / 1000 : 1;
}

static void write_problem(struct http_response *response, int status, enum answer_code code,
                          const char *message, const char *field, const char *fields)
{
    struct buffer *out = &response->body;
    buffer_reset(out);
    response->fixed = NULL;
    response->status = status;
    response->type = "application/problem+json";
    buffer_byte(out, '{');
    json_field_string(out, "type", "about:blank");
    json_field_string(out, "title", http_status_text(status));
    json_field_i64(out, "status", status);
    json_field_string(out, "detail", message ? message : http_status_text(status));
    json_field_string(out, "code", answer_code_name(code));
    json_field_bool(out, "retryable", answer_code_retryable(code));
    json_field_string(out, "field", field && *field ? field : NULL);
    if (fields) {
        buffer_text(out, fields);
    }
    buffer_byte(out, '}');
    if (status == 401) {
        buffer_text(&response->headers, "WWW-Authenticate: Bearer realm=\"signalbox\"\r\n");
    }
    if (status == 503 ||
        (status == 429 && code != ANSWER_RATE_LIMITED)) { /* that one says by itself how long */
        buffer_format(&response->headers, "Retry-After: %lld\r\n", (long long)retry_after(fields));
    }
}

void http_problem(struct http_response *response, enum answer_code code, const char *message,
                  const char *field, const char *fields)
{
    write_problem(response, answer_code_status(code), code, message, field, fields);
}

void http_problem_status(struct http_response *response, int status, enum answer_code code,
                         const char *message)
{
    write_problem(response, status, code, message, NULL, NULL);
}
