/* What a file decodes to does not depend on the files that the same handle has met before. All kinds of odd files are
 * decoded once by new handles, and then in random order by handles that are used again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/coef/coef.h"
#include "store/jpeg/jpeg.h"
#include "tests/store/jpeg_support.h"

extern char **environ;
static int looks; /* into the environment */

/* Stands in for the C library's, also for libjpeg-turbo. */
char *getenv(const char *name)
{
    size_t length = strlen(name);
    looks++;
    for (char **entry = environ; entry && *entry; entry++)
        if (!strncmp(*entry, name, length) && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

enum { WIDTH = 75, HEIGHT = 52, PIXELS_MAX = 1 << 16, FILES_MAX = 256, ROUNDS = 4000 };

static an_buffer files[FILES_MAX];
static uint32_t count;

/* --- odd files ------------------------------------------------------------------------------------------------- */

static an_buffer *add(const test_jpeg *spec)
{
    assert_true(count < FILES_MAX);
    test_jpeg sized = *spec;
    sized.width = WIDTH;
    sized.height = HEIGHT;
    test_jpeg_make(&sized, count, &files[count]);
    return &files[count++];
}

static an_buffer *add_without(const test_jpeg *spec, uint8_t code, int keep)
{
    an_buffer *file = add(spec);
    test_jpeg_strip(file, code, keep);
    return file;
}

static const test_jpeg kinds[] = {
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .optimized = true, .quality = 30},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 1, .quality = 60},
    {.space = TEST_YCC, .horizontal = 1, .vertical = 1, .optimized = true},
    {.space = TEST_YCC, .horizontal = 4, .vertical = 1},
    {.space = TEST_GREY, .horizontal = 1, .vertical = 1, .optimized = true},
    {.space = TEST_GREY, .horizontal = 2, .vertical = 2, .quality = 10},
    {.space = TEST_RGB, .horizontal = 1, .vertical = 1},
    {.space = TEST_CMYK, .horizontal = 1, .vertical = 1, .optimized = true},
    {.space = TEST_CMYK, .horizontal = 1, .vertical = 1, .without_adobe = true},
    {.space = TEST_YCCK, .horizontal = 2, .vertical = 2},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .dc_only = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 1, .arithmetic = true, .progressive = true, .quality = 50},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 2, .optimized = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 1, .arithmetic = true},
    {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 3, .progressive = true},
};

/* Each kind: whole, without Huffman tables (all, all but the first), without quantisation tables (the same), without
 * its restart interval, without what says which colours it has, cut short, and ended by another marker. */
static void add_kind(const test_jpeg *kind)
{
    add(kind);
    add_without(kind, 0xc4, 0);
    add_without(kind, 0xc4, 1);
    add_without(kind, 0xdb, 0);
    add_without(kind, 0xdb, 1);
    if (kind->restart)
        add_without(kind, 0xdd, 0);
    if (kind->space == TEST_YCCK || kind->space == TEST_RGB)
        add_without(kind, 0xee, 0);
    an_buffer *file = add(kind);
    file->size -= file->size / 3;
}

static void add_altered(void)
{
    static const test_jpeg arithmetic = {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true};
    static const uint8_t adobe[] = "\xff\xee\0\x0e"
                                   "Adobe\0\x64\0\0\0\0\0";
    static const uint8_t profile[] = "\xff\xe2\0\x16"
                                     "ICC_PROFILE\0\1\2profil";
    static const uint8_t conditioning[] = "\xff\xcc\0\x06\0\x53\x10\x0a";
    an_buffer *file = add(&kinds[0]);
    file->data[test_jpeg_marker(file, 0xc0) + 4] = 12;               /* bits a sample */
    test_jpeg_insert(add_without(&kinds[0], 0xe0, 0), 2, adobe, 16); /* RGB, says the marker */
    test_jpeg_insert(add(&kinds[0]), 2, profile, 24);
    test_jpeg_insert(add(&arithmetic), 2, conditioning, 8); /* not what the data were made with */
    file = add(&kinds[1]);                                  /* tables alone */
    file->size = test_jpeg_marker(file, 0xda) + 2;
    file->data[file->size - 1] = 0xd9;
    assert_int_equal(an_buffer_append(add(&kinds[0]), "trailer", 7), AN_OK);
    files[count++] = (an_buffer){0}; /* empty */
    assert_int_equal(an_buffer_append(&files[count++], "no JPEG", 7), AN_OK);
}

/* A Huffman table with the code that is all ones, which the standard forbids. */
static void add_all_ones(void)
{
    static const uint8_t table[] = "\xff\xc4\0\x20\0"
                                   "\0\1\5\1\1\1\1\1\2\0\0\0\0\0\0\0"
                                   "\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc";
    an_buffer *file = add(&kinds[0]);
    test_jpeg_insert(file, test_jpeg_marker(file, 0xda), table, sizeof table - 1);
}

static void add_mutations(an_rng *rng)
{
    uint32_t sound = count;
    while (count < FILES_MAX - 4) {
        const an_buffer *from = &files[an_rng_below(rng, sound)];
        an_buffer *file = &files[count++];
        assert_int_equal(an_buffer_append(file, from->data, from->size), AN_OK);
        for (uint32_t n = file->size > 0 ? 3 : 0; n > 0; n--)
            file->data[an_rng_below(rng, (uint32_t)file->size)] ^= (uint8_t)(1u << an_rng_below(rng, 8));
    }
}

/* --- results --------------------------------------------------------------------------------------------------- */

typedef enum { WHOLE, SMALL, SQUARE, WINDOW, INFO, COEF, WAYS } way;

typedef struct {
    an_jpeg_decoder *decoder;
    an_coef_encoder *encoder;
} handles;

typedef struct {
    int rc;
    char message[AN_ERROR_MAX];
    an_jpeg_info info;
    an_buffer bytes; /* pixels, or a payload */
} result;

/* The rows and columns that are defined: the centred square, or all. */
static void take_pixels(const an_image *image, bool square, an_buffer *out)
{
    uint32_t width = image->width, height = image->height, side = width < height ? width : height;
    uint32_t x = square ? (width - side) / 2 : 0, y = square ? (height - side) / 2 : 0;
    for (uint32_t row = y; row < height - y; row++)
        assert_int_equal(an_buffer_append(out, image->pixels + 3 * ((size_t)row * width + x), 3 * (width - 2 * x)),
                         AN_OK);
}

static int decode_image(an_jpeg_decoder *decoder, way by, const an_buffer *file, result *out)
{
    an_image image = {0};
    uint32_t side = by == SMALL ? 16 : 0;
    int rc = by == SQUARE
                 ? an_jpeg_decode_square(decoder, file->data, file->size, side, 3, PIXELS_MAX, &image, &out->info)
                 : an_jpeg_decode(decoder, file->data, file->size, side, PIXELS_MAX, &image, &out->info);
    if (!rc)
        take_pixels(&image, by == SQUARE, &out->bytes);
    an_image_free(&image);
    return rc;
}

static int decode_window(an_jpeg_decoder *decoder, const an_buffer *file, result *out)
{
    const an_jpeg_window window = {19, 5, 40, 44, WIDTH, HEIGHT};
    assert_int_equal(an_buffer_reserve(&out->bytes, 40 * 44 * 3), AN_OK);
    int rc = an_jpeg_decode_window(decoder, file->data, file->size, &window, out->bytes.data, 120);
    out->bytes.size = rc ? 0 : 40 * 44 * 3;
    return rc;
}

/* A file to coef, and back to a JPEG; then pixels to coef. */
static int transcode(an_coef_encoder *encoder, const an_buffer *file, an_buffer *out)
{
    an_buffer payload = {0};
    an_image image = {0};
    int rc = an_coef_encode_jpeg(encoder, file->data, file->size, &payload);
    if (!rc) {
        assert_int_equal(an_buffer_append(out, payload.data, payload.size), AN_OK);
        assert_int_equal(an_coef_to_jpeg(encoder, payload.data, payload.size, out), AN_OK);
        test_image_make(&image, WIDTH, HEIGHT, 1);
        assert_int_equal(an_coef_encode_image(encoder, &image, 70, AN_JPEG_420, out), AN_OK);
        an_image_free(&image);
    }
    an_buffer_free(&payload);
    return rc;
}

static void decode(const handles *by, way how, const an_buffer *file, result *out)
{
    memset(out, 0, sizeof *out);
    if (how == WINDOW)
        out->rc = decode_window(by->decoder, file, out);
    else if (how == INFO)
        out->rc = an_jpeg_info_read(by->decoder, file->data, file->size, &out->info);
    else if (how == COEF)
        out->rc = transcode(by->encoder, file, &out->bytes);
    else
        out->rc = decode_image(by->decoder, how, file, out);
    if (out->rc) {
        memset(&out->info, 0, sizeof out->info);
        snprintf(out->message, sizeof out->message, "%s", an_error_message());
    }
}

static void assert_same(const result *a, const result *b, uint32_t file, way how, uint32_t before)
{
    if (a->rc != b->rc || strcmp(a->message, b->message) != 0)
        fail_msg("file %u by way %d after file %u: %d '%s' instead of %d '%s'", file, how, before, b->rc, b->message,
                 a->rc, a->message);
    assert_memory_equal(&a->info, &b->info, sizeof a->info);
    if (a->bytes.size != b->bytes.size || (a->bytes.size && memcmp(a->bytes.data, b->bytes.data, a->bytes.size) != 0))
        fail_msg("file %u by way %d after file %u: other pixels", file, how, before);
}

static void open_handles(handles *h, bool plain)
{
    assert_int_equal((plain ? an_jpeg_decoder_create_plain : an_jpeg_decoder_create)(&h->decoder), AN_OK);
    assert_int_equal(an_coef_encoder_create(&h->encoder), AN_OK);
}

static void close_handles(handles *h)
{
    an_jpeg_decoder_free(h->decoder);
    an_coef_encoder_free(h->encoder);
}

static result expected[FILES_MAX][WAYS];

static int setup(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(3, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_kind(&kinds[i]);
    add_altered();
    add_all_ones();
    add_mutations(&rng);
    for (uint32_t i = 0; i < count; i++)
        for (way how = 0; how < WAYS; how++) {
            handles h;
            open_handles(&h, true);
            decode(&h, how, &files[i], &expected[i][how]);
            close_handles(&h);
        }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        an_buffer_free(&files[i]);
        for (way how = 0; how < WAYS; how++)
            an_buffer_free(&expected[i][how].bytes);
    }
    return 0;
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

static void check_sequence(bool plain)
{
    an_rng rng = an_rng_make(5, AN_RNG_TEST, plain, 0);
    handles h;
    uint32_t before = count;
    open_handles(&h, plain);
    for (int i = 0; i < ROUNDS; i++) {
        result found;
        uint32_t file = an_rng_below(&rng, count);
        way how = (way)an_rng_below(&rng, WAYS);
        decode(&h, how, &files[file], &found);
        assert_same(&expected[file][how], &found, file, how, before);
        an_buffer_free(&found.bytes);
        before = file;
    }
    close_handles(&h);
}

static void test_any_order(void **state)
{
    (void)state;
    check_sequence(false);
}

static void test_any_order_by_libjpeg(void **state)
{
    (void)state;
    check_sequence(true);
}

/* The first kind's tables are the standard's, so its pixels are the same without them. Progressive files, and those
 * with tables of their own, have no such substitute. */
static void test_standard_huffman_tables(void **state)
{
    (void)state;
    handles h;
    result whole, bare;
    an_buffer file = {0};
    test_jpeg spec = kinds[0];
    spec.width = WIDTH;
    spec.height = HEIGHT;
    test_jpeg_make(&spec, 1, &file);
    open_handles(&h, false);
    for (int keep = 3; keep >= 0; keep--)
        for (way how = 0; how < WAYS; how++) {
            decode(&h, how, &file, &whole);
            an_buffer copy = {0};
            assert_int_equal(an_buffer_append(&copy, file.data, file.size), AN_OK);
            test_jpeg_strip(&copy, 0xc4, keep);
            decode(&h, how, &copy, &bare);
            assert_int_equal(whole.rc, AN_OK);
            assert_same(&whole, &bare, 0, how, 0);
            an_buffer_free(&copy);
            an_buffer_free(&whole.bytes);
            an_buffer_free(&bare.bytes);
        }
    close_handles(&h);
    an_buffer_free(&file);
}

static void check_missing(const test_jpeg *kind, uint8_t code, int keep, const char *reason)
{
    handles h;
    result found;
    an_buffer file = {0};
    test_jpeg spec = *kind;
    spec.width = WIDTH;
    spec.height = HEIGHT;
    test_jpeg_make(&spec, 1, &file);
    test_jpeg_strip(&file, code, keep);
    open_handles(&h, false);
    for (way how = 0; how < WAYS; how++) {
        decode(&h, how, &file, &found);
        if (how != INFO && (found.rc != AN_ECORRUPT || !strstr(found.message, reason)))
            fail_msg("by way %d: %d '%s'", how, found.rc, found.message);
        an_buffer_free(&found.bytes);
    }
    close_handles(&h);
    an_buffer_free(&file);
}

static void test_missing_tables(void **state)
{
    (void)state;
    check_missing(&kinds[0], 0xdb, 0, "quantization table 0x00 was not defined");
    check_missing(&kinds[0], 0xdb, 1, "quantization table 0x01 was not defined");
    check_missing(&kinds[11], 0xc4, 0, "huffman table 0x00 was not defined");
}

/* Where a library decodes in its threads, the program may change the environment at the same time. */
static void test_decoding_leaves_the_environment_alone(void **state)
{
    (void)state;
    handles h;
    looks = 0;
    open_handles(&h, true);
    assert_true(looks > 0); /* libjpeg-turbo's are seen here */
    looks = 0;
    for (way how = 0; how < WAYS; how++)
        for (uint32_t i = 0; i < count; i++) {
            result found;
            decode(&h, how, &files[i], &found);
            an_buffer_free(&found.bytes);
        }
    assert_int_equal(looks, 0);
    close_handles(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_any_order_by_libjpeg),
        cmocka_unit_test(test_standard_huffman_tables),
        cmocka_unit_test(test_missing_tables),
        cmocka_unit_test(test_decoding_leaves_the_environment_alone),
    };
    return cmocka_run_group_tests_name("jpeg_state", tests, setup, teardown);
}
