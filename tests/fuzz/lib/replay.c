/* In place of libFuzzer: every file that is named, and every file of a folder that is named, once. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/lib/fuzz.h"

static size_t played;

static int play(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    enum { INPUT_MAX = 1 << 22 };
    uint8_t *data = malloc(INPUT_MAX);
    size_t length = data ? fread(data, 1, INPUT_MAX, file) : 0;
    int broken = !data || ferror(file) || !feof(file);
    fclose(file);
    if (broken) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        fprintf(stderr, "%s\n", path); /* the last one that is named is the one that failed */
        LLVMFuzzerTestOneInput(data, length);
        played++;
    }
    free(data);
    return broken;
}

static int play_all(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        return play(path);
    }
    int broken = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[4096];
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
            broken |= play(name);
        }
    }
    closedir(folder);
    return broken;
}

int main(int argc, char **argv)
{
    int broken = 0;
    for (int i = 1; i < argc; i++) {
        broken |= play_all(argv[i]);
    }
    printf("%zu inputs played\n", played);
    return broken || !played;
}
