/* docs/configuration.md, from the table. */
#include "config_private.h"

#include <inttypes.h>
#include <string.h>

static const char intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by `signalbox check-config --print-docs`; a test compares. -->\n"
    "\n"
    "`signalbox serve --config FILE` reads a file like `conf/signalbox.conf`. Without `--config` "
    "every option has its\n"
    "default and there is one agent, `shell`. `signalbox check-config --config FILE` says what is "
    "wrong with a file\n"
    "and which agents are installed, and starts nothing.\n"
    "\n"
    "```\n"
    "# A comment. // and /* */ work too.\n"
    "listen = \"127.0.0.1:8080\"\n"
    "workspace-roots = {\"/srv/work\", \"~/projects\"}\n"
    "max-message-bytes = 2M\n"
    "\n"
    "agent opencode {\n"
    "    command = {\"opencode\", \"acp\"}\n"
    "    environment = {\"NO_COLOR=1\"}\n"
    "    permission-timeout-ms = 300000\n"
    "}\n"
    "```\n"
    "\n"
    "- A value with other characters than letters, digits and `. - _ / :` stands in quotes. In "
    "double quotes a backslash\n"
    "  escapes the next character and `${NAME}` is replaced by the server's environment variable; "
    "in single quotes\n"
    "  both stand as they are written.\n"
    "- A list stands in braces. `key += {...}` adds to what the file said before.\n"
    "- Bytes may be written with `K`, `M` or `G` (powers of 1024). Times are in milliseconds.\n"
    "- A path that begins with `~/` starts at the home folder; a relative path in the file starts "
    "at the file's folder.\n"
    "- `--set KEY=VALUE` overrides the file, also after it was changed. For a list, the first "
    "`--set` replaces what the\n"
    "  file has, and each later one adds an item. Relative paths start at the working directory. "
    "`--listen` and `--data`\n"
    "  are the same as `--set` with these keys.\n"
    "- An unknown key, a key that is set twice and a value out of bounds are errors, with file and "
    "line.\n"
    "\n"
    "The files (configuration, tokens, theme) are watched. A change is checked as a whole: if it "
    "is good, it is in force\n"
    "at once and every client is told; if it is not, everything stays as it was, and the log and "
    "`/readyz` say why. An\n"
    "option without \"yes\" under *reload* keeps the value that the server was started with, and "
    "the log says that a\n"
    "restart is needed.\n"
    "\n"
    "## Options\n"
    "\n"
    "| key | type | default | bounds | reload | meaning |\n"
    "|---|---|---|---|---|---|\n";

static const char agents_intro[] = "\n"
                                   "## Agents\n"
                                   "\n"
                                   "Each `agent NAME { ... }` is an agent that people can choose. "
                                   "A name is made of letters, digits, `-`, `_` and `.`.\n"
                                   "An agent gets the server's environment with its own "
                                   "`environment` laid over it. One whose program is not found\n"
                                   "is shown as not available, with its `install` command. Without "
                                   "any such section there is one agent, `shell`.\n"
                                   "\n"
                                   "| key | type | default | meaning |\n"
                                   "|---|---|---|---|\n";

static const char tokens_text[] = "\n"
                                  "## The tokens file\n"
                                  "\n"
                                  "```\n"
                                  "# USER TOKEN\n"
                                  "ada   3q2-8wz0n5yTqkXn0b1v7c4m\n"
                                  "```\n"
                                  "\n"
                                  "A user is made of letters, digits, `.`, `_`, `@` and `-`; a "
                                  "token has at least 16 characters and no spaces. A user may\n"
                                  "have several. `openssl rand -base64 24` makes a good one. The "
                                  "file must belong to its owner alone (`chmod 600`). Tokens\n"
                                  "are kept in memory as their SHA-256 only; taking a line out of "
                                  "the file ends the logins that were made with it.\n";

static const char *type_name(enum config_type type)
{
    static const char *const names[] = {
        [CONFIG_BOOL] = "true or false",
        [CONFIG_COUNT] = "number",
        [CONFIG_MS] = "milliseconds",
        [CONFIG_BYTES] = "bytes",
        [CONFIG_LEVEL] = "level",
        [CONFIG_DURABILITY] = "process or power",
        [CONFIG_WRITES] = "auto, io_uring or send",
        [CONFIG_ACTION] = "reject or cancel",
        [CONFIG_POLICY] = "ask, read-only or trust",
        [CONFIG_ADDRESS] = "address",
        [CONFIG_PATH] = "path",
        [CONFIG_LIST] = "list",
        [CONFIG_PATHS] = "list of folders",
    };
    return names[type];
}

static void write_option(struct buffer *out, const struct config_option *option)
{
    buffer_format(out, "| `%s` | %s | ", option->key, type_name(option->type));
    if (*option->fallback != '\0') {
        buffer_format(out, "`%s`", option->fallback);
    }
    buffer_text(out, " | ");
    if (config_type_is_number(option->type)) {
        buffer_format(out, "%" PRId64 " to %" PRId64, option->minimum, option->maximum);
    }
    buffer_format(out, " | %s | %s |\n", option->when == CONFIG_RELOAD ? "yes" : "", option->help);
}

void config_write_docs(struct buffer *out)
{
    buffer_text(out, intro);
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        write_option(out, &config_options[i]);
    }
    buffer_text(out, agents_intro);
    for (int i = 0; i < CONFIG_AGENT_OPTION_COUNT; i++) {
        const struct config_agent_option *option = &config_agent_options[i];
        const char *quote = *option->fallback != '\0' ? "`" : "";
        buffer_format(out, "| `%s` | %s | %s%s%s | %s |\n", option->key, option->type, quote,
                      option->fallback, quote, option->help);
    }
    buffer_text(out, tokens_text);
}
