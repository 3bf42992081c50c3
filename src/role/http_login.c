/*
 * The logins of browsers, and who failed to log in. A login is kept by the fingerprint of its
 * random id, in memory and in DATA/logins (0600), one line each: `FINGERPRINT USER
 * TOKEN-FINGERPRINT EXPIRY`. So what the file says opens nothing.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/id.h"
#include "signalbox/base/log.h"

enum { LOGINS_MAX = 20000, FILE_MAX = 8 * 1024 * 1024, ADDRESSES_MAX = 1024, WINDOW_SECONDS = 60 };

_Static_assert((int)HTTP_LOGIN_ID_SIZE == (int)ID_SIZE, "a login's id is an id");
_Static_assert((int)TOKENS_FINGERPRINT_SIZE <= (int)FINGERPRINT_MAX,
               "fingerprints fit into an identity");

struct login {
    char id_fingerprint[TOKENS_FINGERPRINT_SIZE];
    char user[TOKENS_USER_MAX + 1];
    char fingerprint[TOKENS_FINGERPRINT_SIZE];
    int64_t expires_at;
};

struct http_logins {
    pthread_mutex_t lock;
    char *path;
    struct login *logins; /* oldest first */
    size_t count, capacity;
};

static enum err append(struct http_logins *all, const struct login *login)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 16;
        struct login *grown = reallocarray(all->logins, capacity, sizeof(*grown));
        if (!grown) {
            return ERR_NOMEM;
        }
        all->logins = grown;
        all->capacity = capacity;
    }
    all->logins[all->count++] = *login;
    return ERR_OK;
}

static void drop(struct http_logins *all, size_t index)
{
    memmove(&all->logins[index], &all->logins[index + 1],
            (all->count - index - 1) * sizeof(all->logins[0]));
    all->count--;
}

static void drop_expired(struct http_logins *all)
{
    int64_t now = clock_wall_ms();
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->logins[i].expires_at > now) {
            all->logins[kept++] = all->logins[i];
        }
    }
    all->count = kept;
}

static enum err load(struct http_logins *all)
{
    char *text;
    size_t length;
    enum err err = file_read(all->path, FILE_MAX, &text, &length);
    if (err == ERR_NOENT) {
        return ERR_OK;
    }
    if (err) {
        return err;
    }
    size_t bad = 0;
    char *rest = text;
    for (char *line; !err && (line = strsep(&rest, "\n"));) {
        struct login login;
        if (*line && sscanf(line, "%32s %64s %32s %" SCNd64, login.id_fingerprint, login.user,
                            login.fingerprint, &login.expires_at) != 4) {
            bad++;
        } else if (*line) {
            err = append(all, &login);
        }
    }
    if (bad) {
        log_warn("lines of the logins file are not ours: left out", "file", "%s", all->path,
                 "lines", "%zu", bad, NULL);
    }
    free(text);
    return err;
}

static enum err save(struct http_logins *all)
{
    struct buffer out = {0};
    for (size_t i = 0; i < all->count; i++) {
        const struct login *login = &all->logins[i];
        buffer_format(&out, "%s %s %s %lld\n", login->id_fingerprint, login->user,
                      login->fingerprint, (long long)login->expires_at);
    }
    enum err err = ERR_NOMEM;
    if (buffer_ok(&out)) {
        err = file_write_atomic(all->path, out.data ? out.data : "", out.length, 0600);
    }
    buffer_free(&out);
    return err;
}

enum err http_logins_open(struct http_logins **out, const char *data_directory)
{
    struct http_logins *all = calloc(1, sizeof(*all));
    if (!all) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&all->lock, NULL);
    enum err err = asprintf(&all->path, "%s/logins", data_directory) < 0 ? ERR_NOMEM : load(all);
    if (err) {
        http_logins_free(all);
        return err;
    }
    drop_expired(all);
    *out = all;
    return ERR_OK;
}

void http_logins_free(struct http_logins *all)
{
    if (!all) {
        return;
    }
    pthread_mutex_destroy(&all->lock);
    free(all->path);
    free(all->logins);
    free(all);
}

enum err http_logins_add(struct http_logins *all, const char *user, const char *fingerprint,
                         int64_t expires_at, char id[HTTP_LOGIN_ID_SIZE])
{
    struct login login = {.expires_at = expires_at};
    id_random(id);
    tokens_fingerprint(id, login.id_fingerprint);
    snprintf(login.user, sizeof(login.user), "%s", user);
    snprintf(login.fingerprint, sizeof(login.fingerprint), "%s", fingerprint);
    pthread_mutex_lock(&all->lock);
    drop_expired(all);
    if (all->count >= LOGINS_MAX) {
        drop(all, 0);
    }
    enum err err = append(all, &login);
    if (!err) {
        err = save(all);
        if (err) {
            all->count--;
        }
    }
    pthread_mutex_unlock(&all->lock);
    return err;
}

/* Its place, or the count if it is not there. With the lock. */
static size_t place_of(const struct http_logins *all, const char *fingerprint)
{
    size_t place = 0;
    while (place < all->count && strcmp(all->logins[place].id_fingerprint, fingerprint)) {
        place++;
    }
    return place;
}

bool http_logins_find(struct http_logins *all, const struct tokens *tokens, const char *id,
                      struct identity *identity)
{
    bool found = false;
    char id_fingerprint[TOKENS_FINGERPRINT_SIZE];
    tokens_fingerprint(id, id_fingerprint);
    pthread_mutex_lock(&all->lock);
    size_t place = place_of(all, id_fingerprint);
    if (place < all->count) {
        const struct login *login = &all->logins[place];
        found = login->expires_at > clock_wall_ms() &&
                tokens_has_fingerprint(tokens, login->user, login->fingerprint);
        if (found) {
            snprintf(identity->user, sizeof(identity->user), "%s", login->user);
            snprintf(identity->fingerprint, sizeof(identity->fingerprint), "%s",
                     login->fingerprint);
            snprintf(identity->login, sizeof(identity->login), "%s", login->id_fingerprint);
        }
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

bool http_logins_has(struct http_logins *all, const char *fingerprint)
{
    pthread_mutex_lock(&all->lock);
    bool found = place_of(all, fingerprint) < all->count;
    pthread_mutex_unlock(&all->lock);
    return found;
}

void http_logins_remove(struct http_logins *all, const char *id,
                        char fingerprint[TOKENS_FINGERPRINT_SIZE])
{
    tokens_fingerprint(id, fingerprint);
    pthread_mutex_lock(&all->lock);
    size_t place = place_of(all, fingerprint);
    if (place < all->count) {
        drop(all, place);
        enum err err = save(all);
        if (err) {
            log_error("logout not recorded: after a restart this login would be back", "error",
                      "%s", err_text(err), NULL);
        }
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- Failures ---- */

struct failure {
    char address[HTTP_PEER_SIZE];
    int64_t since_ms; /* monotonic */
    uint32_t count;
};

/* When all places are taken the oldest goes: an attacker with that many addresses is not stopped by
 * counting them. */
struct http_failures {
    pthread_mutex_t lock;
    struct failure places[ADDRESSES_MAX];
    size_t used;
};

struct http_failures *http_failures_new(void)
{
    struct http_failures *all = calloc(1, sizeof(*all));
    if (all) {
        pthread_mutex_init(&all->lock, NULL);
    }
    return all;
}

void http_failures_free(struct http_failures *all)
{
    if (all) {
        pthread_mutex_destroy(&all->lock);
        free(all);
    }
}

static int64_t now_ms(void)
{
    return clock_now().ns / 1000000;
}

static struct failure *failure_of(struct http_failures *all, const char *address)
{
    for (size_t i = 0; i < all->used; i++) {
        if (!strcmp(all->places[i].address, address)) {
            return &all->places[i];
        }
    }
    return NULL;
}

void http_failures_add(struct http_failures *all, const char *address)
{
    pthread_mutex_lock(&all->lock);
    struct failure *failure = failure_of(all, address);
    if (!failure && all->used < ADDRESSES_MAX) {
        failure = &all->places[all->used++];
        *failure = (struct failure){.count = 0};
    } else if (!failure) {
        failure = &all->places[0];
        for (size_t i = 1; i < all->used; i++) {
            failure = all->places[i].since_ms < failure->since_ms ? &all->places[i] : failure;
        }
        *failure = (struct failure){.count = 0};
    }
    if (!failure->count || now_ms() - failure->since_ms >= WINDOW_SECONDS * 1000) {
        snprintf(failure->address, sizeof(failure->address), "%s", address);
        failure->since_ms = now_ms();
        failure->count = 0;
    }
    failure->count++;
    pthread_mutex_unlock(&all->lock);
}

bool http_failures_over(struct http_failures *all, const char *address, int64_t per_minute,
                        int *seconds)
{
    if (per_minute <= 0) {
        return false;
    }
    pthread_mutex_lock(&all->lock);
    struct failure *failure = failure_of(all, address);
    int64_t age = failure ? now_ms() - failure->since_ms : 0;
    bool over = failure && age < WINDOW_SECONDS * 1000 && failure->count >= per_minute;
    *seconds = over ? (int)(WINDOW_SECONDS - age / 1000) : 0;
    pthread_mutex_unlock(&all->lock);
    return over;
}
