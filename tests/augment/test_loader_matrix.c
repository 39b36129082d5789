/* The bytes of an epoch do not depend on how it is made: 1 to 8 threads, every engine (through the page cache and past
 * it), depths of 1 to 256, from the start and restored in mid-epoch, workers on time and delayed at random. Orders and
 * numbers of slots take turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "loader_support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7 /* sanitizers are slow: every seventh combination, which meets every pair of values */
#else
#define STRIDE 1
#endif

static const int depths[] = {1, 2, 7, 31, 64, 256};
static const an_order_kind orders[] = {AN_ORDER_GLOBAL, AN_ORDER_BLOCK, AN_ORDER_SEQUENTIAL};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static size_t engines(void)
{
    return an_reader_engine_count() - 1; /* without AUTO, which stands for one of the others */
}

static size_t combinations(void)
{
    return 8 * COUNT(depths) * engines() * 2 * 2;
}

/* A sleep now and then, different for every worker and sample. */
static void delay(void *context, int worker)
{
    static _Thread_local uint64_t calls;
    (void)context;
    an_rng rng = an_rng_make(98, AN_RNG_TEST, (uint64_t)worker, calls++);
    struct timespec pause = {.tv_nsec = (long)an_rng_below(&rng, 500000)};
    if (an_rng_below(&rng, 16) == 0)
        nanosleep(&pause, NULL);
}

static an_loader_options ordered(size_t order)
{
    an_loader_options o = plain();
    o.order = orders[order];
    o.block = 50;
    return o;
}

/* Combination c of the matrix; *first: where it begins. */
static an_loader_options combination(size_t c, size_t order, uint64_t *first)
{
    an_loader_options o = ordered(order);
    o.slots = 2 + (int)(c % 5);
    o.worker_hook = c % 2 ? delay : NULL;
    c /= 2;
    *first = c % 2 ? 1 + c / 2 % (STEPS - 1) : 0;
    c /= 2;
    o.engine = (an_reader_engine)(AN_READER_AUTO + 1 + c % engines());
    c /= engines();
    o.depth = depths[c % COUNT(depths)];
    o.threads = 1 + (int)(c / COUNT(depths));
    o.first_step = *first;
    return o;
}

static void an_epoch_is_the_same_however_it_is_made(void **state)
{
    (void)state;
    digest wanted[COUNT(orders)][STEPS];
    for (size_t k = 0; k < COUNT(orders); k++)
        for (uint64_t first = 0; first < STEPS; first++) {
            an_loader_options o = ordered(k);
            wanted[k][first] = digest_from(&o, first);
            assert_true(k == 0 || !same(wanted[k][first], wanted[k - 1][first]));
            assert_true(first == 0 || !same(wanted[k][first], wanted[k][first - 1]));
        }
    for (size_t c = 0, end = combinations(); c < end; c += STRIDE) {
        uint64_t first;
        size_t order = c / STRIDE % COUNT(orders);
        an_loader_options o = combination(c, order, &first);
        if (!same(digest_from(&o, 0), wanted[order][first]))
            fail_msg("other bytes from step %d, order %d: %d threads, engine %s, depth %d, %d slots, %s", (int)first,
                     (int)o.order, o.threads, an_reader_engine_name(o.engine), o.depth, o.slots,
                     o.worker_hook ? "delays" : "no delays");
    }
}

/* Blocks longer than the depth, than a batch, and than the whole dataset; ranks that share them; records picked here
 * and there. Each record arrives once, and no run waits for ever for a record whose turn cannot come. */
static void blocks_read_in_the_order_of_the_file_arrive_in_theirs(void **state)
{
    (void)state;
    static const uint64_t blocks[] = {1, 7, 16, 50, RECORDS, 100000};
    uint64_t odd[RECORDS / 2];
    for (uint64_t i = 0; i < COUNT(odd); i++)
        odd[i] = 2 * ((i * 7) % COUNT(odd)) + 1;
    for (size_t k = 0; k < COUNT(blocks) * 2 * 2; k++) {
        an_loader_options o = ordered(1);
        o.block = blocks[k % COUNT(blocks)];
        o.subset = k / COUNT(blocks) % 2 ? odd : NULL;
        o.subset_count = COUNT(odd);
        o.world = 1 + 2 * (uint32_t)(k / COUNT(blocks) / 2);
        o.epochs = 2;
        o.last = AN_LAST_SHORT;
        for (o.rank = 0; o.rank < o.world; o.rank++) {
            o.engine = AN_READER_PREAD;
            digest wanted = digest_from(&o, 0);
            o.engine = AN_READER_URING_DIRECT;
            for (o.depth = 1; o.depth <= 25; o.depth *= 5)
                assert_true(same(digest_from(&o, 0), wanted));
            o.depth = 32;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_is_the_same_however_it_is_made),
        cmocka_unit_test(blocks_read_in_the_order_of_the_file_arrive_in_theirs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
