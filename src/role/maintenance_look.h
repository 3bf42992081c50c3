#pragma once
/* Where the paths of a permission request lead, looked up by the maintenance thread. */
#include "signalbox/mail/list.h"

/* Resolves them and sends the request back. */
void maintenance_look(struct look_request *request);
