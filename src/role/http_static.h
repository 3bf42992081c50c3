#pragma once
/* The page's files, inside the program (cmake/web.cmake). */
struct http_file {
    const char *path; /* "/app.js"; NULL ends the table */
    const char *begin, *end;
};
extern const struct http_file http_files[];
