/* What clients of claudecodeui say, and what they are told, line by line (support/dialect_bench.h). */
#include "fuzz/lib/fuzz.h"

#include "support/dialect_bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialect_bench *bench = dialect_bench_new("claudecodeui.v1");
    dialect_bench_play(bench, (const char *)data, size);
    dialect_bench_free(bench);
    return 0;
}
