#include "fuzz/lib/fuzz.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_check.h"
#include "signalbox/base/utf8.h"

void fuzz_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* The checks of tests/support are CUnit's. There is no test here that could fail and go on. */
CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
                                const char *file, const char *function, CU_BOOL fatal)
{
    (void)function;
    (void)fatal;
    if (!holds) {
        fuzz_failed(file, (int)line, condition);
    }
    return CU_TRUE;
}

bool fuzz_is_json(const char *text, size_t length)
{
    uint8_t stack[1000];
    struct json_check check;
    return json_check(&check, text, length, stack, sizeof(stack)) == ERR_OK &&
           utf8_valid(text, length);
}

void fuzz_check_json(const char *text, size_t length)
{
    if (!fuzz_is_json(text, length)) {
        fprintf(stderr, "no JSON: %.*s\n", (int)length, text);
        abort();
    }
}

char *fuzz_copy(const void *data, size_t length, bool terminated)
{
    char *copy = malloc(length + (terminated || !length ? 1 : 0));
    if (!copy) {
        abort();
    }
    if (length > 0) {
        memcpy(copy, data, length);
    }
    if (terminated) {
        copy[length] = '\0';
    }
    return copy;
}

bool fuzz_line(struct fuzz_lines *lines, const char **line, size_t *length)
{
    if (lines->at == lines->end) {
        return false;
    }
    const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *end = newline ? newline : lines->end;
    *line = lines->at;
    *length = (size_t)(end - lines->at);
    lines->at = newline ? newline + 1 : end;
    return true;
}

static const char *cut(char *out, size_t size, const char *from, const char *to)
{
    size_t length = (size_t)(to - from) < size ? (size_t)(to - from) : size - 1;
    memcpy(out, from, length);
    out[length] = '\0';
    return to;
}

bool fuzz_step(const char *line, size_t length, struct fuzz_step *step)
{
    if (!length || *line != '>') {
        return false;
    }
    const char *begin = line + 1, *end = line + length;
    const char *space = memchr(begin, ' ', (size_t)(end - begin));
    cut(step->word, sizeof(step->word), begin, space ? space : end);
    cut(step->rest, sizeof(step->rest), space ? space + 1 : end, end);
    return true;
}

int64_t fuzz_number(const struct fuzz_step *step, int64_t most)
{
    long long number = strtoll(step->rest, NULL, 10);
    return number < 0 ? 0 : number < most ? number : most;
}
