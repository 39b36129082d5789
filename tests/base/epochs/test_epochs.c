#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/epochs/epochs.h"

enum { IMAGES_MAX = 13, EPOCHS = 7 };

/* What a step takes, walked image by image. */
typedef struct {
    uint64_t epoch, position; /* of the next image */
} walker;

static uint64_t step_size(const an_epochs *e, uint64_t position)
{
    uint64_t left = e->images - position;
    return e->last != AN_LAST_CARRY && left < e->batch ? left : e->batch;
}

/* Take a step. With AN_LAST_DROP an epoch is over when its rest fills none. */
static void walk(const an_epochs *e, walker *w)
{
    for (uint64_t left = step_size(e, w->position); left > 0; left--)
        if (++w->position == e->images) {
            w->position = 0;
            w->epoch++;
        }
    if (e->last == AN_LAST_DROP && e->images - w->position < e->batch)
        *w = (walker){w->epoch + 1, 0};
}

static void assert_walk(const an_epochs *e)
{
    walker w = {0};
    for (uint64_t step = 0; w.epoch < EPOCHS; step++) {
        uint64_t before = w.epoch;
        assert_int_equal(an_epochs_done(e, step), w.epoch);
        assert_int_equal(an_epochs_offset(e, step), w.position);
        double at = an_epochs_at(e, step);
        assert_true(at >= (double)w.epoch - 1e-9 && at < (double)w.epoch + 1);
        walk(e, &w);
        assert_true(w.epoch <= before + 1);
        if (w.epoch > before)
            assert_int_equal(an_epochs_steps(e, w.epoch), step + 1);
    }
}

static void every_step_is_where_a_walk_gets(void **state)
{
    (void)state;
    for (uint64_t images = 1; images <= IMAGES_MAX; images++)
        for (uint64_t batch = 1; batch <= images; batch++)
            for (int last = AN_LAST_DROP; last <= AN_LAST_PAD; last++)
                assert_walk(&(an_epochs){images, batch, (an_last_kind)last});
    assert_walk(&(an_epochs){5, 8, AN_LAST_SHORT});
    assert_walk(&(an_epochs){5, 8, AN_LAST_EVEN});
    assert_walk(&(an_epochs){5, 8, AN_LAST_PAD});
}

static void counts_of_a_real_case(void **state)
{
    (void)state;
    an_epochs e = {500, 128, AN_LAST_DROP};
    assert_int_equal(an_epochs_steps(&e, 90), 90 * 3);
    assert_true(an_epochs_each(&e) == 3);
    e.last = AN_LAST_SHORT;
    assert_int_equal(an_epochs_steps(&e, 90), 90 * 4);
    assert_true(an_epochs_each(&e) == 4);
    e.last = AN_LAST_CARRY;
    assert_int_equal(an_epochs_steps(&e, 90), 352); /* 45000 / 128 = 351.6 */
    assert_true(an_epochs_each(&e) == 3.90625);
    assert_true(an_epochs_at(&e, 125) == 32);
    assert_int_equal(an_epochs_steps(&e, 1), 4);
    assert_int_equal(an_epochs_offset(&e, 4), 12);
}

static void large_numbers_do_not_wrap(void **state)
{
    (void)state;
    an_epochs e = {UINT64_C(1) << 62, UINT64_C(1) << 40, AN_LAST_CARRY};
    assert_int_equal(an_epochs_steps(&e, 1000000), 1000000 * (UINT64_C(1) << 22));
    assert_int_equal(an_epochs_done(&e, UINT64_C(1) << 60), UINT64_C(1) << 38);
    e.batch = 3;
    assert_int_equal(an_epochs_steps(&e, UINT64_MAX), UINT64_MAX);
    e.last = AN_LAST_SHORT;
    assert_int_equal(an_epochs_steps(&e, UINT64_MAX), UINT64_MAX);
}

static void without_steps_nothing_is_ever_over(void **state)
{
    (void)state;
    const an_epochs none[] = {{0}, {0, 4, AN_LAST_SHORT}, {3, 4, AN_LAST_DROP}, {0, 4, AN_LAST_CARRY}};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(an_epochs_done(&none[i], 100), 0);
        assert_int_equal(an_epochs_steps(&none[i], 1), 0);
        assert_int_equal(an_epochs_offset(&none[i], 100), 0);
        assert_true(an_epochs_at(&none[i], 100) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_where_a_walk_gets),
        cmocka_unit_test(counts_of_a_real_case),
        cmocka_unit_test(large_numbers_do_not_wrap),
        cmocka_unit_test(without_steps_nothing_is_ever_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
