#pragma once
/*
 * Rules of Signalbox's own: "always allow `npm test` in this workspace". A person makes one by an answer to a
 * permission request, and from then on it answers such requests in that person's place. Pure.
 *
 * A rule never matches more than its label said, so what it is compared with is narrow: an exact command of plain
 * words, or a kind of tool and the folder that all paths of the request lie in, with links resolved. Where a request
 * may be more than what can be compared, no rule matches it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"
#include "signalbox/core/agent.h"

enum { RULE_COMMAND_MAX = 4096, RULE_PATH_MAX = 4096, RULE_PATHS_MAX = 64 };

/* How far a rule reaches: one session; the sessions of one workspace; the sessions that one user created. */
#define RULE_SCOPES(X)                                                                             \
    X(SESSION, "session")                                                                          \
    X(WORKSPACE, "workspace")                                                                      \
    X(USER, "user")
enum rule_scope {
#define X(symbol, name) RULE_##symbol,
    RULE_SCOPES(X)
#undef X
        RULE_SCOPE_COUNT
};
const char *rule_scope_name(enum rule_scope scope);
/* false if it is none of ours. */
bool rule_scope_parse(const char *name, enum rule_scope *out);

struct rule {
    struct rule *next; /* in its set's bucket */
    char *id;
    enum rule_scope scope;
    char *user;        /* who made it; RULE_USER: in whose sessions it holds */
    char *session_id;  /* RULE_SESSION; else NULL */
    char *workspace;   /* RULE_SESSION and RULE_WORKSPACE; else NULL */
    char *command;     /* what is matched: this command, */
    char *kind, *path; /* or this kind of tool below this folder: relative to the workspace, "." for all of it */
    char *label;       /* what the person was shown */
    char *request_id;  /* whose answer made it */
    int64_t created_at, expires_at; /* wall ms; 0: never */
    /* The same by the monotonic clock, from when it was made or read, so that a clock that is set back does not lengthen it;
     * ns 0: never. */
    struct instant ends_at;
};
void rule_free(struct rule *rule); /* NULL is fine */

/* Gives it `ends_at`, as of this moment. */
void rule_begins(struct rule *rule, struct instant now, int64_t wall_ms);

/* Whose request is judged. Borrowed. */
struct rule_place {
    const char *session_id, *workspace, *created_by;
    /* Whether there is still such a user; NULL: there is. The rules of others answer nothing. */
    bool (*knows_user)(const void *users, const char *user);
    const void *users;
};

/* Whether the rule answers this request, at this wall-clock time. */
bool rule_covers(const struct rule *rule, const struct rule_place *place, const struct permission_ask *ask,
                 int64_t wall_ms);
bool rule_expired(const struct rule *rule, int64_t wall_ms);

/* A rule that could be made of a request, as its `rememberOptions` show it. */
struct rule_option {
    enum rule_scope scope;
    char *match, *label; /* owned */
};
enum { RULE_OPTIONS_MAX = 5 };
/* All of them, the narrowest first, each of which covers this request. The dispatcher's memory (base/need.h). */
size_t rule_options(const struct rule_place *place, const struct permission_ask *ask,
                    struct rule_option out[RULE_OPTIONS_MAX]);
void rule_options_clear(struct rule_option *options, size_t count);
/* The JSON array. */
void rule_options_write(struct buffer *out, const struct rule_option *options, size_t count);
/* The rule of this option; id, user, request_id and times are the caller's to set. */
struct rule *rule_of_option(const struct rule_option *option, const struct rule_place *place);

/* Words of letters, digits and `_@%+=:,./-`, a single space between them: nothing that a shell reads as more. */
bool rule_command_plain(const char *command);

/* ---- Paths ---- */

/* The path in normal form, without `.`, `..` and double slashes, as it is written: links are not known here. False if
 * it is not absolute, is too long or has control characters. */
bool rule_path_normal(const char *path, char out[RULE_PATH_MAX]);
/* Whether a path in normal form lies below this folder, or is it. */
bool rule_path_within(const char *path, const char *folder);

/* ---- All rules ---- */

struct rule_set;
must_check enum err rule_set_new(struct rule_set **out);
void rule_set_free(struct rule_set *set); /* with its rules; NULL is fine */
size_t rule_set_count(const struct rule_set *set);
/* Takes it. */
void rule_set_add(struct rule_set *set, struct rule *rule);
/* Gives it back to the caller; NULL if there is none. */
struct rule *rule_set_remove(struct rule_set *set, const char *id);
const struct rule *rule_set_find(const struct rule_set *set, const char *id);
/* The oldest rule that answers this request; NULL if none does. */
const struct rule *rule_set_match(const struct rule_set *set, const struct rule_place *place,
                                  const struct permission_ask *ask, int64_t wall_ms);
/* One that says the same as this one, but for who made it, and when; expired ones too. */
struct rule *rule_set_same(const struct rule_set *set, const struct rule *rule);
/* The first for which `wanted` says yes; NULL if there is none. Good until the set is changed. */
const struct rule *rule_set_search(const struct rule_set *set, bool (*wanted)(const struct rule *rule, const void *context),
                                   const void *context);
/* When the next one ends by `ends_at`; INSTANT_NEVER: none will. */
struct instant rule_set_next_end(const struct rule_set *set);
