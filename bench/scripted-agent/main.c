// signalbox-scripted-agent: an ACP agent whose prompts say what it does. See README.md.
#define _GNU_SOURCE
#include "agent.h"
#include "host.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_NO_START = 3, EXIT_USAGE = 64 };

static void usage(FILE *to)
{
    fputs("usage: signalbox-scripted-agent [OPTION]...\n"
          "  An agent that speaks the Agent Client Protocol; a prompt is a script in JSON.\n"
          "  --no-start               exit with status 3 at once\n"
          "  --garbage-start          print lines that are not JSON first\n"
          "  --hang-initialize        never answer initialize\n"
          "  --new-fails CODE         answer session/new with this error\n"
          "  --auth-required          session/new works after authenticate {methodId:\"token\"} "
          "only\n"
          "  --update-before-response send an update of a session before the answer that names it\n"
          "  --load --state FILE      session/load, resume and list, over processes\n"
          "  --load-response-first    answer session/load before the replay\n"
          "  --modes, --models, --config-options   advertise some, and honour their changes\n"
          "  --ignore-eof, --ignore-term           do not end by these\n"
          "  --host SOCKET            play many agents: those of --played-by, and who connects to it\n"
          "  --played-by SOCKET       be played by that one\n",
          to);
}

static void read_options(struct options *o, int argc, char **argv)
{
    enum { NEW_FAILS = 1000, STATE, HOST, PLAYED_BY, HELP };
    bool unused = false;
    struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"no-start", &o->no_start},
        {"garbage-start", &o->garbage_start},
        {"hang-initialize", &o->hang_initialize},
        {"auth-required", &o->auth_required},
        {"update-before-response", &o->update_before_response},
        {"load", &o->load},
        {"load-response-first", &o->load_response_first},
        {"modes", &o->modes},
        {"models", &o->models},
        {"config-options", &o->config_options},
        {"ignore-eof", &o->ignore_eof},
        {"ignore-term", &o->ignore_term},
        {NULL, &unused},
    };
    enum { FLAGS = sizeof flags / sizeof flags[0] - 1 };
    struct option table[FLAGS + 6] = {{0}};
    for (int i = 0; i < FLAGS; i++) {
        table[i] = (struct option){flags[i].name, no_argument, NULL, i};
    }
    table[FLAGS] = (struct option){"new-fails", required_argument, NULL, NEW_FAILS};
    table[FLAGS + 1] = (struct option){"state", required_argument, NULL, STATE};
    table[FLAGS + 2] = (struct option){"host", required_argument, NULL, HOST};
    table[FLAGS + 3] = (struct option){"played-by", required_argument, NULL, PLAYED_BY};
    table[FLAGS + 4] = (struct option){"help", no_argument, NULL, HELP};
    int chosen;
    while ((chosen = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (chosen >= 0 && chosen < FLAGS) {
            *flags[chosen].flag = true;
        } else if (chosen == NEW_FAILS) {
            o->new_fails = true;
            o->new_fails_code = atoi(optarg);
        } else if (chosen == STATE) {
            o->state = optarg;
        } else if (chosen == HOST) {
            o->host = optarg;
        } else if (chosen == PLAYED_BY) {
            o->played_by = optarg;
        } else {
            usage(chosen == HELP ? stdout : stderr);
            exit(chosen == HELP ? 0 : EXIT_USAGE);
        }
    }
    if (optind < argc || (o->load && o->state == NULL)) {
        usage(stderr);
        exit(EXIT_USAGE);
    }
}

// Returns false at the end of the input.
static bool wait_for_something(struct wire *w, bool ended, int64_t wake)
{
    size_t pending = wire_pending(w);
    struct pollfd fds[2] = {
        {.fd = ended ? -1 : STDIN_FILENO, .events = POLLIN},
        {.fd = pending > 0 ? STDOUT_FILENO : -1, .events = POLLOUT},
    };
    struct timespec limit;
    struct timespec *timeout = NULL;
    // With a full batch waiting no turn could go on, whatever the time says.
    if (wake != INT64_MAX && pending < AGENT_BATCH) {
        int64_t left = wake - agent_now();
        left = left < 0 ? 0 : left;
        limit = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        timeout = &limit;
    }
    if (ppoll(fds, 2, timeout, NULL) > 0 && !ended && fds[0].revents != 0) {
        return wire_fill(w) != 0;
    }
    return true;
}

static void serve(struct agent *a)
{
    bool ended = false;
    int64_t wake = INT64_MAX;
    while (!ended || a->options->ignore_eof) {
        wire_flush(a->wire);
        ended = !wait_for_something(a->wire, ended, wake) || ended;
        rpc_take(a->rpc);
        wake = agent_run(a, agent_now());
    }
    wire_flush(a->wire);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    read_options(&o, argc, argv);
    if (o.no_start) {
        fprintf(stderr, "signalbox-scripted-agent: does not start, as asked\n");
        return EXIT_NO_START;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); // what a script spawned is nobody's to wait for
    if (o.ignore_term) {
        signal(SIGTERM, SIG_IGN);
    }
    if (o.played_by != NULL) {
        return host_play(o.played_by);
    }
    if (o.host != NULL) {
        return host_serve(o.host, &o);
    }
    struct agent a = {.options = &o, .wire = wire_new(STDIN_FILENO, STDOUT_FILENO)};
    if (a.wire == NULL || (a.rpc = rpc_new(a.wire, &agent_handler, &a)) == NULL) {
        fprintf(stderr, "signalbox-scripted-agent: out of memory\n");
        wire_free(a.wire);
        return 1;
    }
    if (o.garbage_start) {
        static const char noise[] = "Loading ...\n{\"not\": json\n[1, 2, 3]\n\"text\"\n\n";
        wire_put(a.wire, noise, sizeof noise - 1);
    }
    serve(&a);
    agent_release(&a);
    rpc_free(a.rpc);
    wire_free(a.wire);
    return 0;
}
