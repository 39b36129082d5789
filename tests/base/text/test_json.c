/* The bound on a JSON text's values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text/json.h"

/* The least bound that lets the text pass. */
static size_t values(const char *text)
{
    size_t most = 0;
    while (!an_json_within(text, strlen(text), most))
        most++;
    return most;
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(values(""), 1);
    assert_int_equal(values("7"), 1);
    assert_int_equal(values("[1,2,3]"), 4);
    assert_int_equal(values("[[],{}]"), 5);           /* never too few: an empty list counts as one with a value */
    assert_int_equal(values("{\"a\":1,\"b\":2}"), 5); /* keys count as well */
    assert_int_equal(values("\"[[[,,,\""), 1);
    assert_int_equal(values("[\"\\\"[,\",1]"), 3);
    assert_int_equal(values("[\"\\\\\",1]"), 3);
    assert_int_equal(values("[\"\\"), 2); /* a text that ends within an escape */
}

static void test_size_counts(void **state)
{
    (void)state;
    assert_true(an_json_within("[1,2,3]", 2, 2));
    assert_false(an_json_within("[1,2,3]", 4, 2));
    assert_true(an_json_within("\0[", 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_size_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
