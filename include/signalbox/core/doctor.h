#pragma once
/*
 * What `signalbox doctor` found, and how it is told: a table for people, or JSON. Pure. All texts are malloc'd, or NULL
 * where nothing is known.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NOTE,    /* it works, and there is something to know */
    DOCTOR_ABSENT,  /* an agent that is not installed: no failure */
    DOCTOR_LOGIN,   /* an agent that wants a login first */
    DOCTOR_FAILED,
};

/* One agent. Times in milliseconds; -1: it did not come so far. */
struct doctor_agent {
    char *name, *install;
    enum doctor_state state;
    char *program;               /* its path */
    char *reason;                /* what is wrong, several lines perhaps */
    char *errors;                /* the last lines of its stderr */
    struct json_object *hello;   /* the result of `initialize` */
    struct json_object *session; /* the result of `session/new` */
    int64_t hello_ms, session_ms, end_ms; /* from its start, from `initialize`, from being told to end */
    bool killed;                 /* it did not end by itself */
};
void doctor_agent_clear(struct doctor_agent *agent);

/* Something else that was looked at. */
struct doctor_check {
    const char *name; /* a literal */
    enum doctor_state state;
    char *text;
};

struct doctor_report {
    struct doctor_check *checks;
    size_t check_count;
    struct doctor_agent *agents;
    size_t agent_count;
};

/* All that is installed and all that was looked at is well. */
bool doctor_is_well(const struct doctor_report *report);
/* At most 100 columns; below the table, what there is to say of each agent. */
void doctor_write_text(struct buffer *out, const struct doctor_report *report);
void doctor_write_json(struct buffer *out, const struct doctor_report *report);
