#define _GNU_SOURCE
#include "doctor_system.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "signalbox/base/fd.h"
#include "signalbox/base/writer.h"
#include "signalbox/store/store.h"

enum {
    ANSWER_MS = 2000,
    AGENT_DESCRIPTORS = 6,
    OTHER_DESCRIPTORS = FD_FLOOR + 200,
};
static const int64_t ROOM_LOW = INT64_C(256) << 20;        /* bytes */
static const int64_t STORE_LARGE = INT64_C(256) << 20;     /* one that takes long to read */

static void say(struct doctor_check *check, const char *name, enum doctor_state state, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct doctor_check *check, const char *name, enum doctor_state state, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *check = (struct doctor_check){.name = name, .state = state};
    if (vasprintf(&check->text, format, arguments) < 0) {
        check->text = NULL;
    }
    va_end(arguments);
}

/* ---- Folders ---- */

static void check_roots(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "workspaces";
    const struct config_list *roots = &config->workspace_roots;
    for (size_t i = 0; i < roots->count; i++) {
        if (access(roots->items[i], W_OK | X_OK) != 0) {
            say(check, name, DOCTOR_NOTE, "%s: %s", roots->items[i], err_text(err_from_errno(errno)));
            return;
        }
    }
    if (roots->count == 0) {
        say(check, name, DOCTOR_NOTE, "no workspace-roots are configured, so no session can be created");
    } else {
        say(check, name, DOCTOR_OK, "%zu folder%s", roots->count, roots->count == 1 ? "" : "s");
    }
}

/* The folder, or what is there of the way to it; the caller frees it. */
static char *first_that_is(const char *path)
{
    char *part = strdup(path);
    while (part && access(part, F_OK) != 0) {
        char *slash = strrchr(part, '/');
        if (!slash || slash == part) {
            strcpy(part, "/"); /* an absolute path has room for it */
            break;
        }
        *slash = '\0';
    }
    return part;
}

static void check_data(const struct config *config, const char *there, struct doctor_check *check)
{
    static const char name[] = "data folder";
    struct stat status;
    bool exists = strcmp(there, config->data) == 0;
    if (stat(there, &status) == 0 && !S_ISDIR(status.st_mode)) {
        say(check, name, DOCTOR_FAILED, "%s is no folder", there);
    } else if (access(there, R_OK | W_OK | X_OK) != 0) {
        say(check, name, DOCTOR_FAILED, "%s: %s", there, err_text(err_from_errno(errno)));
    } else if (!exists) {
        say(check, name, DOCTOR_OK, "%s is not there yet; the server makes it", config->data);
    } else {
        say(check, name, DOCTOR_OK, "%s", config->data);
    }
}

static void check_room(const char *there, struct doctor_check *check)
{
    static const char name[] = "free space";
    struct statvfs room;
    if (statvfs(there, &room) != 0) {
        say(check, name, DOCTOR_NOTE, "%s: %s", there, err_text(err_from_errno(errno)));
        return;
    }
    int64_t bytes = (int64_t)room.f_bavail * (int64_t)room.f_frsize;
    say(check, name, bytes < ROOM_LOW ? DOCTOR_FAILED : DOCTOR_OK, "%lld MiB for the data folder%s",
        (long long)(bytes >> 20), bytes < ROOM_LOW ? ", which is little" : "");
}

static void tell_nothing(void *context, const char *problem)
{
    char *first = context;
    if (first[0] == '\0') {
        snprintf(first, 256, "%s", problem);
    }
}

static void check_store(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "store";
    char *path = NULL;
    struct stat status;
    if (asprintf(&path, "%s/signalbox.db", config->data) < 0) {
        say(check, name, DOCTOR_FAILED, "out of memory");
        return;
    }
    bool exists = stat(path, &status) == 0;
    free(path);
    if (!exists) {
        say(check, name, DOCTOR_OK, "there is none yet");
        return;
    }
    if (status.st_size > STORE_LARGE) {
        say(check, name, DOCTOR_NOTE, "%lld MiB, too much to be read now; `signalbox store check` does it",
            (long long)(status.st_size >> 20));
        return;
    }
    struct store_sizes sizes = {0};
    size_t problems = 0;
    char why[1024] = "";
    char first[256] = "";
    enum err err = store_sqlite_check(config->data, tell_nothing, first, &sizes, &problems, why, sizeof(why));
    if (err == ERR_AGAIN) {
        say(check, name, DOCTOR_OK, "not looked at: %s", why);
    } else if (err) {
        say(check, name, DOCTOR_FAILED, "%s", why);
    } else if (problems) {
        say(check, name, DOCTOR_FAILED, "%zu problem%s, such as: %s (`signalbox store check` says all)", problems,
            problems == 1 ? "" : "s", first);
    } else {
        say(check, name, DOCTOR_OK, "%lld sessions, %lld events", (long long)sizes.sessions, (long long)sizes.events);
    }
}

/* ---- The system ---- */

static void check_guard(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "signalbox-guard";
    char *path = NULL;
    if (asprintf(&path, "%s/signalbox-guard", config->program_dir ? config->program_dir : "") < 0) {
        path = NULL;
    }
    if (path && access(path, X_OK) == 0) {
        say(check, name, DOCTOR_OK, "%s", path);
    } else {
        say(check, name, DOCTOR_FAILED, "%s: %s", path ? path : "", err_text(err_from_errno(errno)));
    }
    free(path);
}

static void check_descriptors(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "descriptors";
    long limit = fd_limit_raise();
    int64_t wanted = config->max_clients + AGENT_DESCRIPTORS * config->max_agents + OTHER_DESCRIPTORS;
    if (limit <= OTHER_DESCRIPTORS) {
        say(check, name, DOCTOR_FAILED, "the limit is %ld, which is too little to serve anybody (ulimit -Hn)", limit);
    } else if (limit < wanted) {
        say(check, name, DOCTOR_NOTE,
            "the limit is %ld; %lld would be needed for %lld clients and %lld agents (max-clients, max-agents)", limit,
            (long long)wanted, (long long)config->max_clients, (long long)config->max_agents);
    } else {
        say(check, name, DOCTOR_OK, "the limit is %ld", limit);
    }
}

static socklen_t address_of(const struct config *config, struct sockaddr_storage *address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET6, config->listen_host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)config->listen_port);
        return sizeof(*six);
    }
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)config->listen_port);
    (void)inet_pton(AF_INET, config->listen_host, &four->sin_addr); /* the configuration has checked it */
    return sizeof(*four);
}

/* Whether a signalbox answers there. */
static bool is_signalbox(const struct sockaddr_storage *address, socklen_t length)
{
    static const char question[] = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[8192];
    size_t got = 0;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
    bool asked = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
                 connect(fd, (const struct sockaddr *)address, length) == 0 &&
                 send(fd, question, strlen(question), MSG_NOSIGNAL) == (ssize_t)strlen(question);
    for (ssize_t more = asked; more > 0 && got < sizeof(answer) - 1;) {
        more = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
        got += more > 0 ? (size_t)more : 0;
    }
    fd_close(fd);
    answer[got] = '\0';
    return strstr(answer, "Signalbox") != NULL;
}

static void check_address(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "address";
    struct sockaddr_storage address;
    socklen_t length = address_of(config, &address);
    int one = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failure = fd < 0 ? errno : 0;
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        failure = bind(fd, (struct sockaddr *)&address, length) != 0 ? errno : 0;
    }
    if (!failure && config->listen_port != 0) {
        failure = listen(fd, 1) != 0 ? errno : 0;
    }
    fd_close(fd);
    if (!failure) {
        say(check, name, DOCTOR_OK, "%s is free", config->listen);
    } else if (failure == EADDRINUSE && is_signalbox(&address, length)) {
        say(check, name, DOCTOR_OK, "%s is served by Signalbox", config->listen);
    } else if (failure == EADDRINUSE) {
        say(check, name, DOCTOR_FAILED, "%s is served by another program", config->listen);
    } else {
        say(check, name, DOCTOR_FAILED, "%s: %s", config->listen, err_text(err_from_errno(failure)));
    }
}

/* ---- Sockets ---- */

static void check_writes(const struct config *config, struct doctor_check *check)
{
    static const char name[] = "socket writes";
    char why[WRITER_WHY_SIZE];
    struct writer *writer = NULL;
    enum config_socket_writes how = config->socket_writes;
    if (how == SOCKET_WRITES_SEND) {
        say(check, name, DOCTOR_OK, "one by one, as configured");
    } else if (!writer_new(&writer, true, why)) {
        say(check, name, DOCTOR_OK, "together, by io_uring");
    } else {
        say(check, name, how == SOCKET_WRITES_AUTO ? DOCTOR_NOTE : DOCTOR_FAILED, "one by one; %s", why);
    }
    writer_free(writer);
}

void doctor_check_system(const struct config *config, struct doctor_check checks[DOCTOR_SYSTEM_CHECKS])
{
    char *there = first_that_is(config->data);
    check_guard(config, &checks[0]);
    check_roots(config, &checks[1]);
    check_data(config, there ? there : "/", &checks[2]);
    check_room(there ? there : "/", &checks[3]);
    check_store(config, &checks[4]);
    check_descriptors(config, &checks[5]);
    check_address(config, &checks[6]);
    check_writes(config, &checks[7]);
    free(there);
}
