#define _GNU_SOURCE
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static bool send_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool ask(int fd, const struct target *target, const char *path)
{
    char *request = NULL;
    int length =
        asprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s\r\n", path,
                 target->host, target->token != NULL ? "Authorization: Bearer " : "",
                 target->token != NULL ? target->token : "", target->token != NULL ? "\r\n" : "");
    if (length < 0) {
        die("out of memory");
    }
    bool sent = send_all(fd, request, (size_t)length);
    free(request);
    return sent;
}

// To the end of the connection; false when it breaks.
static bool read_all(int fd, struct bytes *in)
{
    static char data[65536];
    for (;;) {
        ssize_t got = read(fd, data, sizeof data);
        if (got <= 0) {
            bytes_add(in, "", 1);
            return got == 0;
        }
        bytes_add(in, data, (size_t)got);
    }
}

static int connected_to(const struct target *target, int seconds)
{
    struct timeval patience = {.tv_sec = seconds};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&target->address, sizeof target->address) < 0) {
        int error = errno;
        close(fd);
        return error == EINPROGRESS ? -ETIMEDOUT : -error;
    }
    return fd;
}

int http_ask(const struct target *target, const char *path, int seconds, char **body)
{
    static const char version[] = "HTTP/1.1 ";
    struct bytes in = {0};
    int status = 0;
    *body = NULL;
    int fd = connected_to(target, seconds);
    if (fd < 0) {
        return fd;
    }
    if (ask(fd, target, path) && read_all(fd, &in) &&
        strncmp(in.data, version, sizeof version - 1) == 0) {
        const char *end = strstr(in.data, "\r\n\r\n");
        status = (int)strtol(in.data + sizeof version - 1, NULL, 10);
        *body = end != NULL ? strdup(end + 4) : NULL;
    }
    bytes_free(&in);
    close(fd);
    return status;
}

char *http_get(const struct target *target, const char *path, int seconds)
{
    char *body;
    if (http_ask(target, path, seconds, &body) != 200) {
        free(body);
        return NULL;
    }
    return body;
}
