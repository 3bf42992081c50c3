/*
 * Commands exactly once (docs/protocol.md, "Ids"): answers that are remembered, and commands that are in work.
 *
 * The youngest answers are kept here; all that must outlive the connection are in the store, where each is committed
 * with what its command did. What leaves this memory leaves its name in a filter, and a start puts the names of the
 * store's answers there. So a command whose name is neither here nor in the filter was never answered, and begins
 * without a look at the disk; only for a name that the filter may have is the store asked.
 */
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/digest_filter.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"

enum {
    BUCKETS = 1 << 16,
    BYTES_MAX = 16 << 20, /* of answers' texts */
    /* A million answers that left the memory in a day: one new command in forty asks the store in vain. */
    FILTER_BITS = 1 << 23,
    EXPIRE_LIMIT = 128,
};

struct remembered {
    struct remembered *next; /* in its bucket */
    struct digest name, body;
    enum { ASKING_STORE, IN_WORK, ANSWERED } state;
    bool outlives; /* its connection: it goes into the store */
    struct dispatch_command *first, **last; /* commands that wait for this one's answer; while the store is asked, it too */
    /* ANSWERED: */
    struct remembered *younger;
    struct instant at;
    enum answer_code code;
    char *message, *fields;
    size_t bytes;
};

struct answers {
    struct remembered *buckets[BUCKETS];
    struct remembered *oldest, **youngest; /* of those that are answered */
    size_t count, max, bytes;
    struct digest_filter *filter;
    struct instant turn_at; /* when the older half of the filter is out of date */
};

/* ---- The map ---- */

static struct remembered **bucket_of(struct answers *answers, const struct digest *name)
{
    uint32_t hash;
    memcpy(&hash, name->bytes, sizeof(hash));
    return &answers->buckets[hash % BUCKETS];
}

static struct remembered *find(struct answers *answers, const struct digest *name)
{
    struct remembered *entry = *bucket_of(answers, name);
    while (entry && !digest_equal(&entry->name, name)) {
        entry = entry->next;
    }
    return entry;
}

static struct remembered *add(struct answers *answers, const struct dispatch_command *command)
{
    struct remembered *entry = need_zero(sizeof(*entry));
    entry->name = command->name;
    entry->body = command->body;
    entry->state = IN_WORK;
    entry->outlives = command->remember != REMEMBER_CONNECTION;
    entry->last = &entry->first;
    struct remembered **bucket = bucket_of(answers, &entry->name);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

/* One that nobody waits for and that is not in the order of age. */
static void forget(struct answers *answers, struct remembered *entry)
{
    CHECK(!entry->first);
    struct remembered **at = bucket_of(answers, &entry->name);
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    free(entry->message);
    free(entry->fields);
    free(entry);
}

static void forget_oldest(struct answers *answers)
{
    struct remembered *entry = answers->oldest;
    answers->oldest = entry->younger;
    if (!answers->oldest) {
        answers->youngest = &answers->oldest;
    }
    answers->count--;
    answers->bytes -= entry->bytes;
    forget(answers, entry);
}

/* What is older than a day is forgotten; a half of the filter is older than a day a day after its last addition. */
static void expire(struct answers *answers, struct instant now)
{
    while (answers->oldest && instant_diff_ms(now, answers->oldest->at) >= ANSWER_LIFE_MS) {
        forget_oldest(answers);
    }
    if (instant_reached(answers->turn_at, now)) {
        digest_filter_turn(answers->filter);
        answers->turn_at = instant_after_ms(now, ANSWER_LIFE_MS);
    }
}

static void make_room(struct answers *answers)
{
    while (answers->count > answers->max || answers->bytes > BYTES_MAX) {
        if (answers->oldest->outlives) {
            digest_filter_add(answers->filter, &answers->oldest->name);
        }
        forget_oldest(answers);
    }
}

static void park(struct remembered *entry, struct dispatch_command *command)
{
    command->parked_next = NULL;
    *entry->last = command;
    entry->last = &command->parked_next;
}

static struct dispatch_command *unpark_all(struct remembered *entry)
{
    struct dispatch_command *first = entry->first;
    entry->first = NULL;
    entry->last = &entry->first;
    return first;
}

/* ---- The same command again ---- */

static void repeat(struct dispatch *dispatch, struct dispatch_command *command, enum answer_code code,
                   const char *message, const char *fields)
{
    metric_add(METRIC_COMMANDS_REPEATED, 1);
    char *marked = NULL;
    if (command->tells_again && code == ANSWER_OK) {
        struct buffer text = {0};
        buffer_text(&text, fields ? fields : "");
        json_field_bool(&text, "again", true);
        marked = buffer_take(&text);
        need_ok(marked ? ERR_OK : ERR_NOMEM);
    }
    dispatch_answer(dispatch, command, code, message, marked ? marked : fields);
    free(marked);
    dispatch_command_free(command);
}

static void refuse_other_body(struct dispatch *dispatch, struct dispatch_command *command)
{
    dispatch_answer_reused(dispatch, command);
    dispatch_command_free(command);
}

static void refuse_ask(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    struct history_request *request = container_of(mail, struct history_request, mail);
    request->result = ERR_STOPPING;
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

static void keep_note(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)mail; /* a part of who sent it, and there is nothing to tell */
    (void)to;
    (void)kind;
}

/* Behind everything that is on its way to the store: the answer may be among it, if it left this memory early. */
static void ask_store(struct dispatch *dispatch, const struct digest *name)
{
    struct history_request *request;
    need_ok(history_request_new(&request));
    request->kind = HISTORY_ANSWER;
    request->answer_name = *name;
    request->reply_to = dispatch->inbox;
    request->reply_kind = DISPATCH_ANSWER;
    metric_add(METRIC_ANSWERS_READ, 1);
    dispatch_forward(dispatch, &request->mail, dispatch->wiring.history, 0, refuse_ask);
}

bool dispatch_answers_enter(struct dispatch *dispatch, struct dispatch_command *command)
{
    struct answers *answers = dispatch->answers;
    expire(answers, dispatch->now.at);
    struct remembered *entry = find(answers, &command->name);
    if (!entry) {
        entry = add(answers, command);
        if (entry->outlives && digest_filter_may_have(answers->filter, &command->name)) {
            entry->state = ASKING_STORE;
            park(entry, command);
            ask_store(dispatch, &command->name);
            return false;
        }
        command->entry = entry;
        return true;
    }
    /* Which body is the first one's is not known before the store has answered. */
    if (entry->state != ASKING_STORE && !digest_equal(&entry->body, &command->body)) {
        refuse_other_body(dispatch, command);
    } else if (entry->state == ANSWERED) {
        repeat(dispatch, command, entry->code, entry->message, entry->fields);
    } else {
        park(entry, command);
    }
    return false;
}

/* ---- What the store knows ---- */

static void not_answered(struct dispatch *dispatch, struct remembered *entry)
{
    struct dispatch_command *command = unpark_all(entry);
    struct dispatch_command *other = command->parked_next;
    entry->state = IN_WORK;
    entry->body = command->body;
    while (other) {
        struct dispatch_command *next = other->parked_next;
        if (digest_equal(&entry->body, &other->body)) {
            park(entry, other);
        } else {
            refuse_other_body(dispatch, other);
        }
        other = next;
    }
    command->entry = entry;
    dispatch_take_command(dispatch, command);
}

static void answered(struct dispatch *dispatch, struct remembered *entry, const struct stored_answer *answer,
                     enum answer_code code)
{
    struct dispatch_command *command = unpark_all(entry);
    forget(dispatch->answers, entry);
    while (command) {
        struct dispatch_command *next = command->parked_next;
        if (digest_equal(&answer->body, &command->body)) {
            repeat(dispatch, command, code, answer->message, answer->fields);
        } else {
            refuse_other_body(dispatch, command);
        }
        command = next;
    }
}

static void not_known(struct dispatch *dispatch, struct remembered *entry)
{
    struct dispatch_command *command = unpark_all(entry);
    forget(dispatch->answers, entry);
    while (command) {
        struct dispatch_command *next = command->parked_next;
        dispatch_answer(dispatch, command, ANSWER_STORAGE_UNAVAILABLE,
                        "whether this was done before could not be read", NULL);
        dispatch_command_free(command);
        command = next;
    }
}

void dispatch_answers_read(struct dispatch *dispatch, struct history_request *request)
{
    struct remembered *entry = find(dispatch->answers, &request->answer_name);
    CHECK(entry && entry->state == ASKING_STORE);
    const struct stored_answer *answer = &request->answer;
    enum answer_code code = ANSWER_OK;
    bool found = request->result == ERR_OK;
    bool old = found && dispatch->now.wall_ms - answer->at >= ANSWER_LIFE_MS;
    if (request->result == ERR_NOENT || old) {
        not_answered(dispatch, entry);
    } else if (found && answer_code_parse(answer->code ? answer->code : "", &code)) {
        answered(dispatch, entry, answer, code);
    } else {
        not_known(dispatch, entry);
    }
    history_request_free(request);
}

/* ---- Answered ---- */

static void record(struct dispatch *dispatch, const struct remembered *entry)
{
    dispatch_out(dispatch, JOURNAL_ANSWER, NULL)->answer =
        (struct stored_answer){.name = entry->name,
                               .body = entry->body,
                               .at = dispatch->now.wall_ms,
                               .code = need_copy(answer_code_name(entry->code)),
                               .message = need_copy(entry->message),
                               .fields = need_copy(entry->fields)};
}

void dispatch_answers_finish(struct dispatch *dispatch, struct remembered *entry, enum answer_code code,
                             const char *message, const char *fields)
{
    struct answers *answers = dispatch->answers;
    struct dispatch_command *command = unpark_all(entry);
    CHECK(entry->state == IN_WORK);
    if (answer_code_retryable(code)) {
        forget(answers, entry);
    } else {
        entry->state = ANSWERED;
        entry->at = dispatch->now.at;
        entry->code = code;
        entry->message = need_copy(message);
        entry->fields = need_copy(fields);
        entry->bytes = (message ? strlen(message) : 0) + (fields ? strlen(fields) : 0);
        if (entry->outlives) {
            record(dispatch, entry);
        }
        *answers->youngest = entry;
        answers->youngest = &entry->younger;
        answers->count++;
        answers->bytes += entry->bytes;
        make_room(answers);
    }
    while (command) {
        struct dispatch_command *next = command->parked_next;
        repeat(dispatch, command, code, message, fields);
        command = next;
    }
}

void dispatch_answers_drop(struct dispatch *dispatch, struct remembered *entry, enum answer_code code,
                           const char *message)
{
    struct dispatch_command *command = unpark_all(entry);
    forget(dispatch->answers, entry);
    while (command) {
        struct dispatch_command *next = command->parked_next;
        dispatch_refuse_now(dispatch, command, code, message);
        dispatch_command_free(command);
        command = next;
    }
}

void dispatch_answers_expire(struct dispatch *dispatch, struct expire_note *note)
{
    struct journal_item *item = dispatch_out(dispatch, JOURNAL_EXPIRE, NULL);
    item->expire.before = note->before;
    item->expire.limit = EXPIRE_LIMIT;
    dispatch_forward(dispatch, &note->mail, note->reply_to, note->reply_kind, keep_note);
}

/* ---- Life ---- */

enum err dispatch_answers_new(struct answers **out)
{
    struct answers *answers = calloc(1, sizeof(*answers));
    if (!answers) {
        return ERR_NOMEM;
    }
    enum err err = digest_filter_new(&answers->filter, FILTER_BITS);
    if (err) {
        free(answers);
        return err;
    }
    answers->youngest = &answers->oldest;
    answers->turn_at = instant_after_ms(clock_now(), ANSWER_LIFE_MS);
    *out = answers;
    return ERR_OK;
}

void dispatch_answers_limit(struct answers *answers, size_t max)
{
    answers->max = max;
}

void dispatch_note_answer(struct dispatch *dispatch, const struct digest *name)
{
    digest_filter_add(dispatch->answers->filter, name);
}

void dispatch_answers_discard(struct dispatch *dispatch, bool tell)
{
    for (size_t i = 0; dispatch->answers && i < BUCKETS; i++) {
        for (struct remembered *entry = dispatch->answers->buckets[i]; entry; entry = entry->next) {
            struct dispatch_command *command = unpark_all(entry);
            while (command) {
                struct dispatch_command *next = command->parked_next;
                if (tell) {
                    dispatch_refuse_now(dispatch, command, ANSWER_SHUTTING_DOWN, "the server is stopping");
                }
                dispatch_command_free(command);
                command = next;
            }
        }
    }
}

void dispatch_answers_free(struct answers *answers)
{
    if (!answers) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (answers->buckets[i]) {
            forget(answers, answers->buckets[i]);
        }
    }
    digest_filter_free(answers->filter);
    free(answers);
}
