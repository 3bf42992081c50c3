#pragma once
/*
 * What the files of the store in memory share:
 *   memory.c          opening, appending, folding
 *   memory_read.c     reading of sessions and events
 *   memory_answers.c  answers (memory_answers.h)
 *   memory_audit.c    rules and the audit (memory_audit.h)
 *   memory_blobs.c    blobs (memory_blobs.h)
 * Everything in it is behind the store's mutex.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "memory_answers.h"
#include "memory_audit.h"
#include "memory_blobs.h"
#include "signalbox/base/check.h"
#include "signalbox/store/store.h"

struct stored_event {
    uint64_t seq;
    int64_t ts;
    bool begins_turn, ends_turn;
    size_t length;
    char json[];
};

/* Events may come before their session's row, as in SQLite's tables. */
struct stored_session {
    int64_t key;
    bool has_row;
    struct session_row row;
    struct stored_event **events; /* by number */
    size_t count, capacity;
    struct memory_blob *blobs;
    uint64_t folded; /* up to this number */
    size_t staged; /* events of the group that is being tried */
    uint64_t staged_last;
};

struct memory_store {
    struct store store;
    pthread_mutex_t mutex;
    struct memory_answers answers;
    struct memory_audit audit;
    struct stored_session **sessions; /* by key */
    size_t count, capacity;
    _Atomic(int) fail; /* enum err */
};

struct memory_reader {
    struct store_reader reader;
    struct memory_store *store;
};

/* NULL if there is none. */
struct stored_session *memory_find(const struct memory_store *store, int64_t key);
/* Where the event with this number is, or the next one. */
size_t memory_place_of_event(const struct stored_session *session, uint64_t seq);

/* memory_read.c: the reading half of struct store_operations. */
enum err memory_reader_open(struct store *store, struct store_reader **out);
void memory_reader_close(struct store_reader *reader);
enum err memory_read_events(struct store_reader *reader, int64_t session_key, uint64_t from, uint64_t to,
                            store_event_visit *visit, void *context);
enum err memory_find_session(struct store_reader *reader, int64_t session_key);
enum err memory_find_turn(struct store_reader *reader, int64_t session_key, uint64_t seq, uint64_t *out);
enum err memory_find_unfolded(struct store_reader *reader, int64_t ended_by, struct store_unfolded *out);
enum err memory_read_session(struct store_reader *reader, const char *id, struct session_row *out);
enum err memory_read_open(struct store_reader *reader, store_row_visit *visit, void *context);
enum err memory_list_sessions(struct store_reader *reader, int64_t before_updated_at, int64_t before_key, size_t limit,
                              bool open_only, store_row_visit *visit, void *context);
enum err memory_read_answer(struct store_reader *reader, const struct digest *name, struct stored_answer *out);
enum err memory_list_answers(struct store_reader *reader, int64_t since, store_answer_visit *visit, void *context);
enum err memory_read_blob(struct store_reader *reader, int64_t session_key, const struct digest *name, uint64_t from,
                          size_t most, struct blob_info *info, struct buffer *bytes);
enum err memory_list_rules(struct store_reader *reader, int64_t after_key, size_t limit, const struct rule_filter *filter,
                           store_rule_visit *visit, void *context);
enum err memory_list_audit(struct store_reader *reader, int64_t after, bool newest_first, size_t limit,
                           const struct audit_filter *filter, store_audit_visit *visit, void *context);
enum err memory_maintain(struct store_reader *reader);
