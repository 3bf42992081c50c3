// A WebSocket client's connection (RFC 6455) that does not block: as much of the protocol as a
// server that does not fragment needs; with permessage-deflate (RFC 7692) without context takeover.
#pragma once

#include "loop.h"

#include <netinet/in.h>

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_OPENING, // TCP's or HTTP's handshake
    CONNECTION_OPEN,
};

struct bytes {
    char *data;
    size_t length;
    size_t room;
};

void bytes_add(struct bytes *bytes, const void *data, size_t length);
void bytes_free(struct bytes *bytes);

struct connection;

struct connection_events {
    void (*open)(struct connection *c);
    // A text message; `now` is the time at which its last byte was read.
    void (*text)(struct connection *c, const char *text, size_t length, int64_t now);
    // Not called by connection_drop. `code` is the close frame's, 0 without one.
    void (*closed)(struct connection *c, int code, const char *why);
};

struct connection {
    struct source source;
    struct loop *loop;
    const struct connection_events *events;
    int fd;
    enum connection_state state;
    bool paused;
    bool inflates; // the server may compress
    size_t frame;  // of the message that is told: the bytes of its frame, as they came
    uint32_t interest;
    uint32_t generation; // counts openings, so that a callback's reopening is noticed
    struct bytes in;
    struct bytes out;
};

struct target {
    struct sockaddr_in address;
    char host[64];
    char *token; // NULL: none
};

struct connect_options {
    uint32_t source;    // an address of 127.0.0.0/8 in host order, 0 for any
    int receive_buffer; // bytes, 0 for the system's
    int segment;        // TCP's maximum segment size, 0 for the system's
    const char *path;   // NULL: /ws
    bool deflate;       // offers permessage-deflate
    const char *client; // the id that it keeps over its connections, NULL for none
};

void connection_init(struct connection *c, struct loop *loop,
                     const struct connection_events *events);
// False when the system refuses at once (errno); then it is closed and no event follows.
bool connection_connect(struct connection *c, const struct target *target,
                        const struct connect_options *options);
void connection_send(struct connection *c, const char *text, size_t length);
// At once, by FIN or, with `reset`, by RST; what is still to be read is thrown away.
void connection_drop(struct connection *c, bool reset);
// A paused connection is not read.
void connection_pause(struct connection *c, bool paused);
