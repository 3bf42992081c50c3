/* What is said on an agent's pipes, for the wirelog thread. */
#include "agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/metrics.h"
#include "signalbox/mail/wirelog.h"

void agent_wirelog_begin(struct agent *agent, const struct config_agent *config, char *const *environment)
{
    struct agent_stream *stream = agent->stream;
    if (!stream->wiring.wirelog) {
        return;
    }
    struct redact_secrets secrets = {0};
    enum err err = redact_secrets_of(&secrets, environment);
    if (!err) {
        err = wirelog_run_new(&agent->wirelog, agent->topic->session_id, config->name, agent->run, stream->wall_ms,
                              &secrets);
    }
    if (err) {
        redact_secrets_free(&secrets);
        log_error("this run has no wire log", "session", "%s", agent->topic->session_id, "error", "%s", err_text(err),
                  NULL);
        return;
    }
    agent->wirelog_since = stream->now;
    mailbox_push(stream->wiring.wirelog, &agent->wirelog->begin);
}

/* By the configuration in force: one that is changed holds from the next line on. */
static bool is_wanted(const struct agent *agent)
{
    const struct config *config = agent->stream->config;
    if (agent->stream->wiring.wirelog_always || !config) {
        return agent->stream->wiring.wirelog_always;
    }
    const struct config_agent *own = config_agent(config, agent->wirelog->agent);
    return own ? own->wire_log : config->wire_log;
}

void agent_wirelog_line(struct agent *agent, enum wirelog_direction direction, const char *text, size_t length,
                        bool is_json)
{
    if (!agent->wirelog) {
        return;
    }
    if (!is_wanted(agent)) {
        agent->wirelog_was_off = true;
        return;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    const struct wirelog_line line = {.run = agent->wirelog,
                                      .direction = direction,
                                      .is_json = is_json,
                                      .resumed = agent->wirelog_was_off,
                                      .ms = instant_diff_ms(agent->stream->now, agent->wirelog_since),
                                      .missing = agent->wirelog_missing,
                                      .length = length};
    if (wirelog_line_send(agent->stream->wiring.wirelog, &line, text)) {
        agent->wirelog_missing = 0;
        agent->wirelog_was_off = false;
    } else {
        agent->wirelog_missing++;
        metric_add(METRIC_WIRELOG_LOST, 1);
    }
}

static enum wirelog_ending ending_of(const struct agent *agent)
{
    if (agent->fate_own && agent->fate == FATE_EXITED) {
        return WIRELOG_ENDING_EXITED;
    }
    if (agent->fate_own && agent->fate == FATE_KILLED) {
        return WIRELOG_ENDING_KILLED;
    }
    return agent->stop_told || agent->why[0] != '\0' ? WIRELOG_ENDING_BY_SERVER : WIRELOG_ENDING_UNKNOWN;
}

void agent_wirelog_end(struct agent *agent)
{
    if (!agent->wirelog) {
        return;
    }
    agent->wirelog->missing = agent->wirelog_missing;
    agent->wirelog->ending = is_wanted(agent) ? ending_of(agent) : WIRELOG_ENDING_UNKNOWN;
    agent->wirelog->ending_code = agent->fate_code;
    agent->wirelog->ended_ms = instant_diff_ms(agent->stream->now, agent->wirelog_since);
    mailbox_push(agent->stream->wiring.wirelog, &agent->wirelog->end);
    agent->wirelog = NULL;
}
