/* Codec coef against libjpeg-turbo's own decoder, in every SIMD tier that this processor has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/coef/coef.h"
#include "store/jpeg/jpeg.h"
#include "tests/store/coef/tiers.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

/* The whole picture as libjpeg-turbo decodes it by default. */
static uint8_t *reference(const an_buffer *file, uint32_t *width, uint32_t *height)
{
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct jpeg = {.err = jpeg_std_error(&errors)};
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, file->data, file->size);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    *width = jpeg.output_width;
    *height = jpeg.output_height;
    uint8_t *pixels = malloc((size_t)*width * *height * 3);
    assert_non_null(pixels);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = pixels + (size_t)jpeg.output_scanline * *width * 3;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return pixels;
}

/* A payload in memory of exactly its size, so that a sanitizer sees each byte read beyond it. */
typedef struct {
    an_buffer file;
    uint8_t *payload;
    size_t size;
    uint8_t *pixels;
    uint32_t width, height;
} sample;

static void make_sample(sample *s)
{
    an_buffer payload = {0};
    assert_int_equal(an_coef_encode_jpeg(coef_encoder, s->file.data, s->file.size, &payload), AN_OK);
    s->payload = malloc(payload.size);
    s->size = payload.size;
    assert_non_null(s->payload);
    memcpy(s->payload, payload.data, payload.size);
    an_buffer_free(&payload);
    s->pixels = reference(&s->file, &s->width, &s->height);
}

static sample sample_of(const test_jpeg *spec, uint32_t seed)
{
    sample s = {0};
    test_jpeg_make(spec, seed, &s.file);
    make_sample(&s);
    return s;
}

static void free_sample(sample *s)
{
    an_buffer_free(&s->file);
    free(s->payload);
    free(s->pixels);
}

static void compare_row(const sample *s, const an_window *w, uint32_t y, const uint8_t *rgb, int tier)
{
    const uint8_t *expected = s->pixels + ((size_t)(w->y + y) * s->width + w->x) * 3;
    for (uint32_t x = 0; x < w->width; x++) {
        uint32_t at = w->flip ? w->width - 1 - x : x;
        if (memcmp(rgb + 3 * (size_t)at, expected + 3 * (size_t)x, 3) != 0)
            fail_msg("%ux%u tier %d window %ux%u+%u+%u flip %d differs at %u, %u", s->width, s->height, tier, w->width,
                     w->height, w->x, w->y, w->flip, x, y);
    }
}

/* Decode a window in every tier into rows with a gap between them; the gap must stay as it was. */
static void check_window(const sample *s, const an_window *w)
{
    enum { GAP = 5 };
    size_t stride = (size_t)w->width * 3 + GAP, size = stride * w->height - GAP;
    uint8_t *out = malloc(size);
    assert_non_null(out);
    for (int t = 0; t < COEF_TIERS; t++) {
        if (!coef_decoders[t])
            continue;
        memset(out, 0xa5, size);
        assert_int_equal(an_coef_decode_window(coef_decoders[t], s->payload, s->size, w, out, stride), AN_OK);
        for (uint32_t y = 0; y < w->height; y++) {
            compare_row(s, w, y, out + y * stride, t);
            for (size_t i = (size_t)w->width * 3; i < stride && y + 1 < w->height; i++)
                assert_int_equal(out[y * stride + i], 0xa5);
        }
    }
    free(out);
}

static void check_some_windows(const sample *s, an_rng *rng, int count)
{
    check_window(s, &(an_window){0, 0, s->width, s->height, false});
    check_window(s, &(an_window){0, 0, s->width, s->height, true});
    for (int i = 0; i < count; i++) {
        an_window w = {.x = an_rng_below(rng, s->width), .y = an_rng_below(rng, s->height), .flip = i % 2};
        w.width = 1 + an_rng_below(rng, s->width - w.x);
        w.height = 1 + an_rng_below(rng, s->height - w.y);
        check_window(s, &w);
    }
}

static const struct {
    test_jpeg_space space;
    int horizontal, vertical;
} samplings[] = {{TEST_GREY, 1, 1}, {TEST_GREY, 2, 2}, {TEST_YCC, 1, 1}, {TEST_YCC, 2, 1}, {TEST_YCC, 2, 2}};

enum { SAMPLINGS = sizeof samplings / sizeof *samplings };

static test_jpeg spec_of(size_t sampling, uint32_t width, uint32_t height, int quality)
{
    return (test_jpeg){.width = width,
                       .height = height,
                       .space = samplings[sampling].space,
                       .horizontal = samplings[sampling].horizontal,
                       .vertical = samplings[sampling].vertical,
                       .quality = quality};
}

static void test_sizes(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1},   {1, 40},  {40, 1},   {2, 3},     {3, 2},   {4, 4},
                                        {5, 5},   {7, 9},   {8, 8},    {9, 8},     {15, 17}, {16, 16},
                                        {17, 33}, {31, 30}, {33, 17},  {64, 64},   {65, 63}, {127, 9},
                                        {96, 50}, {129, 2}, {100, 75}, {256, 256}, {300, 70}};
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < SAMPLINGS; k++) {
            test_jpeg spec = spec_of(k, sizes[i][0], sizes[i][1], 0);
            spec.progressive = (i + k) % 2;
            spec.restart = i % 3 == 0 ? 2 : 0;
            sample s = sample_of(&spec, (uint32_t)i);
            check_some_windows(&s, &rng, 6);
            free_sample(&s);
        }
}

static void test_qualities(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(2, AN_RNG_TEST, 0, 0);
    for (int quality = 1; quality <= 100; quality++) {
        test_jpeg spec = spec_of((size_t)quality % SAMPLINGS, 70, 52, quality);
        sample s = sample_of(&spec, (uint32_t)quality);
        check_some_windows(&s, &rng, 2);
        free_sample(&s);
    }
}

static void test_all_windows(void **state)
{
    (void)state;
    for (size_t k = 2; k < SAMPLINGS; k++) {
        test_jpeg spec = spec_of(k, 21, 18, 80);
        sample s = sample_of(&spec, 5);
        an_window w = {0};
        for (w.x = 0; w.x < s.width; w.x++)
            for (w.y = 0; w.y < s.height; w.y++)
                for (w.width = 1; w.width <= s.width - w.x; w.width++)
                    for (w.height = 1; w.height <= s.height - w.y; w.height += 1 + w.height / 3) {
                        w.flip = (w.width + w.height) % 2;
                        check_window(&s, &w);
                    }
        free_sample(&s);
    }
}

/* Black and white blocks and fine stripes at quality 100 give differences and coefficients that need more than a byte.
 */
static void test_wide_values(void **state)
{
    (void)state;
    an_image image = {0};
    assert_int_equal(an_image_set_size(&image, 83, 61), AN_OK);
    for (uint32_t i = 0; i < image.width * image.height; i++) {
        uint32_t x = i % image.width, y = i / image.width;
        int on = y < 30 ? (x / 8 + y / 8) % 2 : (x / 5 + y) % 2;
        memset(image.pixels + 3 * (size_t)i, on ? 255 : 0, 3);
        image.pixels[3 * (size_t)i + 1] ^= x > 40 && y % 16 < 7 ? 255 : 0;
    }
    an_jpeg_encoder *jpeg;
    assert_int_equal(an_jpeg_encoder_create(&jpeg), AN_OK);
    sample s = {0};
    assert_int_equal(an_jpeg_encode(jpeg, &image, 100, AN_JPEG_420, &s.file), AN_OK);
    make_sample(&s);
    an_rng rng = an_rng_make(3, AN_RNG_TEST, 0, 0);
    check_some_windows(&s, &rng, 60);
    free_sample(&s);
    an_jpeg_encoder_free(jpeg);
    an_image_free(&image);
}

typedef struct {
    const sample *sample;
    an_window window;
    uint32_t next;
    int tier;
} rows_context;

static void check_row(void *context, uint32_t y, const uint8_t *rgb)
{
    rows_context *c = context;
    assert_int_equal(y, c->next++);
    compare_row(c->sample, &c->window, y, rgb, c->tier);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t k = 0; k < SAMPLINGS; k++) {
        test_jpeg spec = spec_of(k, 90, 60, 0);
        sample s = sample_of(&spec, 9);
        for (int t = 0; t < COEF_TIERS; t++) {
            rows_context context = {&s, {13, 7, 70, 48, t % 2}, 0, t};
            if (coef_decoders[t])
                assert_int_equal(
                    an_coef_decode_rows(coef_decoders[t], s.payload, s.size, &context.window, check_row, &context),
                    AN_OK);
            assert_int_equal(context.next, coef_decoders[t] ? 48 : 0);
        }
        free_sample(&s);
    }
}

/* A smooth image if seed is even, noise if it is odd. */
static void fill_image(an_image *image, uint32_t width, uint32_t height, uint32_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 0, 0);
    assert_int_equal(an_image_set_size(image, width, height), AN_OK);
    for (uint32_t i = 0; i < width * height * 3; i++)
        image->pixels[i] =
            (uint8_t)(seed % 2 ? an_rng_below(&rng, 256) : i / 3 % width * 3 + i / 3 / width * 2 + i % 3 * 40);
}

/* Encoding an image directly gives the same payload as encoding it by way of a JPEG file. */
static void test_image_is_its_jpeg(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {7, 3}, {8, 8}, {9, 17}, {16, 16}, {33, 24}, {40, 41}, {72, 72}};
    static const int qualities[] = {1, 50, 90, 100};
    an_jpeg_encoder *jpeg;
    an_image image = {0};
    an_buffer file = {0}, expected = {0}, made = {0};
    assert_int_equal(an_jpeg_encoder_create(&jpeg), AN_OK);
    for (uint32_t i = 0; i < 2 * sizeof sizes / sizeof *sizes * 12; i++) {
        const uint32_t *size = sizes[i / 24];
        int quality = qualities[i / 6 % 4];
        an_jpeg_subsampling subsampling = (an_jpeg_subsampling)(i / 2 % 3);
        fill_image(&image, size[0], size[1], i);
        file.size = expected.size = made.size = 0;
        assert_int_equal(an_jpeg_encode(jpeg, &image, quality, subsampling, &file), AN_OK);
        assert_int_equal(an_coef_encode_jpeg(coef_encoder, file.data, file.size, &expected), AN_OK);
        assert_int_equal(an_coef_encode_image(coef_encoder, &image, quality, subsampling, &made), AN_OK);
        assert_int_equal(made.size, expected.size);
        assert_memory_equal(made.data, expected.data, made.size);
    }
    assert_int_equal(an_coef_encode_image(coef_encoder, &image, 101, AN_JPEG_420, &made), AN_EINVAL);
    assert_int_equal(an_coef_encode_image(coef_encoder, &image, 90, (an_jpeg_subsampling)3, &made), AN_EINVAL);
    an_jpeg_encoder_free(jpeg);
    an_image_free(&image);
    an_buffer_free(&file);
    an_buffer_free(&expected);
    an_buffer_free(&made);
}

/* coef -> jpeg -> coef gives the same bytes, and the jpeg has the same pixels. Both append to what the buffer holds. */
static void test_to_jpeg(void **state)
{
    (void)state;
    for (size_t k = 0; k < SAMPLINGS; k++)
        for (uint32_t side = 5; side < 80; side += 37) {
            test_jpeg spec = spec_of(k, side, side + 11, 85);
            spec.progressive = side > 40;
            sample s = sample_of(&spec, side);
            an_buffer jpeg = {0}, again = {0};
            assert_int_equal(an_buffer_append(&jpeg, "before", 6), AN_OK);
            assert_int_equal(an_coef_to_jpeg(coef_encoder, s.payload, s.size, &jpeg), AN_OK);
            assert_memory_equal(jpeg.data, "before", 6);
            an_buffer file = {.data = jpeg.data + 6, .size = jpeg.size - 6};
            assert_int_equal(an_coef_encode_jpeg(coef_encoder, file.data, file.size, &again), AN_OK);
            assert_int_equal(again.size, s.size);
            assert_memory_equal(again.data, s.payload, s.size);
            uint32_t width, height;
            uint8_t *pixels = reference(&file, &width, &height);
            assert_int_equal(width, s.width);
            assert_int_equal(height, s.height);
            assert_memory_equal(pixels, s.pixels, (size_t)width * height * 3);
            free(pixels);
            an_buffer_free(&jpeg);
            an_buffer_free(&again);
            free_sample(&s);
        }
}

/* The example of docs/record-format.md: a grey block of 8 x 8, DC 9 and coefficient 2 in zigzag order -1, table of
 * twos. */
static void test_bytes(void **state)
{
    (void)state;
    uint8_t payload[8 + 64 + 2 + 4 + 64] = {1, 0, 1, 0, 8, 0, 8, 0};
    memset(payload + 8, 2, 64);
    const uint8_t row[] = {4, 0, /* length */ 9, /* dc */ 1, /* map's length */ 2, /* map: bit 1 */ 1 /* crumb */};
    memcpy(payload + 72, row, sizeof row);
    an_coef_info info;
    assert_int_equal(an_coef_info_read(payload, sizeof payload, &info), AN_OK);
    assert_int_equal(info.width, 8);
    assert_int_equal(info.height, 8);
    assert_int_equal(info.sampling, AN_SAMPLING_GREY);
    for (int t = 0; t < COEF_TIERS; t++) {
        uint8_t out[8 * 8 * 3];
        if (!coef_decoders[t])
            continue;
        assert_int_equal(
            an_coef_decode_window(coef_decoders[t], payload, sizeof payload, &(an_window){0, 0, 8, 8, false}, out, 24),
            AN_OK);
        for (int i = 0; i < 64; i++) {
            /* 128 + 18 / 8 - 2 / sqrt(32) * cos((2 row + 1) pi / 16): 129.90 above to 130.60 below */
            assert_int_equal(out[3 * i], i / 8 < 6 ? 130 : 131);
            assert_int_equal(out[3 * i + 1], out[3 * i]);
            assert_int_equal(out[3 * i + 2], out[3 * i]);
        }
    }
    an_buffer jpeg = {0}, again = {0};
    assert_int_equal(an_coef_to_jpeg(coef_encoder, payload, sizeof payload, &jpeg), AN_OK);
    assert_int_equal(an_coef_encode_jpeg(coef_encoder, jpeg.data, jpeg.size, &again), AN_OK);
    assert_int_equal(again.size, sizeof payload);
    assert_memory_equal(again.data, payload, sizeof payload);
    an_buffer_free(&jpeg);
    an_buffer_free(&again);
}

static void test_unsupported(void **state)
{
    (void)state;
    static const test_jpeg kinds[] = {
        {.width = 40, .height = 30, .space = TEST_RGB, .horizontal = 1, .vertical = 1},
        {.width = 40, .height = 30, .space = TEST_CMYK, .horizontal = 1, .vertical = 1},
        {.width = 40, .height = 30, .space = TEST_YCCK, .horizontal = 2, .vertical = 2},
        {.width = 40, .height = 30, .space = TEST_YCC, .horizontal = 1, .vertical = 2},
        {.width = 40, .height = 30, .space = TEST_YCC, .horizontal = 4, .vertical = 1},
        {.width = 40,
         .height = 30,
         .space = TEST_YCC,
         .horizontal = 2,
         .vertical = 2,
         .dc_only = true,
         .progressive = true},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        an_buffer file = {0}, out = {0};
        test_jpeg_make(&kinds[i], 1, &file);
        assert_int_equal(an_buffer_append(&out, "kept", 4), AN_OK);
        assert_int_equal(an_coef_encode_jpeg(coef_encoder, file.data, file.size, &out), AN_EUNSUPPORTED);
        assert_message("keep it as jpeg");
        assert_int_equal(out.size, 4);
        an_buffer_free(&file);
        an_buffer_free(&out);
    }
}

static void test_damaged_jpeg(void **state)
{
    (void)state;
    test_jpeg spec = spec_of(4, 60, 50, 90);
    an_buffer file = {0}, out = {0};
    test_jpeg_make(&spec, 1, &file);
    for (size_t size = 0; size < file.size - 2; size += 1 + size / 5) {
        assert_int_equal(an_coef_encode_jpeg(coef_encoder, file.data, size, &out), AN_ECORRUPT);
        assert_message("JPEG");
        assert_int_equal(out.size, 0);
    }
    assert_int_equal(an_coef_encode_jpeg(coef_encoder, file.data, file.size, &out), AN_OK); /* the handle survived */
    an_buffer_free(&file);
    an_buffer_free(&out);
}

/* What is accepted decodes to libjpeg-turbo's pixels, whichever bits are flipped. */
static void test_flipped_jpeg(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(6, AN_RNG_TEST, 0, 0);
    test_jpeg spec = spec_of(4, 60, 50, 90);
    int accepted = 0;
    for (int i = 0; i < 1200; i++) {
        sample s = {0};
        an_buffer payload = {0};
        test_jpeg_make(&spec, 1, &s.file);
        s.file.data[an_rng_below(&rng, (uint32_t)s.file.size)] ^= (uint8_t)(1 << an_rng_below(&rng, 8));
        int rc = an_coef_encode_jpeg(coef_encoder, s.file.data, s.file.size, &payload);
        assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
        if (!rc && payload.data[4] == 60 && payload.data[6] == 50) {
            make_sample(&s);
            check_window(&s, &(an_window){0, 0, s.width, s.height, false});
            accepted++;
        }
        an_buffer_free(&payload);
        free_sample(&s);
    }
    assert_true(accepted > 20 && accepted < 1100);
}

static void test_window_outside(void **state)
{
    (void)state;
    test_jpeg spec = spec_of(4, 32, 24, 90);
    sample s = sample_of(&spec, 1);
    static const an_window outside[] = {
        {0, 0, 33, 1, false}, {0, 0, 1, 25, false},         {32, 0, 1, 1, false},
        {0, 24, 1, 1, false}, {0, 0, 0, 1, false},          {0, 0, 1, 0, false},
        {1, 0, 32, 1, false}, {1, 0, UINT32_MAX, 1, false}, {UINT32_MAX, 0, 2, 1, false}};
    uint8_t out[99];
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_int_equal(an_coef_decode_window(coef_decoders[0], s.payload, s.size, &outside[i], out, 99), AN_EINVAL);
        assert_message("not inside an image of 32x24");
    }
    free_sample(&s);
}

static void test_headers(void **state)
{
    (void)state;
    test_jpeg spec = spec_of(4, 32, 24, 90);
    sample s = sample_of(&spec, 1);
    static const struct {
        size_t at;
        uint8_t value;
        int code;
    } changes[] = {{0, 2, AN_EUNSUPPORTED}, {1, 4, AN_ECORRUPT},   {2, 0, AN_ECORRUPT}, {2, 4, AN_ECORRUPT},
                   {3, 1, AN_ECORRUPT},     {5, 255, AN_ECORRUPT}, {4, 0, AN_ECORRUPT}, {8 + 128, 1, AN_ECORRUPT}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t before = s.payload[changes[i].at], out[3];
        s.payload[changes[i].at] = changes[i].value;
        assert_int_equal(
            an_coef_decode_window(coef_decoders[0], s.payload, s.size, &(an_window){0, 0, 1, 1, false}, out, 3),
            changes[i].code);
        s.payload[changes[i].at] = before;
    }
    free_sample(&s);
}

/* Decode any bytes: the result does not matter, but a sanitizer sees accesses outside the buffers. */
static void use(const uint8_t *payload, size_t size, an_rng *rng, uint8_t *out)
{
    an_window w = {an_rng_below(rng, 50), an_rng_below(rng, 40), 20, 15, false};
    an_buffer jpeg = {0};
    for (int t = 0; t < COEF_TIERS; t++) {
        if (!coef_decoders[t])
            continue;
        int rc = an_coef_decode_window(coef_decoders[t], payload, size, &w, out, 60);
        assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED || rc == AN_EINVAL);
    }
    int rc = an_coef_to_jpeg(coef_encoder, payload, size, &jpeg);
    assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
    assert_true(!rc || jpeg.size == 0);
    an_buffer_free(&jpeg);
}

static void test_truncated(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(4, AN_RNG_TEST, 0, 0);
    test_jpeg spec = spec_of(4, 70, 55, 95);
    sample s = sample_of(&spec, 1);
    uint8_t out[60 * 15];
    for (size_t size = 0; size < s.size; size += 1 + size / 40) {
        uint8_t *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, s.payload, size);
        an_window w = {0, 0, 20, 15, false};
        assert_int_equal(an_coef_decode_window(coef_decoders[0], copy, size, &w, out, 60), AN_ECORRUPT);
        use(copy, size, &rng, out);
        free(copy);
    }
    free_sample(&s);
}

static void test_bit_flips(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, 0);
    uint8_t out[60 * 15];
    int damaged = 0;
    for (size_t k = 0; k < SAMPLINGS; k++) {
        test_jpeg spec = spec_of(k, 70, 55, 97);
        sample s = sample_of(&spec, (uint32_t)k);
        for (int i = 0; i < 1500; i++) {
            int flips = 1 + i % 3;
            size_t at[3];
            uint8_t kept[3];
            for (int f = 0; f < flips; f++) { /* half of them in the header, the lengths and the first row */
                at[f] = an_rng_below(&rng, i % 2 ? (uint32_t)s.size : 400);
                kept[f] = s.payload[at[f]];
                s.payload[at[f]] ^= (uint8_t)(1 << an_rng_below(&rng, 8));
            }
            an_window all = {0, 0, 20, 15, false};
            damaged += an_coef_decode_window(coef_decoders[0], s.payload, s.size, &all, out, 60) != 0;
            use(s.payload, s.size, &rng, out);
            for (int f = flips; f-- > 0;)
                s.payload[at[f]] = kept[f];
        }
        check_window(&s, &(an_window){0, 0, s.width, s.height, false});
        free_sample(&s);
    }
    assert_true(damaged > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_is_its_jpeg), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_qualities),         cmocka_unit_test(test_all_windows),
        cmocka_unit_test(test_wide_values),       cmocka_unit_test(test_rows),
        cmocka_unit_test(test_to_jpeg),           cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_unsupported),       cmocka_unit_test(test_damaged_jpeg),
        cmocka_unit_test(test_flipped_jpeg),      cmocka_unit_test(test_window_outside),
        cmocka_unit_test(test_headers),           cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bit_flips),
    };
    return cmocka_run_group_tests(tests, coef_set_up, coef_tear_down);
}
