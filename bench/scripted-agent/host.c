#define _GNU_SOURCE
#include "host.h"

#include "generator/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, STREAMS = 2 };

struct host {
    struct loop loop;
    struct source listener;
    int fd;
    const struct options *options;
};

// One agent. Its streams are epoll's sources, each of its own descriptor.
struct played {
    struct source control; // the connection; what comes from it is its end, or all of the input
    struct source input;
    struct source output;
    struct timer timer;
    struct host *host;
    struct agent agent;
    int control_fd, in, out; // -1: not there
    bool waits;              // for the output to be written
};

#define PLAYED_OF(pointer, member)                                                                 \
    ((struct played *)((char *)(pointer)-offsetof(struct played, member)))

static void watch(struct host *h, int operation, int fd, uint32_t events, struct source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(h->loop.epoll, operation, fd, &event) < 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

// ---- An agent ----

// Its memory goes at the end of the loop's turn: epoll may have more to say of its descriptors.
static void release(struct timer *timer)
{
    free(PLAYED_OF(timer, timer));
}

static void end(struct played *p)
{
    if (p->control_fd < 0) {
        return;
    }
    if (p->agent.wire != NULL) {
        wire_flush(p->agent.wire);
        agent_release(&p->agent);
        rpc_free(p->agent.rpc);
        wire_free(p->agent.wire);
    }
    if (p->in >= 0) {
        close(p->in);
        close(p->out);
    }
    close(p->control_fd);
    p->control_fd = p->in = p->out = -1;
    p->timer.fire = release;
    timer_arm(&p->host->loop, &p->timer, 0);
}

static void advance(struct played *p)
{
    if (p->control_fd < 0) {
        return;
    }
    rpc_take(p->agent.rpc);
    int64_t wake = agent_run(&p->agent, agent_now());
    int left = wire_flush(p->agent.wire);
    if ((left > 0) != p->waits) {
        p->waits = left > 0;
        watch(p->host, EPOLL_CTL_MOD, p->out, p->waits ? EPOLLOUT : 0, &p->output);
    }
    // With a full batch waiting no turn could go on, whatever the time says.
    if (wake == INT64_MAX || wire_pending(p->agent.wire) >= AGENT_BATCH) {
        timer_cancel(&p->host->loop, &p->timer);
    } else {
        timer_arm(&p->host->loop, &p->timer, (wake + 999) / 1000);
    }
}

static void fire(struct timer *timer)
{
    advance(PLAYED_OF(timer, timer));
}

static void take_input(struct played *p)
{
    if (p->control_fd >= 0 && wire_fill(p->agent.wire) == 0) {
        end(p);
    } else {
        advance(p);
    }
}

static void input_ready(struct source *source, uint32_t events)
{
    (void)events;
    take_input(PLAYED_OF(source, input));
}

static void output_ready(struct source *source, uint32_t events)
{
    struct played *p = PLAYED_OF(source, output);
    if (p->control_fd >= 0 && (events & (EPOLLERR | EPOLLHUP))) {
        end(p); // the client has gone
    } else {
        advance(p);
    }
}

static void begin(struct played *p, int in, int out)
{
    p->in = in;
    p->out = out;
    p->agent = (struct agent){.options = p->host->options, .wire = wire_new(in, out)};
    if (p->agent.wire == NULL ||
        (p->agent.rpc = rpc_new(p->agent.wire, &agent_handler, &p->agent)) == NULL) {
        die("out of memory");
    }
    watch(p->host, EPOLL_CTL_ADD, out, 0, &p->output);
}

// The streams of a process that waits. False when there are none.
static bool receive_streams(int fd, int streams[STREAMS])
{
    char letter;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(STREAMS * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &letter, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1) {
        return false;
    }
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(STREAMS * sizeof(int))) {
        return false;
    }
    memcpy(streams, CMSG_DATA(header), STREAMS * sizeof(int));
    return true;
}

static void control_ready(struct source *source, uint32_t events)
{
    struct played *p = PLAYED_OF(source, control);
    int streams[STREAMS];
    char letter = 0;
    (void)events;
    if (p->control_fd < 0) {
        return;
    }
    if (p->in >= 0 && p->in != p->control_fd) {
        end(p); // the process that waited was ended
        return;
    }
    if (p->in >= 0) {
        take_input(p);
        return;
    }
    if (recv(p->control_fd, &letter, 1, MSG_PEEK) != 1) {
        end(p);
    } else if (letter != HOST_STREAMS) {
        // Another descriptor for the output, since epoll takes each once only.
        int out = dup(p->control_fd);
        if (out < 0) {
            die("dup: %s", strerror(errno));
        }
        begin(p, p->control_fd, out);
        take_input(p);
    } else if (receive_streams(p->control_fd, streams)) {
        begin(p, streams[0], streams[1]);
        watch(p->host, EPOLL_CTL_ADD, p->in, EPOLLIN, &p->input);
    } else {
        end(p);
    }
}

static void accept_one(struct source *source, uint32_t events)
{
    struct host *h = (struct host *)((char *)source - offsetof(struct host, listener));
    (void)events;
    int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct played *p = take(NULL, sizeof *p);
    *p = (struct played){.control.ready = control_ready,
                         .input.ready = input_ready,
                         .output.ready = output_ready,
                         .timer.fire = fire,
                         .host = h,
                         .control_fd = fd,
                         .in = -1,
                         .out = -1};
    watch(h, EPOLL_CTL_ADD, fd, EPOLLIN, &p->control);
}

// ---- The two sides ----

static int open_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        die("%s: too long for a socket", path);
    }
    memcpy(address->sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket: %s", strerror(errno));
    }
    return fd;
}

int host_serve(const char *path, const struct options *o)
{
    struct sockaddr_un address;
    struct host h = {.listener.ready = accept_one, .options = o};
    h.fd = open_socket(path, &address);
    unlink(path); // of one that was killed
    if (bind(h.fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(h.fd, BACKLOG) < 0) {
        die("%s: %s", path, strerror(errno));
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); // it ends with who started it
    loop_open(&h.loop);
    watch(&h, EPOLL_CTL_ADD, h.fd, EPOLLIN, &h.listener);
    loop_run(&h.loop, NULL, NULL, INT64_MAX);
    return 0;
}

int host_play(const char *path)
{
    static const int streams[STREAMS] = {STDIN_FILENO, STDOUT_FILENO};
    struct sockaddr_un address;
    char letter = HOST_STREAMS;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof streams)];
    } control = {0};
    struct iovec part = {.iov_base = &letter, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof streams);
    memcpy(CMSG_DATA(header), streams, sizeof streams);
    int fd = open_socket(path, &address);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        sendmsg(fd, &message, MSG_NOSIGNAL) != 1) {
        die("%s: %s", path, strerror(errno));
    }
    // Only the host has them now, so their ends are seen where it closes them.
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    while (read(fd, &letter, 1) < 0 && errno == EINTR) {
    }
    return 0;
}
