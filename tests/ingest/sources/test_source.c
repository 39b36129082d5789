/* Every kind of source, from small imitations: what is listed, in which order, with which labels, and what is refused.
 */
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
#include "ingest/sources/source_private.h"
#include "tests/ingest/fixture.h"

#define LIMIT ((size_t)1 << 24)

static fixture f;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static an_source *open_ok(const an_source_options *options)
{
    an_source *source = NULL;
    int rc = an_source_open(&source, options);
    if (rc)
        fail_msg("cannot open: %s", an_error_message());
    return source;
}

static void refused(const an_source_options *options, int code, const char *text)
{
    an_source *source = NULL;
    assert_int_equal(an_source_open(&source, options), code);
    if (!strstr(an_error_message(), text))
        fail_msg("'%s' is not in '%s'", text, an_error_message());
}

/* The source's next items must be these "name=label" pairs, and no more. */
static void expect_items(an_source *source, const char *const *expected)
{
    an_item item = {0};
    for (; *expected; expected++) {
        char text[512];
        assert_int_equal(an_source_next(source, &item), AN_OK);
        snprintf(text, sizeof(text), "%s=%u", (const char *)item.name.data, item.label);
        assert_string_equal(text, *expected);
    }
    assert_int_equal(an_source_next(source, &item), AN_END);
    an_item_free(&item);
}

static void put(const char *name, const char *content)
{
    fixture_write(fixture_path(&f, "%s", name), content, strlen(content));
}

static const char *path_of(const char *name)
{
    return fixture_path(&f, "%s", name);
}

static void make_folders(void)
{
    put("set/dog/b.jpg", "B");
    put("set/dog/a.jpg", "AA");
    put("set/cat/deep/er/c.jpg", "C");
    put("set/.hidden/d.jpg", "D");
    put("set/dog/.DS_Store", "x");
    put("set/classes.tsv", "dog\tDog\n");
}

static void test_folder(void **state)
{
    (void)state;
    make_folders();
    an_source *source = open_ok(&(an_source_options){.path = path_of("set")});
    assert_string_equal(source->kind, "folder");
    assert_int_equal(source->items, 3);
    assert_int_equal(source->bytes, 4);
    assert_int_equal(source->classes.count, 2);
    assert_string_equal(source->classes.entries[0].id, "cat");
    expect_items(source, (const char *const[]){"cat/deep/er/c.jpg=0", "dog/a.jpg=1", "dog/b.jpg=1", NULL});
    an_source_free(source);
}

static void test_folder_loads_bytes(void **state)
{
    (void)state;
    make_folders();
    an_item item = {0};
    an_buffer bytes = {0};
    an_source *source = open_ok(&(an_source_options){.path = path_of("set")});
    assert_int_equal(an_source_skip(source, 1), AN_OK);
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_OK);
    assert_int_equal(bytes.size, 2);
    assert_memory_equal(bytes.data, "AA", 2);
    assert_int_equal(an_item_load(&item, 1, &bytes), AN_ECORRUPT); /* over the limit */
    unlink(path_of("set/dog/a.jpg"));
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_ENOTFOUND);
    assert_int_equal(an_source_skip(source, 2), AN_ECORRUPT);
    an_item_free(&item);
    an_buffer_free(&bytes);
    an_source_free(source);
}

static void test_identity_follows_contents_not_place(void **state)
{
    (void)state;
    make_folders();
    an_source *first = open_ok(&(an_source_options){.path = path_of("set")});
    assert_int_equal(rename(path_of("set"), path_of("moved")), 0);
    an_source *moved = open_ok(&(an_source_options){.path = path_of("moved")});
    assert_int_equal(first->identity, moved->identity);
    put("moved/dog/a.jpg", "changed");
    an_source *changed = open_ok(&(an_source_options){.path = path_of("moved")});
    assert_int_not_equal(first->identity, changed->identity);
    an_source *shuffled = open_ok(&(an_source_options){.path = path_of("moved"), .shuffle = true, .seed = 5});
    assert_int_equal(changed->identity, shuffled->identity);
    an_source_free(first);
    an_source_free(moved);
    an_source_free(changed);
    an_source_free(shuffled);
}

static void read_names(uint64_t seed, char *out)
{
    an_item item = {0};
    an_source *source = open_ok(&(an_source_options){.path = path_of("many"), .shuffle = true, .seed = seed});
    *out = 0;
    while (an_source_next(source, &item) == AN_OK)
        strcat(out, strrchr((const char *)item.name.data, '/'));
    an_item_free(&item);
    an_source_free(source);
}

static void test_shuffle_is_a_function_of_the_seed(void **state)
{
    (void)state;
    char one[512], again[512], other[512];
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many/c/%02d", i);
        put(name, "x");
    }
    read_names(1, one);
    read_names(1, again);
    read_names(2, other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), 40 * 3);
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "/%02d", i);
        assert_non_null(strstr(one, name));
    }
}

static void test_too_many_to_shuffle(void **state)
{
    (void)state;
    assert_int_equal(an_source_check_shuffle(UINT32_MAX), AN_OK);
    assert_int_equal(an_source_check_shuffle((uint64_t)UINT32_MAX + 1), AN_EUNSUPPORTED);
}

static void test_given_classes(void **state)
{
    (void)state;
    make_folders();
    an_classes given = {0};
    assert_int_equal(an_classes_add(&given, "dog", NULL), AN_OK);
    an_source_options options = {.path = path_of("set"), .classes = &given};
    refused(&options, AN_EINVAL, "class 'cat' is not among the 1 given classes");
    assert_int_equal(an_classes_add(&given, "horse", NULL), AN_OK);
    assert_int_equal(an_classes_add(&given, "cat", NULL), AN_OK);
    an_source *source = open_ok(&options);
    expect_items(source, (const char *const[]){"cat/deep/er/c.jpg=2", "dog/a.jpg=0", "dog/b.jpg=0", NULL});
    an_source_free(source);
    an_classes_free(&given);
}

static void test_folder_refusals(void **state)
{
    (void)state;
    refused(&(an_source_options){.path = path_of("absent")}, AN_ENOTFOUND, "absent");
    put("flat/a.jpg", "x");
    refused(&(an_source_options){.path = path_of("flat")}, AN_ECORRUPT, "no class folders in");
    assert_int_equal(an_file_make_folder(path_of("hollow/class")), AN_OK);
    refused(&(an_source_options){.path = path_of("hollow")}, AN_ECORRUPT, "no images in");
    assert_int_equal(symlink("..", path_of("hollow/class/loop")), 0);
    refused(&(an_source_options){.path = path_of("hollow")}, AN_EUNSUPPORTED, "nested too deeply");
    refused(&(an_source_options){.path = path_of("flat/a.jpg")}, AN_EUNSUPPORTED, "is no source of images");
    refused(&(an_source_options){.path = path_of("flat"), .kind = "zip"}, AN_EINVAL, "no such kind");
}

/* --- IDX ------------------------------------------------------------------------------------------------------- */

static void write_gz(const char *name, const void *data, size_t size)
{
    gzFile file = gzopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)size), (int)size);
    assert_int_equal(gzclose(file), Z_OK);
}

static const uint8_t idx_images[16 + 3 * 6] = {0, 0, 8, 3, 0,  0,  0,  3,  0,  0,  0, 2,
                                               0, 0, 0, 3, 10, 11, 12, 13, 14, 15, 20};
static const uint8_t idx_labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 0, 2};

/* Whatever lists the kinds walks the table: each row must be fit for that, and be named when nothing matches. */
static void test_kinds(void **state)
{
    (void)state;
    put("noise", "\1\2\3");
    refused(&(an_source_options){.path = path_of("noise")}, AN_EUNSUPPORTED, "is no source of images");
    char message[AN_ERROR_MAX];
    strcpy(message, an_error_message());
    for (size_t i = 0; i < an_source_kind_count(); i++) {
        const char *name = an_source_kind_name(i), *description = an_source_kind_description(i);
        assert_non_null(strstr(message, name));
        assert_null(strchr(description, '\n'));
        assert_in_range(strlen(description), 10, 79 - 13); /* fits a line of --help */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, an_source_kind_name(j));
    }
    refused(&(an_source_options){.path = path_of("noise"), .kind = "stream"}, AN_EINVAL, "given as '-'");
}

static void test_idx(void **state)
{
    (void)state;
    for (int packed = 0; packed < 4; packed++) {
        const char *name = packed & 1 ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte";
        const char *labels = packed & 2 ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte";
        fixture_write(path_of("idx/x"), "", 0);
        if (packed & 1)
            write_gz("idx/train-images-idx3-ubyte.gz", idx_images, sizeof(idx_images));
        else
            fixture_write(path_of("idx/train-images-idx3-ubyte"), idx_images, sizeof(idx_images));
        if (packed & 2)
            write_gz("idx/train-labels-idx1-ubyte.gz", idx_labels, sizeof(idx_labels));
        else
            fixture_write(path_of("idx/train-labels-idx1-ubyte"), idx_labels, sizeof(idx_labels));
        an_item item = {0};
        an_buffer bytes = {0};
        an_source *source = open_ok(&(an_source_options){.path = fixture_path(&f, "idx/%s", name)});
        assert_int_equal(source->items, 3);
        assert_int_equal(source->classes.count, 5);
        assert_int_equal(an_source_next(source, &item), AN_OK);
        assert_int_equal(item.label, 4);
        assert_int_equal(item.kind, AN_ITEM_GREY);
        assert_int_equal(item.width, 3);
        assert_int_equal(item.height, 2);
        assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_OK);
        assert_int_equal(bytes.size, 6);
        assert_memory_equal(bytes.data, idx_images + 16, 6);
        an_item_free(&item);
        an_buffer_free(&bytes);
        an_source_free(source);
        assert_int_equal(unlink(fixture_path(&f, "idx/%s", name)), 0);
        assert_int_equal(unlink(fixture_path(&f, "idx/%s", labels)), 0);
    }
}

static void test_idx_refusals(void **state)
{
    (void)state;
    an_source_options options = {.path = path_of("i/a-images-idx3-ubyte")};
    char path[512];
    snprintf(path, sizeof(path), "%s", options.path);
    options.path = path;
    fixture_write(path, idx_images, sizeof(idx_images));
    refused(&options, AN_ENOTFOUND, "--labels");
    fixture_write(path_of("i/a-labels-idx1-ubyte"), idx_labels, sizeof(idx_labels) - 1);
    refused(&options, AN_ECORRUPT, "promises 3 bytes");
    fixture_write(path_of("i/a-labels-idx1-ubyte"), idx_images, sizeof(idx_images));
    refused(&options, AN_ECORRUPT, "1 dimension");
    fixture_write(path_of("i/a-labels-idx1-ubyte"), "\0\0\x8\1\0\0\0\2\1\1", 10);
    refused(&options, AN_ECORRUPT, "has 3 images but");
    fixture_write(path, idx_images, sizeof(idx_images) - 1);
    refused(&options, AN_ECORRUPT, "promises 18 bytes");
    fixture_write(path, idx_images, 9);
    refused(&options, AN_ECORRUPT, "cut short");
    fixture_write(path, "\0\0\x8\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    refused(&options, AN_ECORRUPT, "impossibly large");
}

/* --- CIFAR-10 and lists ---------------------------------------------------------------------------------------- */

static void test_cifar(void **state)
{
    (void)state;
    static uint8_t records[2 * 3073];
    records[0] = 7;
    records[1] = 99;
    records[3073] = 3;
    fixture_write(path_of("cifar/data_batch_1.bin"), records, sizeof(records));
    fixture_write(path_of("cifar/data_batch_2.bin"), records, 3073);
    fixture_write(path_of("cifar/test_batch.bin"), records, 3073);
    an_source *source = open_ok(&(an_source_options){.path = path_of("cifar")});
    assert_string_equal(source->kind, "cifar10");
    assert_int_equal(source->classes.count, 8);
    expect_items(source,
                 (const char *const[]){"data_batch_1.bin/0=7", "data_batch_1.bin/1=3", "data_batch_2.bin/0=7", NULL});
    an_source_free(source);
    source = open_ok(&(an_source_options){.path = path_of("cifar/test_batch.bin")});
    an_item item = {0};
    an_buffer bytes = {0};
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_int_equal(item.kind, AN_ITEM_PLANAR);
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_OK);
    assert_int_equal(bytes.size, 3072);
    assert_int_equal(bytes.data[0], 99);
    an_item_free(&item);
    an_buffer_free(&bytes);
    an_source_free(source);
    fixture_write(path_of("cifar/data_batch_2.bin"), records, 3000);
    refused(&(an_source_options){.path = path_of("cifar")}, AN_ECORRUPT, "data_batch_2.bin");
}

static void test_list(void **state)
{
    (void)state;
    put("l/img/a b.jpg", "A");
    put("l/list.txt", "# comment\nimg/a b.jpg\tdog\n\n/abs/none.jpg cat\n");
    an_source *source = open_ok(&(an_source_options){.path = path_of("l/list.txt")});
    assert_string_equal(source->kind, "list");
    expect_items(source, (const char *const[]){"img/a b.jpg=1", "/abs/none.jpg=0", NULL});
    an_source_free(source);
    put("l/numbers.txt", "img/a b.jpg 12\nb.jpg 3\n");
    source = open_ok(&(an_source_options){.path = path_of("l/numbers.txt")});
    assert_int_equal(source->classes.count, 13);
    expect_items(source, (const char *const[]){"img/a b.jpg=12", "b.jpg=3", NULL});
    an_source_free(source);
    put("l/list.txt", "lonely.jpg\n");
    refused(&(an_source_options){.path = path_of("l/list.txt")}, AN_EINVAL, "line 1");
}

/* --- tars ------------------------------------------------------------------------------------------------------ */

static void test_tar_of_tars(void **state)
{
    (void)state;
    an_buffer inner = {0};
    fixture_tar *outer = fixture_tar_open(path_of("train.tar"));
    for (int c = 2; c >= 1; c--) {
        fixture_tar *tar = fixture_tar_open(path_of("inner"));
        for (int i = 0; i < 2; i++) {
            char name[32];
            snprintf(name, sizeof(name), "n0%d_%d.JPEG", c, i);
            fixture_tar_add(tar, name, name, strlen(name));
        }
        fixture_tar_close(tar);
        inner.size = 0;
        assert_int_equal(an_file_read(path_of("inner"), LIMIT, &inner), AN_OK);
        fixture_tar_add(outer, c == 2 ? "n02.tar" : "n01.tar", inner.data, inner.size);
    }
    fixture_tar_close(outer);
    an_source *source = open_ok(&(an_source_options){.path = path_of("train.tar")});
    assert_string_equal(source->kind, "tar");
    expect_items(source, (const char *const[]){"n02/n02_0.JPEG=1", "n02/n02_1.JPEG=1", "n01/n01_0.JPEG=0",
                                               "n01/n01_1.JPEG=0", NULL});
    an_source_free(source);
    source = open_ok(&(an_source_options){.path = path_of("train.tar"), .shuffle = true, .seed = 3});
    an_item item = {0};
    for (int i = 0; i < 4; i++) { /* every name is its file's content */
        assert_int_equal(an_source_next(source, &item), AN_OK);
        assert_int_equal(an_item_load(&item, LIMIT, &inner), AN_OK);
        assert_int_equal(inner.size, strlen("n01_0.JPEG"));
        assert_memory_equal(inner.data, strrchr((const char *)item.name.data, '/') + 1, inner.size);
    }
    an_item_free(&item);
    an_buffer_free(&inner);
    an_source_free(source);
    assert_int_equal(truncate(path_of("train.tar"), 3000), 0);
    refused(&(an_source_options){.path = path_of("train.tar")}, AN_ECORRUPT, "train.tar");
}

static void test_tar_of_folders(void **state)
{
    (void)state;
    fixture_tar *tar = fixture_tar_open(path_of("folders.tar"));
    fixture_tar_add(tar, "./set/dog/1.jpg", "x", 1);
    fixture_tar_add(tar, "./set/dog/._1.jpg", "x", 1);
    fixture_tar_add(tar, "./set/cat/2.jpg", "xy", 2);
    fixture_tar_close(tar);
    an_source *source = open_ok(&(an_source_options){.path = path_of("folders.tar")});
    expect_items(source, (const char *const[]){"set/dog/1.jpg=1", "set/cat/2.jpg=0", NULL});
    an_source_free(source);
}

static void test_folder_of_class_tars(void **state)
{
    (void)state;
    for (int c = 0; c < 2; c++) {
        fixture_write(path_of("tars/x"), "", 0);
        fixture_tar *tar = fixture_tar_open(fixture_path(&f, "tars/n%d.tar", c));
        fixture_tar_add(tar, "a.jpg", "x", 1);
        fixture_tar_close(tar);
    }
    an_source *source = open_ok(&(an_source_options){.path = path_of("tars")});
    expect_items(source, (const char *const[]){"n0/a.jpg=0", "n1/a.jpg=1", NULL});
    an_source_free(source);
}

static void test_webdataset(void **state)
{
    (void)state;
    fixture_write(path_of("web/x"), "", 0);
    for (int shard = 0; shard < 2; shard++) {
        fixture_tar *tar = fixture_tar_open(fixture_path(&f, "web/shard-%d.tar", shard));
        fixture_tar_add(tar, "k1.jpg", "image", 5);
        fixture_tar_add(tar, "k1.cls", shard ? "2\n" : "0", shard ? 2 : 1);
        fixture_tar_add(tar, "k1.json", "{}", 2);
        fixture_tar_add(tar, "k2.cls", "1", 1);
        fixture_tar_add(tar, "k2.PNG", "image", 5);
        fixture_tar_close(tar);
    }
    an_source *source = open_ok(&(an_source_options){.path = path_of("web")});
    assert_int_equal(source->classes.count, 3);
    expect_items(source, (const char *const[]){"shard-0/k1.jpg=0", "shard-0/k2.PNG=1", "shard-1/k1.jpg=2",
                                               "shard-1/k2.PNG=1", NULL});
    an_source_free(source);
    fixture_tar *tar = fixture_tar_open(path_of("web/shard-2.tar"));
    fixture_tar_add(tar, "k3.jpg", "image", 5);
    fixture_tar_close(tar);
    refused(&(an_source_options){.path = path_of("web")}, AN_ECORRUPT, "no .cls beside");
}

/* --- ImageNet's validation set --------------------------------------------------------------------------------- */

static void make_val_tar(void)
{
    fixture_tar *tar = fixture_tar_open(path_of("val.tar"));
    fixture_tar_add(tar, "ILSVRC2012_val_00000002.JPEG", "2", 1); /* the order of names counts, not of the tar */
    fixture_tar_add(tar, "ILSVRC2012_val_00000001.JPEG", "1", 1);
    fixture_tar_add(tar, "ILSVRC2012_val_00000003.JPEG", "3", 1);
    fixture_tar_close(tar);
}

static void expect_val(const an_source_options *options, uint32_t classes)
{
    an_source *source = open_ok(options);
    assert_int_equal(source->classes.count, classes);
    expect_items(source, (const char *const[]){"ILSVRC2012_val_00000001.JPEG=1", "ILSVRC2012_val_00000002.JPEG=0",
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

/* MATLAB packs each variable with zlib; the library's own packing of long field names is damaged, so it is done here.
 */
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

/* Two classes, whose ILSVRC ids are not in the order of their wnids, and an inner node that is no class. */
static void make_devkit(void)
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
    mat_t *file = Mat_CreateVer(path_of("meta.mat"), NULL, MAT_FT_MAT5);
    assert_non_null(file);
    assert_int_equal(Mat_VarWrite(file, array, MAT_COMPRESSION_NONE), 0);
    Mat_VarFree(array);
    Mat_Close(file);
    compress_mat(path_of("meta.mat"));
}

static void pack_devkit(const char *truth)
{
    an_buffer bytes = {0};
    assert_int_equal(an_file_read(path_of("meta.mat"), LIMIT, &bytes), AN_OK);
    fixture_tar *tar = fixture_tar_open(path_of("devkit.tar"));
    fixture_tar_add(tar, "kit/data/meta.mat", bytes.data, bytes.size);
    fixture_tar_add(tar, "kit/data/ILSVRC2012_validation_ground_truth.txt", truth, strlen(truth));
    fixture_tar_close(tar);
    bytes.size = 0;
    assert_int_equal(an_file_read(path_of("devkit.tar"), LIMIT, &bytes), AN_OK);
    write_gz("devkit.tar.gz", bytes.data, bytes.size);
    an_buffer_free(&bytes);
}

static void test_val_with_devkit(void **state)
{
    (void)state;
    char tar[512], kit[512];
    snprintf(tar, sizeof(tar), "%s", path_of("val.tar"));
    snprintf(kit, sizeof(kit), "%s", path_of("devkit.tar.gz"));
    make_val_tar();
    make_devkit();
    pack_devkit("1\n2\n1\n");
    an_source_options options = {.path = tar, .devkit = kit};
    expect_val(&options, 2);
    an_source *source = open_ok(&options);
    assert_string_equal(source->classes.entries[0].id, "n01");
    assert_string_equal(source->classes.entries[1].name, "second, two");
    an_source_free(source);
    pack_devkit("1\n2\n3\n"); /* 3 is no leaf */
    refused(&options, AN_ECORRUPT, "is no class of meta.mat");
    pack_devkit("1\n2\n");
    refused(&options, AN_EINVAL, "3 files, but there are 2 labels");
    fixture_write(kit, "nonsense", 8);
    refused(&options, AN_ECORRUPT, "devkit");
}

static void test_flat_folder(void **state)
{
    (void)state;
    char folder[512], labels[512], kit[512];
    snprintf(folder, sizeof(folder), "%s", path_of("val"));
    snprintf(labels, sizeof(labels), "%s", path_of("labels.txt"));
    snprintf(kit, sizeof(kit), "%s", path_of("devkit.tar.gz"));
    for (int i = 1; i <= 3; i++)
        fixture_write(fixture_path(&f, "val/ILSVRC2012_val_0000000%d.JPEG", i), "x", 1);
    make_devkit();
    pack_devkit("1\n2\n1\n");
    an_source_options options = {.path = folder};
    refused(&options, AN_ECORRUPT, "--devkit");
    options.devkit = kit;
    expect_val(&options, 2);
    options.devkit = NULL;
    options.labels = labels;
    put("labels.txt", "n02\nn01\nn02\n");
    expect_val(&options, 2);
    put("labels.txt", "1\n0\n");
    refused(&options, AN_ENOTFOUND, "there are only 2");
    put("labels.txt", "1\n0\n1\n0\n");
    refused(&options, AN_EINVAL, "3 files, but there are 4 labels");
}

static void test_val_with_lists(void **state)
{
    (void)state;
    char tar[512], labels[512], synsets[512];
    snprintf(tar, sizeof(tar), "%s", path_of("val.tar"));
    snprintf(labels, sizeof(labels), "%s", path_of("labels.txt"));
    snprintf(synsets, sizeof(synsets), "%s", path_of("synsets.txt"));
    make_val_tar();
    an_source_options options = {.path = tar};
    refused(&options, AN_EINVAL, "--devkit");
    options.labels = labels;
    put("labels.txt", "n02\nn01\nn02\n"); /* ids in the order of names */
    expect_val(&options, 2);
    put("labels.txt", "ILSVRC2012_val_00000003.JPEG n02\nval/ILSVRC2012_val_00000001.JPEG n02\n"
                      "ILSVRC2012_val_00000002.JPEG\tn01\n");
    expect_val(&options, 2);
    put("labels.txt", "1\n0\n1\n"); /* label numbers */
    expect_val(&options, 2);
    options.synsets = synsets;
    put("synsets.txt", "n02\nn01\n");
    put("labels.txt", "1\n2\n1\n"); /* numbers through the list of ids */
    expect_val(&options, 2);
    put("labels.txt", "1\n2\n3\n");
    refused(&options, AN_EINVAL, "line 3");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_folder),
        CASE(test_folder_loads_bytes),
        CASE(test_identity_follows_contents_not_place),
        CASE(test_shuffle_is_a_function_of_the_seed),
        CASE(test_too_many_to_shuffle),
        CASE(test_given_classes),
        CASE(test_folder_refusals),
        CASE(test_kinds),
        CASE(test_idx),
        CASE(test_idx_refusals),
        CASE(test_cifar),
        CASE(test_list),
        CASE(test_tar_of_tars),
        CASE(test_tar_of_folders),
        CASE(test_folder_of_class_tars),
        CASE(test_webdataset),
        CASE(test_val_with_devkit),
        CASE(test_flat_folder),
        CASE(test_val_with_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
