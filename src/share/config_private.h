#pragma once
/*
 * What the files of the configuration share: a snapshot with its reference count, the table of
 * options as data, and the texts that a configuration is made of before they are checked.
 */
#include <stdarg.h>

#include "signalbox/base/check.h"
#include "signalbox/base/rcu.h"
#include "signalbox/share/config.h"

enum { CONFIG_FILE_LIMIT = 1024 * 1024, CONFIG_DIGEST_SIZE = 32, CONFIG_JSON_DEPTH = 64 };

struct config_box {
    struct config config;
    struct ref ref;
    struct rcu_head retire;
    bool published; /* written before it is published, by its only holder */
    uint8_t settings_digest[CONFIG_DIGEST_SIZE];
    uint8_t theme_digest[CONFIG_DIGEST_SIZE];
};

static inline struct config_box *config_box(const struct config *config)
{
    return container_of((struct config *)(uintptr_t)config, struct config_box, config);
}

/* ---- The table as data ---- */

enum config_type {
    CONFIG_BOOL,
    CONFIG_COUNT,
    CONFIG_MS,
    CONFIG_BYTES,
    CONFIG_LEVEL,
    CONFIG_DURABILITY,
    CONFIG_WRITES,
    CONFIG_ACTION,
    CONFIG_POLICY,
    CONFIG_ADDRESS,
    CONFIG_PATH,
    CONFIG_LIST,
    CONFIG_PATHS,
};
enum config_when { CONFIG_RELOAD, CONFIG_RESTART };

struct config_option {
    enum config_type type;
    size_t offset; /* of its field in struct config */
    const char *key;
    const char *fallback;
    int64_t minimum, maximum;
    enum config_when when;
    const char *help;
};

enum config_option_index {
#define X(type, field, key, fallback, minimum, maximum, when, help) CONFIG_OPTION_##field,
    CONFIG_OPTIONS(X)
#undef X
        CONFIG_OPTION_COUNT
};
extern const struct config_option config_options[CONFIG_OPTION_COUNT];

enum config_agent_option_index {
    CONFIG_AGENT_COMMAND,
    CONFIG_AGENT_ENVIRONMENT,
    CONFIG_AGENT_TITLE,
    CONFIG_AGENT_INSTALL,
    CONFIG_AGENT_LOGIN,
    CONFIG_AGENT_OFFERS,
    CONFIG_AGENT_PERMISSION_TIMEOUT,
    CONFIG_AGENT_PERMISSION_TIMEOUTS,
    CONFIG_AGENT_PERMISSION_ACTION,
    CONFIG_AGENT_WIRE_LOG,
    CONFIG_AGENT_IDLE,
    CONFIG_AGENT_SILENCE,
    CONFIG_AGENT_HANG,
    CONFIG_AGENT_MEMORY,
    CONFIG_AGENT_CPU,
    CONFIG_AGENT_FILES,
    CONFIG_AGENT_FILE_SIZE,
    CONFIG_AGENT_NICE,
    CONFIG_AGENT_OOM_SCORE,
    CONFIG_AGENT_OPTION_COUNT
};
struct config_agent_option {
    const char *key, *type, *fallback, *help;
};
extern const struct config_agent_option config_agent_options[CONFIG_AGENT_OPTION_COUNT];

static inline bool config_type_is_list(enum config_type type)
{
    return type == CONFIG_LIST || type == CONFIG_PATHS;
}
static inline bool config_type_is_number(enum config_type type)
{
    return type == CONFIG_COUNT || type == CONFIG_MS || type == CONFIG_BYTES;
}
/* CONFIG_OPTION_COUNT if there is none of this key. */
enum config_option_index config_option_find(const char *key);
/* The option's field. */
void *config_option_field(const struct config *config, const struct config_option *option);

/* A whole number in bounds. False, with a reason in *reason (malloc'd, or NULL when out of memory),
 * otherwise. */
must_check bool config_number_parse(const char *key, enum config_type type, int64_t minimum,
                                    int64_t maximum, const char *text, int64_t *out, char **reason);

/* ---- Lists ---- */

/* Keeps items NULL-terminated. Takes nothing over. */
must_check enum err config_list_add(struct config_list *list, const char *text);
/* Takes `text` over, also on failure; NULL (an allocation that failed before) is ERR_NOMEM. */
must_check enum err config_list_take(struct config_list *list, char *text);
must_check enum err config_list_copy(struct config_list *to, const struct config_list *from);
void config_list_free(struct config_list *list); /* also resets it */
bool config_list_equal(const struct config_list *a, const struct config_list *b);

/* ---- Errors ---- */

/* Keeps the first one. Returns `err`. `file` may be NULL. */
enum err config_error_set(struct config_error *error, enum err err, const char *file, int line,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));
enum err config_error_set_list(struct config_error *error, enum err err, const char *file, int line,
                               const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

/* ---- Before it is checked ---- */

struct config_raw {
    struct config_list values;
    int line;    /* 0: not in the file */
    bool given;  /* in the file or by --set */
    bool by_set; /* --set has the last word */
};
struct config_raw_agent {
    char *name;
    int line;
    struct config_raw options[CONFIG_AGENT_OPTION_COUNT];
};
struct config_draft {
    struct config_raw options[CONFIG_OPTION_COUNT];
    struct config_raw_agent *agents;
    size_t agent_count;
};
void config_draft_free(struct config_draft *draft);

/* Blanks out comments in place, keeping every line where it is, and refuses strings, comments and
 * braces that are not closed: libconfuse counts lines wrongly where there are comments, and takes
 * an open comment or section for the end. */
must_check enum err config_scan(char *text, const char *file, struct config_error *error);
/* The only caller of libconfuse. Changes `text`. */
must_check enum err config_parse(struct config_draft *draft, char *text, const char *file,
                                 struct config_error *error);

/* ---- From the draft to the snapshot ---- */

struct config_build {
    struct config *config;
    const struct config_source *source;
    struct config_draft draft;
    struct config_error *error;
};
/* Converts the text of each option into its field. */
must_check enum err config_build_options(struct config_build *build);
/* False if it is neither true nor false, in one of the words for them. */
bool config_bool_parse(const char *text, bool *out);
/* config_build_agent.c */
must_check enum err config_build_agents(struct config_build *build);
/* Where an error about an agent is to be reported. */
enum err config_agent_fail(struct config_build *build, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* config_permission.c: timeouts by kind, policies, and what is denied. */
must_check enum err config_build_permissions(struct config_build *build);
must_check enum err config_build_agent_permissions(struct config_build *build,
                                                   const struct config_raw_agent *raw,
                                                   struct config_agent *agent);
void config_timeouts_free(struct config_timeouts *timeouts);
/* False if it is neither reject nor cancel. */
bool config_action_parse(const char *text, enum config_action *out);
/* What concerns several options; after RESTART values were kept. */
must_check enum err config_check(struct config_build *build);
/* Splits listen into host, port and whether it is a loopback address. */
must_check enum err config_check_address(struct config_build *build);
/* Where an error about this option is to be reported. */
enum err config_build_fail(struct config_build *build, enum config_option_index index, enum err err,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Frees what a snapshot holds and the snapshot; nobody else may know it. */
void config_destroy(struct config_box *box);

/* A path as it is meant: ~/ is the home folder, and a relative one starts at `base`. malloc'd; NULL
 * when out of memory. */
char *config_path_absolute(const char *base, const char *path);
/* The folder of this file; malloc'd; NULL when out of memory. */
char *config_path_folder(const char *file);
