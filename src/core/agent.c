#include "signalbox/core/agent.h"

#include <stdlib.h>

void permission_ask_free(struct permission_ask *ask)
{
    if (ask == NULL) {
        return;
    }
    for (size_t i = 0; i < ask->option_count; i++) {
        free(ask->options[i].option_id);
        free(ask->options[i].name);
        free(ask->options[i].kind_name);
    }
    free(ask->options);
    free(ask->request_id);
    free(ask->turn_id);
    free(ask->tool_use_id);
    free(ask->tool_name);
    free(ask->command);
    free(ask->description);
    free(ask->kind);
    free(ask->tool_input);
    free(ask->locations);
    free(ask->plan_content);
    free(ask->rule_command);
    for (size_t i = 0; i < ask->path_count; i++) {
        free(ask->paths[i]);
        if (ask->real_paths) {
            free(ask->real_paths[i]);
        }
    }
    free(ask->paths);
    free(ask->real_paths);
    free(ask->refs);
    free(ask->event_refs);
    free(ask);
}

void agent_notice_clear(struct agent_notice *notice)
{
    permission_ask_free(notice->ask);
    free(notice->request_id);
    free(notice->turn_id);
    free(notice->stop_reason);
    free(notice->usage);
    free(notice->code);
    free(notice->message);
    free(notice->title);
    free(notice->acp_session_id);
    *notice = (struct agent_notice){.kind = notice->kind};
}
