/* Memory runs out at every place in turn: the agent's end is told, nothing leaks, and the thread goes on. */
#include "support/oom.h"

#include "flow/agent_world.h"

/* What a dispatcher sends in a session of one turn, made before memory is short. */
struct session_mail {
    struct agent_start *start;
    struct agent_order *prompt, *stop;
};

static struct agent_order *make_order(enum agent_order_kind kind)
{
    struct agent_order *made = calloc(1, sizeof(*made));
    *made = (struct agent_order){
        .mail.kind = AGENT_MAIL_ORDER, .topic = topic_get(world.topic), .run = 1, .kind = kind};
    return made;
}

/* A turn's content, from its script. */
static char *content_of(const char *script)
{
    struct buffer content = {0};
    buffer_text(&content, "[{\"type\":\"text\",\"text\":");
    json_put_string(&content, script, strlen(script));
    buffer_text(&content, "}]");
    return buffer_take(&content);
}

#define REQUEST(method, members) "{\"request\":{\"method\":\"" method "\",\"params\":{" members "}}},"
#define TERMINAL                 "\"terminalId\":\"term-1-1\""

/* What it has us do for it, too. */
static char *make_content(void)
{
    char script[2048];
    snprintf(script, sizeof(script),
             "{\"steps\":[{\"bigLine\":200000}," REQUEST("fs/write_text_file", "\"path\":\"%s/d/a\",\"content\":\"text\"")
                 REQUEST("fs/read_text_file", "\"path\":\"%s/d/a\"")
                     REQUEST("terminal/create", "\"command\":\"echo out\",\"env\":[{\"name\":\"A\",\"value\":\"b\"}]")
                         REQUEST("terminal/wait_for_exit", TERMINAL) REQUEST("terminal/output", TERMINAL)
                             REQUEST("terminal/release", TERMINAL) "{\"tool\":{\"output\":\"x\"}}]}",
             world.folder, world.folder);
    return content_of(script);
}

static struct session_mail make_mail(void)
{
    struct session_mail made = {.prompt = make_order(ORDER_PROMPT), .stop = make_order(ORDER_STOP)};
    made.prompt->turn_id = strdup("turn-1");
    made.prompt->content = make_content();
    made.start = calloc(1, sizeof(*made.start));
    *made.start = (struct agent_start){.mail.kind = AGENT_MAIL_START,
                                       .topic = topic_get(world.topic),
                                       .run = 1,
                                       .agent = strdup("served"),
                                       .workspace = strdup(world.folder)};
    return made;
}

static void send_order(struct agent_order **which)
{
    if (*which) {
        mailbox_push(agent_stream_mailbox(world.stream), &(*which)->mail);
        *which = NULL;
    }
}

/* Takes one mail without allocating; true for a last notice. */
static bool answer(struct mail *mail, struct session_mail *made)
{
    if (mail->kind == DISPATCH_AGENT_EVENT) {
        struct agent_event_mail *event = container_of(mail, struct agent_event_mail, mail);
        credit_give(event->credit, event->credit_bytes);
        credit_put(event->credit);
        event_discard(&event->event);
        topic_put(event->topic);
        free(event);
        return false;
    }
    struct agent_notice_mail *notice = container_of(mail, struct agent_notice_mail, mail);
    enum agent_notice_kind kind = notice->notice.kind;
    if (kind == NOTICE_READY) {
        send_order(&made->prompt);
    } else if (kind == NOTICE_TURN_ENDED) {
        send_order(&made->stop);
    }
    agent_notice_clear(&notice->notice);
    topic_put(notice->topic);
    free(notice);
    return kind == NOTICE_EXITED || kind == NOTICE_FAILED;
}

static bool runs_are(int64_t count)
{
    return metric_read(METRIC_AGENTS_RUNNING) == count;
}

static bool one_session(void)
{
    long armed = atomic_exchange(&oom_countdown, -1);
    struct session_mail made = make_mail();
    atomic_store(&oom_countdown, armed);
    mailbox_push(agent_stream_mailbox(world.stream), &made.start->mail);
    for (bool ended = false; !ended;) {
        struct mail *mail = mailbox_take(world.inbox);
        if (mail) {
            ended = answer(mail, &made);
            continue;
        }
        struct pollfd waited = {.fd = mailbox_fd(world.inbox), .events = POLLIN};
        if (poll(&waited, 1, WAIT_MS) != 1) {
            printf("\n    nothing is heard any more when allocation %ld fails\n", armed);
            return false;
        }
        mailbox_clear(world.inbox);
    }
    until(runs_are, 0);
    agent_order_free(made.prompt);
    agent_order_free(made.stop);
    return true;
}

static void every_end_is_told(void)
{
    world_begin("");
    bool fine;
    size_t failures = oom_each(one_session, &fine);
    CU_ASSERT(fine);
    CU_ASSERT(failures > 40);
    world_end();
}

TEST_MAIN("agent_memory", TEST(every_end_is_told))
