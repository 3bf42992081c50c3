/* Whether two commands ask for the same: a digest of what the table knows of them. */
#include "core/field.h"

static void add_fields(struct digest_work *work, const struct field *fields, const struct command *command)
{
    for (const struct field *field = fields; field->name; field++) {
        const char *at = (const char *)command + field->offset;
        unsigned choice;
        enum flag flag;
        int64_t number;
        digest_text(work, field->name);
        switch (field->kind) {
        case FIELD_STRING:
        case FIELD_WORD:
        case FIELD_CONTENT:
        case FIELD_ANY:
            digest_text(work, *(char *const *)(const void *)at);
            break;
        case FIELD_CHOICE:
            memcpy(&choice, at, sizeof(choice));
            digest_i64(work, choice);
            break;
        case FIELD_BOOL:
            memcpy(&flag, at, sizeof(flag));
            digest_i64(work, flag);
            break;
        case FIELD_COUNT:
            memcpy(&number, at, sizeof(number));
            digest_i64(work, number);
            break;
        case FIELD_OBJECT:
            add_fields(work, field->members, command);
            break;
        case FIELD_NUMBER:
        case FIELD_ARRAY:
            break; /* only sent */
        }
    }
}

void command_digest(const struct command *command, struct digest *out)
{
    struct digest_work work;
    digest_begin(&work);
    digest_text(&work, command_name(command->type));
    add_fields(&work, command_shape(command->type)->fields, command);
    digest_end(&work, out);
}

bool command_is_remembered(enum command_type type)
{
    switch (type) {
    case COMMAND_CREATE_SESSION:
    case COMMAND_CLOSE_SESSION:
    case COMMAND_PROMPT:
    case COMMAND_WITHDRAW:
    case COMMAND_RESUME_QUEUE:
    case COMMAND_CANCEL:
    case COMMAND_PERMISSION_RESPONSE:
    case COMMAND_SET_POLICY:
    case COMMAND_SET_MODE:
    case COMMAND_SET_CONFIG_OPTION:
        return true;
    case COMMAND_SUBSCRIBE:
    case COMMAND_UNSUBSCRIBE:
    case COMMAND_WATCH_SESSIONS:
    case COMMAND_UNWATCH_SESSIONS:
    case COMMAND_SEEN:
    case COMMAND_PING:
    case COMMAND_LIST_PERMISSIONS:
    case COMMAND_GET_SESSION:
    case COMMAND_DELETE_RULE:
    case COMMAND_ERASE_SESSION: /* done again it finds nothing */
    case COMMAND_STORE_BLOB: /* done again it changes nothing */
    case COMMAND_AGENT_STATES:
    case COMMAND_TYPE_COUNT:
        break;
    }
    return false;
}
