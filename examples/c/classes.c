/* Lists the classes of a dataset, loads one epoch of it, and says how fast that was and what the limit is.
 *
 *     cc classes.c $(pkg-config --cflags --libs an) -o classes && ./classes DATASET [CROP]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <an/loader.h>

static int fail(const char *what)
{
    fprintf(stderr, "classes: cannot %s: %s\n", what, liban_error_message());
    return 1;
}

int main(int argc, char **argv)
{
    liban_dataset *dataset;
    liban_loader *loader;
    if (argc < 2) {
        fprintf(stderr, "usage: classes DATASET [CROP]\n");
        return 2;
    }
    if (liban_dataset_open(&dataset, argv[1]) != LIBAN_OK)
        return fail("open the dataset");
    for (uint32_t label = 0; label < liban_dataset_class_count(dataset); label++) {
        liban_class class;
        if (liban_dataset_class(dataset, label, &class) == LIBAN_OK)
            printf("%5" PRIu32 "  %-32s %" PRIu64 " images\n", label, class.name, class.count);
    }

    liban_loader_options options = LIBAN_LOADER_OPTIONS_INIT;
    options.batch = 64;
    options.crop = argc > 2 ? (uint32_t)atoi(argv[2]) : 224;
    options.last = LIBAN_LAST_SHORT;
    if (liban_loader_create(&loader, dataset, &options) != LIBAN_OK)
        return fail("make a loader");
    liban_dataset_free(dataset); /* the loader keeps what it needs */

    uint64_t brightness = 0;
    liban_batch *batch;
    int rc;
    while ((rc = liban_loader_next(loader, &batch)) == LIBAN_OK) {
        const uint8_t *pixels = batch->images; /* count x 3 x crop x crop */
        brightness += pixels[0];               /* a training would do more with them */
        liban_batch_release(batch);
    }
    if (rc != LIBAN_END)
        return fail("load an epoch");

    char reason[256];
    liban_loader_stats stats;
    liban_loader_stats_get(loader, &stats);
    liban_loader_verdict(loader, reason, sizeof reason);
    printf("%" PRIu64 " images in %" PRIu64 " batches, %.0f images/s\n%s\n", stats.samples, stats.batches,
           (double)stats.samples / ((double)stats.elapsed_ns / 1e9), reason);
    liban_loader_free(loader);
    return brightness == UINT64_MAX;
}
