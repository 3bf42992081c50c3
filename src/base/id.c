#include "signalbox/base/id.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "signalbox/base/check.h"

void id_random(char out[ID_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[16];
    ssize_t got;
    do {
        got = getrandom(bytes, sizeof(bytes), 0);
    } while (got < 0 && errno == EINTR);
    CHECK(got == (ssize_t)sizeof(bytes)); /* up to 256 bytes always come whole */

    unsigned bits = 0, held = 0;
    size_t length = 0;
    for (size_t index = 0; index < sizeof(bytes); index++) {
        held = held << 8 | bytes[index];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            out[length++] = digits[held >> bits & 63];
        }
    }
    out[length++] = digits[held << (6 - bits) & 63];
    out[length] = '\0';
}
