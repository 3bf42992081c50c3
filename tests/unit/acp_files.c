/* fs/read_text_file and fs/write_text_file: what is asked, passed on, and answered. */
#include "signalbox/core/acp.h"

#include "core/acp_files.h"
#include "core/acp_path.h"
#include "support/acp_host.h"
#include "support/test.h"

static const struct host_options offered = {50, 256 * 1024, 1, NULL, NULL, 0, ACP_OFFER_FS};

static void ask(struct host *host, int id, const char *method, const char *params)
{
    enum err err = host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"fs/%s\",\"params\":%s}", id, method, params);
    CU_ASSERT_EQUAL(err, ERR_OK);
}

static void paths_are_taken_by_the_letter(void)
{
    static const struct {
        const char *workspace, *path, *beneath;
    } cases[] = {
        {"/w", "/w/a", "a"},
        {"/w", "/w//a/./b/../c/", "a/c"},
        {"/w", "/w", "."},
        {"/w", "/w/", "."},
        {"/w", "/x/../w/a", "a"},
        {"/w", "/w/a/..", "."},
        {"/w", "/w/..a/...", "..a/..."},
        {"/w", "/../../w/a", "a"},
        {"/w", "/w/../a", NULL},
        {"/w", "/w/a/../../w2", NULL},
        {"/w", "/work", NULL},
        {"/w", "/", NULL},
        {"/w", "/etc/passwd", NULL},
        {"/", "/etc/passwd", "etc/passwd"},
        {"/", "/..", "."},
        {"/a/b", "/a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool no_memory;
        char *beneath = acp_path_beneath(cases[i].workspace, cases[i].path, &no_memory);
        CU_ASSERT_FALSE(no_memory);
        if (cases[i].beneath == NULL) {
            CU_ASSERT_PTR_NULL(beneath);
        } else {
            TEST_TEXT(beneath, cases[i].beneath);
        }
        free(beneath);
    }
}

static void it_is_there_where_it_is_offered(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    TEST_TEXT(at(host.sent[0], "params/clientCapabilities/fs/readTextFile"), "false");
    TEST_TEXT(at(host.sent[0], "params/clientCapabilities/terminal"), "false");
    ask(&host, 7, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
    TEST_TEXT(at(host_answer(&host, 7), "error/code"), "-32601");
    CU_ASSERT_EQUAL(host.file_count, 0);
    host_close(&host);
    host_open_ready(&host, &offered, NULL);
    TEST_TEXT(at(host.sent[0], "params/clientCapabilities/fs"), "{\"readTextFile\":true,\"writeTextFile\":true}");
    TEST_TEXT(at(host.sent[0], "params/clientCapabilities/terminal"), "false");
    host_sayf(&host, "{\"id\":8,\"method\":\"terminal/create\",\"params\":{\"sessionId\":\"s\",\"command\":\"ls\"}}");
    TEST_TEXT(at(host_answer(&host, 8), "error/code"), "-32601");
    host_close(&host);
}

static void what_is_wrong_is_said(void)
{
    static const struct {
        const char *method, *params, *words;
    } cases[] = {
        {"read_text_file", "{\"path\":\"/w/a\"}", "unknown session"},
        {"read_text_file", "{\"sessionId\":\"other\",\"path\":\"/w/a\"}", "unknown session"},
        {"read_text_file", "{\"sessionId\":\"s\"}", "no path"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":3}", "no path"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"a\"}", "not absolute"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"\"}", "not absolute"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/../etc/passwd\"}", "outside"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\\u0000b\"}", "NULs"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\",\"line\":-1}", "whole numbers"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\",\"line\":1.5}", "whole numbers"},
        {"read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\",\"limit\":\"3\"}", "whole numbers"},
        {"write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}", "no content"},
        {"write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\",\"content\":\"\xff\"}", "UTF-8"},
        {"write_text_file", "[]", "unknown session"},
    };
    struct host host;
    host_open_ready(&host, &offered, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&host, (int)i + 10, cases[i].method, cases[i].params);
        struct json_object *answer = host_answer(&host, (int)i + 10);
        TEST_TEXT(at(answer, "error/code"), "-32602");
        CU_ASSERT_PTR_NOT_NULL(strstr(at(answer, "error/message"), cases[i].words));
    }
    CU_ASSERT_EQUAL(host.file_count, 0);
    CU_ASSERT_FALSE(acp_peer_is_full(host.peer));
    host_close(&host);
}

static void too_much_is_not_written(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    char *content = malloc(FILE_TEXT_MAX + 2);
    memset(content, 'x', FILE_TEXT_MAX + 1);
    content[FILE_TEXT_MAX + 1] = '\0';
    host_sayf(&host, "{\"id\":3,\"method\":\"fs/write_text_file\",\"params\":{\"sessionId\":\"s\",\"path\":\"/w/a\",\"content\":\"%s\"}}", content);
    CU_ASSERT_PTR_NOT_NULL(strstr(at(host_answer(&host, 3), "error/message"), "4 MiB"));
    host_sayf(&host, "{\"id\":4,\"method\":\"fs/write_text_file\",\"params\":{\"sessionId\":\"s\",\"path\":\"/w/a\",\"content\":\"%s\"}}", content + 1);
    CU_ASSERT_EQUAL_FATAL(host.file_count, 1);
    CU_ASSERT_EQUAL(host.files[0].length, FILE_TEXT_MAX);
    free(content);
    host_close(&host);
}

/* Refused, but not before that is recorded. */
static void nothing_is_written_read_only(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    acp_peer_read_only(host.peer, true);
    ask(&host, 1, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\",\"content\":\"x\"}");
    ask(&host, 2, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/x\",\"content\":\"x\"}");
    TEST_TEXT(at(host_answer(&host, 2), "error/code"), "-32602");
    ask(&host, 3, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\"}");
    CU_ASSERT_EQUAL(host.file_count, 1);
    CU_ASSERT_EQUAL(host_answers(&host, 1), 0);
    struct agent_notice *notice = host_last_notice(&host, NOTICE_SERVICE_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    TEST_TEXT(notice->message, "the session is read-only, and the agent was refused to write /w/c");
    acp_peer_refuse(host.peer, notice->request_id);
    acp_peer_refuse(host.peer, notice->request_id);
    TEST_TEXT(at(host_answer(&host, 1), "error/code"), "-32003");
    CU_ASSERT_EQUAL(host_answers(&host, 1), 1);
    acp_peer_read_only(host.peer, false);
    ask(&host, 4, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\",\"content\":\"x\"}");
    CU_ASSERT_EQUAL(host.file_count, 2);
    host_close(&host);
}

/* An agent that gives up is answered once, and who does not wait for answers is told no at some time. */
static void refusals_are_bounded_and_answered_once(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    acp_peer_read_only(host.peer, true);
    ask(&host, 1, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\",\"content\":\"x\"}");
    struct agent_notice *notice = host_last_notice(&host, NOTICE_SERVICE_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    char *request_id = strdup(notice->request_id);
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"method\":\"$/cancel_request\",\"params\":{\"requestId\":1}}");
    acp_peer_refuse(host.peer, request_id);
    CU_ASSERT_EQUAL(host_answers(&host, 1), 1);
    free(request_id);
    for (int i = 2; i < 1024 + 3; i++) {
        ask(&host, i, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\",\"content\":\"x\"}");
    }
    CU_ASSERT_EQUAL(host_answers(&host, 1025), 0);
    TEST_TEXT(at(host_answer(&host, 1026), "error/code"), "-32603");
    CU_ASSERT_EQUAL(host.file_count, 0);
    CU_ASSERT_FALSE(acp_peer_has_files(host.peer));
    host_close(&host);
}

static void questions_and_answers(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    ask(&host, 1, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/d/a\",\"line\":0,\"limit\":null}");
    ask(&host, 2, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/b\",\"line\":4,\"limit\":5}");
    ask(&host, 3, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/c\",\"content\":\"x\\u0000\xc3\xa9\"}");
    CU_ASSERT_EQUAL_FATAL(host.file_count, 3);
    TEST_TEXT(host.files[0].workspace, "/w");
    TEST_TEXT(host.files[0].path, "d/a");
    CU_ASSERT(host.files[0].line == 1 && host.files[0].limit == -1 && !host.files[0].write);
    CU_ASSERT(host.files[1].line == 4 && host.files[1].limit == 5);
    CU_ASSERT(host.files[2].write && host.files[2].length == 4);
    CU_ASSERT_EQUAL(host_answers(&host, 1), 0);
    CU_ASSERT(acp_peer_has_files(host.peer));
    /* In another order. */
    acp_peer_file(host.peer, 3, &host.files[2]);
    TEST_TEXT(at(host_answer(&host, 3), "result"), "{}");
    host.files[1].outcome = FILE_MISSING;
    acp_peer_file(host.peer, 2, &host.files[1]);
    TEST_TEXT(at(host_answer(&host, 2), "error/code"), "-32002");
    TEST_TEXT(at(host_answer(&host, 2), "error/message"), "Resource not found: /w/b");
    host.files[0].content = strdup("a \"text\"\n");
    host.files[0].length = strlen(host.files[0].content);
    acp_peer_file(host.peer, 1, &host.files[0]);
    TEST_TEXT(at(host_answer(&host, 1), "result/content"), "a \"text\"\n");
    CU_ASSERT_FALSE(acp_peer_has_files(host.peer));
    acp_peer_file(host.peer, 1, &host.files[0]); /* once */
    CU_ASSERT_EQUAL(host_answers(&host, 1), 1);
    host_close(&host);
}

static void each_outcome_has_its_words(void)
{
    static const struct {
        enum file_outcome outcome;
        int error;
        const char *code, *words;
    } cases[] = {
        {FILE_OUTSIDE, 0, "-32602", "out of the session's workspace"},
        {FILE_NOT_REGULAR, 0, "-32602", "no regular file"},
        {FILE_TOO_LARGE, 0, "-32602", "line and limit"},
        {FILE_NOT_TEXT, 0, "-32602", "not UTF-8"},
        {FILE_UNSUPPORTED, 0, "-32603", "openat2"},
        {FILE_FAILED, ENOSPC, "-32603", "no space left on device: /w/a"},
        {FILE_FAILED, EACCES, "-32603", "permission denied: /w/a"},
    };
    struct host host;
    host_open_ready(&host, &offered, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&host, (int)i + 10, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
        host.files[i].outcome = cases[i].outcome;
        host.files[i].error = cases[i].error;
        acp_peer_file(host.peer, i + 1, &host.files[i]);
        TEST_TEXT(at(host_answer(&host, (int)i + 10), "error/code"), cases[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(at(host_answer(&host, (int)i + 10), "error/message"), cases[i].words));
    }
    host_close(&host);
}

static void so_many_and_no_more(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    for (int i = 0; i < ACP_FILES_MAX; i++) {
        CU_ASSERT_FALSE(acp_peer_is_full(host.peer));
        ask(&host, i, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
    }
    CU_ASSERT(acp_peer_is_full(host.peer));
    ask(&host, 100, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
    TEST_TEXT(at(host_answer(&host, 100), "error/code"), "-32603");
    host.files[2].outcome = FILE_NOT_TEXT;
    acp_peer_file(host.peer, 3, &host.files[2]);
    CU_ASSERT_FALSE(acp_peer_is_full(host.peer));
    host.refusal = ERR_STOPPING;
    ask(&host, 101, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
    TEST_TEXT(at(host_answer(&host, 101), "error/message"), "the server is stopping");
    CU_ASSERT_FALSE(acp_peer_is_full(host.peer));
    /* The end drops what is open. */
    acp_peer_end(host.peer, "over");
    acp_peer_file(host.peer, 1, &host.files[0]);
    CU_ASSERT_EQUAL(host_answers(&host, 0), 0);
    host_close(&host);
}

static void what_is_withdrawn_is_answered_once(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    ask(&host, 5, "read_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\"}");
    ask(&host, 6, "write_text_file", "{\"sessionId\":\"s\",\"path\":\"/w/a\",\"content\":\"\"}");
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":5}}");
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":5}}");
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":6}}");
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":\"5\"}}");
    TEST_TEXT(at(host_answer(&host, 5), "error/code"), "-32800");
    CU_ASSERT_EQUAL(host_answers(&host, 6), 0); /* it may have been written */
    acp_peer_file(host.peer, 1, &host.files[0]);
    acp_peer_file(host.peer, 2, &host.files[1]);
    CU_ASSERT_EQUAL(host_answers(&host, 5), 1);
    TEST_TEXT(at(host_answer(&host, 6), "result"), "{}");
    host_close(&host);
}

TEST_MAIN("acp_files", TEST(paths_are_taken_by_the_letter), TEST(it_is_there_where_it_is_offered),
          TEST(what_is_wrong_is_said), TEST(too_much_is_not_written), TEST(nothing_is_written_read_only),
          TEST(refusals_are_bounded_and_answered_once), TEST(questions_and_answers),
          TEST(each_outcome_has_its_words), TEST(so_many_and_no_more), TEST(what_is_withdrawn_is_answered_once))
