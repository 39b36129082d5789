/* The floor under rgb records: random crops copied with memcpy, row by row, from the mapped dataset into two batches'
 * worth of memory. Nothing is checked, flipped or handed on.
 *
 *     bench_crop_copy DATASET [threads [seconds]] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/thread.h"
#include "store/dataset.h"

#define CROP 224u
#define SAMPLES 256u
#define MEMORY ((size_t)SAMPLES * CROP * CROP * 3)
#define THREADS_MAX 64

typedef struct {
    const an_dataset *dataset;
    uint8_t *memory;
    pthread_t thread;
    uint64_t number, crops;
} copier;

static atomic_bool stop;

static void copy_crop(const copier *c, an_rng *rng, uint8_t *out)
{
    uint32_t side = an_dataset_side(c->dataset);
    an_record record;
    if (an_dataset_record(c->dataset, an_rng_below(rng, (uint32_t)an_dataset_count(c->dataset)), &record) != AN_OK)
        return;
    uint32_t x = an_rng_below(rng, side - CROP + 1), y = an_rng_below(rng, side - CROP + 1);
    for (uint32_t row = 0; row < CROP; row++)
        memcpy(out + (size_t)row * CROP * 3, record.payload + ((size_t)(y + row) * side + x) * 3, CROP * 3);
}

static void *copier_run(void *argument)
{
    copier *c = argument;
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, c->number);
    for (; !atomic_load_explicit(&stop, memory_order_relaxed); c->crops++)
        copy_crop(c, &rng, c->memory + (c->crops % SAMPLES) * CROP * CROP * 3);
    return NULL;
}

static int start(copier *c, const an_dataset *dataset, int number)
{
    void *memory = NULL;
    *c = (copier){.dataset = dataset, .number = (uint64_t)number};
    int rc = an_pages_alloc(&memory, MEMORY);
    c->memory = memory;
    return rc == AN_OK ? an_thread_start(&c->thread, "an-copy", copier_run, c) : rc;
}

static int run(const an_dataset *dataset, int threads, unsigned seconds)
{
    static copier copiers[THREADS_MAX];
    uint64_t crops = 0;
    int rc = AN_OK, started = 0;
    if (an_dataset_side(dataset) < CROP || an_dataset_file_size(dataset) / an_dataset_count(dataset) < CROP * CROP * 3)
        return an_error(AN_EINVAL, "'%s' holds no rgb records of %u pixels or more", an_dataset_path(dataset), CROP);
    for (; rc == AN_OK && started < threads; started += rc == AN_OK)
        rc = start(&copiers[started], dataset, started);
    uint64_t begin = an_clock_ns();
    if (rc == AN_OK)
        sleep(seconds);
    double elapsed = an_clock_seconds_since(begin);
    atomic_store(&stop, true);
    for (int i = 0; i < started; i++) {
        pthread_join(copiers[i].thread, NULL);
        crops += copiers[i].crops;
        an_pages_free(copiers[i].memory, MEMORY);
    }
    if (rc == AN_OK)
        printf("%d threads: %.0f crops/s\n", threads, (double)crops / elapsed);
    return rc;
}

int main(int argc, char **argv)
{
    an_dataset *dataset = NULL;
    int threads = argc > 2 ? atoi(argv[2]) : 2, seconds = argc > 3 ? atoi(argv[3]) : 3;
    if (argc < 2 || threads < 1 || threads > THREADS_MAX || seconds < 1) {
        fprintf(stderr, "usage: bench_crop_copy DATASET [threads [seconds]]\n");
        return AN_EXIT_USAGE;
    }
    int rc = an_dataset_open(&dataset, argv[1]);
    if (rc == AN_OK)
        rc = run(dataset, threads, (unsigned)seconds);
    if (rc != AN_OK)
        fprintf(stderr, "bench_crop_copy: %s\n", an_error_message());
    an_dataset_free(dataset);
    return an_error_exit_code(rc);
}
