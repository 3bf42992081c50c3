#define _GNU_SOURCE
#include "signalbox/base/err.h"

#include <string.h>

enum err err_from_errno(int number)
{
    if (number <= 0) {
        return ERR_IO;
    }
    if (number == EDQUOT) {
        return ERR_NOSPC;
    }
    return (enum err)(-number);
}

const char *err_text(enum err err)
{
    switch (err) {
    case ERR_OK:
        return "no error";
    case ERR_NOMEM:
        return "out of memory";
    case ERR_INVAL:
        return "invalid argument";
    case ERR_NOENT:
        return "not found";
    case ERR_EXIST:
        return "exists already";
    case ERR_AGAIN:
        return "not possible now, try again later";
    case ERR_IO:
        return "input/output error";
    case ERR_NOSPC:
        return "no space left on device";
    case ERR_TOOBIG:
        return "over the size limit";
    case ERR_PERM:
        return "not permitted";
    case ERR_ACCES:
        return "permission denied";
    case ERR_PIPE:
        return "the other side is gone";
    case ERR_TIMEDOUT:
        return "timed out";
    case ERR_SYNTAX:
        return "malformed text";
    case ERR_DEPTH:
        return "nested too deeply";
    case ERR_CORRUPT:
        return "corrupt file";
    case ERR_STOPPING:
        return "the server is stopping";
    case ERR_UNSUPPORTED:
        return "not supported";
    }
    const char *text = strerrordesc_np(-(int)err);
    return text ? text : "unknown error";
}
