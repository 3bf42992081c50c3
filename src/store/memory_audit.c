#include "memory_audit.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more of `size` bytes. The items' new place, or NULL. */
static void *grown(void *items, size_t needed, size_t *capacity, size_t size)
{
    if (needed <= *capacity) {
        return items;
    }
    void *moved = realloc(items, needed * 2 * size);
    if (moved != NULL) {
        *capacity = needed * 2;
    }
    return moved;
}

enum err memory_audit_stage_rule(struct memory_audit *audit, const struct stored_rule *rule)
{
    size_t count = audit->rule_count + audit->rules_staged;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(audit->rules[i].id, rule->id) == 0) {
            return ERR_EXIST;
        }
    }
    struct stored_rule *rules = grown(audit->rules, count + 1, &audit->rule_capacity, sizeof(*rules));
    if (rules == NULL) {
        return ERR_NOMEM;
    }
    audit->rules = rules;
    enum err err = stored_rule_copy(&rules[count], rule);
    audit->rules_staged += err == ERR_OK;
    return err;
}

enum err memory_audit_stage_entry(struct memory_audit *audit, const struct audit_entry *entry)
{
    size_t count = audit->entry_count + audit->entries_staged;
    struct audit_entry *entries =
        grown(audit->entries, count + 1, &audit->entry_capacity, sizeof(*entries));
    if (entries == NULL) {
        return ERR_NOMEM;
    }
    audit->entries = entries;
    enum err err = audit_entry_copy(&entries[count], entry);
    audit->entries_staged += err == ERR_OK;
    return err;
}

void memory_audit_commit_rule(struct memory_audit *audit)
{
    audit->rules[audit->rule_count++].key = ++audit->last_rule_key;
    audit->rules_staged--;
}

void memory_audit_commit_entry(struct memory_audit *audit)
{
    struct audit_entry *entry = &audit->entries[audit->entry_count++];
    entry->number = (int64_t)audit->entry_count;
    audit->entries_staged--;
}

void memory_audit_unstage(struct memory_audit *audit)
{
    while (audit->rules_staged > 0) {
        stored_rule_clear(&audit->rules[audit->rule_count + --audit->rules_staged]);
    }
    while (audit->entries_staged > 0) {
        audit_entry_clear(&audit->entries[audit->entry_count + --audit->entries_staged]);
    }
}

static void remove_at(struct memory_audit *audit, size_t at)
{
    stored_rule_clear(&audit->rules[at]);
    audit->rule_count--;
    memmove(&audit->rules[at], &audit->rules[at + 1],
            (audit->rule_count + audit->rules_staged - at) * sizeof(*audit->rules));
}

void memory_audit_remove_rule(struct memory_audit *audit, const char *id)
{
    for (size_t i = 0; i < audit->rule_count; i++) {
        if (strcmp(audit->rules[i].id, id) == 0) {
            remove_at(audit, i);
            return;
        }
    }
}

void memory_audit_purge(struct memory_audit *audit, int64_t session_key)
{
    for (size_t i = 0; i < audit->rule_count;) {
        if (audit->rules[i].session_key == session_key) {
            remove_at(audit, i);
        } else {
            i++;
        }
    }
}

void memory_audit_list_rules(const struct memory_audit *audit, int64_t after_key, size_t limit,
                             const struct rule_filter *filter, store_rule_visit *visit, void *context)
{
    for (size_t i = 0; i < audit->rule_count && limit > 0; i++) {
        const struct stored_rule *rule = &audit->rules[i];
        if (rule->key > after_key && (filter == NULL || rule_filter_passes(filter, rule))) {
            limit--;
            if (!visit(context, rule)) {
                return;
            }
        }
    }
}

void memory_audit_list(const struct memory_audit *audit, int64_t after, bool newest_first, size_t limit,
                       const struct audit_filter *filter, store_audit_visit *visit, void *context)
{
    for (size_t i = 0; i < audit->entry_count && limit > 0; i++) {
        const struct audit_entry *entry = &audit->entries[newest_first ? audit->entry_count - 1 - i : i];
        bool behind = newest_first ? after == 0 || entry->number < after : entry->number > after;
        if (behind && (filter == NULL || audit_filter_passes(filter, entry))) {
            limit--;
            if (!visit(context, entry)) {
                return;
            }
        }
    }
}

void memory_audit_clear(struct memory_audit *audit)
{
    memory_audit_unstage(audit);
    while (audit->rule_count > 0) {
        stored_rule_clear(&audit->rules[--audit->rule_count]);
    }
    while (audit->entry_count > 0) {
        audit_entry_clear(&audit->entries[--audit->entry_count]);
    }
    free(audit->rules);
    free(audit->entries);
    *audit = (struct memory_audit){0};
}
