/* The codec that an-bench-io proposes, from gains and growths as they are measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "benchmarks/io/bench_io.h"

static bench_change change(an_codec codec, double gain, double growth)
{
    return (bench_change){.codec = codec, .share = 1, .gain = gain, .growth = growth, .rate = 1000 * gain};
}

/* From JPEG photographs: nearly the same file goes before the fastest one, which is named as a further step. */
static void test_small_file_first(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_COEF, 4.4, 1.13), change(AN_CODEC_YUV420, 6.8, 4.7),
                                  change(AN_CODEC_RGB, 11, 9.4)};
    bench_verdict verdict;
    bench_choose(tried, 3, &verdict);
    assert_int_equal(verdict.change.codec, AN_CODEC_COEF);
    assert_true(verdict.change.share == 1 && verdict.change.gain == 4.4);
    assert_int_equal(verdict.further.codec, AN_CODEC_RGB);
    assert_true(verdict.further.share == 1 && verdict.further.growth == 9.4);
}

/* The order in which they were tried has no say. */
static void test_order_is_nothing(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_RGB, 11, 9.4), change(AN_CODEC_COEF, 4.4, 1.13)};
    bench_verdict verdict;
    bench_choose(tried, 2, &verdict);
    assert_int_equal(verdict.change.codec, AN_CODEC_COEF);
    assert_int_equal(verdict.further.codec, AN_CODEC_RGB);
}

/* A coef dataset: what it has already gains nothing, so that a raw codec is the change. */
static void test_already_there(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_COEF, 1.01, 1), change(AN_CODEC_YUV420, 1.02, 2),
                                  change(AN_CODEC_RGB, 2.5, 8)};
    bench_verdict verdict;
    bench_choose(tried, 3, &verdict);
    assert_int_equal(verdict.change.codec, AN_CODEC_RGB);
    assert_true(verdict.change.share == 1);
    assert_true(verdict.further.share == 0);
}

/* Tiny images: where raw records cost little, they go first. */
static void test_raw_where_it_is_cheap(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_COEF, 2, 1.2), change(AN_CODEC_RGB, 9, 2)};
    bench_verdict verdict;
    bench_choose(tried, 2, &verdict);
    assert_int_equal(verdict.change.codec, AN_CODEC_RGB);
    assert_true(verdict.further.share == 0);
}

/* A little more speed is no reason to name a second step. */
static void test_no_small_further_step(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_COEF, 4, 1.1), change(AN_CODEC_RGB, 4.9, 9)};
    bench_verdict verdict;
    bench_choose(tried, 2, &verdict);
    assert_int_equal(verdict.change.codec, AN_CODEC_COEF);
    assert_true(verdict.further.share == 0);
}

static void test_nothing_helps(void **state)
{
    (void)state;
    const bench_change tried[] = {change(AN_CODEC_COEF, 1.04, 1.1), {.codec = AN_CODEC_RGB}};
    bench_verdict verdict = {.change.share = 1, .further.share = 1};
    bench_choose(tried, 2, &verdict);
    assert_true(verdict.change.share == 0 && verdict.further.share == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_file_first),      cmocka_unit_test(test_order_is_nothing),
        cmocka_unit_test(test_already_there),         cmocka_unit_test(test_raw_where_it_is_cheap),
        cmocka_unit_test(test_no_small_further_step), cmocka_unit_test(test_nothing_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
