/* How fast random crops of 224 pixels can be had from a dataset at best: from the mapped file, with nothing checked,
 * mirrored or handed on. rgb records are copied with memcpy, row by row, into two batches' worth of memory. jpeg
 * records are decoded by libjpeg-turbo alone (skip and crop scanlines, then abort, one handle for each thread) into one
 * small buffer.
 *
 *     bench_limit DATASET [threads [seconds]] */
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/thread.h"
#include "store/dataset/dataset.h"

#define CROP 224u
#define SAMPLES 256u
#define SAMPLE ((size_t)CROP * CROP * 3)
#define ROW_MAX (CROP + 32) /* pixels: libjpeg-turbo widens a crop to whole blocks */
#define THREADS_MAX 64
#define WARM_UP_US 300000

typedef struct {
    const an_dataset *dataset;
    uint8_t *memory;
    pthread_t thread;
    uint64_t number;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors; /* the library's own, which ends the program */
    atomic_uint_fast64_t crops, cpu_ns;
} cropper;

static atomic_bool stop;

static void copy_crop(const an_record *record, uint32_t x, uint32_t y, uint8_t *out)
{
    for (uint32_t row = 0; row < CROP; row++)
        memcpy(out + (size_t)row * CROP * 3, record->payload + ((size_t)(y + row) * record->header.width + x) * 3,
               (size_t)CROP * 3);
}

static bool decode_crop(struct jpeg_decompress_struct *jpeg, const an_record *record, uint32_t x, uint32_t y,
                        uint8_t *out)
{
    JDIMENSION left = x, width = CROP;
    jpeg_mem_src(jpeg, record->payload, record->header.length);
    if (jpeg_read_header(jpeg, TRUE) != JPEG_HEADER_OK || !jpeg_start_decompress(jpeg))
        return false;
    jpeg_crop_scanline(jpeg, &left, &width);
    if (width > ROW_MAX || jpeg_skip_scanlines(jpeg, y) != y)
        return false;
    for (uint32_t row = 0; row < CROP; row++) {
        JSAMPROW to = out + (size_t)row * width * 3;
        if (jpeg_read_scanlines(jpeg, &to, 1) != 1)
            return false;
    }
    jpeg_abort_decompress(jpeg);
    return true;
}

static bool one_crop(cropper *c, an_rng *rng, uint64_t count)
{
    uint32_t room = an_dataset_side(c->dataset) - CROP + 1;
    an_record record;
    if (an_dataset_record(c->dataset, an_rng_below(rng, (uint32_t)an_dataset_count(c->dataset)), &record))
        return false;
    uint32_t x = an_rng_below(rng, room), y = an_rng_below(rng, room);
    if (record.header.codec == AN_CODEC_JPEG)
        return decode_crop(&c->jpeg, &record, x, y, c->memory);
    copy_crop(&record, x, y, c->memory + count % SAMPLES * SAMPLE);
    return true;
}

static void *cropper_run(void *argument)
{
    cropper *c = argument;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, c->number);
    c->jpeg.err = jpeg_std_error(&c->errors);
    jpeg_create_decompress(&c->jpeg);
    for (uint64_t count = 0; !atomic_load_explicit(&stop, memory_order_relaxed) && one_crop(c, &rng, count); count++) {
        atomic_fetch_add_explicit(&c->crops, 1, memory_order_relaxed);
        if (count % 64 == 0)
            atomic_store_explicit(&c->cpu_ns, an_clock_thread_ns(), memory_order_relaxed);
    }
    jpeg_destroy_decompress(&c->jpeg);
    return NULL;
}

static int start(cropper *c, const an_dataset *dataset, int number)
{
    void *memory = NULL;
    c->dataset = dataset;
    c->number = (uint64_t)number;
    int rc = an_pages_alloc(&memory, SAMPLES * SAMPLE + ROW_MAX * CROP * 3);
    if (rc)
        return rc;
    c->memory = memory;
    return an_thread_start(&c->thread, "an-crop", cropper_run, c);
}

typedef struct {
    double crops, cpu_ns;
} totals;

static totals sum(cropper *croppers, int count)
{
    totals all = {0};
    for (int i = 0; i < count; i++) {
        all.crops += (double)atomic_load(&croppers[i].crops);
        all.cpu_ns += (double)atomic_load(&croppers[i].cpu_ns);
    }
    return all;
}

static bool has_limit(const an_record *record, uint64_t side)
{
    const an_record_header *h = &record->header;
    if (h->width != side || h->height != side)
        return false;
    return h->codec == AN_CODEC_JPEG || (h->codec == AN_CODEC_RGB && h->length == side * side * 3);
}

/* Only records whose limit is known here. */
static int check(const an_dataset *dataset)
{
    if (an_dataset_side(dataset) < CROP || an_dataset_count(dataset) > UINT32_MAX)
        return an_error(AN_EINVAL, "'%s' holds no records of %u pixels or more", an_dataset_path(dataset), CROP);
    for (uint64_t i = 0; i < an_dataset_count(dataset); i++) {
        an_record record;
        int rc = an_dataset_record(dataset, i, &record);
        if (rc)
            return rc;
        if (!has_limit(&record, an_dataset_side(dataset)))
            return an_error(AN_EINVAL, "'%s' holds more than jpeg or rgb records", an_dataset_path(dataset));
    }
    return AN_OK;
}

static void measure(cropper *croppers, int threads, unsigned seconds)
{
    usleep(WARM_UP_US);
    totals before = sum(croppers, threads);
    uint64_t begin = an_clock_ns();
    sleep(seconds);
    totals after = sum(croppers, threads);
    double elapsed = an_clock_seconds_since(begin), crops = after.crops - before.crops;
    printf("%d threads: %.0f crops/s, %.1f us of a processor each\n", threads, crops / elapsed,
           (after.cpu_ns - before.cpu_ns) * 1e-3 / crops);
}

static int run(const an_dataset *dataset, int threads, unsigned seconds)
{
    static cropper croppers[THREADS_MAX];
    int started = 0, rc = check(dataset);
    while (!rc && started < threads) {
        rc = start(&croppers[started], dataset, started);
        if (!rc)
            started++;
    }
    if (!rc)
        measure(croppers, threads, seconds);
    atomic_store(&stop, true);
    for (int i = 0; i < started; i++)
        pthread_join(croppers[i].thread, NULL);
    return rc;
}

int main(int argc, char **argv)
{
    an_dataset *dataset = NULL;
    int threads = argc > 2 ? atoi(argv[2]) : 2, seconds = argc > 3 ? atoi(argv[3]) : 3;
    if (argc < 2 || threads < 1 || threads > THREADS_MAX || seconds < 1) {
        fprintf(stderr, "usage: bench_limit DATASET [threads [seconds]]\n");
        return AN_EXIT_USAGE;
    }
    int rc = an_dataset_open(&dataset, argv[1]);
    if (!rc)
        rc = run(dataset, threads, (unsigned)seconds);
    if (rc)
        fprintf(stderr, "bench_limit: %s\n", an_error_message());
    an_dataset_free(dataset);
    return an_error_exit_code(rc);
}
