/* The ring of threads as a whole: what a client sees of it while the clock stands still, and when it moves. */
#include "ring_world.h"

#include "signalbox/base/metrics.h"

static void the_first_text_is_out_while_the_clock_stands_still(void)
{
    ring_begin(true, "");
    ring_session();
    ring_prompt("{'steps':[{'text':'Hello'},{'waitCancel':true}]}");
    struct json_object *delta = ring_await("text_delta");
    TEST_TEXT(json_get_string(delta, "delta"), "Hello");
    json_object_put(delta);
    ring_send("{\"type\":\"cancel\",\"id\":\"x\",\"sessionId\":\"%s\"}", ring.session_id);
    struct json_object *complete = ring_await("complete");
    TEST_TEXT(json_get_string(complete, "stopReason"), "cancelled");
    int64_t duration = -1;
    CU_ASSERT_TRUE(json_get_i64(complete, "durationMs", &duration));
    CU_ASSERT_EQUAL(duration, 0); /* the clock stood still */
    json_object_put(complete);
    ring_end();
}

static void text_waits_for_its_window(void)
{
    ring_begin(true, "delta-window-ms = 1600\n");
    ring_session();
    ring_prompt("{'steps':[{'text':'one'},{'text':' two'},{'text':' three'},{'waitCancel':true}]}");
    struct json_object *delta = ring_await("text_delta");
    CU_ASSERT_EQUAL(strncmp(json_get_string(delta, "delta"), "one", 3), 0);
    json_object_put(delta);
    /* The agent has said all of it when it sees the cancel; nothing more has gone out, since no time has passed. */
    ring_send("{\"type\":\"ping\",\"id\":\"q\"}");
    struct json_object *next = ring_next();
    TEST_TEXT(json_get_string(next, "type"), "pong");
    json_object_put(next);
    ring_send("{\"type\":\"cancel\",\"sessionId\":\"%s\"}", ring.session_id);
    struct json_object *complete = ring_await("text_complete");
    TEST_TEXT(json_get_string(complete, "text"), "one two three");
    json_object_put(complete);
    ring_skip_to("complete");
    ring_end();
}

static void a_permission_runs_out_when_its_time_has_passed(void)
{
    ring_begin(true, "permission-timeout-ms = 60000\n");
    ring_session();
    ring_prompt("{'steps':[{'permission':{}},{'text':' and on'}]}");
    struct json_object *event = ring_await("permission_request");
    struct json_object *request = json_get(event, "request");
    int64_t created = 0, expires = 0;
    CU_ASSERT_TRUE(json_get_i64(request, "createdAt", &created));
    CU_ASSERT_TRUE(json_get_i64(request, "expiresAt", &expires));
    CU_ASSERT_EQUAL(expires - created, 60000);
    clock_fake_advance(59999);
    ring_send("{\"type\":\"ping\",\"id\":\"early\"}");
    struct json_object *timeout = NULL;
    for (bool pong = false; !pong;) {
        struct json_object *message = ring_next();
        const char *type = json_get_string(message, "type");
        CU_ASSERT_NOT_EQUAL(strcmp(type, "permission_timeout"), 0);
        pong = !strcmp(type, "pong");
        json_object_put(message);
    }
    clock_fake_advance(1);
    timeout = ring_await("permission_timeout");
    TEST_TEXT(json_get_string(timeout, "requestId"), json_get_string(request, "requestId"));
    json_object_put(timeout);
    /* The agent was told no in its own words, and the turn goes on. */
    struct json_object *said = ring_await("text_complete");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_get_string(said, "text"), "answer:"));
    json_object_put(said);
    ring_skip_to("complete");
    /* An answer that comes now is told that it is too late. */
    ring_send("{\"type\":\"permission_response\",\"id\":\"late\",\"requestId\":\"%s\",\"allow\":true}",
              json_get_string(request, "requestId"));
    struct json_object *nack = ring_await("nack");
    TEST_TEXT(json_get_string(nack, "code"), "expired");
    json_object_put(nack);
    json_object_put(event);
    ring_end();
}

static void an_ignored_cancel_ends_the_agent_when_its_time_has_passed(void)
{
    ring_begin(true, "cancel-timeout-ms = 10000\n");
    ring_session();
    ring_prompt("{'steps':[{'ignoreCancel':true},{'text':'deaf'},{'sleep':600000}]}");
    ring_skip_to("text_delta");
    ring_send("{\"type\":\"cancel\",\"id\":\"x\",\"sessionId\":\"%s\"}", ring.session_id);
    ring_skip_to("ack");
    clock_fake_advance(10000);
    struct json_object *complete = ring_await("complete");
    TEST_TEXT(json_get_string(complete, "stopReason"), "agent_exited");
    json_object_put(complete);
    ring_end();
}

static void nothing_is_shown_that_is_not_recorded(void)
{
    ring_begin(false, "");
    ring_session();
    store_memory_fail(ring.store, ERR_NOSPC);
    ring_prompt("{'steps':[{'text':'kept back'}]}");
    struct json_object *store = ring_await("store");
    CU_ASSERT_FALSE(json_get_bool(store, "ok", true));
    json_object_put(store);
    ring_send("{\"type\":\"prompt\",\"id\":\"refused\",\"sessionId\":\"%s\",\"text\":\"x\"}", ring.session_id);
    struct json_object *answer = ring_next();
    TEST_TEXT(json_get_string(answer, "type"), "nack"); /* no event, no ack of the first came before it */
    TEST_TEXT(json_get_string(answer, "code"), "storage_unavailable");
    TEST_TEXT(json_get_string(answer, "id"), "refused");
    json_object_put(answer);
    store_memory_fail(ring.store, ERR_OK);
    struct json_object *complete = ring_await("text_complete");
    TEST_TEXT(json_get_string(complete, "text"), "kept back");
    json_object_put(complete);
    ring_skip_to("complete");
    ring_end();
}

static void two_who_answer_at_once_are_told_who_won(void)
{
    ring_begin(false, "");
    ring_session();
    int other = ring_connect("bob");
    ring_prompt("{'steps':[{'permission':{}}]}");
    struct json_object *event = ring_await("permission_request");
    char answer[256];
    snprintf(answer, sizeof(answer), "{\"type\":\"permission_response\",\"id\":\"a\",\"requestId\":\"%s\",\"allow\":true}",
             json_get_string(json_get(event, "request"), "requestId"));
    json_object_put(event);
    ring_send_to(other, answer);
    event = ring_await("permission_resolved");
    TEST_TEXT(json_get_string(json_get(event, "by"), "user"), "bob");
    json_object_put(event);
    ring_send_to(ring.client, answer);
    struct json_object *nack = ring_await("nack");
    TEST_TEXT(json_get_string(nack, "code"), "already_resolved");
    TEST_TEXT(json_get_string(json_get(json_get(nack, "resolved"), "by"), "user"), "bob");
    json_object_put(nack);
    close(other);
    ring_end();
}

static void a_client_is_gone_also_while_its_socket_has_another_descriptor(void)
{
    ring_begin(false, "");
    int pair[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int held = dup(pair[0]); /* as a process has it that is being started, until its exec */
    ring_take(pair[0], "bob", 0);
    ring_send_to(pair[1], "{\"type\":\"ping\"}");
    close(pair[1]); /* from now on his socket is ready, and stays so */
    for (int round = 0; round < 20; round++) {
        ring_send("{\"type\":\"ping\",\"id\":\"%d\"}", round);
        ring_skip_to("pong");
    }
    close(held);
    ring_end();
}

/* What closes the connection, read to its end. */
static int close_code(int fd)
{
    unsigned char bytes[4096];
    size_t length = 0;
    struct timeval patience = {.tv_sec = WAIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    for (ssize_t got; (got = read(fd, bytes + length, sizeof(bytes) - length)) > 0;) {
        length += (size_t)got;
    }
    for (size_t at = 0; at + 4 <= length;) { /* control frames and short texts only */
        size_t header = bytes[at + 1] == 126 ? 4 : 2;
        size_t payload = header == 4 ? (size_t)bytes[at + 2] << 8 | bytes[at + 3] : bytes[at + 1];
        if ((bytes[at] & 0xf) == 0x8) {
            return bytes[at + header] << 8 | bytes[at + header + 1];
        }
        at += header + payload;
    }
    return 0;
}

static void the_older_of_two_connections_goes_whichever_comes_to_the_dispatcher_first(void)
{
    ring_begin(false, "");
    int older[2], newer[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, older), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, newer), 0);
    ring_take(newer[0], "bob", 8);
    ring_take(older[0], "bob", 7);
    CU_ASSERT_EQUAL(close_code(older[1]), 3504);
    close(older[1]);
    int newest[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, newest), 0);
    ring_take(newest[0], "bob", 9);
    CU_ASSERT_EQUAL(close_code(newer[1]), 3504); /* until now it was there */
    close(newer[1]);
    close(newest[1]);
    ring_end();
}

/* ---- Many sessions of one client ---- */

enum { MANY = 40, LONG_TEXT = 200000 };

static void store_text(int64_t key, uint64_t seq)
{
    struct buffer json = {0};
    buffer_format(&json, "{\"seq\":%d,\"ts\":1,\"type\":\"text_complete\",\"messageId\":\"m%d\",\"text\":\"", (int)seq,
                  (int)seq);
    for (int i = 0; i < LONG_TEXT; i++) {
        buffer_byte(&json, 'x');
    }
    buffer_text(&json, "\"}");
    struct store_write event = {.kind = STORE_EVENT, .session_key = key, .seq = seq, .ts = 1,
                                .event_kind = "text_complete", .json = json.data, .json_length = json.length};
    CU_ASSERT_EQUAL_FATAL(ring.store->operations->append(ring.store, &event), ERR_OK);
    buffer_free(&json);
}

static void store_session(int64_t key, uint64_t head)
{
    char id[16];
    snprintf(id, sizeof(id), "s-%02d", (int)key);
    struct session_row row = {.key = key, .id = id, .agent = "scripted", .workspace = ring.folder, .title = "",
                              .policy = "ask", .phase = "stopped", .epoch = "e", .created_by = "ada", .head = head};
    const struct store_write session = {.kind = STORE_SESSION, .session_key = key, .row = &row};
    CU_ASSERT_EQUAL_FATAL(ring.store->operations->append(ring.store, &session), ERR_OK);
    for (uint64_t seq = 1; seq <= head; seq++) {
        store_text(key, seq);
    }
}

static void little_is_read_for_a_client_that_does_not_read_however_many_sessions_it_watches(void)
{
    ring_begin(false, "");
    int ada = ring.client;
    for (int64_t key = 1; key <= MANY; key++) {
        store_session(key, 1);
    }
    int64_t before = metric_read(METRIC_FOLD_EVENTS);
    for (int key = 1; key < MANY; key++) {
        ring_send("{\"type\":\"subscribe\",\"sessionId\":\"s-%02d\"}", key);
    }
    /* Bob comes behind all of them, and loses nothing by them. */
    ring.client = ring_connect("bob");
    ring_send("{\"type\":\"subscribe\",\"sessionId\":\"s-%02d\"}", MANY);
    ring_skip_to("replay_complete");
    CU_ASSERT_TRUE(metric_read(METRIC_FOLD_EVENTS) - before <= 1 + 4);
    close(ring.client);
    /* Ada reads, and gets all. */
    ring.client = ada;
    bool seen[MANY] = {false};
    for (int key = 1; key < MANY; key++) {
        struct json_object *message = ring_await("replay_complete");
        int at = atoi(json_get_string(message, "sessionId") + 2);
        CU_ASSERT_FALSE(seen[at]);
        seen[at] = true;
        json_object_put(message);
    }
    CU_ASSERT_EQUAL(metric_read(METRIC_FOLD_EVENTS) - before, MANY);
    ring_end();
}

/* What comes until this message; of the session's events, they follow one another from `from` on. */
static uint64_t events_until(const char *type, const char *id, uint64_t from)
{
    for (;;) {
        struct json_object *message = ring_next();
        const char *name = json_get_string(message, "type"), *its_id = json_get_string(message, "id");
        int64_t seq = 0, begin = 0;
        bool there = !strcmp(name, type) && (!id || (its_id && !strcmp(its_id, id)));
        if (json_get_i64(message, "seq", &seq) && strcmp(name, "replay_complete") != 0) {
            begin = json_get_i64(message, "from", &begin) ? begin : seq;
            CU_ASSERT_TRUE(begin <= (int64_t)from && seq >= (int64_t)from);
            from = (uint64_t)seq + 1;
        }
        json_object_put(message);
        if (there) {
            return from;
        }
    }
}

static void a_replay_that_another_subscribe_or_an_unsubscribe_ends_leaves_nothing_behind(void)
{
    enum { EVENTS = 5 };
    ring_begin(false, "");
    store_session(1, EVENTS);
    /* Nothing is read meanwhile, so the first replay is under way when the second begins. */
    ring_send("{\"type\":\"subscribe\",\"id\":\"a\",\"sessionId\":\"s-01\"}");
    ring_send("{\"type\":\"subscribe\",\"id\":\"b\",\"sessionId\":\"s-01\"}");
    CU_ASSERT_EQUAL(events_until("subscribed", "a", 1), 1);
    uint64_t got = events_until("subscribed", "b", 1);
    CU_ASSERT_TRUE(got <= EVENTS + 1); /* the rest of the first, if it was quick */
    CU_ASSERT_EQUAL(events_until("replay_complete", NULL, 1), EVENTS + 1);
    /* The replay has begun when `subscribed` is here, and is over with `unsubscribed`. */
    ring_send("{\"type\":\"subscribe\",\"id\":\"c\",\"sessionId\":\"s-01\"}");
    CU_ASSERT_EQUAL(events_until("subscribed", "c", 1), 1);
    ring_send("{\"type\":\"unsubscribe\",\"id\":\"d\",\"sessionId\":\"s-01\"}");
    got = events_until("unsubscribed", "d", 1);
    CU_ASSERT_TRUE(got <= EVENTS);
    ring_send("{\"type\":\"ping\",\"id\":\"e\"}");
    CU_ASSERT_EQUAL(events_until("pong", "e", 1), 1);
    ring_send("{\"type\":\"subscribe\",\"id\":\"f\",\"sessionId\":\"s-01\",\"after\":{\"epoch\":\"x\",\"seq\":1}}");
    CU_ASSERT_EQUAL(events_until("replay_complete", NULL, 1), EVENTS + 1);
    ring_end();
}

/* What comes next with an id. Whether the third question below gets a list of its own, which has none, depends on whether the
 * first list is there by then. */
static struct json_object *next_with_id(void)
{
    for (;;) {
        struct json_object *message = ring_next();
        if (json_get_string(message, "id")) {
            return message;
        }
        json_object_put(message);
    }
}

static void each_watch_sessions_with_an_id_is_answered_once(void)
{
    ring_begin(false, "");
    /* At once, so that the later ones come while the first list is made. */
    ring_send("{\"type\":\"watch_sessions\",\"id\":\"a\"}");
    ring_send("{\"type\":\"watch_sessions\",\"id\":\"b\"}");
    ring_send("{\"type\":\"watch_sessions\"}");
    ring_send("{\"type\":\"watch_sessions\",\"id\":\"c\"}");
    static const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < array_size(ids); i++) {
        struct json_object *list = next_with_id();
        TEST_TEXT(json_get_string(list, "type"), "sessions");
        TEST_TEXT(json_get_string(list, "id"), ids[i]);
        json_object_put(list);
    }
    /* Also by an unwatch_sessions that comes before its list: by the list, or by a no. */
    ring_send("{\"type\":\"watch_sessions\",\"id\":\"d\"}");
    ring_send("{\"type\":\"unwatch_sessions\",\"id\":\"e\"}");
    struct json_object *answer = next_with_id();
    TEST_TEXT(json_get_string(answer, "id"), "d");
    json_object_put(answer);
    answer = next_with_id();
    TEST_TEXT(json_get_string(answer, "type"), "ack");
    TEST_TEXT(json_get_string(answer, "id"), "e");
    json_object_put(answer);
    ring_end();
}

/* ---- The end ---- */

static void turn_to_fold(void)
{
    struct store_write complete = {.kind = STORE_EVENT, .session_key = 7, .seq = 1, .ts = 1, .event_kind = "complete",
                                   .json = "{\"seq\":1,\"ts\":1,\"type\":\"complete\"}"};
    complete.json_length = strlen(complete.json);
    CU_ASSERT_EQUAL_FATAL(ring.store->operations->append(ring.store, &complete), ERR_OK);
    while (!mailbox_stats(dispatch_inbox(ring.dispatch)).depth) {
        CU_ASSERT_EQUAL(poll(NULL, 0, 5), 0);
    }
}

static void a_turn_that_is_folded_while_the_server_stops_does_no_harm(void)
{
    ring_begin(false, "fold-after-ms = 1\n");
    ring.after_dispatch = turn_to_fold;
    ring_end(); /* its note lies in an inbox that nobody reads: the sanitizer knows whether it is looked at when it is gone */
}

TEST_MAIN("ring", TEST(a_replay_that_another_subscribe_or_an_unsubscribe_ends_leaves_nothing_behind),
          TEST(a_turn_that_is_folded_while_the_server_stops_does_no_harm),
           TEST(each_watch_sessions_with_an_id_is_answered_once),
           TEST(little_is_read_for_a_client_that_does_not_read_however_many_sessions_it_watches),
           TEST(the_older_of_two_connections_goes_whichever_comes_to_the_dispatcher_first),
          TEST(a_client_is_gone_also_while_its_socket_has_another_descriptor),
          TEST(the_first_text_is_out_while_the_clock_stands_still), TEST(text_waits_for_its_window),
          TEST(a_permission_runs_out_when_its_time_has_passed),
          TEST(an_ignored_cancel_ends_the_agent_when_its_time_has_passed), TEST(nothing_is_shown_that_is_not_recorded),
          TEST(two_who_answer_at_once_are_told_who_won))
