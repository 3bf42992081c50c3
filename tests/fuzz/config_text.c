/* The configuration file's text, as far as it can be taken without looking at the disk for more than its folders. */
#include "fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "share/config_private.h"

/* What is refused says why, and on a line that the text has. */
static void check_error(const struct config_error *error, const char *text)
{
    int lines = 1;
    for (const char *at = text; *at; at++) {
        lines += *at == '\n';
    }
    FUZZ_CHECK(error->reason && error->reason[0]);
    FUZZ_CHECK(error->line >= 0 && error->line <= lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole = fuzz_copy(data, size, true);
    if (strlen(whole) != size) {
        free(whole); /* a file with a NUL is refused before */
        return 0;
    }
    char *text = fuzz_copy(data, size, true);
    struct config_error error = {0};
    struct config_box *box = calloc(1, sizeof(*box));
    struct config_source source = {0};
    if (!box) {
        abort();
    }
    struct config_build build = {.config = &box->config, .source = &source, .error = &error};
    enum err err = config_parse(&build.draft, text, "signalbox.conf", &error);
    err = err ? err : config_build_options(&build);
    err = err ? err : config_build_agents(&build);
    err = err ? err : config_check_address(&build);
    if (err) {
        check_error(&error, whole);
    } else {
        FUZZ_CHECK(!error.reason && box->config.agent_count > 0);
        FUZZ_CHECK(box->config.listen_host && box->config.listen_port >= 0);
        for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
            const struct config_option *option = &config_options[i];
            if (config_type_is_number(option->type)) {
                int64_t value = *(int64_t *)config_option_field(&box->config, option);
                FUZZ_CHECK(value >= option->minimum && value <= option->maximum);
            }
        }
    }
    config_draft_free(&build.draft);
    config_error_free(&error);
    config_destroy(box);
    free(text);
    free(whole);
    return 0;
}
