#pragma once
/*
 * The real agent-stream thread with the real guard and real processes; the test is the dispatcher (and the journal:
 * it gives the credit back). Programs are the scripted agent and small shell scripts.
 */
#include <dirent.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/agent.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/role/agent.h"
#include "signalbox/role/files.h"
#include "support/test.h"

enum { WAIT_MS = 30000 }; /* only a test that has failed waits so long */

struct world {
    char folder[64];
    char guard[PATH_MAX];
    struct config_store *config;
    struct credit_pool *credit;
    struct mailbox *inbox;
    struct files *files;
    struct agent_stream *stream;
    struct topic *topic;
    bool keep_credit; /* what is heard goes into `kept` */
    struct kept {
        struct kept *next;
        struct credit *credit;
        int64_t bytes;
    } * kept;
    int64_t kept_bytes;
};

/* What the dispatcher would have heard. */
struct heard {
    bool is_event;
    enum event_kind kind;
    struct json_object *event; /* as an object */
    struct agent_notice notice;
    uint64_t run;
};

static struct world world;
static struct mailbox *world_wirelog; /* gets what is said on the pipes */

static inline void heard_free(struct heard *heard)
{
    json_object_put(heard->event);
    agent_notice_clear(&heard->notice);
    *heard = (struct heard){0};
}

static inline void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", world.folder, name);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, text, strlen(text), 0755), ERR_OK);
}

/* Answers initialize and session/new, then goes on with `rest`, in which $l is the line last read. */
static inline void write_agent(const char *name, const char *rest)
{
    struct buffer text = {0};
    buffer_text(&text, "answer() { IFS= read -r l || exit 0; id=$(printf %s \"$l\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/');\n"
                       "printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\\n' \"$id\" \"$1\"; }\n"
                       "answer '{\"protocolVersion\":1}'; answer '{\"sessionId\":\"s\"}'\n");
    buffer_text(&text, rest);
    buffer_byte(&text, '\n');
    char *script = buffer_take(&text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(script);
    write_file(name, script);
    free(script);
}

static inline void world_config(const char *more)
{
    static const char *const scripts[] = {"a.sh", "b.sh"};
    struct buffer text = {0};
    buffer_format(&text, "workspace-roots = {'%s'}\nagent-stop-grace-ms = 150\n%s\n", world.folder, more);
    buffer_format(&text, "agent scripted { command = {'%s/signalbox-scripted-agent'} }\n", TEST_BINARY_DIR);
    buffer_format(&text, "agent served { command = {'%s/signalbox-scripted-agent'} offers = {'fs', 'terminal'} }\n",
                  TEST_BINARY_DIR);
    buffer_format(&text, "agent stubborn { command = {'%s/signalbox-scripted-agent', '--ignore-eof', '--ignore-term'} }\n",
                  TEST_BINARY_DIR);
    buffer_format(&text, "agent refusing { command = {'%s/signalbox-scripted-agent', '--auth-required'} }\n",
                  TEST_BINARY_DIR);
    buffer_text(&text, "agent missing { command = {'signalbox-no-such-program'}\n install = 'make it yourself' }\n");
    for (size_t i = 0; i < 2; i++) {
        buffer_format(&text, "agent %.1s { command = {'/bin/sh', '%s/%s', 'first argument'}\n environment = {'WORD=from config'} }\n",
                      scripts[i], world.folder, scripts[i]);
    }
    char *config_text = buffer_take(&text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config_text);
    write_file("signalbox.conf", config_text);
    free(config_text);

    char path[128];
    snprintf(path, sizeof(path), "%s/signalbox.conf", world.folder);
    struct config_source source;
    struct config_error error = {0};
    struct config *config;
    CU_ASSERT_EQUAL_FATAL(config_source_init(&source, path), ERR_OK);
    enum err err = config_load(&config, &source, NULL, &error);
    if (err) {
        printf("%s\n", error.reason ? error.reason : "");
    }
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    config_source_free(&source);
    CU_ASSERT_EQUAL_FATAL(config_store_new(&world.config, config), ERR_OK);
}

static inline struct topic *new_topic(const char *id)
{
    static const struct topic_limits limits = {.tail_bytes = 4096, .tail_events = 16, .socket_threads = 1};
    struct topic *topic;
    CU_ASSERT_EQUAL_FATAL(topic_new(&topic, id, "e", 1, 0, &limits), ERR_OK);
    return topic;
}

static inline void world_begin_with(const char *config, const char *guard)
{
    world = (struct world){0};
    snprintf(world.folder, sizeof(world.folder), "/tmp/signalbox-agent-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(world.folder));
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    snprintf(world.guard, sizeof(world.guard), "%s", guard);
    world_config(config);
    CU_ASSERT_EQUAL_FATAL(credit_pool_new(&world.credit, 64 << 20), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&world.inbox, "test", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(files_start(&world.files), ERR_OK);
    const struct agent_wiring wiring = {.config = world.config,
                                        .files = files_mailbox(world.files),
                                        .dispatch = world.inbox,
                                        .credit = world.credit,
                                        .guard_path = world.guard,
                                        .version = "0.0.0",
                                        .wirelog = world_wirelog};
    CU_ASSERT_EQUAL_FATAL(agent_stream_start(&world.stream, &wiring), ERR_OK);
    world.topic = new_topic("session-1");
}

static inline void world_begin(const char *config)
{
    world_begin_with(config, TEST_BINARY_DIR "/signalbox-guard");
}

static inline void give_kept_credit(void)
{
    while (world.kept) {
        struct kept *kept = world.kept;
        world.kept = kept->next;
        credit_give(kept->credit, kept->bytes);
        credit_put(kept->credit);
        free(kept);
    }
    world.kept_bytes = 0;
}

static inline struct heard hear_event(struct agent_event_mail *mail)
{
    struct heard heard = {.is_event = true, .kind = mail->event.kind, .run = mail->run};
    CU_ASSERT_EQUAL(mail->credit_bytes, frame_json_length(mail->event.frame) + CREDIT_EVENT_COST);
    if (world.keep_credit) {
        struct kept *kept = malloc(sizeof(*kept));
        *kept = (struct kept){world.kept, mail->credit, mail->credit_bytes};
        world.kept = kept;
        world.kept_bytes += mail->credit_bytes;
    } else {
        credit_give(mail->credit, mail->credit_bytes);
        credit_put(mail->credit);
    }
    event_number(&mail->event, 1, mail->event.at_wall_ms);
    struct json_parser *parser;
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 64), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(json_parse(parser, frame_json(mail->event.frame), frame_json_length(mail->event.frame),
                                     &heard.event),
                          ERR_OK);
    json_parser_free(parser);
    event_discard(&mail->event);
    topic_put(mail->topic);
    free(mail);
    return heard;
}

static inline struct heard hear(void);
static inline struct heard hear_mail(struct mail *mail)
{
    if (mail->kind == DISPATCH_AGENT_EVENT) {
        return hear_event(container_of(mail, struct agent_event_mail, mail));
    }
    if (mail->kind == DISPATCH_AGENT_BLOBS) {
        struct agent_blobs_mail *blobs = container_of(mail, struct agent_blobs_mail, mail);
        credit_give(blobs->credit, blobs->credit_bytes);
        agent_blobs_mail_free(blobs);
        return hear(); /* what refers to it follows */
    }
    CU_ASSERT_EQUAL_FATAL(mail->kind, DISPATCH_AGENT_NOTICE);
    struct agent_notice_mail *notice = container_of(mail, struct agent_notice_mail, mail);
    struct heard heard = {.notice = notice->notice, .run = notice->run};
    topic_put(notice->topic);
    free(notice);
    return heard;
}

/* The next thing that is said; the test fails if nothing is. */
static inline struct heard hear(void)
{
    struct mail *mail;
    /* Not by the deadline of mailbox_wait, which a clock that stands still never reaches. */
    for (int waits = 0; !(mail = mailbox_take(world.inbox)); waits++) {
        struct pollfd waited = {.fd = mailbox_fd(world.inbox), .events = POLLIN};
        CU_ASSERT_FATAL(waits < 3 && poll(&waited, 1, WAIT_MS) == 1);
        mailbox_clear(world.inbox);
    }
    return hear_mail(mail);
}

static inline void world_end(void)
{
    agent_stream_stop(world.stream);
    files_stop(world.files, WAIT_MS);
    for (struct mail *mail; (mail = mailbox_take(world.inbox));) {
        struct heard heard = hear_mail(mail);
        heard_free(&heard);
    }
    give_kept_credit();
    CU_ASSERT_EQUAL(credit_pool_used(world.credit), 0);
    CU_ASSERT_EQUAL(metric_read(METRIC_AGENTS_RUNNING), 0);
    CU_ASSERT_EQUAL(metric_read(METRIC_TERMINALS_RUNNING), 0);
    agent_stream_free(world.stream);
    files_free(world.files);
    topic_put(world.topic);
    config_store_free(world.config);
    rcu_barrier();
    mailbox_free(world.inbox);
    credit_pool_free(world.credit);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", world.folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

/* Hears until this notice, and drops what came before it, but for the number of bytes of agents' text. */
static inline struct agent_notice hear_notice_counting(enum agent_notice_kind kind, size_t *text_bytes)
{
    for (;;) {
        struct heard heard = hear();
        if (!heard.is_event && heard.notice.kind == kind) {
            return heard.notice;
        }
        if (!heard.is_event && (heard.notice.kind == NOTICE_FAILED || heard.notice.kind == NOTICE_EXITED)) {
            printf("\n    heard notice %d instead: %s\n", (int)heard.notice.kind, heard.notice.message);
            CU_FAIL_FATAL("another notice");
        }
        if (heard.is_event && heard.kind == EVENT_TEXT_DELTA && text_bytes) {
            size_t length = 0;
            (void)json_get_text(heard.event, "delta", &length);
            *text_bytes += length;
        }
        heard_free(&heard);
    }
}

static inline struct agent_notice hear_notice(enum agent_notice_kind kind)
{
    return hear_notice_counting(kind, NULL);
}

/* Hears until text is said that begins so; returns the whole of that text_complete or delta. */
static inline char *hear_text(const char *begin)
{
    for (;;) {
        struct heard heard = hear();
        const char *text = heard.is_event && heard.kind == EVENT_TEXT_DELTA ? json_get_string(heard.event, "delta") : NULL;
        char *found = text && strncmp(text, begin, strlen(begin)) == 0 ? strdup(text) : NULL;
        if (!heard.is_event) {
            CU_ASSERT_FATAL(heard.notice.kind != NOTICE_FAILED && heard.notice.kind != NOTICE_EXITED);
        }
        heard_free(&heard);
        if (found) {
            return found;
        }
    }
}

static inline void start_of(struct topic *topic, uint64_t run, const char *agent, const char *workspace)
{
    struct agent_start *start = calloc(1, sizeof(*start));
    *start = (struct agent_start){.mail.kind = AGENT_MAIL_START,
                                  .topic = topic_get(topic),
                                  .run = run,
                                  .agent = strdup(agent),
                                  .workspace = strdup(workspace)};
    mailbox_push(agent_stream_mailbox(world.stream), &start->mail);
}

static inline void start(const char *agent)
{
    start_of(world.topic, 1, agent, world.folder);
}

static inline void order_to(struct topic *topic, uint64_t run, enum agent_order_kind kind, const char *first,
                            const char *second)
{
    struct agent_order *order = calloc(1, sizeof(*order));
    *order = (struct agent_order){
        .mail.kind = AGENT_MAIL_ORDER, .topic = topic_get(topic), .run = run, .kind = kind};
    if (kind == ORDER_PROMPT) {
        order->turn_id = strdup(first);
        order->content = strdup(second);
    } else if (kind == ORDER_PERMISSION) {
        order->request_id = strdup(first);
        order->option_id = second ? strdup(second) : NULL;
    }
    mailbox_push(agent_stream_mailbox(world.stream), &order->mail);
}

static inline void order(enum agent_order_kind kind)
{
    order_to(world.topic, 1, kind, NULL, NULL);
}

/* The text is what a person would have written: for the scripted agent, its script. */
static inline void prompt_to(struct topic *topic, uint64_t run, const char *turn, const char *text)
{
    struct buffer content = {0};
    buffer_text(&content, "[{\"type\":\"text\",\"text\":");
    json_put_string(&content, text, strlen(text));
    buffer_text(&content, "}]");
    char *json = buffer_take(&content);
    order_to(topic, run, ORDER_PROMPT, turn, json);
    free(json);
}

static inline void prompt(const char *text)
{
    prompt_to(world.topic, 1, "turn-1", text);
}

static inline void start_ready(const char *agent)
{
    start(agent);
    struct agent_notice notice = hear_notice(NOTICE_READY);
    agent_notice_clear(&notice);
}

/* The turn ends so. */
static inline void expect_turn_end(const char *reason)
{
    struct agent_notice notice = hear_notice(NOTICE_TURN_ENDED);
    TEST_TEXT(notice.turn_id, "turn-1");
    TEST_TEXT(notice.stop_reason, reason);
    agent_notice_clear(&notice);
}

/* The agent ends so: the message contains this. */
static inline void expect_end(enum agent_notice_kind kind, const char *part)
{
    struct agent_notice notice = hear_notice(kind);
    if (!notice.message || !strstr(notice.message, part)) {
        printf("\n    got      %s\n    expected %s\n", notice.message, part);
        CU_FAIL("the message");
    }
    agent_notice_clear(&notice);
}

/* Polls what nobody tells of. */
static inline void until(bool (*holds)(int64_t argument), int64_t argument)
{
    for (int i = 0; i < WAIT_MS / 2; i++) {
        if (holds(argument)) {
            return;
        }
        usleep(2000);
    }
    CU_FAIL_FATAL("it never held");
}

/* Gone, or a zombie that its new parent has not taken yet. */
static inline bool is_gone(int64_t pid)
{
    char path[64], *text;
    size_t length;
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    if (file_read(path, 4096, &text, &length) != ERR_OK) {
        return true;
    }
    const char *state = strrchr(text, ')');
    bool zombie = state && (state[2] == 'Z' || state[2] == 'X');
    free(text);
    return zombie;
}

/* The process of this name that is a child of `parent`; 0 if there is none. */
static inline pid_t child_of(pid_t parent, const char *name)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; !found && proc && (entry = readdir(proc));) {
        char path[300], *text;
        size_t length;
        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || file_read(path, 4096, &text, &length) != ERR_OK) {
            continue;
        }
        const char *end = strrchr(text, ')');
        if (end && strtol(end + 4, NULL, 10) == parent && strstr(text, name)) {
            found = (pid_t)strtol(text, NULL, 10);
        }
        free(text);
    }
    if (proc) {
        closedir(proc);
    }
    return found;
}
