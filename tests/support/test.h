#pragma once
/*
 * What every test program shares. A file under tests/unit or tests/flow is one CUnit suite:
 *
 *     static void a_thing_holds(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *     TEST_MAIN("sums", TEST(a_thing_holds))
 *
 * Its main runs all tests and returns 1 if one of them failed.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

#define TEST(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

#define TEST_MAIN(suite, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct test_case cases[] = {__VA_ARGS__};                                     \
        return test_run(suite, cases, sizeof(cases) / sizeof(cases[0]));                           \
    }

static inline int test_run(const char *suite_name, const struct test_case *cases, size_t count)
{
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    int broken = !suite;
    for (size_t index = 0; suite && index < count; index++) {
        broken |= !CU_add_test(suite, cases[index].name, cases[index].run);
    }
    if (!broken) {
        CU_basic_set_mode(CU_BRM_VERBOSE);
        broken = CU_basic_run_tests() != CUE_SUCCESS || CU_get_number_of_tests_run() != count;
    }
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return broken || failures > 0 ? 1 : 0;
}

/* Two strings, with both in the output when they differ. NULL differs from everything. */
#define TEST_TEXT(actual, expected) test_text((actual), (expected), __FILE__, __LINE__)

static inline void test_text(const char *actual, const char *expected, const char *file, int line)
{
    int same = actual && expected && strcmp(actual, expected) == 0;
    if (!same) {
        printf("\n    got      %s\n    expected %s\n", actual ? actual : "(null)",
               expected ? expected : "(null)");
    }
    CU_assertImplementation(same, (unsigned)line, "texts are the same", file, "", CU_FALSE);
}

/* Several threads that run the same function. `run` gets the thread's number, from 0. */
struct test_threads {
    struct test_thread {
        pthread_t handle;
        size_t number;
        void (*run)(size_t number, void *context);
        void *context;
    } * threads;
    size_t count;
};

static inline void *test_thread_begin(void *argument)
{
    struct test_thread *thread = argument;
    thread->run(thread->number, thread->context);
    return NULL;
}

/* Aborts when it cannot: a test without its threads says nothing. */
static inline struct test_threads test_threads_start(size_t count, void (*run)(size_t, void *),
                                                     void *context)
{
    struct test_threads all = {.threads = calloc(count, sizeof(struct test_thread)),
                               .count = count};
    if (!all.threads) {
        abort();
    }
    for (size_t number = 0; number < count; number++) {
        struct test_thread *thread = &all.threads[number];
        *thread = (struct test_thread){.number = number, .run = run, .context = context};
        if (pthread_create(&thread->handle, NULL, test_thread_begin, thread) != 0) {
            abort();
        }
    }
    return all;
}

static inline void test_threads_join(struct test_threads *all)
{
    for (size_t number = 0; number < all->count; number++) {
        if (pthread_join(all->threads[number].handle, NULL) != 0) {
            abort();
        }
    }
    free(all->threads);
    *all = (struct test_threads){0};
}
