/* The snapshot in force: one pointer, exchanged by the watch thread and read under RCU by
 * everybody. */
#include "config_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct config_store {
    _Atomic(struct config_box *) current;
    pthread_mutex_t lock; /* of error and ok only: they are read by people, seldom */
    struct config_error error;
    bool ok;
};

static void free_options(struct config *config)
{
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        void *field = config_option_field(config, &config_options[i]);
        if (config_type_is_list(config_options[i].type)) {
            config_list_free(field);
        } else if (config_options[i].type == CONFIG_PATH ||
                   config_options[i].type == CONFIG_ADDRESS) {
            free(*(char **)field);
        }
    }
}

void config_destroy(struct config_box *box)
{
    struct config *config = &box->config;
    free_options(config);
    for (size_t i = 0; i < config->agent_count; i++) {
        free(config->agents[i].name);
        free(config->agents[i].title);
        free(config->agents[i].install);
        free(config->agents[i].login);
        config_list_free(&config->agents[i].command);
        config_list_free(&config->agents[i].environment);
        config_timeouts_free(&config->agents[i].timeouts);
    }
    free(config->agents);
    config_timeouts_free(&config->timeouts);
    config_list_free(&config->denied_paths);
    tokens_free(config->tokens);
    free(config->theme);
    free(config->listen_host);
    free(config->file);
    free(config->program_dir);
    config_list_free(&config->restart_needed);
    free(box);
}

static void retire(struct rcu_head *head)
{
    config_destroy(container_of(head, struct config_box, retire));
}

const struct config *config_get(const struct config *config)
{
    ref_get(&config_box(config)->ref);
    return config;
}

void config_put(const struct config *config)
{
    if (config == NULL || !ref_put(&config_box(config)->ref)) {
        return;
    }
    struct config_box *box = config_box(config);
    /* A reader may still stand between loading the pointer and finding the count at zero. */
    if (box->published) {
        rcu_retire(&box->retire, retire);
    } else {
        config_destroy(box);
    }
}

bool config_same_settings(const struct config *a, const struct config *b)
{
    return memcmp(config_box(a)->settings_digest, config_box(b)->settings_digest,
                  CONFIG_DIGEST_SIZE) == 0;
}

bool config_same_theme(const struct config *a, const struct config *b)
{
    return memcmp(config_box(a)->theme_digest, config_box(b)->theme_digest, CONFIG_DIGEST_SIZE) ==
           0;
}

enum err config_store_new(struct config_store **out, struct config *first)
{
    struct config_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return ERR_NOMEM;
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store);
        return ERR_NOMEM;
    }
    store->ok = true;
    config_box(first)->published = true;
    log_set_level(first->log_level);
    rcu_publish(&store->current, config_box(first));
    *out = store;
    return ERR_OK;
}

void config_store_free(struct config_store *store)
{
    if (store == NULL) {
        return;
    }
    config_put(&rcu_subscribe(&store->current)->config);
    config_error_free(&store->error);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

const struct config *config_current_get(struct config_store *store)
{
    struct config_box *box;
    bool held;
    do {
        rcu_read_lock();
        box = rcu_subscribe(&store->current);
        held = ref_get_unless_zero(&box->ref);
        rcu_read_unlock();
    } while (!held);
    return &box->config;
}

void config_store_publish(struct config_store *store, struct config *config)
{
    struct config_box *before = rcu_subscribe(&store->current);
    config_box(config)->published = true;
    log_set_level(config->log_level);
    rcu_publish(&store->current, config_box(config));
    config_put(&before->config);
}

static void copy_error(struct config_error *to, const struct config_error *from)
{
    to->file = from->file != NULL ? strdup(from->file) : NULL;
    to->line = from->line;
    to->reason = from->reason != NULL ? strdup(from->reason) : NULL;
}

void config_store_report(struct config_store *store, const struct config_error *error)
{
    pthread_mutex_lock(&store->lock);
    config_error_free(&store->error);
    store->ok = error == NULL;
    if (error != NULL) {
        copy_error(&store->error, error);
    }
    pthread_mutex_unlock(&store->lock);
}

bool config_store_ok(struct config_store *store, struct config_error *out)
{
    pthread_mutex_lock(&store->lock);
    bool ok = store->ok;
    if (!ok) {
        copy_error(out, &store->error);
    }
    pthread_mutex_unlock(&store->lock);
    return ok;
}
