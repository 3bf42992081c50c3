#pragma once
/* JSON Pointers (RFC 6901) that end in a name with `~`: json-c 0.16's json_pointer_set takes its last part as it stands. */
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdlib.h>
#include <string.h>

/* Takes `value`. 0 when it was put there. */
static inline int pointer_put(struct json_object *root, const char *path, struct json_object *value)
{
    const char *last = strrchr(path, '/');
    char *parent_path = strndup(path, (size_t)(last - path));
    struct json_object *parent = root;
    int failed = *parent_path ? json_pointer_get(root, parent_path, &parent) : 0;
    free(parent_path);
    if (failed) {
        return failed;
    }
    if (json_object_is_type(parent, json_type_array)) {
        return json_object_array_put_idx(parent, strtoul(last + 1, NULL, 10), value);
    }
    char *name = strdup(last + 1), *to = name;
    for (const char *from = name; *from; from++) {
        *to++ = *from == '~' && from[1] ? (*++from == '0' ? '~' : '/') : *from;
    }
    *to = '\0';
    failed = json_object_object_add(parent, name, value);
    free(name);
    return failed;
}
