#pragma once
/*
 * fs/read_text_file and fs/write_text_file (ACP): the agent's requests for files of the workspace.
 * The work is done elsewhere (struct acp_sink); here are the questions and the answers.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acp_peer;

/* With FILE_TEXT_MAX bytes each at the most, they bound what is on its way. */
enum { ACP_FILES_MAX = 8 };

struct acp_file {
    uint64_t serial; /* 0: the place is free */
    struct json_object *id;
    bool answered; /* it was withdrawn */
    bool write;
    char *path; /* as the agent named it, for its errors */
};

struct acp_files {
    struct acp_file places[ACP_FILES_MAX];
    size_t count;
    uint64_t serial; /* of the last one */
};
void acp_files_free(struct acp_files *files);

void acp_files_read(struct acp_peer *peer, struct json_object *id, struct json_object *params);
void acp_files_write(struct acp_peer *peer, struct json_object *id, struct json_object *params);
/* $/cancel_request: true if the id is one of these. What is read is not wanted any more; what is
 * written is, since it may have happened, and its answer comes. */
bool acp_files_withdraw(struct acp_peer *peer, struct json_object *id);
