#include "signalbox/base/digest.h"

enum { NO_TEXT = -1 };

void digest_begin(struct digest_work *work)
{
    sha256_init(&work->sha);
}

void digest_i64(struct digest_work *work, int64_t number)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)((uint64_t)number >> (8 * i));
    }
    sha256_update(&work->sha, sizeof(bytes), bytes);
}

void digest_text(struct digest_work *work, const char *text)
{
    if (!text) {
        digest_i64(work, NO_TEXT);
        return;
    }
    digest_bytes(work, text, strlen(text));
}

void digest_bytes(struct digest_work *work, const void *bytes, size_t length)
{
    digest_i64(work, (int64_t)length);
    sha256_update(&work->sha, length, bytes);
}

void digest_end(struct digest_work *work, struct digest *out)
{
    sha256_digest(&work->sha, DIGEST_SIZE, out->bytes);
}
