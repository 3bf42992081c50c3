/* Files that an agent has us read and write: the files thread does it. */
#include "agent_internal.h"

#include <stdlib.h>

enum err agent_file_ask(struct agent *agent, uint64_t serial, struct file_call *call)
{
    struct agent_stream *stream = agent->stream;
    /* What is read of an agent that has ended is not held back by its open requests, so none may be made. */
    if (stream->stopping || agent->gone) {
        return ERR_STOPPING;
    }
    if (!stream->wiring.files) {
        return ERR_UNSUPPORTED;
    }
    struct file_request *request = malloc(sizeof(*request));
    if (!request) {
        return ERR_NOMEM;
    }
    *request = (struct file_request){.mail.kind = FILES_REQUEST,
                                     .reply_to = stream->box,
                                     .reply_kind = AGENT_MAIL_FILE,
                                     .topic = topic_get(agent->topic),
                                     .run = agent->run,
                                     .serial = serial,
                                     .call = *call};
    mailbox_push(stream->wiring.files, &request->mail);
    return ERR_OK;
}

void agent_file_answered(struct agent *agent, struct file_request *request)
{
    if (agent) {
        acp_peer_time(agent->peer, agent->stream->now, agent->stream->wall_ms);
        agent->answering = true;
        acp_peer_file(agent->peer, request->serial, &request->call);
        agent->answering = false;
        agent_output_resume(agent); /* it may have had too many requests open */
        agent_settle(agent);
    }
    file_request_free(request);
}
