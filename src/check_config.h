#pragma once
/*
 * `signalbox check-config`: says what `signalbox serve` would say about a configuration, and which
 * agents are installed. argv[0] is the subcommand's name. Returns the exit status: 0 fine,
 * 1 refused, 2 wrong usage.
 */
int check_config_main(int argc, char **argv);
