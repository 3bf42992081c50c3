/* Commands: who may, whether it can be done now, and which step of the core it is. */
#include "dispatch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/mail/list.h"

/* What a command needs. */
enum { NEEDS_SESSION = 1, CHANGES = 2 };
static const unsigned command_needs[COMMAND_TYPE_COUNT] = {
    [COMMAND_SUBSCRIBE] = NEEDS_SESSION,
    [COMMAND_CREATE_SESSION] = CHANGES,
    [COMMAND_CLOSE_SESSION] = NEEDS_SESSION | CHANGES,
    [COMMAND_PROMPT] = NEEDS_SESSION | CHANGES,
    [COMMAND_ERASE_SESSION] = NEEDS_SESSION | CHANGES,
    [COMMAND_STORE_BLOB] = NEEDS_SESSION | CHANGES,
    [COMMAND_WITHDRAW] = NEEDS_SESSION | CHANGES,
    [COMMAND_RESUME_QUEUE] = NEEDS_SESSION | CHANGES,
    [COMMAND_CANCEL] = NEEDS_SESSION | CHANGES,
    [COMMAND_PERMISSION_RESPONSE] = NEEDS_SESSION | CHANGES,
    [COMMAND_DELETE_RULE] = CHANGES,
    [COMMAND_SET_POLICY] = NEEDS_SESSION | CHANGES,
    [COMMAND_SET_MODE] = NEEDS_SESSION | CHANGES,
    [COMMAND_SET_CONFIG_OPTION] = NEEDS_SESSION | CHANGES,
    [COMMAND_GET_SESSION] = NEEDS_SESSION,
};

/* A request id names its session ("p-SESSION-RUN-N"), so an answer may come without one. false if it is none of ours. */
static bool session_of_request(const char *request_id, char session_id[SESSION_ID_MAX + 1])
{
    if (strncmp(request_id, "p-", 2)) {
        return false;
    }
    const char *start = request_id + 2;
    const char *last = strrchr(start, '-');
    const char *end = last;
    while (end && end > start && *--end != '-') {
    }
    if (!end || end <= start || end - start > SESSION_ID_MAX) {
        return false;
    }
    memcpy(session_id, start, (size_t)(end - start));
    session_id[end - start] = 0;
    return true;
}

static void get_session(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    struct buffer fields = {0};
    session_summary(held->session, &fields);
    json_field_string(&fields, "epoch", held->topic->epoch);
    char *text = buffer_take(&fields);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, text);
    free(text);
}

static struct session_words words_of(const struct config_list *list)
{
    return (struct session_words){.items = list->items, .count = list->count};
}

/* Without tokens everybody is `local`. */
static bool knows_user(const void *tokens, const char *user)
{
    return tokens ? tokens_has_user(tokens, user) : !strcmp(user, "local");
}

static void limits_for(struct dispatch *dispatch, const struct session *session)
{
    const struct config *config = dispatch->config;
    const struct config_agent *agent = config_agent(config, session->agent);
    const struct config_timeouts *timeouts = agent ? &agent->timeouts : &config->timeouts;
    enum config_action action = agent ? agent->permission_timeout_action : config->permission_timeout_action;
    dispatch->limits = (struct session_limits){
        .permission_timeout_ms = agent ? agent->permission_timeout_ms : config->permission_timeout_ms,
        .timeout_kinds = words_of(&timeouts->kinds),
        .timeouts_ms = timeouts->ms,
        .timeout_cancels = action == ACTION_CANCEL,
        .cancel_timeout_ms = config->cancel_timeout_ms,
        .start_timeout_ms = config->agent_start_timeout_ms,
        .idle_ms = agent ? agent->idle_ms : config->agent_idle_ms,
        .proof_ms = config->agent_proof_ms,
        .max_queued = (size_t)config->max_queued_prompts,
        .max_pending = (size_t)config->max_pending_permissions,
        .max_rules = (size_t)config->max_rules,
        .max_event_bytes = (size_t)config->max_event_bytes,
        .deny_commands = words_of(&config->deny_commands),
        .deny_kinds = words_of(&config->deny_kinds),
        .deny_paths = words_of(&config->denied_paths),
        .knows_user = knows_user,
        .users = config->tokens,
        .default_policy = POLICY_ASK,
    };
    /* The configuration has checked these words. */
    (void)session_policy_parse(config_policy_names[config->default_policy], &dispatch->limits.default_policy);
    for (size_t i = 0; i < config->forbidden_policies.count; i++) {
        enum session_policy policy;
        if (session_policy_parse(config->forbidden_policies.items[i], &policy)) {
            dispatch->limits.policy_forbidden[policy] = true;
        }
    }
}

void dispatch_step(struct dispatch *dispatch, struct held *held)
{
    limits_for(dispatch, held->session);
    dispatch_touch(dispatch, held);
}

static void prompt(struct dispatch *dispatch, struct held *held, struct dispatch_command *command,
                   const struct caller *caller)
{
    struct command *given = command->command;
    const struct answer *refusal = &command->refusal;
    if (refusal->code != ANSWER_OK) {
        dispatch_answer(dispatch, command, refusal->code, refusal->message, refusal->fields);
        return;
    }
    uint64_t head = held->session->head;
    session_prompt(held->session, &dispatch->sink, &dispatch->now, caller, given);
    /* In the transaction of the events that name them. */
    while (given->blobs && held->session->head > head) {
        struct blob *blob = given->blobs;
        given->blobs = blob->next;
        blob->next = NULL;
        (void)dispatch_blob(dispatch, held, blob);
    }
}

static void set_mode(struct dispatch *dispatch, struct session *session, const struct caller *caller, const char *mode)
{
    struct buffer value = {0};
    json_put_string(&value, mode, strlen(mode));
    char *text = buffer_take(&value);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    session_set(session, &dispatch->sink, &dispatch->now, caller, NULL, text);
    free(text);
}

static void run_in_session(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    const struct command *given = command->command;
    struct session *session = held->session;
    const struct session_sink *sink = &dispatch->sink;
    const struct session_now *now = &dispatch->now;
    const struct caller caller = dispatch_caller(command);
    dispatch_step(dispatch, held);

    switch (given->type) {
    case COMMAND_SUBSCRIBE:
        dispatch_subscribe(dispatch, held, command);
        break;
    case COMMAND_GET_SESSION:
        get_session(dispatch, held, command);
        break;
    case COMMAND_CLOSE_SESSION:
        session_close(session, sink, now, &caller);
        break;
    case COMMAND_ERASE_SESSION:
        dispatch_erase(dispatch, held, command);
        break;
    case COMMAND_STORE_BLOB:
        dispatch_store_blob(dispatch, held, command);
        break;
    case COMMAND_PROMPT:
        prompt(dispatch, held, command, &caller);
        break;
    case COMMAND_WITHDRAW:
        session_withdraw(session, sink, now, &caller, given->message_id);
        break;
    case COMMAND_RESUME_QUEUE:
        session_resume_queue(session, sink, now, &caller);
        break;
    case COMMAND_CANCEL:
        session_cancel(session, sink, now, &caller, given->turn_id, given->all == FLAG_YES);
        break;
    case COMMAND_SET_MODE:
        set_mode(dispatch, session, &caller, given->mode_id);
        break;
    case COMMAND_SET_CONFIG_OPTION:
        session_set(session, sink, now, &caller, given->config_id, given->value);
        break;
    case COMMAND_PERMISSION_RESPONSE:
        session_permission_response(session, sink, now, &caller, given);
        break;
    case COMMAND_SET_POLICY:
        session_set_policy(session, sink, now, &caller, given->policy);
        break;
    default:
        dispatch_answer(dispatch, command, ANSWER_UNSUPPORTED, "this server does not know how to do that yet", NULL);
    }
}

/*
 * While nothing can be recorded, what waits for the journal would wait too, so it is refused at once. But a session in
 * which all is committed can be shown as it is; and a turn can be cancelled: that is never refused, and is done, and
 * acknowledged, when it is recorded.
 */
static bool possible_without_store(const struct dispatch *dispatch, const struct held *held,
                                   const struct dispatch_command *command)
{
    switch (command->command->type) {
    case COMMAND_SUBSCRIBE:
    case COMMAND_GET_SESSION:
        return !held || dispatch_settled(dispatch, held); /* what is read back now is committed */
    case COMMAND_CANCEL:
        return held && held->session->turn.id;
    case COMMAND_LIST_PERMISSIONS:
        return dispatch_permissions_settled(dispatch);
    case COMMAND_AGENT_STATES:
        return true; /* how many processes there are is not recorded */
    default:
        return false;
    }
}

static void refuse_without_store(struct dispatch *dispatch, struct dispatch_command *command)
{
    char message[256];
    snprintf(message, sizeof(message), "nothing can be recorded at the moment: %s", dispatch->store_reason);
    dispatch_refuse_now(dispatch, command, ANSWER_STORAGE_UNAVAILABLE, message);
    dispatch_command_free(command);
}

static void show_at_once(struct dispatch *dispatch, struct held *held, struct dispatch_command *command)
{
    dispatch->at_once = true;
    if (command->command->type == COMMAND_SUBSCRIBE) {
        dispatch_subscribe(dispatch, held, command);
    } else {
        get_session(dispatch, held, command);
    }
    dispatch->at_once = false;
}

/* Whether it is for this server to do now, and was not done before. False: it was answered, or waits for an answer. */
static bool is_to_be_done(struct dispatch *dispatch, struct dispatch_command *command)
{
    if (dispatch->draining) {
        dispatch_refuse_now(dispatch, command, ANSWER_SHUTTING_DOWN, "the server is stopping");
        dispatch_command_free(command);
        return false;
    }
    if (!command->remember || command->entry) {
        return true;
    }
    /* Whether it was done before is asked behind what waits for the store, so while that fails only what is never
     * refused may wait. */
    if (dispatch->store_failing && command->command->type != COMMAND_CANCEL) {
        refuse_without_store(dispatch, command);
        return false;
    }
    return dispatch_answers_enter(dispatch, command);
}

/* What is not of one session. */
static void run(struct dispatch *dispatch, struct dispatch_command *command)
{
    if (dispatch->store_failing && !possible_without_store(dispatch, NULL, command)) {
        refuse_without_store(dispatch, command);
        return;
    }
    dispatch->at_once = dispatch->store_failing;
    switch (command->command->type) {
    case COMMAND_CREATE_SESSION:
        if (!command->checked) {
            command->mail.kind = MAINTENANCE_CREATE; /* its workspace is looked up on the disk first */
            mailbox_push(dispatch->wiring.maintenance, &command->mail);
            return;
        }
        dispatch_create(dispatch, command);
        break;
    case COMMAND_LIST_PERMISSIONS:
        dispatch_list_permissions(dispatch, command);
        break;
    case COMMAND_DELETE_RULE:
        dispatch_rule_delete(dispatch, command);
        break;
    case COMMAND_AGENT_STATES:
        dispatch_agent_states(dispatch, command);
        break;
    default:
        CHECK(false && "a command that is answered where it was read");
    }
    dispatch->at_once = false;
    dispatch_command_free(command);
}

/* The session that it is for, in memory and as it may be used now; NULL: the command was answered, or waits for it. */
static struct held *session_for(struct dispatch *dispatch, struct dispatch_command *command)
{
    const struct command *given = command->command;
    char session_id[SESSION_ID_MAX + 1];
    const char *name = given->session_id;
    if (given->type == COMMAND_PERMISSION_RESPONSE) {
        if (dispatch->store_failing) {
            refuse_without_store(dispatch, command);
            return NULL;
        }
        if (!session_of_request(given->request_id, session_id) || (name && strcmp(name, session_id))) {
            dispatch_answer(dispatch, command, ANSWER_NOT_FOUND, "there is no such permission request", NULL);
            dispatch_command_free(command);
            return NULL;
        }
        name = session_id;
    }
    struct held *held = dispatch_find(dispatch, name);
    if (dispatch->store_failing && !possible_without_store(dispatch, held, command)) {
        refuse_without_store(dispatch, command);
        return NULL;
    }
    if (!held) {
        dispatch_load(dispatch, name, command);
        return NULL;
    }
    if (held->erased) {
        dispatch_answer(dispatch, command, ANSWER_NOT_FOUND, "there is no such session", NULL);
        dispatch_command_free(command);
        return NULL;
    }
    return dispatch_prompt_waits(dispatch, held, command) ? NULL : held;
}

void dispatch_take_command(struct dispatch *dispatch, struct dispatch_command *command)
{
    if (!is_to_be_done(dispatch, command)) {
        return;
    }
    if (!(command_needs[command->command->type] & NEEDS_SESSION)) {
        run(dispatch, command);
        return;
    }
    struct held *held = session_for(dispatch, command);
    if (!held) {
        return;
    }
    if (dispatch->store_failing && command->command->type != COMMAND_CANCEL) {
        show_at_once(dispatch, held, command);
    } else {
        run_in_session(dispatch, held, command);
    }
    dispatch_command_free(command);
}
