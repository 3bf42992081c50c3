/*
 * Which agents may be started: a circuit breaker for each configured agent and for each session (core/breaker.c).
 *
 * What counts. Each failure counts for the session's own breaker; for that of the agent a session counts once within
 * the window, so that a workspace or a conversation that kills its agent again and again keeps nobody else from
 * theirs. A run that has proved that the agent works closes both.
 */
#include "dispatch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/mail/timer.h"

enum { ERROR_SHOWN_MAX = 300 };

struct keeper {
    struct keeper *next;
    char *name; /* of the configured agent */
    struct digest digest;
    struct breaker breaker;
    char *last_error; /* NULL: none since it was last seen to work */
    int64_t last_error_at;
};

static void keeper_free(struct keeper *keeper)
{
    free(keeper->name);
    free(keeper->last_error);
    free(keeper);
}

void dispatch_keep_free(struct dispatch *dispatch)
{
    while (dispatch->keepers) {
        struct keeper *keeper = dispatch->keepers;
        dispatch->keepers = keeper->next;
        keeper_free(keeper);
    }
    config_put(dispatch->config_seen);
    buffer_free(&dispatch->place_text);
}

/* ---- The tick ---- */

void dispatch_keep_arm(struct dispatch *dispatch, struct instant at)
{
    if (dispatch->keep_deadline) {
        if (dispatch->keep_deadline->at.ns <= at.ns) {
            return;
        }
        dispatch->sink.disarm(dispatch, dispatch->keep_deadline);
    }
    struct deadline *deadline = need_zero(sizeof(*deadline));
    deadline->at = at;
    deadline->what = DEADLINE_KEEP;
    deadline->mail.kind = TIMER_ARM;
    mailbox_push(dispatch->wiring.timer, &deadline->mail);
    dispatch->keep_deadline = deadline;
}

/* ---- Breakers ---- */

static struct breaker_rules rules_of(const struct dispatch *dispatch)
{
    const struct config *config = dispatch->config;
    return (struct breaker_rules){.failures = (int)config->agent_breaker_failures,
                                  .window_ms = config->agent_breaker_window_ms,
                                  .pause_ms = config->agent_breaker_pause_ms,
                                  .pause_max_ms = config->agent_breaker_pause_max_ms};
}

static void count_breakers(const struct dispatch *dispatch)
{
    int64_t states[] = {[BREAKER_CLOSED] = 0, [BREAKER_OPEN] = 0, [BREAKER_HALF_OPEN] = 0};
    for (const struct keeper *keeper = dispatch->keepers; keeper; keeper = keeper->next) {
        states[keeper->breaker.state]++;
    }
    metric_set(METRIC_BREAKERS_OPEN, states[BREAKER_OPEN]);
    metric_set(METRIC_BREAKERS_HALF_OPEN, states[BREAKER_HALF_OPEN]);
}

static void look(struct dispatch *dispatch, struct keeper *keeper)
{
    if (breaker_look(&keeper->breaker, dispatch->now.at)) {
        log_info("an agent that failed too often may be tried once", "agent", "%s", keeper->name, NULL);
        count_breakers(dispatch);
    } else if (keeper->breaker.state == BREAKER_OPEN) {
        dispatch_keep_arm(dispatch, keeper->breaker.until);
    }
}

/* It is another agent now, and what was known of it does not hold. */
static void renew(struct dispatch *dispatch, struct keeper *keeper)
{
    if (keeper->breaker.state != BREAKER_CLOSED) {
        log_info("an agent was configured anew and may be started again", "agent", "%s", keeper->name, NULL);
    }
    keeper->breaker = (struct breaker){0};
    free(keeper->last_error);
    keeper->last_error = NULL;
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        if (!strcmp(held->session->agent, keeper->name)) {
            free(held->breaker);
            held->breaker = NULL;
        }
    }
    count_breakers(dispatch);
}

static struct keeper *keeper_of(struct dispatch *dispatch, const char *name)
{
    struct keeper *keeper = dispatch->keepers;
    while (keeper && strcmp(keeper->name, name)) {
        keeper = keeper->next;
    }
    const struct config_agent *agent = config_agent(dispatch->config, name);
    struct digest digest = {0};
    if (agent) {
        config_agent_digest(agent, &digest);
    }
    if (!keeper) {
        keeper = need_zero(sizeof(*keeper));
        keeper->name = need_copy(name);
        keeper->digest = digest;
        keeper->next = dispatch->keepers;
        dispatch->keepers = keeper;
    } else if (!digest_equal(&keeper->digest, &digest)) {
        keeper->digest = digest;
        renew(dispatch, keeper);
    }
    look(dispatch, keeper);
    return keeper;
}

static void put_time(struct buffer *out, int64_t wall_ms)
{
    char text[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buffer_text(out, text);
}

static int64_t until_of(const struct dispatch *dispatch, const struct breaker *breaker)
{
    return dispatch->now.wall_ms + instant_diff_ms(breaker->until, dispatch->now.at);
}

static const char *place_text(struct dispatch *dispatch)
{
    need_ok(buffer_ok(&dispatch->place_text) ? ERR_OK : ERR_NOMEM);
    buffer_byte(&dispatch->place_text, 0);
    return dispatch->place_text.data;
}

/* Why it may not be started; `who` begins the sentence. */
static struct place_answer broken(struct dispatch *dispatch, const struct breaker *breaker, const char *who,
                                  const char *last_error)
{
    struct buffer *text = &dispatch->place_text;
    bool open = breaker->state == BREAKER_OPEN;
    buffer_reset(text);
    buffer_text(text, who);
    if (open) {
        buffer_text(text, " failed too often and is not started again before ");
        put_time(text, until_of(dispatch, breaker));
        snprintf(dispatch->place_fields, sizeof(dispatch->place_fields), ",\"until\":%lld",
                 (long long)until_of(dispatch, breaker));
    } else {
        buffer_text(text, " failed too often, and is being tried for another session");
    }
    if (last_error) {
        buffer_format(text, ": %.*s", ERROR_SHOWN_MAX, last_error);
    }
    return (struct place_answer){.kind = PLACE_REFUSED, .code = ANSWER_AGENT_UNAVAILABLE,
                                 .message = place_text(dispatch), .fields = open ? dispatch->place_fields : NULL};
}

/* `held` may be NULL: a session that is to be created. A try that it has is its own. */
struct place_answer dispatch_breakers_ask(struct dispatch *dispatch, const struct held *held, const char *name)
{
    const struct keeper *keeper = keeper_of(dispatch, name);
    if (!breaker_allows(&keeper->breaker) && !(held && held->is_try)) {
        return broken(dispatch, &keeper->breaker, "the agent", keeper->last_error);
    }
    if (held && held->breaker) {
        (void)breaker_look(held->breaker, dispatch->now.at);
        if (!breaker_allows(held->breaker) && !held->is_own_try) {
            return broken(dispatch, held->breaker, "the agent of this session", NULL);
        }
    }
    return (struct place_answer){.kind = PLACE_GIVEN};
}

void dispatch_breakers_enter(struct dispatch *dispatch, struct held *held)
{
    if (!held->is_try) {
        held->is_try = breaker_start(&keeper_of(dispatch, held->session->agent)->breaker);
    }
    if (held->breaker && !held->is_own_try) {
        held->is_own_try = breaker_start(held->breaker);
    }
}

void dispatch_breakers_leave(struct dispatch *dispatch, struct held *held)
{
    if (held->is_try) {
        breaker_try_over(&keeper_of(dispatch, held->session->agent)->breaker);
    }
    if (held->breaker && held->is_own_try) {
        breaker_try_over(held->breaker);
    }
    held->is_try = held->is_own_try = false;
}

static void proven(struct dispatch *dispatch, struct held *held)
{
    struct keeper *keeper = keeper_of(dispatch, held->session->agent);
    if (breaker_succeeded(&keeper->breaker)) {
        log_info("an agent that failed too often works again", "agent", "%s", keeper->name, NULL);
        count_breakers(dispatch);
    }
    free(keeper->last_error);
    keeper->last_error = NULL;
    free(held->breaker);
    held->breaker = NULL;
    held->is_try = held->is_own_try = false;
}

static void remember(const struct dispatch *dispatch, struct keeper *keeper, const char *message)
{
    free(keeper->last_error);
    keeper->last_error = need_copy(message ? message : "unknown");
    keeper->last_error_at = dispatch->now.wall_ms;
}

static void failed(struct dispatch *dispatch, struct held *held, const char *message)
{
    const struct breaker_rules rules = rules_of(dispatch);
    const struct session *session = held->session;
    struct keeper *keeper = keeper_of(dispatch, session->agent);
    remember(dispatch, keeper, message);
    if (breaker_failed(&keeper->breaker, dispatch->now.at, (uint64_t)session->key, held->is_try, &rules)) {
        metric_add(METRIC_BREAKER_OPENS, 1);
        log_warn("an agent failed too often and is not started for a while", "agent", "%s", keeper->name, "pause_ms",
                 "%lld", (long long)keeper->breaker.pause_ms, "reason", "%s", keeper->last_error, NULL);
        count_breakers(dispatch);
        dispatch_keep_arm(dispatch, keeper->breaker.until);
    }
    if (!held->breaker) {
        held->breaker = need_zero(sizeof(*held->breaker));
    }
    if (breaker_failed(held->breaker, dispatch->now.at, session->run, held->is_own_try, &rules)) {
        metric_add(METRIC_SESSION_BREAKER_OPENS, 1);
        log_warn("the agent of a session failed too often and is not started for a while", "session", "%s", session->id,
                 "agent", "%s", keeper->name, "pause_ms", "%lld", (long long)held->breaker->pause_ms, "reason", "%s",
                 keeper->last_error, NULL);
    }
    held->is_try = held->is_own_try = false;
}

/* When it is started again, for the watchers; NULL: at the next prompt. */
static const char *note(struct dispatch *dispatch, const struct held *held)
{
    const struct breaker *own = held->breaker;
    const struct breaker *breaker = &keeper_of(dispatch, held->session->agent)->breaker;
    if (own && own->state == BREAKER_OPEN &&
        (breaker->state != BREAKER_OPEN || own->until.ns > breaker->until.ns)) {
        breaker = own;
    }
    if (breaker->state != BREAKER_OPEN) {
        return NULL;
    }
    buffer_reset(&dispatch->place_text);
    buffer_text(&dispatch->place_text, "It failed too often, and is not started again before ");
    put_time(&dispatch->place_text, until_of(dispatch, breaker));
    buffer_byte(&dispatch->place_text, '.');
    return place_text(dispatch);
}

static const char *sink_run(void *context, struct session *session, enum agent_run what, const char *message)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    switch (what) {
    case RUN_PROVEN:
        proven(dispatch, held);
        return NULL;
    case RUN_FAILED:
    case RUN_CRASHED:
        failed(dispatch, held, message);
        return note(dispatch, held);
    case RUN_MISSING: /* counts for no breaker, but who chooses an agent is told */
        remember(dispatch, keeper_of(dispatch, held->session->agent), message);
        dispatch_breakers_leave(dispatch, held);
        break;
    case RUN_OVER:
        dispatch_breakers_leave(dispatch, held);
    }
    return NULL;
}

void dispatch_keep_tick(struct dispatch *dispatch)
{
    dispatch->keep_deadline = NULL;
    if (dispatch->ending) {
        return; /* the timer may have ended, so nothing is armed any more */
    }
    dispatch->places_due |= dispatch->room_due; /* else it was for the breakers, or to look at the configuration */
    dispatch->room_due = false;
    for (struct keeper *keeper = dispatch->keepers; keeper; keeper = keeper->next) {
        look(dispatch, keeper);
    }
}

void dispatch_keep_config(struct dispatch *dispatch)
{
    if (dispatch->config == dispatch->config_seen) {
        return;
    }
    config_put(dispatch->config_seen);
    dispatch->config_seen = config_get(dispatch->config);
    struct keeper **at = &dispatch->keepers;
    while (*at) {
        struct keeper *keeper = *at;
        if (config_agent(dispatch->config, keeper->name)) {
            (void)keeper_of(dispatch, keeper->name);
            at = &keeper->next;
        } else {
            *at = keeper->next;
            keeper_free(keeper);
        }
    }
    count_breakers(dispatch);
    dispatch->places_due = true;
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        if (held->session->life == AGENT_READY) {
            dispatch_step(dispatch, held);
            session_limits_changed(held->session, &dispatch->sink, &dispatch->now);
        }
    }
}

void dispatch_keep_init(struct dispatch *dispatch)
{
    dispatch->sink.run = sink_run;
}

/* ---- To be shown ---- */

static void put_agent(struct dispatch *dispatch, struct buffer *out, const char *name)
{
    const struct keeper *keeper = keeper_of(dispatch, name);
    int64_t running = 0, waiting = 0;
    for (const struct held *held = dispatch->sessions; held; held = held->next) {
        if (!strcmp(held->session->agent, name)) {
            running += session_has_agent(held->session);
            waiting += held->session->life == AGENT_WAITING;
        }
    }
    json_key(out, name);
    buffer_byte(out, '{');
    json_field_i64(out, "running", running);
    json_field_i64(out, "waiting", waiting);
    json_field_string(out, "state", breaker_state_name(keeper->breaker.state));
    if (keeper->breaker.state == BREAKER_OPEN) {
        json_field_i64(out, "until", until_of(dispatch, &keeper->breaker));
    }
    if (keeper->last_error) {
        json_key(out, "lastError");
        buffer_byte(out, '{');
        json_field_string(out, "message", keeper->last_error);
        json_field_i64(out, "at", keeper->last_error_at);
        buffer_byte(out, '}');
    }
    buffer_byte(out, '}');
}

void dispatch_agent_states(struct dispatch *dispatch, struct dispatch_command *command)
{
    struct buffer fields = {0};
    json_key(&fields, "agents");
    buffer_byte(&fields, '{');
    for (size_t i = 0; i < dispatch->config->agent_count; i++) {
        put_agent(dispatch, &fields, dispatch->config->agents[i].name); /* plain: the configuration sees to it */
    }
    buffer_byte(&fields, '}');
    char *text = buffer_take(&fields);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, text);
    free(text);
}
