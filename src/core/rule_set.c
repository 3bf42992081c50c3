/* All rules, by what they match: a request looks at those few that could be meant. */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/core/rule.h"

enum { BUCKETS = 1024 };

struct rule_set {
    size_t count;
    struct rule *buckets[BUCKETS]; /* oldest first */
};

enum err rule_set_new(struct rule_set **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? ERR_OK : ERR_NOMEM;
}

void rule_set_free(struct rule_set *set)
{
    for (size_t i = 0; set && i < BUCKETS; i++) {
        while (set->buckets[i]) {
            struct rule *rule = set->buckets[i];
            set->buckets[i] = rule->next;
            rule_free(rule);
        }
    }
    free(set);
}

size_t rule_set_count(const struct rule_set *set)
{
    return set->count;
}

/* By the command, or by the kind of tool. (FNV-1a; whoever makes rules that meet makes requests slow for those who made
 * them.) */
static size_t bucket_of(const char *command, const char *kind)
{
    uint64_t hash = command ? UINT64_C(0xcbf29ce484222325) : UINT64_C(0x84222325cbf29ce4);
    for (const char *at = command ? command : kind; *at; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    }
    return (size_t)((hash >> 32) % BUCKETS);
}

void rule_set_add(struct rule_set *set, struct rule *rule)
{
    struct rule **at = &set->buckets[bucket_of(rule->command, rule->kind)];
    while (*at) {
        at = &(*at)->next;
    }
    rule->next = NULL;
    *at = rule;
    set->count++;
}

struct rule *rule_set_remove(struct rule_set *set, const char *id)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct rule **at = &set->buckets[i]; *at; at = &(*at)->next) {
            if (!strcmp((*at)->id, id)) {
                struct rule *rule = *at;
                *at = rule->next;
                rule->next = NULL;
                set->count--;
                return rule;
            }
        }
    }
    return NULL;
}

const struct rule *rule_set_search(const struct rule_set *set, bool (*wanted)(const struct rule *rule, const void *context),
                                   const void *context)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct rule *rule = set->buckets[i]; rule; rule = rule->next) {
            if (wanted(rule, context)) {
                return rule;
            }
        }
    }
    return NULL;
}

static bool has_id(const struct rule *rule, const void *id)
{
    return !strcmp(rule->id, id);
}

const struct rule *rule_set_find(const struct rule_set *set, const char *id)
{
    return rule_set_search(set, has_id, id);
}

static const struct rule *match_in(const struct rule *rule, const struct rule_place *place,
                                   const struct permission_ask *ask, int64_t wall_ms)
{
    while (rule && !rule_covers(rule, place, ask, wall_ms)) {
        rule = rule->next;
    }
    return rule;
}

const struct rule *rule_set_match(const struct rule_set *set, const struct rule_place *place,
                                  const struct permission_ask *ask, int64_t wall_ms)
{
    if (ask->rule_command) {
        return match_in(set->buckets[bucket_of(ask->rule_command, NULL)], place, ask, wall_ms);
    }
    return match_in(set->buckets[bucket_of(NULL, ask->kind)], place, ask, wall_ms);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

struct rule *rule_set_same(const struct rule_set *set, const struct rule *rule)
{
    struct rule *other = set->buckets[bucket_of(rule->command, rule->kind)];
    while (other && !(other->scope == rule->scope && same(other->session_id, rule->session_id) &&
                      same(other->workspace, rule->workspace) && same(other->command, rule->command) &&
                      same(other->kind, rule->kind) && same(other->path, rule->path) &&
                      (rule->scope != RULE_USER || same(other->user, rule->user)))) {
        other = other->next;
    }
    return other;
}

struct instant rule_set_next_end(const struct rule_set *set)
{
    struct instant next = INSTANT_NEVER;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct rule *rule = set->buckets[i]; rule; rule = rule->next) {
            if (rule->ends_at.ns != 0) {
                next = instant_earlier(next, rule->ends_at);
            }
        }
    }
    return next;
}
