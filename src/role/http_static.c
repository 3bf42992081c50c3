/* The page, from inside the program. */
#include "http_static.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http_internal.h"

enum { TAG_SIZE = 24 };

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".webmanifest", "application/manifest+json"},
};

static const char *type_of(const char *path)
{
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++) {
        if (!strcmp(types[i].ending, ending)) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

/* FNV-1a, 64 bits: the same bytes have the same tag, also in another build. */
static void tag_of(const struct http_file *file, char tag[TAG_SIZE])
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *at = file->begin; at < file->end; at++) {
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    }
    snprintf(tag, TAG_SIZE, "\"%016" PRIx64 "\"", hash);
}

static bool has_tag(const struct http_request *request, const char *tag)
{
    const char *known = http_header(request, "If-None-Match", NULL);
    return known && (!strcmp(known, "*") || strstr(known, tag));
}

bool http_static(struct http_request *request, struct http_response *response)
{
    const char *path = strcmp(request->path, "/") ? request->path : "/index.html";
    const struct http_file *file = http_files;
    while (file->path && strcmp(file->path, path)) {
        file++;
    }
    if (!file->path) {
        return false;
    }
    if (strcmp(request->method, "GET") && strcmp(request->method, "HEAD")) {
        http_problem_status(response, 405, ANSWER_UNSUPPORTED,
                            "this path does not take this method");
        buffer_text(&response->headers, "Allow: GET, HEAD\r\n");
        return true;
    }
    char tag[TAG_SIZE];
    tag_of(file, tag);
    buffer_format(&response->headers, "ETag: %s\r\nCache-Control: no-cache\r\n", tag);
    buffer_text(
        &response->headers,
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\n");
    response->type = type_of(path);
    if (has_tag(request, tag)) {
        response->status = 304;
        return true;
    }
    response->fixed = file->begin;
    response->fixed_length = (size_t)(file->end - file->begin);
    return true;
}
