#include <string.h>

#include "core/acp_permission.h"
#include "core/acp_tool.h"
#include "signalbox/base/buffer.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

enum { PATHS_MAX = 32 };

static void put_text(struct buffer *out, struct json_object *text)
{
    buffer_append(out, json_object_get_string(text), (size_t)json_object_get_string_len(text));
}

/* As a shell would have to be given it, so that ["a b"] and ["a", "b"] do not look the same. */
static void put_argument(struct buffer *out, struct json_object *argument)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%+=:,./_-";
    const char *text = json_object_get_string(argument);
    size_t length = (size_t)json_object_get_string_len(argument);
    if (length > 0 && strspn(text, plain) == length) {
        buffer_append(out, text, length);
        return;
    }
    buffer_byte(out, '\'');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'') {
            buffer_text(out, "'\\''");
        } else {
            buffer_byte(out, text[i]);
        }
    }
    buffer_byte(out, '\'');
}

static bool put_command(struct buffer *out, struct json_object *command)
{
    if (json_object_is_type(command, json_type_string)) {
        put_text(out, command);
        return json_object_get_string_len(command) > 0;
    }
    if (!json_object_is_type(command, json_type_array) || json_object_array_length(command) == 0) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(command); i++) {
        struct json_object *argument = json_object_array_get_idx(command, i);
        if (i > 0) {
            buffer_byte(out, ' ');
        }
        if (json_object_is_type(argument, json_type_string)) {
            put_argument(out, argument);
        } else {
            json_put_object(out, argument);
        }
    }
    return true;
}

/* Paths that were named once, in order. */
struct paths {
    const char *path[PATHS_MAX];
    size_t count, more;
};

static void add_path(struct paths *paths, const char *path)
{
    if (path == NULL || path[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < paths->count; i++) {
        if (strcmp(paths->path[i], path) == 0) {
            return;
        }
    }
    if (paths->count < PATHS_MAX) {
        paths->path[paths->count++] = path;
    } else {
        paths->more++;
    }
}

static void add_paths(struct paths *paths, struct json_object *items, bool diffs)
{
    for (size_t i = 0; items != NULL && i < json_object_array_length(items); i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        const char *type = json_get_string(item, "type");
        if (!diffs || (type != NULL && strcmp(type, "diff") == 0)) {
            add_path(paths, json_get_string(item, "path"));
        }
    }
}

/*
 * What the diffs name is what will be written. The input, with what agents are known to call a
 * path, has the same paths in other spellings mostly; but a move's locations may leave out where it
 * goes.
 */
static struct paths find_paths(const struct acp_tool *tool)
{
    static const char *const keys[] = {
        "file_path", "filePath", "filepath", "path",        "abs_path",      "absolute_path",
        "directory", "dir_path", "source",   "source_path", "destination",   "destination_path",
        "old_path",  "new_path", "oldPath",  "newPath",     "notebook_path", "uri",
    };
    struct paths paths = {.count = 0};
    add_paths(&paths, tool->content, true);
    add_paths(&paths, tool->locations, false);
    for (size_t i = 0; i < array_size(keys); i++) {
        if (paths.count == 0 || strcmp(tool->kind, "move") == 0) {
            add_path(&paths, json_get_string(tool->input, keys[i]));
        }
    }
    return paths;
}

/* ToolKinds that say what is done to a path. */
static bool is_deed(const char *kind)
{
    static const char *const deeds[] = {"read", "edit", "delete", "move", "search"};
    for (size_t i = 0; i < array_size(deeds); i++) {
        if (strcmp(kind, deeds[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool put_paths(struct buffer *out, const struct acp_tool *tool)
{
    struct paths paths = find_paths(tool);
    if (paths.count == 0) {
        return false;
    }
    buffer_text(out, is_deed(tool->kind) ? tool->kind : tool->name);
    for (size_t i = 0; i < paths.count; i++) {
        buffer_text(out, i == 0 ? " " : ", ");
        buffer_text(out, paths.path[i]);
    }
    if (paths.more > 0) {
        buffer_format(out, " and %zu more", paths.more);
    }
    return true;
}

void acp_command_write(struct buffer *out, const struct acp_tool *tool)
{
    static const char *const keys[] = {"command", "cmd"};
    for (size_t i = 0; i < array_size(keys); i++) {
        if (put_command(out, json_get(tool->input, keys[i]))) {
            return;
        }
    }
    bool has_title = tool->title != NULL && tool->title[0] != '\0';
    const char *url = json_get_string(tool->input, "url");
    if (strcmp(tool->kind, "fetch") == 0 && url != NULL) {
        buffer_text(out, "fetch ");
        buffer_text(out, url);
        return;
    }
    /* A command's locations are where it runs, and its title is the command itself. */
    bool runs = strcmp(tool->kind, "execute") == 0;
    if ((runs && has_title) || !put_paths(out, tool)) {
        buffer_text(out, has_title ? tool->title : tool->name);
    }
}

void acp_command_describe(struct buffer *out, const struct acp_tool *tool)
{
    if (tool->title != NULL && tool->title[0] != '\0') {
        buffer_text(out, tool->title);
    } else {
        buffer_format(out, "The agent asks to use its tool %s.", tool->name);
    }
}
