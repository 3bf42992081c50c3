#pragma once
/*
 * CHECK says "a programming error if not", in release builds too. Nothing that a client, an agent, a file
 * or a disk can send may reach one.
 */
void check_failed(const char *file, int line, const char *what) __attribute__((noreturn, cold));

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-__builtin_offsetof(type, member)))

#define array_size(array) (sizeof(array) / sizeof((array)[0]))
