/* Decoding alone, on one core, from memory: windows of a dataset's images in every codec, compared with what
 * libjpeg-turbo reaches by itself on the jpeg records (skip and crop scanlines, then abort, one handle) if it need not
 * get the window's edges right.
 *
 *     bench_decode DATASET [SECONDS]
 *
 * The dataset's jpeg records are taken as they are and transcoded into the other codecs. All contenders take turns,
 * each with a pass over the same windows; the median pass is printed. */
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
#include "store/dataset/dataset.h"

/* The library's own loop takes part twice: what differs between the two is noise. Then come the codecs of the table. */
enum { IMAGES_MAX = 1000, PASSES_MAX = 1000, LIMITS = 2, CODECS_MAX = 16, CONTENDERS_MAX = LIMITS + CODECS_MAX };

typedef struct {
    uint32_t x, y, size;
} window;

typedef struct {
    an_buffer payload[CODECS_MAX]; /* in the order of the table of codecs */
    uint32_t side;
} sample;

typedef struct {
    sample samples[IMAGES_MAX];
    window windows[IMAGES_MAX];
    size_t count;
    int contenders, jpeg_codec; /* LIMITS and the number of codecs; where jpeg stands in their table */
    an_decoder *decoder;
    struct jpeg_decompress_struct jpeg;
    uint8_t *out;
} work;

static int limit(work *w, const sample *s, const window *v)
{
    struct jpeg_decompress_struct *jpeg = &w->jpeg;
    JDIMENSION x = v->x, width = v->size;
    const an_buffer *payload = &s->payload[w->jpeg_codec];
    jpeg_mem_src(jpeg, payload->data, payload->size);
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

static int ours(work *w, const sample *s, const window *v, int codec)
{
    const an_buffer *payload = &s->payload[codec];
    an_record record = {
        {.codec = an_codec_at((size_t)codec), .width = s->side, .height = s->side, .length = (uint32_t)payload->size},
        payload->data};
    return an_decoder_window(w->decoder, &record, v->x, v->y, v->size, v->size, w->out, (size_t)v->size * 3);
}

static const char *name_of(int contender)
{
    static const char *const limits[LIMITS] = {"limit", "limit again"};
    return contender < LIMITS ? limits[contender] : an_codec_name(an_codec_at((size_t)(contender - LIMITS)));
}

static int run(work *w, int contender, size_t i)
{
    if (contender < LIMITS)
        return limit(w, &w->samples[i], &w->windows[i]);
    return ours(w, &w->samples[i], &w->windows[i], contender - LIMITS);
}

/* The jpeg payload in another codec: without loss where that is possible, else through its pixels. */
static int transcode(work *w, sample *s, int codec, an_encoder *encoder)
{
    const an_image image = {w->out, s->side, s->side, 0};
    const an_codec_options options = {an_codec_at((size_t)codec), 90, AN_JPEG_420};
    const an_buffer *jpeg = &s->payload[w->jpeg_codec];
    int rc = an_encoder_convert(encoder, AN_CODEC_JPEG, jpeg->data, jpeg->size, options.codec, &s->payload[codec]);
    return rc == AN_EUNSUPPORTED ? an_encoder_encode(encoder, &image, &options, &s->payload[codec]) : rc;
}

static int add(work *w, const an_record *record, an_encoder *encoder)
{
    sample *s = &w->samples[w->count++];
    window all = {0, 0, record->header.width};
    s->side = record->header.width;
    int rc = an_buffer_append(&s->payload[w->jpeg_codec], record->payload, record->header.length);
    if (rc)
        return rc;
    rc = ours(w, s, &all, w->jpeg_codec); /* the pixels, into w->out */
    if (rc)
        return rc;
    for (int codec = 0; codec < w->contenders - LIMITS; codec++) {
        rc = codec == w->jpeg_codec ? AN_OK : transcode(w, s, codec, encoder);
        if (rc)
            return rc;
    }
    return AN_OK;
}

static window draw_window(uint32_t side, uint64_t number)
{
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, number);
    uint32_t size = side * 7 / 8; /* 224 of 256 */
    uint32_t x = an_rng_below(&rng, side - size + 1), y = an_rng_below(&rng, side - size + 1);
    return (window){x, y, size};
}

static int add_all(work *w, const an_dataset *set, an_encoder *encoder)
{
    for (uint64_t i = 0; i < an_dataset_count(set) && w->count < IMAGES_MAX; i++) {
        an_record record;
        int rc = an_dataset_record(set, i, &record);
        if (rc)
            return rc;
        if (record.header.codec != AN_CODEC_JPEG)
            continue;
        w->windows[w->count] = draw_window(record.header.width, w->count);
        rc = add(w, &record, encoder);
        if (rc)
            return rc;
    }
    if (w->count == 0)
        return an_error(AN_EINVAL, "'%s' has no jpeg records", an_dataset_path(set));
    return AN_OK;
}

static int load_from(work *w, const an_dataset *set)
{
    an_encoder *encoder;
    w->out = malloc((size_t)an_dataset_side(set) * (an_dataset_side(set) + 16) * 3);
    if (!w->out)
        return an_error(AN_ENOMEM, "out of memory for a picture");
    int rc = an_decoder_create(&w->decoder);
    if (rc)
        return rc;
    rc = an_encoder_create(&encoder);
    if (rc)
        return rc;
    rc = add_all(w, set, encoder);
    an_encoder_free(encoder);
    return rc;
}

static int load(work *w, const char *path)
{
    an_dataset *set;
    if (an_codec_count() > CODECS_MAX)
        return an_error(AN_EINTERNAL, "bench_decode has room for %d codecs, there are %zu", CODECS_MAX,
                        an_codec_count());
    w->contenders = LIMITS + (int)an_codec_count();
    while (an_codec_at((size_t)w->jpeg_codec) != AN_CODEC_JPEG)
        w->jpeg_codec++;
    int rc = an_dataset_open(&set, path);
    if (rc)
        return rc;
    rc = load_from(w, set);
    an_dataset_free(set);
    return rc;
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

/* One pass of a contender over all windows: images/s in *rate. */
static int pass(work *w, int contender, double *rate)
{
    uint64_t begin = an_clock_ns();
    for (size_t i = 0; i < w->count; i++)
        if (run(w, contender, i))
            return an_error_prefix(AN_EINTERNAL, "%s", name_of(contender));
    *rate = (double)w->count / an_clock_seconds_since(begin);
    return AN_OK;
}

static double mean_bytes(const work *w, int contender)
{
    double bytes = 0;
    int codec = contender < LIMITS ? w->jpeg_codec : contender - LIMITS;
    for (size_t i = 0; i < w->count; i++)
        bytes += (double)w->samples[i].payload[codec].size / (double)w->count;
    return bytes;
}

static int measure(work *w, double seconds)
{
    static double rates[CONTENDERS_MAX][PASSES_MAX];
    int passes = 0;
    uint64_t start = an_clock_ns();
    while (passes < PASSES_MAX && (passes < 3 || an_clock_seconds_since(start) < seconds)) {
        for (int c = 0; c < w->contenders; c++) {
            int rc = pass(w, c, &rates[c][passes]);
            if (rc)
                return rc;
        }
        passes++;
    }
    printf("%s, %zu images, %d passes\n%-12s %10s %8s %12s\n", an_cpu_describe(), w->count, passes, "codec", "images/s",
           "/ limit", "bytes/image");
    double base = median(rates[0], passes);
    for (int c = 0; c < w->contenders; c++) {
        double rate = median(rates[c], passes);
        printf("%-12s %10.0f %8.3f %12.0f\n", name_of(c), rate, rate / base, mean_bytes(w, c));
    }
    return AN_OK;
}

static void release(work *w)
{
    for (size_t i = 0; i < w->count; i++)
        for (int c = 0; c < CODECS_MAX; c++)
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
    struct jpeg_error_mgr errors; /* the library's own, which ends the program */
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
