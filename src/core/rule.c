#include "signalbox/core/rule.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/need.h"

static const char *const scope_names[] = {
#define X(symbol, name) [RULE_##symbol] = name,
    RULE_SCOPES(X)
#undef X
};

const char *rule_scope_name(enum rule_scope scope)
{
    return scope_names[scope];
}

bool rule_scope_parse(const char *name, enum rule_scope *out)
{
    for (int scope = 0; scope < RULE_SCOPE_COUNT; scope++) {
        if (!strcmp(scope_names[scope], name)) {
            *out = (enum rule_scope)scope;
            return true;
        }
    }
    return false;
}

void rule_free(struct rule *rule)
{
    if (rule) {
        free(rule->id);
        free(rule->user);
        free(rule->session_id);
        free(rule->workspace);
        free(rule->command);
        free(rule->kind);
        free(rule->path);
        free(rule->label);
        free(rule->request_id);
        free(rule);
    }
}

/* ---- Commands and paths ---- */

bool rule_command_plain(const char *command)
{
    static const char words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    const char *at = command;
    do {
        size_t length = strspn(at, words);
        if (!length) {
            return false; /* also two spaces, one in front, and one at the end */
        }
        at += length;
    } while (*at++ == ' ');
    return !at[-1] && (size_t)(at - command) <= RULE_COMMAND_MAX;
}

bool rule_path_normal(const char *path, char out[RULE_PATH_MAX])
{
    size_t length = 0;
    if (*path != '/' || strlen(path) >= RULE_PATH_MAX) {
        return false;
    }
    while (*path) {
        size_t slashes = strspn(path, "/");
        size_t span = strcspn(path + slashes, "/");
        path += slashes;
        for (size_t i = 0; i < span; i++) {
            if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f) {
                return false;
            }
        }
        if (span == 2 && !memcmp(path, "..", 2)) {
            while (length && out[--length] != '/') {
            }
        } else if (span && !(span == 1 && *path == '.')) {
            out[length++] = '/';
            memcpy(out + length, path, span);
            length += span;
        }
        path += span;
    }
    if (!length) {
        out[length++] = '/';
    }
    out[length] = '\0';
    return true;
}

bool rule_path_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length == 1) {
        return true; /* the root of all */
    }
    return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

/* Kinds of tool whose paths say what they touch. What only looks may be pointed at the folder itself; who edits,
 * deletes or moves in a folder does not do that to the folder. */
static bool kind_has_paths(const char *kind, bool *looks)
{
    *looks = !strcmp(kind, "read") || !strcmp(kind, "search");
    return *looks || !strcmp(kind, "edit") || !strcmp(kind, "delete") || !strcmp(kind, "move");
}

/* `folder`: relative to the workspace. */
static bool lies_in(const char *path, const char *workspace, const char *folder, bool looks)
{
    char normal[RULE_PATH_MAX];
    size_t length = strlen(workspace);
    if (!rule_path_normal(path, normal) || !rule_path_within(normal, workspace)) {
        return false;
    }
    const char *below = normal + (length == 1 ? 0 : length);
    below += *below == '/';
    if (strcmp(folder, ".")) {
        size_t span = strlen(folder);
        if (strncmp(below, folder, span) || (below[span] && below[span] != '/')) {
            return false;
        }
        below += span;
        below += *below == '/';
    }
    return looks || *below;
}

static bool paths_lie_in(const struct permission_ask *ask, const char *workspace, const char *folder)
{
    bool looks;
    if (!kind_has_paths(ask->kind, &looks) || !ask->paths_whole || !ask->path_count || !ask->real_paths) {
        return false;
    }
    for (size_t i = 0; i < ask->path_count; i++) {
        /* As it is written, and where it leads to. */
        if (!ask->real_paths[i] || !lies_in(ask->paths[i], workspace, folder, looks) ||
            !lies_in(ask->real_paths[i], workspace, folder, looks)) {
            return false;
        }
    }
    return true;
}

/* ---- Matching ---- */

void rule_begins(struct rule *rule, struct instant now, int64_t wall_ms)
{
    if (rule->expires_at) {
        rule->ends_at = instant_after_ms(now, rule->expires_at - wall_ms);
    }
}

bool rule_expired(const struct rule *rule, int64_t wall_ms)
{
    return rule->expires_at && wall_ms >= rule->expires_at;
}

static bool reaches(const struct rule *rule, const struct rule_place *place)
{
    switch (rule->scope) {
    case RULE_SESSION:
        return !strcmp(rule->session_id, place->session_id) && !strcmp(rule->workspace, place->workspace);
    case RULE_WORKSPACE:
        return !strcmp(rule->workspace, place->workspace);
    case RULE_USER:
        return !strcmp(rule->user, place->created_by);
    case RULE_SCOPE_COUNT:
        break;
    }
    return false;
}

bool rule_covers(const struct rule *rule, const struct rule_place *place, const struct permission_ask *ask,
                 int64_t wall_ms)
{
    if (place->knows_user && !place->knows_user(place->users, rule->user)) {
        return false;
    }
    if (rule_expired(rule, wall_ms) || !reaches(rule, place) || !ask->looked || !ask->workspace_real) {
        return false;
    }
    if (rule->command) {
        return !strcmp(ask->kind, "execute") && ask->rule_command && rule_command_plain(ask->rule_command) &&
               !strcmp(rule->command, ask->rule_command);
    }
    return !strcmp(rule->kind, ask->kind) && paths_lie_in(ask, place->workspace, rule->path);
}

/* ---- What a request offers ---- */

static char *taken(struct buffer *text)
{
    char *whole = buffer_take(text);
    need_ok(whole ? ERR_OK : ERR_NOMEM);
    return whole;
}

static void put_where(struct buffer *label, enum rule_scope scope, const struct rule_place *place)
{
    switch (scope) {
    case RULE_SESSION:
        buffer_text(label, " in this session");
        break;
    case RULE_WORKSPACE:
        buffer_text(label, " in this workspace");
        break;
    default:
        buffer_text(label, " in all sessions of ");
        buffer_text(label, place->created_by);
    }
}

static struct rule_option command_option(enum rule_scope scope, const struct rule_place *place, const char *command)
{
    struct buffer match = {0}, label = {0};
    buffer_text(&match, "command:");
    buffer_text(&match, command);
    buffer_text(&label, "always allow `");
    buffer_text(&label, command);
    buffer_byte(&label, '`');
    put_where(&label, scope, place);
    return (struct rule_option){.scope = scope, .match = taken(&match), .label = taken(&label)};
}

static struct rule_option path_option(enum rule_scope scope, const struct rule_place *place, const char *kind,
                                      const char *folder)
{
    struct buffer match = {0}, label = {0};
    buffer_text(&match, kind);
    buffer_byte(&match, ':');
    buffer_text(&match, folder);
    buffer_text(&label, "always allow to ");
    buffer_text(&label, kind);
    if (strcmp(folder, ".")) {
        buffer_text(&label, " what is in `");
        buffer_text(&label, folder);
        buffer_text(&label, "/`");
    } else {
        buffer_text(&label, " what is in the workspace");
    }
    buffer_byte(&label, ',');
    put_where(&label, scope, place);
    return (struct rule_option){.scope = scope, .match = taken(&match), .label = taken(&label)};
}

/* The folder that all paths lie in, relative to the workspace; "." for the workspace, and where there is none. */
static void common_folder(const struct permission_ask *ask, const char *workspace, bool looks, char folder[RULE_PATH_MAX])
{
    char path[RULE_PATH_MAX];
    size_t root = strlen(workspace);
    size_t common = 0;
    folder[0] = '\0';
    for (size_t i = 0; i < ask->path_count; i++) {
        if (!rule_path_normal(ask->paths[i], path) || !rule_path_within(path, workspace)) {
            common = 0;
            break;
        }
        char *below = path + (root == 1 ? 0 : root);
        below += *below == '/';
        if (!looks || strcmp(ask->kind, "search")) {
            char *slash = strrchr(below, '/');
            *(slash ? slash : below) = '\0'; /* the folder of the file */
        }
        size_t length = strlen(below);
        if (!i) {
            memcpy(folder, below, length + 1);
            common = length;
            continue;
        }
        size_t same = 0;
        for (size_t at = 0; at <= common && at <= length; at++) {
            bool end = (at == common || folder[at] == '/') && (at == length || below[at] == '/');
            same = end ? at : same;
            if (at == common || at == length || folder[at] != below[at]) {
                break;
            }
        }
        common = same;
    }
    folder[common] = '\0';
    if (!common) {
        strcpy(folder, ".");
    }
}

/* Whether a name looks like what it is in a label: it does not end the quotes, and has nothing that is not seen or that
 * turns the direction of what is behind it. */
static bool plain_to_see(const char *name)
{
    static const struct {
        char begin[3];
        unsigned char from, to; /* of the byte behind */
    } hidden[] = {{"\xC2", 0x80, 0x9F},     {"\xC2", 0xAD, 0xAD},     {"\xD8", 0x9C, 0x9C},
                  {"\xE2\x80", 0x8B, 0x8F}, {"\xE2\x80", 0xA8, 0xAE}, {"\xE2\x81", 0xA0, 0xAF},
                  {"\xEF\xBB", 0xBF, 0xBF}, {"\xF3\xA0", 0x80, 0xBF}};
    for (const char *at = name; *at; at++) {
        for (size_t i = 0; i < array_size(hidden); i++) {
            size_t length = strlen(hidden[i].begin);
            unsigned char last = strncmp(at, hidden[i].begin, length) ? 0 : (unsigned char)at[length];
            if (last >= hidden[i].from && last <= hidden[i].to) {
                return false;
            }
        }
    }
    return !strchr(name, '`');
}

size_t rule_options(const struct rule_place *place, const struct permission_ask *ask,
                    struct rule_option out[RULE_OPTIONS_MAX])
{
    struct rule_option made[RULE_OPTIONS_MAX];
    size_t count = 0, kept = 0;
    bool looks = false;
    if (ask->rule_command) {
        for (int scope = 0; scope < RULE_SCOPE_COUNT; scope++) {
            made[count++] = command_option((enum rule_scope)scope, place, ask->rule_command);
        }
    } else if (ask->path_count && kind_has_paths(ask->kind, &looks)) {
        char folder[RULE_PATH_MAX];
        common_folder(ask, place->workspace, looks, folder);
        for (int scope = RULE_SESSION; scope <= RULE_WORKSPACE; scope++) {
            if (strcmp(folder, ".") && plain_to_see(folder)) {
                made[count++] = path_option((enum rule_scope)scope, place, ask->kind, folder);
            }
            made[count++] = path_option((enum rule_scope)scope, place, ask->kind, ".");
        }
        made[count++] = path_option(RULE_USER, place, ask->kind, ".");
    }
    for (size_t i = 0; i < count; i++) {
        /* One that would not have answered this very request is not what its label says. */
        struct rule *rule = rule_of_option(&made[i], place);
        rule->user = need_copy(place->created_by);
        if (rule_covers(rule, place, ask, 0)) {
            out[kept++] = made[i];
        } else {
            rule_options_clear(&made[i], 1);
        }
        rule_free(rule);
    }
    return kept;
}

void rule_options_clear(struct rule_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(options[i].match);
        free(options[i].label);
        options[i] = (struct rule_option){0};
    }
}

void rule_options_write(struct buffer *out, const struct rule_option *options, size_t count)
{
    buffer_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_text(out, i ? ",{" : "{");
        json_field_string(out, "scope", rule_scope_name(options[i].scope));
        json_field_string(out, "match", options[i].match);
        json_field_string(out, "label", options[i].label);
        buffer_byte(out, '}');
    }
    buffer_byte(out, ']');
}

struct rule *rule_of_option(const struct rule_option *option, const struct rule_place *place)
{
    const char *colon = strchr(option->match, ':');
    CHECK(colon); /* it is of our making */
    struct rule *rule = need_zero(sizeof(*rule));
    rule->scope = option->scope;
    rule->session_id = option->scope == RULE_SESSION ? need_copy(place->session_id) : NULL;
    rule->workspace = option->scope == RULE_USER ? NULL : need_copy(place->workspace);
    rule->label = need_copy(option->label);
    if (!strncmp(option->match, "command:", strlen("command:"))) {
        rule->command = need_copy(colon + 1);
    } else {
        rule->kind = need_zero((size_t)(colon - option->match) + 1);
        memcpy(rule->kind, option->match, (size_t)(colon - option->match));
        rule->path = need_copy(colon + 1);
    }
    return rule;
}
