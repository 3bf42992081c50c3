#include "signalbox/core/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

enum { COLUMNS = 6, WIDTH = 100, CELL_SIZE = 256 };

void doctor_agent_clear(struct doctor_agent *agent)
{
    free(agent->name);
    free(agent->install);
    free(agent->program);
    free(agent->reason);
    free(agent->errors);
    json_object_put(agent->hello);
    json_object_put(agent->session);
    *agent = (struct doctor_agent){0};
}

static bool is_well(enum doctor_state state)
{
    return state == DOCTOR_OK || state == DOCTOR_NOTE || state == DOCTOR_ABSENT;
}

bool doctor_is_well(const struct doctor_report *report)
{
    bool well = true;
    for (size_t i = 0; i < report->check_count; i++) {
        well = well && is_well(report->checks[i].state);
    }
    for (size_t i = 0; i < report->agent_count; i++) {
        well = well && is_well(report->agents[i].state);
    }
    return well;
}

/* ---- What an agent can do ---- */

static bool is_there(struct json_object *value)
{
    return value && (!json_object_is_type(value, json_type_boolean) || json_object_get_boolean(value));
}

static void add_word(struct buffer *out, bool has, const char *word)
{
    if (has) {
        buffer_text(out, out->length ? " " : "");
        buffer_text(out, word);
    }
}

static bool has_items(struct json_object *value, const char *key)
{
    struct json_object *items = json_get(value, key);
    return json_object_is_type(items, json_type_array) && json_object_array_length(items) > 0;
}

/* Words, blanks between. */
static void put_features(struct buffer *out, const struct doctor_agent *agent)
{
    struct json_object *all = json_get(agent->hello, "agentCapabilities");
    struct json_object *sessions = json_get(all, "sessionCapabilities");
    struct json_object *prompts = json_get(all, "promptCapabilities");
    struct json_object *servers = json_get(all, "mcpCapabilities");
    static const struct {
        const char *key, *word;
    } of_sessions[] = {{"resume", "resume"}, {"close", "close"}, {"list", "list"}},
      of_prompts[] = {{"image", "images"}, {"audio", "audio"}, {"embeddedContext", "context"}},
      of_servers[] = {{"http", "mcp-http"}, {"sse", "mcp-sse"}};
    add_word(out, is_there(json_get(all, "loadSession")), "load");
    for (size_t i = 0; i < array_size(of_sessions); i++) {
        add_word(out, is_there(json_get(sessions, of_sessions[i].key)), of_sessions[i].word);
    }
    for (size_t i = 0; i < array_size(of_prompts); i++) {
        add_word(out, is_there(json_get(prompts, of_prompts[i].key)), of_prompts[i].word);
    }
    add_word(out, has_items(json_get(agent->session, "modes"), "availableModes"), "modes");
    add_word(out, has_items(json_get(agent->session, "models"), "availableModels"), "models");
    add_word(out, has_items(agent->session, "configOptions"), "options");
    for (size_t i = 0; i < array_size(of_servers); i++) {
        add_word(out, is_there(json_get(servers, of_servers[i].key)), of_servers[i].word);
    }
}

static const char *state_word(enum doctor_state state)
{
    static const char *const words[] = {[DOCTOR_OK] = "ok",
                                        [DOCTOR_NOTE] = "ok",
                                        [DOCTOR_ABSENT] = "not installed",
                                        [DOCTOR_LOGIN] = "login needed",
                                        [DOCTOR_FAILED] = "failed"};
    return words[state];
}

/* ---- The table ---- */

/* Without what could move a terminal's cursor; one line unless `lines`. */
static void put_plain(struct buffer *out, const char *text, const char *indent, bool lines)
{
    for (; *text; text++) {
        if (*text == '\n' && lines) {
            buffer_byte(out, '\n');
            buffer_text(out, text[1] ? indent : "");
        } else {
            buffer_byte(out, (unsigned char)*text < 0x20 || *text == 0x7F ? ' ' : *text);
        }
    }
}

/* Columns that the text takes: characters, as none of ours is a wide one. */
static size_t columns_of(const char *text)
{
    size_t count = 0;
    for (; *text; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

struct row {
    char cells[COLUMNS][CELL_SIZE];
};

static void set_cell(char cell[CELL_SIZE], const char *text)
{
    struct buffer plain = {0};
    put_plain(&plain, text, "", false);
    char *made = buffer_take(&plain);
    snprintf(cell, CELL_SIZE, "%s", made ? made : "");
    cell[utf8_cut(cell, strlen(cell), CELL_SIZE - 1)] = '\0';
    free(made);
}

static void set_ms(char cell[CELL_SIZE], int64_t ms)
{
    if (ms < 0) {
        snprintf(cell, CELL_SIZE, "-");
    } else {
        snprintf(cell, CELL_SIZE, "%lld ms", (long long)ms);
    }
}

static void set_row(struct row *row, const struct doctor_agent *agent)
{
    const char *version = json_get_string(json_get(agent->hello, "agentInfo"), "version");
    struct buffer features = {0};
    put_features(&features, agent);
    char *words = buffer_take(&features);
    set_cell(row->cells[0], agent->name ? agent->name : "");
    set_cell(row->cells[1], state_word(agent->state));
    set_cell(row->cells[2], version ? version : "-");
    set_ms(row->cells[3], agent->hello_ms);
    set_ms(row->cells[4], agent->session_ms);
    set_cell(row->cells[5], words && *words ? words : "-");
    free(words);
}

static void put_cell(struct buffer *out, const char *text, size_t width, bool last)
{
    size_t columns = columns_of(text);
    if (columns <= width) {
        buffer_text(out, text);
        for (size_t i = columns; i < width && !last; i++) {
            buffer_byte(out, ' ');
        }
    } else {
        const char *end = text;
        for (size_t kept = 0; kept + 1 < width || ((unsigned char)*end & 0xC0) == 0x80; end++) {
            kept += ((unsigned char)end[0] & 0xC0) != 0x80;
        }
        buffer_append(out, text, (size_t)(end - text));
        buffer_text(out, "\xE2\x80\xA6");
    }
    buffer_text(out, last ? "\n" : "  ");
}

static void put_table(struct buffer *out, const struct doctor_report *report)
{
    static const char *const heads[COLUMNS] = {"agent", "state", "version", "answers", "session", "can"};
    static const size_t most[COLUMNS] = {20, 13, 16, 9, 9, WIDTH};
    struct row *rows = calloc(report->agent_count + 1, sizeof(*rows));
    if (!rows) {
        out->failed = true;
        return;
    }
    size_t width[COLUMNS] = {0};
    size_t used = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        set_cell(rows[0].cells[i], heads[i]);
    }
    for (size_t i = 0; i < report->agent_count; i++) {
        set_row(&rows[i + 1], &report->agents[i]);
    }
    for (size_t column = 0; column < COLUMNS; column++) {
        for (size_t i = 0; i <= report->agent_count; i++) {
            size_t columns = columns_of(rows[i].cells[column]);
            width[column] = columns > width[column] ? columns : width[column];
        }
        size_t limit = column + 1 < COLUMNS ? most[column] : WIDTH - used;
        width[column] = width[column] < limit ? width[column] : limit;
        used += width[column] + 2;
    }
    for (size_t i = 0; i <= report->agent_count; i++) {
        for (size_t column = 0; column < COLUMNS; column++) {
            put_cell(out, rows[i].cells[column], width[column], column + 1 == COLUMNS);
        }
    }
    free(rows);
}

/* ---- Below it ---- */

static void put_named(struct buffer *out, const char *name, const char *text)
{
    if (text && *text) {
        buffer_format(out, "  %s: ", name);
        put_plain(out, text, "    ", true);
        buffer_byte(out, '\n');
    }
}

static void put_logins(struct buffer *out, const struct doctor_agent *agent)
{
    struct json_object *methods = json_get(agent->hello, "authMethods");
    if (agent->state == DOCTOR_LOGIN || !json_object_is_type(methods, json_type_array)) {
        return; /* the reason names them */
    }
    struct buffer names = {0};
    for (size_t i = 0; i < json_object_array_length(methods); i++) {
        const char *id = json_get_string(json_object_array_get_idx(methods, i), "id");
        buffer_text(&names, names.length ? ", " : "");
        buffer_text(&names, id ? id : "(no id)");
    }
    char *text = buffer_take(&names);
    put_named(out, "logins that it offers", text);
    free(text);
}

static void put_details(struct buffer *out, const struct doctor_agent *agent)
{
    buffer_text(out, "\nagent ");
    put_plain(out, agent->name ? agent->name : "", "", false);
    buffer_format(out, ": %s\n", state_word(agent->state));
    put_named(out, "program", agent->program);
    put_named(out, agent->state == DOCTOR_OK || agent->state == DOCTOR_NOTE ? "note" : "reason", agent->reason);
    put_named(out, "install it with", agent->state == DOCTOR_ABSENT ? agent->install : NULL);
    put_named(out, "its stderr ends with", is_well(agent->state) ? NULL : agent->errors);
    int64_t version;
    if (json_get_i64(agent->hello, "protocolVersion", &version)) {
        const char *name = json_get_string(json_get(agent->hello, "agentInfo"), "name");
        const char *own = json_get_string(json_get(agent->hello, "agentInfo"), "version");
        buffer_format(out, "  speaks: version %lld of the Agent Client Protocol, as ", (long long)version);
        put_plain(out, name ? name : "(it gives no name)", "", false);
        buffer_text(out, own ? " " : "");
        put_plain(out, own ? own : "", "", false);
        buffer_byte(out, '\n');
        struct buffer features = {0};
        put_features(&features, agent);
        char *words = buffer_take(&features);
        put_named(out, "can", words && *words ? words : "text only");
        free(words);
        put_logins(out, agent);
    }
    if (agent->end_ms >= 0) {
        buffer_format(out, "  ended: %s, %lld ms after it was told to\n",
                      agent->killed ? "by a signal, since it did not by itself" : "by itself",
                      (long long)agent->end_ms);
    }
}

void doctor_write_text(struct buffer *out, const struct doctor_report *report)
{
    static const char *const marks[] = {[DOCTOR_OK] = "ok    ", [DOCTOR_NOTE] = "note  ", [DOCTOR_ABSENT] = "note  ",
                                        [DOCTOR_LOGIN] = "note  ", [DOCTOR_FAILED] = "FAILED"};
    for (size_t i = 0; i < report->check_count; i++) {
        const struct doctor_check *check = &report->checks[i];
        buffer_format(out, "%s  %s: ", marks[check->state], check->name);
        put_plain(out, check->text ? check->text : "", "        ", true);
        buffer_byte(out, '\n');
    }
    if (report->agent_count > 0) {
        buffer_text(out, report->check_count ? "\n" : "");
        put_table(out, report);
    }
    for (size_t i = 0; i < report->agent_count; i++) {
        put_details(out, &report->agents[i]);
    }
}

/* ---- JSON ---- */

static void put_ms(struct buffer *out, const char *key, int64_t ms)
{
    if (ms >= 0) {
        json_field_i64(out, key, ms);
    }
}

void doctor_write_json(struct buffer *out, const struct doctor_report *report)
{
    static const char *const words[] = {[DOCTOR_OK] = "ok",
                                        [DOCTOR_NOTE] = "note",
                                        [DOCTOR_ABSENT] = "not_installed",
                                        [DOCTOR_LOGIN] = "login_needed",
                                        [DOCTOR_FAILED] = "failed"};
    buffer_byte(out, '{');
    json_field_bool(out, "ok", doctor_is_well(report));
    buffer_text(out, ",\"checks\":[");
    for (size_t i = 0; i < report->check_count; i++) {
        buffer_text(out, i ? ",{" : "{");
        json_field_string(out, "name", report->checks[i].name);
        json_field_string(out, "state", words[report->checks[i].state]);
        json_field_string(out, "text", report->checks[i].text);
        buffer_byte(out, '}');
    }
    buffer_text(out, "],\"agents\":[");
    for (size_t i = 0; i < report->agent_count; i++) {
        const struct doctor_agent *agent = &report->agents[i];
        buffer_text(out, i ? ",{" : "{");
        json_field_string(out, "name", agent->name);
        json_field_string(out, "state", words[agent->state]);
        json_field_string(out, "program", agent->program);
        json_field_string(out, "install", agent->install);
        json_field_string(out, "reason", agent->reason);
        json_field_string(out, "stderr", agent->errors);
        put_ms(out, "initializeMs", agent->hello_ms);
        put_ms(out, "sessionMs", agent->session_ms);
        put_ms(out, "endMs", agent->end_ms);
        json_field_bool(out, "killed", agent->killed);
        json_field_object(out, "initialize", agent->hello);
        json_field_object(out, "session", agent->session);
        buffer_byte(out, '}');
    }
    buffer_text(out, "]}\n");
}
