/* Slots that are made when all others are lent: how many, from whose memory, and what batches in them hold. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/loader_private.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/rng.h"
#include "loader_support.h"
#include "unpack.h"

#define MILLISECOND UINT64_C(1000000)

/* Memory that is counted. */
typedef struct {
    int pieces; /* that are not freed */
    size_t bytes;
    int fail_from;     /* the piece of this number and all later ones cannot be had; 0: all can */
    an_loader *loader; /* release this batch of it while memory is made, once; NULL: nothing */
    an_batch *batch;
    pthread_mutex_t *gate; /* to be passed before a piece beyond the first is given, or NULL */
    atomic_bool waiting;   /* before it */
} store;

static int store_alloc(void *context, void **out, size_t size)
{
    store *s = context;
    if (s->loader)
        assert_int_equal(an_loader_release(s->loader, s->batch), AN_OK);
    s->loader = NULL;
    if (s->gate && s->pieces > 0) {
        atomic_store(&s->waiting, true);
        pthread_mutex_lock(s->gate);
        pthread_mutex_unlock(s->gate);
    }
    if (s->fail_from && s->pieces + 1 >= s->fail_from)
        return an_error(AN_ENOMEM, "no memory in the store");
    s->pieces++;
    s->bytes += size;
    return an_pages_alloc(out, size);
}

static void store_free(void *context, void *memory, size_t size)
{
    store *s = context;
    s->pieces--;
    s->bytes -= size;
    an_pages_free(memory, size);
}

static an_loader_options growing(store *s, int slots_max)
{
    an_loader_options o = plain();
    o.slots_max = slots_max;
    o.memory_alloc = store_alloc;
    o.memory_free = store_free;
    o.memory_context = s;
    return o;
}

static digest hash_of(const an_batch *batch)
{
    an_loader_options o = plain();
    return XXH3_128bits(batch->data, batch->count * sample_bytes(&o));
}

/* What each batch of an epoch holds, from a loader whose batches are taken one by one. */
static void reference(digest out[STEPS])
{
    an_batch batch;
    an_loader_options o = plain();
    an_loader *loader = start(&o);
    for (uint64_t step = 0; step < STEPS; step++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        out[step] = hash_of(&batch);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    an_loader_free(loader);
}

/* One after another, each in a piece of its own, and never two for one batch that waits. */
static void slots_are_made_up_to_the_limit(void **state)
{
    (void)state;
    enum { MOST = 7 };
    digest wanted[STEPS];
    an_batch held[MOST], none;
    store s = {0};
    an_loader_options o = growing(&s, MOST);
    reference(wanted);
    an_loader *loader = start(&o);
    for (int i = 0; i < MOST; i++) {
        if (i >= o.slots)
            assert_int_equal(an_loader_try_next(loader, &none), AN_AGAIN);
        assert_int_equal(s.pieces, i <= o.slots ? 1 : i - o.slots + 1);
        assert_int_equal(an_loader_next(loader, &held[i]), AN_OK);
    }
    assert_int_equal(s.pieces, 1 + MOST - o.slots);
    assert_int_equal(an_loader_next(loader, &none), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "all 7 batches are lent"));
    for (int i = 0; i < MOST; i++)
        assert_true(same(hash_of(&held[i]), wanted[i]));
    assert_int_equal(an_loader_release(loader, &held[4]), AN_OK);
    assert_int_equal(an_loader_next(loader, &held[4]), AN_OK);
    assert_int_equal(held[4].step, MOST);
    assert_true(same(hash_of(&held[4]), wanted[MOST]));
    assert_int_equal(s.pieces, 1 + MOST - o.slots);
    an_loader_free(loader);
    assert_int_equal(s.pieces, 0);
    assert_int_equal(s.bytes, 0);
}

static void impossible_limits_are_refused(void **state)
{
    (void)state;
    static const int bad[] = {1, -1, 4097};
    an_loader *loader;
    an_loader_options o = plain();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.slots_max = bad[i];
        assert_int_equal(an_loader_create(&loader, &o), AN_EINVAL);
        assert_non_null(strstr(an_error_message(), "slots_max"));
    }
}

/* Nothing has failed for good. */
static void without_memory_a_release_helps(void **state)
{
    (void)state;
    an_batch first, second, third;
    store s = {.fail_from = 2};
    an_loader_options o = growing(&s, 4);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &first), AN_OK);
    assert_int_equal(an_loader_next(loader, &second), AN_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(an_loader_next(loader, &third), AN_ENOMEM);
        assert_non_null(strstr(an_error_message(), "no memory in the store"));
        assert_int_equal(third.lease, 0);
    }
    assert_int_equal(an_loader_release(loader, &first), AN_OK);
    assert_int_equal(an_loader_next(loader, &first), AN_OK);
    assert_int_equal(first.step, 2);
    s.fail_from = 0;
    assert_int_equal(an_loader_next(loader, &third), AN_OK);
    assert_int_equal(third.step, 3);
    an_loader_free(loader);
    assert_int_equal(s.pieces, 0);
}

/* Memory is made without the loader's lock. */
static void a_release_comes_first(void **state)
{
    (void)state;
    an_batch first, second, third;
    store s = {0};
    an_loader_options o = growing(&s, 3);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &first), AN_OK);
    assert_int_equal(an_loader_next(loader, &second), AN_OK);
    s.batch = &first;
    s.loader = loader;
    assert_int_equal(an_loader_next(loader, &third), AN_OK);
    assert_int_equal(third.step, 2);
    assert_ptr_equal(third.data, first.data);
    assert_int_equal(an_loader_next(loader, &first), AN_OK); /* the new slot has the batch behind it */
    assert_int_equal(first.step, 3);
    assert_int_equal(s.pieces, 2);
    an_loader_free(loader);
}

typedef struct {
    an_loader *loader;
    an_batch batch;
    int rc;
} call;

static void *call_next(void *argument)
{
    call *c = argument;
    c->rc = an_loader_next(c->loader, &c->batch);
    return NULL;
}

/* Another thread's slot is waited for; closing does not wait for it, and it is freed all the same. */
static void one_slot_is_made_at_a_time(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    for (int close = 0; close < 2; close++) {
        an_batch held[2], none;
        pthread_t thread;
        store s = {.gate = &gate};
        an_loader_options o = growing(&s, 5);
        an_loader *loader = start(&o);
        call c = {.loader = loader};
        assert_int_equal(an_loader_next(loader, &held[0]), AN_OK);
        assert_int_equal(an_loader_next(loader, &held[1]), AN_OK);
        pthread_mutex_lock(&gate);
        assert_int_equal(pthread_create(&thread, NULL, call_next, &c), 0);
        while (!atomic_load(&s.waiting))
            usleep(100);
        assert_int_equal(an_loader_next_within(loader, &none, MILLISECOND), AN_AGAIN);
        assert_int_equal(an_loader_try_next(loader, &none), AN_AGAIN);
        if (close)
            an_loader_close(loader);
        pthread_mutex_unlock(&gate);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(c.rc, close ? AN_STOPPED : AN_OK);
        assert_int_equal(s.pieces, 2);
        an_loader_free(loader);
        assert_int_equal(s.pieces, 0);
    }
}

/* Whoever waits for a slot that another thread makes does not wait for ever if it cannot be made. */
static void a_slot_that_fails_is_no_longer_waited_for(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    an_batch held[2];
    pthread_t threads[2];
    call calls[2];
    store s = {.gate = &gate, .fail_from = 2};
    an_loader_options o = growing(&s, 5);
    an_loader *loader = start(&o);
    for (int i = 0; i < 2; i++)
        assert_int_equal(an_loader_next(loader, &held[i]), AN_OK);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 2; i++) {
        calls[i] = (call){.loader = loader};
        assert_int_equal(pthread_create(&threads[i], NULL, call_next, &calls[i]), 0);
        while (!atomic_load(&s.waiting))
            usleep(100);
    }
    for (int waiting = 0; !waiting;) {
        usleep(100);
        pthread_mutex_lock(&loader->lock);
        waiting = loader->consumers_waiting;
        pthread_mutex_unlock(&loader->lock);
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].rc, AN_ENOMEM);
    }
    an_loader_free(loader);
}

/* Held in new slots, blocks of payloads hold what samples do. */
static void blocks_lie_in_new_slots(void **state)
{
    (void)state;
    an_batch held[6];
    an_loader_options o = bytes_options(AN_DECODE_DEVICE), samples = bytes_options(AN_DECODE_HOST);
    digest wanted = digest_from(&samples, 0);
    o.slots_max = 6;
    an_loader *loader = start(&o);
    for (int i = 0; i < 6; i++)
        assert_int_equal(an_loader_next(loader, &held[i]), AN_OK);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(held[i].step, i);
        uint8_t *unpacked = unpack_batch(&o, &held[i]);
        an_batch one;
        an_loader_options from = samples;
        from.first_step = (uint64_t)i;
        an_loader *single = start(&from);
        assert_int_equal(an_loader_next(single, &one), AN_OK);
        assert_memory_equal(unpacked, one.data, one.count * sample_bytes(&samples));
        an_loader_free(single);
        free(unpacked);
    }
    an_loader_free(loader);
    assert_true(same(digest_from(&o, 0), wanted));
}

/* ---- many releases ----------------------------------------------------------------------------------------------- */

enum { THREADS = 4, HELD = 9, SMALL = 2, SMALL_STEPS = RECORDS / SMALL, ROUNDS = 100 };

/* Batches that some thread took and any thread may release. */
typedef struct {
    an_loader *loader;
    pthread_mutex_t lock;
    an_batch held[HELD];
    digest hashes[HELD];
    uint32_t count;
    atomic_uint_fast64_t released, problems;
} pool;

static digest hash_small(const an_batch *batch)
{
    return XXH3_128bits(batch->data, batch->size);
}

static bool holds_its_records(const an_batch *batch)
{
    an_order order = {.kind = AN_ORDER_GLOBAL, .count = RECORDS, .seed = plain().seed, .epoch = batch->epoch};
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->indices[i] != an_order_at(&order, batch->step * SMALL + i))
            return false;
    return true;
}

/* Take any batch out of the pool, and release it. False: there was none. */
static bool release_one(pool *p, an_rng *rng)
{
    pthread_mutex_lock(&p->lock);
    bool some = p->count > 0;
    uint32_t i = some ? an_rng_below(rng, p->count) : 0;
    an_batch batch = p->held[i];
    digest wanted = p->hashes[i];
    if (some) {
        p->count--;
        p->held[i] = p->held[p->count];
        p->hashes[i] = p->hashes[p->count];
    }
    pthread_mutex_unlock(&p->lock);
    if (!some)
        return false;
    bool sound = same(hash_small(&batch), wanted) && holds_its_records(&batch);
    if (!sound || an_loader_release(p->loader, &batch) || !an_loader_release(p->loader, &batch))
        atomic_fetch_add(&p->problems, 1);
    atomic_fetch_add(&p->released, 1);
    return true;
}

/* True: the pool has room for it. */
static bool keep(pool *p, const an_batch *batch)
{
    digest hash = hash_small(batch);
    pthread_mutex_lock(&p->lock);
    bool room = p->count < HELD;
    if (room) {
        p->held[p->count] = *batch;
        p->hashes[p->count++] = hash;
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

typedef struct {
    pool *pool;
    uint64_t number;
} member;

static void *take_and_release(void *argument)
{
    const member *m = argument;
    pool *p = m->pool;
    an_batch batch;
    an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, m->number);
    int rc = an_loader_next(p->loader, &batch);
    for (; !rc; rc = an_loader_next(p->loader, &batch)) {
        while (!keep(p, &batch))
            (void)release_one(p, &rng);
        if (an_rng_below(&rng, 4) == 0)
            (void)release_one(p, &rng);
    }
    if (rc != AN_END)
        atomic_fetch_add(&p->problems, 1);
    while (release_one(p, &rng))
        ;
    return NULL;
}

/* 10,100 batches by four threads: each releases what any of them took, and up to 17 slots are lent at once. */
static void ten_thousand_releases_in_any_order(void **state)
{
    (void)state;
    static pool p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[THREADS];
    member members[THREADS];
    store s = {0};
    an_loader_options o = growing(&s, HELD + 2 * THREADS); /* a thread has one that it took, and one that it releases */
    o.batch = SMALL;
    o.epochs = ROUNDS;
    o.threads = 3;
    o.sample.crop = 8;
    p.loader = start(&o);
    for (uint64_t i = 0; i < THREADS; i++) {
        members[i] = (member){&p, i};
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_release, &members[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(p.problems, 0);
    assert_int_equal(p.released, SMALL_STEPS * ROUNDS);
    assert_int_equal(an_loader_lent(p.loader), 0);
    assert_true(s.pieces > HELD - o.slots);
    an_loader_free(p.loader);
    assert_int_equal(s.pieces, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_made_up_to_the_limit), cmocka_unit_test(impossible_limits_are_refused),
        cmocka_unit_test(without_memory_a_release_helps), cmocka_unit_test(a_release_comes_first),
        cmocka_unit_test(one_slot_is_made_at_a_time),     cmocka_unit_test(a_slot_that_fails_is_no_longer_waited_for),
        cmocka_unit_test(blocks_lie_in_new_slots),        cmocka_unit_test(ten_thousand_releases_in_any_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
