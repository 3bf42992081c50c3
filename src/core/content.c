#include "core/content.h"

#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/core/agent.h"

static const struct {
    const char *type;
    unsigned can;
    const char *refusal;
    const char *capability; /* its member of ACP's promptCapabilities */
} kinds[] = {
    {"image", AGENT_CAN_IMAGE, "this agent takes no images", "image"},
    {"audio", AGENT_CAN_AUDIO, "this agent takes no audio", "audio"},
    {"resource", AGENT_CAN_EMBED, "this agent takes no embedded resources; a resource_link may do",
     "embeddedContext"},
};

unsigned content_needs(struct json_object *blocks)
{
    unsigned needs = 0;
    size_t count =
        json_object_is_type(blocks, json_type_array) ? json_object_array_length(blocks) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *type = json_get_string(json_object_array_get_idx(blocks, i), "type");
        for (size_t k = 0; type != NULL && k < array_size(kinds); k++) {
            needs |= strcmp(type, kinds[k].type) == 0 ? kinds[k].can : 0;
        }
    }
    return needs;
}

const char *content_refusal(unsigned needs, unsigned can)
{
    for (size_t k = 0; k < array_size(kinds); k++) {
        if (needs & ~can & kinds[k].can) {
            return kinds[k].refusal;
        }
    }
    return NULL;
}

void content_put_can(struct buffer *out, unsigned can)
{
    for (size_t k = 0; k < array_size(kinds); k++) {
        json_field_bool(out, kinds[k].capability, (can & kinds[k].can) != 0);
    }
}
