#pragma once
/* `signalbox audit`. argv[0] is "audit". Returns the exit status: 0 if it was read to its end, 1 if not, 2 for wrong
 * usage. */
int audit_main(int argc, char **argv);
