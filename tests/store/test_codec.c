/* Every codec through the interface that reading and writing datasets use. Runs once for each SIMD tier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

static an_encoder *encoder;
static an_decoder *decoder;

static int setup(void **state)
{
    (void)state;
    return an_encoder_create(&encoder) || an_decoder_create(&decoder);
}

static int teardown(void **state)
{
    (void)state;
    an_encoder_free(encoder);
    an_decoder_free(decoder);
    return 0;
}

static void encode(const an_image *image, an_codec codec, an_jpeg_subsampling subsampling, an_buffer *out)
{
    an_codec_options options = {codec, 90, subsampling};
    out->size = 0;
    if (an_encoder_encode(encoder, image, &options, out))
        fail_msg("%s", an_error_message());
}

static an_record record_of(const an_image *image, an_codec codec, const an_buffer *payload)
{
    return (an_record){
        .header = {.codec = codec, .width = image->width, .height = image->height, .length = (uint32_t)payload->size},
        .payload = payload->data};
}

static int clamp(int v)
{
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* ----------------------------------------------- yuv420, a second time, straight from docs/record-format.md ---- */

static int at(const uint8_t *plane, int width, int height, int x, int y)
{
    x = x < 0 ? 0 : x >= width ? width - 1 : x;
    y = y < 0 ? 0 : y >= height ? height - 1 : y;
    return plane[y * width + x];
}

/* Chroma at pixel x, y: 9/16 the sample that covers it, 3/16 its nearer neighbours, 1/16 the diagonal one. */
static int chroma_at(const uint8_t *plane, int width, int height, int x, int y)
{
    int cx = x / 2, cy = y / 2, nx = x % 2 ? cx + 1 : cx - 1, ny = y % 2 ? cy + 1 : cy - 1;
    int here = 3 * at(plane, width, height, cx, cy) + at(plane, width, height, cx, ny);
    int beside = 3 * at(plane, width, height, nx, cy) + at(plane, width, height, nx, ny);
    return (3 * here + beside + (x % 2 ? 7 : 8)) >> 4;
}

static void expected_pixel(const an_record *record, int x, int y, uint8_t rgb[3])
{
    int width = (int)record->header.width, height = (int)record->header.height;
    int cw = (width + 1) / 2, ch = (height + 1) / 2;
    const uint8_t *cb = record->payload + width * height, *cr = cb + cw * ch;
    int luma = record->payload[y * width + x];
    int b = chroma_at(cb, cw, ch, x, y) - 128, r = chroma_at(cr, cw, ch, x, y) - 128;
    rgb[0] = (uint8_t)clamp(luma + ((91881 * r + 32768) >> 16));
    rgb[1] = (uint8_t)clamp(luma + ((-22554 * b - 46802 * r + 32768) >> 16));
    rgb[2] = (uint8_t)clamp(luma + ((116130 * b + 32768) >> 16));
}

static void test_yuv420_planes(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer payload = {0};
    test_image_make(&image, 7, 5, 1);
    encode(&image, AN_CODEC_YUV420, AN_JPEG_420, &payload);
    assert_int_equal(payload.size, 35 + 2 * 4 * 3);
    for (int i = 0; i < 35; i++) {
        const uint8_t *p = image.pixels + 3 * i;
        assert_int_equal(payload.data[i], (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16);
    }
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 4; x++) {
            int sum[3] = {0};
            for (int i = 0; i < 4; i++) { /* the edge counts twice where the size is odd */
                int px = 2 * x + i % 2, py = 2 * y + i / 2;
                for (int c = 0; c < 3; c++)
                    sum[c] += image.pixels[((py > 4 ? 4 : py) * 7 + (px > 6 ? 6 : px)) * 3 + c];
            }
            int offset = (128 << 18) + (1 << 17) - 1;
            int cb = (-11059 * sum[0] - 21709 * sum[1] + 32768 * sum[2] + offset) >> 18;
            int cr = (32768 * sum[0] - 27439 * sum[1] - 5329 * sum[2] + offset) >> 18;
            assert_int_equal(payload.data[35 + 4 * y + x], cb);
            assert_int_equal(payload.data[47 + 4 * y + x], cr);
        }
    an_buffer_free(&payload);
    an_image_free(&image);
}

/* The corners of the colour cube come back; chroma does not wrap around. */
static void test_yuv420_corners(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer payload = {0};
    uint8_t out[4 * 4 * 3];
    assert_int_equal(an_image_set_size(&image, 4, 4), AN_OK);
    for (int corner = 0; corner < 8; corner++) {
        for (int i = 0; i < 48; i++)
            image.pixels[i] = corner >> i % 3 & 1 ? 255 : 0;
        encode(&image, AN_CODEC_YUV420, AN_JPEG_420, &payload);
        an_record record = record_of(&image, AN_CODEC_YUV420, &payload);
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 4, 4, out, 12), AN_OK);
        for (int i = 0; i < 48; i++)
            assert_in_range(out[i] + 2, image.pixels[i], image.pixels[i] + 4);
    }
    an_buffer_free(&payload);
    an_image_free(&image);
}

/* Any bytes are a picture: chroma at its extremes too. Exactly the record's bytes are readable. */
static void check_yuv420(uint32_t width, uint32_t height, an_rng *rng, int windows)
{
    size_t size = (size_t)width * height + 2 * (size_t)((width + 1) / 2) * ((height + 1) / 2);
    uint8_t *payload = malloc(size), *out = malloc((size_t)width * height * 3);
    assert_true(payload && out);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)an_rng_u32(rng);
    an_record record = {{.codec = AN_CODEC_YUV420, .width = width, .height = height, .length = (uint32_t)size},
                        payload};
    for (int i = 0; i < windows; i++) {
        uint32_t w = 1 + an_rng_below(rng, width), h = 1 + an_rng_below(rng, height);
        uint32_t x = an_rng_below(rng, width - w + 1), y = an_rng_below(rng, height - h + 1);
        assert_int_equal(an_decoder_window(decoder, &record, x, y, w, h, out, w * 3), AN_OK);
        for (uint32_t r = 0; r < h; r++)
            for (uint32_t c = 0; c < w; c++) {
                uint8_t expected[3];
                expected_pixel(&record, (int)(x + c), (int)(y + r), expected);
                assert_memory_equal(out + ((size_t)r * w + c) * 3, expected, 3);
            }
    }
    free(payload);
    free(out);
}

static void test_yuv420_windows(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, 0);
    for (uint32_t side = 1; side < 12; side++)
        check_yuv420(side, 12 - side, &rng, 20);
    check_yuv420(256, 64, &rng, 10);
    check_yuv420(131, 77, &rng, 10);
}

/* Each of the 65536 pairs of chroma, with three values of luma. */
static void test_yuv420_colours(void **state)
{
    (void)state;
    static uint8_t payload[512 * 512 * 3 / 2], out[512 * 512 * 3];
    an_record record = {{.codec = AN_CODEC_YUV420, .width = 512, .height = 512, .length = sizeof payload}, payload};
    static const uint8_t lumas[] = {0, 131, 255};
    for (int i = 0; i < 3; i++) {
        memset(payload, lumas[i], 512 * 512);
        for (int p = 0; p < 256 * 256; p++) {
            payload[512 * 512 + p] = (uint8_t)(p % 256);
            payload[512 * 512 + 65536 + p] = (uint8_t)(p / 256);
        }
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 512, 512, out, 512 * 3), AN_OK);
        for (int p = 0; p < 512 * 512; p++) {
            uint8_t expected[3];
            expected_pixel(&record, p % 512, p / 512, expected);
            if (memcmp(out + 3 * p, expected, 3) != 0)
                fail_msg("pixel %d, luma %d differs", p, lumas[i]);
        }
    }
}

/* ---------------------------------------------------------------------------------------------- every codec ---- */

static const struct {
    an_codec codec;
    an_jpeg_subsampling subsampling;
    int tolerance; /* mean difference to what was encoded */
} codecs[] = {
    {AN_CODEC_RGB, AN_JPEG_420, 0},  {AN_CODEC_YUV420, AN_JPEG_420, 9}, {AN_CODEC_JPEG, AN_JPEG_420, 10},
    {AN_CODEC_JPEG, AN_JPEG_422, 9}, {AN_CODEC_JPEG, AN_JPEG_444, 7},   {AN_CODEC_COEF, AN_JPEG_420, 10},
    {AN_CODEC_COEF, AN_JPEG_422, 9}, {AN_CODEC_COEF, AN_JPEG_444, 7},
};
enum { CODECS = sizeof codecs / sizeof *codecs };

static void check_close(const an_image *image, const uint8_t *back, int tolerance)
{
    size_t size = (size_t)image->width * image->height * 3, sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (size_t)abs(image->pixels[i] - back[i]);
    assert_true(sum <= (size_t)tolerance * size);
}

/* A window equals the same part of the whole; bytes beside it stay. */
static void check_windows(const an_record *record, const uint8_t *whole, an_rng *rng)
{
    uint32_t width = record->header.width, height = record->header.height;
    uint8_t *out = malloc((size_t)height * (width * 3 + 5));
    assert_non_null(out);
    for (int i = 0; i < 12; i++) {
        uint32_t w = 1 + an_rng_below(rng, width), h = 1 + an_rng_below(rng, height);
        uint32_t x = an_rng_below(rng, width - w + 1), y = an_rng_below(rng, height - h + 1);
        size_t stride = w * 3 + 5;
        memset(out, 0x5a, h * stride);
        assert_int_equal(an_decoder_window(decoder, record, x, y, w, h, out, stride), AN_OK);
        for (uint32_t r = 0; r < h; r++) {
            assert_memory_equal(out + r * stride, whole + ((size_t)(y + r) * width + x) * 3, w * 3);
            assert_memory_equal(out + r * stride + w * 3, "\x5a\x5a\x5a\x5a\x5a", 5);
        }
    }
    free(out);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const uint32_t sides[][2] = {{1, 1}, {2, 3}, {16, 16}, {17, 33}, {40, 24}, {129, 63}};
    an_rng rng = an_rng_make(6, AN_RNG_TEST, 0, 0);
    an_image image = {0};
    an_buffer payload = {0};
    static uint8_t whole[129 * 63 * 3];
    for (int c = 0; c < CODECS; c++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
            test_image_make(&image, sides[s][0], sides[s][1], 9);
            encode(&image, codecs[c].codec, codecs[c].subsampling, &payload);
            an_record record = record_of(&image, codecs[c].codec, &payload);
            assert_int_equal(
                an_decoder_window(decoder, &record, 0, 0, image.width, image.height, whole, image.width * 3), AN_OK);
            if (image.width > 16) /* smaller ones are all edges to a lossy codec */
                check_close(&image, whole, codecs[c].tolerance);
            check_windows(&record, whole, &rng);
        }
    an_buffer_free(&payload);
    an_image_free(&image);
}

static void test_appended(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer payload = {0}, out = {0};
    test_image_make(&image, 20, 20, 3);
    for (int c = 0; c < CODECS; c++) {
        an_codec_options options = {codecs[c].codec, 90, codecs[c].subsampling};
        encode(&image, codecs[c].codec, codecs[c].subsampling, &payload);
        out.size = 0;
        assert_int_equal(an_buffer_append(&out, "before", 6), AN_OK);
        assert_int_equal(an_encoder_encode(encoder, &image, &options, &out), AN_OK);
        assert_int_equal(out.size, payload.size + 6);
        assert_memory_equal(out.data, "before", 6);
        assert_memory_equal(out.data + 6, payload.data, payload.size);
    }
    an_buffer_free(&payload);
    an_buffer_free(&out);
    an_image_free(&image);
}

static void test_windows_refused(void **state)
{
    (void)state;
    static const uint32_t bad[][4] = {{0, 0, 0, 1},          {0, 0, 1, 0},         {20, 0, 1, 1}, {0, 20, 1, 1},
                                      {19, 0, 2, 1},         {0, 19, 1, 2},        {0, 0, 21, 1}, {0, 0, 1, 21},
                                      {UINT32_MAX, 0, 2, 1}, {1, 1, UINT32_MAX, 1}};
    an_image image = {0};
    an_buffer payload = {0};
    uint8_t out[20 * 20 * 3];
    test_image_make(&image, 20, 20, 3);
    for (int c = 0; c < CODECS; c++) {
        encode(&image, codecs[c].codec, codecs[c].subsampling, &payload);
        an_record record = record_of(&image, codecs[c].codec, &payload);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(an_decoder_window(decoder, &record, bad[i][0], bad[i][1], bad[i][2], bad[i][3], out, 60),
                             AN_EINVAL);
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 20, 1, out, 59), AN_EINVAL);
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 20, 20, out, 60), AN_OK);
    }
    an_buffer_free(&payload);
    an_image_free(&image);
}

/* A payload that does not have the record's size. */
static void test_sizes_refused(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer payload = {0};
    uint8_t out[3];
    test_image_make(&image, 20, 20, 3);
    for (int c = 0; c < CODECS; c++) {
        encode(&image, codecs[c].codec, codecs[c].subsampling, &payload);
        an_record record = record_of(&image, codecs[c].codec, &payload);
        record.header.width = 19;
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 1, 1, out, 3), AN_ECORRUPT);
        record.header.width = 20;
        record.header.height = 22;
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 1, 1, out, 3), AN_ECORRUPT);
        record.header.height = 20;
        record.header.length = 1;
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 1, 1, out, 3), AN_ECORRUPT);
    }
    an_record record = record_of(&image, (an_codec)77, &payload);
    assert_int_equal(an_decoder_window(decoder, &record, 0, 0, 1, 1, out, 3), AN_EUNSUPPORTED);
    assert_message("codec 77");
    an_buffer_free(&payload);
    an_image_free(&image);
}

static void test_encode_refused(void **state)
{
    (void)state;
    an_image image = {0};
    an_buffer out = {0};
    an_codec_options options = {AN_CODEC_RGB, 90, AN_JPEG_420};
    for (int c = 0; c < CODECS; c++) {
        options.codec = codecs[c].codec;
        assert_int_equal(an_encoder_encode(encoder, &image, &options, &out), AN_EINVAL);
    }
    test_image_make(&image, 20, 20, 3);
    options.codec = (an_codec)0;
    assert_int_equal(an_encoder_encode(encoder, &image, &options, &out), AN_EINVAL);
    options = (an_codec_options){AN_CODEC_COEF, 0, AN_JPEG_420};
    assert_int_equal(an_encoder_encode(encoder, &image, &options, &out), AN_EINVAL);
    assert_int_equal(out.size, 0);
    an_buffer_free(&out);
    an_image_free(&image);
}

/* Damage that a checksum would have found: any answer but a crash. */
static void test_mutations(void **state)
{
    (void)state;
    an_rng rng = an_rng_make(8, AN_RNG_TEST, 0, 0);
    an_image image = {0};
    an_buffer payload = {0};
    uint8_t out[30 * 30 * 3];
    test_image_make(&image, 45, 37, 3);
    for (int c = 0; c < CODECS; c++) {
        encode(&image, codecs[c].codec, codecs[c].subsampling, &payload);
        uint8_t *copy = malloc(payload.size);
        assert_non_null(copy);
        for (int i = 0; i < 300; i++) {
            memcpy(copy, payload.data, payload.size);
            for (uint32_t n = 1 + an_rng_below(&rng, 4); n > 0; n--)
                copy[an_rng_below(&rng, (uint32_t)payload.size)] ^= (uint8_t)(1 << an_rng_below(&rng, 8));
            an_record record = record_of(&image, codecs[c].codec, &payload);
            record.payload = copy;
            uint32_t x = an_rng_below(&rng, 16), y = an_rng_below(&rng, 8);
            int rc = an_decoder_window(decoder, &record, x, y, 30, 30, out, 90);
            assert_true(!rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED);
        }
        free(copy);
    }
    an_buffer_free(&payload);
    an_image_free(&image);
}

/* --------------------------------------------------------------------------------------- the table of codecs ---- */

/* Nothing here names a codec: a new row is tested by being there. */
static void test_table(void **state)
{
    (void)state;
    unsigned before = 0;
    assert_true(an_codec_count() > 0);
    for (size_t i = 0; i < an_codec_count(); i++) {
        an_codec codec = an_codec_at(i), found;
        const char *name = an_codec_name(codec);
        assert_true((unsigned)codec > before && (unsigned)codec <= UINT8_MAX);
        before = (unsigned)codec;
        assert_true(an_codec_known(before));
        assert_int_equal(an_codec_from_name(name, &found), AN_OK);
        assert_int_equal(found, codec);
        assert_int_equal(an_codec_from_name("none", &found), AN_EINVAL);
        assert_message(name);
        bool tested = false;
        for (int c = 0; c < CODECS; c++)
            tested = tested || codecs[c].codec == codec;
        if (!tested)
            fail_msg("%s is not in this file's list of codecs and tolerances", name);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    for (unsigned number = 0; number <= UINT8_MAX; number++) {
        bool known = false;
        for (size_t i = 0; i < an_codec_count(); i++)
            known = known || (unsigned)an_codec_at(i) == number;
        assert_int_equal(an_codec_known(number), known);
        if (known)
            continue;
        assert_string_equal(an_codec_name((an_codec)number), "?");
        assert_false(an_codec_lossless((an_codec)number, (an_codec)number));
        assert_false(an_codec_has_rows((an_codec)number));
    }
}

typedef struct {
    const uint8_t *whole; /* the record's pixels */
    uint32_t x, y, width, record_width, rows;
    bool mirrored; /* as the rows come */
} rows_check;

static void check_row(void *context, uint32_t y, const uint8_t *rgb)
{
    rows_check *c = context;
    assert_int_equal(y, c->rows++);
    for (uint32_t i = 0; i < c->width; i++) {
        uint32_t x = c->x + (c->mirrored ? c->width - 1 - i : i);
        assert_memory_equal(rgb + 3 * i, c->whole + ((size_t)(c->y + y) * c->record_width + x) * 3, 3);
    }
}

/* Row by row the pixels are those of the window, mirrored by the codec or left as they are: a codec does always one or
 * always the other, so a first pass tells which. */
static void test_rows(void **state)
{
    (void)state;
    enum { WIDTH = 45, HEIGHT = 37 };
    static uint8_t whole[WIDTH * HEIGHT * 3];
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 0, 0);
    an_image image = {0};
    an_buffer payload = {0};
    test_image_make(&image, WIDTH, HEIGHT, 4);
    for (size_t i = 0; i < an_codec_count(); i++) {
        an_codec codec = an_codec_at(i);
        encode(&image, codec, AN_JPEG_420, &payload);
        an_record record = record_of(&image, codec, &payload);
        bool mirror = false;
        rows_check c = {.whole = whole, .record_width = WIDTH};
        if (!an_codec_has_rows(codec)) {
            assert_int_equal(an_decoder_rows(decoder, &record, 0, 0, 1, 1, &mirror, check_row, &c), AN_EUNSUPPORTED);
            continue;
        }
        assert_int_equal(an_decoder_window(decoder, &record, 0, 0, WIDTH, HEIGHT, whole, (size_t)WIDTH * 3), AN_OK);
        c.width = 1; /* mirrored or not, one pixel is the same */
        mirror = true;
        assert_int_equal(an_decoder_rows(decoder, &record, 0, 0, 1, 1, &mirror, check_row, &c), AN_OK);
        bool mirrors = !mirror;
        for (int n = 0; n < 40; n++) {
            uint32_t w = 1 + an_rng_below(&rng, WIDTH), h = 1 + an_rng_below(&rng, HEIGHT);
            bool wanted = n % 2;
            c = (rows_check){.whole = whole, .record_width = WIDTH, .width = w, .mirrored = wanted && mirrors};
            c.x = an_rng_below(&rng, WIDTH - w + 1);
            c.y = an_rng_below(&rng, HEIGHT - h + 1);
            mirror = wanted;
            assert_int_equal(an_decoder_rows(decoder, &record, c.x, c.y, w, h, &mirror, check_row, &c), AN_OK);
            assert_int_equal(c.rows, h);
            assert_int_equal(mirror, wanted && !mirrors);
        }
        record.header.width = WIDTH + 1;
        assert_int_equal(an_decoder_rows(decoder, &record, 0, 0, 1, 1, &mirror, check_row, &c), AN_ECORRUPT);
        assert_int_equal(an_decoder_rows(decoder, &record, 0, 0, WIDTH + 2, 1, &mirror, check_row, &c), AN_EINVAL);
    }
    an_buffer_free(&payload);
    an_image_free(&image);
}

/* Between every two codecs: where the table says that nothing is lost, nothing is. */
static void test_conversions(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    static uint8_t before[SIDE * SIDE * 3], after[SIDE * SIDE * 3];
    an_image image = {0};
    an_buffer payload = {0}, converted = {0};
    test_image_make(&image, SIDE, SIDE, 4);
    for (size_t a = 0; a < an_codec_count(); a++)
        for (size_t b = 0; b < an_codec_count(); b++) {
            an_codec from = an_codec_at(a), to = an_codec_at(b);
            encode(&image, from, AN_JPEG_420, &payload);
            converted.size = 0;
            int rc = an_encoder_convert(encoder, from, payload.data, payload.size, to, &converted);
            assert_int_equal(rc, an_codec_lossless(from, to) ? AN_OK : AN_EUNSUPPORTED);
            assert_int_equal(an_codec_lossless(from, to), an_codec_lossless(to, from));
            assert_true(a != b || an_codec_lossless(from, to));
            if (rc)
                continue;
            an_record one = record_of(&image, from, &payload), other = record_of(&image, to, &converted);
            assert_int_equal(an_decoder_window(decoder, &one, 0, 0, SIDE, SIDE, before, SIDE * 3), AN_OK);
            assert_int_equal(an_decoder_window(decoder, &other, 0, 0, SIDE, SIDE, after, SIDE * 3), AN_OK);
            assert_memory_equal(before, after, sizeof before);
        }
    assert_true(an_codec_lossless(AN_CODEC_JPEG, AN_CODEC_COEF));
    assert_false(an_codec_lossless(AN_CODEC_RGB, AN_CODEC_JPEG));
    an_buffer_free(&payload);
    an_buffer_free(&converted);
    an_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yuv420_planes),
        cmocka_unit_test(test_yuv420_corners),
        cmocka_unit_test(test_yuv420_windows),
        cmocka_unit_test(test_yuv420_colours),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_appended),
        cmocka_unit_test(test_windows_refused),
        cmocka_unit_test(test_sizes_refused),
        cmocka_unit_test(test_encode_refused),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_conversions),
    };
    return cmocka_run_group_tests_name("codec", tests, setup, teardown);
}
