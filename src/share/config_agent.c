#define _GNU_SOURCE
/* What an agent gets: its program and its environment. */
#include "config_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

const struct config_agent *config_agent(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->agent_count; i++) {
        if (strcmp(config->agents[i].name, name) == 0) {
            return &config->agents[i];
        }
    }
    return NULL;
}

static bool same_key(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strncmp(a, b, length) == 0 && b[length] == '=';
}

/* The last one counts where a key stands twice, as in a shell. */
static const char *laid_over(const struct config_agent *agent, const char *entry, size_t from)
{
    const char *found = NULL;
    for (size_t i = from; i < agent->environment.count; i++) {
        if (same_key(entry, agent->environment.items[i])) {
            found = agent->environment.items[i];
        }
    }
    return found;
}

static const char *agent_path(const struct config_agent *agent)
{
    const char *own = laid_over(agent, "PATH=", 0);
    const char *inherited = getenv("PATH");
    return own != NULL ? own + strlen("PATH=") : inherited != NULL ? inherited : default_path;
}

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && eaccess(path, X_OK) == 0;
}

static enum err try_program(const char *folder, size_t length, const char *name, char **program)
{
    if (asprintf(program, "%.*s/%s", (int)length, folder, name) < 0) {
        *program = NULL;
        return ERR_NOMEM;
    }
    if (is_program(*program)) {
        return ERR_OK;
    }
    free(*program);
    *program = NULL;
    return ERR_NOENT;
}

/* Empty and relative folders in PATH are left out: they would mean the workspace, which is not ours
 * to trust. */
static enum err search_path(const char *path, const char *name, char **program)
{
    enum err err = ERR_NOENT;
    while (err == ERR_NOENT && *path != '\0') {
        size_t length = strcspn(path, ":");
        if (path[0] == '/') {
            err = try_program(path, length, name, program);
        }
        path += length + (path[length] == ':');
    }
    return err;
}

enum err config_agent_program(const struct config *config, const struct config_agent *agent,
                              char **program, char reason[CONFIG_REASON_SIZE])
{
    const char *name = agent->command.items[0];
    char *found = NULL;
    enum err err;
    if (strchr(name, '/') != NULL) {
        found = strdup(name);
        err = found == NULL ? ERR_NOMEM : is_program(found) ? ERR_OK : ERR_NOENT;
    } else {
        err = search_path(agent_path(agent), name, &found);
        if (err == ERR_NOENT && config->program_dir != NULL) {
            err = try_program(config->program_dir, strlen(config->program_dir), name, &found);
        }
    }
    if (err == ERR_OK) {
        *program = found;
        return ERR_OK;
    }
    free(found);
    if (err == ERR_NOENT) {
        bool exists = strchr(name, '/') != NULL && access(name, F_OK) == 0;
        snprintf(reason, CONFIG_REASON_SIZE, "%s: %s",
                 exists ? "not a file that may be executed" : "command not found", name);
    } else {
        snprintf(reason, CONFIG_REASON_SIZE, "%s", err_text(err));
    }
    return err;
}

bool config_agent_available(const struct config *config, const struct config_agent *agent,
                            char reason[CONFIG_REASON_SIZE])
{
    char *program = NULL;
    if (config_agent_program(config, agent, &program, reason) != ERR_OK) {
        return false;
    }
    free(program);
    return true;
}

/* Entries are counted and measured in a first round (array NULL) and copied in a second one. */
struct environment {
    char **array;
    size_t count;
    char *text;
    size_t size;
};

static void put(struct environment *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct environment *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (to->array == NULL) {
        to->size += (size_t)vsnprintf(NULL, 0, format, arguments) + 1;
    } else {
        to->array[to->count] = to->text;
        to->text += vsprintf(to->text, format, arguments) + 1;
    }
    va_end(arguments);
    to->count++;
}

static void put_all(struct environment *to, const struct config *config,
                    const struct config_agent *agent)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        if (laid_over(agent, *entry, 0) == NULL && !same_key("PATH=", *entry)) {
            put(to, "%s", *entry);
        }
    }
    for (size_t i = 0; i < agent->environment.count; i++) {
        const char *entry = agent->environment.items[i];
        if (laid_over(agent, entry, i + 1) == NULL && !same_key("PATH=", entry)) {
            put(to, "%s", entry);
        }
    }
    const char *folder = config->program_dir;
    put(to, "PATH=%s%s%s", agent_path(agent), folder != NULL ? ":" : "",
        folder != NULL ? folder : "");
}

enum err config_agent_environment(const struct config *config, const struct config_agent *agent,
                                  char ***environment)
{
    struct environment measure = {0};
    put_all(&measure, config, agent);
    size_t pointers = (measure.count + 1) * sizeof(char *);
    char **array = malloc(pointers + measure.size);
    if (array == NULL) {
        return ERR_NOMEM;
    }
    struct environment copy = {.array = array, .text = (char *)array + pointers};
    put_all(&copy, config, agent);
    array[copy.count] = NULL;
    *environment = array;
    return ERR_OK;
}

static void digest_list(struct digest_work *work, const struct config_list *list)
{
    digest_i64(work, (int64_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        digest_text(work, list->items[i]);
    }
}

void config_agent_digest(const struct config_agent *agent, struct digest *out)
{
    const struct config_limits *limits = &agent->limits;
    const int64_t numbers[] = {limits->memory_bytes, limits->cpu_seconds, limits->open_files,
                               limits->file_bytes,   limits->nice,        limits->oom_score_adj,
                               agent->offers_fs,     agent->offers_terminal};
    struct digest_work work;
    digest_begin(&work);
    digest_list(&work, &agent->command);
    digest_list(&work, &agent->environment);
    for (size_t i = 0; i < array_size(numbers); i++) {
        digest_i64(&work, numbers[i]);
    }
    digest_end(&work, out);
}
