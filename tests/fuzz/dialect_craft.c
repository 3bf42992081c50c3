/*
 * craft: what its clients say are native commands; what they get over HTTP is made of sessions and events. Lines: `= EVENT`
 * of a session, `< MESSAGE` (a `subscribed`, or a session), anything else a client's message.
 */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/core/command.h"
#include "signalbox/core/craft.h"

enum { DEPTH = 64 };

static void take_command(struct json_object *message)
{
    struct command *command = NULL;
    struct command_error error = {0};
    enum err err = command_parse(message, &command, &error);
    FUZZ_CHECK(err == ERR_OK || (err == ERR_SYNTAX && error.message[0]));
    command_free(command);
    free(error.id);
}

static void check_message(void *context, const struct buffer *text)
{
    (void)context;
    fuzz_check_json(text->data, text->length);
}

static void check_session(struct json_object *session)
{
    struct buffer out = {0};
    craft_session_open(&out, session);
    buffer_text(&out, "]}");
    fuzz_check_json(out.data, out.length);
    buffer_free(&out);
    craft_pending(session, check_message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = {.at = (const char *)data, .end = (const char *)data + size};
    struct json_parser *parser;
    struct craft_reader *reader;
    struct buffer messages = {0};
    const char *line;
    size_t length;
    FUZZ_CHECK(json_parser_new(&parser, DEPTH) == ERR_OK && craft_reader_new(&reader) == ERR_OK);
    buffer_byte(&messages, '[');
    while (fuzz_line(&lines, &line, &length)) {
        bool ours = length > 2 && strchr("=<", line[0]) && line[1] == ' ';
        struct json_object *value = NULL;
        if (json_parse(parser, line + (ours ? 2 : 0), length - (ours ? 2 : 0), &value) == ERR_OK) {
            if (!ours) {
                take_command(value);
            } else if (*line == '<') {
                check_session(value);
            } else {
                FUZZ_CHECK(craft_read(reader, &messages, value) == ERR_OK);
            }
        }
        json_object_put(value);
    }
    craft_read_end(reader, &messages);
    buffer_byte(&messages, ']');
    fuzz_check_json(messages.data, messages.length);
    buffer_free(&messages);
    craft_reader_free(reader);
    json_parser_free(parser);
    return 0;
}
