/* Tars: of tars, of folders, of webdataset samples, and folders of tars. */
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
#include "tests/ingest/sources/source_support.h"

#define LIMIT ((size_t)1 << 24)

static void test_tar_of_tars(void **state)
{
    (void)state;
    an_buffer inner = {0};
    fixture_tar *outer = fixture_tar_open(support_path("train.tar"));
    for (int c = 2; c >= 1; c--) {
        fixture_tar *tar = fixture_tar_open(support_path("inner"));
        for (int i = 0; i < 2; i++) {
            char name[32];
            snprintf(name, sizeof(name), "n0%d_%d.JPEG", c, i);
            fixture_tar_add(tar, name, name, strlen(name));
        }
        fixture_tar_close(tar);
        inner.size = 0;
        assert_int_equal(an_file_read(support_path("inner"), LIMIT, &inner), AN_OK);
        fixture_tar_add(outer, c == 2 ? "n02.tar" : "n01.tar", inner.data, inner.size);
    }
    fixture_tar_close(outer);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("train.tar")});
    assert_string_equal(source->kind, "tar");
    support_expect_items(source, (const char *const[]){"n02/n02_0.JPEG=1", "n02/n02_1.JPEG=1", "n01/n01_0.JPEG=0",
                                                       "n01/n01_1.JPEG=0", NULL});
    an_source_free(source);
    source = support_open_source(&(an_source_options){.path = support_path("train.tar"), .shuffle = true, .seed = 3});
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
    assert_int_equal(truncate(support_path("train.tar"), 3000), 0);
    support_refused(&(an_source_options){.path = support_path("train.tar")}, AN_ECORRUPT, "train.tar");
}

static void test_tar_of_folders(void **state)
{
    (void)state;
    fixture_tar *tar = fixture_tar_open(support_path("folders.tar"));
    fixture_tar_add(tar, "./set/dog/1.jpg", "x", 1);
    fixture_tar_add(tar, "./set/dog/._1.jpg", "x", 1);
    fixture_tar_add(tar, "./set/cat/2.jpg", "xy", 2);
    fixture_tar_close(tar);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("folders.tar")});
    support_expect_items(source, (const char *const[]){"set/dog/1.jpg=1", "set/cat/2.jpg=0", NULL});
    an_source_free(source);
}

static void test_folder_of_class_tars(void **state)
{
    (void)state;
    for (int c = 0; c < 2; c++) {
        fixture_write(support_path("tars/x"), "", 0);
        fixture_tar *tar = fixture_tar_open(fixture_path(&support_files, "tars/n%d.tar", c));
        fixture_tar_add(tar, "a.jpg", "x", 1);
        fixture_tar_close(tar);
    }
    an_source *source = support_open_source(&(an_source_options){.path = support_path("tars")});
    support_expect_items(source, (const char *const[]){"n0/a.jpg=0", "n1/a.jpg=1", NULL});
    an_source_free(source);
}

/* What would take long or much memory, made of little. */
static void test_tar_bombs(void **state)
{
    (void)state;
    static char path[5000];
    fixture_tar *tar = fixture_tar_open(support_path("deep.tar"));
    for (size_t i = 0; i < 4200; i++)
        path[i] = i % 2 ? '/' : 'a';
    fixture_tar_add(tar, path, "x", 1);
    fixture_tar_close(tar);
    support_refused(&(an_source_options){.path = support_path("deep.tar")}, AN_EUNSUPPORTED,
                    "deep.tar': a path of 4200 bytes, which begins 'a/a/a/");
    tar = fixture_tar_open(support_path("links.tar"));
    fixture_tar_add(tar, "0/a.jpg", "x", 1);
    for (int i = 1; i < 30; i++) /* two links to all that came before */
        for (int k = 0; k < 2; k++) {
            char name[32], target[32];
            snprintf(name, sizeof(name), "%d/%d", i, k);
            snprintf(target, sizeof(target), "../%d", i - 1);
            fixture_tar_link(tar, name, target, true);
        }
    fixture_tar_close(tar);
    support_refused(&(an_source_options){.path = support_path("links.tar")}, AN_EUNSUPPORTED,
                    "links to folders lead to more than 100472 files");
}

/* Folders of datasets are left out, however many: what lies in them, and in folders of them. */
static void test_many_datasets(void **state)
{
    (void)state;
    fixture_tar *tar = fixture_tar_open(support_path("train.tar"));
    for (int i = 0; i < 3000; i++) {
        char name[64];
        snprintf(name, sizeof(name), "d%d/e/a.jpg", i);
        fixture_tar_add(tar, name, "x", 1);
        snprintf(name, sizeof(name), "d%d/data.mdb", i);
        fixture_tar_add(tar, name, "x", 1);
    }
    fixture_tar_add(tar, "n0/a.jpg", "x", 1);
    fixture_tar_add(tar, "n1/b.jpg", "x", 1);
    fixture_tar_close(tar);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("train.tar")});
    support_expect_items(source, (const char *const[]){"n0/a.jpg=0", "n1/b.jpg=1", NULL});
    assert_non_null(strstr((const char *)source->notes.data, "3000"));
    an_source_free(source);
}

static void test_webdataset(void **state)
{
    (void)state;
    fixture_write(support_path("web/x"), "", 0);
    for (int shard = 0; shard < 2; shard++) {
        fixture_tar *tar = fixture_tar_open(fixture_path(&support_files, "web/shard-%d.tar", shard));
        fixture_tar_add(tar, "k1.jpg", "image", 5);
        fixture_tar_add(tar, "k1.cls", shard ? "2\n" : "0", shard ? 2 : 1);
        fixture_tar_add(tar, "k1.json", "{}", 2);
        fixture_tar_add(tar, "k2.cls", "1", 1);
        fixture_tar_add(tar, "k2.PNG", "image", 5);
        fixture_tar_close(tar);
    }
    an_source *source = support_open_source(&(an_source_options){.path = support_path("web")});
    assert_int_equal(source->classes.count, 3);
    support_expect_items(source, (const char *const[]){"shard-0/k1.jpg=0", "shard-0/k2.PNG=1", "shard-1/k1.jpg=2",
                                                       "shard-1/k2.PNG=1", NULL});
    an_source_free(source);
    fixture_tar *tar = fixture_tar_open(support_path("web/shard-2.tar"));
    fixture_tar_add(tar, "k3.jpg", "image", 5);
    fixture_tar_close(tar);
    source = support_open_source(&(an_source_options){.path = support_path("web")});
    assert_int_equal(source->items, 5);
    assert_int_equal(an_source_skip(source, 4), AN_OK);
    an_item item = {0};
    an_buffer bytes = {0};
    assert_int_equal(an_source_next(source, &item), AN_OK);
    assert_string_equal((const char *)item.name.data, "shard-2/k3.jpg");
    assert_int_equal(an_item_load(&item, LIMIT, &bytes), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "no .cls beside"));
    an_item_free(&item);
    an_buffer_free(&bytes);
    an_source_free(source);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, support_set_up, support_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_tar_of_tars), CASE(test_tar_of_folders), CASE(test_folder_of_class_tars),
        CASE(test_webdataset),  CASE(test_tar_bombs),      CASE(test_many_datasets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
