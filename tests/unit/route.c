#include "signalbox/core/route.h"

#include "support/test.h"

static void requests_find_their_route(void)
{
    static const struct {
        const char *method, *path;
        enum route_result result;
        enum route_id id;
        const char *first, *second;
    } cases[] = {
        {"GET", "/healthz", ROUTE_FOUND, ROUTE_HEALTH, NULL, NULL},
        {"HEAD", "/readyz", ROUTE_FOUND, ROUTE_READY, NULL, NULL},
        {"GET", "/ws", ROUTE_FOUND, ROUTE_WEBSOCKET, NULL, NULL},
        {"GET", "/v1/sessions", ROUTE_FOUND, ROUTE_SESSIONS, NULL, NULL},
        {"POST", "/v1/sessions", ROUTE_FOUND, ROUTE_CREATE_SESSION, NULL, NULL},
        {"GET", "/v1/sessions/abc", ROUTE_FOUND, ROUTE_SESSION, "abc", NULL},
        {"DELETE", "/v1/sessions/abc", ROUTE_FOUND, ROUTE_CLOSE_SESSION, "abc", NULL},
        {"POST", "/v1/sessions/abc/messages", ROUTE_FOUND, ROUTE_PROMPT, "abc", NULL},
        {"GET", "/v1/sessions/abc/events", ROUTE_FOUND, ROUTE_EVENTS, "abc", NULL},
        {"POST", "/v1/sessions/a/permissions/r.1", ROUTE_FOUND, ROUTE_PERMISSION_RESPONSE, "a", "r.1"},
        {"GET", "/v1/permissions", ROUTE_FOUND, ROUTE_PERMISSIONS, NULL, NULL},
        {"PUT", "/v1/sessions", ROUTE_NO_METHOD, 0, NULL, NULL},
        {"OPTIONS", "/v1/sessions/x", ROUTE_NO_METHOD, 0, NULL, NULL},
        {"HEAD", "/v1/login", ROUTE_NO_METHOD, 0, NULL, NULL},
        {"GET", "/v1/sessions/", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "/v1/sessions/a/", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "/v1/sessions/a/b", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "/v1/session", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "/healthz/", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "", ROUTE_NO_PATH, 0, NULL, NULL},
        {"GET", "/", ROUTE_NO_PATH, 0, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_match match;
        enum route_result result = route_match(cases[i].method, cases[i].path, &match);
        CU_ASSERT_EQUAL(result, cases[i].result);
        if (result != cases[i].result) {
            printf("\n    %s %s\n", cases[i].method, cases[i].path);
        }
        if (result != ROUTE_FOUND) {
            CU_ASSERT_PTR_NULL(match.route);
            continue;
        }
        CU_ASSERT_EQUAL(match.route->id, cases[i].id);
        CU_ASSERT_EQUAL(match.value_count, (size_t)(cases[i].first != NULL) + (cases[i].second != NULL));
        if (cases[i].first) {
            TEST_TEXT(match.values[0], cases[i].first);
        }
        if (cases[i].second) {
            TEST_TEXT(match.values[1], cases[i].second);
        }
    }
}

static void a_value_has_a_limit(void)
{
    char path[400] = "/v1/sessions/";
    struct route_match match;
    memset(path + strlen(path), 'x', ROUTE_VALUE_MAX);
    CU_ASSERT_EQUAL(route_match("GET", path, &match), ROUTE_FOUND);
    CU_ASSERT_EQUAL(strlen(match.values[0]), ROUTE_VALUE_MAX);
    path[strlen(path)] = 'x';
    CU_ASSERT_EQUAL(route_match("GET", path, &match), ROUTE_NO_PATH);
}

static void other_methods_are_named(void)
{
    struct route_match match;
    CU_ASSERT_EQUAL(route_match("PUT", "/v1/sessions", &match), ROUTE_NO_METHOD);
    TEST_TEXT(match.allow, "GET, HEAD, POST");
    CU_ASSERT_EQUAL(route_match("GET", "/v1/login", &match), ROUTE_NO_METHOD);
    TEST_TEXT(match.allow, "POST");
    CU_ASSERT_EQUAL(route_match("POST", "/v1/sessions/x", &match), ROUTE_NO_METHOD);
    TEST_TEXT(match.allow, "GET, HEAD, DELETE");
}

static void the_table_agrees_with_itself(void)
{
    bool seen[ROUTE_COUNT] = {false};
    CU_ASSERT_EQUAL(route_count(), ROUTE_COUNT);
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *route = route_at(i);
        CU_ASSERT_FALSE(seen[route->id]);
        seen[route->id] = true;
        /* Whatever is no GET changes something, and only an upgrade is a GET that does. */
        CU_ASSERT_EQUAL(route->changes, strcmp(route->method, "GET") != 0 || route->status == 101);
        /* What is open gives nothing of a session away. */
        CU_ASSERT_FALSE(route->open && route->command >= 0);
        if (route->request && !strncmp(route->request, "body.", 5)) {
            TEST_TEXT(route->request + 5, command_name((enum command_type)route->command));
        }
    }
}

TEST_MAIN("route", TEST(requests_find_their_route), TEST(a_value_has_a_limit), TEST(other_methods_are_named),
          TEST(the_table_agrees_with_itself))
