#include "support/session_fixture.h"

#include <stdarg.h>
#include <stdint.h>

#include "signalbox/base/check.h"

#define RULE(condition) CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_FALSE)

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static struct record *record(struct fixture *fixture, enum record_kind kind)
{
    if (fixture->count == fixture->capacity) {
        fixture->capacity = fixture->capacity ? fixture->capacity * 2 : 64;
        fixture->records = reallocarray(fixture->records, fixture->capacity, sizeof(*fixture->records));
        CHECK(fixture->records);
    }
    struct record *made = &fixture->records[fixture->count++];
    *made = (struct record){.kind = kind};
    return made;
}

/* ---- The rules ---- */

static const char *member(struct json_object *map, const char *key)
{
    return json_get_string(map, key);
}

static void set_member(struct json_object *map, const char *key, const char *value)
{
    json_object_object_add(map, key, json_object_new_string(value));
}

static void rules_of_message(struct fixture *fixture, struct json_object *event)
{
    const char *id = json_get_string(event, "messageId");
    const char *status = json_get_string(event, "status");
    const char *before = member(fixture->prompts, id);
    if (!strcmp(status, "accepted") || !strcmp(status, "queued")) {
        RULE(!before);
    } else if (!strcmp(status, "processing")) {
        RULE(before && (!strcmp(before, "queued") || !strcmp(before, "accepted")));
    } else {
        TEST_TEXT(status, "withdrawn");
        RULE(before && !strcmp(before, "queued"));
    }
    int64_t position;
    RULE(json_get_i64(event, "position", &position) == !strcmp(status, "queued"));
    set_member(fixture->prompts, id, status);
}

static void rules_of_permission(struct fixture *fixture, enum event_kind kind, struct json_object *event)
{
    if (kind == EVENT_PERMISSION_REQUEST) {
        const char *id = json_get_string(json_get(event, "request"), "requestId");
        RULE(!member(fixture->requests, id));
        set_member(fixture->requests, id, "open");
    } else {
        const char *id = json_get_string(event, "requestId");
        RULE(member(fixture->requests, id) && !strcmp(member(fixture->requests, id), "open"));
        set_member(fixture->requests, id, "ended");
        set_member(fixture->ends, id, kind == EVENT_PERMISSION_RESOLVED   ? json_get_string(event, "outcome")
                                      : kind == EVENT_PERMISSION_TIMEOUT ? "timeout"
                                                                         : "cancelled");
    }
}

static void rules_of_event(struct fixture *fixture, enum event_kind kind, struct json_object *event)
{
    const char *turn = json_get_string(event, "turnId");
    RULE(!fixture->closed_shown || kind == EVENT_STATUS);
    switch (kind) {
    case EVENT_STATUS: {
        enum session_phase phase;
        bool known = session_phase_parse(json_get_string(event, "phase"), &phase);
        RULE(known && phase == fixture->session->phase);
        RULE(session_phase_may_follow(fixture->shown_phase, phase));
        fixture->shown_phase = phase;
        break;
    }
    case EVENT_USER_MESSAGE:
        rules_of_message(fixture, event);
        break;
    case EVENT_TURN_STARTED:
        RULE(!fixture->open_turn && turn);
        TEST_TEXT(member(fixture->prompts, json_get_string(event, "messageId")), "processing");
        RULE(fixture->session->life == AGENT_READY);
        fixture->open_turn = copy(turn);
        break;
    case EVENT_COMPLETE: {
        RULE(fixture->open_turn && turn && !strcmp(turn, fixture->open_turn));
        int64_t duration = -1;
        RULE(json_get_i64(event, "durationMs", &duration) && duration >= 0);
        RULE(json_get_string(event, "stopReason") != NULL);
        free(fixture->open_turn);
        fixture->open_turn = NULL;
        break;
    }
    case EVENT_PERMISSION_REQUEST:
    case EVENT_PERMISSION_RESOLVED:
    case EVENT_PERMISSION_TIMEOUT:
    case EVENT_PERMISSION_CANCELLED:
        rules_of_permission(fixture, kind, event);
        break;
    case EVENT_SESSION_CLOSED:
        RULE(!fixture->open_turn);
        RULE(fixture->session->life == AGENT_NONE);
        fixture->closed_shown = true;
        break;
    default:
        break;
    }
}

/* ---- The sink ---- */

static void sink_event(void *context, struct session *session, struct event *event)
{
    struct fixture *fixture = context;
    session->head++;
    session->last_ts = event->at_wall_ms > session->last_ts ? event->at_wall_ms : session->last_ts;
    session->updated_at = session->last_ts;
    event_number(event, session->head, session->last_ts);

    struct json_parser *parser;
    struct json_object *parsed = NULL;
    CHECK(json_parser_new(&parser, 100) == ERR_OK);
    enum err err = json_parse(parser, frame_json(event->frame), frame_json_length(event->frame), &parsed);
    json_parser_free(parser);
    CHECK(err == ERR_OK && parsed);
    TEST_TEXT(json_get_string(parsed, "type"), event_name(event->kind));
    TEST_TEXT(json_get_string(parsed, "sessionId"), session->id);
    RULE(session->changed);
    rules_of_event(fixture, event->kind, parsed);
    event_discard(event);
    record(fixture, RECORD_EVENT)->event = parsed;
}

static void sink_order(void *context, struct session *session, enum agent_order_kind kind, const char *turn_id,
                       const char *content, const char *request_id, const char *option_id)
{
    struct fixture *fixture = context;
    RULE(session->life == AGENT_READY || session->life == AGENT_ENDING || kind == ORDER_STOP || kind == ORDER_CLOSE ||
         kind == ORDER_POLICY);
    kind = kind == ORDER_PROMPT_BLOBS ? ORDER_PROMPT : kind;
    RULE(session_has_agent(session));
    RULE(kind != ORDER_PROMPT || session->life == AGENT_READY);
    RULE((kind == ORDER_PROMPT || kind == ORDER_CANCEL) == (turn_id != NULL));
    if (kind == ORDER_PROMPT) {
        RULE(fixture->open_turn && !strcmp(turn_id, fixture->open_turn));
    }
    if (kind == ORDER_PERMISSION) {
        RULE(request_id && !member(fixture->ordered, request_id));
        set_member(fixture->ordered, request_id, option_id ? option_id : "");
    }
    struct record *made = record(fixture, RECORD_ORDER);
    made->order = kind;
    made->turn_id = copy(turn_id);
    made->content = copy(content);
    made->request_id = copy(request_id);
    made->option_id = copy(option_id);
}

static void sink_start_agent(void *context, struct session *session)
{
    struct fixture *fixture = context;
    RULE(session->life == AGENT_STARTING);
    RULE(session->run > 0);
    RULE(fixture->running);
    record(fixture, RECORD_START);
}

static struct place_answer sink_take_place(void *context, struct session *session, const char *user)
{
    struct fixture *fixture = context;
    RULE(session->life == AGENT_NONE && !fixture->waits);
    RULE(user && *user);
    if (fixture->place.kind != PLACE_REFUSED) {
        RULE(!fixture->running);
        fixture->running = fixture->place.kind == PLACE_GIVEN;
        fixture->waits = fixture->place.kind == PLACE_WAITS;
    }
    return fixture->place;
}

static void sink_leave_place(void *context, struct session *session)
{
    struct fixture *fixture = context;
    RULE(fixture->waits && session->life == AGENT_NONE);
    fixture->waits = false;
    record(fixture, RECORD_LEAVE);
}

static const char *sink_run(void *context, struct session *session, enum agent_run what, const char *message)
{
    struct fixture *fixture = context;
    struct record *made = record(fixture, RECORD_RUN);
    made->run = what;
    made->message = copy(message);
    if (what == RUN_PROVEN) {
        RULE(fixture->running && session->life == AGENT_READY);
        return NULL;
    }
    /* Exactly one word of each run's end. */
    RULE(fixture->running && session->life == AGENT_NONE);
    fixture->running = false;
    return what == RUN_OVER || what == RUN_MISSING ? NULL : fixture->note;
}

static void answered(struct fixture *fixture, struct called *call, enum answer_code code, const char *message,
                     const char *fields)
{
    RULE(++call->answers == 1);
    RULE((code == ANSWER_OK) == (message == NULL));
    struct buffer text = {0};
    buffer_text(&text, "{\"_\":0");
    buffer_text(&text, fields ? fields : "");
    buffer_byte(&text, '}');
    char *whole = buffer_take(&text);
    struct record *made = record(fixture, RECORD_ANSWER);
    made->code = code;
    made->message = copy(message);
    made->fields = json_tokener_parse(whole);
    made->caller = call->number;
    CU_ASSERT_PTR_NOT_NULL_FATAL(made->fields);
    free(whole);
}

static void sink_answer(void *context, const struct caller *caller, enum answer_code code, const char *message,
                        const char *fields)
{
    answered(context, (struct called *)(uintptr_t)caller->reply, code, message, fields);
}

static void *sink_keep_reply(void *context, const struct caller *caller)
{
    struct called *call = (struct called *)(uintptr_t)caller->reply;
    RULE(!call->kept && !call->answers);
    call->kept = true;
    record(context, RECORD_KEEP);
    return call;
}

static void sink_answer_kept(void *context, void *kept, enum answer_code code, const char *message, const char *fields)
{
    struct called *call = kept;
    RULE(call->kept);
    call->kept = false;
    answered(context, call, code, message, fields);
}

static void *sink_arm(void *context, struct session *session, int what, int64_t after_ms, const char *request_id)
{
    struct fixture *fixture = context;
    (void)session;
    RULE(after_ms > 0);
    RULE((what == ARM_PERMISSION || what == ARM_LOOK || what == ARM_SETTING) == (request_id != NULL));
    struct armed *armed = calloc(1, sizeof(*armed));
    CHECK(armed);
    *armed = (struct armed){.next = fixture->armed, .what = what, .request_id = copy(request_id)};
    fixture->armed = armed;
    struct record *made = record(fixture, RECORD_ARM);
    made->what = what;
    made->after_ms = after_ms;
    made->request_id = copy(request_id);
    return armed;
}

static void sink_disarm(void *context, void *handle)
{
    struct armed *armed = handle;
    RULE(!armed->over);
    armed->over = true;
    record(context, RECORD_DISARM)->what = armed->what;
}

static void sink_permission_feed(void *context, struct session *session, const struct permission *permission,
                                 bool waiting)
{
    struct fixture *fixture = context;
    (void)session;
    const char *id = permission->ask->request_id;
    const char *before = member(fixture->feed, id);
    RULE(waiting ? !before : before && !strcmp(before, "waiting"));
    set_member(fixture->feed, id, waiting ? "waiting" : "ended");
    struct record *made = record(fixture, RECORD_FEED);
    made->waiting = waiting;
    made->request_id = copy(id);
}

static void sink_look(void *context, struct session *session, const struct permission_ask *ask)
{
    const struct permission *again = session->pending;
    while (again && again->ask != ask) {
        again = again->next;
    }
    RULE(again ? again->looking_again && ask->looked : !ask->looked);
    RULE(ask->rule_command || ask->path_count);
    record(context, RECORD_LOOK)->request_id = copy(ask->request_id);
}

static const char *outcome_name(enum permission_outcome outcome)
{
    static const char *const names[] = {[OUTCOME_PENDING] = "pending",
                                        [OUTCOME_ALLOWED] = "allowed",
                                        [OUTCOME_REJECTED] = "rejected",
                                        [OUTCOME_TIMEOUT] = "timeout",
                                        [OUTCOME_CANCELLED] = "cancelled"};
    return names[outcome];
}

/* The audit has each request once, as the watchers and the agent have it. */
static void rules_of_decision(struct fixture *fixture, const struct session_decision *decision)
{
    const struct permission *permission = decision->permission;
    const char *id = permission->ask->request_id, *outcome = outcome_name(permission->outcome);
    const char *shown = member(fixture->ends, id);
    RULE(!member(fixture->decided, id));
    RULE(shown ? !strcmp(shown, outcome) : !member(fixture->requests, id));
    RULE(shown || !strcmp(outcome, "cancelled") || !strcmp(decision->by, "limit"));
    set_member(fixture->decided, id, outcome);
    RULE(strcmp(decision->by, "user") || (decision->user && decision->caller));
    RULE(strcmp(decision->by, "rule") || (decision->user && decision->rule_id));
    RULE(strcmp(decision->by, "policy") || (decision->policy && decision->reason));
    RULE(strcmp(decision->by, "cancellation") || decision->reason);
    RULE(permission->request_json && strstr(permission->request_json, id));
    const char *told = member(fixture->ordered, id);
    RULE(!told || !strcmp(told, permission->option_id ? permission->option_id : ""));
}

static void sink_decided(void *context, struct session *session, const struct session_decision *decision)
{
    struct fixture *fixture = context;
    (void)session;
    if (decision->permission) {
        rules_of_decision(fixture, decision);
    } else {
        RULE(decision->policy && (decision->service ? decision->reason : decision->policy_before));
    }
    struct record *made = record(fixture, RECORD_DECIDED);
    made->outcome = decision->permission ? outcome_name(decision->permission->outcome) : NULL;
    made->request_id = copy(decision->permission ? decision->permission->ask->request_id : NULL);
    made->option_id = copy(decision->permission ? decision->permission->option_id : NULL);
    made->by = copy(decision->by);
    made->user = copy(decision->user);
    made->rule_id = copy(decision->rule_id);
    made->policy = copy(decision->policy);
    made->made_rule_id = copy(decision->made_rule_id);
    made->message = copy(decision->reason);
    made->from_command = decision->caller != NULL;
}

static void sink_rule(void *context, struct session *session, const struct rule *rule, enum rule_change change,
                      const char *reason, const struct caller *caller)
{
    struct fixture *fixture = context;
    (void)session;
    RULE((change == RULE_MADE) == (rule_set_find(fixture->now.rules, rule->id) == rule));
    RULE((change == RULE_MADE) == (reason == NULL));
    RULE(change == RULE_REMOVED || (caller && !strcmp(caller->user, rule->user)));
    struct record *made = record(fixture, RECORD_RULE);
    made->change = change;
    made->rule_id = copy(rule->id);
    made->message = copy(rule->label);
}

/* At the end: what the feed and the audit have is what the watchers saw. */
static void rules_of_requests(struct fixture *fixture)
{
    json_object_object_foreach(fixture->requests, id, status)
    {
        bool ended = !strcmp(json_object_get_string(status), "ended");
        const char *fed = member(fixture->feed, id);
        RULE(ended == (member(fixture->decided, id) != NULL));
        RULE(ended ? !fed || !strcmp(fed, "ended") : fed && !strcmp(fed, "waiting"));
    }
    json_object_object_foreach(fixture->ordered, told, option)
    {
        (void)option;
        RULE(member(fixture->decided, told) != NULL);
    }
}

/* ---- Life ---- */

struct caller fixture_caller(struct fixture *fixture, const char *user)
{
    struct called *call = calloc(1, sizeof(*call));
    CHECK(call);
    call->number = ++fixture->call_count;
    snprintf(call->id, sizeof(call->id), "c%zu", call->number);
    call->next = fixture->calls;
    fixture->calls = call;
    return (struct caller){.user = user, .client_id = "client", .id = call->id, .address = "192.0.2.7:5",
                           .transport = "websocket", .reply = call};
}

static struct fixture *new_with(struct place_answer place)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    CHECK(fixture);
    fixture->place = place;
    fixture->limits = (struct session_limits){.permission_timeout_ms = 60000, .cancel_timeout_ms = 10000,
                                              .start_timeout_ms = 30000, .max_queued = 3, .max_pending = 4,
                                              .max_rules = 10, .max_event_bytes = 65536};
    fixture->now = (struct session_now){.at = {5000000000}, .wall_ms = 1700000000000, .limits = &fixture->limits};
    fixture->sink = (struct session_sink){.context = fixture,
                                          .event = sink_event,
                                          .order = sink_order,
                                          .start_agent = sink_start_agent,
                                          .take_place = sink_take_place,
                                          .leave_place = sink_leave_place,
                                          .run = sink_run,
                                          .answer = sink_answer,
                                          .arm = sink_arm,
                                          .disarm = sink_disarm,
                                          .keep_reply = sink_keep_reply,
                                          .answer_kept = sink_answer_kept,
                                          .permission_feed = sink_permission_feed,
                                          .look = sink_look,
                                          .decided = sink_decided,
                                          .rule = sink_rule};
    CHECK(rule_set_new(&fixture->now.rules) == ERR_OK);
    fixture->ends = json_object_new_object();
    fixture->decided = json_object_new_object();
    fixture->feed = json_object_new_object();
    fixture->requests = json_object_new_object();
    fixture->ordered = json_object_new_object();
    fixture->prompts = json_object_new_object();
    fixture->shown_phase = PHASE_STARTING;
    struct session *session = session_new("s1");
    session->agent = copy("shell");
    session->workspace = copy("/srv/work");
    session->title = copy("a title");
    session->policy = copy("ask");
    session->epoch = copy("e1");
    session->created_by = copy("alice");
    session->created_at = session->updated_at = fixture->now.wall_ms;
    fixture->session = session;
    struct caller caller = fixture_caller(fixture, "alice");
    session_begin(session, &fixture->sink, &fixture->now, &caller);
    return fixture;
}

struct fixture *fixture_new(void)
{
    return new_with((struct place_answer){.kind = PLACE_GIVEN});
}

struct fixture *fixture_waiting(size_t before)
{
    return new_with((struct place_answer){.kind = PLACE_WAITS, .before = before});
}

struct fixture *fixture_ready(void)
{
    struct fixture *fixture = fixture_new();
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    fixture_trace(fixture);
    return fixture;
}

void fixture_free(struct fixture *fixture)
{
    while (fixture->session->close_waiters) {
        struct close_waiter *waiter = fixture->session->close_waiters;
        fixture->session->close_waiters = waiter->next;
        free(waiter);
    }
    while (fixture->session->setting_waiters) {
        struct setting_waiter *waiter = fixture->session->setting_waiters;
        fixture->session->setting_waiters = waiter->next;
        free(waiter->setting.option_id);
        free(waiter->setting.value);
        free(waiter->token);
        free(waiter);
    }
    rules_of_requests(fixture);
    session_free(fixture->session);
    rule_set_free(fixture->now.rules);
    while (fixture->calls) {
        struct called *call = fixture->calls;
        RULE(call->answers == 1 || (call->kept && !call->answers));
        fixture->calls = call->next;
        free(call);
    }
    while (fixture->armed) {
        struct armed *armed = fixture->armed;
        fixture->armed = armed->next;
        RULE(armed->over || !fixture->closed_shown);
        free(armed->request_id);
        free(armed);
    }
    for (size_t i = 0; i < fixture->count; i++) {
        struct record *made = &fixture->records[i];
        json_object_put(made->event);
        json_object_put(made->fields);
        free(made->turn_id);
        free(made->content);
        free(made->request_id);
        free(made->option_id);
        free(made->message);
        free(made->by);
        free(made->user);
        free(made->rule_id);
        free(made->policy);
        free(made->made_rule_id);
    }
    free(fixture->records);
    json_object_put(fixture->requests);
    json_object_put(fixture->ordered);
    json_object_put(fixture->ends);
    json_object_put(fixture->decided);
    json_object_put(fixture->feed);
    json_object_put(fixture->prompts);
    free(fixture->open_turn);
    buffer_free(&fixture->trace);
    free(fixture);
}

void fixture_pass(struct fixture *fixture, int64_t ms)
{
    fixture->now.at = instant_after_ms(fixture->now.at, ms);
    fixture->now.wall_ms += ms;
}

/* ---- Commands ---- */

struct record *fixture_answer_of(struct fixture *fixture, size_t call)
{
    for (size_t i = fixture->count; i-- > 0;) {
        if (fixture->records[i].kind == RECORD_ANSWER && fixture->records[i].caller == call) {
            return &fixture->records[i];
        }
    }
    return NULL;
}

struct record *fixture_prompt(struct fixture *fixture, const char *user, const char *text)
{
    struct caller caller = fixture_caller(fixture, user);
    struct buffer content = {0};
    buffer_text(&content, "[{\"type\":\"text\",\"text\":\"");
    buffer_text(&content, text);
    buffer_text(&content, "\"}]");
    struct command command = {.type = COMMAND_PROMPT, .text = copy(text), .content = buffer_take(&content)};
    CHECK(command.content);
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    free(command.text);
    free(command.content);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_withdraw(struct fixture *fixture, const char *user, const char *message_id)
{
    struct caller caller = fixture_caller(fixture, user);
    session_withdraw(fixture->session, &fixture->sink, &fixture->now, &caller, message_id);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_resume(struct fixture *fixture, const char *user)
{
    struct caller caller = fixture_caller(fixture, user);
    session_resume_queue(fixture->session, &fixture->sink, &fixture->now, &caller);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_cancel(struct fixture *fixture, const char *user, bool all)
{
    struct caller caller = fixture_caller(fixture, user);
    session_cancel(fixture->session, &fixture->sink, &fixture->now, &caller, NULL, all);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_cancel_turn(struct fixture *fixture, const char *user, const char *turn_id)
{
    struct caller caller = fixture_caller(fixture, user);
    session_cancel(fixture->session, &fixture->sink, &fixture->now, &caller, turn_id, false);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_close(struct fixture *fixture, const char *user)
{
    struct caller caller = fixture_caller(fixture, user);
    session_close(fixture->session, &fixture->sink, &fixture->now, &caller);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_answer(struct fixture *fixture, const char *user, const struct command *command)
{
    struct caller caller = fixture_caller(fixture, user);
    session_permission_response(fixture->session, &fixture->sink, &fixture->now, &caller, command);
    return fixture_answer_of(fixture, fixture->call_count);
}

struct record *fixture_choose(struct fixture *fixture, const char *user, const char *request_id, const char *option_id)
{
    struct command command = {.type = COMMAND_PERMISSION_RESPONSE, .request_id = copy(request_id),
                              .option_id = copy(option_id), .allowed = FLAG_ABSENT, .allow = FLAG_ABSENT,
                              .always_allow = FLAG_ABSENT};
    struct record *answer = fixture_answer(fixture, user, &command);
    free(command.request_id);
    free(command.option_id);
    return answer;
}

/* ---- What the agent and the clock say ---- */

static void say(struct fixture *fixture, struct agent_notice notice)
{
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
}

void fixture_notice(struct fixture *fixture, enum agent_notice_kind kind, const char *code, const char *message)
{
    say(fixture, (struct agent_notice){.kind = kind, .code = copy(code), .message = copy(message)});
}

void fixture_turn_ended(struct fixture *fixture, const char *stop_reason)
{
    say(fixture, (struct agent_notice){.kind = NOTICE_TURN_ENDED, .turn_id = copy(fixture->session->turn.id),
                                       .stop_reason = copy(stop_reason)});
}

static const char *kind_name(enum option_kind kind)
{
    static const char *const names[] = {"allow_once", "allow_always", "reject_once", "reject_always", "odd"};
    return names[kind];
}

static struct permission_ask *ask_new(struct fixture *fixture, const char *request_id,
                                      const struct permission_option *options, size_t count)
{
    struct permission_ask *ask = calloc(1, sizeof(*ask));
    CHECK(ask);
    *ask = (struct permission_ask){.request_id = copy(request_id), .turn_id = copy(fixture->session->turn.id),
                                   .tool_use_id = copy("tool-1"), .tool_name = copy("execute"),
                                   .command = copy("ls -la"), .description = copy("list the folder"),
                                   .kind = copy("execute"), .tool_input = copy("{\"command\":\"ls -la\"}"),
                                   .option_count = count};
    ask->options = calloc(count + 1, sizeof(*ask->options));
    CHECK(ask->options);
    for (size_t i = 0; i < count; i++) {
        ask->options[i] = (struct permission_option){
            .option_id = copy(options[i].option_id), .name = copy(options[i].name ? options[i].name : "Name"),
            .kind_name = copy(kind_name(options[i].kind)), .kind = options[i].kind};
    }
    return ask;
}

void fixture_ask_with(struct fixture *fixture, const char *request_id, const struct permission_option *options,
                      size_t count)
{
    say(fixture, (struct agent_notice){.kind = NOTICE_PERMISSION, .ask = ask_new(fixture, request_id, options, count)});
}

void fixture_ask_for(struct fixture *fixture, const char *request_id, const char *kind, const char *command,
                     const char *path)
{
    char yes[] = "yes", ever[] = "ever", no[] = "no";
    const struct permission_option options[] = {{.option_id = yes, .kind = OPTION_ALLOW_ONCE},
                                                {.option_id = ever, .kind = OPTION_ALLOW_ALWAYS},
                                                {.option_id = no, .kind = OPTION_REJECT_ONCE}};
    struct permission_ask *ask = ask_new(fixture, request_id, options, array_size(options));
    free(ask->kind);
    ask->kind = copy(kind);
    free(ask->command);
    ask->command = copy(command ? command : path);
    ask->rule_command = copy(command && rule_command_plain(command) ? command : NULL);
    if (path) {
        ask->paths = calloc(1, sizeof(char *));
        CHECK(ask->paths);
        ask->paths[0] = copy(path);
        ask->path_count = 1;
        ask->paths_whole = true;
    }
    say(fixture, (struct agent_notice){.kind = NOTICE_PERMISSION, .ask = ask});
}

bool fixture_looked(struct fixture *fixture, const char *request_id, const char *real)
{
    const struct permission *permission = NULL;
    const struct permission *const lists[] = {fixture->session->pending, fixture->session->looking};
    for (size_t i = 0; i < array_size(lists); i++) {
        for (const struct permission *at = lists[i]; at; at = at->next) {
            permission = strcmp(at->ask->request_id, request_id) ? permission : at;
        }
    }
    size_t count = permission ? permission->ask->path_count : 1;
    char **paths = calloc(count + 1, sizeof(char *));
    CHECK(paths);
    for (size_t i = 0; i < count; i++) {
        paths[i] = copy(!i && real ? real : permission ? permission->ask->paths[i] : "/gone");
    }
    if (session_permission_looked(fixture->session, &fixture->sink, &fixture->now, request_id, paths, true)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        free(paths[i]);
    }
    free(paths);
    return false;
}

void fixture_ask_shape(struct fixture *fixture, const char *request_id, const char *command,
                       const struct permission_option *options, size_t count)
{
    struct permission_ask *ask = ask_new(fixture, request_id, options, count);
    ask->rule_command = copy(command);
    say(fixture, (struct agent_notice){.kind = NOTICE_PERMISSION, .ask = ask});
    if (command) {
        fixture_looked(fixture, request_id, NULL);
    }
}

void fixture_ask_command(struct fixture *fixture, const char *request_id, const char *command)
{
    fixture_ask_for(fixture, request_id, "execute", command, NULL);
    if (fixture->session->looking) {
        fixture_looked(fixture, request_id, NULL);
    }
}

struct record *fixture_policy(struct fixture *fixture, const char *user, const char *policy)
{
    struct caller caller = fixture_caller(fixture, user);
    session_set_policy(fixture->session, &fixture->sink, &fixture->now, &caller, policy);
    return fixture_answer_of(fixture, fixture->call_count);
}

void fixture_ask(struct fixture *fixture, const char *request_id)
{
    char yes[] = "yes", ever[] = "ever", no[] = "no";
    const struct permission_option options[] = {{.option_id = yes, .kind = OPTION_ALLOW_ONCE},
                                                {.option_id = ever, .kind = OPTION_ALLOW_ALWAYS},
                                                {.option_id = no, .kind = OPTION_REJECT_ONCE}};
    fixture_ask_with(fixture, request_id, options, array_size(options));
}

static struct armed *find_armed(const struct fixture *fixture, int what, const char *request_id)
{
    for (struct armed *armed = fixture->armed; armed; armed = armed->next) {
        if (armed->what == what && !armed->over && (!request_id || !strcmp(armed->request_id, request_id))) {
            return armed;
        }
    }
    return NULL;
}

void fixture_give_place(struct fixture *fixture)
{
    RULE(fixture->waits);
    fixture->waits = false;
    fixture->running = true;
    session_place_given(fixture->session, &fixture->sink, &fixture->now);
}

void fixture_refuse_place(struct fixture *fixture, enum answer_code code, const char *message)
{
    RULE(fixture->waits);
    fixture->waits = false;
    const struct place_answer why = {.kind = PLACE_REFUSED, .code = code, .message = message};
    session_place_refused(fixture->session, &fixture->sink, &fixture->now, &why);
}

bool fixture_is_armed(const struct fixture *fixture, int what)
{
    return find_armed(fixture, what, NULL) != NULL;
}

void fixture_expire_permission(struct fixture *fixture, const char *request_id)
{
    struct armed *armed = find_armed(fixture, ARM_PERMISSION, request_id);
    RULE(armed != NULL);
    if (armed) {
        armed->over = true;
    }
    session_permission_expired(fixture->session, &fixture->sink, &fixture->now, request_id);
}

void fixture_expire(struct fixture *fixture, int what)
{
    struct armed *armed = find_armed(fixture, what, NULL);
    RULE(armed != NULL);
    if (armed) {
        armed->over = true;
    }
    if (what == ARM_LOOK) {
        session_look_expired(fixture->session, &fixture->sink, &fixture->now, armed->request_id);
    } else if (what == ARM_CANCEL) {
        session_cancel_expired(fixture->session, &fixture->sink, &fixture->now);
    } else if (what == ARM_AGENT_IDLE) {
        session_idle_expired(fixture->session, &fixture->sink, &fixture->now);
    } else if (what == ARM_PROOF) {
        session_proof_expired(fixture->session, &fixture->sink, &fixture->now);
    } else if (what == ARM_SETTING) {
        session_setting_expired(fixture->session, &fixture->sink, &fixture->now, armed->request_id);
    } else {
        session_start_expired(fixture->session, &fixture->sink, &fixture->now);
    }
}

/* ---- Looking ---- */

static void put(struct buffer *out, const char *before, const char *text, const char *detail)
{
    buffer_text(out, out->length ? " " : "");
    buffer_text(out, before);
    buffer_text(out, text);
    if (detail) {
        buffer_format(out, "(%s)", detail);
    }
}

static const char *const arm_names[] = {[ARM_PERMISSION] = "permission", [ARM_CANCEL] = "cancel",
                                        [ARM_START] = "start", [ARM_AGENT_IDLE] = "idle",
                                        [ARM_PROOF] = "proof", [ARM_LOOK] = "look", [ARM_SETTING] = "setting"};
static const char *const run_names[] = {[RUN_PROVEN] = "proven", [RUN_FAILED] = "failed",
                                        [RUN_CRASHED] = "crashed", [RUN_MISSING] = "missing",
                                        [RUN_OVER] = "over"};
static const char *const order_names[] = {[ORDER_PROMPT] = "prompt", [ORDER_CANCEL] = "cancel",
                                          [ORDER_PERMISSION] = "permission", [ORDER_STOP] = "stop",
                                          [ORDER_KILL] = "kill", [ORDER_SETTING] = "setting",
                                          [ORDER_SETTING_LATE] = "late",
                                          [ORDER_POLICY] = "policy", [ORDER_REFUSAL] = "refusal",
                                          [ORDER_CLOSE] = "close"};

static void trace(struct buffer *out, const struct record *made)
{
    static const char *const details[] = {"phase", "status", "stopReason", "code", "outcome", "reason", "policy"};
    char detail[128];
    switch (made->kind) {
    case RECORD_EVENT: {
        const char *found = NULL;
        for (size_t i = 0; i < array_size(details) && !found; i++) {
            found = json_get_string(made->event, details[i]);
        }
        put(out, "", json_get_string(made->event, "type"), found);
        break;
    }
    case RECORD_ORDER:
        snprintf(detail, sizeof(detail), "%s=%s", made->request_id ? made->request_id : "",
                 made->option_id ? made->option_id : "cancelled");
        put(out, "!", order_names[made->order], made->order == ORDER_PERMISSION ? detail : NULL);
        break;
    case RECORD_START:
        put(out, "!", "start", NULL);
        break;
    case RECORD_ANSWER:
        put(out, "=", answer_code_name(made->code), NULL);
        break;
    case RECORD_KEEP:
        put(out, "", "keep", NULL);
        break;
    case RECORD_ARM:
    case RECORD_DISARM:
        put(out, made->kind == RECORD_ARM ? "+" : "-", arm_names[made->what], NULL);
        break;
    case RECORD_LEAVE:
        put(out, "", "leave", NULL);
        break;
    case RECORD_RUN:
        put(out, "run:", run_names[made->run], NULL);
        break;
    case RECORD_FEED:
        put(out, "feed", made->waiting ? "+" : "-", NULL);
        break;
    case RECORD_LOOK:
        put(out, "?", "look", NULL);
        break;
    case RECORD_RULE:
        put(out, "rule", made->change == RULE_MADE ? "+" : "-", NULL);
        break;
    case RECORD_DECIDED:
        break;
    }
}

const char *fixture_trace(struct fixture *fixture)
{
    buffer_reset(&fixture->trace);
    for (; fixture->traced < fixture->count; fixture->traced++) {
        if (fixture->shows_runs || fixture->records[fixture->traced].kind != RECORD_RUN) {
            trace(&fixture->trace, &fixture->records[fixture->traced]);
        }
    }
    buffer_byte(&fixture->trace, 0);
    return fixture->trace.data;
}

const struct record *fixture_last_decision(const struct fixture *fixture)
{
    for (size_t i = fixture->count; i-- > 0;) {
        if (fixture->records[i].kind == RECORD_DECIDED) {
            return &fixture->records[i];
        }
    }
    return NULL;
}

size_t fixture_decisions(const struct fixture *fixture)
{
    size_t found = 0;
    for (size_t i = 0; i < fixture->count; i++) {
        found += fixture->records[i].kind == RECORD_DECIDED && fixture->records[i].request_id;
    }
    return found;
}

struct json_object *fixture_last_event(const struct fixture *fixture, const char *type)
{
    for (size_t i = fixture->count; i-- > 0;) {
        const struct record *made = &fixture->records[i];
        if (made->kind == RECORD_EVENT && !strcmp(json_get_string(made->event, "type"), type)) {
            return made->event;
        }
    }
    return NULL;
}

size_t fixture_events(const struct fixture *fixture, const char *type)
{
    size_t found = 0;
    for (size_t i = 0; i < fixture->count; i++) {
        const struct record *made = &fixture->records[i];
        found += made->kind == RECORD_EVENT && !strcmp(json_get_string(made->event, "type"), type);
    }
    return found;
}

struct record *fixture_last_order(const struct fixture *fixture, enum agent_order_kind kind)
{
    for (size_t i = fixture->count; i-- > 0;) {
        struct record *made = &fixture->records[i];
        if (made->kind == RECORD_ORDER && made->order == kind) {
            return made;
        }
    }
    return NULL;
}

size_t fixture_orders(const struct fixture *fixture, enum agent_order_kind kind)
{
    size_t found = 0;
    for (size_t i = 0; i < fixture->count; i++) {
        found += fixture->records[i].kind == RECORD_ORDER && fixture->records[i].order == kind;
    }
    return found;
}
