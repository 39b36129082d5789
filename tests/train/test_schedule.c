#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "train/loop/guard.h"
#include "train/state/schedule.h"

static void test_parse_epochs(void **state)
{
    (void)state;
    an_schedule s = {0};
    assert_int_equal(an_schedule_parse_epochs(&s, "30,60,80"), AN_OK);
    assert_int_equal(s.epoch_count, 3);
    assert_int_equal(s.epochs[2], 80);
    assert_int_equal(an_schedule_parse_epochs(&s, ""), AN_OK);
    assert_int_equal(s.epoch_count, 0);
    static const char *const bad[] = {"30,",
                                      ",30",
                                      "30,20",
                                      "30,30",
                                      "0",
                                      "-1",
                                      "x",
                                      "3x",
                                      "3,,4",
                                      "99999999999",
                                      "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(an_schedule_parse_epochs(&s, bad[i]), AN_EINVAL);
}

static void test_steps(void **state)
{
    (void)state;
    an_schedule s = {
        .kind = AN_SCHEDULE_STEPS, .rate = 0.01, .divisor = 10, .span = {70, 10, AN_LAST_DROP}, .total_steps = 700};
    an_schedule_state none = {0};
    assert_int_equal(an_schedule_parse_epochs(&s, "2,5"), AN_OK);
    assert_true(an_schedule_rate(&s, &none, 0) == 0.01);
    assert_true(an_schedule_rate(&s, &none, 13) == 0.01);
    assert_true(an_schedule_rate(&s, &none, 14) == 0.001);
    assert_true(an_schedule_rate(&s, &none, 34) == 0.001);
    assert_true(an_schedule_rate(&s, &none, 35) == 0.0001);
    assert_true(an_schedule_rate(&s, &none, 699) == 0.0001);
    s.span = (an_epochs){14, 4, AN_LAST_CARRY}; /* two epochs are over with step 6, five with step 17 */
    assert_true(an_schedule_rate(&s, &none, 6) == 0.01);
    assert_true(an_schedule_rate(&s, &none, 7) == 0.001);
    assert_true(an_schedule_rate(&s, &none, 17) == 0.001);
    assert_true(an_schedule_rate(&s, &none, 18) == 0.0001);
}

static void test_plateau(void **state)
{
    (void)state;
    an_schedule s = {.kind = AN_SCHEDULE_PLATEAU, .rate = 0.01, .divisor = 10, .patience = 2, .drops_max = 2};
    an_schedule_state seen = {0};
    an_schedule_observe(&s, &seen, 0.5);
    an_schedule_observe(&s, &seen, 0.4);
    assert_true(an_schedule_rate(&s, &seen, 0) == 0.01);
    an_schedule_observe(&s, &seen, 0.6); /* better: counting starts anew */
    an_schedule_observe(&s, &seen, 0.6); /* equal is not better */
    assert_true(an_schedule_rate(&s, &seen, 0) == 0.01);
    an_schedule_observe(&s, &seen, 0.5);
    assert_true(an_schedule_rate(&s, &seen, 0) == 0.001);
    for (int i = 0; i < 10; i++)
        an_schedule_observe(&s, &seen, 0.1);
    assert_int_equal(seen.drops, 2);
    assert_true(an_schedule_rate(&s, &seen, 0) == 0.0001);
}

static void test_cosine_and_constant(void **state)
{
    (void)state;
    an_schedule s = {.kind = AN_SCHEDULE_COSINE, .rate = 0.02, .total_steps = 100};
    an_schedule_state none = {0};
    assert_float_equal(an_schedule_rate(&s, &none, 0), 0.02, 1e-12);
    assert_float_equal(an_schedule_rate(&s, &none, 50), 0.01, 1e-12);
    assert_float_equal(an_schedule_rate(&s, &none, 100), 0, 1e-12);
    s.kind = AN_SCHEDULE_CONSTANT;
    assert_true(an_schedule_rate(&s, &none, 99) == 0.02);
}

static int steps_until_told(an_guard *guard, double loss, int most)
{
    for (int i = 1; i <= most; i++)
        if (an_guard_observe(guard, loss))
            return i;
    return 0;
}

static void test_guard_tells_once(void **state)
{
    (void)state;
    an_guard guard = an_guard_make(10);
    assert_int_equal(steps_until_told(&guard, log(10) * 1.005, 10000), AN_GUARD_FLAT);
    assert_int_equal(steps_until_told(&guard, log(10), 10000), 0);
    char text[1024];
    an_guard_explain(&guard, true, 0.01, text, sizeof(text));
    assert_non_null(strstr(text, "--init he"));
}

static void test_guard_is_quiet_when_it_learns(void **state)
{
    (void)state;
    an_guard guard = an_guard_make(10);
    assert_int_equal(steps_until_told(&guard, log(10), AN_GUARD_FLAT - AN_GUARD_WINDOW), 0);
    assert_int_equal(steps_until_told(&guard, log(10) * 0.8, AN_GUARD_WINDOW), 0); /* leaves */
    assert_int_equal(steps_until_told(&guard, log(10), 10000), AN_GUARD_FLAT);     /* and comes back */
    guard = an_guard_make(10);
    assert_int_equal(steps_until_told(&guard, 1.0, 10000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_epochs),     cmocka_unit_test(test_steps),
        cmocka_unit_test(test_plateau),          cmocka_unit_test(test_cosine_and_constant),
        cmocka_unit_test(test_guard_tells_once), cmocka_unit_test(test_guard_is_quiet_when_it_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
