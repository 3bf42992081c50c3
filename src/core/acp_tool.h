#pragma once
/*
 * The tool calls of a session. An agent speaks of one by its toolCallId in tool_call,
 * tool_call_update and session/request_permission; all three make it known or change it, and what
 * is missing in them is unchanged.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/acp_block.h"
#include "core/delta.h"

struct acp_peer;
struct buffer;

enum {
    ACP_TOOLS_OPEN_MAX = 1024,  /* one more, and the oldest is ended */
    ACP_TOOLS_CLOSED_MAX = 256, /* so many are remembered, for late updates and sub-agents' calls */
    ACP_TOOL_OUTPUT_KEPT = 1024 * 1024, /* bytes of terminal output for the result: its end */
    /* UTF-16 units of the output of terminals of ours that are shown while they come, so that a
     * command that writes for ever does not fill the disk with events. The result has the end. */
    ACP_TOOL_OUTPUT_SHOWN = 4 * 1024 * 1024,
    /* Bytes of it that wait for the delta window; with as many of a piece, they fit into an event. */
    ACP_TOOL_DELTA_MAX = 16 * 1024,
    ACP_TOOL_TERMINALS_MAX = 8,      /* that one call shows */
};

struct acp_tool {
    struct acp_tool *next;
    char *agent_id;       /* may come again for another call */
    char use_id[ACP_USE_ID_SIZE]; /* ours */
    char *name;           /* as in its tool_start */
    uint64_t closed_turn; /* the number of the turn in which it was closed */

    /* From here on only while it is open. */
    char *title, *kind, *status;
    struct json_object *input, *locations, *content, *raw_output;
    bool content_waits;       /* `content` is newer than what was shown */
    bool content_whole;       /* it did not only grow: it is shown as a whole each time */
    bool raw_waits;           /* `raw_output` is newer than what was shown */
    bool terminal;            /* the output comes through `_meta` or from a terminal of ours, and
                                 `content` is no output */
    struct delta_text output; /* what was or will be sent as tool_output */
    uint64_t shown_units;     /* UTF-16 units of the deltas so far, as they were shown */
    uint64_t output_dropped;  /* bytes that are not in `output` any more */
    uint64_t terminals[ACP_TOOL_TERMINALS_MAX]; /* of ours, that it shows: their numbers */
    size_t terminal_count;
    bool muted;               /* more output than is shown while it comes */
    bool exited, exit_failed; /* the command's end, where the agent tells it */
};

struct acp_tools {
    struct acp_tool *open;   /* oldest first */
    struct acp_tool *closed; /* newest first */
    size_t open_count, closed_count;
};

void acp_tools_free(struct acp_tools *tools);

enum acp_upsert { ACP_UPSERT_CALL, ACP_UPSERT_UPDATE, ACP_UPSERT_PERMISSION };

/*
 * Takes the fields of a call and lets the events out that follow from them. Returns the call, good
 * until the next function of this header; NULL if the fields have no toolCallId, or memory ran out.
 */
const struct acp_tool *acp_tool_upsert(struct acp_peer *peer, struct json_object *fields,
                                       enum acp_upsert how);
/* Ends every open call as failed, with the output that there was, or `why`. */
void acp_tools_close(struct acp_peer *peer, const char *why);
/* The tools' part of a flush. */
void acp_tools_flush(struct acp_peer *peer, struct instant line_at);

/* The toolUseId of the call that what `fields` says is a part of, where the agent names it: a
 * sub-agent's. NULL for none; good until the next function of this header. */
const char *acp_tool_parent(const struct acp_peer *peer, struct json_object *fields);

/* Writes an input as an object, whatever it is. */
void acp_tool_put_input(struct buffer *out, struct json_object *input);

/* acp_tool_text.c. Takes the output that some agents put into `_meta`. */
void acp_tool_terminal(struct acp_peer *peer, struct acp_tool *tool, struct json_object *meta);
/* Output in `_meta` for a call that was closed already. */
void acp_tool_terminal_late(struct acp_peer *peer, const struct acp_tool *tool,
                            struct json_object *meta);
/* Takes output of the terminal that it shows. */
void acp_tool_add_output(struct acp_peer *peer, struct acp_tool *tool, const char *data,
                         size_t length);
/* Notes that `content`, or the raw output, is new, and lets it out if its time has come. */
void acp_tool_content(struct acp_peer *peer, struct acp_tool *tool, bool content, bool raw_output);
/* The tool_result. `why` stands for a text that there is not; may be NULL. */
void acp_tool_result(struct acp_peer *peer, struct acp_tool *tool, bool is_error, const char *why);
void acp_tool_flush(struct acp_peer *peer, struct acp_tool *tool, struct instant line_at);
