/* Folders, lists, IDX and CIFAR-10, from small imitations: what is listed, in which order, with which labels, and what
 * is refused. And the table of kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"
#include "tests/ingest/sources/source_support.h"

#define LIMIT ((size_t)1 << 24)

static void make_folders(void)
{
    support_put("set/dog/b.jpg", "B");
    support_put("set/dog/a.jpg", "AA");
    support_put("set/cat/deep/er/c.jpg", "C");
    support_put("set/.hidden/d.jpg", "D");
    support_put("set/dog/.DS_Store", "x");
    support_put("set/classes.tsv", "dog\tDog\n");
}

static void test_folder(void **state)
{
    (void)state;
    make_folders();
    an_source *source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_string_equal(source->kind, "folder");
    assert_int_equal(source->items, 3);
    assert_int_equal(source->bytes, 4);
    assert_int_equal(source->classes.count, 2);
    assert_string_equal(source->classes.entries[0].id, "cat");
    support_expect_items(source, (const char *const[]){"cat/deep/er/c.jpg=0", "dog/a.jpg=1", "dog/b.jpg=1", NULL});
    an_source_free(source);
}

static void test_folder_loads_bytes(void **state)
{
    (void)state;
    make_folders();
    an_item item = {0};
    an_buffer bytes = {0};
    an_source *source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_int_equal(an_source_skip(source, 1), AN_OK);
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_OK);
    assert_int_equal(bytes.size, 2);
    assert_memory_equal(bytes.data, "AA", 2);
    assert_int_equal(an_item_load(&item, 1, &bytes), AN_ECORRUPT); /* over the limit */
    unlink(support_path("set/dog/a.jpg"));
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
    an_source *first = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_int_equal(rename(support_path("set"), support_path("moved")), 0);
    an_source *moved = support_open_source(&(an_source_options){.path = support_path("moved")});
    assert_int_equal(first->identity, moved->identity);
    support_put("moved/dog/a.jpg", "changed");
    an_source *changed = support_open_source(&(an_source_options){.path = support_path("moved")});
    assert_int_not_equal(first->identity, changed->identity);
    an_source *shuffled =
        support_open_source(&(an_source_options){.path = support_path("moved"), .shuffle = true, .seed = 5});
    assert_int_equal(changed->identity, shuffled->identity);
    an_source_free(first);
    an_source_free(moved);
    an_source_free(changed);
    an_source_free(shuffled);
}

static void read_names(uint64_t seed, char *out)
{
    an_item item = {0};
    an_source *source =
        support_open_source(&(an_source_options){.path = support_path("many"), .shuffle = true, .seed = seed});
    *out = 0;
    while (!an_source_next(source, &item))
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
        support_put(name, "x");
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
    an_source_options options = {.path = support_path("set"), .classes = &given};
    support_refused(&options, AN_ECORRUPT, "class 'cat' is not among the 1 given classes");
    assert_int_equal(an_classes_add(&given, "horse", NULL), AN_OK);
    assert_int_equal(an_classes_add(&given, "cat", NULL), AN_OK);
    an_source *source = support_open_source(&options);
    support_expect_items(source, (const char *const[]){"cat/deep/er/c.jpg=2", "dog/a.jpg=0", "dog/b.jpg=0", NULL});
    an_source_free(source);
    an_classes_free(&given);
}

static void test_classes_without_an_image(void **state)
{
    (void)state;
    make_folders();
    an_source *source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_int_equal(source->notes.size, 0);
    an_source_free(source);
    assert_int_equal(an_file_make_folder(support_path("set/bird")), AN_OK);
    source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_string_equal((const char *)source->notes.data, "1 of 3 classes have no image: 'bird'\n");
    an_source_free(source);
    assert_int_equal(an_file_make_folder(support_path("set/b\n\33[1md")), AN_OK);
    source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_string_equal((const char *)source->notes.data,
                        "2 of 4 classes have no image: 'b??[1md', 'bird'\n"); /* one line */
    an_source_free(source);
    an_classes many = {0};
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%02d", i);
        assert_int_equal(an_classes_add(&many, id, NULL), AN_OK);
    }
    support_put("few/c03/1.jpg", "x");
    source = support_open_source(&(an_source_options){.path = support_path("few"), .classes = &many});
    assert_string_equal((const char *)source->notes.data,
                        "19 of 20 classes have no image: 'c00', 'c01', 'c02', 'c04', 'c05', 'c06', "
                        "'c07', 'c08', 'c09', 'c10' and others\n");
    an_source_free(source);
    an_classes_free(&many);
}

/* What a source refuses is an item like the others, but loading it gives the reason. */
static void test_refused_items(void **state)
{
    (void)state;
    an_listing *listing;
    uint32_t label;
    an_item item = {0};
    an_buffer bytes = {0};
    support_put("r/good", "G");
    assert_int_equal(an_listing_create(&listing, "folder", support_path("r")), AN_OK);
    an_source *source = an_listing_source(listing);
    assert_int_equal(an_listing_class(listing, "a", &label), AN_OK);
    assert_int_equal(an_listing_refuse(listing, "bad", 7, "a link to nothing"), AN_OK);
    assert_int_equal(an_listing_add(listing, "good", label, AN_LISTING_OWN_FILE, 0, 1), AN_OK);
    assert_int_equal(an_listing_resolve_classes(listing, NULL, false), AN_OK);
    assert_int_equal(an_listing_seal(listing, &(an_source_options){.path = "r"}, 0), AN_OK);
    assert_int_equal(source->items, 2);
    assert_int_equal(source->notes.size, 0);
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_string_equal((const char *)item.name.data, "bad");
    assert_int_equal(item.size, 7);
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_ECORRUPT);
    assert_string_equal(an_error_message(), "a link to nothing");
    assert_int_equal(an_source_next(source, &item), AN_OK); /* the same item, reused */
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_OK);
    assert_int_equal(bytes.size, 1);
    an_item_free(&item);
    an_buffer_free(&bytes);
    an_source_free(source);
}

static void test_folder_refusals(void **state)
{
    (void)state;
    support_refused(&(an_source_options){.path = support_path("absent")}, AN_ENOTFOUND, "absent");
    support_put("flat/a.jpg", "x");
    support_refused(&(an_source_options){.path = support_path("flat")}, AN_ECORRUPT, "no class folders in");
    assert_int_equal(an_file_make_folder(support_path("hollow/class")), AN_OK);
    support_refused(&(an_source_options){.path = support_path("hollow")}, AN_ECORRUPT, "no images in");
    assert_int_equal(symlink("..", support_path("hollow/class/loop")), 0);
    support_refused(&(an_source_options){.path = support_path("hollow")}, AN_EUNSUPPORTED, "nested too deeply");
    support_refused(&(an_source_options){.path = support_path("flat/a.jpg")}, AN_EUNSUPPORTED,
                    "is no source of images");
    support_refused(&(an_source_options){.path = support_path("flat"), .kind = "zip"}, AN_EINVAL, "no such kind");
}

/* --- IDX ------------------------------------------------------------------------------------------------------- */

static const uint8_t idx_images[16 + 3 * 6] = {0, 0, 8, 3, 0,  0,  0,  3,  0,  0,  0, 2,
                                               0, 0, 0, 3, 10, 11, 12, 13, 14, 15, 20};
static const uint8_t idx_labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 0, 2};

/* Help texts and messages list the rows of the table: each has a name of its own, a description that fits a line, and
 * is named when no kind matches. */
static void test_kinds(void **state)
{
    (void)state;
    support_put("noise", "\1\2\3");
    support_refused(&(an_source_options){.path = support_path("noise")}, AN_EUNSUPPORTED, "is no source of images");
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
    support_refused(&(an_source_options){.path = support_path("noise"), .kind = "stream"}, AN_EINVAL, "given as '-'");
}

static void test_idx(void **state)
{
    (void)state;
    for (int packed = 0; packed < 4; packed++) {
        const char *name = packed & 1 ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte";
        const char *labels = packed & 2 ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte";
        fixture_write(support_path("idx/x"), "", 0);
        if (packed & 1)
            support_put_gz("idx/train-images-idx3-ubyte.gz", idx_images, sizeof(idx_images));
        else
            fixture_write(support_path("idx/train-images-idx3-ubyte"), idx_images, sizeof(idx_images));
        if (packed & 2)
            support_put_gz("idx/train-labels-idx1-ubyte.gz", idx_labels, sizeof(idx_labels));
        else
            fixture_write(support_path("idx/train-labels-idx1-ubyte"), idx_labels, sizeof(idx_labels));
        an_item item = {0};
        an_buffer bytes = {0};
        an_source *source =
            support_open_source(&(an_source_options){.path = fixture_path(&support_files, "idx/%s", name)});
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
        assert_int_equal(unlink(fixture_path(&support_files, "idx/%s", name)), 0);
        assert_int_equal(unlink(fixture_path(&support_files, "idx/%s", labels)), 0);
    }
}

static void test_idx_refusals(void **state)
{
    (void)state;
    an_source_options options = {.path = support_path("i/a-images-idx3-ubyte")};
    char path[512];
    snprintf(path, sizeof(path), "%s", options.path);
    options.path = path;
    fixture_write(path, idx_images, sizeof(idx_images));
    support_refused(&options, AN_ENOTFOUND, "--labels");
    fixture_write(support_path("i/a-labels-idx1-ubyte"), idx_labels, sizeof(idx_labels) - 1);
    support_refused(&options, AN_ECORRUPT, "promises 3 bytes");
    fixture_write(support_path("i/a-labels-idx1-ubyte"), idx_images, sizeof(idx_images));
    support_refused(&options, AN_ECORRUPT, "1 dimension");
    fixture_write(support_path("i/a-labels-idx1-ubyte"), "\0\0\x8\1\0\0\0\2\1\1", 10);
    support_refused(&options, AN_ECORRUPT, "has 3 images but");
    fixture_write(path, idx_images, sizeof(idx_images) - 1);
    support_refused(&options, AN_ECORRUPT, "promises 18 bytes");
    fixture_write(path, idx_images, 9);
    support_refused(&options, AN_ECORRUPT, "cut short");
    fixture_write(path, "\0\0\x8\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    support_refused(&options, AN_ECORRUPT, "impossibly large");
}

/* Compressed files that would fill a disk or the memory. */
static void test_idx_bombs(void **state)
{
    (void)state;
    static const uint8_t huge[20] = "\0\0\x8\3\0\0\xff\xff\0\0\x10\0\0\0\x10\0";
    uint8_t surplus[sizeof(idx_images) + 1] = {0};
    char images[512], labels[512];
    snprintf(images, sizeof(images), "%s", support_path("a-images-idx3-ubyte.gz"));
    snprintf(labels, sizeof(labels), "%s", support_path("a-labels-idx1-ubyte"));
    const an_source_options options = {.path = images, .kind = "idx"};
    fixture_write(labels, idx_labels, sizeof(idx_labels));
    memcpy(surplus, idx_images, sizeof(idx_images));
    support_put_gz("a-images-idx3-ubyte.gz", surplus, sizeof(surplus));
    support_refused(&options, AN_ECORRUPT, "unpacks to more than the 34 bytes that its header promises");
    support_put_gz("a-images-idx3-ubyte.gz", huge, sizeof(huge));
    support_refused(&options, AN_EUNSUPPORTED, "unpacks to 1099494850576 bytes: unpack what is larger than");
    support_put_gz("a-images-idx3-ubyte.gz", idx_images, sizeof(idx_images));
    fixture_write(labels, "\0\0\x8\1\0\x10\0\0", 8); /* a million labels */
    assert_int_equal(truncate(labels, 8 + 0x100000), 0);
    support_refused(&options, AN_ECORRUPT, "has 3 images but");
    fixture_write(support_path("b-images-idx3-ubyte"), "\0\0\x8\3\6\0\0\0\0\0\0\1\0\0\0\1", 16);
    assert_int_equal(truncate(support_path("b-images-idx3-ubyte"), 16 + 0x06000000), 0);
    support_refused(&(an_source_options){.path = support_path("b-images-idx3-ubyte"), .labels = labels},
                    AN_EUNSUPPORTED, "holds 100663296 images: 100000000 are possible");
}

/* Files that are too large are refused by their size, before anything is read. */
static void test_sizes_are_asked_first(void **state)
{
    (void)state;
    an_buffer bytes = {0};
    an_item item = {.whole = true, .fd = -1};
    const char *path = support_path("huge");
    fixture_write(path, "x", 1);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    assert_int_equal(an_buffer_printf(&item.path, "%s", path), AN_OK);
    assert_int_equal(an_file_read(path, LIMIT, &bytes), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "huge' is larger than the"));
    assert_int_equal(an_item_load(&item, AN_ITEM_BYTES_MAX, &bytes), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "larger than the limit of 268435456 bytes"));
    assert_int_equal(bytes.capacity, 0);
    an_item_free(&item);
}

/* --- CIFAR-10 and lists ---------------------------------------------------------------------------------------- */

static void test_cifar(void **state)
{
    (void)state;
    static uint8_t records[2 * 3073];
    records[0] = 7;
    records[1] = 99;
    records[3073] = 3;
    fixture_write(support_path("cifar/data_batch_1.bin"), records, sizeof(records));
    fixture_write(support_path("cifar/data_batch_2.bin"), records, 3073);
    fixture_write(support_path("cifar/test_batch.bin"), records, 3073);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("cifar")});
    assert_string_equal(source->kind, "cifar10");
    assert_int_equal(source->classes.count, 8);
    support_expect_items(
        source, (const char *const[]){"data_batch_1.bin/0=7", "data_batch_1.bin/1=3", "data_batch_2.bin/0=7", NULL});
    an_source_free(source);
    source = support_open_source(&(an_source_options){.path = support_path("cifar/test_batch.bin")});
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
    fixture_write(support_path("cifar/data_batch_2.bin"), records, 3000);
    support_refused(&(an_source_options){.path = support_path("cifar")}, AN_ECORRUPT, "data_batch_2.bin");
}

static void test_list(void **state)
{
    (void)state;
    support_put("l/img/a b.jpg", "A");
    support_put("l/list.txt", "# comment\nimg/a b.jpg\tdog\n\n/abs/none.jpg cat\n");
    an_source *source = support_open_source(&(an_source_options){.path = support_path("l/list.txt")});
    assert_string_equal(source->kind, "list");
    support_expect_items(source, (const char *const[]){"img/a b.jpg=1", "/abs/none.jpg=0", NULL});
    an_source_free(source);
    support_put("l/numbers.txt", "img/a b.jpg 12\nb.jpg 3\n");
    source = support_open_source(&(an_source_options){.path = support_path("l/numbers.txt")});
    assert_int_equal(source->classes.count, 13);
    support_expect_items(source, (const char *const[]){"img/a b.jpg=12", "b.jpg=3", NULL});
    an_source_free(source);
    support_put("l/list.txt", "lonely.jpg\n");
    support_refused(&(an_source_options){.path = support_path("l/list.txt")}, AN_ECORRUPT, "line 1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, support_set_up, support_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_folder),
        CASE(test_folder_loads_bytes),
        CASE(test_identity_follows_contents_not_place),
        CASE(test_shuffle_is_a_function_of_the_seed),
        CASE(test_too_many_to_shuffle),
        CASE(test_given_classes),
        CASE(test_classes_without_an_image),
        CASE(test_refused_items),
        CASE(test_folder_refusals),
        CASE(test_kinds),
        CASE(test_idx),
        CASE(test_idx_refusals),
        CASE(test_idx_bombs),
        CASE(test_sizes_are_asked_first),
        CASE(test_cifar),
        CASE(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
