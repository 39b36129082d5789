/* Waiting for a limited time, and closing a loader whose batches are still held. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/loader_private.h"
#include "base/clock.h"
#include "loader_support.h"

enum { WAITING = 3 };

#define MILLISECOND UINT64_C(1000000)

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* Workers stop here while the test holds the gate. */
static void pass_gate(void *context, int worker)
{
    (void)context, (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static digest hash_of(const an_batch *batch)
{
    an_loader_options o = plain();
    return XXH3_128bits(batch->data, batch->count * sample_bytes(&o));
}

/* ---- a limit ----------------------------------------------------------------------------------------------------- */

static void a_limited_wait_loses_nothing(void **state)
{
    (void)state;
    an_batch batch;
    an_loader_options o = plain();
    o.worker_hook = pass_gate;
    pthread_mutex_lock(&gate);
    an_loader *loader = start(&o);
    for (uint64_t limit = 0; limit < 3; limit++) {
        uint64_t begin = an_clock_ns();
        assert_int_equal(an_loader_next_within(loader, &batch, limit * MILLISECOND), AN_AGAIN);
        assert_true(an_clock_ns() - begin >= limit * MILLISECOND);
        assert_int_equal(batch.lease, 0);
    }
    assert_int_equal(an_loader_lent(loader), 0);
    pthread_mutex_unlock(&gate);
    for (uint64_t step = 0; step < STEPS; step++) {
        int rc = AN_AGAIN;
        while (rc == AN_AGAIN)
            rc = an_loader_next_within(loader, &batch, step % 2 ? UINT64_MAX : MILLISECOND);
        assert_int_equal(rc, AN_OK);
        assert_int_equal(batch.step, step);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(an_loader_next_within(loader, &batch, MILLISECOND), AN_END);
    an_loader_free(loader);
}

static void a_limited_wait_tells_why_it_ends(void **state)
{
    (void)state;
    an_batch first, second, none;
    an_loader_options o = plain();
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next_within(loader, &first, UINT64_MAX), AN_OK);
    assert_int_equal(an_loader_next_within(loader, &second, UINT64_MAX), AN_OK);
    assert_int_equal(an_loader_lent(loader), 2);
    assert_int_equal(an_loader_next_within(loader, &none, MILLISECOND), AN_EINVAL);
    assert_non_null(strstr(an_error_message(), "all 2 batches are lent"));
    an_loader_interrupt(loader);
    assert_int_equal(an_loader_next_within(loader, &none, UINT64_MAX), AN_STOPPED);
    an_loader_free(loader);
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

static int entries_of(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    assert_int_equal(closedir(dir), 0);
    return count;
}

static void refuse(an_loader *loader)
{
    an_batch none;
    assert_int_equal(an_loader_next(loader, &none), AN_STOPPED);
    assert_int_equal(an_loader_try_next(loader, &none), AN_STOPPED);
    assert_int_equal(an_loader_next_within(loader, &none, MILLISECOND), AN_STOPPED);
    assert_int_equal(none.lease, 0);
}

/* Neither files nor threads are left, but what was lent is. */
static void lent_batches_outlast_closing(void **state)
{
    (void)state;
    an_batch held[2];
    digest before[2];
    an_loader_stats stats;
    for (size_t e = 0; e < an_reader_engine_count(); e++) {
        an_loader_options o = plain();
        o.engine = (an_reader_engine)e;
        o.order = AN_ORDER_BLOCK; /* it has a file of its own open for reading ahead */
        o.block = 10;
        o.slots = 3;
        int files = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
        an_loader *loader = start(&o);
        an_reader_engine engine = an_loader_engine(loader);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(an_loader_next(loader, &held[i]), AN_OK);
            before[i] = hash_of(&held[i]);
        }
        an_loader_close(loader);
        assert_int_equal(entries_of("/proc/self/fd"), files);
        while (entries_of("/proc/self/task") > threads) /* those that were joined may still be listed for a moment */
            usleep(100);
        refuse(loader);
        an_loader_resume(loader);
        refuse(loader);
        assert_int_equal(an_loader_lent(loader), 2);
        assert_true(same(hash_of(&held[0]), before[0]));
        assert_int_equal(an_loader_release(loader, &held[0]), AN_OK);
        assert_int_equal(an_loader_release(loader, &held[0]), AN_EINVAL);
        assert_int_equal(an_loader_lent(loader), 1);
        assert_true(same(hash_of(&held[1]), before[1]));
        an_loader_close(loader);
        an_loader_stats_get(loader, &stats);
        assert_int_equal(stats.batches, 2);
        assert_int_equal(an_loader_engine(loader), engine);
        if (an_loader_note(loader))
            assert_true(strlen(an_loader_note(loader)) > 0);
        an_loader_free(loader); /* with one lent */
    }
}

typedef struct {
    an_loader *loader;
    int rc;
} call;

static void *call_next(void *argument)
{
    an_batch batch;
    call *c = argument;
    c->rc = an_loader_next(c->loader, &batch);
    return NULL;
}

static void *call_close(void *argument)
{
    call *c = argument;
    an_loader_close(c->loader);
    pthread_mutex_lock(&c->loader->lock);
    c->rc = c->loader->closed ? AN_OK : AN_EINTERNAL;
    pthread_mutex_unlock(&c->loader->lock);
    return NULL;
}

static void wait_until_waiting(an_loader *loader, int threads)
{
    for (int waiting = 0; waiting < threads;) {
        usleep(100);
        pthread_mutex_lock(&loader->lock);
        waiting = loader->consumers_waiting;
        pthread_mutex_unlock(&loader->lock);
    }
}

/* Whoever waits for a batch returns, and of several who close each returns when it is done. */
static void closing_ends_every_call(void **state)
{
    (void)state;
    call calls[2 * WAITING];
    pthread_t threads[2 * WAITING];
    an_loader_options o = plain();
    o.worker_hook = pass_gate;
    pthread_mutex_lock(&gate);
    an_loader *loader = start(&o);
    for (int i = 0; i < 2 * WAITING; i++) {
        calls[i] = (call){.loader = loader, .rc = 99};
        if (i == WAITING)
            wait_until_waiting(loader, WAITING);
        assert_int_equal(pthread_create(&threads[i], NULL, i < WAITING ? call_next : call_close, &calls[i]), 0);
    }
    for (int i = 0; i < WAITING; i++) { /* before the workers have ended */
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].rc, AN_STOPPED);
    }
    pthread_mutex_unlock(&gate);
    for (int i = WAITING; i < 2 * WAITING; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(calls[i].rc, AN_OK);
    }
    an_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limited_wait_loses_nothing),
        cmocka_unit_test(a_limited_wait_tells_why_it_ends),
        cmocka_unit_test(lent_batches_outlast_closing),
        cmocka_unit_test(closing_ends_every_call),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
