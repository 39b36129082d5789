/* Long use does not take more and more memory. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SOME 20
#define MANY 200
/* Bytes; a batch kept each epoch would make 1.1 MB. AddressSanitizer keeps 256 MiB of what was freed, and finds leaks
 * itself. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX ((uint64_t)260 << 20)
#else
#define GROWTH_MAX ((uint64_t)512 << 10)
#endif

static uint64_t resident(void)
{
    unsigned long long size, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &size, &pages), 2);
    assert_int_equal(fclose(file), 0);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void run_epochs(liban_loader *loader, int epochs)
{
    liban_batch *batch;
    for (int epoch = 0; epoch < epochs;) {
        int rc = liban_loader_next(loader, &batch);
        assert_true(rc == LIBAN_OK || rc == LIBAN_END);
        if (rc == LIBAN_END)
            epoch++;
        else
            give(batch);
    }
}

static void many_epochs_take_the_memory_of_some(void **state)
{
    (void)state;
    liban_loader_options options = small();
    options.mixup = 0.2;
    liban_loader *loader = start(&options);
    run_epochs(loader, SOME);
    uint64_t before = resident();
    run_epochs(loader, MANY - SOME);
    uint64_t after = resident();
    liban_loader_free(loader);
    if (after > before + GROWTH_MAX)
        fail_msg("%llu KiB after %d epochs, %llu after %d", (unsigned long long)before >> 10, SOME,
                 (unsigned long long)after >> 10, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_epochs_take_the_memory_of_some)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
