#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/train/fixture.h"
#include "train/watch/board.h"
#include "train/watch/filters.h"
#include "train/watch/hparams.h"
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

/* How many sound records a file has. */
static int records_of(const an_buffer *file)
{
    int records = 0;
    for (size_t at = 0; at < file->size; records++) {
        uint64_t length;
        uint32_t crc;
        assert_true(at + 16 <= file->size);
        memcpy(&length, file->data + at, 8);
        memcpy(&crc, file->data + at + 8, 4);
        assert_int_equal(crc, masked(file->data + at, 8));
        assert_true(at + 16 + length <= file->size);
        memcpy(&crc, file->data + at + 12 + length, 4);
        assert_int_equal(crc, masked(file->data + at + 12, length));
        at += 16 + length;
    }
    return records;
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
    assert_int_equal(records_of(&bytes), 5); /* version, start, and three values */
    an_buffer_free(&bytes);
}

/* ---- A small reader of Protobuf ---- */

typedef struct {
    const uint8_t *data;
    uint64_t size;
} message;

static uint64_t read_varint(message *m)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(m->size > 0 && shift < 64);
        uint8_t byte = *m->data++;
        m->size--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static void skip_bytes(message *m, uint64_t count)
{
    assert_true(count <= m->size);
    m->data += count;
    m->size -= count;
}

/* The field's number, and its value: bytes for lengths and fixed sizes, else a number. */
static int read_field(message *m, message *bytes, uint64_t *number)
{
    uint64_t key = read_varint(m);
    uint64_t size = (key & 7) == 1 ? 8 : 4;
    *number = 0;
    if ((key & 7) == 0) {
        *number = read_varint(m);
        return (int)(key >> 3);
    }
    if ((key & 7) == 2)
        size = read_varint(m);
    *bytes = (message){m->data, size};
    skip_bytes(m, size);
    return (int)(key >> 3);
}

/* The nth field of that number, as bytes; size 0 if there are fewer. */
static message field(message m, int wanted, int nth)
{
    while (m.size) {
        message bytes = {0};
        uint64_t number;
        if (read_field(&m, &bytes, &number) == wanted && nth-- == 0)
            return bytes;
    }
    return (message){0};
}

static uint64_t number_of(message m, int wanted)
{
    while (m.size) {
        message bytes = {0};
        uint64_t number;
        if (read_field(&m, &bytes, &number) == wanted)
            return number;
    }
    return UINT64_MAX;
}

static double double_of(message m, int wanted)
{
    double value;
    message bytes = field(m, wanted, 0);
    assert_int_equal(bytes.size, sizeof(value));
    memcpy(&value, bytes.data, sizeof(value));
    return value;
}

static bool is_text(message m, const char *text)
{
    return m.size == strlen(text) && memcmp(m.data, text, m.size) == 0;
}

/* The only value of the file's record number nth. */
static message value_of_record(const an_buffer *file, int nth)
{
    message all = {file->data, file->size};
    uint64_t length;
    for (;; nth--) {
        assert_true(all.size >= sizeof(length));
        memcpy(&length, all.data, sizeof(length));
        if (nth == 0)
            break;
        skip_bytes(&all, 16 + length);
    }
    skip_bytes(&all, 12);
    return field(field((message){all.data, length}, 5, 0), 1, 0);
}

/* The hparams plugin's data in a value of that tag; what TensorBoard asks of such a value is there. */
static message hparams_of(message value, const char *tag)
{
    assert_true(is_text(field(value, 1, 0), tag));
    assert_true(field(value, 8, 0).size > 0); /* a tensor */
    message metadata = field(value, 9, 0);
    assert_int_equal(number_of(metadata, 4), 2); /* of the class of tensors */
    assert_true(is_text(field(field(metadata, 1, 0), 1, 0), "hparams"));
    return field(field(metadata, 1, 0), 2, 0);
}

static message hparam(message start, const char *name)
{
    for (int i = 0;; i++) {
        message entry = field(start, 1, i);
        assert_true(entry.size > 0);
        if (is_text(field(entry, 1, 0), name))
            return field(entry, 2, 0);
    }
}

/* A training event's scalars; the gradient norm only where it is known. */
static void test_scalars_of_training(void **state)
{
    (void)state;
    an_tensorboard *board;
    an_buffer bytes = {0};
    const char *folder = fixture_path(&files, "scalars");
    assert_int_equal(an_tensorboard_open(&board, folder, 0), AN_OK);
    an_train_event event = {.kind = AN_EVENT_TRAIN, .step = 3, .gradient_norm = 0.75};
    assert_int_equal(an_board_event(board, &event), AN_OK);
    event.gradient_norm = -1;
    assert_int_equal(an_board_event(board, &event), AN_OK);
    an_tensorboard_close(board);
    read_only_file(folder, &bytes);
    message norm = value_of_record(&bytes, 2);
    float value;
    assert_true(is_text(field(norm, 1, 0), "training/gradient norm"));
    memcpy(&value, field(norm, 2, 0).data, sizeof(value));
    assert_true(value == 0.75f);
    assert_true(is_text(field(value_of_record(&bytes, 2 + 7), 1, 0), "training/loss"));
    assert_int_equal(records_of(&bytes), 2 + 7 + 6);
    an_buffer_free(&bytes);
}

static void test_hparams(void **state)
{
    (void)state;
    an_tensorboard *board;
    an_buffer bytes = {0};
    const char *folder = fixture_path(&files, "hparams");
    an_train_start start = {.recipe = "rate = 0.01\nseed = 1\nno-flip = true\none-column = false\nlrn = "
                                      "conv1,conv2\nrate-epochs = \n"};
    assert_int_equal(an_tensorboard_open(&board, folder, 0), AN_OK);
    assert_int_equal(an_hparams_start(board, 0, 1500000000u, &start), AN_OK);
    assert_int_equal(an_hparams_end(board, 9, 2500000000u), AN_OK);
    an_tensorboard_close(board);
    read_only_file(folder, &bytes);
    message begun = field(hparams_of(value_of_record(&bytes, 2), "_hparams_/session_start_info"), 3, 0);
    assert_true(double_of(begun, 5) == 1.5);
    assert_true(double_of(hparam(begun, "rate"), 2) == 0.01);
    assert_true(double_of(hparam(begun, "seed"), 2) == 1);
    assert_int_equal(number_of(hparam(begun, "no-flip"), 4), 1);
    assert_int_equal(number_of(hparam(begun, "one-column"), 4), 0);
    assert_true(is_text(field(hparam(begun, "lrn"), 3, 0), "conv1,conv2"));
    assert_true(is_text(field(hparam(begun, "rate-epochs"), 3, 0), ""));
    message ended = field(hparams_of(value_of_record(&bytes, 3), "_hparams_/session_end_info"), 4, 0);
    assert_int_equal(number_of(ended, 1), 1); /* success */
    assert_true(double_of(ended, 2) == 2.5);
    an_buffer_free(&bytes);
}

static bool has_tag(const an_buffer *bytes, const char *tag)
{
    return memmem(bytes->data, bytes->size, tag, strlen(tag)) != NULL;
}

/* A set alone is "validation", several have curves each. */
static void test_validation_sets(void **state)
{
    (void)state;
    an_tensorboard *board;
    an_buffer bytes = {0};
    const char *folder = fixture_path(&files, "sets");
    an_train_event event = {.kind = AN_EVENT_VALIDATION, .step = 1};
    assert_int_equal(an_tensorboard_open(&board, folder, 0), AN_OK);
    assert_int_equal(an_board_event(board, &event), AN_OK);
    event.set = "b/v\xe9";
    assert_int_equal(an_board_event(board, &event), AN_OK);
    event.k = 3;
    assert_int_equal(an_board_event(board, &event), AN_OK);
    event.kind = AN_EVENT_TRAIN;
    assert_int_equal(an_board_event(board, &event), AN_OK);
    an_tensorboard_close(board);
    read_only_file(folder, &bytes);
    assert_true(has_tag(&bytes, "validation/b/v\\xe9/top-3") && has_tag(&bytes, "training/top-3"));
    const char *const tags[] = {"loss", "top-1", "top-5"};
    for (int i = 0; i < 3; i++) {
        char one[64], two[64];
        snprintf(one, sizeof(one), "validation/%s", tags[i]);
        snprintf(two, sizeof(two), "validation/b/v\\xe9/%s", tags[i]);
        assert_true(has_tag(&bytes, one) && has_tag(&bytes, two));
    }
    an_buffer_free(&bytes);
}

static const uint8_t *pixel(const an_filter_sheet *sheet, uint32_t x, uint32_t y)
{
    return sheet->rgb + 3 * ((size_t)y * sheet->width + x);
}

/* Thirteen filters of 11 px: one is alone in the second row. Each is scaled for itself and enlarged eightfold. */
static void test_filters_are_enlarged(void **state)
{
    (void)state;
    enum { FILTERS = 13, SIDE = 11, SIZE = 3 * SIDE * SIDE, TILE = 8 * SIDE + 4 };
    static float weights[FILTERS * SIZE];
    an_filter_sheet sheet;
    weights[0] = 0.001f;                              /* red of the first pixel of the first filter: its largest */
    weights[SIZE + SIDE * SIDE + SIDE + 2] = -4;      /* green of the second one at (2, 1) */
    weights[12 * SIZE + 3 * SIDE * SIDE - 1] = 1e-6f; /* blue of the last one's last pixel */
    assert_int_equal(an_filter_sheet_draw(&sheet, weights, FILTERS, SIDE), AN_OK);
    assert_int_equal(sheet.width, 12 * TILE + 4);
    assert_int_equal(sheet.height, 2 * TILE + 4);
    const uint8_t white[] = {255, 255, 255}, grey[] = {128, 128, 128}, red[] = {255, 128, 128},
                  no_green[] = {128, 0, 128}, blue[] = {128, 128, 255};
    assert_memory_equal(pixel(&sheet, 3, 4), white, 3);
    assert_memory_equal(pixel(&sheet, 4, 4), red, 3);
    assert_memory_equal(pixel(&sheet, 11, 11), red, 3);
    assert_memory_equal(pixel(&sheet, 12, 11), grey, 3);
    assert_memory_equal(pixel(&sheet, TILE + 4 + 2 * 8, 4 + 8), no_green, 3);
    assert_memory_equal(pixel(&sheet, TILE + 4 + 2 * 8 - 1, 4 + 8), grey, 3);
    assert_memory_equal(pixel(&sheet, TILE - 1, 2 * TILE - 1), blue, 3);
    assert_memory_equal(pixel(&sheet, TILE + 4, TILE + 4), white, 3); /* where there is no filter */
    free(sheet.rgb);
    weights[5 * SIZE] = NAN;
    assert_int_equal(an_filter_sheet_draw(&sheet, weights, FILTERS, SIDE), AN_END);
    assert_null(sheet.rgb);
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
        cmocka_unit_test(test_scalars_of_training),
        cmocka_unit_test(test_hparams),
        cmocka_unit_test(test_validation_sets),
        cmocka_unit_test(test_filters_are_enlarged),
        cmocka_unit_test(test_unwritable_folder),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
