/* Decoding alone, on one core, from memory: windows of a dataset's images in every codec against the limit,
 * libjpeg-turbo's own crop decode (skip and crop scanlines, then abort, one handle) without any care for the window's
 * edges.
 *
 *     bench_decode DATASET [SECONDS]
 *
 * The dataset's jpeg records are taken as they are and transcoded into the other codecs. All contenders take turns, a
 * pass over the same windows each; what is printed is the median pass. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "store/coef/coef.h"
#include "store/dataset/dataset.h"

enum { IMAGES_MAX = 1000, PASSES_MAX = 1000, CONTENDERS = 6 };

typedef struct {
    uint32_t x, y, size;
} window;

typedef struct {
    an_buffer payload[5]; /* by codec */
    uint32_t side;
} sample;

typedef struct {
    sample samples[IMAGES_MAX];
    window windows[IMAGES_MAX];
    size_t count;
    an_decoder *decoder;
    struct jpeg_decompress_struct jpeg;
    uint8_t *out;
} work;

static int limit(work *w, const sample *s, const window *v)
{
    struct jpeg_decompress_struct *jpeg = &w->jpeg;
    JDIMENSION x = v->x, width = v->size;
    jpeg_mem_src(jpeg, s->payload[AN_CODEC_JPEG].data, s->payload[AN_CODEC_JPEG].size);
    if (jpeg_read_header(jpeg, TRUE) != JPEG_HEADER_OK || !jpeg_start_decompress(jpeg))
        return -1;
    jpeg_crop_scanline(jpeg, &x, &width);
    if (jpeg_skip_scanlines(jpeg, v->y) != v->y)
        return -1;
    for (uint32_t i = 0; i < v->size; i++) {
        JSAMPROW row = w->out + (size_t)i * width * 3;
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1)
            return -1;
    }
    jpeg_abort_decompress(jpeg);
    return 0;
}

static int ours(work *w, const sample *s, const window *v, an_codec codec)
{
    const an_buffer *payload = &s->payload[codec];
    an_record record = {{.codec = codec, .width = s->side, .height = s->side, .length = (uint32_t)payload->size},
                        payload->data};
    return an_decoder_window(w->decoder, &record, v->x, v->y, v->size, v->size, w->out, (size_t)v->size * 3);
}

/* The library's own loop comes twice: the difference between both says what differences mean. */
static const char *const names[CONTENDERS] = {"limit", "limit again", "jpeg", "coef", "yuv420", "rgb"};

static int run(work *w, int contender, size_t i)
{
    static const an_codec codecs[CONTENDERS] = {0, 0, AN_CODEC_JPEG, AN_CODEC_COEF, AN_CODEC_YUV420, AN_CODEC_RGB};
    return contender < 2 ? limit(w, &w->samples[i], &w->windows[i])
                         : ours(w, &w->samples[i], &w->windows[i], codecs[contender]);
}

static int transcode(sample *s, const uint8_t *pixels, an_encoder *encoder, an_coef_encoder *coef)
{
    const an_image image = {(uint8_t *)(uintptr_t)pixels, s->side, s->side, 0};
    an_codec_options options = {AN_CODEC_YUV420, 0, AN_JPEG_420};
    int rc = an_encoder_encode(encoder, &image, &options, &s->payload[AN_CODEC_YUV420]);
    options.codec = AN_CODEC_RGB;
    if (!rc)
        rc = an_encoder_encode(encoder, &image, &options, &s->payload[AN_CODEC_RGB]);
    const an_buffer *jpeg = &s->payload[AN_CODEC_JPEG];
    return rc ? rc : an_coef_encode_jpeg(coef, jpeg->data, jpeg->size, &s->payload[AN_CODEC_COEF]);
}

static int add(work *w, const an_record *record, an_encoder *encoder, an_coef_encoder *coef)
{
    sample *s = &w->samples[w->count];
    s->side = record->header.width;
    int rc = an_buffer_append(&s->payload[AN_CODEC_JPEG], record->payload, record->header.length);
    window all = {0, 0, s->side};
    if (!rc)
        rc = ours(w, s, &all, AN_CODEC_JPEG);
    if (!rc)
        rc = transcode(s, w->out, encoder, coef);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, w->count);
    uint32_t size = s->side * 7 / 8; /* 224 of 256 */
    w->windows[w->count] =
        (window){an_rng_below(&rng, s->side - size + 1), an_rng_below(&rng, s->side - size + 1), size};
    w->count++;
    return rc;
}

static int load(work *w, const char *path)
{
    an_dataset *set;
    an_encoder *encoder = NULL;
    an_coef_encoder *coef = NULL;
    int rc = an_dataset_open(&set, path);
    if (rc)
        return rc;
    w->out = malloc((size_t)an_dataset_side(set) * (an_dataset_side(set) + 16) * 3);
    rc = w->out ? an_decoder_create(&w->decoder) : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = an_encoder_create(&encoder);
    if (!rc)
        rc = an_coef_encoder_create(&coef);
    for (uint64_t i = 0; !rc && i < an_dataset_count(set) && w->count < IMAGES_MAX; i++) {
        an_record record;
        rc = an_dataset_record(set, i, &record);
        if (!rc && record.header.codec == AN_CODEC_JPEG)
            rc = add(w, &record, encoder, coef);
    }
    an_encoder_free(encoder);
    an_coef_encoder_free(coef);
    an_dataset_free(set);
    return !rc && w->count == 0 ? an_error(AN_EINVAL, "'%s' has no jpeg records", path) : rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static int measure(work *w, double seconds)
{
    static double rates[CONTENDERS][PASSES_MAX];
    int passes = 0;
    uint64_t start = an_clock_ns();
    while (passes < PASSES_MAX && (passes < 3 || an_clock_seconds_since(start) < seconds)) {
        for (int c = 0; c < CONTENDERS; c++) {
            uint64_t begin = an_clock_ns();
            for (size_t i = 0; i < w->count; i++)
                if (run(w, c, i))
                    return an_error_prefix(AN_EINTERNAL, "%s", names[c]);
            rates[c][passes] = (double)w->count / an_clock_seconds_since(begin);
        }
        passes++;
    }
    printf("%s, %zu images, %d passes\n%-12s %10s %8s %12s\n", an_cpu_describe(), w->count, passes, "codec", "images/s",
           "/ limit", "bytes/image");
    double base = median(rates[0], passes);
    for (int c = 0; c < CONTENDERS; c++) {
        static const an_codec codecs[CONTENDERS] = {AN_CODEC_JPEG, AN_CODEC_JPEG,   AN_CODEC_JPEG,
                                                    AN_CODEC_COEF, AN_CODEC_YUV420, AN_CODEC_RGB};
        double bytes = 0;
        for (size_t i = 0; i < w->count; i++)
            bytes += (double)w->samples[i].payload[codecs[c]].size / (double)w->count;
        double rate = median(rates[c], passes);
        printf("%-12s %10.0f %8.3f %12.0f\n", names[c], rate, rate / base, bytes);
    }
    return AN_OK;
}

static void release(work *w)
{
    for (size_t i = 0; i < w->count; i++)
        for (int c = 0; c < 5; c++)
            an_buffer_free(&w->samples[i].payload[c]);
    jpeg_destroy_decompress(&w->jpeg);
    an_decoder_free(w->decoder);
    free(w->out);
    free(w);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_decode DATASET [SECONDS]\n");
        return AN_EXIT_USAGE;
    }
    work *w = calloc(1, sizeof *w);
    struct jpeg_error_mgr errors; /* the usual one: it exits */
    if (!w)
        return AN_EXIT_FAILURE;
    w->jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&w->jpeg);
    int rc = load(w, argv[1]);
    if (!rc)
        rc = measure(w, argc > 2 ? atof(argv[2]) : 10);
    if (rc)
        fprintf(stderr, "bench_decode: %s\n", an_error_message());
    release(w);
    return an_error_exit_code(rc);
}
