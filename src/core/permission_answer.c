#include "signalbox/core/permission_answer.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/json.h"

enum { INPUT_DEPTH = 1000 };

bool permission_option_allows(const struct permission_option *option)
{
    switch (option->kind) {
    case OPTION_ALLOW_ONCE:
    case OPTION_ALLOW_ALWAYS:
        return true;
    case OPTION_REJECT_ONCE:
    case OPTION_REJECT_ALWAYS:
        return false;
    case OPTION_OTHER:
        break;
    }
    const char *kind = option->kind_name ? option->kind_name : "";
    return strncmp(kind, "reject", 6) && strncmp(kind, "deny", 4);
}

static const struct permission_option *first_of(const struct permission_question *question,
                                                enum option_kind kind)
{
    for (size_t i = 0; i < question->option_count; i++) {
        if (question->options[i].kind == kind) {
            return &question->options[i];
        }
    }
    return NULL;
}

static enum answer_code decide_by_option(const struct command *answer,
                                         const struct permission_question *question,
                                         struct permission_verdict *verdict, const char **field,
                                         const char **message)
{
    for (size_t i = 0; i < question->option_count; i++) {
        const struct permission_option *option = &question->options[i];
        if (!strcmp(option->option_id, answer->option_id)) {
            *verdict = (struct permission_verdict){
                .allowed = permission_option_allows(option),
                .option_id = option->option_id,
                .always_allow = option->kind == OPTION_ALLOW_ALWAYS,
            };
            return ANSWER_OK;
        }
    }
    *field = "optionId";
    *message = "the request has no such option";
    return ANSWER_UNKNOWN_OPTION;
}

/* What the forms other than optionId say together. */
struct wish {
    enum flag yes;
    bool always, session;
};

static bool agree(enum flag *all, enum flag one)
{
    if (one == FLAG_ABSENT) {
        return true;
    }
    bool fits = *all == FLAG_ABSENT || *all == one;
    *all = one;
    return fits;
}

static bool read_wish(const struct command *answer, struct wish *wish, const char **field)
{
    const char *decision = answer->decision;
    *wish = (struct wish){.yes = answer->allowed};
    *field = "allow";
    if (!agree(&wish->yes, answer->allow)) {
        return false;
    }
    *field = "decision";
    if (decision && !agree(&wish->yes, strcmp(decision, "deny") ? FLAG_YES : FLAG_NO)) {
        return false;
    }
    bool for_ever = decision && !strcmp(decision, "allow-always");
    *field = "alwaysAllow";
    if (for_ever && answer->always_allow == FLAG_NO) {
        return false;
    }
    wish->always = for_ever || answer->always_allow == FLAG_YES;
    wish->session = decision && !strcmp(decision, "allow-session");
    *field = NULL;
    return true;
}

static enum answer_code decide_by_kind(const struct wish *wish,
                                       const struct permission_question *question,
                                       struct permission_verdict *verdict, const char **message)
{
    const struct permission_option *option = NULL;
    if (wish->yes != FLAG_YES) {
        option = first_of(question, OPTION_REJECT_ONCE);
        option = option ? option : first_of(question, OPTION_REJECT_ALWAYS);
        *verdict = (struct permission_verdict){.option_id = option ? option->option_id : NULL};
        return ANSWER_OK;
    }
    if (wish->always) {
        option = first_of(question, OPTION_ALLOW_ALWAYS);
    }
    option = option ? option : first_of(question, OPTION_ALLOW_ONCE);
    if (!option) {
        *message = "the agent offers no such option: choose one of its own by `optionId`";
        return ANSWER_UNKNOWN_OPTION;
    }
    *verdict = (struct permission_verdict){
        .allowed = true,
        .option_id = option->option_id,
        .always_allow = option->kind == OPTION_ALLOW_ALWAYS,
        .wants_session_rule = wish->session && question->has_session_rule,
    };
    return ANSWER_OK;
}

/* ERR_OK: the same value. ERR_INVAL: another one. */
static enum err compare_input(const char *updated, const char *shown)
{
    struct json_parser *parser;
    struct json_object *a = NULL, *b = NULL;
    enum err err = json_parser_new(&parser, INPUT_DEPTH);
    if (err) {
        return err;
    }
    err = json_parse(parser, updated, strlen(updated), &a);
    if (!err) {
        err = json_parse(parser, shown ? shown : "null", strlen(shown ? shown : "null"), &b);
    }
    if (!err) {
        err = json_object_equal(a, b) ? ERR_OK : ERR_INVAL;
    }
    json_object_put(a);
    json_object_put(b);
    json_parser_free(parser);
    return err;
}

enum answer_code permission_verdict(const struct command *answer,
                                    const struct permission_question *question,
                                    struct permission_verdict *verdict, const char **field,
                                    const char **message)
{
    *field = NULL;
    *message = NULL;
    if (answer->updated_input) {
        enum err err = compare_input(answer->updated_input, question->tool_input);
        *field = "updatedInput";
        if (err == ERR_NOMEM) {
            *message = "out of memory";
            return ANSWER_INTERNAL;
        }
        if (err) {
            *message = "an agent cannot be given another input than the one it asked about";
            return ANSWER_UNSUPPORTED;
        }
        *field = NULL;
    }
    if (answer->option_id) {
        return decide_by_option(answer, question, verdict, field, message);
    }
    struct wish wish;
    if (!read_wish(answer, &wish, field)) {
        *message = "the answer says both yes and no, or both once and always";
        return ANSWER_BAD_MESSAGE;
    }
    return decide_by_kind(&wish, question, verdict, message);
}
