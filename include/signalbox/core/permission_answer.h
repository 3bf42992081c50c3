#pragma once
/*
 * What an answer to a permission request means (docs/protocol.md, "Permission answers"): every form
 * of it, and the options that this agent offers, make one verdict. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/core/agent.h"
#include "signalbox/core/command.h"

struct permission_question {
    const struct permission_option *options; /* in the agent's order */
    size_t option_count;
    const char *tool_input; /* JSON text: what was shown; NULL for nothing */
    bool has_session_rule;  /* its `rememberOptions` have one of scope `session` */
};

struct permission_verdict {
    bool allowed;          /* the outcome that watchers see; else rejected */
    const char *option_id; /* what the agent gets, borrowed from the options; NULL: the outcome
                              `cancelled` */
    bool always_allow;     /* the agent was told `allow_always` */
    bool wants_session_rule;
};

/*
 * ANSWER_OK, and *verdict is written. Else the request stays open, and *message (static) and *field
 * (static, NULL for none) say why: ANSWER_BAD_MESSAGE (forms that contradict each other),
 * ANSWER_UNKNOWN_OPTION, ANSWER_UNSUPPORTED (another input than was shown), ANSWER_INTERNAL (out of
 * memory).
 */
must_check enum answer_code permission_verdict(const struct command *answer,
                                               const struct permission_question *question,
                                               struct permission_verdict *verdict,
                                               const char **field, const char **message);

/* Whether choosing this option lets the tool pass. An option of a kind that is not known does,
 * unless its kind begins with `reject` or `deny`. */
bool permission_option_allows(const struct permission_option *option);
