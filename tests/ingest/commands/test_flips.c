/* A flipped bit in a dataset is noticed or does no harm. For each of many bits: flip it, open and verify, flip it back.
 * Opening must fail, or verify must name a record, or everything that can be read must be what it was (the bit lies in
 * a free page or in padding). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "ingest/commands/verify.h"
#include "tests/ingest/support.h"

#define FLIPS 1000 /* AN_TEST_FLIPS asks for another number */

static fixture f;
static char data[512], original[512];

static int set_up(void **state)
{
    (void)state;
    an_ingest_config config;
    char source[512];
    fixture_open(&f);
    snprintf(source, sizeof(source), "%s", fixture_path(&f, "source"));
    snprintf(data, sizeof(data), "%s", fixture_path(&f, "data"));
    snprintf(original, sizeof(original), "%s", fixture_path(&f, "original"));
    support_config(&config, 16);
    config.codec = "mixed:0.3";
    support_pictures(&f, "source", 3, 12);
    fixture_write(fixture_path(&f, "source/class-0/bad.jpg"), "bad", 3);
    support_ingest(&config, source, data);
    support_ingest(&config, source, original);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static void flip(int fd, uint64_t bit)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
}

typedef enum { AT_OPENING, BY_VERIFY, HARMLESS, OUTCOMES } outcome;

static outcome look(const an_dataset *wanted)
{
    an_dataset *dataset;
    an_verify_faults faults;
    if (an_dataset_open(&dataset, data))
        return AT_OPENING;
    int rc = an_verify(dataset, 1, true, &faults);
    outcome seen = rc || faults.count ? BY_VERIFY : HARMLESS;
    if (seen == HARMLESS)
        support_assert_same(wanted, dataset);
    an_verify_faults_free(&faults);
    an_dataset_free(dataset);
    return seen;
}

static void test_no_flipped_bit_goes_unnoticed(void **state)
{
    (void)state;
    char path[600];
    struct stat status;
    uint64_t seen[OUTCOMES] = {0};
    const char *asked = getenv("AN_TEST_FLIPS");
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 0, 0);
    an_dataset *wanted = support_open(original);
    snprintf(path, sizeof(path), "%s/data.mdb", data);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    for (long i = 0; i < (asked ? atol(asked) : FLIPS); i++) {
        uint64_t bit = an_rng_below(&rng, (uint32_t)status.st_size * 8);
        flip(fd, bit);
        seen[look(wanted)]++;
        flip(fd, bit);
    }
    assert_int_equal(look(wanted), HARMLESS);
    print_message("%ld bytes: %llu flips seen at opening, %llu by verify, %llu harmless\n", (long)status.st_size,
                  (unsigned long long)seen[AT_OPENING], (unsigned long long)seen[BY_VERIFY],
                  (unsigned long long)seen[HARMLESS]);
    assert_true(seen[AT_OPENING] > 0 && seen[BY_VERIFY] > 0);
    close(fd);
    an_dataset_free(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_flipped_bit_goes_unnoticed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
