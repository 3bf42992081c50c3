#include "history_pieces.h"

#include <stdlib.h>

enum { PIECES_BYTES_MAX = 16 << 20, PIECES_MAX = 256 };

struct piece {
    struct piece *newer, *older;
    struct history_request made;
    bool safe;
    struct instant at;
};

static void forget(struct pieces *pieces, struct piece *piece)
{
    *(piece->newer ? &piece->newer->older : &pieces->newest) = piece->older;
    *(piece->older ? &piece->older->newer : &pieces->oldest) = piece->newer;
    pieces->count--;
    pieces->bytes -= piece->made.bytes.capacity;
    history_bytes_free(&piece->made);
    free(piece);
}

void pieces_add(struct pieces *pieces, struct history_request *made, bool safe)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    if (!piece) {
        return;
    }
    piece->made = *made;
    piece->made.bytes = (struct buffer){0};
    piece->made.shared = NULL;
    if (history_bytes_share(made, &piece->made)) {
        free(piece);
        return;
    }
    piece->safe = safe;
    piece->at = clock_now();
    piece->older = pieces->newest;
    *(pieces->newest ? &pieces->newest->newer : &pieces->oldest) = piece;
    pieces->newest = piece;
    pieces->count++;
    pieces->bytes += piece->made.bytes.capacity;
    while (pieces->count > PIECES_MAX || pieces->bytes > PIECES_BYTES_MAX) {
        forget(pieces, pieces->oldest);
    }
}

static bool is_right(const struct piece *piece, const struct history_request *request)
{
    const struct history_request *made = &piece->made;
    return made->session_key == request->session_key && made->kind == request->kind &&
           made->dialect == request->dialect &&
           made->from == request->from && made->to == request->to &&
           made->max_bytes == request->max_bytes && made->max_events == request->max_events &&
           (piece->safe || (made->whole && request->whole && made->began == request->began));
}

struct history_request *pieces_find(struct pieces *pieces, const struct history_request *request)
{
    for (struct piece *piece = pieces->newest; piece; piece = piece->older) {
        if (is_right(piece, request)) {
            return &piece->made;
        }
    }
    return NULL;
}

struct instant pieces_due(const struct pieces *pieces, int64_t keep_ms)
{
    return pieces->oldest ? instant_after_ms(pieces->oldest->at, keep_ms) : INSTANT_NEVER;
}

void pieces_expire(struct pieces *pieces, struct instant now, int64_t keep_ms)
{
    while (pieces->oldest && instant_diff_ms(now, pieces->oldest->at) >= keep_ms) {
        forget(pieces, pieces->oldest);
    }
}

void pieces_clear(struct pieces *pieces)
{
    while (pieces->oldest) {
        forget(pieces, pieces->oldest);
    }
}
