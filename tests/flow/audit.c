/* Rules and the audit over HTTP, and by `signalbox audit`: from a real store, while it is written to. */
#define _GNU_SOURCE
#include "http_world.h"

#include <signal.h>
#include <sys/wait.h>

#include "signalbox/role/maintenance.h"

static struct store *store;
static struct maintenance *maintenance;
static struct fixture fixture;

#define T(text) ((char *)(uintptr_t)(text))

static void add_entry(int64_t at, const char *session, const char *user, const char *outcome, const char *request)
{
    struct audit_entry entry = {
        .at = at, .action = T("decision"), .session_id = T(session), .outcome = T(outcome), .by = T("user"),
        .user = T(user), .request = T(request)};
    struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
    CHECK(!store->operations->append(store, &write));
}

static void add_rule(const char *id, const char *user, const char *workspace)
{
    struct stored_rule rule = {.id = T(id), .user = T(user), .scope = T("workspace"), .workspace = T(workspace),
                               .match = T("command"), .command = T("npm test"), .label = T("npm test"),
                               .created_at = 1};
    struct store_write write = {.kind = STORE_RULE, .rule = &rule};
    CHECK(!store->operations->append(store, &write));
}

static void begin_world(struct store *(*open)(void))
{
    begin(&fixture, "ann " ANN "\n");
    store = open();
    CHECK(!maintenance_start(&maintenance, store, fixture.config, NULL));
    real_maintenance = maintenance_mailbox(maintenance);
    restart(&fixture);
}

static void stop_maintenance(void)
{
    real_maintenance = NULL;
    maintenance_stop(maintenance);
    maintenance_free(maintenance);
}

static void end_world(void)
{
    stop_more = stop_maintenance;
    restart(&fixture);
    stop_more = NULL;
    store->operations->close(store);
    finish(&fixture);
}

static struct store *open_sqlite(void)
{
    char why[512] = "";
    struct store *opened = NULL;
    if (store_sqlite_open(&opened, fixture.folder, why, sizeof(why))) {
        printf("\n    %s\n", why);
        abort();
    }
    return opened;
}

#define KNOWN "Authorization: Bearer " ANN "\r\n"

static struct reply get(const char *path)
{
    return ask(&fixture, "GET", path, KNOWN, NULL);
}

/* ---- Pages ---- */

static void pages_are_asked_for(void)
{
    begin_world(open_sqlite);
    expect(get("/v1/audit"), 200, "{\"items\":[]}");
    expect(get("/v1/rules"), 200, "{\"items\":[]}");
    add_entry(1000, "s1", "ann", "allowed", "{\"command\":\"ls\"}");
    add_entry(2000, "s2", "ben", "rejected", NULL);
    add_entry(3000, "s1", "ben", "allowed", NULL);
#define ONE                                                                                        \
    "{\"number\":1,\"at\":1000,\"action\":\"decision\",\"sessionId\":\"s1\",\"outcome\":\"allowed\","             \
    "\"alwaysAllow\":false,\"by\":\"user\",\"user\":\"ann\",\"request\":{\"command\":\"ls\"}}"
#define TWO                                                                                        \
    "{\"number\":2,\"at\":2000,\"action\":\"decision\",\"sessionId\":\"s2\",\"outcome\":\"rejected\","            \
    "\"alwaysAllow\":false,\"by\":\"user\",\"user\":\"ben\"}"
#define THREE                                                                                      \
    "{\"number\":3,\"at\":3000,\"action\":\"decision\",\"sessionId\":\"s1\",\"outcome\":\"allowed\","             \
    "\"alwaysAllow\":false,\"by\":\"user\",\"user\":\"ben\"}"
    expect(get("/v1/audit?limit=2"), 200, "{\"items\":[" ONE "," TWO "],\"next\":\"2\"}");
    expect(get("/v1/audit?limit=2&after=2"), 200, "{\"items\":[" THREE "]}");
    expect(get("/v1/audit?order=desc&limit=1"), 200, "{\"items\":[" THREE "],\"next\":\"3\"}");
    expect(get("/v1/audit?order=desc&after=3"), 200, "{\"items\":[" TWO "," ONE "]}");
    expect(get("/v1/audit?session=s1"), 200, "{\"items\":[" ONE "," THREE "]}");
    expect(get("/v1/audit?user=ben&outcome=allowed"), 200, "{\"items\":[" THREE "]}");
    expect(get("/v1/audit?since=2000&until=3000"), 200, "{\"items\":[" TWO "]}");
    expect(get("/v1/audit?user=b%65n&limit=1"), 200, "{\"items\":[" TWO "],\"next\":\"2\"}");
    expect(get("/v1/audit?format=json"), 200, "{\"items\":[" ONE);
    add_rule("r1", "ann", "/srv/a");
    add_rule("r2", "ben", "/srv/a b");
#define RULE(id, user, workspace)                                                                  \
    "{\"ruleId\":\"" id "\",\"user\":\"" user "\",\"scope\":\"workspace\",\"workspace\":\"" workspace            \
    "\",\"match\":\"command\",\"command\":\"npm test\",\"label\":\"npm test\",\"createdAt\":1,\"expiresAt\":null}"
    expect(get("/v1/rules?limit=1"), 200, "{\"items\":[" RULE("r1", "ann", "/srv/a") "],\"next\":\"1\"}");
    expect(get("/v1/rules?after=1"), 200, "{\"items\":[" RULE("r2", "ben", "/srv/a b") "]}");
    expect(get("/v1/rules?workspace=%2Fsrv%2Fa%20b"), 200, "{\"items\":[" RULE("r2", "ben", "/srv/a b") "]}");
    expect(get("/v1/rules?user=ann&session=s1"), 200, "{\"items\":[]}");

    static const struct {
        const char *path, *field;
    } wrong[] = {
        {"/v1/audit?after=", "after"},         {"/v1/audit?after=x", "after"},     {"/v1/audit?after=-1", "after"},
        {"/v1/audit?limit=0", "limit"},        {"/v1/audit?limit=x", "limit"},     {"/v1/audit?order=up", "order"},
        {"/v1/audit?outcome=fine", "outcome"}, {"/v1/audit?format=xml", "format"}, {"/v1/audit?since=now", "since"},
        {"/v1/audit?until=-5", "until"},       {"/v1/audit?until=", "until"},      {"/v1/audit?user=", "user"},
        {"/v1/audit?session", "session"},      {"/v1/rules?after=x", "after"},     {"/v1/rules?limit=0", "limit"},
        {"/v1/rules?workspace=", "workspace"}, {"/v1/audit?format=jsonl&limit=0", "limit"},
        {"/v1/audit?format=jsonl&after=x", "after"},
    };
    for (size_t i = 0; i < array_size(wrong); i++) {
        char field[64];
        snprintf(field, sizeof(field), "\"field\":\"%s\"", wrong[i].field);
        expect(get(wrong[i].path), 400, field);
    }
    expect(ask(&fixture, "GET", "/v1/audit", NULL, NULL), 401, "unauthenticated");
    expect(ask(&fixture, "GET", "/v1/rules", NULL, NULL), 401, "unauthenticated");
    expect(ask(&fixture, "POST", "/v1/audit", KNOWN, NULL), 405, "Allow: GET, HEAD");
    end_world();
}

/* ---- Lines ---- */

/* The whole body of a response in chunks; false if it was cut. */
static bool dechunk(const struct buffer *response, struct buffer *body)
{
    char *at = memmem(response->data, response->length, "\r\n\r\n", 4);
    CHECK(at && memmem(response->data, (size_t)(at - response->data), "Transfer-Encoding: chunked", 26));
    const char *end = response->data + response->length;
    for (at += 4; at < end;) {
        char *data;
        size_t length = strtoul(at, &data, 16);
        if (data + 2 + length + 2 > end) {
            return false;
        }
        if (!length) {
            return data + 4 == end;
        }
        buffer_append(body, data + 2, length);
        at = data + 2 + length + 2;
    }
    return false;
}

static void read_all(int fd, struct buffer *out)
{
    for (;;) {
        char *room = buffer_reserve(out, 65536);
        CHECK(room);
        ssize_t got = recv(fd, room, 65535, 0);
        if (got <= 0) {
            break;
        }
        out->length += (size_t)got;
    }
    CHECK(buffer_reserve(out, 1));
    out->data[out->length] = '\0';
    close(fd);
}

/* How many lines there are, each an entry with the next number from `first` on. */
static int64_t count_lines(const struct buffer *body, int64_t first)
{
    int64_t count = 0;
    struct json_parser *parser;
    CHECK(!json_parser_new(&parser, 32));
    for (const char *at = body->data, *end = at + body->length; at && at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        struct json_object *entry = NULL;
        int64_t number = 0;
        CU_ASSERT_PTR_NOT_NULL_FATAL(line_end);
        CU_ASSERT_EQUAL_FATAL(json_parse(parser, at, (size_t)(line_end - at), &entry), ERR_OK);
        CU_ASSERT_TRUE(json_get_i64(entry, "number", &number));
        CU_ASSERT_EQUAL_FATAL(number, first + count);
        json_object_put(entry);
        count++;
        at = line_end + 1;
    }
    json_parser_free(parser);
    return count;
}

static int64_t lines(const char *path, const char *headers, int64_t first)
{
    struct buffer response = {0}, body = {0};
    read_all(ask_on(&fixture, "GET", path, headers, NULL), &response);
    CU_ASSERT_PTR_NOT_NULL(strstr(response.data, "Content-Type: application/x-ndjson\r\n"));
    CU_ASSERT_TRUE_FATAL(dechunk(&response, &body));
    int64_t count = count_lines(&body, first);
    buffer_free(&response);
    buffer_free(&body);
    return count;
}

static void all_of_it_comes_as_lines(void)
{
    begin_world(open_sqlite);
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl", KNOWN, 1), 0);
    char request[20000]; /* so that pages end by their bytes, too */
    memset(request, ' ', sizeof(request));
    memcpy(request + sizeof(request) - 3, "{}", 3);
    for (int i = 0; i < 1200; i++) {
        add_entry(1000 + i, "s", "ann", "allowed", i < 100 ? request : "{}");
    }
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl", KNOWN, 1), 1200);
    CU_ASSERT_EQUAL(lines("/v1/audit", KNOWN "Accept: application/x-ndjson\r\n", 1), 1200);
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl&limit=3", KNOWN, 1), 3);
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl&limit=600", KNOWN, 1), 600);
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl&after=700", KNOWN, 701), 500);
    CU_ASSERT_EQUAL(lines("/v1/audit?format=jsonl&since=2000", KNOWN, 1001), 200);
    expect(ask(&fixture, "HEAD", "/v1/audit?format=jsonl", KNOWN, NULL), 200, "application/x-ndjson");
    expect(ask(&fixture, "GET", "/v1/audit?format=jsonl", NULL, NULL), 401, NULL);

    /* HTTP/1.0 knows no chunks: the end of the connection is the end of the body. */
    struct buffer old = {0};
    int fd = dial(&fixture);
    static const char asked[] = "GET /v1/audit?format=jsonl&limit=2 HTTP/1.0\r\n" KNOWN "\r\n";
    send_all(fd, asked, sizeof(asked) - 1);
    read_all(fd, &old);
    CU_ASSERT_PTR_NULL(strstr(old.data, "chunked"));
    char *body = strstr(old.data, "\r\n\r\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    buffer_consume(&old, (size_t)(body + 4 - old.data));
    CU_ASSERT_EQUAL(count_lines(&old, 1), 2);
    buffer_free(&old);

    /* And the connection goes on behind the last chunk. */
    struct buffer two = {0};
    fd = dial(&fixture);
    buffer_format(&two, "GET /v1/audit?format=jsonl&limit=1 HTTP/1.1\r\nHost: %s\r\n" KNOWN "\r\n"
                        "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                  fixture.own, fixture.own);
    send_all(fd, two.data, two.length);
    buffer_reset(&two);
    read_all(fd, &two);
    CU_ASSERT_PTR_NOT_NULL(strstr(two.data, "\r\n0\r\n\r\nHTTP/1.1 200"));
    CU_ASSERT_PTR_NOT_NULL(strstr(two.data, "{\"status\":\"ok\"}"));
    buffer_free(&two);
    end_world();
}

enum { WRITTEN = 3000 };

static void write_entries(size_t number, void *context)
{
    (void)number;
    (void)context;
    for (int i = 0; i < WRITTEN; i++) {
        add_entry(1000, "s", "ann", "allowed", "{}");
    }
}

/* Each stream ends somewhere, and the next goes on behind its last number. */
static void nothing_is_skipped_or_repeated_while_entries_come(void)
{
    begin_world(open_sqlite);
    struct test_threads writer = test_threads_start(1, write_entries, NULL);
    int64_t got = 0;
    while (got < WRITTEN && CU_get_number_of_failures() == 0) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/audit?format=jsonl&after=%lld", (long long)got);
        got += lines(path, KNOWN, got + 1);
    }
    test_threads_join(&writer);
    CU_ASSERT_EQUAL(got, WRITTEN);
    end_world();
}

/* ---- A store that fails in the middle ---- */

static _Atomic(int) left; /* calls until it fails */

static enum err failing_list(struct store_reader *reader, int64_t after, bool newest_first, size_t limit,
                             const struct audit_filter *filter, store_audit_visit *visit, void *context)
{
    (void)reader;
    (void)newest_first;
    (void)filter;
    if (atomic_fetch_sub(&left, 1) <= 0) {
        return ERR_IO;
    }
    for (size_t i = 0; i < limit; i++) {
        const struct audit_entry entry = {.number = after + 1 + (int64_t)i, .action = T("decision")};
        if (!visit(context, &entry)) {
            break;
        }
    }
    return ERR_OK;
}

static void close_nothing(struct store_reader *reader)
{
    (void)reader;
}

static enum err maintain_nothing(struct store_reader *reader)
{
    (void)reader;
    return ERR_OK;
}

static void close_failing(struct store *which)
{
    (void)which;
}

static enum err open_failing_reader(struct store *which, struct store_reader **out);
static const struct store_operations failing = {
    .name = "failing", .reader_open = open_failing_reader, .reader_close = close_nothing, .close = close_failing,
    .list_audit = failing_list, .maintain = maintain_nothing};
static struct store_reader failing_reader = {.operations = &failing};
static enum err open_failing_reader(struct store *which, struct store_reader **out)
{
    (void)which;
    *out = &failing_reader;
    return ERR_OK;
}

static struct store *open_failing(void)
{
    static struct store failing_store = {.operations = &failing};
    return &failing_store;
}

static void what_is_missing_is_seen(void)
{
    begin_world(open_failing);
    atomic_store(&left, 0);
    expect(get("/v1/audit?format=jsonl"), 503, "storage_unavailable");
    expect(get("/v1/audit"), 503, "storage_unavailable");
    atomic_store(&left, 3);
    struct buffer response = {0}, body = {0};
    read_all(ask_on(&fixture, "GET", "/v1/audit?format=jsonl", KNOWN, NULL), &response);
    CU_ASSERT_FALSE(dechunk(&response, &body)); /* three pages, and no last chunk */
    CU_ASSERT_EQUAL(count_lines(&body, 1), 1500);
    buffer_free(&response);
    buffer_free(&body);
    end_world();
}

/* ---- The program ---- */

struct output {
    int status;
    char text[16384];
};

static struct output run(const char *arguments)
{
    struct output output = {0};
    char command[1024];
    snprintf(command, sizeof(command), "TZ=UTC %s/signalbox audit %s 2>&1", TEST_BINARY_DIR, arguments);
    FILE *pipe = popen(command, "r");
    CHECK(pipe);
    output.text[fread(output.text, 1, sizeof(output.text) - 1, pipe)] = '\0';
    int status = pclose(pipe);
    output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return output;
}

static struct output audit(const char *options)
{
    char arguments[512];
    snprintf(arguments, sizeof(arguments), "--data %s %s", fixture.folder, options);
    return run(arguments);
}

static void prints(const char *options, const char *text)
{
    struct output output = audit(options);
    TEST_TEXT(output.text, text);
    CU_ASSERT_EQUAL(output.status, 0);
}

static void the_program_prints_it_beside_a_server(void)
{
    begin_world(open_sqlite);
    prints("", "");
    const struct audit_entry all[] = {
        {.at = 1700000000000, .action = T("decision"), .session_id = T("s1"), .outcome = T("allowed"), .by = T("user"),
         .user = T("ann"), .always_allow = true, .made_rule_id = T("r1"), .message = T("go on"),
         .request = T("{\"kind\":\"execute\",\"command\":\"npm test\"}")},
        {.at = 1700000001000, .action = T("decision"), .session_id = T("s1"), .outcome = T("allowed"), .by = T("rule"),
         .user = T("ann"), .rule_id = T("r1"), .request = T("{\"command\":\"npm test\"}")},
        {.at = 1700000002000, .action = T("decision"), .session_id = T("s2"), .outcome = T("timeout"),
         .by = T("timeout"),
         .request = T("{\"kind\":\"edit\",\"command\":\"a\\u001b[2J\\nb \\u202egpj.exe \\u00e9 \\u0085\"}")},
        {.at = 1700000003000, .action = T("decision"), .session_id = T("s2"), .outcome = T("cancelled"),
         .by = T("cancellation"), .reason = T("agent_exited"), .request = T("{\"command\":\"x\"}")},
        {.at = 1700000004000, .action = T("decision"), .session_id = T("s2"), .outcome = T("rejected"),
         .by = T("policy"), .policy = T("read-only"), .request = T("{\"command\":\"x\"}")},
        {.at = 1700000005000, .action = T("policy_changed"), .session_id = T("s2"), .user = T("ben"),
         .policy = T("trust"), .policy_before = T("ask")},
        {.at = 1700000006000, .action = T("rule_removed"), .user = T("ben"), .by = T("user"), .rule_id = T("r1"),
         .rule = T("{\"label\":\"npm test in work\"}")},
        {.at = 1700000007000, .action = T("something new"), .session_id = T("s\x1b[0m\xff")},
        {.at = 1700000008000, .action = T("service_refused"), .session_id = T("s3"), .outcome = T("rejected"),
         .by = T("policy"), .policy = T("read-only"), .reason = T("the agent was refused to run rm x")},
    };
    for (size_t i = 0; i < array_size(all); i++) {
        struct store_write write = {.kind = STORE_AUDIT, .audit = &all[i]};
        CHECK(!store->operations->append(store, &write));
    }
#define A "2023-11-14 22:13:20 ann          allowed always           s1                     execute: npm test [made rule r1] \"go on\"\n"
#define B "2023-11-14 22:13:21 ann          allowed (rule r1)        s1                     npm test\n"
#define C "2023-11-14 22:13:22 -            timeout                  s2                     edit: a\\x1b[2J\\nb \\xe2\\x80\\xaegpj.exe \xc3\xa9 \\xc2\\x85\n"
#define D "2023-11-14 22:13:23 -            cancelled (agent_exited) s2                     x\n"
#define E "2023-11-14 22:13:24 -            rejected (policy read-only) s2                     x\n"
#define F "2023-11-14 22:13:25 ben          policy_changed           s2                     ask -> trust\n"
#define G "2023-11-14 22:13:26 ben          rule_removed             -                      r1: npm test in work\n"
#define H "2023-11-14 22:13:27 -            something new            s\\x1b[0m\\xff\n"
#define I "2023-11-14 22:13:28 -            rejected (policy read-only) s3                     the agent was refused to run rm x\n"
    prints("", A B C D E F G H I);
    prints("--session s1", A B);
    prints("--user ben", F G);
    prints("--outcome allowed --last 1", B);
    prints("--last 3", G H I);
    prints("--last 99 --session s1", A B);
    prints("--last 1 --user nobody", "");
    prints("--since 2023-11-14T22:13:26", G H I);
    prints("--since '2023-11-14 22:13:26' --until 2023-11-14T22:13:27Z", G);
    prints("--until 2023-11-14", "");
    prints("--since 2023-11-15", "");
    prints("--since 1h", "");
    prints("--since 2023-11-14T22:13 --last 1", I);
    prints("--json --user ben --last 1",
           "{\"number\":7,\"at\":1700000006000,\"action\":\"rule_removed\",\"by\":\"user\",\"user\":\"ben\","
           "\"ruleId\":\"r1\",\"rule\":{\"label\":\"npm test in work\"}}\n");

    static const struct {
        const char *options, *says;
        int status;
    } wrong[] = {
        {"--since yesterday", "--since yesterday: it must be a date", 2},
        {"--since 2023-02-30", "--since 2023-02-30: it must be a date", 2},
        {"--since 5", "--since 5: it must be a date", 2},
        {"--until 99999999999999999d", "--until 99999999999999999d: it must be a date", 2},
        {"--outcome fine", "--outcome fine: it must be allowed, rejected, timeout or cancelled", 2},
        {"--last 0", "--last 0: it must be a whole number >= 1", 2},
        {"--what", "Usage: signalbox audit", 2},
        {"more", "Usage: signalbox audit", 2},
        {"--data /nowhere", "signalbox: there is no store in /nowhere", 1},
        {"--help", "Usage: signalbox audit", 0},
    };
    for (size_t i = 0; i < array_size(wrong); i++) {
        struct output output = audit(wrong[i].options);
        CU_ASSERT_EQUAL(output.status, wrong[i].status);
        if (!strstr(output.text, wrong[i].says)) {
            printf("\n    %s: %s\n", wrong[i].options, output.text);
            CU_FAIL("what is wrong is not said");
        }
    }
    CU_ASSERT_EQUAL(audit("> /dev/full").status, 1);
    end_world();
}

/* It prints what is there, waits, and prints what comes. */
static void the_program_follows(void)
{
    begin_world(open_sqlite);
    add_entry(1000, "s", "ann", "allowed", NULL);
    add_entry(1000, "s", "ann", "allowed", NULL);
    int ends[2];
    CHECK(!pipe2(ends, O_CLOEXEC));
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        dup2(ends[1], STDOUT_FILENO);
        signal(SIGPIPE, SIG_DFL); /* CivetWeb has it ignored */
        execl(TEST_BINARY_DIR "/signalbox", "signalbox", "audit", "--data", fixture.folder, "--json", "--last", "1",
              "--follow", NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *printed = fdopen(ends[0], "r");
    CHECK(printed);
    for (int number = 2; number <= 4; number++) {
        char start[32], line[512] = "";
        snprintf(start, sizeof(start), "{\"number\":%d,", number);
        CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), printed));
        CU_ASSERT_EQUAL(strncmp(line, start, strlen(start)), 0);
        add_entry(1000, "s", "ann", "allowed", NULL);
    }
    fclose(printed); /* the next line finds nobody */
    add_entry(1000, "s", "ann", "allowed", NULL);
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    end_world();
}

TEST_MAIN("audit", TEST(pages_are_asked_for), TEST(all_of_it_comes_as_lines),
          TEST(nothing_is_skipped_or_repeated_while_entries_come), TEST(what_is_missing_is_seen),
          TEST(the_program_prints_it_beside_a_server), TEST(the_program_follows))
