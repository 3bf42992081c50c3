/*
 * Sessions leave memory while clients come and go: the real dispatcher, journal, history and timer, a store in memory,
 * and threads that play the sockets and the agents.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/client.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/role/dispatch.h"
#include "signalbox/role/history.h"
#include "signalbox/role/journal.h"
#include "signalbox/role/timer.h"
#include "support/test.h"

enum { SESSIONS = 5, CLIENTS = 3, STOP = 99, SERIAL = 5 };

/* What those who watch a session at the same time must agree on. */
struct watched {
    struct topic *topic;
    int watchers;
    int acknowledged;
};

struct world {
    struct config_source source;
    struct config_store *config;
    struct store *store;
    struct topic_limits limits;
    struct topic_map *topics;
    struct topic *feed;
    struct mailbox *agent, *boxes[CLIENTS];
    struct thread agents, clients[CLIENTS];
    struct journal *journal;
    struct history *history;
    struct timer *timer;
    struct dispatch *dispatch;
    pthread_mutex_t lock;
    struct watched watched[SESSIONS];
    atomic_bool done;
    atomic_int subscribed, refused;
};
static struct world world;

static void id_of(int session, char id[SESSION_ID_MAX + 1])
{
    snprintf(id, SESSION_ID_MAX + 1, "session-%d", session);
}

/* Agents that cannot be started: each start is answered by its failure. */
static void play_agents(void *context)
{
    (void)context;
    for (;;) {
        mailbox_wait(world.agent, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(world.agent));) {
            if (mail->kind == STOP) {
                return;
            }
            if (mail->kind == AGENT_MAIL_ORDER) {
                agent_order_free(container_of(mail, struct agent_order, mail));
                continue;
            }
            CHECK(mail->kind == AGENT_MAIL_START);
            struct agent_start *start = container_of(mail, struct agent_start, mail);
            struct agent_notice_mail *notice = calloc(1, sizeof(*notice));
            CHECK(notice);
            *notice = (struct agent_notice_mail){
                .mail.kind = DISPATCH_AGENT_NOTICE,
                .topic = topic_get(start->topic),
                .run = start->run,
                .notice = {.kind = NOTICE_FAILED, .code = strdup("agent_failed"), .message = strdup("not today")}};
            agent_start_free(start);
            mailbox_push(dispatch_inbox(world.dispatch), &notice->mail);
        }
    }
}

static void ask(struct mailbox *box, int session, bool prompt)
{
    char id[SESSION_ID_MAX + 1];
    struct dispatch_command *mail;
    struct command *command = calloc(1, sizeof(*command));
    CHECK(command && dispatch_command_new(&mail) == ERR_OK);
    id_of(session, id);
    *command = (struct command){.type = prompt ? COMMAND_PROMPT : COMMAND_SUBSCRIBE, .id = strdup("c"),
                                .session_id = strdup(id), .text = prompt ? strdup("go") : NULL,
                                .history = HISTORY_FULL};
    mail->command = command;
    mail->mail.kind = DISPATCH_COMMAND;
    mail->reply = (struct reply_address){.to = box, .kind = CLIENT_MAIL_ANSWER, .serial = SERIAL};
    strcpy(mail->identity.user, "local");
    mailbox_push(dispatch_inbox(world.dispatch), &mail->mail);
}

static struct mail *next_mail(struct mailbox *box)
{
    for (;;) {
        struct mail *mail = mailbox_take(box);
        if (mail && mail->kind != CLIENT_MAIL_BROADCAST) {
            return mail;
        }
        if (mail) {
            struct broadcast_mail *broadcast = container_of(mail, struct broadcast_mail, mail);
            CHECK(false && "the store refused a group: numbers were given twice");
            frame_put(broadcast->frame);
            free(broadcast);
        } else {
            mailbox_wait(box, INSTANT_NEVER);
        }
    }
}

/* Watches for a moment, beside others. */
static void watch(struct topic *topic, int session, uint64_t head)
{
    static __thread uint64_t heads[SESSIONS]; /* that this client was told */
    struct watched *watched = &world.watched[session];
    CHECK(head >= heads[session] && atomic_load(&topic->head) >= head);
    heads[session] = head;
    pthread_mutex_lock(&world.lock);
    CHECK(!watched->watchers || watched->topic == topic); /* never two of one session */
    watched->topic = topic;
    watched->watchers++;
    pthread_mutex_unlock(&world.lock);
    nanosleep(&(struct timespec){.tv_nsec = random() % 30000000}, NULL); /* its pace, not a wait */
    pthread_mutex_lock(&world.lock);
    CHECK(watched->topic == topic);
    watched->watchers--;
    pthread_mutex_unlock(&world.lock);
    topic_put(topic);
}

static void answered(struct answer_mail *answer, int session)
{
    pthread_mutex_lock(&world.lock);
    world.watched[session].acknowledged += answer->answer.code == ANSWER_OK;
    pthread_mutex_unlock(&world.lock);
    atomic_fetch_add(answer->answer.code == ANSWER_OK ? &world.subscribed : &world.refused, 1);
    answer_clear(&answer->answer);
    free(answer->id);
    free(answer->session_id);
    free(answer);
}

static void play_client(void *context)
{
    struct mailbox *box = context;
    while (!atomic_load(&world.done)) {
        int session = (int)(random() % SESSIONS);
        ask(box, session, random() % 60 == 0);
        struct mail *mail = next_mail(box);
        if (mail->kind == CLIENT_MAIL_ANSWER) {
            answered(container_of(mail, struct answer_mail, mail), session);
            continue;
        }
        CHECK(mail->kind == CLIENT_MAIL_SUBSCRIBED);
        struct subscribed_mail *subscribed = container_of(mail, struct subscribed_mail, mail);
        struct topic *topic = subscribed->topic;
        uint64_t head = subscribed->head;
        frame_put(subscribed->frame);
        free(subscribed);
        watch(topic, session, head);
        if (random() % 3 == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 15000000}, NULL); /* long enough for others to be idle */
        }
    }
}

static void store_sessions(void)
{
    for (int i = 0; i < SESSIONS; i++) {
        char id[SESSION_ID_MAX + 1];
        id_of(i, id);
        struct session_row row = {.key = i + 1, .id = id, .agent = (char *)(uintptr_t)"shell",
                                  .workspace = (char *)(uintptr_t)"/", .policy = (char *)(uintptr_t)"ask",
                                  .phase = (char *)(uintptr_t)"stopped", .epoch = (char *)(uintptr_t)"e",
                                  .created_by = (char *)(uintptr_t)"local"};
        struct store_write write = {.kind = STORE_SESSION, .session_key = i + 1, .row = &row};
        CHECK(world.store->operations->append(world.store, &write) == ERR_OK);
    }
}

static void configure(void)
{
    struct config *config;
    struct config_error error = {0};
    CHECK(config_source_init(&world.source, NULL) == ERR_OK);
    CHECK(config_source_set(&world.source, "session-idle-ms=1") == ERR_OK);
    CHECK(config_source_set(&world.source, "max-queued-prompts=10000") == ERR_OK);
    CHECK(config_source_set(&world.source, "agent-breaker-failures=1") == ERR_OK);
    CHECK(config_source_set(&world.source, "data=/nowhere") == ERR_OK);
    CHECK(config_load(&config, &world.source, NULL, &error) == ERR_OK);
    CHECK(config_store_new(&world.config, config) == ERR_OK);
}

static void begin(void)
{
    world = (struct world){.limits = {.tail_bytes = 8192, .tail_events = 64, .tails_total_bytes = 20000,
                                      .socket_threads = CLIENTS}};
    CHECK(rcu_thread_enter() == ERR_OK);
    pthread_mutex_init(&world.lock, NULL);
    configure();
    CHECK(store_memory_open(&world.store) == ERR_OK);
    store_sessions();
    CHECK(topic_map_new(&world.topics, 64) == ERR_OK);
    CHECK(topic_new(&world.feed, "sessions", "feed", 0, 0, &world.limits) == ERR_OK);
    CHECK(mailbox_new(&world.agent, "agent", 0) == ERR_OK);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(mailbox_new(&world.boxes[i], "socket", 0) == ERR_OK);
    }
    CHECK(dispatch_new(&world.dispatch, 16) == ERR_OK);
    struct mailbox *inbox = dispatch_inbox(world.dispatch);
    const struct journal_wiring journal = {.store = world.store, .limits = &world.limits, .dispatch = inbox,
                                           .socket_boxes = world.boxes};
    CHECK(journal_start(&world.journal, &journal) == ERR_OK);
    CHECK(history_start(&world.history, world.store) == ERR_OK);
    CHECK(timer_start(&world.timer, inbox) == ERR_OK);
    CHECK(thread_start(&world.agents, THREAD_AGENT, -1, true, play_agents, NULL) == ERR_OK);
    const struct dispatch_wiring dispatch = {.config = world.config,
                                             .journal = journal_mailbox(world.journal),
                                             .released = journal_released(world.journal),
                                             .timer = timer_mailbox(world.timer),
                                             .agent = world.agent,
                                             .history = history_mailbox(world.history),
                                             .socket_boxes = world.boxes,
                                             .limits = &world.limits,
                                             .topics = world.topics,
                                             .feed = world.feed,
                                             .generation = world.store->generation,
                                             .next_key = SESSIONS + 1,
                                             .open_sessions = SESSIONS};
    CHECK(dispatch_start(world.dispatch, &dispatch) == ERR_OK);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(thread_start(&world.clients[i], THREAD_SOCKET, i, true, play_client, world.boxes[i]) == ERR_OK);
    }
}

static void end(void)
{
    atomic_store(&world.done, true);
    for (int i = 0; i < CLIENTS; i++) {
        thread_join(&world.clients[i]);
    }
}

/* How many prompts the store knows of. */
static bool count_queued(void *context, const struct session_row *row)
{
    int *queued = context;
    int session = row->id[strlen(row->id) - 1] - '0';
    for (const char *at = row->queue; at && (at = strstr(at, "\"messageId\"")); at++) {
        queued[session]++;
    }
    return true;
}

static void stop_all(void)
{
    struct mail stop = {.kind = STOP};
    dispatch_stop(world.dispatch);
    mailbox_push(world.agent, &stop);
    thread_join(&world.agents);
    timer_stop(world.timer);
    journal_stop(world.journal);
    history_stop(world.history);
    /* A breaker's deadline that fired while all was stopped: nothing is asked of a timer that is no more. */
    struct deadline *late = calloc(1, sizeof(*late));
    CHECK(late);
    late->mail.kind = DISPATCH_DEADLINE;
    late->what = DEADLINE_KEEP;
    mailbox_push(dispatch_inbox(world.dispatch), &late->mail);
    dispatch_free(world.dispatch);
    for (struct mail *mail; (mail = mailbox_take(world.agent));) {
        CHECK(mail->kind == AGENT_MAIL_START);
        agent_start_free(container_of(mail, struct agent_start, mail));
    }
    topic_put(world.feed);
    rcu_barrier();
    topic_map_free(world.topics);
    mailbox_free(world.agent);
    for (int i = 0; i < CLIENTS; i++) {
        mailbox_free(world.boxes[i]);
    }
    config_store_free(world.config);
    config_source_free(&world.source);
    rcu_barrier();
}

static void sessions_leave_and_come_back_under_their_watchers(void)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    int64_t enough = given && *given ? 4000 : 150; /* some 70 a second, by the pace of the clients */
    int64_t before = metric_read(METRIC_SESSIONS_LEFT);
    begin();
    /* One in sixty asks gives a prompt: on a slow machine there may have been none by then. */
    while (metric_read(METRIC_SESSIONS_LEFT) - before < enough || atomic_load(&world.subscribed) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    end();
    /* Nobody watches any more, so all of them go, with their tails (but the feed's). */
    while (metric_read(METRIC_SESSIONS) > 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    stop_all();
    int queued[SESSIONS] = {0};
    struct store_reader *reader;
    CHECK(world.store->operations->reader_open(world.store, &reader) == ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->list_sessions(reader, 0, 0, 100, false, count_queued, queued), ERR_OK);
    reader->operations->reader_close(reader);
    int total = 0;
    for (int i = 0; i < SESSIONS; i++) {
        CU_ASSERT_EQUAL(queued[i], world.watched[i].acknowledged);
        total += queued[i];
    }
    printf("%d went, %d prompts kept, %d refused ... ", (int)(metric_read(METRIC_SESSIONS_LEFT) - before), total,
           atomic_load(&world.refused));
    CU_ASSERT_TRUE(total > 0);
    world.store->operations->close(world.store);
}

TEST_MAIN("idle", TEST(sessions_leave_and_come_back_under_their_watchers))
