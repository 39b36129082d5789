/* Every format has the outcome that docs/ingest.md promises. Every kind of PNG gives the right pixels, to the bit. */
#include <malloc.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "ingest/picture/describe_private.h"
#include "ingest/picture/picture_private.h"
#include "ingest/picture/png.h"
#include "ingest/run/run.h"
#include "store/dataset/dataset.h"
#include "tests/ingest/support.h"
#include "tests/store/jpeg_support.h"
#include "tests/store/message.h"

#define LIMIT ((uint64_t)1 << 20)

/* --- PNG ------------------------------------------------------------------------------------------------------- */

typedef struct {
    int colour, depth;
    bool interlaced, transparent; /* transparent: a tRNS chunk */
} png_kind;

static void append(png_structp png, png_bytep data, size_t size)
{
    assert_int_equal(an_buffer_append(png_get_io_ptr(png), data, size), AN_OK);
}

static void flush(png_structp png)
{
    (void)png;
}

/* Rows of samples as libpng takes them: 16-bit ones big-endian, each sample = (x * 37 + y * 11 + channel * 53) % 256.
 */
static uint8_t sample(uint32_t x, uint32_t y, uint32_t channel)
{
    return (uint8_t)(x * 37 + y * 11 + channel * 53);
}

static void make_png(const png_kind *kind, uint32_t width, uint32_t height, an_buffer *out)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color palette[256];
    png_byte alpha[256];
    uint8_t row[1024], *rows[64];
    uint32_t channels = kind->colour == PNG_COLOR_TYPE_RGB          ? 3
                        : kind->colour == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                        : kind->colour == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                                    : 1;
    png_set_write_fn(png, out, append, flush);
    png_set_IHDR(png, info, width, height, kind->depth, kind->colour,
                 kind->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    for (int i = 0; i < 256; i++) {
        palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
        alpha[i] = (png_byte)i;
    }
    if (kind->colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 256);
    if (kind->transparent)
        png_set_tRNS(png, info, alpha, 256, NULL);
    png_write_info(png, info);
    size_t bytes = (size_t)channels * (unsigned)kind->depth / 8;
    for (uint32_t y = 0; y < height; y++) {
        rows[y] = malloc(width * bytes);
        for (uint32_t x = 0; x < width; x++)
            for (uint32_t c = 0; c < channels; c++) {
                row[0] = row[1] = sample(x, y, c);
                memcpy(rows[y] + x * bytes + c * (unsigned)kind->depth / 8, row, (unsigned)kind->depth / 8);
            }
    }
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    for (uint32_t y = 0; y < height; y++)
        free(rows[y]);
}

static uint8_t over_white(uint8_t value, uint8_t alpha)
{
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

static void expected_pixel(const png_kind *kind, uint32_t x, uint32_t y, uint8_t out[3])
{
    uint8_t s[4] = {sample(x, y, 0), sample(x, y, 1), sample(x, y, 2), sample(x, y, 3)};
    uint8_t grey[3] = {s[0], s[0], s[0]}, palette[3] = {s[0], (uint8_t)(255 - s[0]), s[0] / 2};
    bool is_palette = kind->colour == PNG_COLOR_TYPE_PALETTE;
    const uint8_t *rgb = is_palette ? palette : kind->colour & PNG_COLOR_MASK_COLOR ? s : grey;
    uint8_t alpha = kind->transparent ? s[0] : kind->colour == PNG_COLOR_TYPE_RGB_ALPHA ? s[3] : s[1];
    bool has_alpha = kind->transparent || kind->colour & PNG_COLOR_MASK_ALPHA;
    for (int c = 0; c < 3; c++)
        out[c] = has_alpha ? over_white(rgb[c], alpha) : rgb[c];
}

static void test_png_kinds_to_the_bit(void **state)
{
    (void)state;
    static const png_kind kinds[] = {
        {PNG_COLOR_TYPE_RGB, 8, false, false},       {PNG_COLOR_TYPE_RGB, 8, true, false},
        {PNG_COLOR_TYPE_RGB, 16, true, false},       {PNG_COLOR_TYPE_RGB_ALPHA, 8, false, false},
        {PNG_COLOR_TYPE_RGB_ALPHA, 16, true, false}, {PNG_COLOR_TYPE_GRAY, 8, false, false},
        {PNG_COLOR_TYPE_GRAY, 16, true, false},      {PNG_COLOR_TYPE_GRAY_ALPHA, 8, true, false},
        {PNG_COLOR_TYPE_PALETTE, 8, false, false},   {PNG_COLOR_TYPE_PALETTE, 8, true, true},
    };
    an_buffer scratch = {0};
    an_image image = {0};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        an_buffer file = {0};
        make_png(&kinds[k], 23, 17, &file);
        assert_int_equal(an_png_decode(file.data, file.size, LIMIT, &scratch, &image), AN_OK);
        assert_int_equal(image.width, 23);
        assert_int_equal(image.height, 17);
        for (uint32_t y = 0; y < 17; y++)
            for (uint32_t x = 0; x < 23; x++) {
                uint8_t wanted[3];
                expected_pixel(&kinds[k], x, y, wanted);
                assert_memory_equal(image.pixels + 3 * (y * 23 + x), wanted, 3);
            }
        an_buffer_free(&file);
    }
    an_buffer_free(&scratch);
    an_image_free(&image);
}

#ifndef __SANITIZE_ADDRESS__ /* it needs more address space than the limit leaves */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* In a child: a row of 3 MB where 1 MB can be had. */
static int decode_with_little_memory(const an_buffer *file)
{
    an_buffer scratch = {0};
    an_image image = {0};
    struct rlimit limit;
    malloc_trim(0);
    if (getrlimit(RLIMIT_AS, &limit))
        return 1;
    if (setrlimit(RLIMIT_AS, &(struct rlimit){address_space() + (1u << 20), limit.rlim_max}))
        return 1;
    if (an_png_decode(file->data, file->size, 8 * LIMIT, &scratch, &image) != AN_ENOMEM)
        return 2;
    if (setrlimit(RLIMIT_AS, &limit))
        return 1;
    return an_png_decode(file->data, file->size, 8 * LIMIT, &scratch, &image) ? 3 : 0;
}

/* Want of memory is no damage: it must not set an image aside. */
static void test_png_without_memory(void **state)
{
    (void)state;
    int status;
    an_buffer file = {0};
    fixture_png(&file, 1000000, 1, 1);
    pid_t child = fork();
    if (child == 0)
        _exit(decode_with_little_memory(&file));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    an_buffer_free(&file);
}

#endif

/* What a PNG may have beside its picture: each kind so often that a library which keeps it takes much more memory than
 * the file. */
typedef struct {
    const char *name;
    const char *head; /* of the contents, and its size */
    size_t head_size;
    size_t zeros; /* that follow, compressed if `packed` */
    bool packed;
    int times;
    bool behind; /* the picture's data */
} png_extra;

#define MIB ((size_t)1 << 20)

static void put_chunk(an_buffer *out, const char *name, const void *data, size_t size)
{
    uint8_t word[4];
    an_bytes_put_key(word, 4, size);
    assert_int_equal(an_buffer_append(out, word, 4), AN_OK);
    size_t start = out->size;
    assert_int_equal(an_buffer_append(out, name, 4), AN_OK);
    assert_int_equal(an_buffer_append(out, data, size), AN_OK);
    an_bytes_put_key(word, 4, crc32(0, out->data + start, (uInt)(out->size - start)));
    assert_int_equal(an_buffer_append(out, word, 4), AN_OK);
}

static void put_zeros(an_buffer *out, size_t size, bool packed)
{
    uint8_t *zeros = calloc(1, size + 1);
    uLongf bound = compressBound(size);
    assert_non_null(zeros);
    assert_int_equal(an_buffer_reserve(out, out->size + bound + size), AN_OK);
    if (packed)
        assert_int_equal(compress2(out->data + out->size, &bound, zeros, size, 9), Z_OK);
    else
        memcpy(out->data + out->size, zeros, bound = size);
    out->size += bound;
    free(zeros);
}

/* A grey pixel of 0x55, with `surplus` more bytes of picture data, packed. */
static void make_png_with(const png_extra *extra, size_t surplus, an_buffer *out)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0};
    an_buffer contents = {0}, picture = {0};
    uint8_t *raw = calloc(1, surplus + 2);
    uLongf bound = compressBound(surplus + 2);
    assert_non_null(raw);
    raw[1] = 0x55;
    assert_int_equal(an_buffer_reserve(&picture, bound), AN_OK);
    assert_int_equal(compress2(picture.data, &bound, raw, surplus + 2, 9), Z_OK);
    assert_int_equal(an_buffer_append(&contents, extra->head, extra->head_size), AN_OK);
    put_zeros(&contents, extra->zeros, extra->packed);
    assert_int_equal(an_buffer_append(out, "\x89PNG\r\n\x1a\n", 8), AN_OK);
    put_chunk(out, "IHDR", header, sizeof(header));
    for (int i = 0; i < extra->times && !extra->behind; i++)
        put_chunk(out, extra->name, contents.data, contents.size);
    put_chunk(out, "IDAT", picture.data, bound);
    for (int i = 0; i < extra->times && extra->behind; i++)
        put_chunk(out, extra->name, contents.data, contents.size);
    put_chunk(out, "IEND", "", 0);
    an_buffer_free(&contents);
    an_buffer_free(&picture);
    free(raw);
}

#ifndef __SANITIZE_ADDRESS__
static const png_extra png_extras[] = {
    {"zTXt", "Comment\0\0", 9, 16 * MIB, true, 20, false},
    {"zTXt", "Comment\0\0", 9, 16 * MIB, true, 20, true},
    {"iTXt", "Comment\0\1\0\0\0", 12, 16 * MIB, true, 20, false},
    {"iCCP", "profile\0\0", 9, 16 * MIB, true, 20, false},
    {"tEXt", "Comment\0", 8, MIB, false, 20, false},
    {"sPLT", "palette\0\10", 9, 6 * MIB, false, 4, false},
    {"eXIf", "MM\0*", 4, 20 * MIB, false, 1, false},
    {"fdAT", "\0\0\0\1", 4, 16 * MIB, true, 20, true},
    {"abCd", "", 0, 20 * MIB, false, 1, false},
    {"hIST", "", 0, 512, false, 1000, false},
};

/* In a child, whose most memory so far is what it has now. */
static int decode_with_memory(const an_buffer *file, long kilobytes)
{
    an_buffer scratch = {0};
    an_image image = {0};
    struct rusage before, after;
    malloc_trim(0);
    if (getrusage(RUSAGE_SELF, &before))
        return 1;
    if (an_png_decode(file->data, file->size, LIMIT, &scratch, &image) || image.pixels[0] != 0x55)
        return 2;
    if (getrusage(RUSAGE_SELF, &after))
        return 1;
    return after.ru_maxrss - before.ru_maxrss > kilobytes ? 3 : 0;
}

static void test_png_extras_take_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(png_extras) / sizeof(png_extras[0]); i++) {
        int status;
        an_buffer file = {0};
        make_png_with(&png_extras[i], 0, &file);
        pid_t child = fork();
        if (child == 0)
            _exit(decode_with_memory(&file, 2048));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            fail_msg("%s: status %d", png_extras[i].name, status);
        an_buffer_free(&file);
    }
}

#endif

/* Rows that the header does not tell of are not unpacked for ever: 100 kB of them would be 100 MB. */
static void test_png_surplus(void **state)
{
    (void)state;
    static const png_extra nothing = {"abCd", "", 0, 0, false, 0, false};
    an_buffer file = {0}, scratch = {0};
    an_image image = {0};
    make_png_with(&nothing, 1000, &file);
    assert_int_equal(an_png_decode(file.data, file.size, LIMIT, &scratch, &image), AN_OK);
    file.size = 0;
    make_png_with(&nothing, 100 * MIB, &file);
    assert_in_range(file.size, 80000, 200000);
    assert_int_equal(an_png_decode(file.data, file.size, LIMIT, &scratch, &image), AN_ECORRUPT);
    assert_message("too much data behind the last row");
    an_buffer_free(&file);
    an_buffer_free(&scratch);
    an_image_free(&image);
}

static void test_png_damage(void **state)
{
    (void)state;
    an_buffer file = {0}, scratch = {0};
    an_image image = {0};
    fixture_png(&file, 40, 30, 1);
    assert_int_equal(an_png_decode(file.data, file.size, 40 * 30 - 1, &scratch, &image), AN_EUNSUPPORTED);
    for (size_t size = 0; size + 12 < file.size; size += 7) /* without the last chunk nothing is lost */
        assert_int_not_equal(an_png_decode(file.data, size, LIMIT, &scratch, &image), AN_OK);
    for (size_t i = 8; i < file.size; i++) { /* any answer, no crash */
        file.data[i] ^= 0x55;
        (void)an_png_decode(file.data, file.size, LIMIT, &scratch, &image);
        file.data[i] ^= 0x55;
    }
    assert_int_equal(an_png_decode(file.data, file.size, LIMIT, &scratch, &image), AN_OK);
    an_buffer_free(&file);
    an_buffer_free(&scratch);
    an_image_free(&image);
}

static void test_kind_of_file(void **state)
{
    (void)state;
    assert_string_equal(an_picture_describe((const uint8_t *)"RIFF\1\2\3\4WEBPVP8 ", 16), "WebP image");
    assert_string_equal(an_picture_describe((const uint8_t *)"GIF89a", 6), "GIF image");
    assert_string_equal(an_picture_describe((const uint8_t *)"BM", 2), "BMP image");
    assert_string_equal(an_picture_describe((const uint8_t *)"B", 1), "text");
    assert_string_equal(an_picture_describe((const uint8_t *)"\1\2\3", 3), "not an image");
    assert_string_equal(an_picture_describe((const uint8_t *)"", 0), "not an image");
    assert_null(an_picture_format_of((const uint8_t *)"\xff\xd8", 2));
    assert_ptr_equal(an_picture_format_of((const uint8_t *)"\xff\xd8\xff", 3), &an_picture_jpeg);
    assert_null(an_picture_format_of((const uint8_t *)"\x89PNG\r\n\x1a", 7));
    assert_ptr_equal(an_picture_format_of((const uint8_t *)"\x89PNG\r\n\x1a\n", 8), &an_picture_png);
}

/* --- the square of a JPEG -------------------------------------------------------------------------------------- */

/* Inside the square and its margin, the pixels are those of a full decode. */
static void assert_same_square(const an_image *whole, const an_image *square, uint32_t margin)
{
    assert_int_equal(whole->width, square->width);
    assert_int_equal(whole->height, square->height);
    uint32_t side = whole->width < whole->height ? whole->width : whole->height;
    uint32_t left = (whole->width - side) / 2, top = (whole->height - side) / 2;
    left = left > margin ? left - margin : 0;
    top = top > margin ? top - margin : 0;
    for (uint32_t y = top; y < whole->height - top; y++) {
        size_t at = 3 * ((size_t)y * whole->width + left);
        assert_memory_equal(whole->pixels + at, square->pixels + at, 3 * (whole->width - 2 * left));
    }
}

static void compare_square(an_jpeg_decoder *decoder, const an_buffer *file, uint32_t min_side)
{
    an_image whole = {0}, square = {0};
    an_jpeg_info info, square_info;
    assert_int_equal(an_jpeg_decode(decoder, file->data, file->size, min_side, LIMIT, &whole, &info), AN_OK);
    for (uint32_t margin = 0; margin < 12; margin += 3) {
        assert_int_equal(
            an_jpeg_decode_square(decoder, file->data, file->size, min_side, margin, LIMIT, &square, &square_info),
            AN_OK);
        assert_same_square(&whole, &square, margin);
        assert_int_equal(info.truncated, square_info.truncated);
        assert_int_equal(info.warnings, square_info.warnings);
        an_image_free(&square);
    }
    an_image_free(&whole);
}

static void test_square_equals_whole(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{200, 70}, {70, 200}, {131, 130}, {18, 3}, {3, 40}, {97, 41}, {400, 64}};
    static const test_jpeg kinds[] = {
        {.space = TEST_YCC, .horizontal = 2, .vertical = 2},
        {.space = TEST_YCC, .horizontal = 2, .vertical = 1},
        {.space = TEST_YCC, .horizontal = 1, .vertical = 2},
        {.space = TEST_YCC, .horizontal = 4, .vertical = 1},
        {.space = TEST_YCC, .horizontal = 1, .vertical = 1},
        {.space = TEST_GREY, .horizontal = 1, .vertical = 1},
        {.space = TEST_CMYK, .horizontal = 1, .vertical = 1},
        {.space = TEST_YCCK, .horizontal = 2, .vertical = 2},
        {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
        {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true},
        {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 3},
    };
    an_jpeg_decoder *decoder;
    assert_int_equal(an_jpeg_decoder_create(&decoder), AN_OK);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            an_buffer file = {0};
            test_jpeg spec = kinds[k];
            spec.width = sizes[s][0];
            spec.height = sizes[s][1];
            test_jpeg_make(&spec, (uint32_t)s, &file);
            compare_square(decoder, &file, 0);
            compare_square(decoder, &file, 16);
            compare_square(decoder, &file, 32);
            an_buffer_free(&file);
        }
    an_jpeg_decoder_free(decoder);
}

/* A file that was cut is noticed wherever that was, even if only pixels outside the square are missing. */
static void test_square_notices_truncation(void **state)
{
    (void)state;
    an_jpeg_decoder *decoder;
    an_buffer file = {0};
    an_image image = {0};
    an_jpeg_info info;
    test_jpeg_make(&(test_jpeg){.width = 64, .height = 300, .space = TEST_YCC, .horizontal = 2, .vertical = 2}, 1,
                   &file);
    assert_int_equal(an_jpeg_decoder_create(&decoder), AN_OK);
    for (size_t cut = 40; cut < file.size / 2; cut += file.size / 12) {
        assert_int_equal(an_jpeg_decode_square(decoder, file.data, file.size - cut, 0, 4, LIMIT, &image, &info), AN_OK);
        assert_true(info.truncated);
    }
    an_jpeg_decoder_free(decoder);
    an_image_free(&image);
    an_buffer_free(&file);
}

/* --- one of each ----------------------------------------------------------------------------------------------- */

static fixture f;

typedef struct {
    const char *name;
    test_jpeg jpeg;
    const char *reason; /* NULL: taken */
} odd_jpeg;

static const odd_jpeg jpegs[] = {
    {"420", {.space = TEST_YCC, .horizontal = 2, .vertical = 2}, NULL},
    {"422", {.space = TEST_YCC, .horizontal = 2, .vertical = 1}, NULL},
    {"411", {.space = TEST_YCC, .horizontal = 4, .vertical = 1}, NULL},
    {"444", {.space = TEST_YCC, .horizontal = 1, .vertical = 1}, NULL},
    {"progressive", {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true}, NULL},
    {"arithmetic", {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .arithmetic = true}, NULL},
    {"restart", {.space = TEST_YCC, .horizontal = 2, .vertical = 2, .restart = 2}, NULL},
    {"grey", {.space = TEST_GREY, .horizontal = 1, .vertical = 1}, NULL},
    {"rgb", {.space = TEST_RGB, .horizontal = 1, .vertical = 1}, NULL},
    {"cmyk", {.space = TEST_CMYK, .horizontal = 1, .vertical = 1}, NULL},
    {"ycck", {.space = TEST_YCCK, .horizontal = 1, .vertical = 1}, NULL},
};
#define JPEGS (sizeof(jpegs) / sizeof(jpegs[0]))

static void make_jpeg(const odd_jpeg *odd, an_buffer *out)
{
    test_jpeg spec = odd->jpeg;
    spec.width = 70;
    spec.height = 50;
    test_jpeg_make(&spec, 1, out);
}

static void put(const char *name, const void *data, size_t size)
{
    fixture_write(fixture_path(&f, "in/c/%s", name), data, size);
}

/* A JPEG with an EXIF segment that is nonsense, and one that claims 12 bits a sample. */
static void put_altered_jpegs(void)
{
    an_buffer file = {0}, exif = {0};
    make_jpeg(&jpegs[0], &file);
    assert_int_equal(an_buffer_append(&exif, file.data, 2), AN_OK);
    assert_int_equal(an_buffer_append(&exif,
                                      "\xff\xe1\0\x14"
                                      "Exif\0\0MM\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                      22),
                     AN_OK);
    assert_int_equal(an_buffer_append(&exif, file.data + 2, file.size - 2), AN_OK);
    put("corrupt-exif", exif.data, exif.size);
    file.data[test_jpeg_marker(&file, 0xc0) + 4] = 12;
    put("twelve-bit", file.data, file.size);
    an_buffer_free(&file);
    an_buffer_free(&exif);
}

static void put_everything(void)
{
    an_buffer file = {0};
    for (size_t i = 0; i < JPEGS; i++) {
        file.size = 0;
        make_jpeg(&jpegs[i], &file);
        put(jpegs[i].name, file.data, file.size);
    }
    file.size = 0;
    make_jpeg(&jpegs[0], &file);
    put("truncated", file.data, file.size * 2 / 3);
    put_altered_jpegs();
    file.size = 0;
    make_png(&(png_kind){PNG_COLOR_TYPE_RGB_ALPHA, 16, true, false}, 50, 40, &file);
    put("png", file.data, file.size);
    put("webp", "RIFF\1\2\3\4WEBPVP8 ", 16);
    put("gif", "GIF89a......", 12);
    put("bmp", "BM..........", 12);
    put("text", "hello\n", 6);
    put("empty", "", 0);
    an_buffer_free(&file);
}

static int expect_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    static const char *const expected[][2] = {
        {"c/truncated", "truncated"}, {"c/twelve-bit", ""}, {"c/webp", "WebP image"},  {"c/gif", "GIF image"},
        {"c/bmp", "BMP image"},       {"c/text", "(text)"}, {"c/empty", "empty file"},
    };
    (void)bytes;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        if (strcmp(name, expected[i][0]) == 0 && strstr(reason, expected[i][1])) {
            ++*(int *)context;
            return AN_OK;
        }
    fail_msg("'%s' was set aside: %s", name, reason);
    return AN_OK;
}

static void test_one_of_each(void **state)
{
    (void)state;
    char in[512], out[512];
    an_ingest_config config;
    an_ingest_outcome outcome;
    an_dataset *dataset;
    fixture_open(&f);
    put_everything();
    snprintf(in, sizeof(in), "%s", fixture_path(&f, "in"));
    snprintf(out, sizeof(out), "%s", fixture_path(&f, "out"));
    support_config(&config, 32);
    config.max_bad = "7";
    int rc = an_ingest_run(&config, in, out, &outcome);
    if (rc)
        fail_msg("%s", an_error_message());
    assert_int_equal(outcome.state.images, JPEGS + 2);
    assert_int_equal(outcome.state.set_aside, 7);
    an_ingest_outcome_free(&outcome);
    int rejects = 0;
    assert_int_equal(an_dataset_open(&dataset, out), AN_OK);
    assert_int_equal(an_dataset_rejects(dataset, expect_reject, &rejects), AN_OK);
    assert_int_equal(rejects, 7);
    an_dataset_free(dataset);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_kinds_to_the_bit), cmocka_unit_test(test_png_damage),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_png_without_memory),   cmocka_unit_test(test_png_extras_take_no_memory),
#endif
        cmocka_unit_test(test_png_surplus),          cmocka_unit_test(test_kind_of_file),
        cmocka_unit_test(test_square_equals_whole),  cmocka_unit_test(test_square_notices_truncation),
        cmocka_unit_test(test_one_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
