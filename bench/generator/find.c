// Which process serves an address: its socket's inode is in /proc/net/tcp, and among its
// descriptors.
#define _GNU_SOURCE
#include "server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long listening_inode(unsigned port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *file = fopen("/proc/net/tcp", "r");
    while (file != NULL && inode == 0 && fgets(line, sizeof line, file) != NULL) {
        unsigned local;
        unsigned state;
        unsigned long found;
        enum { LISTEN = 0x0a };
        if (sscanf(line, " %*u: %*x:%x %*x:%*x %x %*s %*s %*s %*u %*u %lu", &local, &state,
                   &found) == 3 &&
            local == port && state == LISTEN) {
            inode = found;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return inode;
}

static bool holds(const char *process, const char *socket)
{
    char path[300];
    char target[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%.32s/fd", process);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && !found && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%.32s/fd/%.32s", process, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        found = length > 0 && strncmp(target, socket, (size_t)length) == 0 &&
                strlen(socket) == (size_t)length;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return found;
}

void server_find(struct server *s, const char *address)
{
    char socket[64];
    const char *colon = strrchr(address, ':');
    *s = (struct server){.ours = false};
    snprintf(s->address, sizeof s->address, "%s", address);
    snprintf(socket, sizeof socket, "socket:[%lu]",
             listening_inode(colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0));
    DIR *processes = opendir("/proc");
    for (struct dirent *entry;
         processes != NULL && s->pid == 0 && (entry = readdir(processes)) != NULL;) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && holds(entry->d_name, socket)) {
            s->pid = (pid_t)strtol(entry->d_name, NULL, 10);
        }
    }
    if (processes != NULL) {
        closedir(processes);
    }
}
