#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"

static struct memory_store *store_read(struct store_reader *reader)
{
    return container_of(reader, struct memory_reader, reader)->store;
}

enum err memory_reader_open(struct store *store, struct store_reader **out)
{
    struct memory_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return ERR_NOMEM;
    }
    reader->reader.operations = store->operations;
    reader->store = container_of(store, struct memory_store, store);
    *out = &reader->reader;
    return ERR_OK;
}

void memory_reader_close(struct store_reader *reader)
{
    if (reader != NULL) {
        free(container_of(reader, struct memory_reader, reader));
    }
}

enum err memory_read_events(struct store_reader *reader, int64_t session_key, uint64_t from,
                                   uint64_t to, store_event_visit *visit, void *context)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    const struct stored_session *session = memory_find(store, session_key);
    size_t low = session != NULL ? memory_place_of_event(session, from) : 0;
    for (; session != NULL && low < session->count && session->events[low]->seq <= to; low++) {
        const struct stored_event *event = session->events[low];
        if (!visit(context, event->seq, event->json, event->length)) {
            break;
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return ERR_OK;
}

enum err memory_find_session(struct store_reader *reader, int64_t session_key)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    const struct stored_session *session = memory_find(store, session_key);
    bool there = session != NULL && session->has_row;
    pthread_mutex_unlock(&store->mutex);
    return there ? ERR_OK : ERR_NOENT;
}

enum err memory_find_turn(struct store_reader *reader, int64_t session_key, uint64_t seq,
                                 uint64_t *out)
{
    struct memory_store *store = store_read(reader);
    enum err err = ERR_NOENT;
    pthread_mutex_lock(&store->mutex);
    const struct stored_session *session = memory_find(store, session_key);
    size_t at = session != NULL ? memory_place_of_event(session, seq + 1) : 0;
    while (at-- > 0 && err == ERR_NOENT) {
        if (session->events[at]->begins_turn) {
            *out = session->events[at]->seq;
            err = ERR_OK;
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return err;
}

enum err memory_find_unfolded(struct store_reader *reader, int64_t ended_by,
                                     struct store_unfolded *out)
{
    struct memory_store *store = store_read(reader);
    int64_t oldest = INT64_MAX;
    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count; i++) {
        const struct stored_session *session = store->sessions[i];
        size_t at = memory_place_of_event(session, session->folded + 1);
        while (at < session->count && !session->events[at]->ends_turn) {
            at++;
        }
        if (at < session->count && session->events[at]->ts <= ended_by &&
            session->events[at]->ts < oldest) {
            oldest = session->events[at]->ts;
            *out = (struct store_unfolded){.session_key = session->key,
                                           .from = session->folded + 1,
                                           .to = session->events[at]->seq};
            if (session->has_row) {
                snprintf(out->session_id, sizeof(out->session_id), "%s", session->row.id);
            }
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return oldest < INT64_MAX ? ERR_OK : ERR_NOENT;
}

/* The stored row with its head brought up to the log; its texts are the store's. */
static struct session_row row_of(const struct stored_session *session)
{
    struct session_row row = session->row;
    if (session->count > 0 && session->events[session->count - 1]->seq > row.head) {
        row.head = session->events[session->count - 1]->seq;
    }
    return row;
}

enum err memory_read_session(struct store_reader *reader, const char *id,
                                    struct session_row *out)
{
    struct memory_store *store = store_read(reader);
    enum err err = ERR_NOENT;
    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < store->count && err == ERR_NOENT; i++) {
        const struct stored_session *session = store->sessions[i];
        if (session->has_row && strcmp(session->row.id, id) == 0) {
            struct session_row row = row_of(session);
            struct session_row copy;
            err = session_row_copy(&copy, &row);
            if (err == ERR_OK) {
                *out = copy;
            }
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return err;
}

enum err memory_read_open(struct store_reader *reader, store_row_visit *visit, void *context)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    bool wanted = true;
    for (size_t i = 0; i < store->count && wanted; i++) {
        if (store->sessions[i]->has_row && session_row_live(&store->sessions[i]->row)) {
            struct session_row row = row_of(store->sessions[i]);
            wanted = visit(context, &row);
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return ERR_OK;
}

static bool newer(const struct session_row *a, int64_t updated_at, int64_t key)
{
    return a->updated_at != updated_at ? a->updated_at > updated_at : a->key > key;
}

enum err memory_list_sessions(struct store_reader *reader, int64_t before_updated_at,
                                     int64_t before_key, size_t limit, bool open_only,
                                     store_row_visit *visit, void *context)
{
    struct memory_store *store = store_read(reader);
    bool first = before_updated_at == 0 && before_key == 0;
    pthread_mutex_lock(&store->mutex);
    size_t room = limit < store->count ? limit : store->count;
    const struct stored_session **page = calloc(room + 1, sizeof(*page));
    size_t count = 0;
    for (size_t i = 0; page != NULL && i < store->count && room > 0; i++) {
        const struct stored_session *session = store->sessions[i];
        const struct session_row *row = &session->row;
        bool wanted = session->has_row && !(open_only && row->closed) &&
                      (first || newer(&(struct session_row){.updated_at = before_updated_at,
                                                            .key = before_key},
                                      row->updated_at, row->key));
        size_t at = count;
        while (wanted && at > 0 &&
               newer(row, page[at - 1]->row.updated_at, page[at - 1]->row.key)) {
            at--;
        }
        if (!wanted || at == room) {
            continue;
        }
        count += count < room ? 1 : 0;
        memmove(&page[at + 1], &page[at], (count - 1 - at) * sizeof(*page));
        page[at] = session;
    }
    bool wanted = true;
    for (size_t i = 0; i < count && wanted; i++) {
        struct session_row row = row_of(page[i]);
        wanted = visit(context, &row);
    }
    pthread_mutex_unlock(&store->mutex);
    enum err err = page != NULL ? ERR_OK : ERR_NOMEM;
    free(page);
    return err;
}

enum err memory_read_answer(struct store_reader *reader, const struct digest *name,
                                   struct stored_answer *out)
{
    struct memory_store *store = store_read(reader);
    struct stored_answer copy;
    pthread_mutex_lock(&store->mutex);
    const struct stored_answer *found = memory_answers_find(&store->answers, name);
    enum err err = found != NULL ? stored_answer_copy(&copy, found) : ERR_NOENT;
    pthread_mutex_unlock(&store->mutex);
    if (err == ERR_OK) {
        *out = copy;
    }
    return err;
}

enum err memory_list_answers(struct store_reader *reader, int64_t since,
                                    store_answer_visit *visit, void *context)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    bool wanted = true;
    for (size_t i = 0; i < store->answers.count && wanted; i++) {
        const struct stored_answer *answer = &store->answers.items[i];
        wanted = answer->at < since || visit(context, &answer->name, answer->at);
    }
    pthread_mutex_unlock(&store->mutex);
    return ERR_OK;
}

enum err memory_read_blob(struct store_reader *reader, int64_t session_key, const struct digest *name,
                                 uint64_t from, size_t most, struct blob_info *info, struct buffer *bytes)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    const struct stored_session *session = memory_find(store, session_key);
    enum err err = session != NULL ? memory_blobs_read(session->blobs, name, from, most, info, bytes) : ERR_NOENT;
    pthread_mutex_unlock(&store->mutex);
    return err;
}

enum err memory_list_rules(struct store_reader *reader, int64_t after_key, size_t limit,
                                  const struct rule_filter *filter, store_rule_visit *visit,
                                  void *context)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    memory_audit_list_rules(&store->audit, after_key, limit, filter, visit, context);
    pthread_mutex_unlock(&store->mutex);
    return ERR_OK;
}

enum err memory_list_audit(struct store_reader *reader, int64_t after, bool newest_first,
                                  size_t limit, const struct audit_filter *filter,
                                  store_audit_visit *visit, void *context)
{
    struct memory_store *store = store_read(reader);
    pthread_mutex_lock(&store->mutex);
    memory_audit_list(&store->audit, after, newest_first, limit, filter, visit, context);
    pthread_mutex_unlock(&store->mutex);
    return ERR_OK;
}

enum err memory_maintain(struct store_reader *reader)
{
    (void)reader;
    return ERR_OK;
}
