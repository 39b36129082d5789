/* Loaders that draw records by weight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/order/weighted.h"
#include "base/error.h"
#include "loader_support.h"

static void fill_weights(double weights[RECORDS])
{
    for (uint32_t i = 0; i < RECORDS; i++)
        weights[i] = i % 5 == 0 ? 0 : 1 + i % 7;
}

static an_loader_options weighted(const double *weights)
{
    an_loader_options o = plain();
    o.weights = weights;
    o.epochs = 2;
    return o;
}

/* What is drawn for a sample depends on its place, so two copies of a record differ. */
static void assert_draw(const an_loader_options *o, const an_sampler *sampler, const an_batch *batch, uint32_t i,
                        uint64_t place)
{
    an_sample_draw wanted;
    an_sampler_draw(sampler, o->seed, batch->epoch, place, &wanted);
    assert_int_equal(batch->draws[i].x, wanted.x);
    assert_int_equal(batch->draws[i].y, wanted.y);
    assert_int_equal(batch->draws[i].flip, wanted.flip);
    assert_memory_equal(batch->draws[i].shift, wanted.shift, sizeof wanted.shift);
}

static void check_rank(const an_loader_options *o, const an_weighted *table, uint64_t count)
{
    an_sampler *sampler;
    an_batch batch;
    an_loader *loader = start(o);
    assert_int_equal(an_sampler_create(&sampler, &o->sample, SIDE, an_dataset_statistics(set.dataset)), AN_OK);
    uint64_t batches = 0;
    for (; !an_loader_next(loader, &batch); batches++) {
        for (uint32_t i = 0; i < batch.count; i++) {
            uint64_t place = ((batch.step * o->world + o->rank) * o->batch + i) % count;
            uint64_t number = an_weighted_at(table, o->seed, batch.epoch, place);
            assert_int_equal(batch.indices[i], o->subset ? o->subset[number] : number);
            assert_int_equal(batch.labels[i], batch.indices[i] % 10);
            assert_draw(o, sampler, &batch, i, place);
        }
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(batches, o->epochs * an_loader_steps_per_epoch(loader));
    an_sampler_free(sampler);
    an_loader_free(loader);
}

/* An epoch is as many draws as there are records, dealt out to the ranks. */
static void batches_hold_what_is_drawn(void **state)
{
    (void)state;
    double weights[RECORDS];
    uint64_t subset[50];
    fill_weights(weights);
    for (uint64_t i = 0; i < 50; i++)
        subset[i] = 150 - i;
    for (int part = 0; part < 2; part++) {
        an_loader_options o = weighted(weights);
        uint64_t count = part ? 50 : RECORDS;
        an_weighted *table;
        assert_int_equal(an_weighted_create(&table, weights, count), AN_OK);
        o.subset = part ? subset : NULL;
        o.subset_count = count;
        o.last = AN_LAST_PAD;
        for (o.world = 1; o.world <= 3; o.world++)
            for (o.rank = 0; o.rank < o.world; o.rank++)
                check_rank(&o, table, count);
        an_weighted_free(table);
    }
}

/* Nor on when the weights were freed. */
static void draws_do_not_depend_on_timing(void **state)
{
    (void)state;
    for (int last = AN_LAST_DROP; last <= AN_LAST_PAD; last++) {
        double weights[RECORDS];
        fill_weights(weights);
        an_loader_options o = bytes_options(AN_DECODE_HOST);
        o.weights = weights;
        o.last = (an_last_kind)last;
        o.epochs = 2;
        digest wanted = digest_from(&o, 0);
        for (int threads = 1; threads <= 7; threads += 3) {
            o.threads = threads;
            o.slots = 1 + threads;
            o.depth = 3 * threads;
            o.decode = threads == 4 ? AN_DECODE_DEVICE : AN_DECODE_HOST;
            assert_true(same(digest_from(&o, 0), wanted));
        }
        o.seed++;
        assert_false(same(digest_from(&o, 0), wanted));
    }
}

static void weights_are_read_once(void **state)
{
    (void)state;
    an_batch batch;
    double *weights = calloc(RECORDS, sizeof *weights);
    assert_non_null(weights);
    weights[17] = 1;
    an_loader_options o = weighted(weights);
    an_loader *loader = start(&o);
    memset(weights, 0xff, RECORDS * sizeof *weights);
    free(weights);
    for (int step = 0; !an_loader_next(loader, &batch); step++) {
        for (uint32_t i = 0; i < batch.count; i++)
            assert_int_equal(batch.indices[i], 17);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    an_loader_free(loader);
}

/* A batch may hold nothing but the largest record, and no two copies of it alike. */
static void one_record_is_drawn_again_and_again(void **state)
{
    (void)state;
    const an_index_entry *index = an_dataset_index(set.dataset);
    double weights[BATCH] = {0};
    uint64_t subset[BATCH], largest = 0;
    size_t room, usual;
    for (uint64_t i = 0; i < BATCH; i++) {
        subset[i] = i;
        largest = index[i].length > index[largest].length ? i : largest;
    }
    an_loader_options o = bytes_options(AN_DECODE_HOST);
    digest wanted;
    for (int device = 0; device < 2; device++) {
        weights[largest] = 3;
        o = bytes_options(device ? AN_DECODE_DEVICE : AN_DECODE_HOST);
        o.subset = subset;
        o.subset_count = BATCH;
        assert_int_equal(an_loader_block_size(&o, &usual), AN_OK);
        o.weights = weights;
        assert_int_equal(an_loader_block_size(&o, &room), AN_OK);
        assert_true(room > usual);
        digest found = digest_from(&o, 0);
        assert_true(device == 0 || same(found, wanted));
        wanted = found;
    }
    an_batch batch;
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_OK);
    int equal = 0;
    for (uint32_t i = 1; i < batch.count; i++)
        equal += !memcmp(&batch.draws[i], &batch.draws[0], sizeof *batch.draws);
    assert_int_equal(equal, 0); /* three normal numbers for the colours alone */
    an_loader_free(loader);
}

/* Draws of the epoch that are left, by another number of ranks. */
static void an_epoch_of_draws_goes_on_anywhere(void **state)
{
    (void)state;
    double weights[RECORDS];
    fill_weights(weights);
    an_loader_options o = weighted(weights);
    an_weighted *table;
    assert_int_equal(an_weighted_create(&table, weights, RECORDS), AN_OK);
    o.first_epoch = 4;
    o.first_position = 100;
    o.last = AN_LAST_EVEN;
    o.epochs = 1;
    o.world = 2;
    uint64_t seen = 0;
    for (o.rank = 0; o.rank < 2; o.rank++) {
        an_batch batch;
        an_loader *loader = start(&o);
        while (!an_loader_next(loader, &batch)) {
            uint64_t begin = batch.last ? 196 + o.rank * 4 : 100 + (batch.step * 2 + o.rank) * BATCH;
            for (uint32_t i = 0; i < batch.count; i++)
                assert_int_equal(batch.indices[i], an_weighted_at(table, o.seed, 4, (begin + i) % RECORDS));
            seen += batch.count - batch.repeated;
            assert_int_equal(an_loader_release(loader, &batch), AN_OK);
        }
        an_loader_free(loader);
    }
    assert_int_equal(seen, RECORDS - 100);
    an_weighted_free(table);
}

static void what_weights_cannot_do_is_refused(void **state)
{
    (void)state;
    an_loader *loader;
    double weights[RECORDS];
    fill_weights(weights);
    an_loader_options o = weighted(weights);
    o.block = 10;
    for (o.order = AN_ORDER_BLOCK; o.order <= AN_ORDER_SEQUENTIAL; o.order++) {
        assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
        assert_non_null(strstr(an_error_message(), "order global"));
    }
    o.order = AN_ORDER_GLOBAL;
    weights[3] = -1;
    assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "weight 3 is -1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_hold_what_is_drawn),
        cmocka_unit_test(draws_do_not_depend_on_timing),
        cmocka_unit_test(weights_are_read_once),
        cmocka_unit_test(one_record_is_drawn_again_and_again),
        cmocka_unit_test(an_epoch_of_draws_goes_on_anywhere),
        cmocka_unit_test(what_weights_cannot_do_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
