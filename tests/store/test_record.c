#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/image/image.h"
#include "store/record.h"
#include "tests/store/message.h"

enum { LENGTH = 61, SIZE = AN_RECORD_HEADER_SIZE + LENGTH };

static void make(uint8_t bytes[SIZE])
{
    an_record_header header = {
        .codec = AN_CODEC_YUV420, .width = 0x1234, .height = 0x0fed, .label = 0xfedcba98, .length = LENGTH};
    for (int i = 0; i < LENGTH; i++)
        bytes[AN_RECORD_HEADER_SIZE + i] = (uint8_t)(i * 37 + 5);
    an_record_header_write(&header, bytes + AN_RECORD_HEADER_SIZE, bytes);
    assert_true(header.checksum == XXH3_64bits(bytes + AN_RECORD_HEADER_SIZE, LENGTH));
}

/* A header with one field changed and its checksum made right again. */
static int parse_changed(size_t offset, uint8_t value, size_t size)
{
    uint8_t bytes[SIZE];
    an_record record;
    make(bytes);
    bytes[offset] = value;
    an_bytes_put_u32(bytes + 28, (uint32_t)XXH3_64bits(bytes, 28));
    return an_record_parse(bytes, size, &record);
}

static void test_layout(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    make(bytes);
    const uint8_t start[] = {'A', 'N', 'R', 'C', 1, 2, 0, 0, 0x34, 0x12, 0xed, 0x0f, 0x98, 0xba, 0xdc, 0xfe};
    assert_memory_equal(bytes, start, sizeof start);
    assert_true(an_bytes_u64(bytes + 16) == XXH3_64bits(bytes + 32, LENGTH));
    assert_int_equal(an_bytes_u32(bytes + 24), LENGTH);
    assert_int_equal(an_bytes_u32(bytes + 28), (uint32_t)XXH3_64bits(bytes, 28));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    an_record record;
    make(bytes);
    assert_int_equal(an_record_parse(bytes, SIZE, &record), AN_OK);
    assert_int_equal(an_record_verify(&record), AN_OK);
    assert_int_equal(record.header.codec, AN_CODEC_YUV420);
    assert_int_equal(record.header.width, 0x1234);
    assert_int_equal(record.header.height, 0x0fed);
    assert_int_equal(record.header.label, 0xfedcba98);
    assert_int_equal(record.header.length, LENGTH);
    assert_ptr_equal(record.payload, bytes + 32);
}

static void test_every_bit(void **state)
{
    (void)state;
    uint8_t bytes[SIZE];
    make(bytes);
    for (int bit = 0; bit < SIZE * 8; bit++) {
        an_record record;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = an_record_parse(bytes, SIZE, &record);
        assert_int_equal(rc, bit < 256 ? AN_ECORRUPT : AN_OK);
        if (!rc)
            assert_int_equal(an_record_verify(&record), AN_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* Into a block of exactly that size, so that the address sanitizer sees a read beyond it. */
static void test_every_length(void **state)
{
    (void)state;
    uint8_t bytes[SIZE + 8] = {0};
    make(bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        uint8_t *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        an_record record;
        assert_int_equal(an_record_parse(copy, size, &record), size == SIZE ? AN_OK : AN_ECORRUPT);
        free(copy);
    }
}

static void test_fields(void **state)
{
    (void)state;
    assert_int_equal(parse_changed(0, 'A', SIZE), AN_OK);
    assert_int_equal(parse_changed(3, 'D', SIZE), AN_ECORRUPT);
    assert_message("magic");
    assert_int_equal(parse_changed(4, 2, SIZE), AN_EUNSUPPORTED);
    assert_message("version 2");
    assert_int_equal(parse_changed(5, 0, SIZE), AN_EUNSUPPORTED);
    assert_int_equal(parse_changed(5, 255, SIZE), AN_EUNSUPPORTED);
    assert_message("codec 255");
    assert_int_equal(parse_changed(6, 1, SIZE), AN_EUNSUPPORTED);
    assert_int_equal(parse_changed(7, 1, SIZE), AN_EUNSUPPORTED);
    assert_message("flags 0100");
    assert_int_equal(parse_changed(9, 0x40, SIZE), AN_ECORRUPT); /* 16384 + 0x34 */
    assert_message("16436x4077");
    assert_int_equal(parse_changed(11, 0x7f, SIZE), AN_ECORRUPT);
    assert_int_equal(parse_changed(24, LENGTH + 1, SIZE), AN_ECORRUPT);
    assert_int_equal(parse_changed(24, LENGTH - 1, SIZE), AN_ECORRUPT);
    assert_int_equal(parse_changed(27, 0xff, SIZE), AN_ECORRUPT);
    assert_message("payload");
}

static int parse_size(uint32_t width, uint32_t height, uint32_t length)
{
    uint8_t bytes[SIZE] = {0};
    an_record record;
    an_record_header header = {.codec = AN_CODEC_JPEG, .width = width, .height = height, .length = length};
    an_record_header_write(&header, bytes + 32, bytes);
    return an_record_parse(bytes, 32 + (size_t)length, &record);
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_size(1, 1, 1), AN_OK);
    assert_int_equal(parse_size(AN_IMAGE_SIDE_MAX, AN_IMAGE_SIDE_MAX, LENGTH), AN_OK);
    assert_int_equal(parse_size(AN_IMAGE_SIDE_MAX + 1, 1, LENGTH), AN_ECORRUPT);
    assert_int_equal(parse_size(1, AN_IMAGE_SIDE_MAX + 1, LENGTH), AN_ECORRUPT);
    assert_int_equal(parse_size(0, 1, LENGTH), AN_ECORRUPT);
    assert_int_equal(parse_size(1, 0, LENGTH), AN_ECORRUPT);
    assert_int_equal(parse_size(1, 1, 0), AN_ECORRUPT);
}

/* A header is refused for its codec's number exactly where the table has no such codec. */
static void test_codec_numbers(void **state)
{
    (void)state;
    for (unsigned number = 0; number <= UINT8_MAX; number++)
        assert_int_equal(parse_changed(5, (uint8_t)number, SIZE), an_codec_known(number) ? AN_OK : AN_EUNSUPPORTED);
}

/* Both stand in files and command lines: they stay as they are. */
static void test_codec_names(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *name;
    } fixed[] = {{1, "jpeg"}, {2, "yuv420"}, {3, "rgb"}, {4, "coef"}};
    an_codec codec;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        assert_string_equal(an_codec_name((an_codec)fixed[i].number), fixed[i].name);
        assert_int_equal(an_codec_from_name(fixed[i].name, &codec), AN_OK);
        assert_int_equal(codec, fixed[i].number);
    }
    assert_string_equal(an_codec_name((an_codec)255), "?");
    assert_int_equal(an_codec_from_name("webp", &codec), AN_EINVAL);
    assert_message("unknown codec 'webp': use jpeg, yuv420, rgb");
    assert_int_equal(an_codec_from_name("", &codec), AN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_every_length),  cmocka_unit_test(test_fields),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_codec_numbers), cmocka_unit_test(test_codec_names),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
