#include "schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "signalbox/base/buffer.h"
#include "signalbox/core/command.h"
#include "signalbox/core/dialect.h"

static const char usage[] =
    "Usage: signalbox schema [--openapi | --dialect NAME]\n"
    "\n"
    "Prints the JSON Schema (2020-12) of every message between server and clients; it is made from the tables that the\n"
    "server checks messages with.\n"
    "\n"
    "  --openapi       print the OpenAPI 3.1 description of the HTTP paths instead, as GET /openapi.json does\n"
    "  --dialect NAME  print what clients of this dialect say instead: claudecodeui or factory-factory (docs/dialects.md)\n"
    "  --help          print this\n";

static const struct dialect *find(const char *name)
{
    for (size_t i = 0; i < dialect_count(); i++) {
        if (!strcmp(dialect_at(i)->name, name) && !dialect_at(i)->native) {
            return dialect_at(i);
        }
    }
    return NULL;
}

static int wrong(const char *what, const char *word)
{
    fprintf(stderr, "signalbox schema: %s%s\n\n%s", what, word, usage);
    return 2;
}

int schema_main(int argc, char **argv)
{
    bool openapi = false;
    const struct dialect *dialect = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            fputs(usage, stdout);
            return 0;
        }
        if (!strcmp(argv[i], "--dialect")) {
            if (i + 1 == argc) {
                return wrong("--dialect needs a name", "");
            }
            dialect = find(argv[++i]);
            if (!dialect) {
                return wrong("no dialect with messages of its own: ", argv[i]);
            }
            continue;
        }
        if (strcmp(argv[i], "--openapi")) {
            return wrong("unknown argument: ", argv[i]);
        }
        openapi = true;
    }
    if (dialect && openapi) {
        return wrong("either --openapi or --dialect", "");
    }
    struct buffer out = {0};
    if (dialect) {
        dialect_schema_write(&out, dialect);
    } else if (openapi) {
        openapi_write(&out, SIGNALBOX_VERSION);
    } else {
        schema_write(&out);
    }
    buffer_byte(&out, '\n');
    bool ok = buffer_ok(&out) && fwrite(out.data, 1, out.length, stdout) == out.length && !fflush(stdout);
    if (!ok) {
        perror("signalbox schema");
    }
    buffer_free(&out);
    return ok ? 0 : 1;
}
