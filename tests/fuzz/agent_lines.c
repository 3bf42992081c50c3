/*
 * What an agent writes, line by line, as its thread takes it (take_line in src/role/agent_stream.c), with steps of ours
 * between: ">prompt", ">cancel", ">tick 50", ">answer 1 yes", ">set 1 web true", ">close", ">read-only 1" ... ">times 9" says the line that follows so often, each "$n" in
 * it being another number. support/acp_host.c holds each event to the protocol; at the end all that was open is closed, and
 * a client of the folded log has what one of the whole log has.
 */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "support/acp_host.h"
#include "support/fold_client.h"
#include "support/fold_log.h"
#include "support/test.h"

enum { DEPTH = 64, ROUNDS_MAX = 400, TIMES_MAX = 40 };

struct world {
    struct host host;
    struct json_parser *parser;
    bool ended;
    size_t requests; /* of the agent: each is answered once at most */
    int64_t times;   /* how often the next line is said */
    int64_t said;    /* by ">times", in all */
};

/* ---- Both sides ---- */

static void take_line(struct world *world, const char *line, size_t length)
{
    char *text = fuzz_copy(line, length, false);
    struct json_object *message = NULL;
    enum err err = json_parse(world->parser, text, length, &message);
    free(text);
    if (err) {
        FUZZ_CHECK(err == ERR_SYNTAX || err == ERR_DEPTH);
        return;
    }
    if (json_object_is_type(message, json_type_object)) {
        world->requests += (size_t)json_object_object_get_ex(message, "id", NULL);
    }
    err = host_say_object(&world->host, message);
    FUZZ_CHECK(err == ERR_OK || err == ERR_SYNTAX);
    FUZZ_CHECK(acp_peer_error(world->host.peer) == ERR_OK);
    json_object_put(message);
}

static void take_times(struct world *world, const char *line, size_t length)
{
    for (; world->times > 0; world->times--) {
        struct buffer text = {0};
        world->said++;
        for (size_t i = 0; i < length; i++) {
            if (line[i] == '$' && i + 1 < length && line[i + 1] == 'n') {
                buffer_i64(&text, world->said);
                i++;
            } else {
                buffer_byte(&text, line[i]);
            }
        }
        take_line(world, text.data, text.length);
        buffer_free(&text);
    }
}

static bool is_ready(struct world *world)
{
    return !world->ended && host_last_notice(&world->host, NOTICE_READY);
}

/* What it was asked for, by its number: ">file 1 2" is done or not, ">run 1" has begun, and so on. */
static void take_service(struct world *world, const struct fuzz_step *step)
{
    struct host *host = &world->host;
    char *rest = NULL;
    unsigned long number = strtoul(step->rest, &rest, 10);
    rest += *rest == ' ';
    if (!strcmp(step->word, "file") && number > 0 && number <= host->file_count) {
        struct file_call *call = &host->files[number - 1];
        call->outcome = (enum file_outcome)(strtoul(rest, NULL, 10) % (FILE_FAILED + 1));
        acp_peer_file(host->peer, number, call);
    } else if (!strcmp(step->word, "run")) {
        acp_peer_terminal_started(host->peer, number, *rest ? rest : NULL);
    } else if (!strcmp(step->word, "output")) {
        acp_peer_terminal_output(host->peer, number, rest, strlen(rest));
    } else if (!strcmp(step->word, "exited")) {
        acp_peer_terminal_exited(host->peer, number, (int)(strtoul(rest, NULL, 10) % 256), 0);
    } else if (!strcmp(step->word, "read-only")) {
        acp_peer_read_only(host->peer, number);
    } else if (!strcmp(step->word, "refuse")) {
        char id[64];
        snprintf(id, sizeof(id), "p-signal-1-%lu", number);
        acp_peer_refuse(host->peer, id);
    }
}

static void take_step(struct world *world, const struct fuzz_step *step)
{
    struct host *host = &world->host;
    if (!strcmp(step->word, "prompt")) {
        if (is_ready(world) && !acp_peer_in_turn(host->peer)) {
            host_prompt(host);
        }
    } else if (!strcmp(step->word, "cancel")) {
        acp_peer_cancel(host->peer);
    } else if (!strcmp(step->word, "pass")) {
        host_advance(host, fuzz_number(step, 100000));
    } else if (!strcmp(step->word, "tick")) {
        host_advance(host, fuzz_number(step, 100000));
        host_tick(host);
        FUZZ_CHECK(!instant_reached(acp_peer_deadline(host->peer), host->now));
    } else if (!strcmp(step->word, "times")) {
        world->times = fuzz_number(step, TIMES_MAX - world->said);
    } else if (!strcmp(step->word, "answer")) {
        /* The n-th request, by this option; "-" is none. */
        char *option = NULL, id[64];
        unsigned long number = strtoul(step->rest, &option, 10);
        snprintf(id, sizeof(id), "p-signal-1-%lu", number);
        option += *option == ' ';
        acp_peer_permission(host->peer, id, strcmp(option, "-") ? option : NULL);
    } else if (!strcmp(step->word, "set")) {
        /* Who waits (0: nobody), which option ("-": the mode), what it is to be. */
        int token = 0, length = 0;
        char option[64] = "-", name[32];
        if (is_ready(world) && sscanf(step->rest, "%d %63s %n", &token, option, &length) == 2) {
            snprintf(name, sizeof(name), "set-%d", token);
            acp_peer_set(host->peer, token ? name : NULL, strcmp(option, "-") ? option : NULL, step->rest + length);
        }
    } else if (!strcmp(step->word, "close")) {
        acp_peer_close(host->peer);
    } else if (!strcmp(step->word, "end") && !world->ended) {
        world->ended = true;
        acp_peer_end(host->peer, step->rest);
    } else {
        take_service(world, step);
    }
}

/* ---- At the end ---- */

static void check_json_text(const char *text)
{
    if (text) {
        fuzz_check_json(text, strlen(text));
    }
}

static void check_text(const char *text)
{
    FUZZ_CHECK(text && utf8_valid(text, strlen(text)));
}

static void check_ask(const struct permission_ask *ask)
{
    check_text(ask->request_id);
    check_text(ask->tool_use_id);
    check_text(ask->tool_name);
    check_text(ask->command);
    check_text(ask->description);
    check_text(ask->kind);
    FUZZ_CHECK(ask->tool_input && ask->tool_input[0] == '{' && ask->plan_content);
    check_json_text(ask->tool_input);
    check_json_text(ask->locations);
    check_json_text(ask->plan_content);
    FUZZ_CHECK(ask->option_count > 0);
    for (size_t i = 0; i < ask->option_count; i++) {
        FUZZ_CHECK(ask->options[i].option_id);
        check_text(ask->options[i].name);
        check_text(ask->options[i].kind_name);
    }
}

static void check_notices(const struct host *host)
{
    size_t last = 0;
    for (size_t i = 0; i < host->notice_count; i++) {
        const struct agent_notice *notice = &host->notices[i];
        FUZZ_CHECK(last == 0 || notice->kind == NOTICE_EXITED);
        switch (notice->kind) {
        case NOTICE_PERMISSION:
            check_ask(notice->ask);
            break;
        case NOTICE_PERMISSION_WITHDRAWN:
            check_text(notice->request_id);
            break;
        case NOTICE_TURN_ENDED:
            check_text(notice->turn_id);
            check_text(notice->stop_reason);
            check_json_text(notice->usage);
            break;
        case NOTICE_READY:
            FUZZ_CHECK(notice->acp_session_id);
            FUZZ_CHECK(notice->memory == MEMORY_LOST || !notice->message);
            break;
        case NOTICE_SETTING:
            FUZZ_CHECK(notice->request_id || notice->code);
            FUZZ_CHECK(!notice->code == !notice->message);
            break;
        case NOTICE_SERVICE_REFUSED:
            FUZZ_CHECK(notice->request_id && notice->message);
            break;
        case NOTICE_TITLE:
            break;
        case NOTICE_SILENT:
        case NOTICE_HANGS:
        case NOTICE_HEARD:
            fuzz_failed(__FILE__, __LINE__, "the peer knows nothing of silence");
            break;
        case NOTICE_FAILED:
        case NOTICE_EXITED:
            check_text(notice->message);
            last++;
            break;
        }
    }
    FUZZ_CHECK(last == 1 || last == 2); /* told that it failed, and then that it is gone */
}

static void check_all_is_closed(const struct host *host)
{
    for (size_t i = 0; i < host->tool_count; i++) {
        FUZZ_CHECK(host->tools[i].result);
    }
    for (size_t i = 0; i < host->block_count; i++) {
        FUZZ_CHECK(!host->blocks[i].open);
    }
}

static void check_sent(const struct world *world)
{
    size_t answers = 0;
    for (size_t i = 0; i < world->host.sent_count; i++) {
        struct json_object *line = world->host.sent[i];
        TEST_TEXT(json_get_string(line, "jsonrpc"), "2.0");
        answers += !json_get(line, "method");
    }
    FUZZ_CHECK(answers <= world->requests);
}

static void apply(struct fold_client *client, const struct fold_log *log, size_t from)
{
    for (size_t i = from; i < log->count; i++) {
        const char *wrong = fold_client_apply(client, log->rows[i].json, log->rows[i].length);
        if (wrong) {
            fprintf(stderr, "%s: %s\n", wrong, log->rows[i].json);
            abort();
        }
    }
}

/* The whole log, folded from the beginning and from the middle. */
static void check_folded(const struct host *host)
{
    struct fold_log log = {0};
    struct fold_client *live = fold_client_new(), *late = NULL;
    for (size_t i = 0; i < host->event_count; i++) {
        fold_log_add(&log, i + 1, i + 1, host->events[i].text, host->events[i].length);
        const char *wrong = fold_client_apply(live, host->events[i].text, host->events[i].length);
        if (wrong) {
            fprintf(stderr, "%s: %s\n", wrong, host->events[i].text);
            abort();
        }
        if (i == host->event_count / 2) {
            late = fold_client_copy(live);
        }
    }
    char *expected = fold_client_state(live);
    for (int from = 0; log.count && from < 2; from++) {
        struct fold_log folded = {0};
        struct fold_client *client = from ? late : fold_client_new();
        uint64_t after = from ? log.count / 2 + 1 : 0;
        fold_log_replay(&log, after + 1, after, log.count, &folded);
        fold_client_resume(client);
        apply(client, &folded, 0);
        char *state = fold_client_state(client);
        TEST_TEXT(state, expected);
        free(state);
        fold_client_free(client);
        fold_log_free(&folded);
    }
    free(expected);
    fold_client_free(live);
    fold_log_free(&log);
}

/* ">options WINDOW TEXT" may be the first line; "resume" and "login" may follow. */
static struct host_options options_of(struct fuzz_lines *lines)
{
    struct host_options options = {.delta_window_ms = 50, .max_message_text = 256 * 1024, .run = 1};
    struct fuzz_lines rest = *lines;
    const char *line;
    size_t length;
    struct fuzz_step step;
    if (fuzz_line(&rest, &line, &length) && fuzz_step(line, length, &step) && !strcmp(step.word, "options")) {
        char *end;
        options.delta_window_ms = fuzz_number(&step, 10000);
        (void)strtoll(step.rest, &end, 10);
        options.max_message_text = (size_t)(strtoul(end, NULL, 10) % (1024 * 1024));
        options.resume = strstr(step.rest, "resume") ? "s" : NULL;
        options.login = strstr(step.rest, "login") ? "key" : NULL;
        options.offers = strstr(step.rest, "services") ? ACP_OFFER_FS | ACP_OFFER_TERMINAL : 0;
        *lines = rest;
    }
    return options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {0};
    struct fuzz_lines lines = {(const char *)data, (const char *)data + size};
    const char *line;
    size_t length;
    if (json_parser_new(&world.parser, DEPTH)) {
        abort();
    }
    struct host_options options = options_of(&lines);
    host_open(&world.host, &options);
    acp_peer_start(world.host.peer);
    for (int round = 0; round < ROUNDS_MAX && fuzz_line(&lines, &line, &length); round++) {
        struct fuzz_step step;
        if (fuzz_step(line, length, &step)) {
            take_step(&world, &step);
        } else if (world.times > 0) {
            take_times(&world, line, length);
        } else {
            take_line(&world, line, length);
        }
    }
    if (!world.ended) {
        acp_peer_end(world.host.peer, "over");
    }
    FUZZ_CHECK(acp_peer_error(world.host.peer) == ERR_OK);
    check_notices(&world.host);
    check_all_is_closed(&world.host);
    check_sent(&world);
    check_folded(&world.host);
    host_close(&world.host);
    json_parser_free(world.parser);
    return 0;
}
