/* Rules and entries of the audit: their texts, their JSON, and what a filter lets pass. */
#include "signalbox/store/audit.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

static const size_t rule_texts[] = {
    offsetof(struct stored_rule, id),         offsetof(struct stored_rule, user),
    offsetof(struct stored_rule, scope),      offsetof(struct stored_rule, session_id),
    offsetof(struct stored_rule, workspace),  offsetof(struct stored_rule, match),
    offsetof(struct stored_rule, command),    offsetof(struct stored_rule, tool_kind),
    offsetof(struct stored_rule, path),       offsetof(struct stored_rule, label),
    offsetof(struct stored_rule, request_id),
};

static const size_t entry_texts[] = {
    offsetof(struct audit_entry, action),       offsetof(struct audit_entry, session_id),
    offsetof(struct audit_entry, workspace),    offsetof(struct audit_entry, agent),
    offsetof(struct audit_entry, request_id),   offsetof(struct audit_entry, request),
    offsetof(struct audit_entry, outcome),      offsetof(struct audit_entry, option_id),
    offsetof(struct audit_entry, by),           offsetof(struct audit_entry, user),
    offsetof(struct audit_entry, rule_id),      offsetof(struct audit_entry, policy),
    offsetof(struct audit_entry, policy_before), offsetof(struct audit_entry, reason),
    offsetof(struct audit_entry, message),      offsetof(struct audit_entry, made_rule_id),
    offsetof(struct audit_entry, rule),         offsetof(struct audit_entry, address),
    offsetof(struct audit_entry, client_id),    offsetof(struct audit_entry, transport),
    offsetof(struct audit_entry, command_id),
};

static char **text_at(void *of, size_t offset)
{
    return (char **)(void *)((char *)of + offset);
}

static void free_texts(void *of, const size_t *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(*text_at(of, texts[i]));
    }
}

/* In the place of the borrowed ones that `of` has. False: one of them is missing, for lack of memory. */
static bool copy_texts(void *of, const size_t *texts, size_t count)
{
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        char **text = text_at(of, texts[i]);
        if (*text != NULL) {
            *text = strdup(*text);
            whole = whole && *text != NULL;
        }
    }
    return whole;
}

void stored_rule_clear(struct stored_rule *rule)
{
    free_texts(rule, rule_texts, array_size(rule_texts));
    *rule = (struct stored_rule){0};
}

enum err stored_rule_copy(struct stored_rule *to, const struct stored_rule *from)
{
    *to = *from;
    if (!copy_texts(to, rule_texts, array_size(rule_texts))) {
        stored_rule_clear(to);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

void audit_entry_clear(struct audit_entry *entry)
{
    free_texts(entry, entry_texts, array_size(entry_texts));
    *entry = (struct audit_entry){0};
}

enum err audit_entry_copy(struct audit_entry *to, const struct audit_entry *from)
{
    *to = *from;
    if (!copy_texts(to, entry_texts, array_size(entry_texts))) {
        audit_entry_clear(to);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

void stored_rule_json(struct buffer *out, const struct stored_rule *rule)
{
    buffer_byte(out, '{');
    json_field_string(out, "ruleId", rule->id);
    json_field_string(out, "user", rule->user);
    json_field_string(out, "scope", rule->scope);
    json_field_string(out, "sessionId", rule->session_id);
    json_field_string(out, "workspace", rule->workspace);
    json_field_string(out, "match", rule->match);
    json_field_string(out, "command", rule->command);
    json_field_string(out, "kind", rule->tool_kind);
    json_field_string(out, "path", rule->path);
    json_field_string(out, "label", rule->label);
    json_field_i64(out, "createdAt", rule->created_at);
    if (rule->expires_at != 0) {
        json_field_i64(out, "expiresAt", rule->expires_at);
    } else {
        json_field_raw(out, "expiresAt", "null");
    }
    json_field_string(out, "requestId", rule->request_id);
    buffer_byte(out, '}');
}

static void put_from(struct buffer *out, const struct audit_entry *entry)
{
    if (!entry->address && !entry->client_id && !entry->transport && !entry->command_id) {
        return;
    }
    json_key(out, "from");
    buffer_byte(out, '{');
    json_field_string(out, "address", entry->address);
    json_field_string(out, "transport", entry->transport);
    json_field_string(out, "clientId", entry->client_id);
    json_field_string(out, "id", entry->command_id);
    buffer_byte(out, '}');
}

void audit_entry_json(struct buffer *out, const struct audit_entry *entry)
{
    buffer_byte(out, '{');
    json_field_i64(out, "number", entry->number);
    json_field_i64(out, "at", entry->at);
    json_field_string(out, "action", entry->action);
    json_field_string(out, "sessionId", entry->session_id);
    json_field_string(out, "workspace", entry->workspace);
    json_field_string(out, "agent", entry->agent);
    json_field_string(out, "requestId", entry->request_id);
    json_field_string(out, "outcome", entry->outcome);
    json_field_string(out, "optionId", entry->option_id);
    if (entry->outcome != NULL) {
        json_field_bool(out, "alwaysAllow", entry->always_allow);
    }
    json_field_string(out, "by", entry->by);
    json_field_string(out, "user", entry->user);
    json_field_string(out, "ruleId", entry->rule_id);
    json_field_string(out, "policy", entry->policy);
    json_field_string(out, "policyBefore", entry->policy_before);
    json_field_string(out, "reason", entry->reason);
    json_field_string(out, "message", entry->message);
    json_field_string(out, "madeRuleId", entry->made_rule_id);
    json_field_raw(out, "rule", entry->rule);
    put_from(out, entry);
    json_field_raw(out, "request", entry->request);
    buffer_byte(out, '}');
}

static bool same(const char *wanted, const char *is)
{
    return wanted == NULL || (is != NULL && strcmp(wanted, is) == 0);
}

bool rule_filter_passes(const struct rule_filter *filter, const struct stored_rule *rule)
{
    return same(filter->user, rule->user) && same(filter->session_id, rule->session_id) &&
           same(filter->workspace, rule->workspace);
}

bool audit_filter_passes(const struct audit_filter *filter, const struct audit_entry *entry)
{
    return same(filter->session_id, entry->session_id) && same(filter->user, entry->user) &&
           same(filter->outcome, entry->outcome) &&
           (filter->since == 0 || entry->at >= filter->since) &&
           (filter->until == 0 || entry->at < filter->until);
}
