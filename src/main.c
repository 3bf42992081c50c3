#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "audit_command.h"
#include "check_config.h"
#include "doctor.h"
#include "replay/replay.h"
#include "schema.h"
#include "server.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/log.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "store_command.h"
#include "version.h"

/* A second SIGTERM or SIGINT ends the orderly stop. */
static volatile int hurry;

/* `serve`: what is stored is not what this server has written. Other failures are 1, wrong usage is 2. */
enum { EXIT_BROKEN = 3 };

static void print_serve_help(FILE *out)
{
    fputs("Usage: signalbox serve [--config FILE] [--listen HOST:PORT] [--data DIR] [--set KEY=VALUE]...\n"
          "\n"
          "Serves agents to browsers until SIGTERM or SIGINT; SIGHUP reads the configuration again.\n"
          "\n"
          "  --config FILE       the configuration (docs/configuration.md); without it, the defaults and the agent `shell`\n"
          "  --listen HOST:PORT  the address to serve, instead of the configured one (127.0.0.1:8080)\n"
          "  --data DIR          the folder of the journal; it is made if it is missing\n"
          "  --set KEY=VALUE     any other option, over the configuration's; repeat it to add to a list\n"
          "  --help              this text\n",
          out);
}

static enum err serve_arguments(int argc, char **argv, struct config_source *source, bool *help)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"set", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = NULL;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c') {
            file = optarg;
        } else if (option == 'h') {
            *help = true;
            return ERR_OK;
        } else if (option == '?') {
            return ERR_INVAL;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "signalbox serve: unexpected argument: %s\n", argv[optind]);
        return ERR_INVAL;
    }
    enum err err = config_source_init(source, file);
    optind = 1;
    for (int option; !err && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'l') {
            err = config_source_set_key(source, "listen", optarg);
        } else if (option == 'd') {
            err = config_source_set_key(source, "data", optarg);
        } else if (option == 's') {
            err = config_source_set(source, optarg);
        }
    }
    return err;
}

static void serve_until_signal(struct server *server, const sigset_t *signals)
{
    for (;;) {
        int signal_number = 0;
        if (sigwait(signals, &signal_number)) {
            continue;
        }
        if (signal_number == SIGHUP) {
            log_info("SIGHUP: reading the configuration again", NULL);
            server_reload(server);
            continue;
        }
        log_info("stopping", "signal", "%s", strsignal(signal_number), NULL);
        return;
    }
}

static void on_second_signal(int signal_number)
{
    (void)signal_number;
    hurry = 1;
}

/* What one thread allocates another frees, so free room lies about in all of glibc's arenas, of which it makes eight for each
 * core: memory went on to grow by some percent where nothing was kept (a soak shows it). With four, the threads that
 * allocate much still do not meet: fewer cost a third of the events a second at times. */
static void bound_arenas(void)
{
    enum { ARENAS = 4 };
#ifdef M_ARENA_MAX
    if (!getenv("MALLOC_ARENA_MAX")) {
        mallopt(M_ARENA_MAX, ARENAS); /* fails where the allocator is another one, which has its own ways */
    }
#endif
}

static int serve(const struct config_source *source)
{
    bound_arenas();
    /* Threads are born with these blocked; main takes them by sigwait. A closed pipe is an error to look at, no reason
     * to die. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a full disk, which the journal knows to wait out */

    struct config *config = NULL;
    struct config_error error = {0};
    if (config_load(&config, source, NULL, &error)) {
        char *text = config_error_text(&error);
        log_error("the configuration was refused", "reason", "%s", text ? text : "out of memory", NULL);
        free(text);
        config_error_free(&error);
        return EXIT_FAILURE;
    }
    fd_limit_raise();
    struct server *server = NULL;
    if (server_start(&server, config, source)) {
        return EXIT_FAILURE;
    }
    serve_until_signal(server, &signals);

    struct sigaction second = {.sa_handler = on_second_signal};
    sigaction(SIGTERM, &second, NULL);
    sigaction(SIGINT, &second, NULL);
    sigdelset(&signals, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    bool broken = server_broken(server);
    hurry |= broken; /* there is nothing to wait for: no agent's end can be recorded */
    server_stop(server, &hurry);
    log_info("stopped", NULL);
    return broken ? EXIT_BROKEN : EXIT_SUCCESS;
}

static int serve_main(int argc, char **argv)
{
    struct config_source source = {0};
    bool help = false;
    enum err err = serve_arguments(argc, argv, &source, &help);
    if (help) {
        print_serve_help(stdout);
        config_source_free(&source);
        return EXIT_SUCCESS;
    }
    int status = 2;
    if (err) {
        fprintf(stderr, "signalbox serve: wrong usage (%s)\n", err_text(err));
        print_serve_help(stderr);
    } else {
        thread_adopt(THREAD_MAIN, -1);
        if (rcu_thread_enter()) {
            log_error("out of memory", NULL);
            status = EXIT_FAILURE;
        } else {
            status = serve(&source);
        }
    }
    config_source_free(&source);
    return status;
}

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {"serve", "serve agents to browsers", serve_main},
    {"check-config", "say what serve would say about a configuration", check_config_main},
    {"doctor", "try the agents, and say whether what a server needs is well", doctor_main},
    {"store", "check or compact the store of a server that does not run", store_main},
    {"audit", "print who decided what, also while a server runs", audit_main},
    {"replay-agent", "play a recorded session as an agent, for tests and bug reports", replay_main},
    {"schema", "print the JSON Schema of all messages, or the OpenAPI description", schema_main},
};

static void print_help(FILE *out)
{
    fputs("Usage: signalbox SUBCOMMAND [OPTION]...\n\n", out);
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        fprintf(out, "  %-14s %s\n", subcommands[i].name, subcommands[i].about);
    }
    fputs("  --version      print the version\n"
          "  --help         this text; `signalbox SUBCOMMAND --help` says more\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        if (!strcmp(argv[1], subcommands[i].name)) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    if (!strcmp(argv[1], "--version")) {
        puts("signalbox " SIGNALBOX_VERSION);
        return EXIT_SUCCESS;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "signalbox: no such subcommand: %s\n\n", argv[1]);
    print_help(stderr);
    return 2;
}
