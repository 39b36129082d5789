#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"

static void test_append_and_printf(void **state)
{
    (void)state;
    an_buffer buffer = {0};
    assert_int_equal(an_buffer_append(&buffer, "abc", 3), AN_OK);
    assert_int_equal(an_buffer_printf(&buffer, "%d-%s", 42, "x"), AN_OK);
    assert_int_equal(buffer.size, 7);
    assert_string_equal((char *)buffer.data, "abc42-x");
    assert_int_equal(an_buffer_append(&buffer, NULL, 0), AN_OK);
    assert_int_equal(buffer.size, 7);
    an_buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
}

static void test_grows_by_half(void **state)
{
    (void)state;
    an_buffer buffer = {0};
    assert_int_equal(an_buffer_reserve(&buffer, 1000), AN_OK);
    assert_int_equal(an_buffer_reserve(&buffer, 1001), AN_OK);
    assert_true(buffer.capacity >= 1500);
    size_t capacity = buffer.capacity;
    assert_int_equal(an_buffer_reserve(&buffer, 10), AN_OK);
    assert_int_equal(buffer.capacity, capacity);
    an_buffer_free(&buffer);
}

static void test_impossible_sizes(void **state)
{
    (void)state;
    an_buffer buffer = {0};
    assert_int_equal(an_buffer_append(&buffer, "abc", 3), AN_OK);
    assert_int_equal(an_buffer_reserve(&buffer, SIZE_MAX / 2), AN_ENOMEM);
    assert_int_equal(an_buffer_append(&buffer, "x", SIZE_MAX), AN_ENOMEM);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "abc", 3);
    an_buffer_free(&buffer);
}

static void test_pages(void **state)
{
    (void)state;
    void *pages;
    size_t size = (4u << 20) + 5;
    assert_int_equal(an_pages_alloc(&pages, size), AN_OK);
    assert_int_equal((uintptr_t)pages % 4096, 0);
    assert_int_equal(((char *)pages)[0], 0);
    ((char *)pages)[size - 1] = 1;
    an_pages_free(pages, size);
    assert_int_equal(an_pages_alloc(&pages, 0), AN_OK);
    assert_null(pages);
    an_pages_free(NULL, 0);
    assert_int_equal(an_pages_alloc(&pages, (size_t)1 << 60), AN_ENOMEM);
    assert_null(pages);
}

static void test_multiply(void **state)
{
    (void)state;
    size_t product;
    assert_int_equal(an_size_multiply(6, 7, &product), AN_OK);
    assert_int_equal(product, 42);
    assert_int_equal(an_size_multiply(SIZE_MAX, 1, &product), AN_OK);
    assert_int_equal(an_size_multiply(SIZE_MAX / 2 + 1, 2, &product), AN_EINVAL);
}

static void test_clocks(void **state)
{
    (void)state;
    uint64_t wall = an_clock_ns(), cpu = an_clock_thread_ns(), process = an_clock_process_ns();
    volatile unsigned spin = 0;
    while (an_clock_thread_ns() - cpu < 2000000)
        spin++;
    assert_true(an_clock_process_ns() - process >= 1000000); /* this thread's time is part of it, counted apart */
    assert_true(an_clock_ns() - wall >= 1000000);            /* CPU time cannot pass faster than time does */
    assert_true(an_clock_seconds_since(wall) > 0.001);
}

static void test_formats(void **state)
{
    (void)state;
    assert_int_equal(an_dtype_size(AN_DTYPE_U8), 1);
    assert_int_equal(an_dtype_size(AN_DTYPE_F32), 4);
    assert_int_equal(an_dtype_size(AN_DTYPE_BF16), 2);
    assert_int_equal(an_dtype_size(AN_DTYPE_F16), 2);
    assert_string_equal(an_dtype_name(AN_DTYPE_BF16), "bf16");
    assert_string_equal(an_layout_name(AN_LAYOUT_NHWC), "nhwc");
    assert_string_equal(an_layout_name(AN_LAYOUT_NCHW), "nchw");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_printf), cmocka_unit_test(test_grows_by_half),
        cmocka_unit_test(test_impossible_sizes),  cmocka_unit_test(test_pages),
        cmocka_unit_test(test_multiply),          cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
