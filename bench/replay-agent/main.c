// `signalbox replay-agent` as a program of its own, which needs none of the server's libraries.
#include "replay/replay.h"

int main(int argc, char **argv)
{
    return replay_main(argc, argv);
}
