/* an-show neighbors against what it stands on, in turns: extracting features against the network's forward pass alone,
 * and finding neighbours against the matrix product that it contains.
 *
 *     bench_show RUN DATASET FEATURES [QUERIES]
 *
 * FEATURES is written first if it does not belong to the run and the dataset. The queries are its own first rows. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "tools/show/content/nearest.h"

#define ROUNDS 5
#define IMAGES 1280
#define BLOCK 1024 /* as in nearest.c */

static int count_rows(void *context, const float *rows, const uint64_t *indices, uint32_t count)
{
    (void)rows;
    (void)indices;
    *(uint64_t *)context += count;
    return AN_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(double), by_value);
    return values[ROUNDS / 2];
}

/* Images/s of the forward pass on a batch that lies in memory. */
static int forward_rate(an_viewer *v, const void *batch, double *out)
{
    uint32_t size = (uint32_t)v->options.batch;
    uint64_t start = an_clock_ns(), done = 0;
    int rc = AN_OK;
    for (; !rc && done < IMAGES; done += size)
        rc = an_exec_evaluate(v->exec, &(an_images){.pixels = batch}, NULL, size, NULL, NULL);
    *out = (double)done / an_clock_seconds_since(start);
    return rc;
}

/* Images/s from the dataset to features. */
static int feature_rate(an_viewer *v, const an_dataset *dataset, const uint64_t *subset, uint64_t count, double *out)
{
    uint64_t done = 0, start = an_clock_ns();
    int rc = an_features_make(v, dataset, subset, count, &(an_features_watcher){count_rows, &done});
    *out = (double)done / an_clock_seconds_since(start);
    return rc;
}

static int compare_features(an_viewer *v, const an_dataset *dataset)
{
    double forward[ROUNDS], features[ROUNDS], ratio[ROUNDS];
    uint64_t subset[IMAGES], count = an_dataset_count(dataset) < IMAGES ? an_dataset_count(dataset) : IMAGES;
    size_t side = (size_t)v->trained.config.crop;
    float *batch = calloc((size_t)v->options.batch * side * side * 4, sizeof(*batch));
    int rc = batch ? AN_OK : an_error(AN_ENOMEM, "out of memory for a batch");
    for (uint64_t i = 0; i < count; i++)
        subset[i] = i;
    if (!rc)
        rc = forward_rate(v, batch, &forward[0]); /* warms up */
    for (int i = 0; !rc && i < ROUNDS; i++) {
        rc = forward_rate(v, batch, &forward[i]);
        if (!rc)
            rc = feature_rate(v, dataset, subset, count, &features[i]);
        ratio[i] = features[i] / forward[i];
    }
    free(batch);
    if (!rc)
        printf("features %.0f images/s, forward alone %.0f images/s, ratio %.3f (medians of %d)\n", median(features),
               median(forward), median(ratio), ROUNDS);
    return rc;
}

/* GFLOP/s of the products alone, of the same shapes. */
static double product_rate(const float *queries, const float *rows, float *products, uint32_t count, uint64_t total,
                           uint32_t units)
{
    uint64_t start = an_clock_ns();
    for (uint64_t first = 0; first + BLOCK <= total; first += BLOCK)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, BLOCK, (int)units, 1, queries, (int)units,
                    rows, (int)units, 0, products, BLOCK);
    return 2e-9 * count * (double)(total / BLOCK * BLOCK) * units / an_clock_seconds_since(start);
}

static int search_rate(const an_features *base, const float *queries, uint32_t count, an_neighbor *found, double *out)
{
    uint64_t start = an_clock_ns();
    int rc = an_nearest_find(base, queries, count, 6, 0, found);
    *out = 2e-9 * count * (double)an_features_count(base) * an_features_units(base) / an_clock_seconds_since(start);
    return rc;
}

static int compare_neighbors(const an_features *base, uint32_t count)
{
    double product[ROUNDS], search[ROUNDS], ratio[ROUNDS];
    uint32_t units = an_features_units(base);
    float *queries = malloc((size_t)count * units * sizeof(float)),
          *rows = malloc((size_t)BLOCK * units * sizeof(float));
    float *products = malloc((size_t)count * BLOCK * sizeof(float));
    an_neighbor *found = malloc((size_t)count * 6 * sizeof(*found));
    int rc = queries && rows && products && found ? an_features_read(base, 0, count, queries)
                                                  : an_error(AN_ENOMEM, "out of memory for queries");
    if (!rc)
        rc = an_features_read(base, 0, BLOCK, rows);
    openblas_set_num_threads(an_thread_cpu_count());
    for (int i = 0; !rc && i < ROUNDS; i++) {
        product[i] = product_rate(queries, rows, products, count, an_features_count(base), units);
        rc = search_rate(base, queries, count, found, &search[i]);
        ratio[i] = search[i] / product[i];
    }
    if (!rc)
        printf(
            "neighbours of %u among %llu: %.0f GFLOP/s, sgemm alone %.0f GFLOP/s, ratio %.3f (medians of %d), %.3f s\n",
            count, (unsigned long long)an_features_count(base), median(search), median(product), median(ratio), ROUNDS,
            2e-9 * count * (double)an_features_count(base) * units / median(search));
    free(queries);
    free(rows);
    free(products);
    free(found);
    return rc;
}

static int measure(const char *run, const char *dataset_path, const char *features_path, uint32_t queries)
{
    an_dataset *dataset = NULL;
    an_viewer viewer = {0};
    an_features *base = NULL;
    an_viewer_options options = {.run = run, .devices = "cpu", .batch = 128};
    int rc = an_viewer_dataset(&dataset, dataset_path);
    if (!rc)
        rc = an_viewer_open(&viewer, &options, dataset, true);
    if (!rc)
        rc = an_features_get(&base, features_path, &viewer, dataset);
    if (!rc && (an_features_count(base) < BLOCK || an_features_count(base) < queries))
        rc = an_error(AN_EINVAL, "'%s' has too few images to measure with", dataset_path);
    if (!rc)
        rc = compare_features(&viewer, dataset);
    if (!rc)
        rc = compare_neighbors(base, queries);
    an_features_free(base);
    an_viewer_close(&viewer);
    an_dataset_free(dataset);
    return rc;
}

int main(int argc, char **argv)
{
    unsigned long queries = argc > 4 ? strtoul(argv[4], NULL, 10) : 2048;
    if (argc < 4 || queries < 1 || queries > 65536) {
        fprintf(stderr, "usage: bench_show RUN DATASET FEATURES [QUERIES]\n");
        return AN_EXIT_USAGE;
    }
    int rc = measure(argv[1], argv[2], argv[3], (uint32_t)queries);
    if (rc < 0)
        fprintf(stderr, "bench_show: %s\n", an_error_message());
    return an_error_exit_code(rc);
}
