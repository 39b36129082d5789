/* Codec coef against libjpeg-turbo, on one core, from memory.
 *
 *     bench_coef FOLDER [SIDE [QUALITY]]    times and sizes; by default 256 and 90
 *     bench_coef FOLDER check [SIDE]        how many samples differ from libjpeg-turbo's, over all tiers and the
 *                                           arithmetic of the kernels for devices, three samplings and three qualities
 *
 * Every JPEG file below FOLDER is decoded, its centre square scaled to SIDE x SIDE and encoded again, 4:2:0. What is
 * timed is decoding a random window of 7/8 of the side (224 of 256); coef mirrors every second one. All contenders take
 * turns, each with a pass over all images; the median pass is printed. The loop with libjpeg-turbo skips and crops
 * scanlines, stops after the last one, and asks for rows at odd addresses: at aligned ones libjpeg-turbo uses stores
 * that bypass the cache, and takes half as much time again once somebody reads the pixels. Cycles are those of the
 * time-stamp counter, for whole images. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <x86intrin.h>

#include <jpeglib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "benchmarks/bench_coef_device.h"
#include "store/coef/coef.h"
#include "store/coef/format.h"
#include "store/coef/unpack.h"
#include "store/image/planes/kernels.h"
#include "store/image/resize.h"
#include "store/jpeg/jpeg.h"

enum { FILES_MAX = 4000, PASSES = 9, TIERS = 3, LIMIT = TIERS, JPEG, ENCODE, BACK, CONTENDERS, STAGES = 4 };

typedef struct {
    char *path;
    an_image image;
    an_buffer jpeg, coef;
    an_window window;
} sample;

static sample samples[FILES_MAX];
static size_t count;
static an_coef_decoder *decoders[TIERS]; /* NULL: this processor lacks it */
static an_coef_encoder *encoder;
static an_jpeg_decoder *jpeg_decoder; /* the store's decoder, which uses libjpeg-turbo for unusual files only */
static struct jpeg_decompress_struct turbo;
static uint8_t *out;

static int visit(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)walk;
    const char *dot = strrchr(path, '.');
    if (kind != FTW_F || !dot || (strcasecmp(dot, ".jpg") != 0 && strcasecmp(dot, ".jpeg") != 0) || count == FILES_MAX)
        return 0;
    samples[count].path = strdup(path);
    return samples[count++].path ? 0 : -1;
}

static int load(sample *s, an_jpeg_decoder *decoder, an_resizer *resizer, uint32_t side)
{
    an_buffer file = {0};
    an_image whole = {0};
    int rc = an_file_read(s->path, 1u << 28, &file);
    if (!rc)
        rc = an_jpeg_decode(decoder, file.data, file.size, side, 1u << 28, &whole, NULL);
    if (!rc)
        rc = an_resizer_square(resizer, &whole, side, AN_FILTER_TRIANGLE, &s->image);
    an_buffer_free(&file);
    an_image_free(&whole);
    return rc;
}

static int load_all(const char *folder, uint32_t side)
{
    an_jpeg_decoder *decoder = NULL;
    an_resizer *resizer = NULL;
    if (nftw(folder, visit, 16, FTW_PHYS) || count == 0)
        return an_error(AN_ENOTFOUND, "no JPEG files below '%s'", folder);
    int rc = an_jpeg_decoder_create(&decoder);
    if (!rc)
        rc = an_resizer_create(&resizer);
    for (size_t i = 0; !rc && i < count; i++)
        rc = load(&samples[i], decoder, resizer, side);
    an_jpeg_decoder_free(decoder);
    an_resizer_free(resizer);
    return rc;
}

static int encode(sample *s, an_jpeg_encoder *jpeg, int quality, an_jpeg_subsampling subsampling)
{
    s->jpeg.size = s->coef.size = 0;
    int rc = an_jpeg_encode(jpeg, &s->image, quality, subsampling, &s->jpeg);
    return rc ? rc : an_coef_encode_jpeg(encoder, s->jpeg.data, s->jpeg.size, &s->coef);
}

/* Decode the window with libjpeg-turbo as a loader would. */
static void decode_turbo(const sample *s)
{
    static uint8_t line[3 * 16384 + 64];
    const an_window *w = &s->window;
    JDIMENSION x = w->x, width = w->width;
    jpeg_mem_src(&turbo, s->jpeg.data, s->jpeg.size);
    jpeg_read_header(&turbo, TRUE);
    jpeg_start_decompress(&turbo);
    jpeg_crop_scanline(&turbo, &x, &width);
    if (w->y)
        jpeg_skip_scanlines(&turbo, w->y);
    for (size_t i = 0; i < w->height; i++) {
        JSAMPROW row = line + 1;
        jpeg_read_scanlines(&turbo, &row, 1);
        memcpy(out + i * w->width * 3, row + 3 * (size_t)(w->x - x), 3 * (size_t)w->width);
    }
    jpeg_abort_decompress(&turbo);
}

static int run(const sample *s, int contender)
{
    static an_buffer made;
    made.size = 0;
    switch (contender) {
    case LIMIT:
        decode_turbo(s);
        return AN_OK;
    case JPEG:
        return an_jpeg_decode_window(jpeg_decoder, s->jpeg.data, s->jpeg.size,
                                     &(an_jpeg_window){s->window.x, s->window.y, s->window.width, s->window.height,
                                                       s->image.width, s->image.height},
                                     out, (size_t)s->window.width * 3);
    case ENCODE:
        return an_coef_encode_jpeg(encoder, s->jpeg.data, s->jpeg.size, &made);
    case BACK:
        return an_coef_to_jpeg(encoder, s->coef.data, s->coef.size, &made);
    default:
        return an_coef_decode_window(decoders[contender], s->coef.data, s->coef.size, &s->window, out,
                                     (size_t)s->window.width * 3);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median microseconds an image. */
static int measure(double us[CONTENDERS])
{
    double passes[CONTENDERS][PASSES] = {{0}};
    for (int p = 0; p < PASSES; p++)
        for (int c = 0; c < CONTENDERS; c++) {
            if (c < TIERS && !decoders[c])
                continue;
            uint64_t start = an_clock_thread_ns();
            for (size_t i = 0; i < count; i++) {
                int rc = run(&samples[i], c);
                if (rc)
                    return rc;
            }
            passes[c][p] = (double)(an_clock_thread_ns() - start) / 1e3 / (double)count;
        }
    for (int c = 0; c < CONTENDERS; c++) {
        qsort(passes[c], PASSES, sizeof(double), compare);
        us[c] = passes[c][PASSES / 2];
    }
    return AN_OK;
}

/* Memory for the stages of one image. */
typedef struct {
    an_coef_work work;
    uint8_t *planes, *chroma[2];
    size_t stride;
    int16_t quantisation[64];
} stage_room;

/* Unpacking and inverse DCT of all rows of blocks. Each row's samples overwrite those of the row before. */
static void stage_blocks(an_simd_tier tier, const an_coef_layout *layout, const stage_room *room,
                         uint64_t spent[STAGES])
{
    const an_planes_kernels *k = an_planes_kernels_get(tier);
    an_coef_unpack *unpack = an_coef_unpack_get(tier);
    const uint8_t *row = layout->rows, *length = layout->lengths;
    for (uint32_t m = 0; m < layout->blocks.mcu_rows; m++)
        for (int c = 0; c < layout->blocks.components; c++) {
            const an_blocks_component *component = &layout->blocks.component[c];
            for (uint32_t r = an_blocks_rows_in_mcu(component, m); r > 0; r--, length += 2) {
                size_t size = an_bytes_u16(length), blocks = component->blocks_wide;
                uint64_t start = __rdtsc();
                unpack(row, size, blocks, 0, blocks, &room->work);
                uint64_t middle = __rdtsc();
                k->inverse(room->work.coefficients, room->quantisation, blocks, room->planes, room->stride);
                spent[1] += __rdtsc() - middle;
                spent[0] += middle - start;
                row += size;
            }
        }
}

static void stage_rows(an_simd_tier tier, const an_coef_layout *layout, const stage_room *room, uint64_t spent[STAGES])
{
    const an_planes_kernels *k = an_planes_kernels_get(tier);
    size_t width = layout->blocks.width;
    for (uint32_t y = 0; y < layout->blocks.height; y++) {
        const uint8_t *near = room->planes + AN_PLANES_SLACK, *far = near + room->stride;
        uint64_t start = __rdtsc();
        for (int c = 0; c < 2; c++)
            k->upsample(near, far, (width + 1) / 2, room->chroma[c]);
        uint64_t middle = __rdtsc();
        k->colour(near, room->chroma[0], room->chroma[1], width, y % 2, out);
        spent[3] += __rdtsc() - middle;
        spent[2] += middle - start;
    }
}

/* Add an image's share of the mean. Of a few goes the shortest counts, because other programs may interrupt. */
static int stages_of(an_simd_tier tier, const sample *s, const stage_room *room, double mean[STAGES])
{
    an_coef_layout layout;
    uint64_t least[STAGES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    int rc = an_coef_layout_parse(&layout, s->coef.data, s->coef.size);
    for (int go = 0; !rc && go < 5; go++) {
        uint64_t spent[STAGES] = {0};
        stage_blocks(tier, &layout, room, spent);
        stage_rows(tier, &layout, room, spent);
        for (int i = 0; i < STAGES; i++)
            least[i] = spent[i] < least[i] ? spent[i] : least[i];
    }
    for (int i = 0; i < STAGES; i++)
        mean[i] += (double)least[i] / (double)count;
    return rc;
}

/* Cycles of each stage for an image. */
static int stages(an_simd_tier tier, uint32_t side, double mean[STAGES])
{
    size_t blocks = side / 8 + 2 * AN_PLANES_GROUP;
    stage_room room = {.stride = 8 * blocks + 4 * AN_PLANES_SLACK};
    uint8_t *memory = calloc(1, blocks * 256 + 12 * room.stride + 4 * AN_PLANES_SLACK);
    if (!memory)
        return an_error(AN_ENOMEM, "out of memory");
    room.work = (an_coef_work){(void *)memory, (int8_t *)memory + blocks * 2, (void *)(memory + blocks * 66 + 128)};
    room.planes = memory + blocks * 194 + 256;
    room.chroma[0] = room.planes + 8 * room.stride;
    room.chroma[1] = room.chroma[0] + room.stride + 2 * AN_PLANES_SLACK;
    for (int i = 0; i < 64; i++)
        room.quantisation[i] = 5;
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = stages_of(tier, &samples[i], &room, mean);
    free(memory);
    return rc;
}

static int report(uint32_t side, int quality)
{
    double us[CONTENDERS], jpeg = 0, coef = 0;
    int rc = measure(us);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        jpeg += (double)samples[i].jpeg.size / (double)count;
        coef += (double)samples[i].coef.size / (double)count;
    }
    printf("%s\n%zu images, %u x %u, quality %d, 4:2:0, windows of %u\n", an_cpu_describe(), count, side, side, quality,
           samples[0].window.width);
    printf("size: jpeg %.0f bytes, coef %.0f, %.3f x\n", jpeg, coef, coef / jpeg);
    printf("libjpeg-turbo crop decode: %.1f us\n", us[LIMIT]);
    printf("the store's crop decode of the same JPEG: %.1f us, %.2f x\n", us[JPEG], us[LIMIT] / us[JPEG]);
    for (int t = 0; t < TIERS; t++) {
        double cost[STAGES] = {0};
        if (!decoders[t])
            continue;
        rc = stages((an_simd_tier)t, side, cost);
        if (rc)
            return rc;
        printf("coef %-7s %.1f us, %.2f x; kilocycles a whole image: unpack %.0f, inverse DCT %.0f, upsampling %.0f, "
               "colour %.0f\n",
               an_cpu_simd_name((an_simd_tier)t), us[t], us[LIMIT] / us[t], cost[0] / 1e3, cost[1] / 1e3, cost[2] / 1e3,
               cost[3] / 1e3);
    }
    printf("transcoding jpeg -> coef: %.0f images/s, coef -> jpeg: %.0f images/s\n", 1e6 / us[ENCODE], 1e6 / us[BACK]);
    return AN_OK;
}

static int benchmark(uint32_t side, int quality)
{
    an_jpeg_encoder *jpeg;
    int rc = an_jpeg_encoder_create(&jpeg);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    for (size_t i = 0; !rc && i < count; i++) {
        uint32_t size = side * 7 / 8;
        uint32_t x = an_rng_below(&rng, side - size + 1), y = an_rng_below(&rng, side - size + 1);
        samples[i].window = (an_window){x, y, size, size, i % 2};
        rc = encode(&samples[i], jpeg, quality, AN_JPEG_420);
    }
    an_jpeg_encoder_free(jpeg);
    return rc ? rc : report(side, quality);
}

/* The same for the arithmetic of the kernels for devices: the whole picture, and a crop of it. */
static int differing_on_devices(const sample *s, const an_image *expected, uint64_t *differing_sum, uint64_t *compared)
{
    uint32_t side = s->image.width, crop = side * 7 / 8;
    for (int part = 0; part < 2; part++) {
        uint32_t size = part ? crop : side;
        an_image_draw draw = AN_IMAGE_DRAW(.x = (uint32_t)s->coef.size % (side - size + 1), .flip = (uint32_t)part);
        draw.y = (uint32_t)s->jpeg.size % (side - size + 1);
        int rc = bench_coef_device(s->coef.data, s->coef.size, side, size, &draw, out);
        if (rc)
            return rc;
        for (uint32_t i = 0; i < size * size; i++) {
            uint32_t x = draw.flip ? size - 1 - i % size : i % size, y = i / size;
            const uint8_t *pixel = expected->pixels + ((size_t)(draw.y + y) * side + draw.x + x) * 3;
            for (int c = 0; c < 3; c++)
                *differing_sum += out[3 * (size_t)i + (size_t)c] != pixel[c];
        }
        *compared += (uint64_t)size * size * 3;
    }
    return AN_OK;
}

/* Samples of the whole picture that differ, summed over the tiers and the store's JPEG decoder. */
static int differing(const sample *s, const an_image *expected, uint64_t *differing_sum, uint64_t *compared)
{
    uint32_t side = s->image.width;
    size_t bytes = (size_t)side * side * 3;
    an_jpeg_window whole = {0, 0, side, side, side, side};
    int jpeg = an_jpeg_decode_window(jpeg_decoder, s->jpeg.data, s->jpeg.size, &whole, out, (size_t)side * 3);
    if (jpeg)
        return jpeg;
    for (size_t i = 0; i < bytes; i++)
        *differing_sum += out[i] != expected->pixels[i];
    *compared += bytes;
    for (int t = 0; t < TIERS; t++) {
        if (!decoders[t])
            continue;
        int rc = an_coef_decode_window(decoders[t], s->coef.data, s->coef.size, &(an_window){0, 0, side, side, false},
                                       out, (size_t)side * 3);
        if (rc)
            return rc;
        for (size_t i = 0; i < bytes; i++)
            *differing_sum += out[i] != expected->pixels[i];
        *compared += bytes;
    }
    return AN_OK;
}

static int check(void)
{
    static const int qualities[] = {75, 90, 95};
    uint64_t device_differ = 0, device_compared = 0;
    an_jpeg_encoder *jpeg = NULL;
    an_jpeg_decoder *decoder = NULL;
    an_image expected = {0};
    uint64_t differ = 0, compared = 0, pictures = 0;
    int rc = an_jpeg_encoder_create(&jpeg);
    if (!rc)
        rc = an_jpeg_decoder_create_plain(&decoder);
    for (size_t i = 0; !rc && i < count; i++)
        for (int k = 0; !rc && k < 9; k++, pictures++) {
            rc = encode(&samples[i], jpeg, qualities[k % 3], (an_jpeg_subsampling)(k / 3));
            if (!rc)
                rc = an_jpeg_decode(decoder, samples[i].jpeg.data, samples[i].jpeg.size, 0, 1u << 28, &expected, NULL);
            if (!rc)
                rc = differing(&samples[i], &expected, &differ, &compared);
            if (!rc)
                rc = differing_on_devices(&samples[i], &expected, &device_differ, &device_compared);
        }
    an_jpeg_encoder_free(jpeg);
    an_jpeg_decoder_free(decoder);
    an_image_free(&expected);
    printf("%llu pictures (%zu photographs), %llu samples compared, %llu differ\n", (unsigned long long)pictures, count,
           (unsigned long long)compared, (unsigned long long)differ);
    printf("arithmetic of the kernels for devices: %llu samples compared, %llu differ\n",
           (unsigned long long)device_compared, (unsigned long long)device_differ);
    return rc ? rc : differ || device_differ ? an_error(AN_EINTERNAL, "samples differ") : AN_OK;
}

static int set_up(uint32_t side)
{
    static struct jpeg_error_mgr errors;
    turbo.err = jpeg_std_error(&errors); /* what is decoded was made here: an error may exit */
    jpeg_create_decompress(&turbo);
    for (int t = 0; t < TIERS; t++)
        if (an_coef_decoder_create_tier(&decoders[t], (an_simd_tier)t) == AN_ENOMEM)
            return AN_ENOMEM;
    int rc = an_jpeg_decoder_create(&jpeg_decoder);
    if (rc)
        return rc;
    out = malloc((size_t)side * side * 3);
    return out ? an_coef_encoder_create(&encoder) : an_error(AN_ENOMEM, "out of memory");
}

int main(int argc, char **argv)
{
    bool checking = argc > 2 && strcmp(argv[2], "check") == 0;
    long side = argc > 2 + checking ? atol(argv[2 + checking]) : 256,
         quality = argc > 3 && !checking ? atol(argv[3]) : 90;
    if (argc < 2 || argc > 4 || side < 32 || side > 4096 || quality < 1 || quality > 100) {
        fprintf(stderr, "usage: bench_coef FOLDER [SIDE [QUALITY]]\n       bench_coef FOLDER check [SIDE]\n");
        return AN_EXIT_USAGE;
    }
    int rc = set_up((uint32_t)side);
    if (!rc)
        rc = load_all(argv[1], (uint32_t)side);
    if (!rc)
        rc = checking ? check() : benchmark((uint32_t)side, (int)quality);
    if (rc)
        fprintf(stderr, "bench_coef: %s\n", an_error_message());
    return an_error_exit_code(rc);
}
