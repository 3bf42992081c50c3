#define _GNU_SOURCE
#include "crowd.h"

#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAKE_SECONDS = 60, METRICS_SECONDS = 5 };

uint64_t crowd_below(struct crowd *crowd, uint64_t bound)
{
    return bound > 0 ? world_random(&crowd->world) % bound : 0;
}

void crowd_open(struct crowd *crowd, const struct options *o, const char *const *settings,
                const struct crowd_hooks *hooks)
{
    *crowd = (struct crowd){.hooks = hooks, .starts = 1, .seeds = 1};
    world_begin(&crowd->world, o, settings);
}

void crowd_empty(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->client_count; i++) {
        client_free(&crowd->clients[i]);
    }
    for (size_t i = 0; i < crowd->place_count; i++) {
        free(crowd->places[i].sums);
        free(crowd->places[i].prompts);
    }
    free(crowd->clients);
    free(crowd->places);
    crowd->clients = NULL;
    crowd->places = NULL;
    crowd->client_count = 0;
    crowd->place_count = 0;
}

void crowd_close(struct crowd *crowd)
{
    crowd_empty(crowd);
    world_close(&crowd->world);
}

static bool are_made(void *context)
{
    const struct crowd *crowd = context;
    for (size_t i = 0; i < crowd->place_count; i++) {
        if (crowd->places[i].id[0] == '\0') {
            return false;
        }
    }
    return true;
}

void crowd_fill(struct crowd *crowd, size_t places, size_t clients, const char *const *agents)
{
    const struct options *o = crowd->world.options;
    char workspace[256];
    size_t kinds = 0;
    size_t first = crowd->fills++ * clients; // other ids than those who were there before
    while (agents[kinds] != NULL) {
        kinds++;
    }
    snprintf(workspace, sizeof workspace, "%s/workspace", crowd->world.server.folder);
    crowd->place_count = places;
    crowd->client_count = clients;
    crowd->places = take(NULL, places * sizeof *crowd->places);
    crowd->clients = take(NULL, clients * sizeof *crowd->clients);
    for (size_t i = 0; i < places; i++) {
        crowd->places[i] = (struct place){.crowd = crowd, .index = i};
    }
    for (size_t i = 0; i < clients; i++) {
        client_init(&crowd->clients[i], crowd, first + i, &crowd->places[i % places]);
    }
    for (size_t i = 0; i < places; i++) {
        json_object *create = json_object_new_object();
        json_object_object_add(create, "agent", json_object_new_string(agents[i % kinds]));
        json_object_object_add(
            create, "workspace",
            json_object_new_string(crowd->world.server.ours ? workspace : o->workspace));
        client_command(&crowd->clients[i], COMMAND_CREATE, &crowd->places[i], create);
        client_connect(&crowd->clients[i]);
    }
    crowd->made += places;
    if (!world_wait(&crowd->world, are_made, MAKE_SECONDS, "the sessions") ||
        crowd->world.errors > 0) {
        die("the sessions cannot be made");
    }
    for (size_t i = 0; i < places; i++) {
        if (crowd->clients[i].state == CLIENT_ASIDE) {
            client_subscribe(&crowd->clients[i]);
        }
    }
}

// ---- The server ----

void crowd_read_pauses(struct crowd *crowd)
{
    char *text = http_get(&crowd->world.target, "/metrics", METRICS_SECONDS);
    static const char begin[] = "signalbox_pauses_total{point=\"";
    for (const char *at = text; at != NULL && (at = strstr(at, begin)) != NULL;) {
        char name[32];
        unsigned long long count;
        at += sizeof begin - 1;
        if (sscanf(at, "%31[a-z_]\"} %llu", name, &count) != 2) {
            continue;
        }
        size_t i = 0;
        while (i < crowd->pause_count && strcmp(crowd->pauses[i].name, name) != 0) {
            i++;
        }
        if (i == crowd->pause_count && i < CROWD_PAUSES) {
            memcpy(crowd->pauses[i].name, name, sizeof name);
            crowd->pause_count++;
        }
        if (i < CROWD_PAUSES) {
            crowd->pauses[i].now = count;
        }
    }
    free(text);
}

static void goes_down(struct crowd *crowd)
{
    crowd->down = true;
    for (size_t i = 0; i < crowd->pause_count; i++) {
        crowd->pauses[i].before += crowd->pauses[i].now;
        crowd->pauses[i].now = 0;
    }
}

void crowd_kill(struct crowd *crowd)
{
    goes_down(crowd);
    server_kill(&crowd->world.server);
}

void crowd_terminate(struct crowd *crowd)
{
    goes_down(crowd);
    crowd->stopped = true;
    server_terminate(&crowd->world.server);
}

bool crowd_ended(void *context)
{
    struct crowd *crowd = context;
    bool good = true;
    bool ended = server_ended(&crowd->world.server, &good);
    if (ended && !good) {
        world_problem(&crowd->world, "the server did not end in order");
    }
    return ended;
}

void crowd_start(struct crowd *crowd)
{
    crowd->starts++;
    server_start_again(&crowd->world.server);
}

bool crowd_is_up(void *context)
{
    struct crowd *crowd = context;
    bool good = false;
    if (crowd->down && server_is_ready(&crowd->world.server)) {
        crowd->down = false;
    }
    if (crowd->down && server_ended(&crowd->world.server, &good)) {
        server_print_log(&crowd->world.server);
        die("the server does not start again");
    }
    return !crowd->down;
}

bool crowd_is_live(void *context)
{
    const struct crowd *crowd = context;
    for (size_t i = 0; i < crowd->client_count; i++) {
        if (crowd->clients[i].state != CLIENT_LIVE) {
            return false;
        }
    }
    return true;
}
