// The example of RFC 6455, section 1.3, which every connection of the generator uses: what is proved by it is
// that the server computes it. The floor knows only this one.
#pragma once

#define HANDSHAKE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define HANDSHAKE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
