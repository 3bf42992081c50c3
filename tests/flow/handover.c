/* A socket is taken away from who believes to own it, and the peer notices nothing. */
#include "role/http_handover.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/fd.h"
#include "support/test.h"

struct pair {
    int listener, client, server;
    int server_port, client_port;
};

static int port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &length)) {
        abort();
    }
    return ntohs(address.sin_port);
}

static struct pair connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct pair pair = {.listener = socket(AF_INET, SOCK_STREAM, 0),
                        .client = socket(AF_INET, SOCK_STREAM, 0)};
    if (bind(pair.listener, (struct sockaddr *)&address, length) || listen(pair.listener, 4) ||
        getsockname(pair.listener, (struct sockaddr *)&address, &length) ||
        connect(pair.client, (struct sockaddr *)&address, length)) {
        abort();
    }
    pair.server = accept(pair.listener, NULL, NULL);
    pair.server_port = port_of(pair.server);
    pair.client_port = port_of(pair.client);
    return pair;
}

static void end(struct pair *pair)
{
    fd_close(pair->listener);
    fd_close(pair->client);
    fd_close(pair->server);
}

static void the_socket_of_a_request_is_found(void)
{
    struct pair pair = connected(), other = connected();
    int fd = -1;
    CU_ASSERT_EQUAL(handover_find("127.0.0.1", pair.client_port, pair.server_port, &fd), ERR_OK);
    CU_ASSERT_EQUAL(fd, pair.server);
    CU_ASSERT_EQUAL(handover_find("127.0.0.1", other.client_port, other.server_port, &fd), ERR_OK);
    CU_ASSERT_EQUAL(fd, other.server);
    fd = -7;
    CU_ASSERT_EQUAL(handover_find("127.0.0.1", pair.client_port, other.server_port, &fd),
                    ERR_NOENT);
    CU_ASSERT_EQUAL(handover_find("127.0.0.2", pair.client_port, pair.server_port, &fd), ERR_NOENT);
    CU_ASSERT_EQUAL(handover_find("::1", pair.client_port, pair.server_port, &fd), ERR_NOENT);
    CU_ASSERT_EQUAL(handover_find("somewhere", pair.client_port, pair.server_port, &fd), ERR_INVAL);
    CU_ASSERT_EQUAL(fd, -7);
    end(&pair);
    end(&other);
}

static void two_that_look_alike_are_none(void)
{
    struct pair pair = connected();
    int twin = dup(pair.server), fd = -7;
    CU_ASSERT_EQUAL(handover_find("127.0.0.1", pair.client_port, pair.server_port, &fd), ERR_EXIST);
    CU_ASSERT_EQUAL(fd, -7);
    fd_close(twin);
    end(&pair);
}

static void one_above_the_floor_is_found_too(void)
{
    struct pair pair = connected();
    int fd = -1;
    pair.server = fd_lift(pair.server);
    CU_ASSERT_FATAL(pair.server >= FD_FLOOR);
    CU_ASSERT_EQUAL(handover_find("127.0.0.1", pair.client_port, pair.server_port, &fd), ERR_OK);
    CU_ASSERT_EQUAL(fd, pair.server);
    end(&pair);
}

/* What CivetWeb does to a connection that it believes to be its own. */
static void owner_closes(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void the_peer_notices_nothing(void)
{
    struct pair pair = connected();
    char text[16] = "";
    int ours = -1;
    CU_ASSERT_EQUAL_FATAL(handover_take(pair.server, &ours), ERR_OK);
    CU_ASSERT_TRUE(ours >= FD_FLOOR);
    CU_ASSERT_TRUE(fcntl(ours, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT_TRUE(fcntl(ours, F_GETFL) & O_NONBLOCK);
    owner_closes(pair.server);
    pair.server = -1;

    CU_ASSERT_TRUE(fcntl(ours, F_GETFL) &
                   O_NONBLOCK); /* the stand-in was made blocking, not ours */
    CU_ASSERT_EQUAL(write(pair.client, "to", 2), 2);
    struct pollfd wait = {.fd = ours, .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&wait, 1, -1), 1);
    CU_ASSERT_EQUAL(read(ours, text, sizeof(text)), 2);
    CU_ASSERT_EQUAL(write(ours, "from", 4), 4);
    CU_ASSERT_EQUAL(read(pair.client, text, sizeof(text)), 4);
    fd_close(ours);
    CU_ASSERT_EQUAL(read(pair.client, text, sizeof(text)), 0); /* only now it is over */
    end(&pair);
}

static void a_failure_leaves_everything_as_it_was(void)
{
    int ours = -7;
    CU_ASSERT_NOT_EQUAL(handover_take(-1, &ours), ERR_OK);
    CU_ASSERT_EQUAL(ours, -7);
}

static void hushed_connections_wait_no_longer(void)
{
    struct pair pair = connected(), other = connected();
    char byte;
    handover_hush(pair.server_port);
    CU_ASSERT_EQUAL(read(pair.server, &byte, 1), 0);
    CU_ASSERT_EQUAL(write(pair.server, "x", 1), 1); /* an answer still gets out */
    CU_ASSERT_EQUAL(read(pair.client, &byte, 1), 1);
    CU_ASSERT_EQUAL(accept(pair.listener, NULL, NULL), -1);
    CU_ASSERT_EQUAL(write(other.client, "y", 1), 1);
    CU_ASSERT_EQUAL(read(other.server, &byte, 1), 1);
    end(&pair);
    end(&other);
}

TEST_MAIN("handover", TEST(the_socket_of_a_request_is_found), TEST(two_that_look_alike_are_none),
          TEST(one_above_the_floor_is_found_too), TEST(the_peer_notices_nothing),
          TEST(a_failure_leaves_everything_as_it_was), TEST(hushed_connections_wait_no_longer))
