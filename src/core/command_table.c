/* Every command and its fields. A row here is all there is to a field: its check, its place, its schema. */
#include "core/field.h"

#include "signalbox/base/check.h"

enum {
    ID_MAX = 256,
    AGENT_MAX = 128,
    WORKSPACE_MAX = 4096,
    TITLE_MAX = 512,
    MESSAGE_MAX = 4096,
    MATCH_MAX = 65536,
};

#define AT(member) .offset = offsetof(struct command, member)

#define SESSION_ID                                                                                 \
    {                                                                                              \
        .name = "sessionId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_PATH,           \
        .minimum = 1, .maximum = ID_MAX, AT(session_id), .help = "The session."                    \
    }
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

const struct field command_id_field = {
    .name = "id", .kind = FIELD_STRING, .minimum = 1, .maximum = ID_MAX, AT(id),
    .help = "Of the client's making: the command is answered by exactly one message that has it.",
};

static const struct field nothing[] = {END};

static const struct field only_session[] = {SESSION_ID, END};

static const struct field position[] = {
    {.name = "epoch", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1, .maximum = ID_MAX,
     AT(after_epoch), .help = "Of `subscribed`."},
    {.name = "seq", .kind = FIELD_COUNT, .flags = FIELD_REQUIRED, AT(after_seq),
     .help = "The last event that the client has; 0 for none."},
    END,
};

static const struct field subscribe[] = {
    SESSION_ID,
    {.name = "after", .kind = FIELD_OBJECT, .members = position,
     .present = offsetof(struct command, has_after),
     .help = "The position that the client has; what it misses follows."},
    {.name = "history", .kind = FIELD_CHOICE, .words = "full turn none", AT(history),
     .help = "How much of the past a client without a position wants; not looked at beside `after`."},
    END,
};

static const struct field create_session[] = {
    {.name = "agent", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1, .maximum = AGENT_MAX,
     AT(agent), .help = "A configured agent's name."},
    {.name = "workspace", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1,
     .maximum = WORKSPACE_MAX, AT(workspace),
     .help = "The folder in which the agent works, absolute: a configured root or a folder under one."},
    {.name = "title", .kind = FIELD_STRING, .flags = FIELD_EMPTY, .maximum = TITLE_MAX, AT(title),
     .help = "What people see in lists; agents may change it."},
    END,
};
static const struct field create_session_ack[] = {
    {.name = "sessionId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .help = "The new session."},
    END,
};

/* `text` and `content` are joined after their checks: command_parse.c, finish_prompt. */
static const struct field prompt[] = {
    SESSION_ID,
    {.name = "text", .kind = FIELD_STRING, .flags = FIELD_EMPTY, AT(text),
     .help = "The prompt, or its first block when there is `content` as well. One of both must be there."},
    {.name = "content", .kind = FIELD_CONTENT, AT(content), .help = "ACP content blocks."},
    END,
};
static const struct field prompt_ack[] = {
    {.name = "messageId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .help = "Of its user_message."},
    {.name = "status", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .words = "accepted queued",
     .help = "Whether its turn begins at once."},
    {.name = "position", .kind = FIELD_COUNT, .minimum = 1, .help = "Its place in the queue, from 1."},
    END,
};

static const struct field withdraw[] = {
    SESSION_ID,
    {.name = "messageId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1, .maximum = ID_MAX,
     AT(message_id), .help = "The queued prompt."},
    END,
};

static const struct field cancel[] = {
    SESSION_ID,
    {.name = "turnId", .kind = FIELD_STRING, .minimum = 1, .maximum = ID_MAX, AT(turn_id),
     .help = "The turn that is meant: when it is over, nothing is done. Without it, whichever turn runs."},
    {.name = "all", .kind = FIELD_BOOL, AT(all),
     .help = "Withdraws everybody's queued prompts, not only the caller's own."},
    END,
};
static const struct field cancel_ack[] = {
    {.name = "withdrawn", .kind = FIELD_ARRAY, .flags = FIELD_REQUIRED, .words = "string",
     .help = "The texts of the prompts that were taken back."},
    END,
};

static const struct field remember[] = {
    {.name = "scope", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1, .maximum = ID_MAX,
     AT(remember_scope), .help = "As in one of the request's `rememberOptions`."},
    {.name = "match", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1, .maximum = MATCH_MAX,
     AT(remember_match), .help = "As in the same one."},
    {.name = "expiresAt", .kind = FIELD_COUNT, .minimum = 1, AT(remember_expires_at),
     .help = "Unix milliseconds."},
    END,
};

static const struct field permission_response[] = {
    {.name = "requestId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_PATH, .minimum = 1,
     .maximum = ID_MAX, AT(request_id), .help = "The request that is answered."},
    {.name = "sessionId", .kind = FIELD_STRING, .flags = FIELD_PATH, .minimum = 1, .maximum = ID_MAX,
     AT(session_id), .help = "Its session; a requestId is enough."},
    {.name = "optionId", .kind = FIELD_STRING, .minimum = 1, .maximum = COMMAND_AGENT_ID_MAX, AT(option_id),
     .help = "One of the request's `acpOptions`. Decides alone."},
    {.name = "allowed", .kind = FIELD_BOOL, AT(allowed), .help = "Yes or no."},
    {.name = "allow", .kind = FIELD_BOOL, AT(allow), .help = "The same as `allowed`."},
    {.name = "decision", .kind = FIELD_WORD, .words = "allow deny allow-session allow-always", AT(decision),
     .help = "The same, with how long a yes is good for."},
    {.name = "alwaysAllow", .kind = FIELD_BOOL, AT(always_allow),
     .help = "Beside a yes: the agent's own `allow_always`, where it offers one."},
    {.name = "remember", .kind = FIELD_OBJECT, .members = remember,
     .help = "Makes a rule of Signalbox's own, one of the request's `rememberOptions`."},
    {.name = "updatedInput", .kind = FIELD_ANY, AT(updated_input),
     .help = "The tool's input; one that differs from what was shown is refused (`unsupported`)."},
    {.name = "message", .kind = FIELD_STRING, .flags = FIELD_EMPTY, .maximum = MESSAGE_MAX, AT(message),
     .help = "Why; shown to the watchers."},
    END,
};

static const struct field permission_response_ack[] = {
    {.name = "requestId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .help = "The request."},
    {.name = "outcome", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .words = "allowed rejected",
     .help = "What the answer came to."},
    {.name = "optionId", .kind = FIELD_STRING, .help = "The option that the agent is given."},
    {.name = "ruleId", .kind = FIELD_STRING, .help = "The rule that the answer made."},
    END,
};

static const struct field set_policy[] = {
    SESSION_ID,
    {.name = "policy", .kind = FIELD_WORD, .flags = FIELD_REQUIRED, .words = "ask read-only trust", AT(policy),
     .help = "What happens to permission requests."},
    END,
};

static const struct field set_mode[] = {
    SESSION_ID,
    {.name = "modeId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1,
     .maximum = COMMAND_AGENT_ID_MAX, AT(mode_id), .help = "One of the agent's `availableModes`."},
    END,
};

static const struct field set_config_option[] = {
    SESSION_ID,
    {.name = "configId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED, .minimum = 1,
     .maximum = COMMAND_AGENT_ID_MAX, AT(config_id), .help = "One of the agent's `options`."},
    {.name = "value", .kind = FIELD_ANY, .flags = FIELD_REQUIRED, AT(value), .help = "Its new value."},
    END,
};

static const struct field seen[] = {
    SESSION_ID,
    {.name = "seq", .kind = FIELD_COUNT, .flags = FIELD_REQUIRED, AT(seq),
     .help = "The client has shown everything up to this event."},
    END,
};

static const struct field delete_rule[] = {
    {.name = "ruleId", .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_PATH, .minimum = 1, .maximum = ID_MAX,
     AT(rule_id), .help = "The rule."},
    END,
};

#define SHAPE(symbol, word, rows, reply, added, text)                                              \
    [COMMAND_##symbol] = {                                                                         \
        .name = word, .fields = rows, .answer = reply, .ack = added, .help = text                  \
    }

static const struct command_shape shapes[COMMAND_TYPE_COUNT] = {
    SHAPE(SUBSCRIBE, "subscribe", subscribe, "subscribed", NULL, "Watch a session."),
    SHAPE(UNSUBSCRIBE, "unsubscribe", only_session, "unsubscribed", NULL, "Stop watching a session."),
    SHAPE(WATCH_SESSIONS, "watch_sessions", nothing, "sessions", NULL,
          "Watch the list of all sessions and what waits for an answer."),
    SHAPE(UNWATCH_SESSIONS, "unwatch_sessions", nothing, "ack", NULL, "Stop watching the list."),
    SHAPE(CREATE_SESSION, "create_session", create_session, "ack", create_session_ack, "Create a session."),
    SHAPE(CLOSE_SESSION, "close_session", only_session, "ack", NULL, "End a session; its log stays."),
    [COMMAND_PROMPT] = {
        .name = "prompt", .fields = prompt, .answer = "ack", .ack = prompt_ack,
        .extra = "\"anyOf\":[{\"required\":[\"text\"]},{\"required\":[\"content\"]}]",
        .help = "Give the agent a prompt, now or after the turn.",
    },
    SHAPE(WITHDRAW, "withdraw", withdraw, "ack", NULL, "Take a queued prompt back."),
    SHAPE(RESUME_QUEUE, "resume_queue", only_session, "ack", NULL, "Go on with a paused queue."),
    SHAPE(CANCEL, "cancel", cancel, "ack", cancel_ack, "Cancel the turn and withdraw queued prompts."),
    SHAPE(PERMISSION_RESPONSE, "permission_response", permission_response, "ack", permission_response_ack,
          "Answer a permission request."),
    SHAPE(SET_POLICY, "set_policy", set_policy, "ack", NULL, "Change the session's policy."),
    SHAPE(SET_MODE, "set_mode", set_mode, "ack", NULL, "Change the agent's own mode."),
    SHAPE(SET_CONFIG_OPTION, "set_config_option", set_config_option, "ack", NULL,
          "Change one of the agent's own options."),
    SHAPE(SEEN, "seen", seen, "ack", NULL, "Say what the client has shown."),
    SHAPE(PING, "ping", nothing, "pong", NULL, "Ask whether the server is there."),
    [COMMAND_LIST_PERMISSIONS] = {.fields = nothing},
    [COMMAND_GET_SESSION] = {.fields = only_session},
    [COMMAND_DELETE_RULE] = {.fields = delete_rule},
    [COMMAND_ERASE_SESSION] = {.fields = only_session},
    [COMMAND_STORE_BLOB] = {.fields = only_session},
    [COMMAND_AGENT_STATES] = {.fields = nothing},
};

const struct command_shape *command_shape(enum command_type type)
{
    CHECK((unsigned)type < COMMAND_TYPE_COUNT);
    return &shapes[type];
}

static const char *const rest_names[COMMAND_TYPE_COUNT] = {
    [COMMAND_LIST_PERMISSIONS] = "list_permissions",
    [COMMAND_GET_SESSION] = "get_session",
    [COMMAND_DELETE_RULE] = "delete_rule",
    [COMMAND_ERASE_SESSION] = "erase_session",
    [COMMAND_STORE_BLOB] = "store_blob",
    [COMMAND_AGENT_STATES] = "agent_states",
};

const char *command_name(enum command_type type)
{
    const char *name = command_shape(type)->name;
    return name ? name : rest_names[type];
}
