#include "signalbox/mail/agent.h"

#include <stdlib.h>

void agent_start_free(struct agent_start *start)
{
    if (!start) {
        return;
    }
    topic_put(start->topic);
    free(start->agent);
    free(start->workspace);
    free(start->resume);
    free(start);
}

void agent_order_free(struct agent_order *order)
{
    if (!order) {
        return;
    }
    topic_put(order->topic);
    free(order->turn_id);
    free(order->content);
    free(order->request_id);
    free(order->option_id);
    free(order);
}

void agent_filling_free(struct history_request *request)
{
    agent_order_free(request->owner);
    history_request_free(request);
}
