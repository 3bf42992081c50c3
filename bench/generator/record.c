#define _GNU_SOURCE
#include "record.h"

#include "loop.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMES = 256,
    FRAME_KEPT = 16 * 1024,
    MESSAGE_ID = 48,
    STAMP_BYTES = 18,
    CHECK_TOOL_MAX = 1024 * 1024
};

struct record_message {
    char id[MESSAGE_ID];
    uint64_t base; // of its text in the session's
    uint64_t length;
    bool complete;
};

struct record_frame {
    char *text;
    size_t length;
    size_t room;
    struct facts facts;
};

void record_open(struct record *r)
{
    *r = (struct record){.next = 1};
    r->frames = take(NULL, FRAMES * sizeof *r->frames);
    memset(r->frames, 0, FRAMES * sizeof *r->frames);
}

void record_free(struct record *r)
{
    for (size_t i = 0; r->frames != NULL && i < FRAMES; i++) {
        free(r->frames[i].text);
    }
    free(r->frames);
    free(r->text);
    free(r->messages);
    free(r->stamps);
    free(r->expected);
    *r = (struct record){0};
}

void record_expect(struct record *r, uint32_t seed, size_t chunk, bool tools)
{
    generator_seed(&r->generator, seed);
    r->chunk = chunk;
    r->tools = tools;
    r->expected = take(r->expected, chunk + 1);
}

// ---- The agent's text ----

// `@`, 16 digits and a blank.
static bool read_stamp(const char *text, int64_t *at)
{
    int64_t number = 0;
    for (int i = 1; i <= 16; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (text[i] - '0');
    }
    *at = number;
    return text[0] == '@' && text[17] == ' ';
}

static void add_stamp(struct record *r, uint64_t end, int64_t at)
{
    if (r->stamp_count == r->stamp_room) {
        r->stamp_room = r->stamp_room == 0 ? 1024 : 2 * r->stamp_room;
        r->stamps = take(r->stamps, r->stamp_room * sizeof *r->stamps);
    }
    r->stamps[r->stamp_count++] = (struct stamp){.end = end, .at = at};
}

// Goes on with whole chunks. What an agent says besides (`answer:...`), and what is generated, has
// no `@`.
static const char *check_text(struct record *r)
{
    while (r->chunk > 0 && r->checked < r->length) {
        if (r->text[r->checked] != '@') {
            const char *next = memchr(r->text + r->checked, '@', r->length - r->checked);
            r->checked = next != NULL ? (size_t)(next - r->text) : r->length;
            continue;
        }
        size_t size = STAMP_BYTES + r->chunk;
        const char *chunk = r->text + r->checked;
        int64_t at;
        if (r->length - r->checked < size) {
            return NULL;
        }
        generator_fill(&r->generator, ALPHABET_ASCII, r->expected, r->chunk);
        if (!read_stamp(chunk, &at) || memcmp(chunk + STAMP_BYTES, r->expected, r->chunk) != 0) {
            return "text that is not the agent's";
        }
        r->checked += size;
        add_stamp(r, r->checked, at);
    }
    return NULL;
}

// Text of the session from `begin`: known text must be the same, the rest is learned.
static const char *take_text(struct record *r, uint64_t begin, const struct value *value)
{
    size_t known = r->length - begin < value->length ? r->length - begin : value->length;
    if (known > 0 && memcmp(r->text + begin, value->at, known) != 0) {
        return "text that differs from what was sent before";
    }
    size_t more = value->length - known;
    if (more == 0) {
        return NULL;
    }
    if (memchr(value->at + known, '\\', more) != NULL) {
        return "an escape in text that needs none";
    }
    if (r->length + more > r->room) {
        r->room = 2 * (r->length + more);
        r->text = take(r->text, r->room);
    }
    memcpy(r->text + r->length, value->at + known, more);
    r->length += more;
    return check_text(r);
}

// ---- Messages ----

static struct record_message *find_message(struct record *r, const struct value *id)
{
    for (size_t i = r->message_count; i-- > 0;) {
        if (value_is(id, r->messages[i].id)) {
            return &r->messages[i];
        }
    }
    return NULL;
}

static const char *begin_message(struct record *r, const struct value *id,
                                 struct record_message **out)
{
    if (r->message_count > 0 && !r->messages[r->message_count - 1].complete) {
        return "a message begins before the one before it is complete";
    }
    if (id->length >= MESSAGE_ID) {
        return "a messageId that is too long for this program";
    }
    r->messages = take(r->messages, (r->message_count + 1) * sizeof *r->messages);
    *out = &r->messages[r->message_count++];
    **out = (struct record_message){.base = r->length};
    value_copy(id, (*out)->id, sizeof(*out)->id);
    return NULL;
}

static const char *take_message(struct record *r, struct facts *facts, const struct scan *s)
{
    bool whole = facts->kind == KIND_TEXT_COMPLETE;
    const struct value *text = &s->fields[whole ? SCAN_TEXT : SCAN_DELTA];
    uint64_t offset = whole ? 0 : value_number(&s->fields[SCAN_OFFSET], UINT64_MAX);
    if (text->at == NULL || !text->string || offset == UINT64_MAX ||
        s->fields[SCAN_MESSAGE].at == NULL) {
        return "a text event without its members";
    }
    struct record_message *message = find_message(r, &s->fields[SCAN_MESSAGE]);
    if (message == NULL) {
        const char *problem = begin_message(r, &s->fields[SCAN_MESSAGE], &message);
        if (problem != NULL) {
            return problem;
        }
    }
    facts->begin = message->base + offset;
    facts->end = facts->begin + text->length;
    if (facts->begin > r->length ||
        (message->complete && facts->end > message->base + message->length)) {
        return "a delta that does not fit its message";
    }
    const char *problem = take_text(r, facts->begin, text);
    if (problem == NULL && whole) {
        if (facts->end != (message->complete ? message->base + message->length : r->length)) {
            return "a text_complete that is not its joined deltas";
        }
        message->complete = true;
        message->length = text->length;
    }
    return problem;
}

// ---- Other events ----

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static uint64_t hash(const struct value *value)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = 0; value->at != NULL && i < value->length; i++) {
        sum = (sum ^ (uint8_t)value->at[i]) * 0x100000001b3;
    }
    return sum;
}

static const char *permission_begins(struct record *r, const struct scan *s)
{
    struct scan request;
    if (!scan_inner(&request, &s->fields[SCAN_REQUEST])) {
        return "a permission_request without its request";
    }
    r->permissions++;
    value_copy(&request.fields[SCAN_REQUEST_ID], r->asked, sizeof r->asked);
    for (size_t i = 0; i < sizeof r->open_permissions / sizeof r->open_permissions[0]; i++) {
        if (r->open_permissions[i][0] == '\0') {
            value_copy(&request.fields[SCAN_REQUEST_ID], r->open_permissions[i],
                       sizeof r->open_permissions[i]);
            return NULL;
        }
    }
    return "more open permission requests than this program asked for";
}

static const char *permission_ends(struct record *r, const struct scan *s)
{
    for (size_t i = 0; i < sizeof r->open_permissions / sizeof r->open_permissions[0]; i++) {
        if (r->open_permissions[i][0] != '\0' &&
            value_is(&s->fields[SCAN_REQUEST_ID], r->open_permissions[i])) {
            r->open_permissions[i][0] = '\0';
            r->permissions_ended++;
            return NULL;
        }
    }
    return "a permission request ends twice, or was never asked";
}

// How long the result is that was cut in the event: the `bytes` of its reference.
static size_t whole_length(const struct value *refs, size_t length)
{
    static const char name[] = "\"bytes\":";
    const char *at =
        refs->at != NULL ? memmem(refs->at, refs->length, name, sizeof name - 1) : NULL;
    return at != NULL ? (size_t)strtoull(at + sizeof name - 1, NULL, 10) : length;
}

static const char *check_result(struct record *r, const struct value *result,
                                const struct value *refs)
{
    static char expected[CHECK_TOOL_MAX];
    size_t whole = whole_length(refs, result->length);
    if (!r->tools || result->at == NULL || whole > sizeof expected || whole < result->length) {
        return NULL;
    }
    generator_fill(&r->generator, ALPHABET_ASCII, expected, whole);
    return memcmp(result->at, expected, result->length) == 0
               ? NULL
               : "a tool's result that is not the agent's";
}

static bool begins(const struct value *value, const char *text)
{
    size_t length = strlen(text);
    return value->length >= length && memcmp(value->at, text, length) == 0;
}

// How many events stay when all is folded: those that always do, a user_message for each turn, one
// update of a tool, and of other kinds the last one.
static void count_staying(struct record *r, const struct facts *facts, const struct scan *s)
{
    const struct value *type = &s->fields[SCAN_TYPE];
    bool update = value_is(type, "tool_update");
    if (facts->kind == KIND_STAYS || facts->kind == KIND_TEXT_COMPLETE) {
        r->staying += value_is(type, "turn_started") ? 2 : 1;
        r->tool_updated = r->tool_updated && !value_is(type, "tool_start");
    } else if (update) {
        r->staying += r->tool_updated ? 0 : 1;
        r->tool_updated = true;
    } else if (facts->kind == KIND_OTHER && !value_is(type, "user_message") &&
               !value_is(type, "tool_output")) {
        uint64_t kind = hash(type);
        size_t i = 0;
        while (i < sizeof r->last_kinds / sizeof r->last_kinds[0] && r->last_kinds[i] != kind) {
            if (r->last_kinds[i] == 0) {
                r->last_kinds[i] = kind;
                r->staying++;
                break;
            }
            i++;
        }
    }
}

// What a number says that nobody has seen before.
static const char *learn(struct record *r, const struct facts *facts, const struct scan *s,
                         size_t length)
{
    const struct value *type = &s->fields[SCAN_TYPE];
    const struct value *counted = NULL;
    const char *problem = NULL;
    r->sum += facts->sum;
    count_staying(r, facts, s);
    r->bytes += length;
    r->tool_bytes += begins(type, "tool_") ? length : 0;
    if (r->sizes != NULL &&
        (value_is(type, "text_complete") || value_is(type, "thought_complete") ||
         value_is(type, "tool_start") || value_is(type, "tool_result"))) {
        histogram_add(r->sizes, length);
    }
    if (value_is(type, "status")) {
        r->idle = value_is(&s->fields[SCAN_PHASE], "idle");
    } else if (value_is(type, "turn_started")) {
        r->turns++;
    } else if (value_is(type, "complete")) {
        r->completes++;
        problem = r->completes > r->turns ? "a turn that ends twice" : NULL;
        if (!value_is(&s->fields[SCAN_STOP], "end_turn")) {
            problem = "a turn that did not end by end_turn";
        }
    } else if (value_is(type, "permission_request")) {
        problem = permission_begins(r, s);
    } else if (begins(type, "permission_")) {
        problem = permission_ends(r, s);
    } else if (value_is(type, "tool_result")) {
        counted = &s->fields[SCAN_RESULT];
        // One that the agent left open was ended by the server, as an error with words of its own.
        problem = value_is(&s->fields[SCAN_IS_ERROR], "true")
                      ? NULL
                      : check_result(r, counted, &s->fields[SCAN_REFS]);
    } else if (value_is(type, "tool_start")) {
        counted = &s->fields[SCAN_INPUT];
    } else if (value_is(type, "user_message") && value_is(&s->fields[SCAN_STATUS], "processing")) {
        counted = &s->fields[SCAN_TEXT];
    } else if (value_is(type, "text_complete")) {
        counted = &s->fields[SCAN_TEXT];
    } else if (value_is(type, "error")) {
        problem = "an error event";
    }
    if (counted != NULL) {
        r->content_bytes += counted->length + (counted->string ? 2 : 0);
    }
    r->next = facts->seq + 1;
    return problem;
}

static enum kind kind_of(const struct scan *s)
{
    static const char *const staying[] = {
        "tool_start",
        "tool_result",
        "turn_started",
        "complete",
        "error",
        "permission_request",
        "permission_resolved",
        "permission_timeout",
        "permission_cancelled",
        "session_created",
        "session_closed",
        "agent_update",
        NULL,
    };
    static const char *const control[] = {
        "connected",
        "ack",
        "nack",
        "subscribed",
        "replay_complete",
        "unsubscribed",
        "lagging",
        "caught_up",
        "permission_queue_status",
        "config_changed",
        "store",
        "shutting_down",
        "pong",
        NULL,
    };
    const struct value *type = &s->fields[SCAN_TYPE];
    if (value_is(type, "text_delta")) {
        return KIND_TEXT_DELTA;
    }
    if (value_is(type, "text_complete")) {
        return KIND_TEXT_COMPLETE;
    }
    for (size_t i = 0; control[i] != NULL; i++) {
        if (value_is(type, control[i])) {
            return KIND_CONTROL;
        }
    }
    for (size_t i = 0; staying[i] != NULL; i++) {
        if (value_is(type, staying[i])) {
            return KIND_STAYS;
        }
    }
    return KIND_OTHER;
}

// The event's own content, so that two watchers who saw different ones differ in their sums.
static uint64_t content_hash(const struct scan *s)
{
    static const enum scan_field fields[] = {SCAN_TEXT,       SCAN_RESULT, SCAN_INPUT, SCAN_REQUEST,
                                             SCAN_REQUEST_ID, SCAN_STOP,   SCAN_TOOL};
    uint64_t sum = hash(&s->fields[SCAN_TYPE]);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        sum = mix(sum ^ hash(&s->fields[fields[i]]));
    }
    return sum;
}

static struct record_frame *frame_of(struct record *r, const char *text, size_t length)
{
    static const char begin[] = "{\"seq\":";
    size_t at = sizeof begin - 1;
    uint64_t seq = 0;
    if (length < at || memcmp(text, begin, at) != 0) {
        return NULL;
    }
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
        seq = seq * 10 + (uint64_t)(text[at] - '0');
    }
    struct record_frame *frame = &r->frames[seq % FRAMES];
    bool same =
        frame->text != NULL && frame->length == length && memcmp(frame->text, text, length) == 0;
    return same ? frame : NULL;
}

static void keep(struct record *r, const struct facts *facts, const char *text, size_t length)
{
    struct record_frame *frame = &r->frames[facts->seq % FRAMES];
    if (length > FRAME_KEPT || facts->from != facts->seq) {
        return;
    }
    if (length > frame->room) {
        frame->room = length + 64;
        frame->text = take(frame->text, frame->room);
    }
    memcpy(frame->text, text, length);
    frame->length = length;
    frame->facts = *facts;
}

bool record_take(struct record *r, const char *text, size_t length, struct facts *facts,
                 struct scan *scan, const char **problem)
{
    const struct record_frame *known = frame_of(r, text, length);
    if (known != NULL) {
        *facts = known->facts;
        return true;
    }
    *facts = (struct facts){0};
    if (!scan_object(scan, text, length) || scan->fields[SCAN_TYPE].at == NULL) {
        *problem = "a message that is no JSON object with a type";
        return false;
    }
    facts->kind = kind_of(scan);
    if (facts->kind == KIND_CONTROL) {
        return true;
    }
    facts->seq = value_number(&scan->fields[SCAN_SEQ], 0);
    facts->from = value_number(&scan->fields[SCAN_FROM], facts->seq);
    if (facts->seq == 0 || facts->from == 0 || facts->from > facts->seq) {
        *problem = "an event with a bad number";
        return false;
    }
    if (facts->from > r->next) {
        *problem = "an event after a hole";
        return false;
    }
    if (facts->kind != KIND_OTHER && facts->kind != KIND_TEXT_DELTA) {
        facts->sum = mix(facts->seq ^ content_hash(scan));
    }
    if (begins(&scan->fields[SCAN_TYPE], "permission_")) {
        facts->permission = value_is(&scan->fields[SCAN_TYPE], "permission_request")
                                ? PERMISSION_ASKED
                                : PERMISSION_ENDED;
    }
    *problem = NULL;
    if (facts->kind == KIND_TEXT_DELTA || facts->kind == KIND_TEXT_COMPLETE) {
        *problem = take_message(r, facts, scan);
    }
    bool first = facts->seq >= r->next;
    if (*problem == NULL && first) {
        *problem = learn(r, facts, scan, length);
    }
    if (*problem == NULL && (first || facts->seq + FRAMES > r->next)) {
        keep(r, facts, text, length);
    }
    return *problem == NULL;
}
