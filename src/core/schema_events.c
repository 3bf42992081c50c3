/* What session events look like, one row a kind of EVENT_KINDS, by its number. */
#include "core/field.h"

#include "signalbox/core/event.h"

#define TOOL_KINDS "read edit delete move search execute think fetch switch_mode other"
#define PHASES     "starting idle running waiting stopped failed closed"

const struct field schema_event_common[] = {
    F("sessionId", STRING, "The session."),
    F("seq", COUNT, "Its number in the session's log: 1, 2, 3 ... without holes.", .minimum = 1),
    F("ts", COUNT, "When, in Unix milliseconds; never earlier than that of the number before."),
    O("from", COUNT, "Of a folded event: it covers the numbers from here to `seq`.", .minimum = 1),
    O("turnId", STRING, "The turn that it belongs to."),
    O("cause", OBJECT, "The command that led to it.", .ref = "cause"),
    O("refs", ARRAY, "What was too large for the event and was stored by itself.", .ref = "ref"),
    {.name = NULL},
};

#define MESSAGE_ID  F("messageId", STRING, "The message; unique in the session.")
#define TOOL_USE_ID F("toolUseId", STRING, "The tool call; unique in the session.")
#define REQUEST_ID  F("requestId", STRING, "The request; unique over all sessions and restarts.")

#define PARENT O("parentToolUseId", STRING, "The tool call that this is part of: a sub-agent's.")

#define BEGAN                                                                                      \
    O("began", COUNT, "The number of the event that began the message; missing where it is this one.", \
      .minimum = 1)

#define DELTA_ROWS                                                                                 \
    ROWS(MESSAGE_ID, F("offset", COUNT, "Where it begins in the message, in UTF-16 units."),       \
         F("delta", STRING, "What is appended."), BEGAN, PARENT)
#define WHOLE_ROWS                                                                                 \
    ROWS(MESSAGE_ID, F("text", STRING, "The whole message."),                                      \
         F("isIntermediate", BOOL, "False only where the end of the turn ended the message."),     \
         BEGAN, PARENT)

#define EVENT(symbol, text, rows)                                                                  \
    [EVENT_##symbol] = {                                                                           \
        .name = #symbol, .help = text, rows                                                        \
    }

const struct schema_shape schema_events[] = {
    EVENT(SESSION_CREATED, "The first event of a log.",
          ROWS(F("agent", STRING, "The configured agent."),
               F("workspace", STRING, "The folder in which it works, links resolved."),
               O("title", STRING, "As it was asked for."), F("createdBy", STRING, "The user."))),
    EVENT(SESSION_CLOSED, "The last event of a log.",
          ROWS(F("by", OBJECT, "Who closed it.", .ref = "by"))),
    EVENT(STATUS, "What the session is doing.",
          ROWS(F("phase", STRING, "Its phase.", .words = PHASES),
               O("detail", STRING, "Why, for people."))),
    EVENT(USER_MESSAGE, "A prompt, once for each of its states.",
          ROWS(MESSAGE_ID, F("text", STRING, "All its text blocks, a line break between them."),
               O("content", CONTENT, "Its ACP content blocks, where they are more than `text`."),
               F("by", OBJECT, "Whose prompt it is.", .ref = "by"),
               F("status", STRING, "Its state.", .words = "accepted queued processing withdrawn"),
               O("position", COUNT, "Its place in the queue, from 1.", .minimum = 1),
               O("promptId", STRING, "Of one that was withdrawn: the id of its `prompt`."))),
    EVENT(TURN_STARTED,
          "The agent was given a prompt. One turn at a time in a session; `complete` ends it.",
          ROWS(F("by", OBJECT, "Whose prompt it is.", .ref = "by"), MESSAGE_ID,
               O("model", STRING, "The agent's model, where it says so."))),
    EVENT(TEXT_DELTA, "More text of the agent's answer.", DELTA_ROWS),
    EVENT(TEXT_COMPLETE, "A message of the agent is over.", WHOLE_ROWS),
    EVENT(THOUGHT_DELTA, "More of what the agent thinks.", DELTA_ROWS),
    EVENT(THOUGHT_COMPLETE, "A thought of the agent is over.", WHOLE_ROWS),
    EVENT(TOOL_START, "The agent begins a tool call.",
          ROWS(TOOL_USE_ID, F("toolName", STRING, "The tool."),
               F("toolInput", OBJECT, "Its input; one that is no object stands in `value`."),
               O("toolIntent", STRING, "What it is for, where the agent says so."),
               O("toolDisplayName", STRING, "What people call it."),
               F("kind", STRING, "ACP's kind of tool.", .words = TOOL_KINDS),
               O("locations", ARRAY, "The files that it touches.", .ref = "location"), PARENT)),
    EVENT(TOOL_OUTPUT, "Live output of a tool.",
          ROWS(TOOL_USE_ID, F("offset", COUNT, "Where it begins in the output, in UTF-16 units."),
               F("delta", STRING, "What is appended."))),
    EVENT(
        TOOL_UPDATE, "What has changed about a tool call; later fields replace earlier ones.",
        ROWS(TOOL_USE_ID,
             O("status", STRING, "ACP's status.", .words = "pending in_progress completed failed"),
             O("title", STRING, "What it is doing."),
             O("kind", STRING, "ACP's kind of tool.", .words = TOOL_KINDS),
             O("content", ARRAY, "Text, diff and terminal blocks."),
             O("locations", ARRAY, "The files that it touches.", .ref = "location"),
             O("toolInput", OBJECT, "Its input."),
             O("rawOutput", ANY, "What the tool gave, as the agent sent it."))),
    EVENT(TOOL_RESULT, "A tool call is over.",
          ROWS(TOOL_USE_ID, F("toolName", STRING, "The tool."), F("result", STRING, "Its text."),
               O("content", ARRAY,
                 "Text, diff and terminal blocks, where they are more than `result`."),
               O("rawOutput", ANY, "What the tool gave, where it is more than `result`."),
               F("isError", BOOL, "It failed, was refused, or was left open."))),
    EVENT(PLAN, "The agent's plan, whole.",
          ROWS(F("entries", ARRAY, "Its steps.", .ref = "planEntry"))),
    EVENT(COMMANDS, "The agent's slash commands, all of them.",
          ROWS(F("commands", ARRAY, "The commands.", .ref = "agentCommand"))),
    EVENT(MODE, "The agent's own modes.",
          ROWS(F("currentModeId", STRING, "The one that is in force."),
               F("availableModes", ARRAY, "All of them, as the agent sent them."))),
    EVENT(CONFIG_OPTIONS, "The agent's own options.",
          ROWS(F("options", ARRAY, "All of them, as the agent sent them."))),
    EVENT(PROMPT_CAPABILITIES,
          "What the agent takes in a prompt, as it said when it started. Comes with its first start, "
          "and with a later one that says something else.",
          ROWS(PROMPT_CAPABILITY_ROWS)),
    EVENT(USAGE, "How much of its context the agent has used, and what it cost.",
          ROWS(O("used", COUNT, "Tokens in the context."), O("size", COUNT, "Tokens that fit."),
               O("cost", OBJECT, "Amount and currency."))),
    EVENT(TITLE, "The session's title.", ROWS(N("title", STRING, "Null: it has none any more."))),
    EVENT(POLICY, "The session's policy has changed.",
          ROWS(F("policy", STRING, "The new one.", .words = "ask read-only trust"),
               F("by", OBJECT, "Who changed it.", .ref = "by"))),
    EVENT(PERMISSION_REQUEST,
          "The agent asks, and waits. Comes after the `tool_start` of its tool call.",
          ROWS(F("request", OBJECT, "What it asks.", .ref = "request"))),
    EVENT(PERMISSION_RESOLVED, "A request was answered.",
          ROWS(REQUEST_ID, F("outcome", STRING, "The answer.", .words = "allowed rejected"),
               O("optionId", STRING, "The option that the agent was given."),
               F("alwaysAllow", BOOL, "The agent was given its `allow_always`."),
               F("by", OBJECT, "Who or what answered.", .ref = "by"),
               O("message", STRING,
                 "Why, in the words of who answered, or what the rule or the policy says."),
               O("ruleId", STRING, "The rule that the answer made."))),
    EVENT(PERMISSION_TIMEOUT, "Nobody answered in time.", ROWS(REQUEST_ID)),
    EVENT(
        PERMISSION_CANCELLED, "A request was ended without an answer.",
        ROWS(REQUEST_ID,
             F("reason", STRING, "Why.",
               .words = "turn_cancelled turn_ended withdrawn_by_agent session_closed agent_exited "
                        "server_stopped server_restarted"))),
    EVENT(COMPLETE, "The turn is over. Exactly one a turn.",
          ROWS(F("stopReason", STRING, "ACP's reason, or one of the last three.",
                 .words = "end_turn max_tokens max_turn_requests refusal cancelled agent_exited "
                          "server_restarted error"),
               F("durationMs", COUNT, "How long it took."),
               O("usage", OBJECT, "Tokens of the turn, as the agent counted them."),
               O("first", BOOL, "True: it was the session's first turn."))),
    EVENT(ERROR, "Something went wrong.",
          ROWS(F("error", STRING, "What, for people."), F("code", STRING, "What, for programs."),
               F("fatal", BOOL, "The agent is gone."))),
    EVENT(AGENT_UPDATE, "An update that has no name of its own here.",
          ROWS(F("update", OBJECT, "As the agent sent it."))),
};

/* A kind behind the last row fails here; a hole between rows fails tests/unit/schema.c. */
_Static_assert(sizeof(schema_events) / sizeof(schema_events[0]) == EVENT_KIND_COUNT,
               "every kind of event has its schema");
