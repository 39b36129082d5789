/* Devkits that no MATLAB would write: each is refused with a message that says what is wrong, and nothing is printed.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/labels/matlab_private.h"
#include "ingest/sources/labels/synsets_private.h"
#include "tests/ingest/mat.h"
#include "tests/ingest/sources/source_support.h"
#include "tests/store/message.h"

enum { COUNT = 3, MADE_MAX = 16 };

static an_buffer made[MADE_MAX]; /* elements, for as long as a test */
static size_t used;

static int start(void **state)
{
    (void)state;
    used = 0;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (size_t i = 0; i < used; i++)
        an_buffer_free(&made[i]);
    memset(made, 0, sizeof(made));
    return 0;
}

static an_buffer *fresh(void)
{
    assert_true(used < MADE_MAX);
    return &made[used++];
}

static const an_buffer *number(double value)
{
    an_buffer *out = fresh();
    mat_number(out, value);
    return out;
}

static const an_buffer *text(const char *value)
{
    an_buffer *out = fresh();
    mat_text(out, value);
    return out;
}

/* An array of any kind with one value of `type`. */
static const an_buffer *array(uint32_t flags, uint32_t rows, uint32_t columns, uint32_t type, const void *data,
                              size_t size)
{
    an_buffer *out = fresh(), *body = fresh();
    if (data)
        mat_element(body, type, data, size);
    mat_array(out, flags, rows, columns, body);
    return out;
}

static const an_buffer *nothing(void)
{
    an_buffer *out = fresh();
    mat_element(out, 14, "", 0);
    return out;
}

static void check_refused(const an_buffer *file, int code, const char *part)
{
    an_synsets list;
    assert_int_equal(an_synsets_read(&list, file), code);
    assert_message("meta.mat");
    assert_message(part);
    assert_null(list.entries);
}

/* The second of three synsets has this. */
static void refused(mat_synset bad, const char *part)
{
    const mat_synset synsets[COUNT] = {{0}, bad, {0}};
    an_buffer file = {0}, packed = {0};
    mat_file(&file, synsets, COUNT, COUNT);
    check_refused(&file, AN_ECORRUPT, part);
    mat_compress(&packed, &file);
    check_refused(&packed, AN_ECORRUPT, part);
    an_buffer_free(&file);
    an_buffer_free(&packed);
}

/* What the others are variations of; a synset with children is no class. */
static void test_sound(void **state)
{
    (void)state;
    const int16_t small = 7;
    const mat_synset synsets[COUNT] = {{0}, {.children = number(2)}, {.id = array(6, 1, 1, 3, &small, 2)}};
    an_buffer file = {0};
    an_synsets list;
    mat_file(&file, synsets, COUNT, COUNT);
    assert_int_equal(an_synsets_read(&list, &file), AN_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(an_synsets_find(&list, 7)->wnid, "n01");
    assert_string_equal(an_synsets_find(&list, 1)->wnid, "n03");
    assert_string_equal(an_synsets_find(&list, 1)->words, "words");
    assert_null(an_synsets_find(&list, 2));
    assert_null(an_synsets_find(&list, 0));
    assert_null(an_synsets_find(&list, UINT64_MAX));
    an_synsets_free(&list);
    an_buffer_free(&file);
}

static void test_numbers(void **state)
{
    (void)state;
    static const double impossible[] = {NAN, INFINITY, -1, 1.5, 0, 1000001, 4294967297.0, 1e300, -INFINITY};
    for (size_t i = 0; i < sizeof(impossible) / sizeof(*impossible); i++)
        refused((mat_synset){.id = number(impossible[i])}, "ILSVRC2012_ID of synset 2 is no whole number");
    refused((mat_synset){.children = number(NAN)}, "num_children of synset 2");
    refused((mat_synset){.children = number(0.5)}, "num_children of synset 2");
    refused((mat_synset){.children = number(-1)}, "num_children of synset 2");
    refused((mat_synset){.id = number(3)}, "two classes have ILSVRC2012_ID 3");
}

static void test_other_kinds(void **state)
{
    (void)state;
    enum { CELL = 1, TEXT = 4, SPARSE = 5, COMPLEX = 6 | 8 << 8, PLAIN = 6 };
    const double two[2] = {2, 2};
    const char *id = "ILSVRC2012_ID of synset 2", *wnid = "WNID or words of synset 2";
    refused((mat_synset){.id = array(CELL, 1, 1, 9, two, 8)}, id);
    refused((mat_synset){.id = array(SPARSE, 1, 1, 9, two, 8)}, id);
    refused((mat_synset){.id = array(COMPLEX, 1, 1, 9, two, 8)}, id);
    refused((mat_synset){.id = array(PLAIN, 1, 2, 9, two, 16)}, id);
    refused((mat_synset){.id = array(PLAIN, 1, 1, 9, two, 4)}, id);
    refused((mat_synset){.id = array(PLAIN, 1, 1, 9, NULL, 0)}, id);
    refused((mat_synset){.id = nothing()}, id);
    finish(NULL);
    start(NULL);
    refused((mat_synset){.wnid = number(5)}, wnid);
    refused((mat_synset){.wnid = array(CELL, 1, 1, 2, "ab", 2)}, wnid);
    refused((mat_synset){.wnid = array(TEXT, 2, 1, 2, "ab", 2)}, wnid);
    refused((mat_synset){.wnid = array(TEXT, 1, 3, 2, "a\0b", 3)}, wnid);
    refused((mat_synset){.wnid = text("")}, wnid);
    refused((mat_synset){.words = nothing()}, wnid);
}

static void test_dimensions(void **state)
{
    (void)state;
    const mat_synset synsets[COUNT] = {{0}};
    static const uint32_t rows[] = {4, 1000, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        an_buffer file = {0};
        mat_file(&file, synsets, COUNT, rows[i]);
        check_refused(&file, AN_ECORRUPT, i < 1 ? "cut short" : i < 3 ? "more elements than data" : "impossible dim");
        an_buffer_free(&file);
    }
    an_buffer file = {0};
    mat_file(&file, synsets, 0, 5); /* a struct array without data */
    check_refused(&file, AN_ECORRUPT, "more elements than data");
    an_buffer_free(&file);
}

/* Cut at any place, and with any bit flipped: the answer does not matter, but a sanitizer sees what is read beyond. */
static void test_damage(void **state)
{
    (void)state;
    const mat_synset synsets[COUNT] = {{0}};
    an_buffer file = {0};
    an_synsets list;
    mat_file(&file, synsets, COUNT, COUNT);
    for (size_t size = 0; size < file.size; size++) {
        an_buffer copy = {0};
        assert_int_equal(an_buffer_append(&copy, file.data, size), AN_OK);
        assert_int_equal(an_synsets_read(&list, &copy), AN_ECORRUPT);
        an_buffer_free(&copy);
    }
    for (size_t bit = 0; bit < 8 * file.size; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = an_synsets_read(&list, &file);
        assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
        an_synsets_free(&list);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    an_buffer_free(&file);
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *end, *message;
        int code;
    } kinds[] = {{"\0\2IM", "7.3 (HDF5): save it with '-v7'", AN_EUNSUPPORTED},
                 {"\1\0MI", "byte order", AN_EUNSUPPORTED},
                 {"\0\3IM", "unknown version 0x0300", AN_ECORRUPT},
                 {"\0\1XY", "no MATLAB file", AN_ECORRUPT}};
    const mat_synset synsets[COUNT] = {{0}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        an_buffer file = {0};
        mat_file(&file, synsets, COUNT, COUNT);
        memcpy(file.data + 124, kinds[i].end, 4);
        check_refused(&file, kinds[i].code, kinds[i].message);
        an_buffer_free(&file);
    }
}

/* Zeros that take a thousandth of their size. */
static void test_bomb(void **state)
{
    (void)state;
    an_buffer file = {0}, packed = {0};
    assert_int_equal(an_buffer_reserve(&file, AN_MATLAB_UNPACKED_MAX + 4096), AN_OK);
    mat_file(&file, (mat_synset[COUNT]){{0}}, COUNT, COUNT);
    memset(file.data + 128, 0, AN_MATLAB_UNPACKED_MAX + 1);
    file.size = 128 + AN_MATLAB_UNPACKED_MAX + 1;
    mat_compress(&packed, &file);
    an_buffer_free(&file);
    assert_true(packed.size < 200000);
    check_refused(&packed, AN_EUNSUPPORTED, "unpacks to more than 64 MB");
    an_buffer_free(&packed);
}

/* A version 7.3 file as --devkit: nothing but the message. */
static void test_prints_nothing(void **state)
{
    (void)state;
    char kit[512];
    an_buffer file = {0};
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    mat_file(&file, (mat_synset[COUNT]){{0}}, COUNT, COUNT);
    memcpy(file.data + 124, "\0\2IM", 4);
    fixture_tar *tar = fixture_tar_open(support_path("devkit.tar"));
    fixture_tar_add(tar, "kit/data/meta.mat", file.data, file.size);
    fixture_tar_add(tar, "kit/data/ILSVRC2012_validation_ground_truth.txt", "1\n", 2);
    fixture_tar_close(tar);
    support_put("images/1.JPEG", "x");
    file.size = 0;
    assert_int_equal(an_file_read(support_path("devkit.tar"), 1 << 20, &file), AN_OK);
    support_put_gz("devkit.tar.gz", file.data, file.size);
    an_buffer_free(&file);
    int saved = dup(2), to = open(support_path("printed"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && to >= 0);
    assert_int_equal(dup2(to, 2), 2);
    an_source *source;
    int rc = an_source_open(&source, &(an_source_options){.path = support_path("images"), .devkit = kit});
    assert_int_equal(dup2(saved, 2), 2);
    assert_int_equal(rc, AN_EUNSUPPORTED);
    assert_message("devkit.tar.gz': meta.mat: it is a MATLAB file of version 7.3");
    assert_int_equal(lseek(to, 0, SEEK_END), 0);
    close(saved);
    close(to);
}

/* A member that is passed over, and would take long to unpack: it is refused by its header. */
static void test_huge_member(void **state)
{
    (void)state;
    uint8_t header[512] = "kit/data/huge"; /* name; 100 mode; 124 size; 148 checksum; 156 kind */
    unsigned sum = 0;
    memcpy(header + 100, "0000644", 7);
    memcpy(header + 124, "20000000000", 11); /* 2 GB */
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
    support_put_gz("devkit.tar.gz", header, sizeof(header));
    support_put("images/1.JPEG", "x");
    char kit[512];
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    support_refused(&(an_source_options){.path = support_path("images"), .devkit = kit}, AN_EUNSUPPORTED,
                    "unpacks to more than 1024 MB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, start, finish),
        cmocka_unit_test_setup_teardown(test_numbers, start, finish),
        cmocka_unit_test_setup_teardown(test_other_kinds, start, finish),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test_setup_teardown(test_huge_member, support_set_up, support_tear_down),
        cmocka_unit_test_setup_teardown(test_prints_nothing, support_set_up, support_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
