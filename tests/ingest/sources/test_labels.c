/* Labels that are kept apart from the images: ImageNet's validation set with its development kit, and text lists. */
#include <matio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/ingest/sources/source_support.h"

#define LIMIT ((size_t)1 << 24)

static void make_val_tar(void)
{
    fixture_tar *tar = fixture_tar_open(support_path("val.tar"));
    fixture_tar_add(tar, "ILSVRC2012_val_00000002.JPEG", "2", 1); /* labels go by the order of names, not of the tar */
    fixture_tar_add(tar, "ILSVRC2012_val_00000001.JPEG", "1", 1);
    fixture_tar_add(tar, "ILSVRC2012_val_00000003.JPEG", "3", 1);
    fixture_tar_close(tar);
}

static void expect_val(const an_source_options *options, uint32_t classes)
{
    an_source *source = support_open_source(options);
    assert_int_equal(source->classes.count, classes);
    support_expect_items(source,
                         (const char *const[]){"ILSVRC2012_val_00000001.JPEG=1", "ILSVRC2012_val_00000002.JPEG=0",
                                               "ILSVRC2012_val_00000003.JPEG=1", NULL});
    an_source_free(source);
}

static matvar_t *mat_text(const char *text)
{
    size_t dims[2] = {1, strlen(text)};
    return Mat_VarCreate(NULL, MAT_C_CHAR, MAT_T_UINT8, 2, dims, (void *)(uintptr_t)text, 0);
}

static matvar_t *mat_number(double value)
{
    size_t dims[2] = {1, 1};
    return Mat_VarCreate(NULL, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, dims, &value, 0);
}

/* Compress each variable with zlib, as MATLAB does. matio damages long field names when it compresses them itself. */
static void compress_mat(const char *path)
{
    an_buffer file = {0};
    assert_int_equal(an_file_read(path, LIMIT, &file), AN_OK);
    uLongf size = compressBound(file.size);
    uint8_t *out = malloc(128 + 8 + size);
    memcpy(out, file.data, 128);
    assert_int_equal(compress(out + 136, &size, file.data + 128, file.size - 128), Z_OK);
    memcpy(out + 128, &(uint32_t[2]){15, (uint32_t)size}, 8);
    fixture_write(path, out, 136 + size);
    free(out);
    an_buffer_free(&file);
}

/* Two classes, whose ILSVRC ids and wnids have different orders, and a synset that is no class because it has children.
 */
static void make_plain_devkit(void)
{
    static const struct {
        double id, children;
        const char *wnid, *words;
    } rows[] = {{1, 0, "n02", "second, two"}, {2, 0, "n01", "first"}, {3, 2, "n00", "parent"}};
    const char *fields[] = {"ILSVRC2012_ID", "WNID", "words", "num_children"};
    size_t dims[2] = {3, 1};
    matvar_t *array = Mat_VarCreateStruct("synsets", 2, dims, fields, 4);
    for (size_t i = 0; i < 3; i++) {
        Mat_VarSetStructFieldByName(array, "ILSVRC2012_ID", i, mat_number(rows[i].id));
        Mat_VarSetStructFieldByName(array, "WNID", i, mat_text(rows[i].wnid));
        Mat_VarSetStructFieldByName(array, "words", i, mat_text(rows[i].words));
        Mat_VarSetStructFieldByName(array, "num_children", i, mat_number(rows[i].children));
    }
    mat_t *file = Mat_CreateVer(support_path("meta.mat"), NULL, MAT_FT_MAT5);
    assert_non_null(file);
    assert_int_equal(Mat_VarWrite(file, array, MAT_COMPRESSION_NONE), 0);
    Mat_VarFree(array);
    Mat_Close(file);
}

static void make_devkit(void)
{
    make_plain_devkit();
    compress_mat(support_path("meta.mat"));
}

static void pack_devkit(const char *truth)
{
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(support_path("meta.mat"), LIMIT, &bytes), AN_OK);
    fixture_tar *tar = fixture_tar_open(support_path("devkit.tar"));
    fixture_tar_add(tar, "kit/data/meta.mat", bytes.data, bytes.size);
    fixture_tar_add(tar, "kit/data/ILSVRC2012_validation_ground_truth.txt", truth, strlen(truth));
    fixture_tar_close(tar);
    bytes.size = 0;
    assert_int_equal(an_file_read(support_path("devkit.tar"), LIMIT, &bytes), AN_OK);
    support_put_gz("devkit.tar.gz", bytes.data, bytes.size);
    an_buffer_free(&bytes);
}

/* The size of the list of field names claims more names than there are: what follows is no field. */
static void test_damaged_devkit(void **state)
{
    (void)state;
    char tar[512], kit[512];
    snprintf(tar, sizeof(tar), "%s", support_path("val.tar"));
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    make_val_tar();
    make_plain_devkit();
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(support_path("meta.mat"), LIMIT, &bytes), AN_OK);
    uint8_t *names = memmem(bytes.data, bytes.size, "ILSVRC2012_ID", 13);
    assert_non_null(names);
    memcpy(names - 4, &(uint32_t){0x10002}, 4);
    fixture_write(support_path("meta.mat"), bytes.data, bytes.size);
    an_buffer_free(&bytes);
    pack_devkit("1\n2\n1\n");
    support_refused(&(an_source_options){.path = tar, .devkit = kit}, AN_ECORRUPT, "devkit.tar.gz': meta.mat");
}

static void test_val_with_devkit(void **state)
{
    (void)state;
    char tar[512], kit[512];
    snprintf(tar, sizeof(tar), "%s", support_path("val.tar"));
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    make_val_tar();
    make_devkit();
    pack_devkit("1\n2\n1\n");
    an_source_options options = {.path = tar, .devkit = kit};
    expect_val(&options, 2);
    an_source *source = support_open_source(&options);
    assert_string_equal(source->classes.entries[0].id, "n01");
    assert_string_equal(source->classes.entries[1].name, "second, two");
    an_source_free(source);
    pack_devkit("1\n2\n3\n"); /* 3 is the synset with children */
    support_refused(&options, AN_ECORRUPT, "is no class of meta.mat");
    pack_devkit("1\n2\n");
    support_refused(&options, AN_ECORRUPT, "3 files, but there are 2 labels");
    fixture_write(kit, "nonsense", 8);
    support_refused(&options, AN_ECORRUPT, "devkit");
}

/* The validation images, packed or unpacked with the folder that they lay in. */
static void test_val_in_its_folder(void **state)
{
    (void)state;
    char kit[512];
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    make_devkit();
    pack_devkit("1\n2\n1\n");
    fixture_tar *tar = fixture_tar_open(support_path("val.tar"));
    for (int i = 3; i >= 1; i--) {
        const char *path = fixture_path(&support_files, "set/val/%d.JPEG", i);
        fixture_write(path, "x", 1);
        fixture_tar_add(tar, strstr(path, "val/"), "x", 1);
    }
    fixture_tar_close(tar);
    for (int i = 0; i < 2; i++) {
        an_source *source =
            support_open_source(&(an_source_options){.path = support_path(i ? "val.tar" : "set"), .devkit = kit});
        assert_int_equal(source->classes.count, 2);
        support_expect_items(source, (const char *const[]){"val/1.JPEG=1", "val/2.JPEG=0", "val/3.JPEG=1", NULL});
        an_source_free(source);
    }
    /* A folder that is a class of the devkit is one, even alone. */
    fixture_write(support_path("one/n02/1.JPEG"), "x", 1);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("one"), .devkit = kit});
    support_expect_items(source, (const char *const[]){"n02/1.JPEG=1", NULL});
    an_source_free(source);
    pack_devkit("1\n2x\n1\n");
    support_refused(&(an_source_options){.path = support_path("set"), .devkit = kit}, AN_ECORRUPT, "line 2: '2x'");
}

static void test_flat_folder(void **state)
{
    (void)state;
    char folder[512], labels[512], kit[512];
    snprintf(folder, sizeof(folder), "%s", support_path("val"));
    snprintf(labels, sizeof(labels), "%s", support_path("labels.txt"));
    snprintf(kit, sizeof(kit), "%s", support_path("devkit.tar.gz"));
    for (int i = 1; i <= 3; i++)
        fixture_write(fixture_path(&support_files, "val/ILSVRC2012_val_0000000%d.JPEG", i), "x", 1);
    make_devkit();
    pack_devkit("1\n2\n1\n");
    an_source_options options = {.path = folder};
    support_refused(&options, AN_ECORRUPT, "--devkit");
    options.devkit = kit;
    expect_val(&options, 2);
    options.devkit = NULL;
    options.labels = labels;
    support_put("labels.txt", "n02\nn01\nn02\n");
    expect_val(&options, 2);
    support_put("labels.txt", "1\n0\n");
    support_refused(&options, AN_ECORRUPT, "there are only 2");
    support_put("labels.txt", "1\n0\n1\n0\n");
    support_refused(&options, AN_ECORRUPT, "3 files, but there are 4 labels");
}

static void test_val_with_lists(void **state)
{
    (void)state;
    char tar[512], labels[512], synsets[512];
    snprintf(tar, sizeof(tar), "%s", support_path("val.tar"));
    snprintf(labels, sizeof(labels), "%s", support_path("labels.txt"));
    snprintf(synsets, sizeof(synsets), "%s", support_path("synsets.txt"));
    make_val_tar();
    an_source_options options = {.path = tar};
    support_refused(&options, AN_ECORRUPT, "--devkit");
    options.labels = labels;
    support_put("labels.txt", "n02\nn01\nn02\n"); /* ids in the order of names */
    expect_val(&options, 2);
    support_put("labels.txt", "ILSVRC2012_val_00000003.JPEG n02\nval/ILSVRC2012_val_00000001.JPEG n02\n"
                              "ILSVRC2012_val_00000002.JPEG\tn01\n");
    expect_val(&options, 2);
    support_put("labels.txt", "1\n0\n1\n"); /* label numbers */
    expect_val(&options, 2);
    options.synsets = synsets;
    support_put("synsets.txt", "n02\nn01\n");
    support_put("labels.txt", "1\n2\n1\n"); /* lines of the list of ids */
    expect_val(&options, 2);
    support_put("labels.txt", "1\n2\n3\n");
    support_refused(&options, AN_ECORRUPT, "line 3");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, support_set_up, support_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_val_with_devkit), CASE(test_damaged_devkit), CASE(test_val_in_its_folder),
        CASE(test_flat_folder),     CASE(test_val_with_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
