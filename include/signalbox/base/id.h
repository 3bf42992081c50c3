#pragma once
/* Random names (getrandom(2)). Any thread; may block only before the kernel's pool is ready, at boot. */
#include <stddef.h>
enum { ID_LENGTH = 22, ID_SIZE = ID_LENGTH + 1 };
/* 128 random bits, base64url, NUL-terminated. */
void id_random(char out[ID_SIZE]);
