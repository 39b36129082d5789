#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/watch/tensorboard.h"

static fixture files;

static int open_folder(void **state)
{
    (void)state;
    fixture_open(&files);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    fixture_close(&files);
    return 0;
}

/* RFC 3720, appendix B.4. */
static void test_crc32c(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(an_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(an_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(an_crc32c(bytes, 32), 0x62a8ab43);
    assert_int_equal(an_crc32c("", 0), 0);
}

static void read_only_file(const char *folder, an_buffer *out)
{
    char path[1024] = "";
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        if (strncmp(entry->d_name, "events.out.tfevents.", 20) == 0)
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    closedir(list);
    fixture_read(path, out);
}

static uint32_t masked(const void *data, size_t size)
{
    uint32_t crc = an_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void test_records(void **state)
{
    (void)state;
    an_tensorboard *board;
    an_buffer bytes = {0};
    const char *folder = fixture_path(&files, "board");
    const uint8_t pixels[2 * 3 * 3] = {0};
    const float values[] = {-1, 0, 0.5f, INFINITY, 2, NAN};
    assert_int_equal(an_tensorboard_open(&board, folder, 5), AN_OK);
    assert_int_equal(an_tensorboard_scalar(board, 6, "a", 0.5), AN_OK);
    assert_int_equal(an_tensorboard_image(board, 6, "b", pixels, 3, 2), AN_OK);
    assert_int_equal(an_tensorboard_histogram(board, 6, "c", values, 6), AN_OK);
    assert_int_equal(an_tensorboard_histogram(board, 6, "nothing finite", values + 5, 1), AN_OK);
    an_tensorboard_close(board);
    read_only_file(folder, &bytes);
    int records = 0;
    for (size_t at = 0; at < bytes.size; records++) {
        uint64_t length;
        uint32_t crc;
        assert_true(at + 16 <= bytes.size);
        memcpy(&length, bytes.data + at, 8);
        memcpy(&crc, bytes.data + at + 8, 4);
        assert_int_equal(crc, masked(bytes.data + at, 8));
        assert_true(at + 16 + length <= bytes.size);
        memcpy(&crc, bytes.data + at + 12 + length, 4);
        assert_int_equal(crc, masked(bytes.data + at + 12, length));
        at += 16 + length;
    }
    assert_int_equal(records, 5); /* version, start, and three values */
    an_buffer_free(&bytes);
}

static void test_unwritable_folder(void **state)
{
    (void)state;
    an_tensorboard *board;
    const char *path = fixture_path(&files, "file");
    fixture_write(path, "x", 1);
    assert_int_equal(an_tensorboard_open(&board, path, 0), AN_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_unwritable_folder),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
