/* Text files as people write them: byte order marks, comments, blanks in ids, lines that contradict each other, numbers
 * as labels. Each is understood or refused with its line; nothing is dropped in silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/ingest/sources/source_support.h"

#define MARK "\xef\xbb\xbf"

static an_source *open_list(const char *lines)
{
    support_put("l/list.txt", lines);
    return support_open_source(&(an_source_options){.path = support_path("l/list.txt")});
}

static void expect_list(const char *lines, const char *const *items)
{
    an_source *source = open_list(lines);
    support_expect_items(source, items);
    an_source_free(source);
}

static void expect_refused_list(const char *lines, int code, const char *text)
{
    support_put("l/list.txt", lines);
    support_refused(&(an_source_options){.path = support_path("l/list.txt")}, code, text);
}

static void expect_note(const an_source *source, const char *text)
{
    assert_non_null(source->notes.data);
    assert_non_null(strstr((const char *)source->notes.data, text));
}

static void test_byte_order_marks(void **state)
{
    (void)state;
    an_classes classes = {0};
    support_put("l/a.jpg", "A");
    expect_list(MARK "a.jpg\tdog\r\nb.jpg\tcat\r\n", (const char *const[]){"a.jpg=1", "b.jpg=0", NULL});
    support_put("ids.txt", MARK "ant\r\nbee\r\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_OK);
    assert_string_equal(classes.entries[0].id, "ant");
    assert_string_equal(classes.entries[1].id, "bee");
    an_classes_free(&classes);
    support_put("val/1.jpg", "1");
    support_put("labels.txt", MARK "1.jpg dog\r\n");
    char labels[512];
    snprintf(labels, sizeof(labels), "%s", support_path("labels.txt"));
    an_source *source = support_open_source(&(an_source_options){.path = support_path("val"), .labels = labels});
    assert_string_equal(source->classes.entries[0].id, "dog");
    an_source_free(source);
    fixture_tar *tar = fixture_tar_open(support_path("web.tar"));
    fixture_tar_add(tar, "1.jpg", "1", 1);
    fixture_tar_add(tar, "1.cls", MARK "dog\r\n", 8);
    fixture_tar_close(tar);
    source = support_open_source(&(an_source_options){.path = support_path("web.tar")});
    assert_string_equal(source->classes.entries[0].id, "dog");
    an_source_free(source);
}

static void test_what_is_no_text(void **state)
{
    (void)state;
    an_classes classes = {0};
    fixture_write(support_path("ids.txt"),
                  "\xff\xfe"
                  "a\0\n\0",
                  6);
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "UTF-16"));
    fixture_write(support_path("ids.txt"), "ant\nb\0e\n", 8);
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "line 2: a null byte"));
    support_put("ids.txt", "ant\rbee\r");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "line 1: a carriage return"));
    an_classes_free(&classes);
}

static void test_paths_that_begin_like_comments(void **state)
{
    (void)state;
    support_put("l/#1.jpg", "A");
    support_put("l/#2.jpg", "B");
    an_source *source = open_list("# a comment\twith a tab\n#\n#1.jpg\tdog\n#2.jpg cat\n#out.jpg\tdog\n##\tx\n#note\n");
    support_expect_items(source, (const char *const[]){"#1.jpg=1", "#2.jpg=0", NULL});
    expect_note(source, "1 lines that begin with '#' name no file");
    an_source_free(source);
    an_classes classes = {0};
    support_put("ids.txt", "# ids\n#made by hand\nant\n#bee\tBee\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_ECORRUPT);
    assert_non_null(strstr(an_error_message(), "line 4"));
    assert_non_null(strstr(an_error_message(), "may be a comment"));
    an_classes_free(&classes);
}

static void test_ids_with_blanks(void **state)
{
    (void)state;
    an_classes classes = {0}, known = {0};
    uint32_t label;
    support_put("ids.txt", "golden retriever\ngreat grey owl\ngreat white shark\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_OK);
    assert_int_equal(an_classes_find(&classes, "great white shark", &label), AN_OK);
    assert_int_equal(label, 2);
    an_classes_free(&classes);
    support_put("ids.txt", "n01440764 tench, Tinca tinca\n12 a dozen\nnight owl\nn0144076x tench\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_OK);
    assert_string_equal(classes.entries[0].name, "tench, Tinca tinca");
    assert_string_equal(classes.entries[1].id, "12");
    assert_string_equal(classes.entries[2].id, "night owl");
    assert_string_equal(classes.entries[3].id, "n0144076x tench");
    an_classes_free(&classes);
    /* What is known decides where an id ends. */
    assert_int_equal(an_classes_add(&known, "night owl", NULL), AN_OK);
    assert_int_equal(an_classes_add(&known, "ant", NULL), AN_OK);
    support_put("ids.txt", "night owl\nant Formica rufa\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), &known), AN_OK);
    assert_string_equal(classes.entries[0].id, "night owl");
    assert_string_equal(classes.entries[1].id, "ant");
    assert_string_equal(classes.entries[1].name, "Formica rufa");
    an_classes_free(&classes);
    an_classes_free(&known);
}

static void test_names_without_a_tab(void **state)
{
    (void)state;
    an_classes classes = {0};
    support_put("in/ant/1.jpg", "1");
    support_put("ids.txt", "ant Formica rufa\nbee Apis\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_OK);
    support_refused(&(an_source_options){.path = support_path("in"), .classes = &classes}, AN_ECORRUPT,
                    "put a tab between id and name");
    an_classes_free(&classes);
}

static void test_a_path_twice(void **state)
{
    (void)state;
    support_put("l/a.jpg", "A");
    expect_list("a.jpg\tdog\nb.jpg\tcat\n./a.jpg\tdog\n", /* a share of a set may be given more weight so */
                (const char *const[]){"a.jpg=1", "b.jpg=0", "./a.jpg=1", NULL});
    expect_refused_list("a.jpg\tdog\nb.jpg\tcat\n./a.jpg\tcat\n", AN_ECORRUPT,
                        "line 3: './a.jpg' is of class 'cat', but "
                        "line 1 says 'dog'");
    expect_refused_list("d/a.jpg\tdog\nd/.//a.jpg\tcat\n", AN_ECORRUPT, "line 2");
    expect_list("a.jpg\tdog\n../a.jpg\tcat\n/a.jpg\tcat\n",
                (const char *const[]){"a.jpg=1", "../a.jpg=0", "/a.jpg=0", NULL});
}

/* More paths than the table has room for at first. */
static void test_many_paths(void **state)
{
    (void)state;
    an_buffer lines = {0};
    for (int i = 0; i < 3000; i++)
        assert_int_equal(an_buffer_printf(&lines, "%d.jpg\t%s\n", i, i % 2 ? "dog" : "cat"), AN_OK);
    an_source *source = open_list((char *)lines.data);
    assert_int_equal(source->items, 3000);
    an_source_free(source);
    assert_int_equal(an_buffer_printf(&lines, "17.jpg\tcat\n"), AN_OK);
    expect_refused_list((char *)lines.data, AN_ECORRUPT,
                        "line 3001: '17.jpg' is of class 'cat', but line 18 says 'dog'");
    an_buffer_free(&lines);
}

static void test_where_a_line_is_cut(void **state)
{
    (void)state;
    support_put("l/my photos/1.jpg", "A");
    expect_list("my photos/1.jpg dog\n", (const char *const[]){"my photos/1.jpg=0", NULL});
    expect_refused_list("a.jpg\tdog\nmy photos/1.jpg great owl\n", AN_ECORRUPT,
                        "line 2: no file 'my photos/1.jpg great'");
    expect_refused_list("0\t1\tmy photos/1.jpg\n", AN_ECORRUPT, "line 1: no file");
}

static void test_numbers(void **state)
{
    (void)state;
    expect_refused_list("a.jpg\t1\nb.jpg\tcat\nc.jpg\t2\n", AN_ECORRUPT,
                        "line 2: class 'cat' is no number, but '1' is");
    expect_refused_list("a.jpg\tcat\nb.jpg\t-1\nc.jpg\t2\n", AN_ECORRUPT, "line 1: class 'cat'");
    expect_refused_list("a.jpg\t1\nb.jpg\t1x\n", AN_ECORRUPT, "line 2: class '1x'");
    expect_refused_list("a.jpg\t1\nb.jpg\t1000000\n", AN_ECORRUPT, "line 2: class '1000000'");
    expect_refused_list("a.jpg\t1\nb.jpg\t99999999999999999999999\n", AN_ECORRUPT, "at most 999999");
    an_source *source = open_list("a.jpg\t0\nb.jpg\t1\n");
    assert_int_equal(source->notes.size, 0);
    an_source_free(source);
}

/* Classes are made for all numbers up to the highest. */
static void test_gaps(void **state)
{
    (void)state;
    an_classes classes = {0};
    an_source *source = open_list("a.jpg\t999999\nb.jpg\t7\n");
    assert_int_equal(source->classes.count, 1000000);
    assert_string_equal(source->classes.entries[123456].id, "123456");
    expect_note(source, "the numbers from 7 to 999999, of which 2 occur: 1000000 classes are made; to have 2, give "
                        "--classes-from");
    assert_null(strstr((const char *)source->notes.data, "have no image")); /* said once, in other words */
    support_expect_items(source, (const char *const[]){"a.jpg=999999", "b.jpg=7", NULL});
    an_source_free(source);
    /* The cure that the note names: */
    support_put("ids.txt", "7\n999999\n");
    assert_int_equal(an_classes_read(&classes, support_path("ids.txt"), NULL), AN_OK);
    source = support_open_source(&(an_source_options){.path = support_path("l/list.txt"), .classes = &classes});
    assert_int_equal(source->classes.count, 2);
    support_expect_items(source, (const char *const[]){"a.jpg=1", "b.jpg=0", NULL});
    assert_int_equal(source->notes.size, 0);
    an_source_free(source);
    an_classes_free(&classes);
}

static void test_idx_labels_from_one(void **state)
{
    (void)state;
    fixture_write(support_path("images-idx3-ubyte"), "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x01xy", 18);
    fixture_write(support_path("labels-idx1-ubyte"), "\0\0\x08\x01\0\0\0\x02\x01\x02", 10);
    an_source *source = support_open_source(&(an_source_options){.path = support_path("images-idx3-ubyte")});
    assert_int_equal(source->classes.count, 3);
    expect_note(source, "from 1 to 2, of which 2 occur");
    an_source_free(source);
}

/* --- labels apart from the images ------------------------------------------------------------------------------ */

static char path_of_labels[512];

static an_source_options with_labels(const char *source, const char *lines)
{
    support_put("labels.txt", lines);
    snprintf(path_of_labels, sizeof(path_of_labels), "%s", support_path("labels.txt"));
    return (an_source_options){.path = support_path(source), .labels = path_of_labels};
}

static void expect_labelled(const char *source, const char *lines, const char *const *items)
{
    an_source_options options = with_labels(source, lines);
    an_source *opened = support_open_source(&options);
    support_expect_items(opened, items);
    an_source_free(opened);
}

static void expect_labels_refused(const char *source, const char *lines, int code, const char *text)
{
    an_source_options options = with_labels(source, lines);
    support_refused(&options, code, text);
}

/* The same tree as a tar and as a folder. */
static void put_tree(const char *const *names)
{
    fixture_tar *tar = fixture_tar_open(support_path("tree.tar"));
    for (; *names; names++) {
        char path[256];
        snprintf(path, sizeof(path), "tree/%s", *names);
        support_put(path, *names);
        fixture_tar_add(tar, *names, *names, strlen(*names));
    }
    fixture_tar_close(tar);
}

static void test_equal_file_names(void **state)
{
    (void)state;
    put_tree((const char *const[]){"a/1.jpg", "b/1.jpg", "b/c/1.jpg", NULL});
    for (int i = 0; i < 2; i++) {
        const char *source = i ? "tree.tar" : "tree";
        const char *const items[] = {"a/1.jpg=2", "b/1.jpg=1", "b/c/1.jpg=0", NULL};
        expect_labelled(source, "b/c/1.jpg\tant\nb/1.jpg\tcat\n./a/1.jpg\tdog\n", items);
        expect_labelled(source, "in/tree/b/c/1.jpg\tant\nin/tree/b/1.jpg\tcat\nin/tree/a/1.jpg\tdog\n", items);
        expect_labelled(source, "t/b/c/1.jpg\tant\nt/b/1.jpg\tcat\nt/a/1.jpg\tdog\nt/b/1.jpg\tcat\n", items);
        expect_labels_refused(source, "1.jpg\tdog\n", AN_ECORRUPT, "line 1 fits 'b/1.jpg'");
        expect_labels_refused(source, "a/1.jpg\tdog\nb/1.jpg\tcat\n", AN_ECORRUPT,
                              "labels.txt': no label for 'b/c/1.jpg'");
        expect_labels_refused(source, "a/1.jpg\tdog\nx/1.jpg\tcat\n", AN_ECORRUPT, "no label for 'b/1.jpg': line 1");
        expect_labels_refused(source, "a/1.jpg\tdog\nb/1.jpg\tcat\n\na/1.jpg\tcat\n", AN_ECORRUPT,
                              "'a/1.jpg' has class 'dog' in line 1, but 'cat' in line 4");
    }
}

static void test_labels_of_a_folder_with_folders(void **state)
{
    (void)state;
    put_tree((const char *const[]){"2.jpg", "x/1.jpg", "x.jpg", NULL});
    fixture_write(fixture_path(&support_files, "tree/empty/.hidden"), "", 0);
    for (int i = 0; i < 2; i++) {
        const char *source = i ? "tree.tar" : "tree";
        const char *const items[] = {"2.jpg=1", "x.jpg=0", "x/1.jpg=1", NULL};
        expect_labelled(source, "1.jpg\tdog\n2.jpg\tdog\nx.jpg\tcat\n", items);
        expect_labelled(source, "dog\ncat\ndog\n", items);
    }
}

static void test_lines_of_labels(void **state)
{
    (void)state;
    put_tree((const char *const[]){"1.jpg", "2.jpg", NULL});
    const char *const items[] = {"1.jpg=1", "2.jpg=0", NULL};
    expect_labelled("tree", "# made by hand\n1.jpg\tdog\n2.jpg cat\n1.jpg\tdog\n", items);
    expect_labels_refused("tree", "1.jpg\tdog\n2.jpg great owl\n", AN_ECORRUPT,
                          "line 2: '2.jpg great owl' has several");
    expect_labels_refused("tree", "1.jpg\tdog\n2.jpg\t1\tcat\n", AN_ECORRUPT, "line 2");
    expect_labels_refused("tree", "1.jpg\tdog\n#2.jpg\tcat\n", AN_ECORRUPT, "line 2: '#2.jpg");
    expect_labels_refused("tree", "1.jpg\t3\n2.jpg\tcat\n", AN_ECORRUPT, "line 2: class 'cat' is no number");
}

static void test_labels_that_would_be_ignored(void **state)
{
    (void)state;
    support_put("l/a.jpg", "A");
    support_put("l/list.txt", "a.jpg\tdog\n");
    expect_labels_refused("l/list.txt", "a.jpg\tcat\n", AN_EINVAL, "--labels");
    support_refused(&(an_source_options){.path = support_path("l/list.txt"), .devkit = "x"}, AN_EINVAL, "--devkit 'x'");
    support_refused(&(an_source_options){.path = support_path("l"), .synsets = "x"}, AN_EINVAL, "--synsets 'x'");
    support_refused(&(an_source_options){.path = support_path("l"), .labels = "x", .devkit = "y"}, AN_EINVAL,
                    "give one of them");
    fixture_tar *tar = fixture_tar_open(support_path("web.tar"));
    fixture_tar_add(tar, "1.jpg", "1", 1);
    fixture_tar_add(tar, "1.cls", "dog", 3);
    fixture_tar_close(tar);
    expect_labels_refused("web.tar", "1.jpg\tcat\n", AN_EINVAL, "is a webdataset");
}

static void test_splits_are_no_classes(void **state)
{
    (void)state;
    support_put("set/train/ant/1.jpg", "1");
    support_put("set/val/ant/2.jpg", "2");
    an_source *source = support_open_source(&(an_source_options){.path = support_path("set")});
    expect_note(source, "'train', 'val': give each of them as a SOURCE of its own");
    an_source_free(source);
    support_put("set/bus/3.jpg", "3"); /* one vehicle of several */
    source = support_open_source(&(an_source_options){.path = support_path("set")});
    assert_int_equal(source->notes.size, 0);
    an_source_free(source);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, support_set_up, support_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_byte_order_marks),
        CASE(test_what_is_no_text),
        CASE(test_paths_that_begin_like_comments),
        CASE(test_ids_with_blanks),
        CASE(test_names_without_a_tab),
        CASE(test_a_path_twice),
        CASE(test_many_paths),
        CASE(test_where_a_line_is_cut),
        CASE(test_numbers),
        CASE(test_gaps),
        CASE(test_idx_labels_from_one),
        CASE(test_equal_file_names),
        CASE(test_labels_of_a_folder_with_folders),
        CASE(test_lines_of_labels),
        CASE(test_labels_that_would_be_ignored),
        CASE(test_splits_are_no_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
