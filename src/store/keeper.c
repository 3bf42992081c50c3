#include "signalbox/store/store.h"

void store_call_keeper(struct store *store)
{
    /* Once, until it has been heard: a poke is a system call. */
    if (!atomic_exchange(&store->keeper_called, true)) {
        struct mailbox *keeper = atomic_load(&store->keeper);
        if (keeper != NULL) {
            mailbox_poke(keeper);
        }
    }
}
