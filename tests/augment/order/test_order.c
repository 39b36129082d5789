#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "augment/order/order.h"

static const uint64_t counts[] = {1, 2, 3, 7, 63, 64, 65, 1000, 4096, 10007};

static void assert_bijection(const an_order *order)
{
    bool *seen = calloc(order->count, sizeof *seen);
    assert_non_null(seen);
    for (uint64_t i = 0; i < order->count; i++) {
        uint64_t record = an_order_at(order, i);
        assert_true(record < order->count);
        assert_false(seen[record]);
        seen[record] = true;
    }
    free(seen);
}

static void every_kind_is_a_bijection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            an_order order = {.count = counts[i], .seed = 5, .epoch = epoch};
            order.kind = AN_ORDER_GLOBAL;
            assert_bijection(&order);
            order.kind = AN_ORDER_SEQUENTIAL;
            assert_bijection(&order);
            order.kind = AN_ORDER_BLOCK;
            for (order.block = 1; order.block < 3000; order.block = order.block * 3 + 1)
                assert_bijection(&order);
        }
}

static void sequential_is_the_identity(void **state)
{
    (void)state;
    an_order order = {.kind = AN_ORDER_SEQUENTIAL, .count = 100, .seed = 1, .epoch = 2};
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(an_order_at(&order, i), i);
}

/* Blocks stay together: wherever a block of K positions lies, it holds K neighbours. The short one may stand anywhere.
 */
static void blocks_hold_neighbours(void **state)
{
    (void)state;
    bool short_in_the_middle = false, shuffled = false;
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        an_order order = {.kind = AN_ORDER_BLOCK, .count = 1005, .block = 10, .seed = 3, .epoch = epoch};
        uint64_t position = 0;
        while (position < order.count) {
            uint64_t block = an_order_at(&order, position) / 10, length = block == 100 ? 5 : 10;
            for (uint64_t i = 0; i < length; i++) {
                uint64_t record = an_order_at(&order, position + i);
                assert_int_equal(record / 10, block);
                shuffled = shuffled || record % 10 != i;
            }
            short_in_the_middle = short_in_the_middle || (length == 5 && position > 0 && position < 1000);
            position += length;
        }
    }
    assert_true(short_in_the_middle);
    assert_true(shuffled);
}

static uint64_t equal_places(const an_order *a, const an_order *b)
{
    uint64_t equal = 0;
    for (uint64_t i = 0; i < a->count; i++)
        equal += an_order_at(a, i) == an_order_at(b, i);
    return equal;
}

/* Two independent permutations agree in one place on average. */
static void epochs_and_seeds_differ(void **state)
{
    (void)state;
    for (int kind = AN_ORDER_GLOBAL; kind <= AN_ORDER_BLOCK; kind++) {
        an_order a = {.kind = (an_order_kind)kind, .count = 5000, .block = 50, .seed = 1, .epoch = 0}, b = a, c = a;
        b.epoch = 1;
        c.seed = 2;
        assert_true(equal_places(&a, &b) < 60);
        assert_true(equal_places(&a, &c) < 60);
        assert_true(equal_places(&b, &c) < 60);
    }
}

/* Chi-square over where record 0..n-1 lands, summed over 4,000 epochs: n^2 cells, (n-1)^2 degrees of freedom. The bound
 * is six standard deviations above the mean. */
static void places_are_uniform(void **state)
{
    (void)state;
    for (uint64_t n = 2; n <= 20; n += 3) {
        uint64_t cells[20][20] = {{0}};
        const double epochs = 4000, expected = epochs / (double)n, freedom = (double)((n - 1) * (n - 1));
        double chi = 0;
        for (uint64_t epoch = 0; epoch < 4000; epoch++) {
            an_order order = {.kind = AN_ORDER_GLOBAL, .count = n, .seed = 11, .epoch = epoch};
            for (uint64_t i = 0; i < n; i++)
                cells[i][an_order_at(&order, i)]++;
        }
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j < n; j++)
                chi += ((double)cells[i][j] - expected) * ((double)cells[i][j] - expected) / expected;
        double excess = chi - freedom;
        assert_true(excess < 0 || excess * excess < 36 * 2 * freedom);
    }
}

/* No trace of the stored order: of neighbours in an epoch, as many rise as fall, and few stay neighbours. */
static void neighbours_are_torn_apart(void **state)
{
    (void)state;
    an_order order = {.kind = AN_ORDER_GLOBAL, .count = 20000, .seed = 9, .epoch = 4};
    int rising = 0, adjacent = 0;
    for (uint64_t i = 0; i + 1 < order.count; i++) {
        uint64_t a = an_order_at(&order, i), b = an_order_at(&order, i + 1);
        rising += b > a;
        adjacent += b == a + 1 || a == b + 1;
    }
    assert_true(rising > 9700 && rising < 10300);
    assert_true(adjacent < 20);
}

/* The order is part of what a seed means: it may never change. */
static void known_answers(void **state)
{
    (void)state;
    static const uint64_t global[8] = {386517, 671910, 824004, 718784, 1087296, 1139586, 884674, 927697};
    static const uint64_t block[8] = {880492, 501479, 418619, 170312, 740161, 1118307, 786646, 651602};
    an_order order = {.kind = AN_ORDER_GLOBAL, .count = 1281167, .seed = 42, .epoch = 7};
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(an_order_at(&order, i * 100000), global[i]);
    order.kind = AN_ORDER_BLOCK;
    order.block = 1024;
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(an_order_at(&order, i * 100000), block[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_a_bijection),
        cmocka_unit_test(sequential_is_the_identity),
        cmocka_unit_test(blocks_hold_neighbours),
        cmocka_unit_test(epochs_and_seeds_differ),
        cmocka_unit_test(places_are_uniform),
        cmocka_unit_test(neighbours_are_torn_apart),
        cmocka_unit_test(known_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
