/*
 * Which requests are answered without a person, in this order:
 *
 *   1. what the operator denies is rejected, whatever else there is;
 *   2. the policy read-only rejects what does more than look;
 *   3. a rule that a person made allows what it covers;
 *   4. the policies read-only and trust let pass;
 *   5. everything else waits for a person.
 */
#include "session_internal.h"

#include <stdio.h>
#include <string.h>

#include "signalbox/base/check.h"

const struct permission_option *option_of_kind(const struct permission_ask *ask, enum option_kind kind)
{
    for (size_t i = 0; i < ask->option_count; i++) {
        if (ask->options[i].kind == kind) {
            return &ask->options[i];
        }
    }
    return NULL;
}

const char *rejection_of(const struct permission_ask *ask)
{
    const struct permission_option *option = option_of_kind(ask, OPTION_REJECT_ONCE);
    if (!option) {
        option = option_of_kind(ask, OPTION_REJECT_ALWAYS);
    }
    return option ? option->option_id : NULL;
}

struct rule_place session_place(const struct session *session)
{
    return (struct rule_place){
        .session_id = session->id, .workspace = session->workspace, .created_by = session->created_by};
}

bool pattern_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return !*pattern;
}

/* ---- What the operator denies ---- */

static bool path_lies_in(const char *path, const char *folder)
{
    char normal[RULE_PATH_MAX];
    return rule_path_normal(path, normal) && rule_path_within(normal, folder);
}

/* The folder of `deny-paths` that the request names; NULL: none. `*unknown`: it names something of which that cannot be
 * told, which counts as denied. */
static const char *denied_path(const struct session *session, const struct permission_ask *ask,
                               const struct session_words *folders, bool *unknown)
{
    *unknown = folders->count && ask->paths_left_out;
    for (size_t i = 0; folders->count && i < ask->path_count; i++) {
        const char *real = ask->real_paths ? ask->real_paths[i] : NULL;
        char normal[RULE_PATH_MAX];
        *unknown = *unknown || !real || !rule_path_normal(real, normal);
        for (size_t j = 0; j < folders->count; j++) {
            const char *folder = folders->items[j];
            char below[RULE_PATH_MAX], whole[RULE_PATH_MAX * 2];
            snprintf(whole, sizeof(whole), "%s/%s", session->workspace, folder);
            if (*folder != '/') { /* in the workspace */
                if (!rule_path_normal(whole, below)) {
                    continue;
                }
                folder = below;
            }
            if (path_lies_in(ask->paths[i], folder) || (real && path_lies_in(real, folder))) {
                return folders->items[j];
            }
        }
    }
    return NULL;
}

static bool denied(const struct session *session, const struct permission_ask *ask, const struct session_limits *limits,
                   struct judgement *out)
{
    for (size_t i = 0; i < limits->deny_kinds.count; i++) {
        if (!strcmp(limits->deny_kinds.items[i], ask->kind)) {
            snprintf(out->why, sizeof(out->why), "the operator denies what is of kind %s", ask->kind);
            return true;
        }
    }
    /* A shell does not mind blanks in front, and people hardly see them. */
    const char *command = ask->command + strspn(ask->command, " \t\r\n");
    for (size_t i = 0; i < limits->deny_commands.count; i++) {
        const char *pattern = limits->deny_commands.items[i];
        if (pattern_matches(pattern, ask->command) || pattern_matches(pattern, command)) {
            snprintf(out->why, sizeof(out->why), "the operator denies commands like %s", limits->deny_commands.items[i]);
            return true;
        }
    }
    if (limits->deny_commands.count && ask->command_cut) {
        snprintf(out->why, sizeof(out->why), "the operator denies some commands, and this is too long to be looked through");
        return true;
    }
    bool unknown;
    const char *folder = denied_path(session, ask, &limits->deny_paths, &unknown);
    if (folder) {
        snprintf(out->why, sizeof(out->why), "the operator denies what is in %s", folder);
    } else if (unknown) {
        snprintf(out->why, sizeof(out->why), "the operator denies some folders, and what this names cannot be looked up");
    }
    return folder || unknown;
}

/* ---- The judgement ---- */

static bool only_looks(const char *kind)
{
    return !strcmp(kind, "read") || !strcmp(kind, "search") || !strcmp(kind, "think");
}

static void reject(struct judgement *out, const struct permission_ask *ask, const char *policy)
{
    out->kind = JUDGEMENT_REJECT;
    out->policy = policy;
    out->option_id = rejection_of(ask);
}

void permission_judge(const struct session *session, const struct permission_ask *ask, const struct session_now *now,
                      struct judgement *out)
{
    *out = (struct judgement){.kind = JUDGEMENT_ASK};
    enum session_policy policy = POLICY_ASK;
    (void)session_policy_parse(session->policy, &policy);
    if (denied(session, ask, now->limits, out)) {
        reject(out, ask, "operator");
        return;
    }
    if (policy == POLICY_READ_ONLY && !only_looks(ask->kind)) {
        snprintf(out->why, sizeof(out->why), "the session is read-only, and this is of kind %s", ask->kind);
        reject(out, ask, session->policy);
        return;
    }
    /* Nobody but a person gives more than one yes: where the agent offers none of that kind, a person is asked. */
    const struct permission_option *once = option_of_kind(ask, OPTION_ALLOW_ONCE);
    if (!once) {
        return;
    }
    struct rule_place place = session_place(session);
    place.knows_user = now->limits->knows_user;
    place.users = now->limits->users;
    out->rule = rule_set_match(now->rules, &place, ask, now->wall_ms);
    if (out->rule) {
        snprintf(out->why, sizeof(out->why), "%s", out->rule->label);
    } else if (policy != POLICY_ASK) {
        out->policy = session->policy;
        snprintf(out->why, sizeof(out->why), "the session's policy is %s", session->policy);
    } else {
        return;
    }
    out->kind = JUDGEMENT_ALLOW;
    out->option_id = once->option_id;
}
