#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "train/advice/guard.h"
#include "train/loop/pace.h"
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

static void test_poly(void **state)
{
    (void)state;
    an_schedule s = {.kind = AN_SCHEDULE_POLY, .rate = 0.02, .power = 1, .total_steps = 100};
    an_schedule_state none = {0};
    assert_float_equal(an_schedule_rate(&s, &none, 0), 0.02, 1e-12);
    assert_float_equal(an_schedule_rate(&s, &none, 25), 0.015, 1e-12);
    s.power = 2;
    assert_float_equal(an_schedule_rate(&s, &none, 75), 0.02 / 16, 1e-12);
    assert_true(an_schedule_rate(&s, &none, 100) == 0);
    assert_true(an_schedule_rate(&s, &none, 150) == 0);
}

/* The first steps get 1/n, 2/n ... of the rate that they would have, whatever the kind. */
static void test_warmup(void **state)
{
    (void)state;
    an_schedule s = {.rate = 0.02,
                     .divisor = 10,
                     .power = 1,
                     .span = {5, 1, AN_LAST_DROP},
                     .total_steps = 100,
                     .patience = 1,
                     .drops_max = 1};
    an_schedule_state dropped = {.drops = 1};
    assert_int_equal(an_schedule_parse_epochs(&s, "1"), AN_OK);
    for (int kind = AN_SCHEDULE_CONSTANT; kind <= AN_SCHEDULE_POLY; kind++) {
        s.kind = (an_schedule_kind)kind;
        for (uint64_t step = 0; step < 12; step++) {
            s.warmup_steps = 0;
            double full = an_schedule_rate(&s, &dropped, step);
            s.warmup_steps = 8;
            double share = step < 8 ? (double)(step + 1) / 8 : 1;
            assert_float_equal(an_schedule_rate(&s, &dropped, step), full * share, 1e-15);
        }
    }
}

static void test_divisions_are_told(void **state)
{
    (void)state;
    char text[200];
    an_schedule s = {
        .kind = AN_SCHEDULE_STEPS, .rate = 0.01, .divisor = 10, .span = {7, 1, AN_LAST_DROP}, .warmup_steps = 99};
    an_schedule_state seen = {.drops = 2};
    assert_int_equal(an_schedule_parse_epochs(&s, "2,5"), AN_OK);
    assert_int_equal(an_schedule_divisions(&s, &seen, 13), 0);
    assert_int_equal(an_schedule_divisions(&s, &seen, 14), 1);
    an_schedule_tell(&s, 0, 1, 2, text, sizeof(text));
    assert_string_equal(text, "the rate falls from 0.01 to 0.001 after epoch 2");
    s.kind = AN_SCHEDULE_PLATEAU;
    s.patience = 3;
    assert_int_equal(an_schedule_divisions(&s, &seen, 13), 2);
    an_schedule_tell(&s, 1, 2, 12, text, sizeof(text));
    assert_string_equal(text,
                        "the rate falls from 0.001 to 0.0001 after epoch 12: 3 validations without a new best top-1");
    s.kind = AN_SCHEDULE_COSINE;
    assert_int_equal(an_schedule_divisions(&s, &seen, 13), 0);
}

static void test_pace(void **state)
{
    (void)state;
    an_pace pace = {0};
    assert_true(an_pace_left(&pace, 10, 3) == 0); /* nothing is known yet */
    an_pace_steps(&pace, 0, 5);
    assert_true(an_pace_left(&pace, 10, 3) == 0);
    an_pace_steps(&pace, 4, 2);
    assert_float_equal(an_pace_left(&pace, 10, 3), 5, 1e-9);
    an_pace_validation(&pace, 7);
    assert_float_equal(an_pace_left(&pace, 10, 3), 26, 1e-9);
    for (int i = 0; i < 30; i++) /* the first steps, which may have waited, are forgotten */
        an_pace_steps(&pace, 10, 1);
    assert_float_equal(an_pace_left(&pace, 10, 0), 1, 1e-3);
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
    an_guard guard = an_guard_make(10, log(10));
    assert_int_equal(steps_until_told(&guard, log(10) * 1.005, 10000), AN_GUARD_FLAT);
    assert_int_equal(steps_until_told(&guard, log(10), 10000), 0);
    char text[1024];
    an_guard_explain(&guard, &(an_guard_setting){.paper_init = true, .rate = 0.01}, text, sizeof(text));
    assert_non_null(strstr(text, "(use --init he)"));
    assert_non_null(strstr(text, "now 0.01"));
    assert_non_null(strstr(text, "--overfit 50 --init he"));
    an_guard_explain(&guard, &(an_guard_setting){.rate = 0.01}, text, sizeof(text));
    assert_null(strstr(text, "--init he"));
    assert_non_null(strstr(text, "--overfit 50"));
    an_guard_explain(&guard, &(an_guard_setting){.paper_init = true, .overfit = 50}, text, sizeof(text));
    assert_null(strstr(text, "--overfit"));
}

/* A network that has only learned how frequent the classes are guesses, too. */
static void test_guard_knows_unequal_classes(void **state)
{
    (void)state;
    const uint64_t equal[] = {7, 7, 7, 7}, unequal[] = {2, 1, 1, 0};
    char text[1024];
    assert_float_equal(an_guard_guessing(equal, 4), log(4), 1e-12);
    assert_float_equal(an_guard_guessing(unequal, 4), 1.5 * log(2), 1e-12);
    an_guard guard = an_guard_make(4, 1.5 * log(2));
    assert_int_equal(steps_until_told(&guard, 1.5 * log(2) * 0.995, 10000), AN_GUARD_FLAT);
    an_guard_explain(&guard, &(an_guard_setting){.rate = 0.01}, text, sizeof(text));
    assert_non_null(strstr(text, "at the entropy of the labels = 1.040"));
    guard = an_guard_make(4, 1.5 * log(2));
    assert_int_equal(steps_until_told(&guard, log(4), 10000), AN_GUARD_FLAT);
    an_guard_explain(&guard, &(an_guard_setting){.rate = 0.01}, text, sizeof(text));
    assert_non_null(strstr(text, "at ln(4) = 1.386"));
    guard = an_guard_make(4, 1.5 * log(2));
    assert_int_equal(steps_until_told(&guard, 1.2, 10000), 0); /* on its way from one to the other */
}

static void test_overfit_is_judged(void **state)
{
    (void)state;
    char text[512];
    an_guard_setting setting = {.paper_init = true, .overfit = 50, .rate = 0.02};
    assert_true(an_guard_judge_overfit(&setting, 0.98, text, sizeof(text)));
    assert_string_equal(text, "the network has learned 98 % of its 50 images by heart, as one that works does");
    assert_false(an_guard_judge_overfit(&setting, 0.14, text, sizeof(text)));
    assert_non_null(strstr(text, "only 14 % of its 50 images"));
    assert_non_null(strstr(text, "--init he"));
    assert_non_null(strstr(text, "--rate 0.02"));
    setting.paper_init = false;
    assert_false(an_guard_judge_overfit(&setting, 0.14, text, sizeof(text)));
    assert_null(strstr(text, "--init he"));
    assert_non_null(strstr(text, "--input-scale unit"));
    assert_null(strstr(text, "--schedule constant"));
    setting.unit_inputs = setting.falls = true;
    assert_false(an_guard_judge_overfit(&setting, 0.14, text, sizeof(text)));
    assert_null(strstr(text, "--input-scale unit"));
    assert_non_null(strstr(text, "Likely causes: a rate"));
    assert_non_null(strstr(text, "--schedule constant"));
}

static void test_guard_is_quiet_when_it_learns(void **state)
{
    (void)state;
    an_guard guard = an_guard_make(10, log(10));
    assert_int_equal(steps_until_told(&guard, log(10), AN_GUARD_FLAT - AN_GUARD_WINDOW), 0);
    assert_int_equal(steps_until_told(&guard, log(10) * 0.8, AN_GUARD_WINDOW), 0); /* leaves */
    assert_int_equal(steps_until_told(&guard, log(10), 10000), AN_GUARD_FLAT);     /* and comes back */
    guard = an_guard_make(10, log(10));
    assert_int_equal(steps_until_told(&guard, 1.0, 10000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_epochs),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_plateau),
        cmocka_unit_test(test_poly),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_divisions_are_told),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_cosine_and_constant),
        cmocka_unit_test(test_guard_tells_once),
        cmocka_unit_test(test_guard_knows_unequal_classes),
        cmocka_unit_test(test_overfit_is_judged),
        cmocka_unit_test(test_guard_is_quiet_when_it_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
