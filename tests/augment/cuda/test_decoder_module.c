/* The decoder's module: where it is looked for, and that those of other versions are refused. No device is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "augment/decoder.h"
#include "base/error.h"
#include "tests/store/message.h"

static void refuse(const char *file, const char *why)
{
    an_batch_decoder_options o = {.batch = 1, .side = 8, .crop = 8, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
    an_batch_decoder *decoder = (void *)&o;
    assert_int_equal(setenv("AN_DECODE_MODULE", file, 1), 0);
    assert_int_equal(an_batch_decoder_create(&decoder, &o), AN_EUNSUPPORTED);
    assert_message(why);
    assert_null(decoder);
}

static void test_versions(void **state)
{
    (void)state;
    refuse(AN_TEST_OLD, "belongs to another version of this program");
    refuse(AN_TEST_GROWN, "belongs to another version of this program");
}

static void test_missing(void **state)
{
    (void)state;
    refuse("/nowhere/an_decode_cuda.so", "AN_DECODE_MODULE names '/nowhere/an_decode_cuda.so'");
    refuse("/proc/self/exe", "the CUDA decoder module cannot be loaded");
    refuse("", "there is no '");
    assert_message("an_decode_cuda.so'; install it, or name its file in AN_DECODE_MODULE");
}

/* What the program brings along is taken instead of a search, unless the variable names a file. */
static void test_brought(void **state)
{
    (void)state;
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(an_decoder_module_bring(AN_TEST_OLD), AN_OK);
    refuse("", "belongs to another version of this program");
    refuse("/nowhere/an_decode_cuda.so", "AN_DECODE_MODULE names '/nowhere/an_decode_cuda.so'");
    assert_int_equal(an_decoder_module_bring("/nowhere/else.so"), AN_OK);
    refuse("", "the CUDA decoder module cannot be loaded: /nowhere/else.so");
    assert_int_equal(an_decoder_module_bring(long_path), AN_EINVAL);
    assert_int_equal(an_decoder_module_bring(NULL), AN_OK);
    refuse("", "there is no '");
}

/* What the loader may hand over. */
static void test_takes(void **state)
{
    (void)state;
    /* the example of docs/record-format.md */
    uint8_t payload[8 + 64 + 2 + 4 + 64] = {1, 0, 1, 0, 8, 0, 8, 0};
    for (int i = 0; i < 64; i++)
        payload[8 + i] = 2;
    const uint8_t row[] = {4, 0, 9, 1, 2, 1};
    for (size_t i = 0; i < sizeof row; i++)
        payload[72 + i] = row[i];
    assert_true(an_batch_decoder_takes(payload, sizeof payload, 8));
    assert_false(an_batch_decoder_takes(payload, sizeof payload, 9));
    assert_false(an_batch_decoder_takes(payload, sizeof payload - 1, 8));
    assert_false(an_batch_decoder_takes(payload, 3, 8));
    payload[0] = 2;
    assert_false(an_batch_decoder_takes(payload, sizeof payload, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions), cmocka_unit_test(test_missing),
                                       cmocka_unit_test(test_brought), cmocka_unit_test(test_takes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
