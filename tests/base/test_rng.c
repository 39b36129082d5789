#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        an_rng_philox(vectors[i].counter, vectors[i].key, out);
        assert_memory_equal(out, vectors[i].expected, sizeof out);
    }
}

static void test_stream_is_the_documented_counter(void **state)
{
    (void)state;
    uint64_t seed = 0x0123456789abcdef, epoch = 0x5000000003, index = 0x700000009;
    an_rng rng = an_rng_make(seed, AN_RNG_CROP, epoch, index);
    for (uint32_t block = 0; block < 3; block++) {
        uint32_t out[4];
        an_rng_philox((uint32_t[]){block, 2u << 24 | 3, 9, 7 ^ 0x5000}, (uint32_t[]){0x89abcdef, 0x01234567}, out);
        for (int i = 0; i < 4; i++)
            assert_int_equal(an_rng_u32(&rng), out[i]);
    }
}

static void test_streams_differ(void **state)
{
    (void)state;
    an_rng streams[] = {an_rng_make(1, AN_RNG_CROP, 0, 0),          an_rng_make(2, AN_RNG_CROP, 0, 0),
                        an_rng_make(1, AN_RNG_FLIP, 0, 0),          an_rng_make(1, AN_RNG_CROP, 1, 0),
                        an_rng_make(1, AN_RNG_CROP, 0, 1),          an_rng_make(1ull << 32, AN_RNG_CROP, 0, 0),
                        an_rng_make(1, AN_RNG_CROP, 0, 1ull << 32), an_rng_make(1, AN_RNG_CROP, 1u << 25, 0)};
    uint32_t first[8];
    for (int i = 0; i < 8; i++) {
        first[i] = an_rng_u32(&streams[i]);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
    }
}

/* Chi-square over bins; the bound lies far beyond the 99.99th percentile, and the seed is fixed. */
static void check_uniform(uint32_t bound, uint32_t draws)
{
    uint32_t counts[64] = {0};
    an_rng rng = an_rng_make(42, AN_RNG_TEST, 0, bound);
    for (uint32_t i = 0; i < draws; i++) {
        uint32_t value = an_rng_below(&rng, bound);
        assert_true(value < bound);
        counts[value]++;
    }
    double expected = (double)draws / bound, chi = 0;
    for (uint32_t i = 0; i < bound; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(chi < bound + 6 * sqrt(2.0 * bound) + 6);
}

static void test_below_is_uniform(void **state)
{
    (void)state;
    const uint32_t bounds[] = {2, 3, 10, 33, 64};
    for (int i = 0; i < 5; i++)
        check_uniform(bounds[i], 100000);
    an_rng rng = an_rng_make(42, AN_RNG_TEST, 0, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(an_rng_below(&rng, 1), 0);
}

/* With bound 3 * 2^30 a plain product gives half of all values to one residue of 3, and a plain remainder gives half of
 * them to the lowest third of the range. */
static void test_below_is_unbiased(void **state)
{
    (void)state;
    const uint32_t third = 1u << 30;
    uint32_t counts[3] = {0}, residues[3] = {0};
    an_rng rng = an_rng_make(42, AN_RNG_TEST, 1, 0);
    for (int i = 0; i < 90000; i++) {
        uint32_t value = an_rng_below(&rng, 3 * third);
        counts[value / third]++;
        residues[value % 3]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(counts[i], 29000, 31000);
        assert_in_range(residues[i], 29000, 31000);
    }
}

static void test_uniform_moments(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(42, AN_RNG_TEST, 2, 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double value = an_rng_uniform(&rng);
        assert_true(value >= 0 && value < 1);
        sum += value;
        squares += value * value;
    }
    assert_true(fabs(sum / 1e5 - 0.5) < 0.005);
    assert_true(fabs(squares / 1e5 - 1.0 / 3) < 0.005);
}

static void test_normal_moments(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(42, AN_RNG_TEST, 3, 0);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < 100000; i++) {
        double value = an_rng_normal(&rng);
        assert_true(isfinite(value));
        sum += value;
        squares += value * value;
        fourth += value * value * value * value;
    }
    assert_true(fabs(sum / 1e5) < 0.02);
    assert_true(fabs(squares / 1e5 - 1) < 0.03);
    assert_true(fabs(fourth / 1e5 - 3) < 0.2);
}

static void test_normal_takes_two_words(void **state)
{
    (void)state;
    an_rng one = an_rng_make(42, AN_RNG_TEST, 4, 0), other = one;
    an_rng_normal(&one);
    an_rng_u32(&other);
    an_rng_u32(&other);
    assert_int_equal(an_rng_u32(&one), an_rng_u32(&other));
}

/* Against the moments of Beta(a, a), and its shape: for a below 1 most numbers are near 0 and 1, for 1 they are
 * uniform.
 */
static void test_beta_moments(void **state)
{
    (void)state;
    static const double alphas[] = {0.05, 0.2, 1, 2.5, 40};
    static const double below[] = {0.4491, 0.3366, 0.1, 0.0154, 0}; /* probability of less than 0.1 */
    for (size_t k = 0; k < sizeof alphas / sizeof *alphas; k++) {
        double a = alphas[k], sum = 0, squares = 0, fourth = 0, low = 0, n = 100000;
        for (uint64_t i = 0; i < 100000; i++) {
            an_rng rng = an_rng_make(42, AN_RNG_MIXUP, 5, i);
            double value = an_rng_beta(&rng, a), off = value - 0.5;
            assert_true(value >= 0 && value <= 1);
            sum += off;
            squares += off * off;
            fourth += off * off * off * off;
            low += value < 0.1;
        }
        double variance = 1 / (4 * (2 * a + 1)), wanted = 3 / (16 * (2 * a + 1) * (2 * a + 3));
        assert_true(fabs(sum / n) < 0.005);
        assert_true(fabs(squares / n / variance - 1) < 0.02);
        assert_true(fabs(fourth / n / wanted - 1) < 0.05);
        assert_true(fabs(low / n - below[k]) < 0.005);
    }
}

/* The same on every machine: known numbers. */
static void test_beta_repeats(void **state)
{
    (void)state;
    an_rng one = an_rng_make(1, AN_RNG_MIXUP, 0, 7), other = one;
    assert_true(an_rng_beta(&one, 0.2) == an_rng_beta(&other, 0.2));
    assert_int_equal(an_rng_u32(&one), an_rng_u32(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),     cmocka_unit_test(test_stream_is_the_documented_counter),
        cmocka_unit_test(test_streams_differ),    cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_below_is_unbiased), cmocka_unit_test(test_uniform_moments),
        cmocka_unit_test(test_normal_moments),    cmocka_unit_test(test_normal_takes_two_words),
        cmocka_unit_test(test_beta_moments),      cmocka_unit_test(test_beta_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
