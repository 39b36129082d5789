/* Codec coef against libjpeg-turbo, on one core, from memory.
 *
 *     bench_coef FOLDER [SIDE [QUALITY]]    times and sizes; 256 and 90
 *     bench_coef FOLDER check [SIDE]        count samples that differ from libjpeg-turbo's, all tiers, samplings, 3
 * qualities
 *
 * Every JPEG file below FOLDER is decoded, its centre square scaled to SIDE x SIDE and encoded again, 4:2:0. The work
 * is a random window of 7/8 of the side (224 of 256), for coef mirrored every second time. All contenders take turns, a
 * pass over all images each; the median pass is printed. Libjpeg-turbo's loop skips and crops scanlines, aborts after
 * the last, and hands out rows at odd addresses: for aligned ones it uses stores that bypass the cache, which costs it
 * half as much again when somebody reads the pixels. Cycles are those of the time-stamp counter, for whole images. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "store/coef/format.h"
#include "store/coef/kernels.h"
#include "store/image/resize.h"
#include "store/jpeg/jpeg.h"

enum { FILES_MAX = 4000, PASSES = 9, TIERS = 3, LIMIT = TIERS, JPEG, ENCODE, BACK, CONTENDERS, STAGES = 4 };

typedef struct {
    char *path;
    an_image image;
    an_buffer jpeg, coef;
    an_coef_window window;
} sample;

static sample samples[FILES_MAX];
static size_t count;
static an_coef_decoder *decoders[TIERS]; /* NULL: this processor lacks it */
static an_coef_encoder *encoder;
static an_jpeg_decoder *jpeg_decoder; /* the store's, which uses libjpeg-turbo for unusual files only */
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

/* Windows of libjpeg-turbo as a loader would take them. */
static void decode_turbo(const sample *s)
{
    static uint8_t line[3 * 16384 + 64];
    const an_coef_window *w = &s->window;
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

static uint64_t cycles(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return an_clock_ns();
#endif
}

/* Room for one image's stages. */
typedef struct {
    an_coef_work work;
    uint8_t *planes, *chroma[2];
    size_t stride;
    int16_t quantisation[64];
} stage_room;

/* Unpack and inverse DCT of all rows of blocks, each row's samples over the last one's. */
static void stage_blocks(const an_coef_kernels *k, const an_coef_layout *layout, const stage_room *room,
                         uint64_t spent[STAGES])
{
    const uint8_t *row = layout->rows, *length = layout->lengths;
    for (uint32_t m = 0; m < layout->mcu_rows; m++)
        for (int c = 0; c < layout->components; c++) {
            const an_coef_component *component = &layout->component[c];
            for (uint32_t r = an_coef_mcu_row_blocks(component, m); r > 0; r--, length += 2) {
                size_t size = an_bytes_u16(length), blocks = component->blocks_wide;
                uint64_t start = cycles();
                k->unpack(row, size, blocks, 0, blocks, &room->work);
                uint64_t middle = cycles();
                k->inverse(room->work.coefficients, room->quantisation, blocks, room->planes, room->stride);
                spent[1] += cycles() - middle;
                spent[0] += middle - start;
                row += size;
            }
        }
}

static void stage_rows(const an_coef_kernels *k, const an_coef_layout *layout, const stage_room *room,
                       uint64_t spent[STAGES])
{
    size_t width = layout->info.width;
    for (uint32_t y = 0; y < layout->info.height; y++) {
        const uint8_t *near = room->planes + AN_COEF_SLACK, *far = near + room->stride;
        uint64_t start = cycles();
        for (int c = 0; c < 2; c++)
            k->upsample(near, far, (width + 1) / 2, room->chroma[c]);
        uint64_t middle = cycles();
        k->colour(near, room->chroma[0], room->chroma[1], width, y % 2, out);
        spent[3] += cycles() - middle;
        spent[2] += middle - start;
    }
}

/* Add an image's share of the mean; of a few goes the shortest, as others may interrupt. */
static int stages_of(const an_coef_kernels *k, const sample *s, const stage_room *room, double mean[STAGES])
{
    an_coef_layout layout;
    uint64_t least[STAGES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    int rc = an_coef_layout_parse(&layout, s->coef.data, s->coef.size);
    for (int go = 0; !rc && go < 5; go++) {
        uint64_t spent[STAGES] = {0};
        stage_blocks(k, &layout, room, spent);
        stage_rows(k, &layout, room, spent);
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
    size_t blocks = side / 8 + 2 * AN_COEF_GROUP;
    stage_room room = {.stride = 8 * blocks + 4 * AN_COEF_SLACK};
    uint8_t *memory = calloc(1, blocks * 256 + 12 * room.stride + 4 * AN_COEF_SLACK);
    if (!memory)
        return an_error(AN_ENOMEM, "out of memory");
    room.work = (an_coef_work){(void *)memory, (int8_t *)memory + blocks * 2, (void *)(memory + blocks * 66 + 128)};
    room.planes = memory + blocks * 194 + 256;
    room.chroma[0] = room.planes + 8 * room.stride;
    room.chroma[1] = room.chroma[0] + room.stride + 2 * AN_COEF_SLACK;
    for (int i = 0; i < 64; i++)
        room.quantisation[i] = 5;
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = stages_of(an_coef_kernels_get(tier), &samples[i], &room, mean);
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
        samples[i].window = (an_coef_window){x, y, size, size, i % 2};
        rc = encode(&samples[i], jpeg, quality, AN_JPEG_420);
    }
    an_jpeg_encoder_free(jpeg);
    return rc ? rc : report(side, quality);
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
        int rc = an_coef_decode_window(decoders[t], s->coef.data, s->coef.size,
                                       &(an_coef_window){0, 0, side, side, false}, out, (size_t)side * 3);
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
        }
    an_jpeg_encoder_free(jpeg);
    an_jpeg_decoder_free(decoder);
    an_image_free(&expected);
    printf("%llu pictures (%zu photographs), %llu samples compared, %llu differ\n", (unsigned long long)pictures, count,
           (unsigned long long)compared, (unsigned long long)differ);
    return rc ? rc : differ ? an_error(AN_EINTERNAL, "samples differ") : AN_OK;
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
