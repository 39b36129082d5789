/* Fingerprints: what changes them, what leaves them as they are, and which stored ones still count. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/codec.h"
#include "store/dataset/dataset.h"
#include "store/dataset/writer.h"
#include "tests/store/dataset/support.h"
#include "tests/store/jpeg_support.h"

enum { SIDE = 24, COUNT = 5 };

/* A dataset, and what is unusual about it. */
typedef struct {
    an_codec codec;
    const char *codec_name; /* in the manifest; NULL: codec's */
    const char *from;       /* a dataset whose records are converted where that is possible; NULL: made from pixels */
    const char *listing;    /* in the manifest; NULL: from's fingerprint */
    const char *order;      /* in the manifest; NULL: "source" */
    bool other_pixel, other_sums, other_label, other_name, other_order, other_class, more;
} recipe;

static an_encoder *encoder;

static int setup(void **state)
{
    (void)state;
    return an_encoder_create(&encoder);
}

static int teardown(void **state)
{
    (void)state;
    an_encoder_free(encoder);
    return 0;
}

static an_dataset *open_dataset(const char *path)
{
    an_dataset *dataset;
    if (an_dataset_open(&dataset, path))
        fail_msg("%s", an_error_message());
    return dataset;
}

static uint64_t fingerprint(const char *path)
{
    an_dataset *dataset = open_dataset(path);
    uint64_t value = an_dataset_fingerprint(dataset);
    an_dataset_free(dataset);
    return value;
}

static bool matches(const char *path, uint64_t stored)
{
    bool same;
    an_dataset *dataset = open_dataset(path);
    assert_int_equal(an_dataset_fingerprint_matches(dataset, stored, &same), AN_OK);
    an_dataset_free(dataset);
    return same;
}

static void make_payload(const recipe *r, const an_dataset *from, uint64_t i, const an_image *image, an_buffer *out)
{
    const an_codec_options options = {r->codec, 90, AN_JPEG_420};
    an_record record;
    int rc = AN_EUNSUPPORTED;
    out->size = 0;
    if (from) {
        assert_int_equal(an_dataset_record(from, i, &record), AN_OK);
        rc = an_encoder_convert(encoder, record.header.codec, record.payload, record.header.length, r->codec, out);
    }
    if (rc)
        rc = an_encoder_encode(encoder, image, &options, out);
    assert_int_equal(rc, AN_OK);
}

static void put_records(const recipe *r, const an_dataset *from, an_writer *writer, an_statistics_sums *sums)
{
    an_image image = {0};
    an_buffer payload = {0};
    for (uint64_t n = 0; n < COUNT + (uint64_t)r->more; n++) {
        uint64_t i = r->other_order && n < 2 ? 1 - n : n;
        char name[32];
        test_image_make(&image, SIDE, SIDE, i);
        assert_int_equal(an_statistics_sums_add(sums, &image), AN_OK); /* before the pixel changes: sums see nothing */
        image.pixels[100] ^= r->other_pixel && i == 3 ? 128 : 0;
        make_payload(r, from, i, &image, &payload);
        snprintf(name, sizeof name, "%s-%" PRIu64, r->other_name && i == 3 ? "other" : "name", i);
        an_record_header header = {.codec = r->codec,
                                   .width = SIDE,
                                   .height = SIDE,
                                   .label = r->other_label && i == 3,
                                   .length = (uint32_t)payload.size};
        assert_int_equal(an_writer_put(writer, &header, payload.data, name), AN_OK);
    }
    if (r->other_sums)
        sums->product[0]++;
    an_buffer_free(&payload);
    an_image_free(&image);
}

static void make_manifest(const recipe *r, const an_dataset *from, char *out, size_t size)
{
    char listing[32] = "";
    if (from)
        snprintf(listing, sizeof listing, "%016" PRIx64, an_dataset_fingerprint(from));
    snprintf(out, size, "{\"codec\":\"%s\",\"listing\":\"%s\",\"order\":\"%s\",\"source\":\"%s\"}",
             r->codec_name ? r->codec_name : an_codec_name(r->codec), r->listing ? r->listing : listing,
             r->order ? r->order : "source", from ? "dataset" : "folder");
}

/* The path of a name in the folder; the same memory for the same name, as test_path's soon holds another. */
static const char *path_of(void **state, const char *name)
{
    static struct {
        const char *name;
        char path[512];
    } places[16];
    size_t i = 0;
    while (places[i].name && strcmp(places[i].name, name) != 0)
        i++;
    assert_in_range(i, 0, 14);
    places[i].name = name;
    snprintf(places[i].path, sizeof places[i].path, "%s", test_path(state, name));
    return places[i].path;
}

/* Make it, in the place of one of the same name; its path. */
static const char *make(void **state, const char *name, const recipe *r)
{
    const char *path = path_of(state, name);
    an_dataset *from = r->from ? open_dataset(r->from) : NULL;
    char manifest[256];
    an_statistics_sums sums;
    an_writer *writer;
    if (access(path, F_OK) == 0)
        test_remove_all(path);
    make_manifest(r, from, manifest, sizeof manifest);
    assert_int_equal(an_statistics_sums_init(&sums, SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, manifest, SIDE, &sums), AN_OK);
    assert_int_equal(an_writer_class(writer, 0, "n0", "tench"), AN_OK);
    assert_int_equal(an_writer_class(writer, 1, r->other_class ? "n2" : "n1", "goldfish"), AN_OK);
    put_records(r, from, writer, &sums);
    if (an_writer_finish(writer))
        fail_msg("%s", an_error_message());
    an_statistics_sums_free(&sums);
    an_dataset_free(from);
    return path;
}

/* What changes in a dataset, its name for messages. */
static const struct {
    const char *what;
    recipe recipe;
} changes[] = {{"a pixel", {.other_pixel = true}},   {"the sums", {.other_sums = true}},
               {"a label", {.other_label = true}},   {"a name", {.other_name = true}},
               {"the order", {.other_order = true}}, {"a class", {.other_class = true}},
               {"the count", {.more = true}}};
enum { CHANGES = sizeof changes / sizeof *changes };

static void every_change_is_noticed(void **state)
{
    for (size_t c = 0; c < an_codec_count(); c++) {
        recipe r = {.codec = an_codec_at(c)};
        uint64_t before = fingerprint(make(state, "before", &r));
        assert_true(fingerprint(make(state, "again", &r)) == before);
        for (size_t i = 0; i < CHANGES; i++) {
            r = changes[i].recipe;
            r.codec = an_codec_at(c);
            const char *path = make(state, "after", &r);
            if (fingerprint(path) == before || matches(path, before))
                fail_msg("%s: %s has changed, and nothing says so", an_codec_name(r.codec), changes[i].what);
        }
    }
}

/* Through every codec that loses nothing and back, and a copy: each of them can stand for each. */
static void transcodes_keep_it(void **state)
{
    for (size_t a = 0; a < an_codec_count(); a++)
        for (size_t b = 0; b < an_codec_count(); b++) {
            if (!an_codec_lossless(an_codec_at(a), an_codec_at(b)))
                continue;
            const char *first = make(state, "first", &(recipe){.codec = an_codec_at(a)});
            const char *second = make(state, "second", &(recipe){.codec = an_codec_at(b), .from = first});
            const char *third = make(state, "third", &(recipe){.codec = an_codec_at(a), .from = second});
            assert_true(fingerprint(second) == fingerprint(first));
            assert_true(fingerprint(third) == fingerprint(first));
        }
}

/* The manifest names the source, but the pictures or their codec are not the source's. */
static void other_descendants_differ(void **state)
{
    const char *source = make(state, "source", &(recipe){.codec = AN_CODEC_JPEG});
    uint64_t before = fingerprint(source);
    for (size_t i = 0; i < CHANGES; i++) {
        recipe r = changes[i].recipe;
        if (r.other_pixel || r.other_sums) /* follow from the source's: see dataset.h */
            continue;
        r.codec = AN_CODEC_COEF;
        r.from = r.more ? NULL : source;
        if (fingerprint(make(state, "made", &r)) == before)
            fail_msg("made from the source with another %s, and nothing says so", changes[i].what);
    }
    for (size_t c = 0; c < an_codec_count(); c++) {
        recipe r = {.codec = an_codec_at(c), .from = source};
        bool same = fingerprint(make(state, "made", &r)) == before;
        assert_int_equal(same, an_codec_lossless(AN_CODEC_JPEG, r.codec));
    }
    const char *rgb = make(state, "rgb", &(recipe){.codec = AN_CODEC_RGB});
    assert_true(fingerprint(make(state, "made", &(recipe){.codec = AN_CODEC_JPEG, .from = rgb})) != fingerprint(rgb));
    recipe mixed = {.codec = AN_CODEC_JPEG, .codec_name = "mixed:0.5", .from = source};
    assert_true(fingerprint(make(state, "made", &mixed)) != before);
    recipe shuffled = {.codec = AN_CODEC_COEF, .order = "shuffle", .from = source};
    assert_true(fingerprint(make(state, "made", &shuffled)) != before);
}

static void listings_that_are_none(void **state)
{
    static const char *const listings[] = {"", "0", "xyz", "0123456789abcdef", "0123456789abcdef0123456789abcdef"};
    const char *source = make(state, "source", &(recipe){.codec = AN_CODEC_RGB});
    for (size_t i = 0; i < sizeof listings / sizeof *listings; i++) {
        recipe r = {.codec = AN_CODEC_RGB, .from = source, .listing = listings[i]};
        assert_true(fingerprint(make(state, "made", &r)) == fingerprint(source)); /* computed: the records are equal */
    }
}

/* As earlier versions stored it. */
static uint64_t former(const char *path)
{
    an_dataset *dataset = open_dataset(path);
    const char *manifest = an_dataset_manifest(dataset);
    an_buffer bytes = {0};
    uint8_t number[8];
    assert_int_equal(an_buffer_append(&bytes, manifest, strlen(manifest)), AN_OK);
    an_bytes_put_u64(number, an_dataset_count(dataset));
    assert_int_equal(an_buffer_append(&bytes, number, 8), AN_OK);
    for (uint64_t i = 0; i < an_dataset_count(dataset); i++) {
        an_bytes_put_u32(number, an_dataset_index(dataset)[i].label);
        an_bytes_put_u32(number + 4, an_dataset_index(dataset)[i].length);
        assert_int_equal(an_buffer_append(&bytes, number, 8), AN_OK);
    }
    uint64_t value = XXH3_64bits(bytes.data, bytes.size);
    an_buffer_free(&bytes);
    an_dataset_free(dataset);
    return value;
}

static void the_former_one_counts(void **state)
{
    for (size_t c = 0; c < an_codec_count(); c++) {
        const char *one = make(state, "one", &(recipe){.codec = an_codec_at(c)});
        const char *other = make(state, "other", &(recipe){.codec = an_codec_at(c), .other_label = true});
        assert_true(matches(one, former(one)));
        assert_true(matches(one, fingerprint(one)));
        assert_false(matches(other, former(one)));
        assert_false(matches(one, former(other)));
        assert_false(matches(one, 0));
        assert_false(matches(one, fingerprint(one) + 1));
        assert_false(matches(one, fingerprint(one) ^ (uint64_t)1 << 63));
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_change_is_noticed), IN_FOLDER(transcodes_keep_it),    IN_FOLDER(other_descendants_differ),
        IN_FOLDER(listings_that_are_none),  IN_FOLDER(the_former_one_counts),
    };
    return cmocka_run_group_tests_name("fingerprint", tests, setup, teardown);
}
