#pragma once
/* `signalbox store check` and `signalbox store compact`. argv[0] is "store". Returns the exit status: 0 if the store is
 * fine (or was made small), 1 if it is not or could not be looked at, 2 for wrong usage. */
int store_main(int argc, char **argv);
