#include "loader_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "unpack.h"

fixture set;
static const an_codec all_codecs[] = {AN_CODEC_JPEG, AN_CODEC_RGB, AN_CODEC_YUV420, AN_CODEC_COEF};

int setup(void **state)
{
    (void)state;
    fixture_make(&set, RECORDS, SIDE, all_codecs, 4);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    fixture_drop(&set);
    return 0;
}

an_loader_options plain(void)
{
    return (an_loader_options){
        .dataset = set.dataset,
        .sample = {.crop = 32,
                   .random_crop = true,
                   .flip = true,
                   .jitter = 0.1,
                   .mean = AN_MEAN_PIXEL,
                   .scale = 1,
                   .format = {AN_DTYPE_F32, AN_LAYOUT_NCHW, 3}},
        .engine = AN_READER_AUTO,
        .depth = 32,
        .threads = 2,
        .slots = 2,
        .batch = BATCH,
        .seed = 1234,
        .order = AN_ORDER_GLOBAL,
        .world = 1,
        .last = AN_LAST_DROP,
        .verify = true,
        .epochs = 1,
    };
}

an_loader_options bytes_options(an_decode_place decode)
{
    an_loader_options o = plain();
    o.sample.mean = AN_MEAN_NONE;
    o.sample.format = (an_format){AN_DTYPE_U8, AN_LAYOUT_NHWC, 3};
    o.decode = decode;
    return o;
}

an_loader *start(const an_loader_options *options)
{
    an_loader *loader;
    if (an_loader_create(&loader, options))
        fail_msg("%s", an_error_message());
    return loader;
}

size_t sample_bytes(const an_loader_options *o)
{
    return (size_t)o->sample.crop * o->sample.crop * (size_t)o->sample.format.channels *
           an_dtype_size(o->sample.format.dtype);
}

static void hash_samples(XXH3_state_t *hash, const an_loader_options *o, const an_batch *batch)
{
    uint8_t *unpacked = NULL;
    if (o->decode == AN_DECODE_DEVICE)
        unpacked = unpack_batch(o, batch);
    else
        assert_int_equal(batch->size, batch->count * sample_bytes(o));
    XXH3_128bits_update(hash, unpacked ? unpacked : batch->data, batch->count * sample_bytes(o));
    free(unpacked);
}

static void hash_batch(XXH3_state_t *hash, const an_loader_options *o, const an_batch *batch)
{
    hash_samples(hash, o, batch);
    XXH3_128bits_update(hash, batch->labels, batch->count * sizeof *batch->labels);
    XXH3_128bits_update(hash, batch->indices, batch->count * sizeof *batch->indices);
    XXH3_128bits_update(hash, batch->draws, batch->count * sizeof *batch->draws);
    XXH3_128bits_update(hash, &batch->step, sizeof batch->step);
    XXH3_128bits_update(hash, &batch->epoch, sizeof batch->epoch);
}

digest digest_from(const an_loader_options *o, uint64_t skip)
{
    an_loader *loader = start(o);
    XXH3_state_t *hash = XXH3_createState();
    an_batch batch;
    uint64_t delivered = 0;
    XXH3_128bits_reset(hash);
    int rc = an_loader_next(loader, &batch);
    for (; !rc; rc = an_loader_next(loader, &batch)) {
        if (delivered++ >= skip)
            hash_batch(hash, o, &batch);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    if (rc != AN_END)
        fail_msg("%s", an_error_message());
    digest value = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    an_loader_free(loader);
    return value;
}

bool same(digest a, digest b)
{
    return XXH128_isEqual(a, b);
}
