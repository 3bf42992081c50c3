/*
 * What a permission request reaches, for rules (core/rule.h): its command, and the paths that it names.
 *
 * Agents name things as they like, so a rule may only look at a request of which every member is known: what is not
 * known could be a second path, an environment, or a command behind the command. Such a request is asked as ever.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_permission.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/core/rule.h"

enum { KEY_MAX = 40, DEPTH_MAX = 4 };

/* What a member of a tool's input is, by its name in small letters and digits. */
enum member {
    MEMBER_UNKNOWN,
    MEMBER_NOTE,    /* is for people, or a time */
    MEMBER_TEXT,    /* says nothing about where; but a command may be given it to read */
    MEMBER_PATH,    /* a path, or a list of them */
    MEMBER_PAIR,    /* one of from where and to where, neither of which is below the other */
    MEMBER_URI,     /* a path, or a URI with one */
    MEMBER_PATTERN, /* matched below a path, if it does not lead out of it */
    MEMBER_LIST,    /* a list of objects with such members */
    MEMBER_COMMAND, /* by the names that people are shown it by (acp_command.c): another spelling is another member */
};

static enum member member_of(const char *name)
{
    static const struct {
        enum member member;
        const char *names;
    } known[] = {
        {MEMBER_PATH, " path paths file files filepath filepaths filename abspath absolutepath directory dir dirpath "
                      "folder cwd workdir workingdirectory notebookpath targetfile targetpath relativepath "
                      "relativeworkspacepath "},
        {MEMBER_PAIR, " source sourcepath destination destinationpath oldpath newpath "},
        {MEMBER_URI, " uri "},
        {MEMBER_PATTERN, " pattern glob include exclude includepattern excludepattern filepattern "},
        {MEMBER_LIST, " edits "},
        {MEMBER_NOTE, " description explanation reason justification title timeout timeoutms "},
        {MEMBER_TEXT, " content contents text filetext filecontent oldstring newstring oldtext newtext oldstr newstr "
                      "replaceall offset limit line lines linenumber startline endline insertline viewrange "
                      "instruction instructions query regex "
                      "casesensitive maxresults headlimit outputmode expectedreplacements "},
    };
    if (!strcmp(name, "command") || !strcmp(name, "cmd")) {
        return MEMBER_COMMAND;
    }
    char plain[KEY_MAX + 2] = " ";
    size_t length = 1;
    for (const char *at = name; *at; at++) {
        if (*at == '_' || *at == '-') {
            continue;
        }
        if (!isalnum((unsigned char)*at) || length > KEY_MAX - 1) {
            return MEMBER_UNKNOWN;
        }
        plain[length++] = (char)tolower((unsigned char)*at);
    }
    plain[length++] = ' ';
    plain[length] = '\0';
    for (size_t i = 0; i < array_size(known); i++) {
        if (strstr(known[i].names, plain)) {
            return known[i].member;
        }
    }
    return MEMBER_UNKNOWN;
}

struct reach {
    struct acp_peer *peer;
    struct permission_ask *ask;
    bool known;            /* nothing was found that could be more than what is known */
    bool elsewhere;        /* it names another folder than the workspace */
    bool texts;            /* it has what a command could read */
    bool relative, pair;   /* of its input's paths: one is not absolute; there is a MEMBER_PAIR */
    size_t places;         /* other members that name something but the workspace */
    size_t commands;
};

/* Takes it down; `normal` is the same in normal form. Both are the caller's. */
static void add(struct reach *reach, const char *path, const char *normal)
{
    struct permission_ask *ask = reach->ask;
    for (size_t i = 0; i < ask->path_count; i++) {
        if (!strcmp(ask->paths[i], path)) {
            return;
        }
    }
    if (ask->path_count == RULE_PATHS_MAX) {
        ask->paths_left_out = true;
        return;
    }
    char **paths = realloc(ask->paths, (ask->path_count + 1) * sizeof *paths);
    char *copy = paths ? strdup(path) : NULL;
    ask->paths = paths ? paths : ask->paths;
    if (!copy) {
        reach->peer->error = ERR_NOMEM;
        return;
    }
    paths[ask->path_count++] = copy;
    reach->elsewhere = reach->elsewhere || strcmp(normal, reach->peer->cwd) != 0;
}

/* "file:/etc/x" is no path in the workspace, whatever the scheme is. */
static bool has_scheme(const char *path)
{
    const char *at = path;
    while (isalnum((unsigned char)*at) || *at == '+' || *at == '-' || *at == '.') {
        at++;
    }
    return at > path && *at == ':';
}

static bool steps_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2) {
        if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/')) {
            return true;
        }
    }
    return false;
}

/* Takes down an absolute path, or one relative to the workspace. True if it is another than the workspace. */
static bool add_path(struct reach *reach, const char *path, size_t length)
{
    char normal[RULE_PATH_MAX];
    static const char file[] = "file://";
    if (!strncmp(path, file, sizeof file - 1) && path[sizeof file - 1] == '/' && !strchr(path, '%')) {
        path += sizeof file - 1;
        length -= sizeof file - 1;
    }
    struct buffer whole = {0};
    if (*path != '/') {
        buffer_text(&whole, reach->peer->cwd);
        buffer_byte(&whole, '/');
    }
    buffer_append(&whole, path, length);
    char *copy = buffer_take(&whole);
    buffer_free(&whole);
    if (!copy) {
        reach->peer->error = ERR_NOMEM;
        return true;
    }
    bool other = true;
    /* `~`, `$HOME` and the like are the agent's to understand, and so are URLs. */
    if (length && strlen(path) == length && *path != '~' && *path != '$' && !has_scheme(path) &&
        rule_path_normal(copy, normal)) {
        add(reach, copy, normal);
        other = strcmp(normal, reach->peer->cwd) != 0;
        if (steps_up(copy)) {
            add(reach, normal, normal); /* behind a link the two are not the same, and it may take either */
        }
    } else {
        reach->ask->paths_left_out = true;
    }
    free(copy);
    return other;
}

static bool add_string(struct reach *reach, struct json_object *text)
{
    return add_path(reach, json_object_get_string(text), (size_t)json_object_get_string_len(text));
}

/* `diffs`: only what a diff says will be written. */
static void add_named(struct reach *reach, struct json_object *items, bool diffs)
{
    for (size_t i = 0; items && i < json_object_array_length(items); i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        const char *type = json_get_string(item, "type");
        struct json_object *path = json_get(item, "path");
        if (diffs && (!type || strcmp(type, "diff"))) {
            continue;
        }
        if (json_object_is_type(path, json_type_string)) {
            (void)add_string(reach, path);
        } else {
            reach->ask->paths_left_out = true;
        }
    }
}

static void read_members(struct reach *reach, struct json_object *input, int depth);

/* A path of the input. It could be a pattern too, and so name what only the disk knows. */
static bool read_path(struct reach *reach, struct json_object *value, bool uri, bool listed)
{
    const char *path = json_object_get_string(value);
    reach->known = reach->known && !path[strcspn(path, listed ? "*?{[" : "*?{")];
    if (uri && path[strcspn(path, "%?#")]) {
        reach->ask->paths_left_out = true;
        return true;
    }
    bool other = add_string(reach, value);
    reach->relative = reach->relative || (other && *path != '/');
    return other;
}

/* True if it names something but the workspace. */
static bool read_paths(struct reach *reach, struct json_object *value, bool uri, int depth)
{
    if (json_object_is_type(value, json_type_string)) {
        return read_path(reach, value, uri, false);
    }
    if (!json_object_is_type(value, json_type_array)) {
        reach->known = false;
        return true;
    }
    bool other = false;
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        struct json_object *item = json_object_array_get_idx(value, i);
        if (json_object_is_type(item, json_type_string)) {
            other = read_path(reach, item, uri, true) || other;
        } else {
            read_members(reach, item, depth + 1);
        }
    }
    return other;
}

/* Whether what it matches lies below where it is looked for: a folder on the way that is not `**`, which does not follow
 * links, could be one. */
static bool stays_below(const char *pattern)
{
    if (strchr("/~$", *pattern) || strstr(pattern, "..") || strchr(pattern, '{')) {
        return !*pattern;
    }
    for (const char *slash; (slash = strchr(pattern, '/')); pattern = slash + 1) {
        if (slash != pattern + 2 || strncmp(pattern, "**", 2)) {
            return false;
        }
    }
    return true;
}

static void look_for_path(struct reach *reach, const char *text, size_t length)
{
    if ((*text == '/' || !strncmp(text, "~/", 2)) && length < RULE_PATH_MAX && !strpbrk(text, "\r\n")) {
        (void)add_path(reach, text, length);
    }
}

/* What is not known lets no rule match; but what looks like a path in it may be one that the operator denies. */
static void read_unknown(struct reach *reach, struct json_object *value, int depth)
{
    reach->known = false;
    if (json_object_is_type(value, json_type_string)) {
        look_for_path(reach, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    } else if (json_object_is_type(value, json_type_array) && depth < DEPTH_MAX) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            read_unknown(reach, json_object_array_get_idx(value, i), depth + 1);
        }
    } else if (json_object_is_type(value, json_type_object) && depth < DEPTH_MAX) {
        json_object_object_foreach(value, key, member)
        {
            look_for_path(reach, key, strlen(key));
            read_unknown(reach, member, depth + 1);
        }
    }
}

static void read_member(struct reach *reach, const char *name, struct json_object *value, int depth)
{
    bool composed = json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
    if (!value || (json_object_is_type(value, json_type_boolean) && !json_object_get_boolean(value))) {
        return; /* nothing, and no, change nothing */
    }
    switch (member_of(name)) {
    case MEMBER_PATH:
    case MEMBER_URI:
        reach->places += read_paths(reach, value, member_of(name) == MEMBER_URI, depth);
        break;
    case MEMBER_PAIR:
        reach->pair = read_paths(reach, value, false, depth) || reach->pair;
        break;
    case MEMBER_PATTERN:
        reach->known = reach->known && json_object_is_type(value, json_type_string) &&
                       stays_below(json_object_get_string(value));
        break;
    case MEMBER_LIST:
        for (size_t i = 0; json_object_is_type(value, json_type_array) && i < json_object_array_length(value); i++) {
            read_members(reach, json_object_array_get_idx(value, i), depth + 1);
        }
        reach->known = reach->known && json_object_is_type(value, json_type_array);
        break;
    case MEMBER_COMMAND: {
        /* An empty one, and one that is not the tool's own, is not what people are shown. */
        bool given = (json_object_is_type(value, json_type_string) && json_object_get_string_len(value) > 0) ||
                     (json_object_is_type(value, json_type_array) && json_object_array_length(value) > 0);
        reach->known = reach->known && given && depth == 0;
        reach->commands++;
        break;
    }
    case MEMBER_NOTE:
        reach->known = reach->known && !composed;
        break;
    case MEMBER_TEXT:
        reach->texts = true;
        if (composed && strcmp(name, "view_range")) {
            read_unknown(reach, value, depth);
        }
        break;
    case MEMBER_UNKNOWN:
        read_unknown(reach, value, depth);
        break;
    }
}

static void read_members(struct reach *reach, struct json_object *input, int depth)
{
    if (!json_object_is_type(input, json_type_object) || depth > DEPTH_MAX) {
        reach->known = false;
        return;
    }
    struct json_object_iterator at = json_object_iter_begin(input);
    struct json_object_iterator end = json_object_iter_end(input);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        read_member(reach, json_object_iter_peek_name(&at), json_object_iter_peek_value(&at), depth);
    }
}

void acp_reach(struct acp_peer *peer, struct permission_ask *ask, const struct acp_tool *tool)
{
    struct reach reach = {.peer = peer, .ask = ask, .known = true};
    add_named(&reach, tool->content, true);
    add_named(&reach, tool->locations, false);
    if (tool->input) {
        read_members(&reach, tool->input, 0);
    }
    /* One place could be meant below the other. */
    bool clear = !reach.relative || reach.places + reach.pair <= 1;
    bool known = reach.known && clear && !ask->paths_left_out;
    ask->paths_whole = known && !reach.commands;
    /* Where it would run is said by its paths, and without any it is the workspace. */
    if (known && reach.commands == 1 && !reach.texts && !reach.elsewhere && ask->command && !strcmp(ask->kind, "execute") &&
        rule_command_plain(ask->command)) {
        ask->rule_command = acp_copy(peer, ask->command, ACP_TEXT_MAX);
    }
}
