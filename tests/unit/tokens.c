#define _GNU_SOURCE
#include "signalbox/share/tokens.h"

#include "signalbox/share/config.h"
#include "support/folder.h"
#include "support/test.h"

static const char first[] = "0123456789abcdef";
static const char second[] = "fedcba9876543210-second";

static void a_token_names_its_user(void)
{
    char *folder = folder_new();
    struct tokens *tokens = NULL;
    struct config_error error = {0};
    uint8_t digest[32];
    folder_write(folder, "tokens",
                 "# who may come in\n\n  ada\t0123456789abcdef  \r\nb.o_b@x-1 "
                 "fedcba9876543210-second\nada third-token-of-ada");
    CU_ASSERT_EQUAL_FATAL(tokens_load(&tokens, folder_path(folder, "tokens"), digest, &error),
                          ERR_OK);
    CU_ASSERT_EQUAL(tokens_count(tokens), 3);
    TEST_TEXT(tokens_user(tokens, first), "ada");
    TEST_TEXT(tokens_user(tokens, second), "b.o_b@x-1");
    TEST_TEXT(tokens_user(tokens, "third-token-of-ada"), "ada");
    CU_ASSERT_PTR_NULL(tokens_user(tokens, "0123456789abcdeF"));
    CU_ASSERT_PTR_NULL(tokens_user(tokens, "0123456789abcde"));
    CU_ASSERT_PTR_NULL(tokens_user(tokens, ""));
    CU_ASSERT_PTR_NULL(tokens_user(NULL, first));
    char fingerprint[TOKENS_FINGERPRINT_SIZE];
    tokens_fingerprint(first, fingerprint);
    CU_ASSERT_EQUAL(strlen(fingerprint), TOKENS_FINGERPRINT_SIZE - 1);
    CU_ASSERT_TRUE(tokens_has_fingerprint(tokens, "ada", fingerprint));
    CU_ASSERT_FALSE(tokens_has_fingerprint(tokens, "b.o_b@x-1", fingerprint));
    CU_ASSERT_FALSE(tokens_has_fingerprint(NULL, "ada", fingerprint));
    CU_ASSERT_FALSE(tokens_has_fingerprint(tokens, "ada", ""));
    tokens_free(tokens);
    tokens_free(NULL);
    folder_remove(folder);
}

static void refused(const char *text, mode_t mode, int line, const char *reason)
{
    char *folder = folder_new();
    struct tokens *tokens = NULL;
    struct config_error error = {0};
    uint8_t digest[32];
    folder_write_mode(folder, "tokens", text, mode);
    CU_ASSERT_NOT_EQUAL(tokens_load(&tokens, folder_path(folder, "tokens"), digest, &error),
                        ERR_OK);
    CU_ASSERT_PTR_NULL(tokens);
    TEST_TEXT(error.file, folder_path(folder, "tokens"));
    CU_ASSERT_EQUAL(error.line, line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error.reason);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.reason, reason));
    CU_ASSERT_PTR_NULL(strstr(error.reason, "secret")); /* no token in an error */
    config_error_free(&error);
    folder_remove(folder);
}

static void a_bad_file_is_refused_without_telling_its_tokens(void)
{
    refused("ada 0123456789abcdef", 0644, 0, "chmod 600");
    refused("ada 0123456789abcdef", 0640, 0, "chmod 600");
    refused("# nobody\n", 0600, 0, "holds no token");
    refused("", 0600, 0, "holds no token");
    refused("\nada secret", 0600, 2, "16 to 1024 characters");
    refused("ada", 0600, 1, "USER TOKEN");
    refused("a/b secret-0123456789abcdef", 0600, 1, "a user's name is made of");
    refused("ada secret-0123456789 abcdef", 0600, 1, "printable");
    refused("ada secret-0123456789-\xc3\xa4", 0600, 1, "printable");
    refused("ada secret-0123456789\nbob secret-0123456789", 0600, 2, "twice");
}

static void what_is_no_file_is_refused(void)
{
    char *folder = folder_new();
    struct tokens *tokens = NULL;
    struct config_error error = {0};
    uint8_t digest[32];
    CU_ASSERT_EQUAL(tokens_load(&tokens, folder, digest, &error), ERR_INVAL);
    config_error_free(&error);
    folder_check(mkfifo(folder_path(folder, "pipe"), 0600) == 0, "mkfifo");
    CU_ASSERT_EQUAL(tokens_load(&tokens, folder_path(folder, "pipe"), digest, &error), ERR_INVAL);
    config_error_free(&error);
    CU_ASSERT_EQUAL(tokens_load(&tokens, folder_path(folder, "none"), digest, &error), ERR_NOENT);
    config_error_free(&error);
    folder_remove(folder);
}

TEST_MAIN("tokens", TEST(a_token_names_its_user),
          TEST(a_bad_file_is_refused_without_telling_its_tokens), TEST(what_is_no_file_is_refused))
