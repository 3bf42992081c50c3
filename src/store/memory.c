#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"
#include "signalbox/base/id.h"

/* The store of flow tests: the same contract as SQLite's, behind one mutex. */

static struct memory_store *store_of(struct store *store)
{
    return container_of(store, struct memory_store, store);
}

/* Where the session with this key is, or would be. */
static size_t place_of(const struct memory_store *store, int64_t key)
{
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->sessions[middle]->key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct stored_session *memory_find(const struct memory_store *store, int64_t key)
{
    size_t at = place_of(store, key);
    return at < store->count && store->sessions[at]->key == key ? store->sessions[at] : NULL;
}

static struct stored_session *find_or_add(struct memory_store *store, int64_t key)
{
    size_t at = place_of(store, key);
    if (at < store->count && store->sessions[at]->key == key) {
        return store->sessions[at];
    }
    if (store->count == store->capacity) {
        size_t capacity = store->capacity == 0 ? 16 : store->capacity * 2;
        struct stored_session **grown = realloc(store->sessions, capacity * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        store->sessions = grown;
        store->capacity = capacity;
    }
    struct stored_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    session->key = key;
    memmove(&store->sessions[at + 1], &store->sessions[at],
            (store->count - at) * sizeof(*store->sessions));
    store->sessions[at] = session;
    store->count++;
    return session;
}

static void forget(struct stored_session *session)
{
    session_row_clear(&session->row);
    session->has_row = false;
    for (size_t i = 0; i < session->count; i++) {
        free(session->events[i]);
    }
    session->count = 0;
    memory_blobs_free(&session->blobs);
    session->folded = 0;
}

static void session_free(struct stored_session *session)
{
    forget(session);
    free(session->events);
    free(session);
}

/* Everything that a write needs, made before any write is applied. */
struct staged {
    const struct store_write *write;
    struct stored_session *session;
    struct stored_event *event;
    struct session_row row;
    struct stored_answer answer;
    struct memory_blob *blob;
};

static enum err stage_event(struct staged *staged)
{
    struct stored_session *session = staged->session;
    const struct store_write *write = staged->write;
    uint64_t last = session->staged_last;
    if (write->seq <= last) {
        return ERR_EXIST;
    }
    size_t needed = session->count + session->staged + 1;
    if (needed > session->capacity) {
        size_t capacity = needed * 2;
        struct stored_event **grown = realloc(session->events, capacity * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        session->events = grown;
        session->capacity = capacity;
    }
    struct stored_event *event = malloc(sizeof *event + write->json_length + 1);
    if (event == NULL) {
        return ERR_NOMEM;
    }
    event->seq = write->seq;
    event->ts = write->ts;
    event->begins_turn = strcmp(write->event_kind, "turn_started") == 0;
    event->ends_turn = strcmp(write->event_kind, "complete") == 0;
    event->length = write->json_length;
    memcpy(event->json, write->json, write->json_length);
    event->json[event->length] = '\0';
    staged->event = event;
    session->staged++;
    session->staged_last = write->seq;
    return ERR_OK;
}

static enum err stage(struct memory_store *store, struct staged *staged)
{
    const struct store_write *write = staged->write;
    switch (write->kind) { /* what belongs to no session */
    case STORE_EXPIRE:
    case STORE_RULE_REMOVE:
        return ERR_OK;
    case STORE_ANSWER:
        return memory_answers_stage(&store->answers, write->answer, &staged->answer);
    case STORE_RULE:
        return memory_audit_stage_rule(&store->audit, write->rule);
    case STORE_AUDIT:
        return memory_audit_stage_entry(&store->audit, write->audit);
    case STORE_EVENT:
    case STORE_SESSION:
    case STORE_BLOB:
    case STORE_PURGE:
        break;
    }
    staged->session =
        find_or_add(store, write->kind == STORE_SESSION ? write->row->key : write->session_key);
    if (staged->session == NULL) {
        return ERR_NOMEM;
    }
    switch (write->kind) {
    case STORE_EVENT:
        return stage_event(staged);
    case STORE_SESSION:
        for (size_t i = 0; i < store->count; i++) {
            const struct stored_session *other = store->sessions[i];
            if (other != staged->session && other->has_row &&
                strcmp(other->row.id, write->row->id) == 0) {
                return ERR_EXIST;
            }
        }
        return session_row_copy(&staged->row, write->row);
    case STORE_BLOB:
        return memory_blob_new(&staged->blob, &write->blob);
    case STORE_PURGE:
        staged->session->staged_last = 0;
        return ERR_OK;
    default:
        return ERR_INVAL;
    }
}

static void apply(struct memory_store *store, struct staged *staged)
{
    struct stored_session *session = staged->session;
    switch (staged->write->kind) {
    case STORE_EVENT:
        session->events[session->count++] = staged->event;
        break;
    case STORE_SESSION:
        session_row_clear(&session->row);
        session->row = staged->row;
        session->has_row = true;
        break;
    case STORE_BLOB:
        memory_blobs_put(&session->blobs, staged->blob);
        break;
    case STORE_PURGE:
        forget(session);
        memory_audit_purge(&store->audit, session->key);
        break;
    case STORE_ANSWER:
        memory_answers_put(&store->answers, &staged->answer);
        break;
    case STORE_EXPIRE:
        memory_answers_expire(&store->answers, staged->write->before, staged->write->limit);
        break;
    case STORE_RULE:
        memory_audit_commit_rule(&store->audit);
        break;
    case STORE_RULE_REMOVE:
        memory_audit_remove_rule(&store->audit, staged->write->rule_id);
        break;
    case STORE_AUDIT:
        memory_audit_commit_entry(&store->audit);
        break;
    }
}

static enum err memory_append(struct store *base, const struct store_write *writes)
{
    struct memory_store *store = store_of(base);
    enum err err = (enum err)atomic_load(&store->fail);
    if (err != ERR_OK) {
        return err;
    }
    size_t count = 0;
    for (const struct store_write *write = writes; write != NULL; write = write->next) {
        count++;
    }
    struct staged *staged = calloc(count + 1, sizeof *staged);
    if (staged == NULL) {
        return ERR_NOMEM;
    }
    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count; i++) {
        struct stored_session *session = store->sessions[i];
        session->staged = 0;
        session->staged_last = session->count > 0 ? session->events[session->count - 1]->seq : 0;
    }
    store->answers.staged = 0;
    size_t at = 0;
    for (const struct store_write *write = writes; write != NULL && err == ERR_OK;
         write = write->next) {
        staged[at].write = write;
        err = stage(store, &staged[at]);
        at++;
    }
    for (size_t i = 0; i < at; i++) {
        if (err == ERR_OK) {
            apply(store, &staged[i]);
        } else {
            free(staged[i].event);
            free(staged[i].blob);
            session_row_clear(&staged[i].row);
            stored_answer_clear(&staged[i].answer);
        }
    }
    memory_audit_unstage(&store->audit); /* of a group that failed */
    pthread_mutex_unlock(&store->mutex);
    free(staged);
    return err;
}

size_t memory_place_of_event(const struct stored_session *session, uint64_t seq)
{
    size_t low = 0;
    size_t high = session->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (session->events[middle]->seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void fold_away(struct stored_session *session, const struct store_fold_range *gone)
{
    size_t from = memory_place_of_event(session, gone->from);
    size_t to = memory_place_of_event(session, gone->to + 1);
    for (size_t i = from; i < to; i++) {
        free(session->events[i]);
    }
    memmove(&session->events[from], &session->events[to],
            (session->count - to) * sizeof(*session->events));
    session->count -= to - from;
}

static enum err memory_fold(struct store *base, const struct store_fold *fold)
{
    struct memory_store *store = store_of(base);
    enum err err = (enum err)atomic_load(&store->fail);
    struct stored_event **made = calloc(fold->event_count + 1, sizeof(struct stored_event *));
    if (err == ERR_OK && made == NULL) {
        err = ERR_NOMEM;
    }
    for (size_t i = 0; i < fold->event_count && err == ERR_OK; i++) {
        const struct store_fold_event *event = &fold->events[i];
        made[i] = calloc(1, sizeof(**made) + event->json_length + 1);
        if (made[i] == NULL) {
            err = ERR_NOMEM;
        } else {
            made[i]->seq = event->seq;
            made[i]->length = event->json_length;
            memcpy(made[i]->json, event->json, event->json_length);
        }
    }
    pthread_mutex_lock(&store->mutex);
    struct stored_session *session = err == ERR_OK ? memory_find(store, fold->session_key) : NULL;
    for (size_t i = 0; session != NULL && i < fold->gone_count; i++) {
        fold_away(session, &fold->gone[i]);
    }
    for (size_t i = 0; session != NULL && i < fold->event_count; i++) {
        size_t at = memory_place_of_event(session, made[i]->seq);
        if (at < session->count && session->events[at]->seq == made[i]->seq) {
            struct stored_event *old = session->events[at];
            made[i]->ts = old->ts;
            made[i]->begins_turn = old->begins_turn;
            made[i]->ends_turn = old->ends_turn;
            session->events[at] = made[i];
            made[i] = old;
        }
    }
    if (session != NULL && fold->done_to > 0) {
        session->folded = fold->done_to;
    }
    pthread_mutex_unlock(&store->mutex);
    for (size_t i = 0; made != NULL && i < fold->event_count; i++) {
        free(made[i]);
    }
    free(made);
    return err;
}

static void memory_close(struct store *base)
{
    struct memory_store *store = store_of(base);
    for (size_t i = 0; i < store->count; i++) {
        session_free(store->sessions[i]);
    }
    memory_answers_clear(&store->answers);
    memory_audit_clear(&store->audit);
    free(store->sessions);
    free(store->store.generation);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

static const struct store_operations operations = {
    .name = "memory",
    .append = memory_append,
    .fold = memory_fold,
    .reader_open = memory_reader_open,
    .close = memory_close,
    .reader_close = memory_reader_close,
    .read_events = memory_read_events,
    .find_session = memory_find_session,
    .find_turn = memory_find_turn,
    .find_unfolded = memory_find_unfolded,
    .read_session = memory_read_session,
    .read_open = memory_read_open,
    .list_sessions = memory_list_sessions,
    .read_answer = memory_read_answer,
    .list_answers = memory_list_answers,
    .list_rules = memory_list_rules,
    .list_audit = memory_list_audit,
    .read_blob = memory_read_blob,
    .maintain = memory_maintain,
};

enum err store_memory_open(struct store **out)
{
    struct memory_store *store = calloc(1, sizeof *store);
    char generation[ID_SIZE];
    id_random(generation);
    if (store == NULL) {
        return ERR_NOMEM;
    }
    store->store = (struct store){
        .operations = &operations,
        .next_key = 1,
        .generation = strdup(generation),
    };
    if (store->store.generation == NULL || pthread_mutex_init(&store->mutex, NULL) != 0) {
        free(store->store.generation);
        free(store);
        return ERR_NOMEM;
    }
    *out = &store->store;
    return ERR_OK;
}

void store_memory_fail(struct store *store, enum err fail)
{
    CHECK(store->operations == &operations);
    atomic_store(&store_of(store)->fail, (int)fail);
}
