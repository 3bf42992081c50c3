#include "check_config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "signalbox/base/buffer.h"
#include "signalbox/share/config.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: signalbox check-config [[--config] FILE] [--set KEY=VALUE]...\n"
    "\n"
    "Says what is wrong with a configuration, or which agents it has, and starts nothing.\n"
    "\n"
    "  --config FILE     the file to check; without it, the built-in defaults\n"
    "  --set KEY=VALUE   as for `signalbox serve`\n"
    "  --print-docs      print docs/configuration.md, which is made from the table of options\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 if it is fine, 1 if it is refused, 2 for wrong usage.\n";

struct request {
    const char *file;
    char **sets; /* room for one an argument */
    int set_count;
};

static int print_docs(void)
{
    struct buffer docs = {0};
    config_write_docs(&docs);
    bool fine = buffer_ok(&docs) && fwrite(docs.data, 1, docs.length, stdout) == docs.length &&
                fflush(stdout) == 0;
    buffer_free(&docs);
    if (!fine) {
        fputs("signalbox: the documentation cannot be written\n", stderr);
    }
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_agents(const struct config *config)
{
    for (size_t i = 0; i < config->agent_count; i++) {
        const struct config_agent *agent = &config->agents[i];
        char reason[CONFIG_REASON_SIZE];
        if (config_agent_available(config, agent, reason)) {
            printf("agent %s: available\n", agent->name);
        } else if (agent->install != NULL) {
            printf("agent %s: not available: %s (%s)\n", agent->name, reason, agent->install);
        } else {
            printf("agent %s: not available: %s\n", agent->name, reason);
        }
    }
    if (config->workspace_roots.count == 0) {
        puts("note: no workspace-roots are configured, so no session can be created");
    }
}

static int report(const struct config_error *error)
{
    char *text = config_error_text(error);
    fprintf(stderr, "signalbox: %s\n", text != NULL ? text : "out of memory");
    free(text);
    return EXIT_FAILURE;
}

static int check(const struct config_source *source)
{
    struct config *config = NULL;
    struct config_error error = {0};
    if (config_load(&config, source, NULL, &error) != ERR_OK) {
        int status = report(&error);
        config_error_free(&error);
        return status;
    }
    printf("%s: ok\n", config->file != NULL ? config->file : "built-in configuration");
    print_agents(config);
    config_put(config);
    return EXIT_SUCCESS;
}

static int check_request(const struct request *request)
{
    struct config_source source;
    enum err err = config_source_init(&source, request->file);
    for (int i = 0; err == ERR_OK && i < request->set_count; i++) {
        err = config_source_set(&source, request->sets[i]);
    }
    int status = err == ERR_OK ? check(&source) : report(&(struct config_error){0});
    config_source_free(&source);
    return status;
}

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},
        {"print-docs", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            request->file = optarg;
            break;
        case 's':
            request->sets[request->set_count++] = optarg;
            break;
        case 'd':
            return print_docs();
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc && request->file == NULL) {
        request->file = argv[optind++];
    }
    if (optind < argc) {
        fprintf(stderr, "signalbox: unexpected argument: %s\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return -1;
}

int check_config_main(int argc, char **argv)
{
    struct request request = {.sets = calloc((size_t)argc, sizeof(*request.sets))};
    if (request.sets == NULL) {
        return report(&(struct config_error){0});
    }
    int status = read_arguments(argc, argv, &request);
    if (status < 0) {
        status = check_request(&request);
    }
    free(request.sets);
    return status;
}
