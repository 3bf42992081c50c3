#pragma once
/*
 * The dispatcher with the journal, history and a timer, over a store in memory that outlives their restarts. The test is
 * everybody else: who asks, maintenance (create_session), and the agents.
 */
#include <poll.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/list.h"
#include "signalbox/role/dispatch.h"
#include "signalbox/role/history.h"
#include "signalbox/role/journal.h"
#include "signalbox/role/timer.h"
#include "support/folder.h"
#include "support/test.h"

enum { ANSWER = 1, DAY_MS = ANSWER_LIFE_MS };

static struct world {
    char *folder;
    struct config_store *config;
    struct store *store;
    struct topic_limits limits;
    struct topic_map *topics;
    struct topic *feed;
    struct dispatch *dispatch;
    struct journal *journal;
    struct history *history;
    struct timer *timer;
    struct mailbox *answers, *maintenance, *agents, *socket_box;
    size_t in_memory;
    int starts;
    uint64_t serial;
    char session[SESSION_ID_MAX + 1]; /* one that is open */
} world;

/* ---- Life ---- */

static inline bool note_answer(void *context, const struct digest *name, int64_t at)
{
    (void)at;
    dispatch_note_answer(context, name);
    return true;
}

static inline bool note_rule(void *context, const struct stored_rule *rule)
{
    return dispatch_note_rule(context, rule) == ERR_OK;
}

static inline void world_start(void)
{
    CU_ASSERT_EQUAL_FATAL(topic_map_new(&world.topics, 64), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(topic_new(&world.feed, "sessions", "feed", 0, 0, &world.limits), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&world.answers, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&world.maintenance, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&world.agents, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&world.socket_box, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(dispatch_new(&world.dispatch, 16), ERR_OK);
    struct mailbox *inbox = dispatch_inbox(world.dispatch);
    const struct journal_wiring journal = {.store = world.store, .limits = &world.limits, .dispatch = inbox,
                                           .socket_boxes = &world.socket_box};
    CU_ASSERT_EQUAL_FATAL(journal_start(&world.journal, &journal), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(history_start(&world.history, world.store), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(timer_start(&world.timer, inbox), ERR_OK);
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(world.store->operations->reader_open(world.store, &reader), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(
        reader->operations->list_answers(reader, clock_wall_ms() - ANSWER_LIFE_MS, note_answer, world.dispatch), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(reader->operations->list_rules(reader, 0, SIZE_MAX, NULL, note_rule, world.dispatch), ERR_OK);
    reader->operations->reader_close(reader);
    const struct dispatch_wiring wiring = {
        .config = world.config,
        .journal = journal_mailbox(world.journal),
        .timer = timer_mailbox(world.timer),
        .agent = world.agents,
        .history = history_mailbox(world.history),
        .maintenance = world.maintenance,
        .socket_boxes = &world.socket_box,
        .released = journal_released(world.journal),
        .limits = &world.limits,
        .topics = world.topics,
        .feed = world.feed,
        .generation = world.store->generation,
        .next_key = 1 + 100 * world.starts++,
        .answers_in_memory = world.in_memory,
    };
    CU_ASSERT_EQUAL_FATAL(dispatch_start(world.dispatch, &wiring), ERR_OK);
}

static inline void drop_agents_mail(void)
{
    for (struct mail *mail; (mail = mailbox_take(world.agents));) {
        if (mail->kind == AGENT_MAIL_START) {
            agent_start_free(container_of(mail, struct agent_start, mail));
        } else {
            agent_order_free(container_of(mail, struct agent_order, mail));
        }
    }
}

static inline void answer_free(struct answer_mail *mail)
{
    if (mail) {
        answer_clear(&mail->answer);
        free(mail->id);
        free(mail->session_id);
        free(mail);
    }
}

/* As the server stops, but for its agents, which nobody waits for. */
static inline void world_stop_flow(void)
{
    dispatch_stop(world.dispatch);
    timer_stop(world.timer);
    journal_stop(world.journal);
}

/* The rest; answers that nobody took are freed. */
static inline void world_free(void)
{
    history_stop(world.history);
    for (struct mail *mail; (mail = mailbox_take(world.maintenance));) {
        dispatch_command_free(container_of(mail, struct dispatch_command, mail));
    }
    dispatch_free(world.dispatch);
    drop_agents_mail();
    for (struct mail *mail; (mail = mailbox_take(world.answers));) {
        answer_free(container_of(mail, struct answer_mail, mail));
    }
    for (struct mail *mail; (mail = mailbox_take(world.socket_box));) {
        struct broadcast_mail *broadcast = container_of(mail, struct broadcast_mail, mail);
        frame_put(broadcast->frame);
        free(broadcast);
    }
    topic_put(world.feed);
    rcu_barrier();
    topic_map_free(world.topics);
    mailbox_free(world.answers);
    mailbox_free(world.maintenance);
    mailbox_free(world.agents);
    mailbox_free(world.socket_box);
}

static inline void world_stop(void)
{
    world_stop_flow();
    world_free();
}

static inline void world_restart(void)
{
    world_stop();
    world_start();
}

/* ---- Asking ---- */

/* `text` is a command's JSON with ' for ", and $ for the open session. Returns the number of its answer. */
static inline uint64_t send_as(enum remember how, const char *client, const char *id, const char *text)
{
    struct buffer json = {0};
    for (const char *at = text; *at; at++) {
        if (*at == '$') {
            buffer_text(&json, world.session);
        } else {
            buffer_byte(&json, *at == '\'' ? '"' : *at);
        }
    }
    struct json_parser *parser;
    struct json_object *object;
    struct command_error error;
    struct dispatch_command *command;
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 64), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(json_parse(parser, json.data, json.length, &object), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(dispatch_command_new(&command), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(command_parse(object, &command->command, &error), ERR_OK);
    json_object_put(object);
    json_parser_free(parser);
    buffer_free(&json);
    command->command->id = id ? strdup(id) : NULL;
    snprintf(command->identity.user, sizeof(command->identity.user), "ann");
    snprintf(command->identity.client_id, sizeof(command->identity.client_id), "%s", client);
    command->reply = (struct reply_address){.to = world.answers, .kind = ANSWER, .serial = ++world.serial};
    dispatch_command_remember(command, how);
    mailbox_push(dispatch_inbox(world.dispatch), &command->mail);
    return world.serial;
}

static inline uint64_t send(const char *id, const char *text)
{
    return send_as(REMEMBER_CLIENT, "c1", id, text);
}

/* Only a test that has failed waits so long: nothing after it could be told. */
static inline struct mail *next_mail(struct mailbox *box)
{
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        struct pollfd wait = {.fd = mailbox_fd(box), .events = POLLIN};
        if (poll(&wait, 1, 20000) != 1) {
            printf("\n    nobody answered: %s\n", CU_get_current_test()->pName);
            abort();
        }
        mailbox_clear(box);
    }
    return mail;
}

static inline struct answer_mail *answer_of(uint64_t serial)
{
    struct answer_mail *mail = container_of(next_mail(world.answers), struct answer_mail, mail);
    CU_ASSERT_EQUAL_FATAL(mail->serial, serial);
    return mail;
}

/* Of commands that are answered by different ways (one behind its commit, another at once), so in any order. */
static inline void answers_of(const uint64_t *serials, struct answer_mail **out, size_t count)
{
    memset(out, 0, count * sizeof(*out));
    for (size_t taken = 0; taken < count; taken++) {
        struct answer_mail *mail = container_of(next_mail(world.answers), struct answer_mail, mail);
        size_t i = 0;
        while (i < count && serials[i] != mail->serial) {
            i++;
        }
        CU_ASSERT_FATAL(i < count && !out[i]);
        out[i] = mail;
    }
}

/* Everything that came before is done, and nothing was answered. */
static inline bool nothing_answered(void)
{
    uint64_t serial = send(NULL, "{'type':'prompt','sessionId':'nowhere','text':'x'}");
    struct answer_mail *mail = container_of(next_mail(world.answers), struct answer_mail, mail);
    bool nothing = mail->serial == serial;
    answer_free(mail);
    return nothing;
}

/* ---- Maintenance ---- */

static inline struct dispatch_command *create_at_maintenance(void)
{
    struct mail *mail = next_mail(world.maintenance);
    CU_ASSERT_EQUAL_FATAL(mail->kind, MAINTENANCE_CREATE);
    return container_of(mail, struct dispatch_command, mail);
}

static inline void create_goes_on(struct dispatch_command *command, enum answer_code refusal)
{
    if (refusal) {
        command->refusal = (struct answer){.code = refusal, .message = strdup("no"), .fields = strdup(",\"field\":\"f\"")};
    }
    command->checked = true;
    command->mail.kind = DISPATCH_COMMAND;
    mailbox_push(dispatch_inbox(world.dispatch), &command->mail);
}

#define CREATE "{'type':'create_session','agent':'a','workspace':'/w'}"

/* A session that is open, with its agent starting. */
static inline void world_session(void)
{
    uint64_t serial = send(NULL, CREATE);
    create_goes_on(create_at_maintenance(), ANSWER_OK);
    struct answer_mail *mail = answer_of(serial);
    CU_ASSERT_EQUAL_FATAL(mail->answer.code, ANSWER_OK);
    const char *id = mail->answer.fields + strlen(",\"sessionId\":\"");
    snprintf(world.session, sizeof(world.session), "%.*s", (int)strcspn(id, "\""), id);
    answer_free(mail);
}

static inline struct agent_notice_mail *agent_exits(void)
{
    struct agent_start *start = NULL;
    while (!start) {
        struct mail *mail = next_mail(world.agents);
        CU_ASSERT_EQUAL_FATAL(mail->kind, AGENT_MAIL_START);
        start = container_of(mail, struct agent_start, mail);
    }
    struct agent_notice_mail *notice = calloc(1, sizeof(*notice));
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    *notice = (struct agent_notice_mail){.mail.kind = DISPATCH_AGENT_NOTICE, .topic = topic_get(start->topic),
                                         .run = start->run, .notice = {.kind = NOTICE_EXITED}};
    agent_start_free(start);
    return notice;
}

static inline void world_begin(size_t in_memory)
{
    static bool entered;
    if (!entered) {
        CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
        entered = true;
    }
    clock_fake_start();
    world = (struct world){.folder = folder_new(), .in_memory = in_memory};
    folder_write_mode(world.folder, "signalbox.conf", "agent a { command = {'/bin/true'} }\n", 0600);
    struct config_source source;
    struct config_error error = {0};
    struct config *config;
    CU_ASSERT_EQUAL_FATAL(config_source_init(&source, folder_path(world.folder, "signalbox.conf")), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(config_load(&config, &source, NULL, &error), ERR_OK);
    config_source_free(&source);
    CU_ASSERT_EQUAL_FATAL(config_store_new(&world.config, config), ERR_OK);
    world.limits = (struct topic_limits){.tail_bytes = 65536, .tail_events = 256, .socket_threads = 1};
    CU_ASSERT_EQUAL_FATAL(store_memory_open(&world.store), ERR_OK);
    world_start();
    world_session();
}

static inline void world_end(void)
{
    world_stop();
    world.store->operations->close(world.store);
    config_store_free(world.config);
    rcu_barrier();
    folder_remove(world.folder);
    clock_fake_stop();
}
