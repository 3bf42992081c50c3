/* The page, from inside the program. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

enum { TAG_SIZE = 48 };

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/vnd.microsoft.icon"},
    {".woff2", "font/woff2"},
};

/*
 * The page shows what agents and other people write, so it may run its own scripts only, show nothing of elsewhere, talk to
 * nobody but its server (`connect-src 'self'` has its WebSocket as well), be shown in no frame, and its scripts turn no text
 * into markup but by the policy of the one who sanitises it, and start no worker of elsewhere. Images may be `data:` and `blob:`: agents send them in place.
 */
static const char security[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify signalbox\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Permissions-Policy: accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
    "microphone=(), midi=(), payment=(), usb=(), clipboard-write=(self)\r\n";

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

static const struct http_file *find(const struct http_file *file, const char *path)
{
    const char *wanted = strcmp(path, "/") ? path : "/index.html";
    for (; file->path; file++) {
        if (!strcmp(file->path, wanted)) {
            return file;
        }
    }
    return NULL;
}

/* The coding that the client likes best. CODING_COUNT: it takes none that is there. */
static enum coding negotiate(const struct http_request *request, const struct http_file *file)
{
    struct coding_wishes wishes;
    bool there[CODING_COUNT];
    coding_wishes_init(&wishes);
    for (size_t i = 0; i < request->header_count; i++) {
        if (!strcasecmp(request->headers[i].name, "Accept-Encoding")) {
            coding_wishes_read(&wishes, request->headers[i].value);
        }
    }
    for (int i = 0; i < CODING_COUNT; i++) {
        there[i] = file->bytes[i].begin != NULL;
    }
    return coding_choose(&wishes, there);
}

/* Each coding is a representation of its own, and so is its tag. */
static void write_tag(char tag[TAG_SIZE], const struct http_file *file, enum coding coding)
{
    const char *name = coding_name(coding);
    snprintf(tag, TAG_SIZE, "\"%s%s%s\"", file->tag, name ? "-" : "", name ? name : "");
}

static bool has_tag(const struct http_request *request, const char *tag)
{
    const char *known = http_header(request, "If-None-Match", NULL);
    return known && (!strcmp(known, "*") || strstr(known, tag));
}

/* What has its digest in its name never changes; all else is asked for again each time, and mostly answered with 304. */
static bool is_for_ever(const struct http_file *file)
{
    return !strncmp(file->path, "/assets/", 8);
}

bool http_static(struct http_request *request, struct http_response *response)
{
    const struct http_file *file = find(request->http->wiring.files, request->path);
    if (!file) {
        return false;
    }
    if (strcmp(request->method, "GET") && strcmp(request->method, "HEAD")) {
        http_problem_status(response, 405, ANSWER_UNSUPPORTED,
                            "this path does not take this method");
        buffer_text(&response->headers, "Allow: GET, HEAD\r\n");
        return true;
    }
    enum coding coding = negotiate(request, file);
    buffer_text(&response->headers, "Vary: Accept-Encoding\r\n");
    if (coding == CODING_COUNT) {
        http_problem_status(response, 406, ANSWER_UNSUPPORTED, "this file is there as it is, with gzip, and with br");
        return true;
    }
    char tag[TAG_SIZE];
    write_tag(tag, file, coding);
    buffer_format(&response->headers, "ETag: %s\r\nCache-Control: %s\r\n", tag,
                  is_for_ever(file) ? "public, max-age=31536000, immutable" : "no-cache");
    buffer_text(&response->headers, security);
    response->type = type_of(file->path);
    if (has_tag(request, tag)) {
        response->status = 304;
        return true;
    }
    if (coding_name(coding)) {
        buffer_format(&response->headers, "Content-Encoding: %s\r\n", coding_name(coding));
    }
    response->fixed = file->bytes[coding].begin;
    response->fixed_length = (size_t)(file->bytes[coding].end - file->bytes[coding].begin);
    return true;
}
