/* Every form of an answer to a permission request, for agents that offer all options and for those that do not. */
#include "signalbox/core/permission_answer.h"
#include "support/test.h"

static struct permission_option all[] = {
    {"once", "Allow", "allow_once", OPTION_ALLOW_ONCE},
    {"once2", "Allow otherwise", "allow_once", OPTION_ALLOW_ONCE},
    {"always", "Always", "allow_always", OPTION_ALLOW_ALWAYS},
    {"no", "No", "reject_once", OPTION_REJECT_ONCE},
    {"never", "Never", "reject_always", OPTION_REJECT_ALWAYS},
};
static struct permission_option no_always[] = {
    {"no", "No", "reject_always", OPTION_REJECT_ALWAYS},
    {"yes", "Yes", "allow_once", OPTION_ALLOW_ONCE},
};
static struct permission_option only_always[] = {{"always", "Always", "allow_always", OPTION_ALLOW_ALWAYS}};
static struct permission_option odd[] = {
    {"go", "Go", "allow_with_care", OPTION_OTHER},
    {"stop", "Stop", "reject_and_stop", OPTION_OTHER},
    {"new", "New", NULL, OPTION_OTHER},
};
#define OPTIONS(list) list, sizeof(list) / sizeof(list[0])

enum { A = FLAG_ABSENT, N = FLAG_NO, Y = FLAG_YES };

static const struct {
    struct permission_option *options;
    size_t count;
    char *option_id;
    int allowed, allow;
    char *decision;
    int always;
    char *updated;
    bool session_rule;
    /* what comes of it */
    enum answer_code code;
    const char *field;
    bool yes;
    const char *chosen;
    bool told_always, wants_rule;
} forms[] = {
    /* by option: whatever stands beside it */
    {OPTIONS(all), "once2", A, A, NULL, A, NULL, false, ANSWER_OK, NULL, true, "once2", false, false},
    {OPTIONS(all), "always", N, A, NULL, A, NULL, false, ANSWER_OK, NULL, true, "always", true, false},
    {OPTIONS(all), "no", Y, N, "allow-always", Y, NULL, true, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(all), "never", A, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, "never", false, false},
    {OPTIONS(all), "nope", Y, A, NULL, A, NULL, false, ANSWER_UNKNOWN_OPTION, "optionId", false, NULL, false, false},
    {OPTIONS(odd), "go", A, A, NULL, A, NULL, false, ANSWER_OK, NULL, true, "go", false, false},
    {OPTIONS(odd), "stop", A, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, "stop", false, false},
    {OPTIONS(odd), "new", A, A, NULL, A, NULL, false, ANSWER_OK, NULL, true, "new", false, false},
    /* a yes */
    {OPTIONS(all), NULL, Y, A, NULL, A, NULL, false, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(all), NULL, A, Y, NULL, A, NULL, false, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(all), NULL, A, A, "allow", A, NULL, false, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(all), NULL, Y, Y, "allow", N, NULL, true, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(only_always), NULL, Y, A, NULL, A, NULL, false, ANSWER_UNKNOWN_OPTION, NULL, false, NULL, false, false},
    {OPTIONS(odd), NULL, Y, A, NULL, A, NULL, false, ANSWER_UNKNOWN_OPTION, NULL, false, NULL, false, false},
    {NULL, 0, NULL, Y, A, NULL, A, NULL, false, ANSWER_UNKNOWN_OPTION, NULL, false, NULL, false, false},
    /* a yes for ever */
    {OPTIONS(all), NULL, Y, A, NULL, Y, NULL, false, ANSWER_OK, NULL, true, "always", true, false},
    {OPTIONS(all), NULL, A, A, "allow-always", A, NULL, false, ANSWER_OK, NULL, true, "always", true, false},
    {OPTIONS(all), NULL, A, A, "allow", Y, NULL, false, ANSWER_OK, NULL, true, "always", true, false},
    {OPTIONS(no_always), NULL, Y, A, NULL, Y, NULL, false, ANSWER_OK, NULL, true, "yes", false, false},
    {OPTIONS(only_always), NULL, A, A, "allow-always", A, NULL, false, ANSWER_OK, NULL, true, "always", true, false},
    {OPTIONS(odd), NULL, A, A, "allow-always", A, NULL, false, ANSWER_UNKNOWN_OPTION, NULL, false, NULL, false, false},
    /* a yes for this session */
    {OPTIONS(all), NULL, A, A, "allow-session", A, NULL, true, ANSWER_OK, NULL, true, "once", false, true},
    {OPTIONS(all), NULL, A, A, "allow-session", A, NULL, false, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(all), NULL, Y, A, "allow-session", Y, NULL, true, ANSWER_OK, NULL, true, "always", true, true},
    {OPTIONS(only_always), NULL, A, A, "allow-session", A, NULL, true, ANSWER_UNKNOWN_OPTION, NULL, false, NULL, false,
     false},
    /* a no, also where nothing says yes */
    {OPTIONS(all), NULL, N, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(all), NULL, A, N, "deny", A, NULL, false, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(all), NULL, N, N, "deny", Y, NULL, true, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(all), NULL, A, A, NULL, A, NULL, true, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(all), NULL, A, A, NULL, Y, NULL, true, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(no_always), NULL, N, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, "no", false, false},
    {OPTIONS(only_always), NULL, N, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, NULL, false, false},
    {NULL, 0, NULL, A, A, NULL, A, NULL, false, ANSWER_OK, NULL, false, NULL, false, false},
    /* contradictions */
    {OPTIONS(all), NULL, Y, N, NULL, A, NULL, false, ANSWER_BAD_MESSAGE, "allow", false, NULL, false, false},
    {OPTIONS(all), NULL, Y, A, "deny", A, NULL, false, ANSWER_BAD_MESSAGE, "decision", false, NULL, false, false},
    {OPTIONS(all), NULL, N, A, "allow", A, NULL, false, ANSWER_BAD_MESSAGE, "decision", false, NULL, false, false},
    {OPTIONS(all), NULL, A, N, "allow-session", A, NULL, true, ANSWER_BAD_MESSAGE, "decision", false, NULL, false, false},
    {OPTIONS(all), NULL, A, A, "allow-always", N, NULL, false, ANSWER_BAD_MESSAGE, "alwaysAllow", false, NULL, false,
     false},
    /* another input than was shown */
    {OPTIONS(all), NULL, Y, A, NULL, A, "{\"b\":[1,2],\"a\":\"x\"}", false, ANSWER_OK, NULL, true, "once", false, false},
    {OPTIONS(all), NULL, Y, A, NULL, A, "{\"a\":\"x\"}", false, ANSWER_UNSUPPORTED, "updatedInput", false, NULL, false,
     false},
    {OPTIONS(all), "once", A, A, NULL, A, "{}", false, ANSWER_UNSUPPORTED, "updatedInput", false, NULL, false, false},
};

static void every_form_has_its_verdict(void)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct command answer = {
            .type = COMMAND_PERMISSION_RESPONSE, .option_id = forms[i].option_id,
            .allowed = (enum flag)forms[i].allowed, .allow = (enum flag)forms[i].allow,
            .decision = forms[i].decision, .always_allow = (enum flag)forms[i].always, .all = FLAG_ABSENT,
            .updated_input = forms[i].updated,
        };
        const struct permission_question question = {
            .options = forms[i].options, .option_count = forms[i].count,
            .tool_input = "{\"a\":\"x\",\"b\":[1,2]}", .has_session_rule = forms[i].session_rule,
        };
        struct permission_verdict verdict;
        const char *field, *message;
        enum answer_code code = permission_verdict(&answer, &question, &verdict, &field, &message);
        bool right = code == forms[i].code && !strcmp(field ? field : "", forms[i].field ? forms[i].field : "");
        if (right && code == ANSWER_OK) {
            right = verdict.allowed == forms[i].yes && verdict.always_allow == forms[i].told_always &&
                    verdict.wants_session_rule == forms[i].wants_rule &&
                    !strcmp(verdict.option_id ? verdict.option_id : "", forms[i].chosen ? forms[i].chosen : "");
        } else if (right) {
            right = message != NULL;
        }
        if (!right) {
            printf("\n    case %zu: %s\n", i, answer_code_name(code));
        }
        CU_ASSERT_TRUE(right);
    }
}

TEST_MAIN("permission_answer", TEST(every_form_has_its_verdict))
