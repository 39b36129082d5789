#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

fixture set;
liban_dataset *dataset;

int setup(void **state)
{
    (void)state;
    static const an_codec codecs[] = {AN_CODEC_JPEG, AN_CODEC_COEF, AN_CODEC_RGB, AN_CODEC_YUV420};
    fixture_make(&set, RECORDS, SIDE, codecs, 4);
    if (liban_dataset_open(&dataset, set.path))
        fail_msg("%s", liban_error_message());
    return 0;
}

int teardown(void **state)
{
    (void)state;
    liban_dataset_free(dataset);
    fixture_drop(&set);
    return 0;
}

liban_loader_options small(void)
{
    liban_loader_options options = LIBAN_LOADER_OPTIONS_INIT;
    options.batch = BATCH;
    options.crop = 16;
    options.threads = 2;
    return options;
}

liban_loader *start(const liban_loader_options *options)
{
    liban_loader *loader;
    if (liban_loader_create(&loader, dataset, options))
        fail_msg("%s", liban_error_message());
    return loader;
}

liban_batch *take(liban_loader *loader)
{
    liban_batch *batch;
    int rc = liban_loader_next(loader, &batch);
    if (rc)
        fail_msg("%d: %s", rc, liban_error_message());
    return batch;
}

void give(liban_batch *batch)
{
    assert_int_equal(liban_batch_release(batch), LIBAN_OK);
}

size_t sample_bytes(const liban_batch *batch)
{
    static const size_t sizes[] = {1, 4, 2, 2};
    return (size_t)batch->crop * batch->crop * batch->channels * sizes[batch->dtype];
}

uint64_t hash_of(const liban_batch *batch)
{
    uint64_t parts[5] = {XXH3_64bits(batch->images, batch->images_size),
                         XXH3_64bits(batch->labels, batch->count * sizeof *batch->labels),
                         XXH3_64bits(batch->indices, batch->count * sizeof *batch->indices)};
    assert_int_equal(batch->images_size, batch->count * sample_bytes(batch));
    if (batch->shares) {
        parts[3] = XXH3_64bits(batch->shares, batch->count * sizeof *batch->shares);
        parts[4] = XXH3_64bits(batch->boxes, batch->count * sizeof *batch->boxes);
    }
    return XXH3_64bits(parts, sizeof parts);
}

void message_has(const char *words)
{
    if (!strstr(liban_error_message(), words))
        fail_msg("'%s' does not say '%s'", liban_error_message(), words);
}

void refused(const liban_loader_options *options, int code, const char *words)
{
    liban_loader *loader = (liban_loader *)options;
    assert_int_equal(liban_loader_create(&loader, dataset, options), code);
    assert_null(loader);
    message_has(words);
}
