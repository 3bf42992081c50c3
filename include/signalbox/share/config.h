#pragma once
/*
 * The configuration: an immutable snapshot, refcounted and published by RCU. One table makes the
 * struct, the parser, the bounds, the defaults, "can be reloaded" and docs/configuration.md.
 *
 * An option marked RELOAD may change while the server runs: read it from the current snapshot each
 * time it is needed (config_current_get, use, config_put) and keep no copy. One marked RESTART
 * keeps, in every snapshot, the value that the server was started with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/digest.h"
#include "signalbox/base/err.h"
#include "signalbox/base/log.h"
#include "signalbox/share/tokens.h"

/* clang-format off */
/*
 * X(type, field, key, default, minimum, maximum, when, help)
 *
 *   BOOL       bool                 true, false, yes, no, on, off
 *   COUNT      int64_t              a whole number
 *   MS         int64_t              milliseconds
 *   BYTES      int64_t              bytes; written with K, M or G (powers of 1024) if wanted
 *   LEVEL      enum log_level       debug, info, warn, error
 *   DURABILITY enum config_durability   process, power
 *   WRITES     enum config_socket_writes  auto, io_uring, send
 *   ACTION     enum config_action   reject, cancel
 *   POLICY     enum config_policy   ask, read-only, trust
 *   ADDRESS    char *               HOST:PORT, an IPv4 address or an IPv6 address in brackets
 *   PATH       char *               absolute after loading, or NULL where it is not set
 *   LIST       struct config_list   strings
 *   PATHS      struct config_list   folders, absolute and with links resolved after loading
 */
#define CONFIG_OPTIONS(X)                                                                          \
    X(ADDRESS, listen, "listen", "127.0.0.1:8080", 0, 0, RESTART,                                  \
      "The address to serve, HOST:PORT. HOST is an IPv4 address; an IPv6 one, in brackets "        \
      "([::1]:8080), only where CivetWeb was built for it, which Debian's was not. Port 0 "        \
      "takes a free one. Any address but a loopback one needs tokens-file.")                       \
    X(PATH, data, "data", "", 0, 0, RESTART,                                                       \
      "The folder of the journal and everything else that is kept. It is made if it is missing. "  \
      "Default: $XDG_DATA_HOME/signalbox, or ~/.local/share/signalbox.")                           \
    X(PATHS, workspace_roots, "workspace-roots", "", 0, 0, RELOAD,                                 \
      "The folders in which agents may work. A session's workspace must be one of them or lie "    \
      "under one, after links are resolved. With none, no session can be created.")                \
    X(PATH, tokens_file, "tokens-file", "", 0, 0, RELOAD,                                          \
      "A file with a line `USER TOKEN` for each token that is accepted; lines that begin with # "  \
      "are comments. Only its owner may be able to read it (chmod 600). Without it everybody who " \
      "reaches the server is the user `local`, and only a loopback address is served.")            \
    X(LIST, allowed_origins, "allowed-origins", "", 0, 0, RELOAD,                                  \
      "Origins, beside the server's own, whose pages may use it (https://example.org). Behind a "  \
      "reverse proxy, name the address that browsers see.")                                        \
    X(BOOL, behind_tls, "behind-tls", "false", 0, 0, RELOAD,                                       \
      "Set when a reverse proxy serves Signalbox over TLS: cookies are marked Secure.")            \
    X(PATH, theme_file, "theme-file", "", 0, 0, RELOAD,                                            \
      "A JSON object with the page's colours and name, served as /theme.json "                     \
      "(docs/operation.md says what may be in it). Changes reach every browser at once.")          \
    X(LEVEL, log_level, "log-level", "info", 0, 0, RELOAD,                                         \
      "What is logged: debug, info, warn or error.")                                               \
    X(DURABILITY, durability, "durability", "process", 0, 0, RESTART,                              \
      "What a commit survives. `process`: every death of the server, SIGKILL too; when the "       \
      "machine loses power the newest commits may be gone. `power`: that too, for an fsync of "    \
      "the disk with each commit (docs/operation.md has what it costs).")                          \
    X(COUNT, socket_threads, "socket-threads", "0", 0, 256, RESTART,                               \
      "Threads that serve WebSockets and event streams; 0 for one per core.")                      \
    X(WRITES, socket_writes, "socket-writes", "auto", 0, 0, RESTART,                               \
      "How they write: `io_uring` hands the writes of many clients to the kernel in one call, "    \
      "`send` makes a call for each. `auto` is `io_uring` where the kernel has it and allows it "  \
      "(many containers do not), else `send`.")                                                    \
    X(COUNT, http_threads, "http-threads", "64", 2, 1024, RESTART,                                 \
      "Threads that handle HTTP requests, one request each at a time.")                            \
    X(MS, http_request_timeout_ms, "http-request-timeout-ms", "10000", 100, 600000, RESTART,       \
      "How long an HTTP connection may take to send the head of its request, and once more for its " \
      "body, which has a second more for each 16 KiB.")                                            \
    X(BOOL, compression, "compression", "true", 0, 0, RELOAD,                                      \
      "Whether clients that ask for it (permessage-deflate) get longer messages compressed: once " \
      "for all who watch a session. Who is connected keeps what was agreed on.")                   \
    X(BYTES, compression_min_bytes, "compression-min-bytes", "512", 128, 1048576, RESTART,         \
      "Shorter messages are sent as they are.")                                                    \
    X(MS, round_ms, "round-ms", "4", 0, 100, RELOAD,                                               \
      "While agents say more than 2,500 things a second, all together, they are listened to in rounds of "\
      "this length, and what came in a round is recorded and sent on together: a fraction of the work of as "\
      "many one by one. 0 takes each thing when it comes, however many there are.")                  \
    X(MS, delta_window_ms, "delta-window-ms", "50", 0, 10000, RELOAD,                              \
      "Text of an agent that arrives within this time is sent as one event; the first after a "    \
      "quiet time goes out at once. 0 sends each chunk by itself.")                                \
    X(MS, permission_timeout_ms, "permission-timeout-ms", "60000", 0, 604800000, RELOAD,           \
      "How long a permission request waits for an answer; 0 for ever. An agent may have its own.") \
    X(LIST, permission_timeouts, "permission-timeouts", "", 0, 0, RELOAD,                          \
      "The same for kinds of tool: KIND=MILLISECONDS each, with ACP's kinds (\"execute=300000\"). "  \
      "What is said of a kind goes before what is said of all, and what an agent's section says "  \
      "goes before what stands here.")                                                             \
    X(ACTION, permission_timeout_action, "permission-timeout-action", "reject", 0, 0, RELOAD,      \
      "What the agent is told when a request was not answered in time: `reject`, its own words "   \
      "for no, or `cancel`, the outcome `cancelled`. An agent may have its own.")                  \
    X(POLICY, default_policy, "default-policy", "ask", 0, 0, RELOAD,                               \
      "The policy of a new session, and of one whose policy has been forbidden.")                  \
    X(LIST, forbidden_policies, "forbidden-policies", "", 0, 0, RELOAD,                            \
      "Policies that no session may have: ask, read-only, trust.")                                 \
    X(LIST, deny_commands, "deny-commands", "", 0, 0, RELOAD,                                      \
      "What no person, rule or policy can allow: requests whose command, as people are shown it, " \
      "is like one of these, in which * stands for any text (\"rm -rf *\", \"*sudo *\").")         \
    X(LIST, deny_kinds, "deny-kinds", "", 0, 0, RELOAD,                                            \
      "The same for requests of these kinds of tool (ACP's, such as fetch).")                      \
    X(LIST, deny_paths, "deny-paths", "", 0, 0, RELOAD,                                            \
      "The same for requests that name a path in one of these folders, or one of these files, as " \
      "it is written or with its links resolved. A relative one is meant in each workspace "       \
      "(\".git\").")                                                                               \
    X(COUNT, max_rules, "max-rules", "10000", 0, 100000, RELOAD,                                   \
      "Rules of Signalbox's own (\"always allow `npm test` in this workspace\") at a time.")       \
    X(MS, cancel_timeout_ms, "cancel-timeout-ms", "10000", 100, 3600000, RELOAD,                   \
      "An agent that has not ended a cancelled turn by then is ended itself.")                     \
    X(MS, agent_start_timeout_ms, "agent-start-timeout-ms", "60000", 100, 3600000, RELOAD,         \
      "How long an agent may take from its start to its session.")                                 \
    X(MS, agent_stop_grace_ms, "agent-stop-grace-ms", "2500", 0, 60000, RELOAD,                    \
      "How long an agent that is told to end is waited for before it is killed.")                  \
    X(MS, agent_idle_ms, "agent-idle-ms", "3600000", 0, 2592000000, RELOAD,                        \
      "An agent whose session has had no turn, no open permission request and no waiting prompt "  \
      "for this time is stopped; the next prompt starts it again. 0: never. An agent may have "    \
      "its own.")                                                                                  \
    X(MS, agent_room_idle_ms, "agent-room-idle-ms", "60000", 0, 2592000000, RELOAD,                \
      "Where sessions wait for max-agents, agents that have been idle for this time are stopped "  \
      "to make room for them, those first that have been idle longest; 0: none is.")               \
    X(MS, agent_silence_ms, "agent-silence-ms", "120000", 0, 86400000, RELOAD,                     \
      "An agent that says nothing for this time in a turn, though nobody is asked, is shown as "   \
      "silent; 0: it is not. An agent may have its own.")                                          \
    X(MS, agent_hang_ms, "agent-hang-ms", "0", 0, 604800000, RELOAD,                               \
      "A turn in which the agent says nothing for this time is cancelled; 0: it is not. An agent " \
      "may have its own.")                                                                         \
    X(COUNT, agent_breaker_failures, "agent-breaker-failures", "5", 0, 20, RELOAD,                 \
      "So many failed starts or crashes within agent-breaker-window-ms, and an agent is not "      \
      "started for a while; 0: it always is.")                                                     \
    X(MS, agent_breaker_window_ms, "agent-breaker-window-ms", "600000", 100, 86400000, RELOAD,     \
      "How long a failure counts for that.")                                                       \
    X(MS, agent_breaker_pause_ms, "agent-breaker-pause-ms", "5000", 100, 86400000, RELOAD,         \
      "How long it is not started then. If the one try after that fails too, it is twice as long.") \
    X(MS, agent_breaker_pause_max_ms, "agent-breaker-pause-max-ms", "300000", 100, 86400000,       \
      RELOAD, "The longest such pause.")                                                           \
    X(MS, agent_proof_ms, "agent-proof-ms", "30000", 100, 86400000, RELOAD,                        \
      "An agent that has ended a turn, or was ready for this time, works: earlier failures do "    \
      "not count any more.")                                                                       \
    X(MS, ping_interval_ms, "ping-interval-ms", "25000", 100, 3600000, RELOAD,                     \
      "A client that was silent for this time is pinged; two pings without an answer close it.")   \
    X(MS, stall_timeout_ms, "stall-timeout-ms", "60000", 100, 3600000, RELOAD,                     \
      "A client whose socket takes no byte for this time, though output waits, is closed.")        \
    X(MS, login_lifetime_ms, "login-lifetime-ms", "2592000000", 1000, 31536000000, RELOAD,         \
      "How long a browser stays logged in.")                                                       \
    X(COUNT, login_failures_per_minute, "login-failures-per-minute", "10", 0, 1000000, RELOAD,     \
      "Failed logins from one address in a minute before it is refused for a while; 0 for no "     \
      "limit.")                                                                                    \
    X(BYTES, max_message_bytes, "max-message-bytes", "1M", 1024, 67108864, RELOAD,                 \
      "The longest message of a client, and the longest body of an HTTP request.")                 \
    X(COUNT, max_json_depth, "max-json-depth", "64", 8, 1000, RESTART,                             \
      "How deep JSON from clients and agents may nest.")                                           \
    X(COUNT, max_sessions, "max-sessions", "10000", 1, 1000000, RELOAD,                            \
      "Sessions that are open at a time.")                                                         \
    X(COUNT, max_clients, "max-clients", "20000", 1, 1000000, RELOAD,                              \
      "Connections (WebSockets and event streams) at a time.")                                     \
    X(COUNT, max_agents, "max-agents", "256", 1, 100000, RELOAD,                                   \
      "Agent processes that run at a time. Past it, sessions wait for a free place.")              \
    X(COUNT, max_waiting_agents, "max-waiting-agents", "256", 0, 100000, RELOAD,                   \
      "Sessions that wait for max-agents; further starts are refused.")                            \
    X(COUNT, max_pending_permissions, "max-pending-permissions", "64", 1, 10000, RELOAD,           \
      "Permission requests of a session that wait at a time; further ones are rejected.")          \
    X(COUNT, max_queued_prompts, "max-queued-prompts", "100", 0, 10000, RELOAD,                    \
      "Prompts of a session that wait for the turn before them.")                                  \
    X(COUNT, max_commands_in_flight, "max-commands-in-flight", "64", 1, 10000, RELOAD,             \
      "Commands of a client that are not answered yet, before its socket is not read.")            \
    X(COUNT, max_http_commands, "max-http-commands", "256", 1, 100000, RESTART,                    \
      "Commands of all HTTP requests that are not answered yet; further ones are answered 503.")   \
    X(COUNT, max_subscriptions, "max-subscriptions", "10000", 1, 1000000, RELOAD,                  \
      "Sessions that a client watches at a time.")                                                 \
    X(BYTES, max_agent_line_bytes, "max-agent-line-bytes", "64M", 65536, 1073741824, RELOAD,       \
      "The longest line (one JSON-RPC message) of an agent; one that sends a longer line is "      \
      "ended.")                                                                                    \
    X(BYTES, max_event_bytes, "max-event-bytes", "64K", 16384, 16777216, RELOAD,                   \
      "The longest event that is not message text. What is too long in a larger one is stored "    \
      "by itself, and cut in the event. An agent that runs keeps the value of its start.")         \
    X(BYTES, max_blob_bytes, "max-blob-bytes", "16M", 1024, 268435456, RELOAD,                     \
      "The longest content that a client sends up, and the most that the blobs of a prompt have "  \
      "together.")                                                                                 \
    X(COUNT, max_session_blobs, "max-session-blobs", "1000", 0, 1000000, RELOAD,                   \
      "How many pieces of content clients may send up to a session.")                              \
    X(BYTES, max_session_blob_bytes, "max-session-blob-bytes", "256M", 0, 1099511627776, RELOAD,   \
      "How long they may be together.")                                                            \
    X(BYTES, max_message_text, "max-message-text", "256K", 1024, 16777216, RELOAD,                 \
      "The longest text of one message of an agent; what follows is a new message.")               \
    X(BYTES, tail_bytes, "tail-bytes", "256K", 4096, 1073741824, RESTART,                          \
      "Recent events of a session that are kept in memory for its watchers.")                      \
    X(COUNT, tail_events, "tail-events", "1024", 16, 1000000, RESTART,                             \
      "How many events a session's tail in memory holds at most.")                                 \
    X(BYTES, tails_total_bytes, "tails-total-bytes", "256M", 65536, 1099511627776, RESTART,        \
      "Memory of all tails together. Past it the tails of the sessions that were quiet longest "   \
      "go; who watches them reads from the store.")                                                \
    X(MS, session_idle_ms, "session-idle-ms", "600000", 0, 604800000, RELOAD,                      \
      "A session without an agent, watchers and open work leaves memory after this time, and "     \
      "comes back when it is asked for; 0: it stays.")                                             \
    X(MS, fold_after_ms, "fold-after-ms", "600000", 0, 31536000000, RELOAD,                         \
      "A turn that ended this long ago is folded in the store: what a replay would leave out is "  \
      "removed from it; 0: never.")                                                                \
    X(BYTES, credit_session_bytes, "credit-session-bytes", "1M", 65536, 1073741824, RESTART,       \
      "Bytes of a session's events on their way to the journal before its agent is not read.")     \
    X(BYTES, credit_total_bytes, "credit-total-bytes", "64M", 65536, 17179869184, RESTART,         \
      "The same over all sessions.")                                                               \
    X(BOOL, wire_log, "wire-log", "false", 0, 0, RELOAD,                                           \
      "Keep everything that the server and the agents say to each other, as files in DATA/wire "   \
      "that `signalbox replay-agent` plays. Off, since they hold what people and agents wrote, "   \
      "beside the session's own log. An agent may have its own.")                                  \
    X(BYTES, wire_log_file_bytes, "wire-log-file-bytes", "16M", 65536, 1073741824, RELOAD,         \
      "A file of the wire log that has grown to this goes on in another one.")                     \
    X(BYTES, wire_log_total_bytes, "wire-log-total-bytes", "1G", 65536, 1099511627776, RELOAD,     \
      "All files of the wire log together; the oldest go.")                                        \
    X(MS, wire_log_keep_ms, "wire-log-keep-ms", "604800000", 1000, 31536000000, RELOAD,            \
      "A file of the wire log that was not written to for this time goes.")                        \
    X(MS, reconnect_spread_ms, "reconnect-spread-ms", "5000", 0, 600000, RELOAD,                   \
      "When the server stops, clients are told to come back at a moment within this time, each "   \
      "at another, so that they do not all arrive at once.")

/* Options of an `agent NAME { ... }` section: Y(key, type, default, help). */
#define CONFIG_AGENT_OPTIONS(Y)                                                                    \
    Y("command", "list", "",                                                                       \
      "The program and its arguments. A program without a slash is found by the agent's PATH, "    \
      "and then beside the server's own program. A relative path starts at the configuration "     \
      "file's folder.")                                                                            \
    Y("environment", "list", "",                                                                   \
      "KEY=VALUE, laid over the server's own environment.")                                        \
    Y("title", "string", "NAME", "What people see.")                                               \
    Y("install", "string", "",                                                                     \
      "The command that installs it, shown where the program is not found.")                       \
    Y("login", "string", "",                                                                       \
      "The id of one of the agent's ways to log in (ACP authMethods). It is taken when the agent " \
      "refuses a session without a login; without this option the session says which ways there "  \
      "are.")                                                                                      \
    Y("offers", "list", "",                                                                        \
      "What Signalbox does for the agent where it asks (ACP client capabilities): `fs`, to read "  \
      "and write text files of the workspace, and `terminal`, to run commands in it. Most agents " \
      "do both themselves, and some do worse with it (Gemini cannot make new files with `fs`). "   \
      "Neither asks for a permission: that is the agent's part. In a read-only session nothing "   \
      "is written and nothing run.")                                                               \
    Y("permission-timeout-ms", "milliseconds", "permission-timeout-ms",                            \
      "As the option of this name, for this agent.")                                               \
    Y("permission-timeouts", "list", "permission-timeouts",                                        \
      "As the option of this name, for this agent.")                                               \
    Y("permission-timeout-action", "reject or cancel", "permission-timeout-action",                \
      "As the option of this name, for this agent.")                                               \
    Y("wire-log", "true or false", "wire-log", "As the option of this name, for this agent.")      \
    Y("agent-idle-ms", "milliseconds", "agent-idle-ms",                                            \
      "As the option of this name, for this agent.")                                               \
    Y("agent-silence-ms", "milliseconds", "agent-silence-ms",                                      \
      "As the option of this name, for this agent.")                                               \
    Y("agent-hang-ms", "milliseconds", "agent-hang-ms",                                            \
      "As the option of this name, for this agent.")                                               \
    Y("memory-limit", "bytes", "",                                                                 \
      "Address space of each of its processes (RLIMIT_AS), 16M to 1024G. What a program reserves " \
      "counts, used or not: docs/operation.md says what that means for Node.")                     \
    Y("cpu-limit-seconds", "seconds", "",                                                          \
      "Processor time of each of its processes (RLIMIT_CPU), 1 to 31536000. Past it the process "  \
      "gets SIGXCPU, five seconds later SIGKILL.")                                                 \
    Y("open-files-limit", "number", "",                                                            \
      "Open descriptors of each of its processes (RLIMIT_NOFILE), 16 to 1048576. Without it they have the limit " \
      "that the server was started with.")                                                     \
    Y("file-size-limit", "bytes", "",                                                              \
      "The longest file that one of its processes may write (RLIMIT_FSIZE), 4K to 1024G.")         \
    Y("nice", "number", "",                                                                        \
      "How far its processes stand back for others' on the processor, 0 to 19.")                   \
    Y("oom-score-adj", "number", "",                                                               \
      "How much rather than others its processes are ended when the machine runs out of memory, "  \
      "0 to 1000.")

/* clang-format on */

#define CONFIG_COOKIE_NAME "signalbox_login"

/* What a commit survives: any death of the process, or the loss of power too. */
enum config_durability { DURABILITY_PROCESS, DURABILITY_POWER };
/* How socket threads write; the names of the option are in this order. */
enum config_socket_writes { SOCKET_WRITES_AUTO, SOCKET_WRITES_IO_URING, SOCKET_WRITES_SEND };
/* What an agent is told when nobody answered in time. */
enum config_action { ACTION_REJECT, ACTION_CANCEL };
enum config_policy { CONFIG_POLICY_ASK, CONFIG_POLICY_READ_ONLY, CONFIG_POLICY_TRUST };
/* By the names of the option; NULL-terminated. */
extern const char *const config_policy_names[];

struct config_list {
    char **items; /* NULL-terminated; NULL when empty */
    size_t count;
};

/* How long requests of these kinds of tool wait: the first of a kind counts. */
struct config_timeouts {
    struct config_list kinds;
    int64_t *ms; /* one for each kind; 0: for ever */
};

/* What the processes of an agent may use; -1 where the configuration says nothing. */
struct config_limits {
    int64_t memory_bytes, cpu_seconds, open_files, file_bytes; /* of each process */
    int64_t nice, oom_score_adj;
};

struct config_agent {
    char *name;                     /* letters, digits, - _ . */
    char *title;                    /* never NULL */
    struct config_list command;     /* at least the program */
    struct config_list environment; /* KEY=VALUE */
    char *install;                  /* NULL if not given */
    char *login;                    /* ACP authMethod id; NULL if not given */
    bool offers_fs, offers_terminal;
    /* In effect: its own or the general one; 0 for none. */
    int64_t permission_timeout_ms, idle_ms, silence_ms, hang_ms;
    struct config_timeouts timeouts; /* in effect, by kind of tool */
    enum config_action permission_timeout_action; /* in effect */
    bool wire_log; /* in effect: its own or the general one */
    struct config_limits limits;
    int line;                       /* of its command in the file; 0 for the built-in one */
};

/* Everything is read-only for who holds a reference. */
struct config {
#define CONFIG_TYPE_BOOL                                            bool
#define CONFIG_TYPE_COUNT                                           int64_t
#define CONFIG_TYPE_MS                                              int64_t
#define CONFIG_TYPE_BYTES                                           int64_t
#define CONFIG_TYPE_LEVEL                                           enum log_level
#define CONFIG_TYPE_DURABILITY                                      enum config_durability
#define CONFIG_TYPE_WRITES                                          enum config_socket_writes
#define CONFIG_TYPE_ACTION                                          enum config_action
#define CONFIG_TYPE_POLICY                                          enum config_policy
#define CONFIG_TYPE_ADDRESS                                         char *
#define CONFIG_TYPE_PATH                                            char *
#define CONFIG_TYPE_LIST                                            struct config_list
#define CONFIG_TYPE_PATHS                                           struct config_list
#define X(type, field, key, fallback, minimum, maximum, when, help) CONFIG_TYPE_##type field;
    CONFIG_OPTIONS(X)
#undef X
    struct config_timeouts timeouts; /* of permission_timeouts */
    struct config_list denied_paths; /* of deny_paths: in normal form; one that is a link as what it leads to as well */
    struct config_agent *agents; /* in the file's order */
    size_t agent_count;
    struct tokens *tokens; /* NULL: none configured, everybody is `local` */
    char *theme;           /* the theme file's JSON text, or "{}" */
    size_t theme_length;
    char *listen_host; /* of listen, without brackets */
    int listen_port;
    bool listen_loopback;
    char *file;        /* the configuration file, absolute; NULL: built in */
    char *program_dir; /* where the server's own programs are; NULL if unknown */
    /* RESTART options that the file changed while the server runs: they have kept their values. */
    struct config_list restart_needed;
};

/* ---- Loading ---- */

/* Why a configuration was refused. `file` names the configuration, tokens or theme file, or
 * "--set"; it is NULL and `line` 0 where there is none. Owned by who declared it:
 * config_error_free. */
struct config_error {
    char *file;
    int line;
    char *reason;
};
void config_error_free(struct config_error *error); /* also resets it */
/* "FILE:LINE", "FILE" or NULL, for logs; the caller frees. */
char *config_error_where(const struct config_error *error);
/* "FILE:LINE: REASON" as far as they are known; the caller frees. NULL when out of memory. */
char *config_error_text(const struct config_error *error);

/* Where a configuration comes from; the same at the start and at every reload. Owned by one thread
 * at a time. */
struct config_source {
    char *file;             /* absolute; NULL: built-in defaults and the agent `shell` */
    struct config_list set; /* KEY=VALUE, in order */
    char *program_dir;
};
/* `file` may be NULL or relative to the working directory. The folder of the server's own program
 * is found by itself. config_source_free on failure too. */
must_check enum err config_source_init(struct config_source *source, const char *file);
void config_source_free(struct config_source *source);
/* What --set KEY=VALUE says (also --listen and --data: "listen=...", "data=..."). For a list, the
 * first one replaces what the file has and each later one adds an item; an empty VALUE makes it
 * empty. Copied; checked by config_load. */
must_check enum err config_source_set(struct config_source *source, const char *key_and_value);
must_check enum err config_source_set_key(struct config_source *source, const char *key,
                                          const char *value);

/*
 * Reads the configuration, tokens and theme files, checks everything, and makes a snapshot with one
 * reference, the caller's. Reads files: may block. `running` is NULL at the start; at a reload it
 * is the snapshot in force, whose RESTART values are kept (before the checks, so a reload cannot
 * open a listening server to everybody). On failure: ERR_NOENT, ERR_ACCES, ERR_SYNTAX, ERR_INVAL,
 * ERR_PERM (a file's mode, or an open address without tokens), ERR_NOMEM ..., and *error says where
 * and why; it must be empty ({0}) before. Any thread, one at a time (the parser library has global
 * state: a lock inside sees to it).
 */
must_check enum err config_load(struct config **out, const struct config_source *source,
                                const struct config *running, struct config_error *error);

/* Another reference; any thread. */
const struct config *config_get(const struct config *config);
/* Gives one back; any thread; NULL is fine. A snapshot that was ever published is freed after a
 * grace period. */
void config_put(const struct config *config);

/* Which of what clients see differs: of the configuration and tokens files, or of the theme. By
 * their bytes. */
bool config_same_settings(const struct config *a, const struct config *b);
bool config_same_theme(const struct config *a, const struct config *b);

/* ---- The snapshot in force ---- */

struct config_store;
/* Takes `first` over on success. Here and in config_store_publish the snapshot's log level takes
 * effect. */
must_check enum err config_store_new(struct config_store **out, struct config *first);
/* When no other thread uses it any more; puts the snapshot in force. NULL is fine. */
void config_store_free(struct config_store *store);
/* The snapshot in force, with a reference for the caller: config_put. Never NULL. Registered
 * threads; wait-free but for a retry while one is being replaced. */
const struct config *config_current_get(struct config_store *store);
/* Takes `config` over, and retires the one before. The watch thread only (and tests). */
void config_store_publish(struct config_store *store, struct config *config);
/* Remembers why the last load was refused (copied), or that it was fine (NULL). The watch thread
 * only. */
void config_store_report(struct config_store *store, const struct config_error *error);
/* For /readyz: true when the files as they are now are in force; else *out (must be {0}) gets a
 * copy of the error. Any thread; a short lock. */
bool config_store_ok(struct config_store *store, struct config_error *out);

/* ---- Agents ---- */

/* NULL if there is none of this name. Borrowed from the snapshot. */
const struct config_agent *config_agent(const struct config *config, const char *name);

enum { CONFIG_REASON_SIZE = 512 };
/*
 * The absolute path of the agent's program, looked up in the PATH of the environment that it will
 * get and then in the folder of the server's own programs; the caller frees it. ERR_NOENT with a
 * reason, such as "command not found: opencode". Reads directories: not for the dispatcher.
 */
must_check enum err config_agent_program(const struct config *config,
                                         const struct config_agent *agent, char **program,
                                         char reason[CONFIG_REASON_SIZE]);
/* The same question with the answer only. */
bool config_agent_available(const struct config *config, const struct config_agent *agent,
                            char reason[CONFIG_REASON_SIZE]);
/* The server's environment with the agent's laid over it, and the folder of the server's own
 * programs at the end of PATH: a NULL-terminated array in one piece of memory, which the caller
 * frees with free(). */
must_check enum err config_agent_environment(const struct config *config,
                                             const struct config_agent *agent, char ***environment);
/* Equal for agents that are started in the same way. Any thread. */
void config_agent_digest(const struct config_agent *agent, struct digest *out);

/* ---- Workspaces ---- */

/*
 * The folder, with links resolved, if it is a configured root or lies under one; the caller frees
 * *resolved. Else a reason for people and ERR_INVAL (not absolute, or no folder), ERR_NOENT (does
 * not exist), ERR_ACCES (cannot be entered), ERR_PERM (outside the roots, or there are none),
 * ERR_NOMEM. Reads directories: not for the dispatcher.
 */
must_check enum err config_workspace_resolve(const struct config *config, const char *path,
                                             char **resolved, char reason[CONFIG_REASON_SIZE]);

/* ---- Documentation ---- */

/* docs/configuration.md, as Markdown. */
void config_write_docs(struct buffer *out);
