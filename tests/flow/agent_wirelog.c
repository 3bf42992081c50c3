/* What the agent-stream thread sends to be kept, when it is not taken: the agent goes on, lines are left out and counted. */
#include "flow/agent_world.h"
#include "signalbox/mail/wirelog.h"

static struct mailbox *box;
static size_t lines, missing, begins, ends;

static void take_all(void)
{
    for (struct mail *mail; (mail = mailbox_take(box));) {
        if (mail->kind == WIRELOG_LINE) {
            struct wirelog_line *line = container_of(mail, struct wirelog_line, mail);
            lines++;
            missing += line->missing;
            wirelog_line_free(box, line);
        } else if (mail->kind == WIRELOG_END) {
            struct wirelog_run *run = container_of(mail, struct wirelog_run, end);
            missing += run->missing;
            ends++;
            wirelog_run_free(run);
        } else {
            CU_ASSERT_EQUAL(mail->kind, WIRELOG_BEGIN);
            begins++;
        }
    }
}

static void begin(const char *config, size_t places)
{
    lines = missing = begins = ends = 0;
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "wirelog", places), ERR_OK);
    world_wirelog = box;
    world_begin(config);
}

static void end(void)
{
    world_end();
    take_all();
    CU_ASSERT_EQUAL(begins, ends);
    CU_ASSERT_EQUAL(mailbox_stats(box).reserved, 0);
    mailbox_free(box);
    world_wirelog = NULL;
}

static void nobody_takes_the_lines(void)
{
    begin("wire-log = true", 20000);
    int64_t lost = metric_read(METRIC_WIRELOG_LOST);
    start_ready("scripted");
    prompt("{\"steps\":[{\"chunks\":1000,\"size\":10}]}");
    expect_turn_end("end_turn"); /* whatever becomes of the log */
    take_all();
    CU_ASSERT(lines > 10 && lines < 500);
    size_t before = lines;
    CU_ASSERT_EQUAL(missing, 0);
    prompt("{\"steps\":[{\"text\":\"x\"}]}");
    expect_turn_end("end_turn");
    take_all();
    CU_ASSERT_EQUAL(lines, before + 3); /* the prompt, a chunk, the answer */
    /* initialize, session/new and two prompts with their answers, and 1001 chunks. */
    CU_ASSERT_EQUAL(lines + missing, 8 + 1001);
    CU_ASSERT_EQUAL((size_t)(metric_read(METRIC_WIRELOG_LOST) - lost), missing);
    end();
}

static void lines_left_out_at_the_end_are_told(void)
{
    begin("wire-log = true", 2000);
    start_ready("scripted");
    prompt("{\"steps\":[{\"chunks\":100,\"size\":10}]}");
    expect_turn_end("end_turn");
    order(ORDER_STOP);
    expect_end(NOTICE_EXITED, "The agent was stopped.");
    end();
    CU_ASSERT_EQUAL(ends, 1);
    CU_ASSERT_EQUAL(lines + missing, 6 + 100);
}

static void off_costs_no_mail(void)
{
    begin("", 20000);
    start_ready("scripted");
    prompt("{\"steps\":[{\"text\":\"x\"}]}");
    expect_turn_end("end_turn");
    take_all();
    CU_ASSERT_EQUAL(lines, 0);
    end();
    CU_ASSERT_EQUAL(begins, 1);
}

TEST_MAIN("agent_wirelog", TEST(nobody_takes_the_lines), TEST(lines_left_out_at_the_end_are_told), TEST(off_costs_no_mail))
