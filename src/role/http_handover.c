#define _GNU_SOURCE
#include "http_handover.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/fd.h"

enum { FIRST = 3 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

static bool parse(const char *text, union address *out)
{
    char plain[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "%"); /* a link-local address may name its interface */
    if (length >= sizeof(plain)) {
        return false;
    }
    memcpy(plain, text, length);
    plain[length] = '\0';
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, plain, &out->v4.sin_addr) == 1) {
        out->any.sa_family = AF_INET;
        return true;
    }
    out->any.sa_family = AF_INET6;
    return inet_pton(AF_INET6, plain, &out->v6.sin6_addr) == 1;
}

static bool same_host(const union address *a, const union address *b)
{
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    return a->any.sa_family == AF_INET
               ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
               : !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
}

/* A connected TCP socket over IP, with this local port. */
static bool connection_to(int fd, int local_port, union address *peer)
{
    union address local;
    socklen_t length = sizeof(*peer);
    memset(peer, 0, sizeof(*peer));
    if (getpeername(fd, &peer->any, &length) ||
        (peer->any.sa_family != AF_INET && peer->any.sa_family != AF_INET6)) {
        return false;
    }
    length = sizeof(local);
    return !getsockname(fd, &local.any, &length) && port_of(&local) == local_port;
}

static int search(int from, int to, const union address *wanted, int peer_port, int local_port,
                  int *fd)
{
    int found = 0;
    for (int candidate = from; candidate < to; candidate++) {
        union address peer;
        if (connection_to(candidate, local_port, &peer) && port_of(&peer) == peer_port &&
            same_host(&peer, wanted)) {
            *fd = candidate;
            found++;
        }
    }
    return found;
}

static int limit_of_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1 << 20 ? 1 << 20
                                                                        : (int)limit.rlim_cur;
}

enum err handover_find(const char *address, int peer_port, int local_port, int *fd)
{
    union address wanted;
    int found_fd = -1;
    if (!parse(address, &wanted)) {
        return ERR_INVAL;
    }
    int found = search(FIRST, FD_FLOOR, &wanted, peer_port, local_port, &found_fd);
    if (!found) {
        /* CivetWeb has more connections than there are numbers below the floor: slow, but right. */
        found = search(FD_FLOOR, limit_of_descriptors(), &wanted, peer_port, local_port, &found_fd);
    }
    if (found != 1) {
        return found ? ERR_EXIST : ERR_NOENT;
    }
    *fd = found_fd;
    return ERR_OK;
}

enum err handover_take(int fd, int *out)
{
    int ours = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
    if (ours < 0) {
        return err_from_errno(errno);
    }
    int nowhere = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err err = nowhere < 0 ? err_from_errno(errno) : fd_nonblocking(ours);
    if (!err && dup3(nowhere, fd, O_CLOEXEC) < 0) {
        err = err_from_errno(errno);
    }
    fd_close(nowhere);
    if (err) {
        fd_close(ours);
        return err;
    }
    *out = ours;
    return ERR_OK;
}

static bool listens_on(int fd, int local_port)
{
    union address local;
    int listens = 0;
    socklen_t length = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) || !listens) {
        return false;
    }
    length = sizeof(local);
    return !getsockname(fd, &local.any, &length) &&
           (local.any.sa_family == AF_INET || local.any.sa_family == AF_INET6) &&
           port_of(&local) == local_port;
}

void handover_hush(int local_port)
{
    for (int fd = FIRST; fd < FD_FLOOR; fd++) {
        union address peer;
        if (connection_to(fd, local_port, &peer) || listens_on(fd, local_port)) {
            shutdown(fd, SHUT_RD);
        }
    }
}
