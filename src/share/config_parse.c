/*
 * The only file that knows libconfuse. It is given every option as text, so that values from the
 * file and from --set go through one conversion (config_build.c).
 *
 * Its quirks: its lexer is global, so one thread parses at a time; error and value callbacks get no
 * pointer of ours; it replaces ${NAME} by the environment's in unquoted and double-quoted text; it
 * takes the last of two equal scalars silently; it drops characters that it does not know.
 */
#include "config_private.h"

#include <confuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    struct config_draft *draft;
    struct config_error *error;
    const char *file;
    /* The section that is being read, and the lines on which it has its options. */
    const cfg_t *section;
    int section_lines[CONFIG_AGENT_OPTION_COUNT];
} parse;

__attribute__((format(printf, 2, 0))) static void
parse_error(cfg_t *cfg, const char *format, va_list arguments)
{
    char reason[CONFIG_REASON_SIZE];
    vsnprintf(reason, sizeof(reason), format, arguments);
    (void)config_error_set(parse.error, ERR_SYNTAX, parse.file, cfg->line, "%s", reason);
}

static bool is_list(const cfg_opt_t *option)
{
    return (option->flags & CFGF_LIST) != 0;
}

/* Notes the line; -1 when a scalar stands twice. */
static int note_line(cfg_t *cfg, const cfg_opt_t *option, int *line)
{
    if (*line != 0 && !is_list(option)) {
        cfg_error(cfg, "%s is set twice, first on line %d", option->name, *line);
        return -1;
    }
    *line = cfg->line;
    return 0;
}

static int take_option(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
    struct config_raw *raw = &parse.draft->options[config_option_find(option->name)];
    *(const char **)result = value;
    return note_line(cfg, option, &raw->line);
}

static int agent_option_index(const char *key)
{
    int index = 0;
    while (strcmp(config_agent_options[index].key, key) != 0) {
        index++;
    }
    return index;
}

static int take_agent_option(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
    if (parse.section != cfg) {
        parse.section = cfg;
        memset(parse.section_lines, 0, sizeof(parse.section_lines));
    }
    *(const char **)result = value;
    return note_line(cfg, option, &parse.section_lines[agent_option_index(option->name)]);
}

/* Called at the end of each section, and with the root as cfg: its lines are known only until the
 * next one begins. */
static int take_agent_end(cfg_t *cfg, cfg_opt_t *option)
{
    const cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    struct config_draft *draft = parse.draft;
    struct config_raw_agent *agents =
        realloc(draft->agents, (draft->agent_count + 1) * sizeof(*agents));
    if (agents == NULL) {
        cfg_error(cfg, "out of memory");
        return -1;
    }
    draft->agents = agents;
    struct config_raw_agent *agent = &agents[draft->agent_count];
    *agent = (struct config_raw_agent){.line = section->line};
    for (int i = 0; parse.section == section && i < CONFIG_AGENT_OPTION_COUNT; i++) {
        agent->options[i].line = parse.section_lines[i];
    }
    parse.section = NULL;
    draft->agent_count++;
    return 0;
}

static cfg_opt_t text_option(const char *key, bool list, cfg_callback_t take)
{
    cfg_opt_t scalar = CFG_STR_CB(key, NULL, CFGF_NODEFAULT, take);
    cfg_opt_t items = CFG_STR_LIST_CB(key, NULL, CFGF_NODEFAULT, take);
    return list ? items : scalar;
}

static enum err copy_values(struct config_raw *raw, cfg_opt_t *option)
{
    for (unsigned int i = 0; i < cfg_opt_size(option); i++) {
        enum err err = config_list_add(&raw->values, cfg_opt_getnstr(option, i));
        if (err != ERR_OK) {
            return err;
        }
    }
    /* An empty list has no value and so no line, but it was written. */
    raw->given = raw->line != 0 || (option->flags & CFGF_MODIFIED) != 0;
    return ERR_OK;
}

static enum err copy_agent(struct config_raw_agent *agent, cfg_t *section)
{
    agent->name = strdup(cfg_title(section));
    enum err err = agent->name != NULL ? ERR_OK : ERR_NOMEM;
    for (int i = 0; err == ERR_OK && i < CONFIG_AGENT_OPTION_COUNT; i++) {
        err = copy_values(&agent->options[i], cfg_getopt(section, config_agent_options[i].key));
    }
    return err;
}

static enum err copy_draft(cfg_t *cfg)
{
    enum err err = ERR_OK;
    for (int i = 0; err == ERR_OK && i < CONFIG_OPTION_COUNT; i++) {
        err = copy_values(&parse.draft->options[i], cfg_getopt(cfg, config_options[i].key));
    }
    for (unsigned int i = 0; err == ERR_OK && i < parse.draft->agent_count; i++) {
        err = copy_agent(&parse.draft->agents[i], cfg_getnsec(cfg, "agent", i));
    }
    return err;
}

static enum err parse_text(cfg_t *cfg, const char *text)
{
    cfg_set_error_function(cfg, parse_error);
    cfg_set_validate_func(cfg, "agent", take_agent_end);
    if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
        return config_error_set(parse.error, ERR_SYNTAX, parse.file, cfg->line, "cannot be parsed");
    }
    return copy_draft(cfg);
}

enum err config_parse(struct config_draft *draft, char *text, const char *file,
                      struct config_error *error)
{
    enum err err = config_scan(text, file, error);
    if (err != ERR_OK) {
        return err;
    }
    cfg_opt_t agent_options[CONFIG_AGENT_OPTION_COUNT + 1] = {0};
    for (int i = 0; i < CONFIG_AGENT_OPTION_COUNT; i++) {
        bool list = strcmp(config_agent_options[i].type, "list") == 0;
        agent_options[i] = text_option(config_agent_options[i].key, list, take_agent_option);
    }
    cfg_opt_t options[CONFIG_OPTION_COUNT + 2] = {0};
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        options[i] = text_option(config_options[i].key, config_type_is_list(config_options[i].type),
                                 take_option);
    }
    cfg_opt_t agents =
        CFG_SEC("agent", agent_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    options[CONFIG_OPTION_COUNT] = agents;

    pthread_mutex_lock(&confuse_lock);
    parse.draft = draft;
    parse.error = error;
    parse.file = file;
    parse.section = NULL;
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    err = cfg != NULL ? parse_text(cfg, text) : ERR_NOMEM;
    if (cfg != NULL) {
        cfg_free(cfg);
    }
    pthread_mutex_unlock(&confuse_lock);
    return err;
}
