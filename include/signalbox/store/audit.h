#pragma once
/*
 * What the store keeps about permissions beside the events of sessions: the rules in force, and the audit, which says
 * for each decision who took it, about what, and from where.
 *
 * Both are written in the transaction of the group that they belong to. A rule can be removed. An entry of the audit
 * stays: nothing in this program changes or removes one, and the purge of a session leaves its entries.
 *
 * What is one of a few words ("session", "allowed") is that word, as clients see it, as in struct session_row: the
 * store does not know the enumerations of the core. Texts are borrowed when writing, malloc'd when read; NULL is none.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"

/* A rule of Signalbox's own, which answers permission requests in a person's place. */
struct stored_rule {
    int64_t key;        /* the store's, when read: ascending in the order in which they were made; never reused */
    char *id;           /* unique over all rules and restarts */
    char *user;         /* who made it */
    char *scope;        /* "session", "workspace" or "user" */
    int64_t session_key; /* scope "session": the session, with whose purge the rule goes; else 0 */
    char *session_id;   /* scope "session": the same one's id; else NULL */
    char *workspace;    /* "session" and "workspace": the folder in which it holds; "user": NULL */
    char *match;        /* what is matched: "command" (then `command` is set) or "path" (`tool_kind` and `path`) */
    char *command;      /* the whole command line */
    char *tool_kind;    /* ACP's kind of tool, such as "edit" */
    char *path;         /* the folder that all it touches lies in, relative to the workspace; "." for all of it */
    char *label;        /* what the person was shown when the rule was made */
    int64_t created_at; /* wall ms */
    int64_t expires_at; /* wall ms; 0: never */
    char *request_id;   /* the request whose answer made it */
};
/* Frees the texts of one that was read or copied; all zero afterwards. */
void stored_rule_clear(struct stored_rule *rule);
/* A copy with texts of its own. ERR_NOMEM leaves `to` all zero. */
must_check enum err stored_rule_copy(struct stored_rule *to, const struct stored_rule *from);
/* Writes it as clients see it (docs/protocol.md, "Rules and audit"). */
void stored_rule_json(struct buffer *out, const struct stored_rule *rule);

/*
 * One entry of the audit. `action` says which of its fields mean something:
 *
 *   "decision"        a permission request ended: all of the first part, and how (`outcome`, `by`)
 *   "rule_made"       a rule was made: `rule`, `rule_id`. Only where no decision made it; else the decision says so
 *   "rule_removed"    a rule was revoked, or has expired: `rule`, `rule_id`, `by` ("user", or "timeout")
 *   "policy_changed"  of a session: `policy` is the new one, `policy_before` the old one
 *   "service_refused" what an agent wanted done for it was not done: `policy` is why, `reason` says what
 *   "session_erased"  all of a session but this was erased, by `user`
 *
 * New actions may be added: whoever reads takes an unknown one for what it says.
 */
struct audit_entry {
    int64_t number; /* when read: 1, 2, 3 ... without holes, in the order of commits; the store gives it */
    int64_t at;     /* wall ms; may go back where the clock was set */
    char *action;

    /* What it was about. */
    char *session_id, *workspace, *agent;
    char *request_id;
    char *request;     /* the request's object, JSON text, as clients were shown it */

    /* How it ended. */
    char *outcome;     /* "allowed", "rejected", "timeout" or "cancelled" */
    char *option_id;   /* the agent's option that it was given */
    bool always_allow; /* that option is of the kind allow_always */
    char *by;          /* "user", "rule", "policy", "timeout", "limit" or "cancellation" */
    char *user;        /* the person behind it: who answered, revoked, changed or cancelled; of a rule: who made the
                          rule. NULL: nobody */
    char *rule_id;     /* by "rule": the rule that answered; rule_made and rule_removed: that rule */
    char *policy;      /* by "policy": the policy that answered; policy_changed: the new one */
    char *policy_before;
    char *reason;      /* of a cancellation, as in permission_cancelled; else why, where there is more to say */
    char *message;     /* what the person wrote with the answer */
    char *made_rule_id; /* the rule that this decision made */
    char *rule;        /* the rule made or removed, JSON text by stored_rule_json, since it may be gone when this is read */

    /* From where; all NULL where no command was behind it. */
    char *address;     /* of the peer, such as "192.0.2.7:51812" */
    char *client_id;
    char *transport;   /* "websocket" or "http" */
    char *command_id;  /* the command's id, or the Idempotency-Key */
};
/* Frees the texts of one that was read or copied; all zero afterwards. */
void audit_entry_clear(struct audit_entry *entry);
/* A copy with texts of its own. ERR_NOMEM leaves `to` all zero. */
must_check enum err audit_entry_copy(struct audit_entry *to, const struct audit_entry *from);
/* Writes it as clients see it (docs/protocol.md, "Rules and audit"). */
void audit_entry_json(struct buffer *out, const struct audit_entry *entry);

/* Which of them are wanted: those for which every text that is set is theirs. */
struct rule_filter {
    const char *user, *session_id, *workspace;
};
struct audit_filter {
    const char *session_id, *user, *outcome;
    int64_t since; /* wall ms: not before it; 0: from the beginning */
    int64_t until; /* wall ms: before it; 0: to the end */
};
bool rule_filter_passes(const struct rule_filter *filter, const struct stored_rule *rule);
bool audit_filter_passes(const struct audit_filter *filter, const struct audit_entry *entry);
