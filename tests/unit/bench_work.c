/* bench/scripted-agent/work.h: sessions that look like those of models. */
#include "scripted-agent/work.h"

#include "support/test.h"

static int64_t number(json_object *object, const char *name)
{
    json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : -1;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static const struct work hour = {
    .seed = 5, .seconds = 3600, .at = 1000000, .size = 24, .rate = 150, .permissions = true};

static void outputs_have_the_sizes_of_real_ones(void)
{
    enum { MOST = 20000 };
    static int64_t outputs[MOST];
    size_t count = 0;
    int64_t said = 0;
    int64_t shown = 0;
    json_object *steps = work_steps(&hour);
    CU_ASSERT_PTR_NOT_NULL_FATAL(steps);
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        json_object *step = json_object_array_get_idx(steps, i);
        json_object *tool = NULL;
        if (json_object_object_get_ex(step, "tool", &tool) && count < MOST) {
            outputs[count++] = number(tool, "output");
            shown += number(tool, "output");
        } else if (number(step, "size") > 0) {
            said += number(step, "size") * number(step, "chunks");
        }
    }
    qsort(outputs, count, sizeof outputs[0], compare);
    CU_ASSERT_TRUE_FATAL(count > 500);
    CU_ASSERT_TRUE(outputs[0] >= 1);
    CU_ASSERT_TRUE(outputs[count / 2] > 2000 && outputs[count / 2] < 8000);
    CU_ASSERT_TRUE(outputs[count - 1] > 100 * 1024 && outputs[count - 1] <= 256 * 1024);
    CU_ASSERT_TRUE(shown > 3 * said); /* most of the bytes */
    json_object_put(steps);
}

/* A tool's input is about as long as the median event of a recorded session (1.4 KB, of which some
 * 300 bytes are the event's own members): among texts, thoughts, inputs and outputs the inputs
 * stand in the middle. */
static void inputs_have_the_sizes_of_real_ones(void)
{
    enum { MOST = 20000 };
    static int64_t inputs[MOST];
    size_t count = 0;
    json_object *steps = work_steps(&hour);
    CU_ASSERT_PTR_NOT_NULL_FATAL(steps);
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        json_object *step = json_object_array_get_idx(steps, i);
        json_object *tool = NULL;
        json_object *input = NULL;
        json_object *command = NULL;
        if (json_object_object_get_ex(step, "tool", &tool) && count < MOST) {
            CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(tool, "input", &input));
            CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(input, "command", &command));
            inputs[count++] = json_object_get_string_len(command);
        }
    }
    qsort(inputs, count, sizeof inputs[0], compare);
    CU_ASSERT_TRUE_FATAL(count > 500);
    CU_ASSERT_TRUE(inputs[0] >= 20);
    CU_ASSERT_TRUE(inputs[count / 2] > 950 && inputs[count / 2] < 1250);
    CU_ASSERT_TRUE(inputs[count - 1] <= 8 * 1024);
    json_object_put(steps);
}

/* Everything is due at a time that was known before, one behind the other: what is late is seen to
 * be late. */
static void everything_has_its_time(void)
{
    int64_t before = hour.at;
    json_object *steps = work_steps(&hour);
    CU_ASSERT_PTR_NOT_NULL_FATAL(steps);
    for (size_t i = 0; i < json_object_array_length(steps); i++) {
        json_object *step = json_object_array_get_idx(steps, i);
        json_object *rate = NULL;
        if (json_object_object_get_ex(step, "tool", NULL)) {
            continue; /* behind its `until` */
        }
        int64_t at = number(step, "at") >= 0 ? number(step, "at") : number(step, "until");
        CU_ASSERT_TRUE(at >= before);
        before = at;
        if (json_object_object_get_ex(step, "rate", &rate)) {
            CU_ASSERT_TRUE(json_object_get_double(rate) >= 0.3 * hour.rate);
            CU_ASSERT_TRUE(json_object_get_double(rate) <= hour.rate);
        }
    }
    CU_ASSERT_TRUE(before > hour.at + 3500 * 1000000LL);
    json_object_put(steps);
}

static size_t questions(const struct work *w)
{
    size_t count = 0;
    json_object *steps = work_steps(w);
    for (size_t i = 0; steps != NULL && i < json_object_array_length(steps); i++) {
        json_object *tool = NULL;
        json_object *step = json_object_array_get_idx(steps, i);
        count += json_object_object_get_ex(step, "tool", &tool) &&
                 json_object_object_get_ex(tool, "permission", NULL);
    }
    json_object_put(steps);
    return count;
}

static void some_tools_ask_where_they_may(void)
{
    struct work silent = hour;
    silent.permissions = false;
    CU_ASSERT_TRUE(questions(&hour) > 50);
    CU_ASSERT_EQUAL(questions(&silent), 0);
}

static void a_seed_makes_the_same_again(void)
{
    struct work other = hour;
    other.seed = 6;
    json_object *one = work_steps(&hour);
    json_object *again = work_steps(&hour);
    json_object *another = work_steps(&other);
    CU_ASSERT_STRING_EQUAL(json_object_to_json_string(one), json_object_to_json_string(again));
    CU_ASSERT_STRING_NOT_EQUAL(json_object_to_json_string(one),
                               json_object_to_json_string(another));
    json_object_put(one);
    json_object_put(again);
    json_object_put(another);
}

TEST_MAIN("bench_work", TEST(outputs_have_the_sizes_of_real_ones),
          TEST(inputs_have_the_sizes_of_real_ones), TEST(everything_has_its_time),
          TEST(some_tools_ask_where_they_may), TEST(a_seed_makes_the_same_again))
