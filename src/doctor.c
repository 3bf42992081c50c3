#include "doctor.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "doctor_agents.h"
#include "doctor_system.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"
#include "signalbox/share/config.h"

enum { EXIT_USAGE = 2, CHECKS = DOCTOR_SYSTEM_CHECKS + 1 };

static const char usage[] =
    "Usage: signalbox doctor [--config FILE] [--set KEY=VALUE]... [--agent NAME]... [--json]\n"
    "\n"
    "Looks whether what a server would need works: the configuration, its folders, the store, the address. Starts each\n"
    "agent that is installed as the server would, in an empty folder, and says what it answers and what it can do.\n"
    "Changes nothing; nothing is prompted.\n"
    "\n"
    "  --config FILE     the configuration, as for `signalbox serve`\n"
    "  --set KEY=VALUE   as for `signalbox serve`\n"
    "  --agent NAME      this agent only; may be repeated\n"
    "  --json            the report as JSON, with the agents' own answers\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 if all that is installed works, 1 if something does not, 2 for wrong usage.\n";

struct request {
    const char *file;
    char **sets, **names; /* room for one an argument */
    int set_count, name_count;
    bool json;
};

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"set", required_argument, NULL, 's'},
                                            {"agent", required_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            request->file = optarg;
            break;
        case 's':
            request->sets[request->set_count++] = optarg;
            break;
        case 'a':
            request->names[request->name_count++] = optarg;
            break;
        case 'j':
            request->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "signalbox: unexpected argument: %s\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return -1;
}

static enum err load(const struct request *request, struct config **config, char **why)
{
    struct config_source source = {0};
    struct config_error error = {0};
    enum err err = config_source_init(&source, request->file);
    for (int i = 0; !err && i < request->set_count; i++) {
        err = config_source_set(&source, request->sets[i]);
    }
    if (!err) {
        err = config_load(config, &source, NULL, &error);
    }
    *why = err ? config_error_text(&error) : NULL;
    config_error_free(&error);
    config_source_free(&source);
    return err;
}

/* Those that are asked for, or all. False: one of them is not configured, which was said. */
static bool choose_agents(const struct request *request, const struct config *config, struct doctor_report *report)
{
    size_t count = request->name_count ? (size_t)request->name_count : config->agent_count;
    report->agents = calloc(count + 1, sizeof(*report->agents));
    for (size_t i = 0; report->agents && i < count; i++) {
        const char *name = request->name_count ? request->names[i] : config->agents[i].name;
        if (!config_agent(config, name)) {
            fprintf(stderr, "signalbox: no agent of the name %s is configured\n", name);
            return false;
        }
        report->agents[i].name = strdup(name);
        report->agent_count++;
        if (!report->agents[i].name) {
            fputs("signalbox: out of memory\n", stderr);
            return false;
        }
    }
    return report->agents != NULL;
}

static int print(const struct doctor_report *report, bool json)
{
    struct buffer out = {0};
    if (json) {
        doctor_write_json(&out, report);
    } else {
        doctor_write_text(&out, report);
    }
    bool fine = buffer_ok(&out) && fwrite(out.data, 1, out.length, stdout) == out.length && fflush(stdout) == 0;
    buffer_free(&out);
    return fine && doctor_is_well(report) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Ctrl-C is a descriptor from here on, so that no agent is left behind. */
static int take_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int examine(const struct request *request, const struct config *config, struct doctor_report *report)
{
    int signal_fd = take_signals();
    doctor_check_system(config, report->checks + 1);
    report->check_count = CHECKS;
    bool interrupted = false;
    enum err err = doctor_try_agents(config, report->agents, report->agent_count, signal_fd, &interrupted);
    fd_close(signal_fd);
    if (err) {
        fprintf(stderr, "signalbox: the agents cannot be tried: %s\n", err_text(err));
        return EXIT_FAILURE;
    }
    int status = print(report, request->json);
    return interrupted ? EXIT_FAILURE : status;
}

static int run(const struct request *request)
{
    struct doctor_check checks[CHECKS] = {{.name = "configuration"}};
    struct doctor_report report = {.checks = checks, .check_count = 1};
    struct config *config = NULL;
    int status;
    if (load(request, &config, &checks[0].text)) {
        checks[0].state = DOCTOR_FAILED;
        status = print(&report, request->json);
    } else if (!choose_agents(request, config, &report)) {
        status = EXIT_USAGE;
    } else {
        checks[0].text = strdup(config->file ? config->file : "built in");
        status = examine(request, config, &report);
    }
    for (size_t i = 0; i < CHECKS; i++) {
        free(checks[i].text);
    }
    for (size_t i = 0; i < report.agent_count; i++) {
        doctor_agent_clear(&report.agents[i]);
    }
    free(report.agents);
    config_put(config);
    return status;
}

int doctor_main(int argc, char **argv)
{
    struct request request = {.sets = calloc((size_t)argc, sizeof(*request.sets)),
                              .names = calloc((size_t)argc, sizeof(*request.names))};
    int status = EXIT_FAILURE;
    if (!request.sets || !request.names) {
        fputs("signalbox: out of memory\n", stderr);
    } else {
        status = read_arguments(argc, argv, &request);
        if (status < 0) {
            thread_adopt(THREAD_MAIN, -1);
            status = rcu_thread_enter() ? EXIT_FAILURE : run(&request);
        }
    }
    free(request.sets);
    free(request.names);
    return status;
}
