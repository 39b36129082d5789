#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/image/image.h"

static void test_reuse(void **state)
{
    (void)state;
    an_image image = {0};
    assert_int_equal(an_image_set_size(&image, 10, 7), AN_OK);
    assert_true(image.capacity >= 210);
    memset(image.pixels, 1, 210);
    uint8_t *pixels = image.pixels;
    assert_int_equal(an_image_set_size(&image, 3, 5), AN_OK);
    assert_int_equal(an_image_set_size(&image, 7, 10), AN_OK);
    assert_ptr_equal(image.pixels, pixels);
    assert_int_equal(image.width, 7);
    assert_int_equal(image.height, 10);
    assert_int_equal(an_image_set_size(&image, 100, 100), AN_OK);
    memset(image.pixels, 2, 30000);
    an_image_free(&image);
    assert_null(image.pixels);
    an_image_free(&image);
}

static void test_too_large(void **state)
{
    (void)state;
    an_image image = {0};
    assert_int_equal(an_image_set_size(&image, 4, 4), AN_OK);
    assert_int_not_equal(an_image_set_size(&image, UINT32_MAX, UINT32_MAX), AN_OK);
    assert_int_equal(image.width, 4); /* as it was */
    memset(image.pixels, 3, 48);
    an_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reuse), cmocka_unit_test(test_too_large)};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
