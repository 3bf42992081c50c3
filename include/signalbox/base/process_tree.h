// The processes below one of ours, and signals to them. Needs nothing but libc: signalbox-guard and
// signalbox-shell are made of little more.
#pragma once

#include <sys/types.h>

// Sends `signal` to every living descendant of `root`, which is this process or a child that it has
// not reaped, and to nobody else. Each target is named by a pidfd and checked again before it is
// signalled, so a pid that the kernel gave to a stranger meanwhile is left alone. A process that is
// forked during the walk may be missed: callers that must reach all repeat. Returns the number of
// descendants that were alive, or -1 when /proc could not be read or memory ran out; then nobody was
// signalled.
int process_tree_signal(pid_t root, int signal);

// Kills the children of this process itself, in the shortest possible loop: a process that forks
// and exits in a row becomes our child with each step, and a walk of all of /proc is too slow to
// meet it. Reaps nothing. Returns how many were signalled.
int process_tree_kill_children(void);

// Takes one process that has ended, without blocking. Returns its pid with *status set, 0 when all
// children still run, -1 when there is no child left.
int process_tree_reap(int *status);
