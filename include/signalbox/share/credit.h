#pragma once
/*
 * Byte credit: how much of an agent's output may be on its way between agent-stream and the store. Taken by
 * agent-stream when it enqueues, given back by the journal after the commit; when a session's own credit or the
 * server's is used up, that agent's stdout is not read until it has come back.
 *
 * What is on its way is a queue that everybody stands in. So that those who say much do not make it long for those who
 * say little, a pool may be fair: while more than `busy_bytes` of it are on their way, who has `fair_bytes` on its own
 * waits.
 *
 * Any thread; wait-free.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/base/rcu.h"

/* What an event costs on its way beside its text, in credit: a queue of many small ones is long, too. */
enum { CREDIT_EVENT_COST = 256 };

struct credit_pool; /* the server's */
must_check enum err credit_pool_new(struct credit_pool **out, int64_t total_bytes);
/* Before anybody uses it. Without it a pool is busy when nothing is left. */
void credit_pool_fair(struct credit_pool *pool, int64_t busy_bytes, int64_t fair_bytes);
void credit_pool_free(struct credit_pool *pool);

struct credit; /* a session's agent's */
/* `wake` is poked when credit comes back after credit_exhausted was seen true. */
must_check enum err credit_new(struct credit **out, struct credit_pool *pool, int64_t bytes, struct mailbox *wake);
struct credit *credit_get(struct credit *credit);
void credit_put(struct credit *credit);

/* Takes, always; may go below zero by one event. */
void credit_take(struct credit *credit, int64_t bytes);
void credit_give(struct credit *credit, int64_t bytes);
/* agent-stream's question before it processes about so many bytes more (0: not known): true: wait for the poke. */
bool credit_exhausted(struct credit *credit, int64_t bytes);
int64_t credit_pool_left(const struct credit_pool *pool); /* negative: more was taken than it had */
/* For metrics, and for who has taken some himself. */
int64_t credit_pool_used(const struct credit_pool *pool);
