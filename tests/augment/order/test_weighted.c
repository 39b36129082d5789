/* Weighted draws: how often each number comes, and what a draw depends on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/order/weighted.h"
#include "base/error.h"

enum { COUNT_MAX = 64, DRAWS = 200000 };

static an_weighted *table(const double *weights, uint64_t count)
{
    an_weighted *w;
    if (an_weighted_create(&w, weights, count))
        fail_msg("%s", an_error_message());
    return w;
}

static void count_draws(const double *weights, uint64_t count, uint64_t seed, uint64_t times[COUNT_MAX])
{
    an_weighted *w = table(weights, count);
    memset(times, 0, COUNT_MAX * sizeof *times);
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t number = an_weighted_at(w, seed, i / 1000, i % 1000);
        assert_true(number < count);
        times[number]++;
    }
    an_weighted_free(w);
}

/* Pearson's statistic against the weights, by deviations of its distribution (mean: degrees of freedom, variance: twice
 * that). Below 4 by chance but once in thousands of seeds; the seeds here are fixed. */
static double deviations(const double *weights, uint64_t count, const uint64_t times[COUNT_MAX])
{
    double sum = 0, chi = 0;
    int degrees = -1;
    for (uint64_t i = 0; i < count; i++)
        sum += weights[i];
    for (uint64_t i = 0; i < count; i++) {
        double expected = DRAWS * (weights[i] / sum), off = (double)times[i] - expected;
        if (weights[i] > 0)
            chi += off * off / expected;
        else
            assert_int_equal(times[i], 0);
        degrees += weights[i] > 0;
    }
    return (chi - degrees) / sqrt(2.0 * degrees);
}

/* Weights of several forms. */
static double weight_of(int form, uint64_t i)
{
    switch (form) {
    case 0:
        return 1;
    case 1:
        return (double)i; /* the first one never */
    case 2:
        return pow(0.9, (double)i);
    case 3:
        return i % 3 == 2 ? 0 : 1 + (double)(i * 7 % 5);
    case 4:
        return i == 40 ? 500 : 1;
    default:
        return i % 2 ? 1e-3 : 1; /* what is rare is not lost */
    }
}

static void numbers_come_as_often_as_their_weights_say(void **state)
{
    (void)state;
    for (int form = 0; form < 6; form++)
        for (uint64_t count = 5; count <= COUNT_MAX; count += 59) {
            double weights[COUNT_MAX];
            uint64_t times[COUNT_MAX];
            for (uint64_t i = 0; i < count; i++)
                weights[i] = weight_of(form, i);
            count_draws(weights, count, 11, times);
            double off = deviations(weights, count, times);
            if (!(off < 4))
                fail_msg("form %d of %d weights: %.1f deviations", form, (int)count, off);
            for (uint64_t i = 0; i < count; i++)
                weights[i] *= i % 4 < 2 ? 1.2 : 1; /* were they others, it would show */
            assert_true(deviations(weights, count, times) > 4);
        }
}

static void what_weighs_nothing_is_never_drawn(void **state)
{
    (void)state;
    static const double nothing[] = {0, 5e-324, 1e-300};
    for (int n = 0; n < 3; n++)
        for (uint64_t count = 2; count <= COUNT_MAX; count++) {
            double weights[COUNT_MAX];
            uint64_t times[COUNT_MAX];
            for (uint64_t i = 0; i < count; i++)
                weights[i] = i % 4 == count % 3 ? 0.1 + 1.0 / (double)(i + 3) : nothing[n];
            weights[count - 1] = 0.3;
            an_weighted *w = table(weights, count);
            memset(times, 0, sizeof times);
            for (uint64_t i = 0; i < 2000; i++)
                times[an_weighted_at(w, 3, 0, i)]++;
            for (uint64_t i = 0; i < count; i++)
                assert_true(weights[i] >= 0.1 || times[i] == 0);
            an_weighted_free(w);
        }
}

/* Weights up to the largest number, and down to the smallest. */
static void only_ratios_matter(void **state)
{
    (void)state;
    static const double scales[] = {0x1p-1060, 0x1p-40, 0x1p1000, 0x1p1021};
    double weights[7] = {1, 2, 0, 3, 0.5, 7, 2}, scaled[7];
    an_weighted *plain = table(weights, 7);
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        for (int i = 0; i < 7; i++)
            scaled[i] = weights[i] * scales[s];
        an_weighted *w = table(scaled, 7);
        for (uint64_t i = 0; i < 1000; i++)
            assert_int_equal(an_weighted_at(w, 1, 2, i), an_weighted_at(plain, 1, 2, i));
        an_weighted_free(w);
    }
    an_weighted_free(plain);
}

static uint64_t equal_draws(const an_weighted *w, uint64_t seed, uint64_t epoch, uint64_t shift)
{
    uint64_t equal = 0;
    for (uint64_t i = 0; i < 1000; i++)
        equal += an_weighted_at(w, seed, epoch, i + shift) == an_weighted_at(w, 1, 2, i);
    return equal;
}

/* Of 64 numbers two draws are equal once in 64 by chance. */
static void a_draw_depends_on_seed_epoch_and_place(void **state)
{
    (void)state;
    double weights[COUNT_MAX];
    for (int i = 0; i < COUNT_MAX; i++)
        weights[i] = 1;
    an_weighted *w = table(weights, COUNT_MAX);
    assert_int_equal(equal_draws(w, 1, 2, 0), 1000);
    assert_true(equal_draws(w, 2, 2, 0) < 50);
    assert_true(equal_draws(w, 1, 3, 0) < 50);
    assert_true(equal_draws(w, 1, 2, 1) < 50);
    an_weighted_free(w);
}

/* They belong to the state of trainings that go on: not to be changed. */
static void draws_stay_what_they_are(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {9, 4, 8, 7, 8, 8, 8, 6, 8, 9, 6, 2, 3, 8, 6, 3};
    const double weights[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    an_weighted *w = table(weights, 10);
    for (uint64_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(an_weighted_at(w, 1234, 5, i), wanted[i]);
    an_weighted_free(w);
}

static void refuse(const double *weights, uint64_t count, const char *words)
{
    an_weighted *w;
    assert_int_equal(an_weighted_create(&w, weights, count), AN_EINVAL);
    assert_null(w);
    if (!strstr(an_error_message(), words))
        fail_msg("'%s' does not say '%s'", an_error_message(), words);
}

static void impossible_weights_are_named(void **state)
{
    (void)state;
    const double negative[] = {1, 2, -1}, infinite[] = {1, HUGE_VAL}, none[] = {0, 0},
                 unknown[] = {1, 1, 1, (double)NAN};
    refuse(negative, 3, "weight 2 is -1");
    refuse(infinite, 2, "weight 1 is inf");
    refuse(unknown, 4, "weight 3 is");
    refuse(none, 2, "all 2 weights are 0");
    refuse(none, 0, "0 weights");
    refuse(none, UINT64_C(1) << 32, "4294967296 weights");
    an_weighted_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_as_often_as_their_weights_say),
        cmocka_unit_test(what_weighs_nothing_is_never_drawn),
        cmocka_unit_test(only_ratios_matter),
        cmocka_unit_test(a_draw_depends_on_seed_epoch_and_place),
        cmocka_unit_test(draws_stay_what_they_are),
        cmocka_unit_test(impossible_weights_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
