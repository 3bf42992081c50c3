/* What permission requests need of others, and what is recorded of how they end. */
#include "dispatch_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/need.h"

struct caller dispatch_caller(const struct dispatch_command *command)
{
    return (struct caller){.user = command->identity.user,
                           .client_id = command->identity.client_id,
                           .id = command->command->id,
                           .address = command->identity.address,
                           .transport = command->over_rest ? "http" : "websocket",
                           .reply = command};
}

void dispatch_audit_from(struct audit_entry *entry, const struct caller *caller)
{
    if (caller) {
        entry->address = need_copy(caller->address);
        entry->client_id = caller->client_id && *caller->client_id ? need_copy(caller->client_id) : NULL;
        entry->transport = need_copy(caller->transport);
        entry->command_id = need_copy(caller->id);
    }
}

/* ---- Where the paths of a request lead: the dispatcher does not look at the disk ---- */

static void sink_look(void *context, struct session *session, const struct permission_ask *ask)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct look_request *request = need_zero(sizeof(*request));
    *request = (struct look_request){.mail.kind = MAINTENANCE_LOOK,
                                     .reply_to = dispatch->inbox,
                                     .reply_kind = DISPATCH_LOOKED,
                                     .topic = topic_get(held->topic),
                                     .run = session->run,
                                     .request_id = need_copy(ask->request_id),
                                     .workspace = need_copy(session->workspace),
                                     .count = ask->path_count,
                                     .paths = need_zero((ask->path_count + 1) * sizeof(char *)),
                                     .real_paths = need_zero((ask->path_count + 1) * sizeof(char *))};
    for (size_t i = 0; i < ask->path_count; i++) {
        request->paths[i] = need_copy(ask->paths[i]);
    }
    mailbox_push(dispatch->wiring.maintenance, &request->mail);
}

void dispatch_looked(struct dispatch *dispatch, struct look_request *request)
{
    struct held *held = request->topic->session;
    if (held && held->session->run == request->run) {
        dispatch_step(dispatch, held);
        if (session_permission_looked(held->session, &dispatch->sink, &dispatch->now, request->request_id,
                                      request->real_paths, request->workspace_real)) {
            request->real_paths = NULL;
        }
    }
    look_request_free(request);
}

/* ---- The audit ---- */

static const char *outcome_name(enum permission_outcome outcome)
{
    static const char *const names[] = {[OUTCOME_PENDING] = "pending",
                                        [OUTCOME_ALLOWED] = "allowed",
                                        [OUTCOME_REJECTED] = "rejected",
                                        [OUTCOME_TIMEOUT] = "timeout",
                                        [OUTCOME_CANCELLED] = "cancelled"};
    return names[outcome];
}

static void sink_decided(void *context, struct session *session, const struct session_decision *decision)
{
    struct dispatch *dispatch = context;
    const struct permission *permission = decision->permission;
    struct audit_entry *entry = &dispatch_out(dispatch, JOURNAL_AUDIT, NULL)->audit;
    *entry = (struct audit_entry){
        .at = dispatch->now.wall_ms,
        .action = need_copy(permission ? "decision" : decision->service ? "service_refused" : "policy_changed"),
        .session_id = need_copy(session->id),
        .workspace = need_copy(session->workspace),
        .agent = need_copy(session->agent),
        .by = need_copy(decision->by),
        .user = need_copy(decision->user),
        .rule_id = need_copy(decision->rule_id),
        .policy = need_copy(decision->policy),
        .policy_before = need_copy(decision->policy_before),
        .reason = need_copy(decision->reason),
        .message = need_copy(decision->message),
        .made_rule_id = need_copy(decision->made_rule_id),
        .always_allow = decision->always_allow,
    };
    if (permission) {
        entry->request_id = need_copy(permission->ask->request_id);
        entry->request = need_copy(permission->request_json);
        entry->outcome = need_copy(outcome_name(permission->outcome));
        entry->option_id = need_copy(permission->option_id);
    }
    if (decision->service) {
        entry->outcome = need_copy(outcome_name(OUTCOME_REJECTED));
    }
    dispatch_audit_from(entry, decision->caller);
    const char *user = decision->user ? decision->user : "";
    if (permission) {
        log_info("permission decided", "session", "%s", session->id, "request", "%s", entry->request_id, "outcome", "%s",
                 entry->outcome, "by", "%s", decision->by, "user", "%s", user, "rule", "%s",
                 decision->rule_id ? decision->rule_id : "", "policy", "%s", decision->policy ? decision->policy : "",
                 NULL);
    } else if (decision->service) {
        log_info("service refused", "session", "%s", session->id, "policy", "%s", decision->policy, "reason", "%s",
                 decision->reason, NULL);
    } else {
        log_info("policy changed", "session", "%s", session->id, "policy", "%s", decision->policy, "before", "%s",
                 decision->policy_before, "user", "%s", user, NULL);
    }
}

static void sink_rule(void *context, struct session *session, const struct rule *rule, enum rule_change change,
                      const char *reason, const struct caller *caller)
{
    struct dispatch *dispatch = context;
    if (change == RULE_MADE) {
        dispatch_rule_recorded(dispatch, session->owner, rule);
    } else {
        dispatch_rule_removed(dispatch, rule, "user", reason, caller);
    }
}

void dispatch_permission_init(struct session_sink *sink)
{
    sink->look = sink_look;
    sink->decided = sink_decided;
    sink->rule = sink_rule;
}

/* ---- All that wait ---- */

bool dispatch_permissions_settled(const struct dispatch *dispatch)
{
    uint64_t released = atomic_load_explicit(dispatch->wiring.released, memory_order_acquire);
    for (const struct held *held = dispatch->sessions; held; held = held->next) {
        if (held->pending_batch > released) {
            return false;
        }
    }
    return true;
}

void dispatch_list_permissions(struct dispatch *dispatch, struct dispatch_command *command)
{
    struct buffer fields = {0};
    json_key(&fields, "permissions");
    buffer_byte(&fields, '[');
    bool first = true;
    for (const struct held *held = dispatch->sessions; held; held = held->next) {
        for (const struct permission *p = held->session->pending; p; p = p->next) {
            if (!first) {
                buffer_byte(&fields, ',');
            }
            first = false;
            buffer_text(&fields, p->request_json);
        }
    }
    buffer_byte(&fields, ']');
    char *text = buffer_take(&fields);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, text);
    free(text);
}
