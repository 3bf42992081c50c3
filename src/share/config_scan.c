/* A look at a configuration file before libconfuse sees it (config_private.h says why). */
#include "config_private.h"

#include <string.h>

enum { BRACES_MAX = 4 };

struct scan {
    char *at;
    int line;
    int braces[BRACES_MAX]; /* the lines of those that are open */
    int depth;
    bool token; /* inside an unquoted word: there, // begins no comment (http://...) */
    const char *file;
    struct config_error *error;
};

static void scan_line_comment(struct scan *scan)
{
    while (*scan->at != '\0' && *scan->at != '\n') {
        *scan->at++ = ' ';
    }
}

static enum err scan_block_comment(struct scan *scan)
{
    int begin = scan->line;
    char *end = strstr(scan->at + 2, "*/");
    if (end == NULL) {
        return config_error_set(scan->error, ERR_SYNTAX, scan->file, begin,
                                "the comment that begins here is not closed");
    }
    for (; scan->at < end + 2; scan->at++) {
        if (*scan->at == '\n') {
            scan->line++;
        } else {
            *scan->at = ' ';
        }
    }
    return ERR_OK;
}

/* `${NAME}` is replaced by libconfuse, and everything up to the brace belongs to it, quotes too. */
static bool scan_variable(struct scan *scan)
{
    if (scan->at[0] != '$' || scan->at[1] != '{') {
        return false;
    }
    size_t length = strcspn(scan->at, "}\n");
    if (scan->at[length] != '}') {
        return false;
    }
    scan->at += length + 1;
    return true;
}

static enum err scan_string(struct scan *scan)
{
    char quote = *scan->at++;
    while (*scan->at != quote) {
        if (quote == '"' && scan_variable(scan)) {
            continue;
        }
        if (*scan->at == '\\' && scan->at[1] != '\0') {
            scan->at++;
        }
        if (*scan->at == '\0' || *scan->at == '\n') {
            return config_error_set(scan->error, ERR_SYNTAX, scan->file, scan->line,
                                    "the string that begins here is not closed on its line");
        }
        scan->at++;
    }
    scan->at++;
    return ERR_OK;
}

static enum err scan_step(struct scan *scan)
{
    char c = *scan->at;
    if (c == '#' || (c == '/' && scan->at[1] == '/' && !scan->token)) {
        scan_line_comment(scan);
        scan->token = false;
        return ERR_OK;
    }
    if (c == '/' && scan->at[1] == '*' && !scan->token) {
        return scan_block_comment(scan);
    }
    if (c == '"' || c == '\'') {
        scan->token = false;
        return scan_string(scan);
    }
    if (c == '*') {
        return config_error_set(scan->error, ERR_SYNTAX, scan->file, scan->line,
                                "a value with * in it must stand in quotes");
    }
    if (scan_variable(scan)) {
        return ERR_OK;
    }
    if (c == '{' && scan->depth < BRACES_MAX) {
        scan->braces[scan->depth++] = scan->line;
    } else if (c == '}' && scan->depth > 0) {
        scan->depth--;
    }
    scan->token = strchr(" \t\r\n={}(),+", c) == NULL;
    scan->line += c == '\n';
    scan->at++;
    return ERR_OK;
}

enum err config_scan(char *text, const char *file, struct config_error *error)
{
    struct scan scan = {.at = text, .line = 1, .file = file, .error = error};
    enum err err = ERR_OK;
    while (err == ERR_OK && *scan.at != '\0') {
        err = scan_step(&scan);
    }
    if (err == ERR_OK && scan.depth > 0) {
        return config_error_set(error, ERR_SYNTAX, file, scan.braces[scan.depth - 1],
                                "the brace that opens here is not closed");
    }
    return err;
}
