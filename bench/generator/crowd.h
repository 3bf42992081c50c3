// Many clients that behave as a person's do: each keeps its id, its position, what it knows and the
// commands that were not answered over all its connections, over restarts of the server too. The
// scenarios torture, storm and soak are made of them; the others have watchers (world.h), which cost
// less and know from the beginning what must come.
#pragma once

#include "model.h"
#include "report.h"

struct crowd;
struct client;

struct prompt {
    uint32_t seed;    // its script's, by which it is known
    long texts;       // numbers in its text, its thoughts
    long thoughts;
    int tools;
    char message[64]; // the ack's
};

// A session.
struct place {
    struct crowd *crowd;
    size_t index;
    char id[64];
    char epoch[96];
    uint64_t head;  // the highest number that anyone has seen
    uint64_t *sums; // by number: a hash of the event that someone saw
    size_t room;
    struct prompt *prompts;
    size_t prompt_count;
};

enum command_kind { COMMAND_CREATE, COMMAND_PROMPT, COMMAND_ANSWER, COMMAND_RESUME, COMMAND_CLOSE };

struct command {
    struct command *next;
    enum command_kind kind;
    char id[16];
    char *text;
    struct place *place;
    size_t prompt; // its index in the place
    long sent;
};

enum client_state {
    CLIENT_OFF,
    CLIENT_OPENING,
    CLIENT_OPEN, // the handshake is done, `connected` has not come
    CLIENT_SUBSCRIBING,
    CLIENT_REPLAY,
    CLIENT_LIVE,
    CLIENT_ASIDE, // connected, and watches nothing
};

struct client {
    struct connection connection;
    struct timer timer;  // connects when off; else the scenario's
    struct timer again;  // sends what was refused for the moment
    struct crowd *crowd;
    struct place *place; // NULL: it only gives commands
    size_t index;
    char id[32];
    enum client_state state;
    struct model model;
    struct command *commands; // not answered, in the order of their making
    struct command *answered; // the last prompt that was
    unsigned long command_count;
    uint64_t head; // of the last subscribe
    uint64_t seen; // by anyone, when it was sent
    bool lags;     // it was told that it is behind
    bool homeless; // the server ends
    bool small;    // a small window and segments, as of a slow network
    int64_t back_at; // when it was told to come back
    int64_t lived;   // when it was live last
    unsigned long born; // the server's start at which it connected
    long retries;
    long plan; // the scenario's
};

// Any may be NULL; each may drop its client.
struct crowd_hooks {
    void (*open)(struct client *c);      // after the handshake
    void (*connected)(struct client *c); // before it subscribes
    void (*asked)(struct client *c);     // after it sent `subscribe`
    void (*event)(struct client *c);
    void (*live)(struct client *c);
    void (*left)(struct client *c);     // `unsubscribed`
    void (*answered)(struct client *c); // a command
    void (*timer)(struct client *c);
};

// The server is killed the moment that a client has it: what was acknowledged or shown must be
// recorded already.
enum trigger { TRIGGER_NONE, TRIGGER_ACK, TRIGGER_EVENT };

enum { CROWD_PAUSES = 16 };

struct crowd {
    struct world world;
    struct place *places;
    size_t place_count;
    struct client *clients;
    size_t client_count;
    size_t fills; // how often it was filled
    size_t made;  // sessions, by all of them
    const struct crowd_hooks *hooks;
    unsigned long starts; // of the server
    enum trigger trigger; // what it is killed behind
    bool stopped;         // it was told to end in order, which cancels turns
    bool down;            // it was killed, or told to stop, and does not serve yet
    uint32_t seeds;       // of prompts
    uint64_t events, reconnects, resent, asked_again, refused_for_now;
    uint64_t turns, whole_turns; // counted by the audit
    // Pauses that the server made (base/pause.h), over all its starts.
    struct {
        char name[32];
        uint64_t before; // of the starts that have ended
        uint64_t now;
    } pauses[CROWD_PAUSES];
    size_t pause_count;
};

void crowd_open(struct crowd *crowd, const struct options *o, const char *const *settings,
                const struct crowd_hooks *hooks);
void crowd_close(struct crowd *crowd);
// Everybody leaves.
void crowd_empty(struct crowd *crowd);
// After crowd_empty where it was filled before: `clients`, spread over `places` sessions in turn, off. The first ones make the sessions; they are
// there when it returns.
void crowd_fill(struct crowd *crowd, size_t places, size_t clients, const char *const *agents);

void crowd_kill(struct crowd *crowd);      // SIGKILL
void crowd_terminate(struct crowd *crowd); // SIGTERM; crowd_ended says when
bool crowd_ended(void *crowd);
void crowd_start(struct crowd *crowd);
bool crowd_is_up(void *crowd); // after crowd_start: it serves
bool crowd_is_live(void *crowd); // every client
// Reads /metrics and counts the pauses of the server as it runs now.
void crowd_read_pauses(struct crowd *crowd);

uint64_t crowd_below(struct crowd *crowd, uint64_t bound); // random, seeded

void client_init(struct client *c, struct crowd *crowd, size_t index, struct place *place);
void client_free(struct client *c);
void client_connect(struct client *c);
void client_connect_at(struct client *c, int64_t at);
void client_drop(struct client *c, bool reset);
void client_subscribe(struct client *c);
void client_unsubscribe(struct client *c);
// A command: `o` has what is beside type and id, and is taken. It is sent when it can be, and again
// on every connection until it is answered.
struct command *client_command(struct client *c, enum command_kind kind, struct place *place,
                               json_object *o);
void client_prompt(struct client *c, const struct prompt *prompt, const char *steps);

// scenario_torture.c

// A prompt of count text, a thought, and a tool call or two, the second of which asks.
void crowd_say(struct client *c, long rate, bool asks);
// One long text, as fast as the agent can.
void crowd_say_much(struct client *c, long numbers);
void crowd_answer(struct client *c, bool allowed); // the newest open request
// What the tool with this number in a script says, without quotes or escapes.
void crowd_tool_output(uint32_t seed, int index, char *text, size_t size);

// crowd_audit.c

// Asks whether every session is at rest: no turn, no queue, no permission request, no command that
// is not answered, and every client live and at the same number. What hinders is answered, resumed.
bool crowd_rests(void *crowd);
// Every client's state is that of a fresh client, of the REST pages, and of the rows in the store's
// file; each event that anyone saw is in the file; each prompt was done once, and its turn says what
// its script does. For the server at rest.
void crowd_audit(struct crowd *crowd);
