#include "store_command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_folder.h"
#include "signalbox/store/store.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: signalbox store check [--config FILE] [--data DIR]\n"
    "       signalbox store compact [--config FILE] [--data DIR]\n"
    "\n"
    "check looks at every page, session and event of the store and says what is wrong with it; it changes nothing.\n"
    "compact gives the room of what was removed back to the file system.\n"
    "Neither works while a server runs on the folder.\n"
    "\n"
    "  --config FILE     where the folder is named (`data`), as for `signalbox serve`\n"
    "  --data DIR        the folder itself\n"
    "  --help            print this\n"
    "\n"
    "Exit status: 0 if it is fine, 1 if it is not or cannot be used, 2 for wrong usage.\n";

static void tell(void *context, const char *problem)
{
    (void)context;
    printf("problem: %s\n", problem);
}

static int failed(const char *why)
{
    fflush(stdout);
    fprintf(stderr, "signalbox: %s\n", why);
    return EXIT_FAILURE;
}

static int check(const char *folder)
{
    struct store_sizes sizes = {0};
    size_t problems = 0;
    char why[1024] = "";
    if (store_sqlite_check(folder, tell, NULL, &sizes, &problems, why, sizeof(why))) {
        return failed(why);
    }
    if (problems > STORE_PROBLEMS_MAX) {
        printf("and %zu more\n", problems - STORE_PROBLEMS_MAX);
    }
    printf("%s: %lld sessions, %lld events, %lld bytes: ", folder, (long long)sizes.sessions, (long long)sizes.events,
           (long long)sizes.bytes);
    if (!problems) {
        puts("ok");
        return EXIT_SUCCESS;
    }
    printf("%zu problem%s\n", problems, problems == 1 ? "" : "s");
    return EXIT_FAILURE;
}

static int compact(const char *folder)
{
    struct store_sizes before, after;
    char why[1024] = "";
    if (store_sqlite_compact(folder, &before, &after, why, sizeof(why))) {
        return failed(why);
    }
    printf("%s: %lld bytes before, %lld after\n", folder, (long long)before.bytes, (long long)after.bytes);
    return EXIT_SUCCESS;
}

static int run(const char *action, const char *file, const char *data)
{
    char *folder = data ? strdup(data) : data_folder(file);
    if (!folder) {
        return EXIT_FAILURE;
    }
    int status = strcmp(action, "check") ? compact(folder) : check(folder);
    free(folder);
    return fflush(stdout) ? EXIT_FAILURE : status;
}

int store_main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = NULL, *data = NULL;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'd':
            data = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    bool known = optind < argc && (!strcmp(argv[optind], "check") || !strcmp(argv[optind], "compact"));
    if (argc - optind != 1 || !known) {
        const char *odd = known ? argv[optind + 1] : argv[optind]; /* NULL: there is none */
        fprintf(stderr, "signalbox store: %s%s\n\n%s", odd ? "unexpected argument: " : "check or compact?", odd ? odd : "",
                usage);
        return EXIT_USAGE;
    }
    return run(argv[optind], file, data);
}
