#define _GNU_SOURCE
#include "connection.h"

#include "handshake.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum {
    READ_BYTES = 256 * 1024,
    ANSWER_MAX = 16 * 1024,
    FRAME_MAX = 64 * 1024 * 1024,
    FIN = 0x80,
    COMPRESSED = 0x40,
    MASKED = 0x80,
    OPCODE_TEXT = 1,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
};

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->length + length > bytes->room) {
        bytes->room = bytes->length + length + bytes->length / 2;
        bytes->data = take(bytes->data, bytes->room);
    }
    if (length > 0) {
        memcpy(bytes->data + bytes->length, data, length);
    }
    bytes->length += length;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void watch(struct connection *c)
{
    uint32_t wanted = (c->paused ? 0 : EPOLLIN) | (c->out.length > 0 ? EPOLLOUT : 0);
    if (c->state == CONNECTION_CLOSED || wanted == c->interest) {
        return;
    }
    struct epoll_event event = {.events = wanted, .data.ptr = &c->source};
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
    c->interest = wanted;
}

static void forget(struct connection *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->state = CONNECTION_CLOSED;
    bytes_free(&c->in);
    bytes_free(&c->out);
}

static void lost(struct connection *c, int code, const char *why)
{
    forget(c);
    c->events->closed(c, code, why);
}

void connection_drop(struct connection *c, bool reset)
{
    if (c->fd >= 0 && reset) {
        struct linger linger = {.l_onoff = 1};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    forget(c);
}

// ---- Out ----

static void flush(struct connection *c)
{
    size_t done = 0;
    while (done < c->out.length) {
        ssize_t sent = send(c->fd, c->out.data + done, c->out.length - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            break; // a broken connection is found by reading
        }
        done += sent > 0 ? (size_t)sent : 0;
    }
    if (done == c->out.length) {
        bytes_free(&c->out);
    } else {
        memmove(c->out.data, c->out.data + done, c->out.length - done);
        c->out.length -= done;
    }
    watch(c);
}

static void send_frame(struct connection *c, int opcode, const char *payload, size_t length)
{
    static uint32_t mask = 0x5eed1234;
    uint8_t header[14] = {(uint8_t)(FIN | opcode)};
    size_t size = 2;
    if (c->state != CONNECTION_OPEN) {
        return;
    }
    if (length < 126) {
        header[1] = (uint8_t)(MASKED | length);
    } else {
        size_t digits = length <= 0xffff ? 2 : 8;
        header[1] = (uint8_t)(MASKED | (digits == 2 ? 126 : 127));
        for (size_t i = 0; i < digits; i++) {
            header[2 + i] = (uint8_t)(length >> (8 * (digits - 1 - i)));
        }
        size += digits;
    }
    mask = mask * 1664525 + 1013904223;
    memcpy(header + size, &mask, 4);
    bytes_add(&c->out, header, size + 4);
    size_t begin = c->out.length;
    bytes_add(&c->out, payload, length);
    for (size_t i = 0; i < length; i++) {
        c->out.data[begin + i] = (char)(c->out.data[begin + i] ^ header[size + i % 4]);
    }
    flush(c);
}

void connection_send(struct connection *c, const char *text, size_t length)
{
    send_frame(c, OPCODE_TEXT, text, length);
}

// ---- In ----

static void take_close(struct connection *c, const char *payload, size_t length)
{
    char why[124] = "";
    int code = 0;
    if (length >= 2) {
        code = (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
        memcpy(why, payload + 2, length - 2 < sizeof why ? length - 2 : sizeof why - 1);
    }
    send_frame(c, OPCODE_CLOSE, payload, length < 2 ? 0 : 2);
    lost(c, code, why);
}

// A compressed message, each of which is one by itself, so that one inflater is enough. The text is
// good until the next one; NULL when it is none.
static const char *inflated(const char *payload, size_t length, size_t *out)
{
    static const unsigned char end[] = {0, 0, 0xff, 0xff}; // what RFC 7692 leaves out
    static z_stream stream;
    static struct bytes text;
    static bool begun;
    if (begun ? inflateReset(&stream) != Z_OK : inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        die("zlib: no memory");
    }
    begun = true;
    text.length = 0;
    for (int part = 0; part < 2; part++) {
        stream.next_in = (Bytef *)(part == 0 ? payload : (const char *)end);
        stream.avail_in = (uInt)(part == 0 ? length : sizeof end);
        do {
            if (text.room - text.length < READ_BYTES) {
                text.room += 2 * READ_BYTES;
                text.data = take(text.data, text.room);
            }
            stream.next_out = (Bytef *)text.data + text.length;
            stream.avail_out = (uInt)(text.room - text.length);
            int error = inflate(&stream, Z_SYNC_FLUSH);
            text.length = text.room - stream.avail_out;
            if ((error != Z_OK && error != Z_BUF_ERROR && error != Z_STREAM_END) ||
                text.length > FRAME_MAX) {
                return NULL;
            }
            if (error == Z_STREAM_END) {
                break; // a last block, behind which there is nothing
            }
        } while (stream.avail_in > 0 || stream.avail_out == 0);
    }
    *out = text.length;
    return text.data;
}

static bool tell_text(struct connection *c, bool compressed, const char *text, size_t length,
                      int64_t now)
{
    if (compressed) {
        text = inflated(text, length, &length);
    }
    if (text == NULL) {
        lost(c, 0, "a compressed frame of the server that cannot be inflated");
        return false;
    }
    c->events->text(c, text, length, now);
    return true;
}

// Takes one frame; returns its length, 0 when it is not whole. The connection may be closed by it.
static size_t take_frame(struct connection *c, const char *data, size_t length, int64_t now)
{
    const uint8_t *head = (const uint8_t *)data;
    if (length < 2) {
        return 0;
    }
    size_t header = 2;
    uint64_t payload = head[1] & 0x7f;
    if (payload >= 126) {
        size_t digits = payload == 126 ? 2 : 8;
        header += digits;
        if (length < header) {
            return 0;
        }
        payload = 0;
        for (size_t i = 0; i < digits; i++) {
            payload = payload << 8 | head[2 + i];
        }
    }
    bool compressed = c->inflates && head[0] == (FIN | COMPRESSED | OPCODE_TEXT);
    if ((!compressed && (head[0] & 0xf0) != FIN) || (head[1] & MASKED) || payload > FRAME_MAX) {
        lost(c, 0, "a frame of the server that is masked, fragmented, compressed or too large");
        return 0;
    }
    if (length < header + payload) {
        return 0;
    }
    const char *text = data + header;
    switch (head[0] & 0x0f) {
    case OPCODE_TEXT:
        c->frame = header + payload;
        if (!tell_text(c, compressed, text, payload, now)) {
            return 0;
        }
        break;
    case OPCODE_PING:
        send_frame(c, OPCODE_PONG, text, payload);
        break;
    case OPCODE_PONG:
        break;
    case OPCODE_CLOSE:
        take_close(c, text, payload);
        break;
    default:
        lost(c, 0, "a frame of the server with an unknown opcode");
    }
    return header + payload;
}

// The answer to the upgrade; returns its length, 0 when it is not whole or not what was hoped for.
static size_t take_answer(struct connection *c, const char *data, size_t length)
{
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    if (end == NULL) {
        if (length > ANSWER_MAX) {
            lost(c, 0, "no end of the answer's headers");
        }
        return 0;
    }
    size_t size = (size_t)(end - data) + 4;
    char *head = strndup(data, size);
    if (head == NULL) {
        die("out of memory");
    }
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        char why[64];
        snprintf(why, sizeof why, "%.*s", (int)strcspn(head, "\r"), head);
        free(head);
        lost(c, 0, why);
        return 0;
    }
    bool accepted = strcasestr(head, "\r\nsec-websocket-accept:") != NULL &&
                    strstr(head, HANDSHAKE_ACCEPT) != NULL;
    c->inflates = strcasestr(head, "permessage-deflate") != NULL;
    free(head);
    if (!accepted) {
        lost(c, 0, "a wrong Sec-WebSocket-Accept");
        return 0;
    }
    c->state = CONNECTION_OPEN;
    c->events->open(c);
    return size;
}

static void take_bytes(struct connection *c, char *data, size_t length, int64_t now)
{
    uint32_t generation = c->generation;
    struct bytes before = {0};
    if (c->in.length > 0) {
        // Taken out, since a callback may close the connection.
        bytes_add(&c->in, data, length);
        before = c->in;
        c->in = (struct bytes){0};
        data = before.data;
        length = before.length;
    }
    size_t done = 0;
    while (done < length && c->state != CONNECTION_CLOSED && c->generation == generation &&
           !c->paused) {
        size_t used = c->state == CONNECTION_OPEN ? take_frame(c, data + done, length - done, now)
                                                  : take_answer(c, data + done, length - done);
        if (used == 0) {
            break;
        }
        done += used;
    }
    if (done < length && c->state != CONNECTION_CLOSED && c->generation == generation) {
        bytes_add(&c->in, data + done, length - done);
    }
    bytes_free(&before);
}

static void ready(struct source *source, uint32_t events)
{
    static char data[READ_BYTES];
    struct connection *c = (struct connection *)source; // its first member
    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    if (events & EPOLLOUT) {
        flush(c);
    }
    if (c->paused && !(events & (EPOLLERR | EPOLLHUP))) {
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        ssize_t got = read(c->fd, data, sizeof data);
        if (got > 0) {
            take_bytes(c, data, (size_t)got, clock_us());
        } else if (got == 0) {
            lost(c, 0, "end of file");
        } else if (errno != EAGAIN && errno != EINTR) {
            lost(c, 0, strerror(errno));
        }
    }
}

void connection_pause(struct connection *c, bool paused)
{
    c->paused = paused;
    watch(c);
    if (!paused && c->in.length > 0) {
        take_bytes(c, NULL, 0, clock_us()); // what was read before the pause
    }
}

// ---- Opening ----

void connection_init(struct connection *c, struct loop *loop,
                     const struct connection_events *events)
{
    *c = (struct connection){.source.ready = ready, .loop = loop, .events = events, .fd = -1};
}

static void set_options(int fd, const struct connect_options *o)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (o->receive_buffer > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->receive_buffer, sizeof o->receive_buffer);
    }
    if (o->segment > 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &o->segment, sizeof o->segment);
    }
}

static bool bind_source(int fd, uint32_t source)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    // The port is chosen when the peer is known, so that each address has all of them.
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
           bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

static void queue_upgrade(struct connection *c, const struct target *target,
                          const struct connect_options *o)
{
    static const char offer[] = "Sec-WebSocket-Extensions: permessage-deflate; "
                                "server_no_context_takeover; client_no_context_takeover\r\n";
    char *request = NULL;
    int length =
        asprintf(&request,
                 "GET %s%s%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Protocol: signalbox.v1\r\n%s%s%s%s\r\n",
                 o->path != NULL ? o->path : "/ws", o->client != NULL ? "?client=" : "",
                 o->client != NULL ? o->client : "", target->host, HANDSHAKE_KEY,
                 o->deflate ? offer : "", target->token != NULL ? "Authorization: Bearer " : "",
                 target->token != NULL ? target->token : "", target->token != NULL ? "\r\n" : "");
    if (length < 0) {
        die("out of memory");
    }
    bytes_add(&c->out, request, (size_t)length);
    free(request);
}

bool connection_connect(struct connection *c, const struct target *target,
                        const struct connect_options *options)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    set_options(fd, options);
    const struct sockaddr *address = (const struct sockaddr *)&target->address;
    if ((options->source != 0 && !bind_source(fd, options->source)) ||
        (connect(fd, address, sizeof target->address) < 0 && errno != EINPROGRESS)) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    c->fd = fd;
    c->state = CONNECTION_OPENING;
    c->generation++;
    c->paused = false;
    c->interest = EPOLLIN | EPOLLOUT;
    queue_upgrade(c, target, options); // goes out when the socket can be written
    struct epoll_event event = {.events = c->interest, .data.ptr = &c->source};
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
    return true;
}
