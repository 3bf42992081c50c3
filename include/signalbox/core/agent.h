#pragma once
/*
 * What the dispatcher and an agent say to each other. Orders go to the agent-stream thread after the commit of
 * what led to them; notices come back. Texts are malloc'd and belong to the message.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"
#include "signalbox/core/event.h"

/* An option of a permission request, as the agent offered it (ACP session/request_permission, PermissionOption). */
enum option_kind { OPTION_ALLOW_ONCE, OPTION_ALLOW_ALWAYS, OPTION_REJECT_ONCE, OPTION_REJECT_ALWAYS, OPTION_OTHER };
struct permission_option {
    char *option_id, *name, *kind_name;
    enum option_kind kind;
};

/* A permission request as the agent made it, in our terms. */
struct permission_ask {
    char *request_id;   /* ours: unique over all sessions and restarts */
    char *turn_id;      /* NULL outside a turn */
    char *tool_use_id;  /* of the tool_start that went before */
    char *tool_name;
    char *command;      /* never NULL: the command line, or the path and what is done to it */
    char *description;  /* never NULL */
    char *kind;         /* ACP ToolKind */
    char *tool_input;   /* JSON text of an object */
    char *locations;    /* JSON text of an array, or NULL */
    char *plan_content; /* JSON text, "null" when there is none */
    /* What was cut: elements of a `refs` array, with paths within the request; NULL when it is whole. */
    char *refs, *event_refs; /* the second with paths within its event */
    struct permission_option *options;
    size_t option_count;

    /* What rules look at (core/rule.h); the first part as the agent's side found it in the request. */
    bool command_cut;    /* `command` is not all of it */
    char *rule_command;  /* the command, where the request is known to be no more than it, in its workspace; else NULL */
    char **paths;        /* what it names, absolute, `..` and links as they were written; RULE_PATHS_MAX at most */
    size_t path_count;
    bool paths_whole;    /* these are known to be all that it touches */
    bool paths_left_out; /* it names something that is not in `paths`: too many, too long, not a path */
    /* What maintenance found on the disk. */
    bool looked;
    bool workspace_real; /* the workspace is still the folder that it was, not a link */
    char **real_paths;   /* each with its links resolved, NULL for one that cannot be; NULL: not looked at */
};
void permission_ask_free(struct permission_ask *ask);

/* What an agent takes in a prompt beside text and resource links (ACP promptCapabilities). */
enum agent_can { AGENT_CAN_IMAGE = 1, AGENT_CAN_AUDIO = 2, AGENT_CAN_EMBED = 4 };

/* What an agent that was started knows of what was said before. */
enum agent_memory {
    MEMORY_NEW,  /* a new session was what was asked for */
    MEMORY_KEPT, /* session/resume or session/load: it remembers */
    MEMORY_LOST, /* neither was possible: a new session; `message` may say why */
};

enum agent_notice_kind {
    NOTICE_READY,               /* the ACP session exists: prompts may be given. `acp_session_id`, `memory`, `can` */
    NOTICE_FAILED,              /* it could not be started, or refused a session; `code`, `message` */
    NOTICE_PERMISSION,          /* `ask` */
    NOTICE_PERMISSION_WITHDRAWN, /* `request_id`: the agent gave it up ($/cancel_request) */
    NOTICE_TURN_ENDED,          /* `turn_id`, `stop_reason`, `usage`; with `message` when the agent answered by an error */
    NOTICE_TITLE,               /* `title` (NULL clears): the title event itself was sent before */
    NOTICE_SILENT,              /* nothing was heard of it for `silent_ms`, in a turn, though nobody is asked */
    NOTICE_HANGS,               /* nor for this time, after which its turn is to be cancelled */
    NOTICE_HEARD,               /* after NOTICE_SILENT: a sign of life, or nothing is expected of it any more */
    NOTICE_SETTING,             /* a change of settings: done, or refused with `code` and `message`. `request_id` is
                                   the order's; NULL: nobody waits, and it was refused */
    NOTICE_SERVICE_REFUSED,     /* what it wanted done for it is not done in a read-only session; `message`. It is told so
                                   by ORDER_REFUSAL with the `request_id` */
    NOTICE_EXITED,              /* the process is gone, after everything it said; `message` says how */
};
/* When memory ran out, texts of the last notice of an agent (NOTICE_FAILED, NOTICE_EXITED) may be NULL. */
struct agent_notice {
    enum agent_notice_kind kind;
    struct permission_ask *ask;
    char *request_id;
    char *turn_id;
    char *stop_reason;
    char *usage;         /* JSON text, or NULL */
    char *code;          /* nack code of NOTICE_FAILED: "agent_failed", "agent_unavailable"; of an error: "agent_error" */
    char *message;       /* for people */
    char *title;
    char *acp_session_id;
    int64_t silent_ms;
    enum agent_memory memory;
    unsigned can; /* enum agent_can */
    bool coming_back;    /* of NOTICE_FAILED: it ended while it was to go on with its old session */
    bool auth_required;  /* of NOTICE_FAILED, and of a turn's error: a login is missing; `message` names the ways */
};
void agent_notice_clear(struct agent_notice *notice);

enum agent_order_kind {
    ORDER_PROMPT,     /* `turn_id`, `content` */
    ORDER_PROMPT_BLOBS, /* the same; its content names blobs, whose data it gets before it reaches the agent */
    ORDER_CANCEL,     /* session/cancel; pending permissions are answered by orders of their own */
    ORDER_PERMISSION, /* `request_id`, `option_id` or NULL for the outcome `cancelled` */
    ORDER_POLICY,     /* the session's policy is `content` now */
    ORDER_REFUSAL,    /* `request_id`: the answer to what NOTICE_SERVICE_REFUSED was about */
    ORDER_SETTING,    /* `option_id` (NULL: the mode) is to be `content`, a JSON value; `request_id`: who waits, or NULL */
    ORDER_SETTING_LATE, /* `request_id`: nobody waits for that ORDER_SETTING any more */
    ORDER_CLOSE,      /* as ORDER_STOP, and the session is not wanted again */
    ORDER_STOP,       /* end the process, in order */
    ORDER_KILL,       /* end it at once: it ignored a cancel */
};
