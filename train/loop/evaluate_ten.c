#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/decoder.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/program/stop.h"
#include "train/loop/evaluate.h"
#include "train/loop/predictions.h"

/* There is no loader here: an image is decoded once for ten passes through the network, so decoding in the same thread
 * takes next to no time.
 *
 * Where the device decodes, a batch is a block (augment/payload.h) in which the ten places of an image name one record.
 */
typedef struct {
    an_exec *exec;
    bool encoded; /* data is a block of records */
    const an_dataset *dataset;
    an_sampler *sampler;
    an_sample_scratch *scratch;
    an_sample_draw draws[AN_SAMPLE_TEN];
    const an_evaluate_watcher *watcher;
    uint32_t images; /* in a batch */
    uint8_t *data;   /* images x 10 samples, or a block */
    size_t data_size;
    an_image_draw *crops; /* images x 10 */
    float *probabilities; /* images x 10 rows */
} ten;

static size_t crops_size(const ten *t)
{
    return (size_t)t->images * AN_SAMPLE_TEN * sizeof *t->crops;
}

/* The draws of a batch: the same ten for each of its images. */
static int make_draws(ten *t)
{
    void *pages = NULL;
    int rc = an_exec_images_alloc(t->exec, &pages, crops_size(t));
    t->crops = pages;
    for (uint32_t i = 0; !rc && i < t->images * AN_SAMPLE_TEN; i++) {
        const an_sample_draw *draw = &t->draws[i % AN_SAMPLE_TEN];
        t->crops[i] = an_sample_image_draw(draw);
    }
    return rc;
}

static uint32_t images_of(const an_train_view_options *options)
{
    return (uint32_t)options->batch / AN_SAMPLE_TEN;
}

/* Room for the longest record, or for ten finished samples of each image. */
int an_evaluate_ten_crop_block(const an_train_view_options *options, size_t *out)
{
    uint32_t images = images_of(options);
    size_t largest = AN_SAMPLE_TEN * an_payload_align((size_t)options->crop * (size_t)options->crop * 3);
    size_t record = an_payload_align(an_dataset_record_max(options->dataset));
    largest = record > largest ? record : largest;
    *out = an_payload_first_offset(images * AN_SAMPLE_TEN) + images * largest + AN_PAYLOAD_SLACK;
    if (*out > UINT32_MAX)
        return an_error(AN_EINVAL, "a batch of %u images takes %zu bytes: give fewer than 4 GiB", images, *out);
    return AN_OK;
}

static int data_make(ten *t, const an_train_view_options *options)
{
    void *pages = NULL;
    t->encoded = options->decode == AN_DECODE_DEVICE;
    int rc = t->encoded
                 ? an_evaluate_ten_crop_block(options, &t->data_size)
                 : an_size_multiply(an_sampler_bytes(t->sampler), (size_t)t->images * AN_SAMPLE_TEN, &t->data_size);
    if (rc)
        return rc;
    rc = an_exec_images_alloc(t->exec, &pages, t->data_size);
    t->data = pages;
    return rc;
}

static int open_ten(ten *t, const an_train_view_options *options)
{
    an_sample_options sample;
    an_statistics statistics;
    int rc = an_train_view_sample(options, an_exec_input_format(t->exec), &sample, &statistics);
    if (rc)
        return rc;
    rc = an_sampler_create(&t->sampler, &sample, an_dataset_side(options->dataset), &statistics);
    if (rc)
        return rc;
    rc = an_sample_scratch_create(&t->scratch, t->sampler);
    if (rc)
        return rc;
    an_sampler_ten_crop(t->sampler, t->draws);
    t->images = images_of(options);
    rc = data_make(t, options);
    if (rc)
        return rc;
    rc = make_draws(t);
    if (rc)
        return rc;
    t->probabilities = calloc((size_t)t->images * AN_SAMPLE_TEN * t->watcher->classes, sizeof(float));
    return t->probabilities ? AN_OK : an_error(AN_ENOMEM, "out of memory for predictions");
}

static void close_ten(ten *t)
{
    an_sample_scratch_free(t->scratch);
    an_sampler_free(t->sampler);
    if (t->data)
        an_exec_images_free(t->exec, t->data, t->data_size);
    if (t->crops)
        an_exec_images_free(t->exec, t->crops, crops_size(t));
    free(t->probabilities);
}

static int name_record(const ten *t, uint64_t index, int rc)
{
    return an_error_prefix(rc, "'%s', record %llu", an_dataset_path(t->dataset), (unsigned long long)index);
}

/* A batch under construction. */
typedef struct {
    uint32_t count;     /* samples */
    an_payload *places; /* of a block; NULL: samples lie one after another */
    size_t end;         /* bytes so far */
} filling;

static filling fill_begin(ten *t, uint32_t count)
{
    if (!t->encoded)
        return (filling){.count = count};
    memcpy(t->data, t->crops, count * sizeof *t->crops);
    return (filling){.count = count,
                     .places = (an_payload *)(void *)(t->data + an_payload_places_offset(count)),
                     .end = an_payload_first_offset(count)};
}

/* Takes that many bytes of the batch, for the samples from first on. */
static uint8_t *fill_take(ten *t, filling *f, uint32_t first, uint32_t samples, size_t size, an_payload_kind kind)
{
    uint8_t *out = t->data + f->end;
    for (uint32_t i = first; f->places && i < first + samples; i++)
        f->places[i] = (an_payload){.offset = (uint32_t)f->end, .size = (uint32_t)size, .kind = kind};
    f->end += f->places ? an_payload_align(size) : size;
    return out;
}

static int add_record(ten *t, filling *f, uint32_t first, const an_record *record)
{
    const uint32_t size = record->header.length, side = an_dataset_side(t->dataset);
    int rc = an_record_verify(record);
    if (rc)
        return rc;
    if (t->encoded && record->header.codec == AN_CODEC_COEF && an_batch_decoder_takes(record->payload, size, side)) {
        memcpy(fill_take(t, f, first, AN_SAMPLE_TEN, size, AN_PAYLOAD_COEF), record->payload, size);
        return AN_OK;
    }
    for (uint32_t i = 0; !rc && i < AN_SAMPLE_TEN; i++)
        rc = an_sampler_make(t->sampler, t->scratch, record, &t->draws[i],
                             fill_take(t, f, first + i, 1, an_sampler_bytes(t->sampler), AN_PAYLOAD_PIXELS));
    return rc;
}

static int fill(ten *t, uint64_t first, uint32_t images, an_images *out)
{
    filling f = fill_begin(t, images * AN_SAMPLE_TEN);
    for (uint32_t i = 0; i < images; i++) {
        an_record record;
        int rc = an_dataset_record(t->dataset, first + i, &record);
        if (!rc)
            rc = add_record(t, &f, i * AN_SAMPLE_TEN, &record);
        if (rc)
            return name_record(t, first + i, rc);
    }
    *out = t->encoded ? (an_images){.block = t->data, .block_size = f.end + AN_PAYLOAD_SLACK}
                      : (an_images){.pixels = t->data, .draws = t->crops};
    return AN_OK;
}

/* Replace the first of ten rows by their mean. */
static void average(float *rows, uint32_t classes)
{
    for (uint32_t c = 0; c < classes; c++) {
        float sum = 0;
        for (int i = 0; i < AN_SAMPLE_TEN; i++)
            sum += rows[(size_t)i * classes + c];
        rows[c] = sum / AN_SAMPLE_TEN;
    }
}

static int count_image(ten *t, uint64_t index, float *rows, an_evaluation *sum)
{
    uint32_t label = an_dataset_index(t->dataset)[index].label, classes = t->watcher->classes;
    average(rows, classes);
    int rc = an_prediction_check(index, rows, classes);
    sum->diverged = rc == AN_ECORRUPT;
    if (rc)
        return an_error_prefix(rc, "'%s'", an_dataset_path(t->dataset));
    uint32_t rank = an_prediction_rank(rows, classes, label);
    sum->images++;
    sum->top1 += rank < 1;
    sum->top5 += rank < 5;
    sum->loss -= log(fmax((double)rows[label], 1e-38)); /* finite also where a probability is 0 */
    return t->watcher->image(t->watcher->context, index, label, rows);
}

static int run_batch(ten *t, uint64_t first, uint32_t count, an_evaluation *sum)
{
    an_images images;
    int rc = fill(t, first, count, &images);
    if (rc)
        return rc;
    rc = an_exec_evaluate(t->exec, &images, NULL, count * AN_SAMPLE_TEN, t->probabilities, NULL);
    int64_t damaged = an_exec_damaged(t->exec);
    if (damaged >= 0)
        return name_record(t, first + (uint64_t)damaged / AN_SAMPLE_TEN, rc);
    sum->diverged = rc == AN_ECORRUPT;
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = count_image(t, first + i, t->probabilities + (size_t)i * AN_SAMPLE_TEN * t->watcher->classes, sum);
    return rc;
}

int an_evaluate_ten_crop(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                         an_evaluation *out)
{
    ten t = {.exec = exec, .dataset = options->dataset, .watcher = watcher};
    *out = (an_evaluation){0};
    int rc = open_ten(&t, options);
    uint64_t count = an_dataset_count(options->dataset);
    for (uint64_t first = 0; !rc && first < count; first += t.images) {
        uint32_t images = count - first < t.images ? (uint32_t)(count - first) : t.images;
        rc = an_stop_requested() ? AN_STOPPED : run_batch(&t, first, images, out);
    }
    close_ten(&t);
    if (!rc)
        out->loss /= (double)out->images;
    return rc;
}
