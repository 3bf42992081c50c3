#pragma once
/* What the files of a topic share: a part of its tail. */
#include <stdatomic.h>

#include "signalbox/share/topic.h"

struct topic_forms;

struct topic_chunk {
    struct ref ref; /* one is the tail's, each reader of a half-written frame has another */
    struct rcu_head rcu;
    _Atomic(struct topic_chunk *) next;
    uint64_t first;
    _Atomic(uint32_t) count; /* published last: what stands before it never changes */
    uint32_t event_capacity, byte_capacity;
    /* By form, made when the first is needed: so many as events fit. */
    _Atomic(struct topic_forms *) forms[TOPIC_FORMS];
    _Atomic(size_t) form_bytes;
    uint32_t *ends;    /* behind the last byte of each frame */
    int64_t *line_at;  /* struct instant's ns */
    char *bytes;
};

/* topic_forms.c */
/* Nobody else has the chunk that they are of; NULL is fine. */
void topic_forms_free(struct topic_forms *forms);
