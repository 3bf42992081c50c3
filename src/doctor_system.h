#pragma once
#include "signalbox/core/doctor.h"
#include "signalbox/share/config.h"

enum { DOCTOR_SYSTEM_CHECKS = 8 };
/* What the server needs beside its agents: its folders, its store, descriptors, its address. Fills all of `checks`;
 * their texts are the caller's to free. Changes nothing. Blocks. */
void doctor_check_system(const struct config *config, struct doctor_check checks[DOCTOR_SYSTEM_CHECKS]);
