#pragma once
/* Rules and the audit of the store in memory; guarded by its mutex. */
#include "signalbox/store/store.h"

struct memory_audit {
    struct stored_rule *rules; /* by key; behind them `rules_staged` of the group that is being tried */
    size_t rule_count, rules_staged, rule_capacity;
    int64_t last_rule_key;     /* that was given */
    struct audit_entry *entries; /* by number, from 1; behind them the staged ones */
    size_t entry_count, entries_staged, entry_capacity;
};

/* A copy, which waits for its commit or for memory_audit_unstage. ERR_NOMEM; ERR_EXIST: the rule's id is there. */
must_check enum err memory_audit_stage_rule(struct memory_audit *audit, const struct stored_rule *rule);
must_check enum err memory_audit_stage_entry(struct memory_audit *audit, const struct audit_entry *entry);
/* The first staged one is stored. */
void memory_audit_commit_rule(struct memory_audit *audit);
void memory_audit_commit_entry(struct memory_audit *audit);
void memory_audit_unstage(struct memory_audit *audit);
void memory_audit_remove_rule(struct memory_audit *audit, const char *id);
/* Those of scope "session" of this session. */
void memory_audit_purge(struct memory_audit *audit, int64_t session_key);
/* As in struct store_operations. */
void memory_audit_list_rules(const struct memory_audit *audit, int64_t after_key, size_t limit,
                             const struct rule_filter *filter, store_rule_visit *visit, void *context);
void memory_audit_list(const struct memory_audit *audit, int64_t after, bool newest_first, size_t limit,
                       const struct audit_filter *filter, store_audit_visit *visit, void *context);
void memory_audit_clear(struct memory_audit *audit);
