/* What the loader takes, it takes at the start: no allocation by any of its threads afterwards, and no growth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "loader_support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* allocation and residence are the sanitizer's there */
#else
#define SANITIZED 0
#endif

static atomic_int allocations;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(old, size);
}

static void take(an_loader *loader, uint32_t batches)
{
    an_batch batch;
    for (uint32_t i = 0; i < batches; i++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
}

static void no_batch_allocates(void **state)
{
    (void)state;
    static const an_reader_engine engines[] = {AN_READER_PREAD, AN_READER_MMAP, AN_READER_URING};
    for (size_t e = 0; e < 6; e++) {
        an_loader_options o = e < 3 ? plain() : bytes_options(AN_DECODE_DEVICE);
        o.epochs = 0;
        o.engine = engines[e % 3];
        o.threads = 3;
        an_loader *loader = start(&o);
        take(loader, 10 * STEPS); /* every worker has met every codec */
        int before = atomic_load(&allocations);
        assert_true(before > 0);
        take(loader, 20 * STEPS);
        assert_int_equal(atomic_load(&allocations), before);
        an_loader_free(loader);
    }
}

static long resident_pages(void)
{
    long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
    fclose(file);
    return resident;
}

static void twenty_epochs_take_no_more_than_two(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.epochs = 0;
    an_loader *loader = start(&o);
    take(loader, 2 * STEPS);
    long before = resident_pages();
    take(loader, 20 * STEPS);
    assert_true(resident_pages() - before < 64);
    an_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_batch_allocates),
        cmocka_unit_test(twenty_epochs_take_no_more_than_two),
    };
    return SANITIZED ? 77 : cmocka_run_group_tests(tests, setup, teardown);
}
