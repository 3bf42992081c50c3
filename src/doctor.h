#pragma once

/* `signalbox doctor`: what is configured, and whether it works. Returns the exit status. */
int doctor_main(int argc, char **argv);
