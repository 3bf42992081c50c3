#pragma once
/*
 * What the fuzz targets share. A target is one file beside this folder with a LLVMFuzzerTestOneInput: libFuzzer's program
 * in the preset `fuzz`, and in every other one a program that plays its corpus once (replay.c), as a test of ctest.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for whatever input; ends the process with its place. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))
void fuzz_failed(const char *file, int line, const char *what) __attribute__((noreturn, cold));

/* One value of RFC 8259 in valid UTF-8, by the server's own checker; 1000 levels at most. */
bool fuzz_is_json(const char *text, size_t length);
void fuzz_check_json(const char *text, size_t length);

/* A copy that is exactly as long, so that AddressSanitizer sees who reads behind its end; NUL-terminated only where
 * `terminated`. The caller frees it. */
char *fuzz_copy(const void *data, size_t length, bool terminated);

/*
 * Inputs made of lines: a step of the scene around (">tick 50") or what the other side says. Goes to the next line; false
 * at the end. `line` points into `data`.
 */
struct fuzz_lines {
    const char *at, *end;
};
bool fuzz_line(struct fuzz_lines *lines, const char **line, size_t *length);

/* A step: its word, and what follows it. NUL-terminated, each cut at its size. */
enum { FUZZ_WORD_MAX = 32, FUZZ_REST_MAX = 256 };
struct fuzz_step {
    char word[FUZZ_WORD_MAX], rest[FUZZ_REST_MAX];
};
/* false: the line is no step. */
bool fuzz_step(const char *line, size_t length, struct fuzz_step *step);
/* A number in `rest`, 0 where there is none, `most` at most. */
int64_t fuzz_number(const struct fuzz_step *step, int64_t most);
