/* What claudecodeui's clients say. */
#include "core/dialect_claudecodeui.h"

#include <string.h>

enum { SESSION_MAX = 200, CWD_MAX = 4096, WORD_MAX = 128 };

#define SESSION(kind)                                                                              \
    FIELD_ROW("sessionId", STRING, kind, "The session.", .minimum = 1, .maximum = SESSION_MAX)
#define REQUEST                                                                                    \
    F("requestId", STRING, "The `id` of the request.", .minimum = 1, .maximum = CLAUDECODEUI_REQUEST_MAX)
#define UPDATED                                                                                    \
    O("updatedInput", ANY, "The tool's input; another one than was shown is refused.")

static void answer(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    static const char *const kept[] = {"requestId", "decision", "allow", "updatedInput", "message"};
    struct buffer *text = claudecodeui_command_open(out, client, "permission_response", FOR_ANSWER,
                                                    dialect_text(message, "requestId"));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_field_object(text, kept[i], json_get(message, kept[i]));
    }
    dialect_command_close(out, false);
}

static void synchronize(struct dialect_out *out, const struct dialect_client *client,
                        struct json_object *message)
{
    claudecodeui_command_open(out, client, "list_permissions", FOR_SYNC, dialect_text(message, "sessionId"));
    dialect_command_close(out, false);
}

/* `data:image/png;base64,...` as a content block. False: it is none. */
static bool put_image(struct buffer *text, struct json_object *image)
{
    const char *data = dialect_after(dialect_text(image, "data"), "data:");
    const char *semicolon = data ? strchr(data, ';') : NULL;
    const char *base64 = semicolon ? dialect_after(semicolon, ";base64,") : NULL;
    if (!base64) {
        return false;
    }
    buffer_text(text, "{\"type\":\"image\"");
    json_field_text(text, "mimeType", data, (size_t)(semicolon - data));
    json_field_string(text, "data", base64);
    buffer_byte(text, '}');
    return true;
}

/* The members of a `prompt` but for its session. */
static bool put_prompt(struct buffer *text, struct json_object *message)
{
    struct json_object *images = json_get(json_get(message, "options"), "images");
    size_t count = images ? json_object_array_length(images) : 0;
    dialect_copy(text, "text", message, "command");
    if (!count) {
        return true;
    }
    json_key(text, "content");
    buffer_byte(text, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_text(text, i ? "," : "");
        if (!put_image(text, json_object_array_get_idx(images, i))) {
            return false;
        }
    }
    buffer_byte(text, ']');
    return true;
}

static void create(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *options, struct buffer *prompt)
{
    struct claudecodeui_state *state = client->state;
    const char *agent = json_get_string(options, "agent"), *cwd = json_get_string(options, "cwd");
    agent = agent ? agent : client->agent;
    cwd = cwd ? cwd : client->workspace;
    if (state->first_prompt) {
        claudecodeui_put_error(out, NULL, "the session before is not made yet", "busy");
        return;
    }
    if (!agent || !cwd) {
        claudecodeui_put_error(out, NULL, "no agent or no workspace root is configured", "not_found");
        return;
    }
    state->first_prompt = buffer_take(prompt);
    out->text.failed |= !state->first_prompt;
    struct buffer *text = claudecodeui_command_open(out, client, "create_session", FOR_CREATE, "");
    json_field_string(text, "agent", agent);
    json_field_string(text, "workspace", cwd);
    dialect_command_close(out, false);
}

static void command(struct dialect_out *out, const struct dialect_client *client,
                    struct json_object *message)
{
    struct json_object *options = json_get(message, "options");
    const char *session_id = json_get_string(options, "sessionId");
    struct buffer prompt = {0};
    if (!put_prompt(&prompt, message)) {
        claudecodeui_put_error(out, session_id, "`options.images` must have `data` like data:image/png;base64,...",
                               "bad_message");
    } else if (session_id) {
        if (!client->watches(client, session_id)) {
            claudecodeui_watch(out, client, FOR_WATCH, session_id, "turn");
        }
        struct buffer *text = claudecodeui_command_open(out, client, "prompt", FOR_PROMPT, session_id);
        json_field_string(text, "sessionId", session_id);
        buffer_append(text, prompt.data, prompt.length);
        text->failed |= prompt.failed;
        dialect_command_close(out, false);
    } else {
        create(out, client, options, &prompt);
    }
    buffer_free(&prompt);
}

static void abort_session(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *session_id = dialect_text(message, "sessionId");
    struct buffer *text = claudecodeui_command_open(out, client, "cancel", FOR_ABORT, session_id);
    json_field_string(text, "sessionId", session_id);
    dialect_command_close(out, false);
}

/* All of it comes: who asks looks at the session for the first time, or comes back and does not say what it has. Messages
 * and calls have ids, so what it has changes nothing. */
static void check(struct dialect_out *out, const struct dialect_client *client,
                  struct json_object *message)
{
    claudecodeui_watch(out, client, FOR_STATUS, dialect_text(message, "sessionId"), "full");
}

static void get_active(struct dialect_out *out, const struct dialect_client *client,
                       struct json_object *message)
{
    (void)message;
    claudecodeui_command_open(out, client, "watch_sessions", FOR_ACTIVE, "");
    dialect_command_close(out, false);
}

#define ROW(word, text, function, ...)                                                             \
    {                                                                                              \
        .name = word, .help = text, .take = function,                                              \
        .fields = (const struct field[]){__VA_ARGS__{.name = NULL}}                                \
    }

const struct dialect_message claudecodeui_messages[] = {
    ROW("permission-response", "Answers a request.", answer, REQUEST,
        FIELD_ROW("decision", WORD, FIELD_REQUIRED, "The answer.",
                  .words = "allow deny allow-session allow-always"),
        UPDATED, ),
    ROW("claude-permission-response", "The same, in an older form.", answer, REQUEST,
        F("allow", BOOL, "The answer."), UPDATED, O("message", STRING, "Why.", .maximum = CWD_MAX), ),
    ROW("permission-sync-request", "Asks what waits in a session.", synchronize,
        SESSION(FIELD_REQUIRED), ),
    ROW("claude-command", "A prompt, for a session or for a new one.", command,
        F("command", STRING, "The prompt.", .minimum = 1),
        O("options", OBJECT, "Where.",
          .members =
              (const struct field[]){
                  SESSION(0),
                  O("cwd", STRING, "The workspace of a new session.", .minimum = 1,
                    .maximum = CWD_MAX),
                  O("agent", STRING, "The agent of a new session.", .minimum = 1,
                    .maximum = WORD_MAX),
                  O("images", ARRAY, "Pictures, as data URLs in `data`."),
                  {.name = NULL}}), ),
    ROW("abort-session", "Cancels what a session does.", abort_session, SESSION(FIELD_REQUIRED),
        O("provider", STRING, "Not looked at."), ),
    ROW("check-session-status", "Asks for a session's state, and for its stream.", check,
        SESSION(FIELD_REQUIRED), O("provider", STRING, "Not looked at."), ),
    ROW("get-active-sessions", "Asks which sessions work.", get_active, ),
    {.name = NULL},
};
