/* What events are in other forms, beside their bytes in a tail. */
#include "topic_private.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"

/* What one event is in a form. */
struct form {
    size_t length;
    char bytes[];
};

/* Of a chunk's events, each NULL (nobody needs it yet), `being_made`, or there for good. */
struct topic_forms {
    size_t count;
    _Atomic(struct form *) of[];
};

static struct form being_made, empty; /* marks; `empty` is that of every event that is nothing in a form */

void topic_forms_free(struct topic_forms *forms)
{
    for (size_t i = 0; forms && i < forms->count; i++) {
        struct form *form = atomic_load_explicit(&forms->of[i], memory_order_relaxed); /* nobody else has the chunk */
        if (form != &empty) {
            free(form);
        }
    }
    free(forms);
}

static struct topic_forms *forms_of(struct topic *topic, struct topic_chunk *chunk, unsigned form)
{
    struct topic_forms *forms = atomic_load_explicit(&chunk->forms[form], memory_order_acquire);
    if (forms) {
        return forms;
    }
    size_t size = sizeof(*forms) + chunk->event_capacity * sizeof(forms->of[0]);
    struct topic_forms *fresh = calloc(1, size);
    if (!fresh) {
        return NULL;
    }
    fresh->count = chunk->event_capacity;
    if (atomic_compare_exchange_strong(&chunk->forms[form], &forms, fresh)) {
        /* Relaxed: both are looked at from time to time only, for a bound. */
        atomic_fetch_add_explicit(&chunk->form_bytes, size, memory_order_relaxed);
        atomic_store_explicit(&topic->has_forms, true, memory_order_relaxed);
        return fresh;
    }
    free(fresh); /* another thread was faster */
    return forms;
}

enum topic_form_state topic_form_find(struct topic *topic, const struct topic_run *run, uint64_t seq, unsigned form,
                                      const char **bytes, size_t *length)
{
    CHECK(form < TOPIC_FORMS);
    struct topic_forms *forms = forms_of(topic, run->chunk, form);
    if (!forms) {
        return TOPIC_FORM_NOMEM;
    }
    _Atomic(struct form *) *place = &forms->of[seq - run->chunk->first];
    struct form *found = atomic_load_explicit(place, memory_order_acquire);
    if (!found && atomic_compare_exchange_strong(place, &found, &being_made)) {
        return TOPIC_FORM_YOURS;
    }
    if (found == &being_made) {
        return TOPIC_FORM_BUSY;
    }
    *bytes = found->bytes;
    *length = found->length;
    return TOPIC_FORM_THERE;
}

static _Atomic(struct form *) *place_of(const struct topic_run *run, uint64_t seq, unsigned form)
{
    struct topic_forms *forms = atomic_load_explicit(&run->chunk->forms[form], memory_order_acquire);
    return &forms->of[seq - run->chunk->first];
}

enum err topic_form_give(const struct topic_run *run, uint64_t seq, unsigned form, const char *bytes, size_t length)
{
    struct form *made = length ? malloc(sizeof(*made) + length) : &empty;
    if (!made) {
        topic_form_give_up(run, seq, form);
        return ERR_NOMEM;
    }
    if (length) {
        made->length = length;
        memcpy(made->bytes, bytes, length);
        atomic_fetch_add_explicit(&run->chunk->form_bytes, sizeof(*made) + length, memory_order_relaxed);
    }
    /* Release: who finds it finds its bytes. */
    atomic_store_explicit(place_of(run, seq, form), made, memory_order_release);
    return ERR_OK;
}

void topic_form_give_up(const struct topic_run *run, uint64_t seq, unsigned form)
{
    atomic_store_explicit(place_of(run, seq, form), NULL, memory_order_release);
}

bool topic_form_look(const struct topic_run *run, uint64_t seq, unsigned form, const char **bytes, size_t *length)
{
    struct topic_forms *forms = atomic_load_explicit(&run->chunk->forms[form], memory_order_acquire);
    struct form *found =
        forms ? atomic_load_explicit(&forms->of[seq - run->chunk->first], memory_order_acquire) : NULL;
    if (!found || found == &being_made) {
        return false;
    }
    *bytes = found->bytes;
    *length = found->length;
    return true;
}
