// signalbox-bench: many watchers of a Signalbox server, which check what they get while it is
// measured.
#define _GNU_SOURCE
#include "scenario.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_USAGE = 64, SETTINGS_MAX = 32 };

static const struct {
    const char *name;
    const char *question;
    int (*run)(const struct options *o);
    struct options defaults;
} scenarios[] = {
    {"breadth",
     "many sessions, a few watchers each: this server, the floor, or a peer",
     scenario_breadth,
     {.watchers = 10000, .sessions = 1000, .rate = 8, .size = 182, .seconds = 10, .hosted = true}},
    {"fanout",
     "one session, many watchers",
     scenario_fanout,
     {.watchers = 5000, .sessions = 1, .rate = 50, .size = 40, .seconds = 20, .hosted = true}},
    {"mixed",
     "agents that work as models do; watchers that come, go, read slowly and answer",
     scenario_mixed,
     {.watchers = 1000,
      .sessions = 100,
      .rate = 150,
      .size = 24,
      .seconds = 20,
      .churn = 12,
      .permissions = 1,
      .hosted = true}},
    {"idle",
     "connections that only wait, sessions that only lie in the store",
     scenario_idle,
     {.watchers = 15000, .sessions = 400, .rate = 1, .size = 1, .seconds = 10, .hosted = true}},
    {"back",
     "all come back at once, each missed a hundred events",
     scenario_back,
     {.watchers = 10000, .sessions = 100, .rate = 1, .size = 182, .gap = 100, .hosted = true}},
    {"permissions",
     "many agents ask: how long to the person, and back?",
     scenario_permissions,
     {.watchers = 1000, .sessions = 100, .rate = 5, .size = 1, .seconds = 10, .hosted = true}},
    {"commit",
     "how long a commit takes while many agents work",
     scenario_commit,
     {.watchers = 200, .sessions = 200, .rate = 150, .size = 24, .seconds = 20, .hosted = true}},
    {"growth",
     "the cost of an event and of a connection at 1, 4, 16 and 64 times of everything",
     scenario_growth,
     {.watchers = 100, .sessions = 10, .rate = 8, .size = 182, .seconds = 8, .hosted = true}},
    {"stalled",
     "do watchers that do not read cost the others anything?",
     scenario_stalled,
     {.watchers = 5000,
      .sessions = 1,
      .rate = 100,
      .size = 40,
      .stall = 40,
      .stalled = 100,
      .rounds = 1}},
    {"join",
     "joining a long session; coming back after a short gap",
     scenario_join,
     {.watchers = 1,
      .sessions = 1,
      .size = 2,
      .joins = 50,
      .deltas = 10000,
      .tools = 200,
      .gap = 5}},
    {"ring",
     "events a second through the whole server; latency at a rate that is no load",
     scenario_ring,
     {.watchers = 8,
      .sessions = 8,
      .rate = 2000,
      .size = 20,
      .seconds = 10,
      .deltas = 400000,
      .rounds = 1}},
    {"reconnect",
     "connections that break at random moments",
     scenario_reconnect,
     {.watchers = 400,
      .sessions = 20,
      .rate = 50,
      .size = 40,
      .seconds = 20,
      .churn = 60,
      .permissions = 1}},
    {"torture",
     "connections that break at every moment, and a server that is killed",
     scenario_torture,
     {.watchers = 200,
      .sessions = 50,
      .rate = 40,
      .seconds = 60,
      .churn = 60,
      .kills = 10,
      .pauses = "100:15"}},
    {"storm",
     "everybody comes back after a restart",
     scenario_storm,
     {.watchers = 9000, .sessions = 10, .rate = 10}},
    {"agents",
     "many agents that all stream: how late are their delta windows?",
     scenario_agents,
     {.watchers = 200, .sessions = 200, .rate = 50, .size = 20, .seconds = 20}},
    {"hostile",
     "do agents that misbehave cost the others anything?",
     scenario_hostile,
     {.watchers = 100,
      .sessions = 20,
      .rate = 50,
      .size = 40,
      .seconds = 10,
      .hostile = 8,
      .rounds = 1}},
    {"soak",
     "does the server grow, when all comes and goes?",
     scenario_soak,
     {.watchers = 100, .sessions = 20, .rate = 40, .seconds = 600, .churn = 20}},
};

enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static const struct option table[] = {
    {"server", required_argument, NULL, 'S'},
    {"peer", required_argument, NULL, 'R'},
    {"plain", no_argument, NULL, 'L'},
    {"url", required_argument, NULL, 'U'},
    {"token", required_argument, NULL, 'T'},
    {"agent", required_argument, NULL, 'A'},
    {"workspace", required_argument, NULL, 'W'},
    {"set", required_argument, NULL, 'O'},
    {"keep", required_argument, NULL, 'K'},
    {"watchers", required_argument, NULL, 'w'},
    {"sessions", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, 'r'},
    {"size", required_argument, NULL, 'z'},
    {"seconds", required_argument, NULL, 't'},
    {"warmup", required_argument, NULL, 'u'},
    {"stall", required_argument, NULL, 'l'},
    {"stalled", required_argument, NULL, 'n'},
    {"joins", required_argument, NULL, 'j'},
    {"rounds", required_argument, NULL, 'o'},
    {"deltas", required_argument, NULL, 'd'},
    {"tools", required_argument, NULL, 'c'},
    {"gap", required_argument, NULL, 'g'},
    {"churn", required_argument, NULL, 'x'},
    {"permissions", required_argument, NULL, 'p'},
    {"kills", required_argument, NULL, 'k'},
    {"pauses", required_argument, NULL, 'P'},
    {"hostile", required_argument, NULL, 'H'},
    {"kinds", required_argument, NULL, 'N'},
    {"addresses", required_argument, NULL, 'a'},
    {"handshakes", required_argument, NULL, 'i'},
    {"seed", required_argument, NULL, 'e'},
    {"deflate", no_argument, NULL, 'D'},
    {"while", required_argument, NULL, 'M'},
    {"json", no_argument, NULL, 'J'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void usage(FILE *to)
{
    fputs("usage: signalbox-bench SCENARIO [OPTION]...\n\n", to);
    for (size_t i = 0; i < SCENARIOS; i++) {
        fprintf(to, "  %-12s %s\n", scenarios[i].name, scenarios[i].question);
    }
    fputs(
        "\n"
        "  --server PATH       the server's program; by default the one beside this\n"
        "  --set KEY=VALUE     an option for it; may be repeated\n"
        "  --keep FOLDER       its data and log stay here; by default in a folder that is removed\n"
        "  --peer PROGRAM      another server that is started and measured instead: signalbox-floor, or\n"
        "                      a `start` of bench/peers; with\n"
        "  --plain             one that only sends on what this program publishes (breadth)\n"
        "  --url URL           a running server instead, http://ADDRESS:PORT; with\n"
        "  --token TOKEN, --agent NAME (scripted), --workspace FOLDER\n"
        "  --watchers N --sessions N          connections, spread over the sessions\n"
        "  --rate N --size BYTES --seconds S  chunks a second of a session (of all: ring), their "
        "size, how long\n"
        "  --warmup S          what is due in the first S seconds is not measured (1)\n"
        "  --stalled N --stall S              stalled: so many do not read for so long\n"
        "  --joins N --deltas N --tools N --gap N   join; --deltas also ring: events in all\n"
        "  --churn N --permissions 0|1        reconnect, torture, soak: drops a minute of a watcher; "
        "permission requests\n"
        "  --kills N           torture: how often the server is killed\n"
        "  --pauses PER_MILLE:MS              torture: of a server that was built with pauses\n"
        "  --hostile N --kinds KIND,...       hostile: so many agents of each kind; text, garbage ... "
        "(all)\n"
        "  --rounds N          stalled, ring, hostile: how often each, in turn (1)\n"
        "  --addresses N       so many source addresses from 127.0.1.1 on (100)\n"
        "  --handshakes N      at most so many upgrades at a time (32)\n"
        "  --deflate           watchers offer permessage-deflate (not those of torture, storm, soak)\n"
        "  --seed N            of texts and of what is random (1)\n"
        "  --while COMMAND     a command of the shell that runs while it is measured, with the server's process as\n"
        "                      $SERVER_PID (a profiler); then it gets SIGINT, for which `exec` lets it stand\n"
        "                      alone. Not: back, join, torture, storm, soak\n"
        "  --json              no table on stderr\n"
        "\n"
        "One line of JSON on stdout. The status is 1 when anything was wrong: a hole, a "
        "repetition, another text.\n",
        to);
}

static long whole(const char *name, const char *text, long least)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || number < least || number > 100000000) {
        fprintf(stderr, "signalbox-bench: --%s: not %s\n", name, text);
        exit(EXIT_USAGE);
    }
    return number;
}

static double seconds(const char *name, const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(number >= 0) || number > 86400) {
        fprintf(stderr, "signalbox-bench: --%s: not %s\n", name, text);
        exit(EXIT_USAGE);
    }
    return number;
}

static long *number_of(struct options *o, int option)
{
    switch (option) {
    case 'w':
        return &o->watchers;
    case 's':
        return &o->sessions;
    case 'r':
        return &o->rate;
    case 'z':
        return &o->size;
    case 'n':
        return &o->stalled;
    case 'j':
        return &o->joins;
    case 'o':
        return &o->rounds;
    case 'd':
        return &o->deltas;
    case 'c':
        return &o->tools;
    case 'g':
        return &o->gap;
    case 'x':
        return &o->churn;
    case 'p':
        return &o->permissions;
    case 'k':
        return &o->kills;
    case 'H':
        return &o->hostile;
    case 'a':
        return &o->addresses;
    case 'i':
        return &o->handshakes;
    default:
        return NULL;
    }
}

static void take_option(struct options *o, int option, const char *name, const char **settings,
                        size_t *count)
{
    long *number = number_of(o, option);
    if (number != NULL) {
        *number = whole(name, optarg, strchr("npck", option) != NULL ? 0 : 1);
        return;
    }
    switch (option) {
    case 'S':
        o->server = optarg;
        break;
    case 'R':
        o->peer = optarg;
        break;
    case 'L':
        o->plain = true;
        break;
    case 'U':
        o->url = optarg;
        break;
    case 'T':
        o->token = optarg;
        break;
    case 'A':
        o->agent = optarg;
        break;
    case 'W':
        o->workspace = optarg;
        break;
    case 'K':
        o->keep = optarg;
        break;
    case 'M':
        o->meanwhile = optarg;
        break;
    case 'O':
        if (*count + 1 < SETTINGS_MAX) {
            settings[(*count)++] = optarg;
        }
        break;
    case 't':
        o->seconds = seconds(name, optarg);
        break;
    case 'u':
        o->warmup = seconds(name, optarg);
        break;
    case 'l':
        o->stall = seconds(name, optarg);
        break;
    case 'N':
        o->kinds = optarg;
        break;
    case 'P':
        o->pauses = optarg;
        break;
    case 'e':
        o->seed = (uint32_t)whole(name, optarg, 0);
        break;
    case 'D':
        o->deflate = true;
        break;
    case 'J':
        o->json_only = true;
        break;
    default:
        usage(option == 'h' ? stdout : stderr);
        exit(option == 'h' ? 0 : EXIT_USAGE);
    }
}

// One for each watcher, and some: here, and in a server of its own as many again and a few for each agent.
static void raise_limit(const struct options *o)
{
    enum { BESIDE = 64 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && (rlim_t)o->watchers + BESIDE > limit.rlim_max) {
        die("%ld watchers need %ld descriptors, and a process may have %lu (ulimit -Hn): fewer "
            "--watchers, or a higher limit",
            o->watchers, o->watchers + BESIDE, (unsigned long)limit.rlim_max);
    }
}

int main(int argc, char **argv)
{
    const char *settings[SETTINGS_MAX] = {NULL};
    size_t count = 0;
    size_t chosen = 0;
    int option;
    int place;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    while (argc > 1 && chosen < SCENARIOS && strcmp(argv[1], scenarios[chosen].name) != 0) {
        chosen++;
    }
    if (argc < 2 || chosen == SCENARIOS) {
        usage(stderr);
        return EXIT_USAGE;
    }
    struct options o = scenarios[chosen].defaults;
    o.addresses = 100;
    o.handshakes = 32;
    o.seed = 1;
    o.warmup = 1;
    o.settings = settings;
    while ((option = getopt_long(argc - 1, argv + 1, "", table, &place)) != -1) {
        take_option(&o, option, option == '?' ? "" : table[place].name, settings, &count);
    }
    if (optind < argc - 1) {
        fprintf(stderr, "signalbox-bench: %s is no option\n\n", argv[optind + 1]);
        usage(stderr);
        return EXIT_USAGE;
    }
    if (o.url != NULL && o.workspace == NULL) {
        fprintf(stderr, "signalbox-bench: --url wants --workspace FOLDER, too: one on that machine, in which its "
                        "agents may work (workspace-roots)\n");
        return EXIT_USAGE;
    }
    if (o.agent == NULL) {
        o.agent = o.hosted && o.url == NULL ? "hosted" : "scripted";
    }
    o.watchers = o.watchers < o.sessions ? o.sessions : o.watchers;
    o.stalled = o.stalled < o.watchers ? o.stalled : o.watchers - 1;
    signal(SIGPIPE, SIG_IGN);
    signals_open();
    raise_limit(&o);
    return scenarios[chosen].run(&o);
}
