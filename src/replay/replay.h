// `signalbox replay-agent`: plays the agent's side of a recorded session. bench/replay-agent/README.md has the rules.
#pragma once

// argv[0] is the name under which it was called. Returns the exit status, at the end of stdin.
int replay_main(int argc, char **argv);
