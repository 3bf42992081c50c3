/*
 * What clients send, line by line, from its bytes to what a session makes of it: JSON, the command and its digest, the
 * step of the session (support/session_fixture.c holds it to its rules), the verdict on a permission answer. Between the
 * messages the agent and the clock do what the steps say: ">ready", ">ask", ">pass 1000" ... (the functions before take_step).
 */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/permission_answer.h"
#include "support/session_fixture.h"

enum { DEPTH = 64, ROUNDS_MAX = 200 };

struct world {
    struct fixture *fixture;
    struct json_parser *parser;
    char user[FUZZ_REST_MAX];
    bool by_rest;      /* without a client id */
    bool alive, ready; /* the agent's process; its session */
    size_t looked_at;  /* of the fixture's records */
    unsigned asked;
};

/* ---- Messages ---- */

/* What we write of a value is JSON, and the same value: written again it is the same text. */
static char *check_written_again(struct world *world, struct json_object *value)
{
    struct buffer once = {0}, again = {0};
    struct json_object *parsed = NULL;
    json_put_object(&once, value);
    FUZZ_CHECK(buffer_ok(&once));
    fuzz_check_json(once.data, once.length);
    FUZZ_CHECK(json_parse(world->parser, once.data, once.length, &parsed) == ERR_OK);
    json_put_object(&again, parsed);
    FUZZ_CHECK(again.length == once.length && !memcmp(again.data, once.data, once.length));
    json_object_put(parsed);
    buffer_free(&again);
    return buffer_take(&once);
}

static void check_refusal(const struct command_error *error)
{
    struct buffer fields = {0}, out = {0};
    FUZZ_CHECK(error->code == ANSWER_BAD_MESSAGE || error->code == ANSWER_UNKNOWN_TYPE);
    FUZZ_CHECK(error->message[0] && utf8_valid(error->message, strlen(error->message)));
    json_field_string(&fields, "field", error->field[0] ? error->field : NULL);
    struct answer answer = {.code = error->code, .message = strdup(error->message), .fields = buffer_take(&fields)};
    answer_write(&out, &answer, error->id);
    fuzz_check_json(out.data, out.length);
    answer_clear(&answer);
    buffer_free(&out);
}

static void check_text(const char *text, bool utf8)
{
    FUZZ_CHECK(!text || !utf8 || utf8_valid(text, strlen(text)));
}

static void check_json_text(const char *text)
{
    if (text) {
        fuzz_check_json(text, strlen(text));
    }
}

static void check_command(const struct command *command, bool utf8)
{
    check_text(command->id, utf8);
    check_text(command->session_id, utf8);
    check_text(command->message_id, utf8);
    check_text(command->request_id, utf8);
    check_text(command->title, utf8);
    check_text(command->text, utf8);
    check_text(command->option_id, utf8);
    check_text(command->message, utf8);
    check_json_text(command->content);
    check_json_text(command->updated_input);
    check_json_text(command->value);
    FUZZ_CHECK(command->type != COMMAND_PROMPT || (command->text && command->content));
    FUZZ_CHECK(command->history >= HISTORY_DEFAULT && command->history <= HISTORY_NONE);
    FUZZ_CHECK(command_name(command->type));
}

static void check_digest(struct world *world, const struct command *command, const char *written)
{
    struct digest digest, other;
    struct json_object *message = NULL;
    struct command *same = NULL;
    struct command_error error;
    command_digest(command, &digest);
    FUZZ_CHECK(json_parse(world->parser, written, strlen(written), &message) == ERR_OK);
    FUZZ_CHECK(command_parse(message, &same, &error) == ERR_OK);
    command_digest(same, &other);
    FUZZ_CHECK(!memcmp(&digest, &other, sizeof(digest)));
    command_free(same);
    json_object_put(message);
}

/* As a REST body, for every command. */
static void check_bodies(struct json_object *body)
{
    for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
        struct command *command = NULL;
        struct command_error error;
        struct digest digest;
        enum err err = command_parse_body(type, body, &command, &error);
        if (err == ERR_OK) {
            FUZZ_CHECK(command->type == type && !command->id);
            command_digest(command, &digest);
            command_free(command);
        } else {
            FUZZ_CHECK(err == ERR_SYNTAX && !error.id);
            check_refusal(&error);
        }
    }
}

static void check_verdicts(const struct command *command)
{
    char yes[] = "yes", ever[] = "ever", no[] = "no", never[] = "never", odd[] = "odd", reject_odd[] = "reject-odd";
    const struct permission_option all[] = {
        {.option_id = odd, .name = odd, .kind_name = reject_odd, .kind = OPTION_OTHER},
        {.option_id = yes, .name = yes, .kind_name = yes, .kind = OPTION_ALLOW_ONCE},
        {.option_id = never, .name = never, .kind_name = never, .kind = OPTION_REJECT_ALWAYS},
        {.option_id = ever, .name = ever, .kind_name = ever, .kind = OPTION_ALLOW_ALWAYS},
        {.option_id = no, .name = no, .kind_name = no, .kind = OPTION_REJECT_ONCE},
    };
    for (size_t from = 0; from < array_size(all); from++) {
        for (size_t count = 0; from + count <= array_size(all); count++) {
            struct permission_question question = {.options = all + from, .option_count = count,
                                                   .tool_input = count % 2 ? "{\"command\":\"ls -la\"}" : NULL,
                                                   .has_session_rule = from % 2};
            struct permission_verdict verdict;
            const char *field, *message;
            enum answer_code code = permission_verdict(command, &question, &verdict, &field, &message);
            if (code != ANSWER_OK) {
                FUZZ_CHECK(message && code != ANSWER_INTERNAL);
                continue;
            }
            FUZZ_CHECK(!verdict.allowed || verdict.option_id);
            const struct permission_option *chosen = NULL;
            for (size_t i = 0; i < count; i++) {
                chosen = verdict.option_id == question.options[i].option_id ? &question.options[i] : chosen;
            }
            FUZZ_CHECK(!chosen == !verdict.option_id);
            FUZZ_CHECK(!chosen || permission_option_allows(chosen) == verdict.allowed);
            FUZZ_CHECK(!verdict.always_allow || chosen->kind == OPTION_ALLOW_ALWAYS);
        }
    }
}

static void run_in_session(struct world *world, const struct command *command)
{
    struct fixture *fixture = world->fixture;
    struct session *session = fixture->session;
    size_t calls = fixture->call_count;
    struct caller caller = fixture_caller(fixture, world->user);
    caller.id = command->id;
    caller.client_id = world->by_rest ? "" : caller.client_id;
    switch (command->type) {
    case COMMAND_CLOSE_SESSION:
        session_close(session, &fixture->sink, &fixture->now, &caller);
        break;
    case COMMAND_PROMPT:
        session_prompt(session, &fixture->sink, &fixture->now, &caller, command);
        break;
    case COMMAND_WITHDRAW:
        session_withdraw(session, &fixture->sink, &fixture->now, &caller, command->message_id);
        break;
    case COMMAND_RESUME_QUEUE:
        session_resume_queue(session, &fixture->sink, &fixture->now, &caller);
        break;
    case COMMAND_CANCEL:
        session_cancel(session, &fixture->sink, &fixture->now, &caller, command->turn_id, command->all == FLAG_YES);
        break;
    case COMMAND_SET_POLICY:
        session_set_policy(session, &fixture->sink, &fixture->now, &caller, command->policy);
        break;
    case COMMAND_SET_MODE:
        session_set(session, &fixture->sink, &fixture->now, &caller, NULL, "\"code\"");
        break;
    case COMMAND_SET_CONFIG_OPTION:
        session_set(session, &fixture->sink, &fixture->now, &caller, command->config_id, command->value);
        break;
    case COMMAND_PERMISSION_RESPONSE:
        session_permission_response(session, &fixture->sink, &fixture->now, &caller, command);
        check_verdicts(command);
        break;
    default: /* answered elsewhere */
        fixture->sink.answer(fixture, &caller, ANSWER_OK, NULL, NULL);
        break;
    }
    FUZZ_CHECK(fixture->call_count == calls + 1);
}

static void take_message(struct world *world, const char *line, size_t length)
{
    char *text = fuzz_copy(line, length, false);
    bool utf8 = utf8_valid(text, length);
    struct json_object *message = NULL;
    struct command *command = NULL;
    struct command_error error = {0};
    enum err err = json_parse(world->parser, text, length, &message);
    if (err) {
        /* Anything else would mean that the checker took what json-c does not. */
        FUZZ_CHECK(err == ERR_SYNTAX || err == ERR_DEPTH);
        FUZZ_CHECK(json_parser_message(world->parser)[0]);
        free(text);
        return;
    }
    char *written = check_written_again(world, message);
    err = command_parse(message, &command, &error);
    if (err == ERR_OK) {
        check_command(command, utf8);
        if (utf8) {
            check_digest(world, command, written);
        }
        run_in_session(world, command);
        command_free(command);
    } else {
        FUZZ_CHECK(err == ERR_SYNTAX);
        check_refusal(&error);
    }
    free(error.id);
    check_bodies(message);
    json_object_put(message);
    free(written);
    free(text);
}

/* ---- The agent and the clock ---- */

static void agent_ready(struct world *world, const char *rest)
{
    (void)rest;
    if (world->alive && !world->ready) {
        world->ready = true;
        fixture_notice(world->fixture, NOTICE_READY, NULL, NULL);
    }
}

static void agent_failed(struct world *world, const char *rest)
{
    if (world->alive && !world->ready) {
        world->alive = false;
        fixture_notice(world->fixture, NOTICE_FAILED, "agent_failed", rest);
    }
}

static void agent_exited(struct world *world, const char *rest)
{
    if (world->alive && world->ready) {
        world->alive = world->ready = false;
        fixture_notice(world->fixture, NOTICE_EXITED, NULL, rest);
    }
}

static void agent_ended(struct world *world, const char *rest)
{
    if (world->alive && world->ready && world->fixture->session->turn.id) {
        fixture_turn_ended(world->fixture, rest);
    }
}

static void agent_asks(struct world *world, const char *rest)
{
    char id[64], any[] = "any", thing[] = "Thing";
    if (world->alive && world->ready) {
        snprintf(id, sizeof(id), "p-s1-1-%u", ++world->asked);
        if (*rest) {
            enum option_kind kind = (enum option_kind)((unsigned char)rest[0] % (OPTION_OTHER + 1));
            const struct permission_option odd[] = {{.option_id = any, .name = thing, .kind = kind}};
            fixture_ask_with(world->fixture, id, odd, array_size(odd));
        } else {
            fixture_ask(world->fixture, id);
        }
    }
}

/* What rules look at: "command LINE" or "path KIND /PATH"; the disk has not looked yet. */
static void agent_asks_for(struct world *world, const char *rest, bool is_path)
{
    char id[64], kind[16] = "execute";
    if (world->alive && world->ready) {
        snprintf(id, sizeof(id), "p-s1-1-%u", ++world->asked);
        int length = 0;
        if (is_path && sscanf(rest, "%15s %n", kind, &length) == 1) {
            rest += length;
        }
        fixture_ask_for(world->fixture, id, kind, is_path ? NULL : rest, is_path ? rest : NULL);
    }
}

static void agent_asks_command(struct world *world, const char *rest)
{
    agent_asks_for(world, rest, false);
}

static void agent_asks_path(struct world *world, const char *rest)
{
    agent_asks_for(world, rest, true);
}

/* "N REAL": where the n-th request's path leads. */
static void disk_looked(struct world *world, const char *rest)
{
    char id[64], *real = NULL;
    snprintf(id, sizeof(id), "p-s1-1-%lu", strtoul(rest, &real, 10));
    real += *real == ' ';
    fixture_looked(world->fixture, id, *real ? real : NULL);
}

/* "N CODE": of the n-th change; 0: one that nobody waits for. */
static void agent_has_set(struct world *world, const char *rest)
{
    char token[64], *code = NULL;
    unsigned long number = strtoul(rest, &code, 10);
    code += *code == ' ';
    snprintf(token, sizeof(token), "set-%lu", number);
    if (world->alive && world->ready && (number || *code)) {
        struct agent_notice notice = {.kind = NOTICE_SETTING,
                                      .request_id = number ? strdup(token) : NULL,
                                      .code = *code ? strdup(code) : NULL,
                                      .message = *code ? strdup("no") : NULL};
        session_agent_notice(world->fixture->session, &world->fixture->sink, &world->fixture->now, &notice);
    }
}

static void agent_withdraws(struct world *world, const char *rest)
{
    if (world->alive && world->ready) {
        struct agent_notice notice = {.kind = NOTICE_PERMISSION_WITHDRAWN, .request_id = strdup(rest)};
        session_agent_notice(world->fixture->session, &world->fixture->sink, &world->fixture->now, &notice);
    }
}

static void agent_titles(struct world *world, const char *rest)
{
    if (world->alive && world->ready) {
        struct agent_notice notice = {.kind = NOTICE_TITLE, .title = *rest ? strdup(rest) : NULL};
        session_agent_notice(world->fixture->session, &world->fixture->sink, &world->fixture->now, &notice);
    }
}

static void clock_expires(struct world *world, const char *rest)
{
    (void)rest;
    for (struct armed *armed = world->fixture->armed; armed; armed = armed->next) {
        if (armed->over) {
            continue;
        }
        if (armed->what == ARM_PERMISSION) {
            fixture_expire_permission(world->fixture, armed->request_id);
        } else {
            fixture_expire(world->fixture, armed->what);
        }
        return;
    }
}

static void clock_passes(struct world *world, const char *rest)
{
    int64_t ms = strtoll(rest, NULL, 10);
    fixture_pass(world->fixture, ms > 0 && ms < 100000000 ? ms : 1);
}

static void limit_time(struct world *world, const char *rest)
{
    int64_t ms = strtoll(rest, NULL, 10);
    world->fixture->limits.permission_timeout_ms = ms > 0 && ms < 100000000 ? ms : 0;
}

static void over_rest(struct world *world, const char *rest)
{
    (void)rest;
    world->by_rest = !world->by_rest;
}

static void server_full(struct world *world, const char *rest)
{
    (void)rest;
    struct place_answer *place = &world->fixture->place;
    place->kind = place->kind == PLACE_REFUSED ? PLACE_GIVEN : PLACE_REFUSED;
    place->code = ANSWER_LIMIT_REACHED;
    place->message = "full";
}

static void server_has_others_waiting(struct world *world, const char *rest)
{
    (void)rest;
    world->fixture->place.kind = PLACE_WAITS;
}

static void server_gives_place(struct world *world, const char *rest)
{
    (void)rest;
    if (world->fixture->waits) {
        fixture_give_place(world->fixture);
    }
}

static void agent_is_silent(struct world *world, const char *rest)
{
    struct agent_notice notice = {
        .kind = *rest == 'h' ? NOTICE_HANGS : *rest ? NOTICE_HEARD : NOTICE_SILENT, .silent_ms = 1000};
    if (world->alive && world->ready) {
        session_agent_notice(world->fixture->session, &world->fixture->sink, &world->fixture->now, &notice);
    }
}

static void agent_is_stopped(struct world *world, const char *rest)
{
    if (world->fixture->session->idle) {
        session_idle_stop(world->fixture->session, &world->fixture->sink, &world->fixture->now, rest);
    }
}

static void server_stops(struct world *world, const char *rest)
{
    (void)rest;
    session_stop(world->fixture->session, &world->fixture->sink, &world->fixture->now);
}

static void other_user(struct world *world, const char *rest)
{
    snprintf(world->user, sizeof(world->user), "%s", rest);
}

static void take_step(struct world *world, const struct fuzz_step *step)
{
    static const struct {
        const char *word;
        void (*take)(struct world *world, const char *rest);
    } steps[] = {
        {"ready", agent_ready},     {"failed", agent_failed},      {"exited", agent_exited},
        {"ended", agent_ended},     {"ask", agent_asks},           {"withdraw", agent_withdraws},
        {"title", agent_titles},    {"expire", clock_expires},     {"pass", clock_passes},
        {"timeout", limit_time},    {"full", server_full},         {"stop", server_stops},
        {"user", other_user},       {"rest", over_rest},
        {"wait", server_has_others_waiting},
        {"place", server_gives_place},
        {"silent", agent_is_silent},
        {"idle", agent_is_stopped},
        {"command", agent_asks_command},
        {"path", agent_asks_path},
        {"looked", disk_looked},
        {"set", agent_has_set},
    };
    for (size_t i = 0; i < array_size(steps); i++) {
        if (!strcmp(steps[i].word, step->word)) {
            steps[i].take(world, step->rest);
        }
    }
}

/* ---- After each of them ---- */

static void check_shown(const struct session *session)
{
    struct buffer out = {0};
    buffer_text(&out, "{\"type\":\"x\"");
    session_describe(session, &out);
    buffer_byte(&out, '}');
    fuzz_check_json(out.data, out.length);
    buffer_reset(&out);
    buffer_text(&out, "{\"type\":\"x\"");
    session_summary(session, &out);
    buffer_byte(&out, '}');
    fuzz_check_json(out.data, out.length);
    buffer_free(&out);
}

/* A session that comes back from its row has the queue that it had. */
static void check_queue(const struct session *session)
{
    char *text = session_queue_text(session);
    if (!text) {
        FUZZ_CHECK(!session->queued);
        return;
    }
    fuzz_check_json(text, strlen(text));
    struct session *restored = session_new("s1");
    session_queue_restore(restored, text);
    FUZZ_CHECK(restored->queued == session->queued);
    char *again = session_queue_text(restored);
    struct session *twice = session_new("s1");
    session_queue_restore(twice, again);
    char *third = session_queue_text(twice);
    FUZZ_CHECK(!strcmp(again, third));
    session_free(restored);
    session_free(twice);
    free(text);
    free(again);
    free(third);
}

/* And what it knew of its agent. */
static void check_state(const struct session *session)
{
    char *text = session_state_text(session);
    fuzz_check_json(text, strlen(text));
    struct session *restored = session_new("s1");
    session_state_restore(restored, text);
    char *again = session_state_text(restored);
    FUZZ_CHECK(!strcmp(text, again));
    session_free(restored);
    free(text);
    free(again);
}

static void after_step(struct world *world)
{
    struct fixture *fixture = world->fixture;
    for (; world->looked_at < fixture->count; world->looked_at++) {
        if (fixture->records[world->looked_at].kind == RECORD_START) {
            FUZZ_CHECK(!world->alive);
            world->alive = true;
            world->ready = false;
        }
    }
    FUZZ_CHECK(fixture->session->queued <= fixture->limits.max_queued);
    FUZZ_CHECK(fixture->session->pending_count <= fixture->limits.max_pending);
    check_shown(fixture->session);
    check_queue(fixture->session);
    check_state(fixture->session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.fixture = fixture_new(), .user = "alice"};
    struct fuzz_lines lines = {(const char *)data, (const char *)data + size};
    const char *line;
    size_t length;
    if (json_parser_new(&world.parser, DEPTH)) {
        abort();
    }
    after_step(&world);
    for (int round = 0; round < ROUNDS_MAX && fuzz_line(&lines, &line, &length); round++) {
        struct fuzz_step step;
        if (fuzz_step(line, length, &step)) {
            take_step(&world, &step);
        } else {
            take_message(&world, line, length);
        }
        after_step(&world);
    }
    json_parser_free(world.parser);
    fixture_free(world.fixture);
    return 0;
}
