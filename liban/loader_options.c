/* From the options of liban to those of augment/. Everything is checked here that they call by another name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/error.h"
#include "base/text/name_list.h"
#include "base/thread.h"
#include "liban/dataset_private.h"
#include "liban/loader_private.h"
#include "store/reader/reader.h"

_Static_assert((int)LIBAN_U8 == AN_DTYPE_U8 && (int)LIBAN_F32 == AN_DTYPE_F32 && (int)LIBAN_BF16 == AN_DTYPE_BF16 &&
                   (int)LIBAN_F16 == AN_DTYPE_F16 && (int)LIBAN_NHWC == AN_LAYOUT_NHWC &&
                   (int)LIBAN_NCHW == AN_LAYOUT_NCHW,
               "formats have the same numbers");
_Static_assert((int)LIBAN_ORDER_GLOBAL == AN_ORDER_GLOBAL && (int)LIBAN_ORDER_BLOCK == AN_ORDER_BLOCK &&
                   (int)LIBAN_ORDER_SEQUENTIAL == AN_ORDER_SEQUENTIAL,
               "orders have the same numbers");

#define SLOTS 4
#define SLOTS_MAX 64
#define DEPTH 32
#define THREADS_MAX 1024

static int check_range(const char *name, int64_t value, int64_t min, int64_t max)
{
    if (value >= min && value <= max)
        return LIBAN_OK;
    return an_error(LIBAN_EINVAL, "%s %lld is outside %lld..%lld", name, (long long)value, (long long)min,
                    (long long)max);
}

/* ---- which records ---------------------------------------------------------------------------------------------- */

/* A copy of count elements. */
static int copy(void **out, const void *from, uint64_t count, size_t element, const char *name)
{
    size_t bytes;
    int rc = an_size_multiply(count, element, &bytes);
    if (rc)
        return rc;
    *out = malloc(bytes ? bytes : 1);
    if (!*out)
        return an_error(LIBAN_ENOMEM, "out of memory for %llu %s", (unsigned long long)count, name);
    if (bytes)
        memcpy(*out, from, bytes);
    return LIBAN_OK;
}

static int take_indices(liban_loader *l, const liban_loader_options *o)
{
    uint64_t count = liban_dataset_count(l->dataset);
    l->records = o->indices ? o->index_count : count;
    if (!o->indices)
        return o->index_count ? an_error(LIBAN_EINVAL, "index_count without indices") : LIBAN_OK;
    if (!o->index_count)
        return an_error(LIBAN_EINVAL, "indices are empty: an epoch needs a record");
    for (uint64_t i = 0; i < o->index_count; i++)
        if (o->indices[i] >= count)
            return an_error(LIBAN_EINVAL, "indices: number %llu is %llu, but '%s' has %llu records",
                            (unsigned long long)i, (unsigned long long)o->indices[i], liban_dataset_path(l->dataset),
                            (unsigned long long)count);
    return copy((void **)&l->indices, o->indices, o->index_count, sizeof *o->indices, "indices");
}

static int check_weights(const liban_loader *l, const liban_loader_options *o)
{
    double sum = 0;
    if (o->weight_count != l->records)
        return an_error(LIBAN_EINVAL, "%llu weights for %llu records", (unsigned long long)o->weight_count,
                        (unsigned long long)l->records);
    if (o->order != LIBAN_ORDER_GLOBAL)
        return an_error(LIBAN_EINVAL, "weights need order global");
    for (uint64_t i = 0; i < o->weight_count; i++) {
        if (!isfinite(o->weights[i]) || o->weights[i] < 0)
            return an_error(LIBAN_EINVAL, "weights: number %llu is %g, but must be finite and 0 or more",
                            (unsigned long long)i, o->weights[i]);
        sum += o->weights[i];
    }
    if (!(sum > 0 && isfinite(sum)))
        return an_error(LIBAN_EINVAL, "weights: their sum is %g, but must be finite and above 0", sum);
    return LIBAN_OK;
}

static int take_weights(liban_loader *l, const liban_loader_options *o)
{
    if (!o->weights)
        return o->weight_count ? an_error(LIBAN_EINVAL, "weight_count without weights") : LIBAN_OK;
    int rc = check_weights(l, o);
    if (rc)
        return rc;
    return copy((void **)&l->weights, o->weights, o->weight_count, sizeof *o->weights, "weights");
}

/* The hash of what epochs are made of, for states; 0: of all records, each once. */
static uint64_t sampling_of(const liban_loader *l)
{
    if (!l->indices && !l->weights)
        return 0;
    uint64_t parts[2] = {0};
    if (l->indices)
        parts[0] = XXH3_64bits(l->indices, l->records * sizeof *l->indices);
    if (l->weights)
        parts[1] = XXH3_64bits(l->weights, l->records * sizeof *l->weights);
    uint64_t hash = XXH3_64bits(parts, sizeof parts);
    return hash ? hash : 1;
}

static int take_records(liban_loader *l, const liban_loader_options *o)
{
    int rc = take_indices(l, o);
    if (rc)
        return rc;
    rc = take_weights(l, o);
    if (rc)
        return rc;
    l->sampling = sampling_of(l);
    an_loader_options *to = &l->run_options.loader;
    to->subset = l->indices;
    to->subset_count = l->indices ? l->records : 0;
    to->weights = l->weights;
    if (o->position > l->records)
        return an_error(LIBAN_EINVAL, "position %llu is beyond the %llu records of an epoch",
                        (unsigned long long)o->position, (unsigned long long)l->records);
    return LIBAN_OK;
}

/* ---- in which order --------------------------------------------------------------------------------------------- */

static int take_order(an_loader_options *to, const liban_loader_options *o)
{
    static const an_last_kind lasts[] = {AN_LAST_DROP, AN_LAST_EVEN, AN_LAST_PAD};
    int rc = check_range("order", o->order, LIBAN_ORDER_GLOBAL, LIBAN_ORDER_SEQUENTIAL);
    if (rc)
        return rc;
    rc = check_range("last", o->last, LIBAN_LAST_DROP, LIBAN_LAST_PAD);
    if (rc)
        return rc;
    to->batch = o->batch;
    to->rank = o->rank;
    to->world = o->world;
    to->seed = o->seed;
    to->order = (an_order_kind)o->order;
    to->block = o->block;
    to->last = lasts[o->last];
    return LIBAN_OK;
}

static int take_crops(liban_loader *l, const liban_loader_options *o)
{
    uint32_t side = liban_dataset_side(l->dataset);
    int rc = check_range("crop", o->crop, 1, side);
    if (rc)
        return rc;
    if (o->crop_change_count > 0 && !o->crop_changes)
        return an_error(LIBAN_EINVAL, "crop_changes is NULL, but crop_change_count %zu", o->crop_change_count);
    for (size_t i = 0; i < o->crop_change_count; i++) {
        rc = check_range("crop_changes: crop", o->crop_changes[i].crop, 1, side);
        if (rc)
            return rc;
        if (i > 0 && o->crop_changes[i].epoch <= o->crop_changes[i - 1].epoch)
            return an_error(LIBAN_EINVAL, "crop_changes: epoch %llu follows epoch %llu, but they must ascend",
                            (unsigned long long)o->crop_changes[i].epoch,
                            (unsigned long long)o->crop_changes[i - 1].epoch);
    }
    l->crop = o->crop;
    l->change_count = o->crop_change_count;
    return copy((void **)&l->changes, o->crop_changes, o->crop_change_count, sizeof *o->crop_changes, "crop_changes");
}

/* ---- the image -------------------------------------------------------------------------------------------------- */

static int take_mean(an_sample_options *to, const liban_loader_options *o)
{
    static const an_mean_kind means[] = {AN_MEAN_NONE, AN_MEAN_GIVEN, AN_MEAN_CHANNEL, AN_MEAN_PIXEL};
    int rc = check_range("mean", o->mean, LIBAN_MEAN_NONE, LIBAN_MEAN_PIXEL);
    if (rc)
        return rc;
    to->mean = means[o->mean];
    memcpy(to->mean_given, o->mean_given, sizeof to->mean_given);
    for (int c = 0; o->mean == LIBAN_MEAN_GIVEN && c < o->channels; c++)
        if (!isfinite(o->mean_given[c]))
            return an_error(LIBAN_EINVAL, "mean_given: %g is not a finite number", o->mean_given[c]);
    return LIBAN_OK;
}

static int take_deviation(an_sample_options *to, const liban_dataset *dataset, const liban_loader_options *o)
{
    const an_statistics *statistics = an_dataset_statistics(an_lib_dataset_inner(dataset));
    int rc = check_range("deviation", o->deviation, LIBAN_DEVIATION_NONE, LIBAN_DEVIATION_DATASET);
    if (rc || o->deviation == LIBAN_DEVIATION_NONE)
        return rc;
    memcpy(to->deviation, o->deviation_given, sizeof to->deviation);
    if (o->deviation == LIBAN_DEVIATION_DATASET)
        an_sample_deviation(statistics, o->channels, to->deviation);
    for (int c = 0; c < o->channels; c++)
        if (!(isfinite(to->deviation[c]) && to->deviation[c] > 0))
            return an_error(LIBAN_EINVAL, "%s: %g is not a finite number above 0",
                            o->deviation == LIBAN_DEVIATION_GIVEN ? "deviation_given" : "deviation of the dataset",
                            to->deviation[c]);
    return LIBAN_OK;
}

/* Bytes are delivered as they were decoded. */
static int check_bytes(const liban_loader_options *o)
{
    if (o->dtype != LIBAN_U8)
        return LIBAN_OK;
    if (o->mean != LIBAN_MEAN_NONE)
        return an_error(LIBAN_EINVAL, "mean needs a float dtype, not u8");
    if (o->deviation != LIBAN_DEVIATION_NONE)
        return an_error(LIBAN_EINVAL, "deviation needs a float dtype, not u8");
    if (o->jitter != 0)
        return an_error(LIBAN_EINVAL, "jitter needs a float dtype, not u8");
    return LIBAN_OK;
}

static int take_format(an_format *to, const liban_loader_options *o)
{
    int rc = check_range("dtype", o->dtype, LIBAN_U8, LIBAN_F16);
    if (rc)
        return rc;
    rc = check_range("layout", o->layout, LIBAN_NHWC, LIBAN_NCHW);
    if (rc)
        return rc;
    if (o->channels != 3 && o->channels != 1)
        return an_error(LIBAN_EINVAL, "channels must be 3 (RGB) or 1 (grey), not %d", o->channels);
    *to = (an_format){.dtype = (an_dtype)o->dtype, .layout = (an_layout)o->layout, .channels = o->channels};
    return check_bytes(o);
}

static int check_image(const liban_loader_options *o)
{
    if (o->resized != 0 && o->centre)
        return an_error(LIBAN_EINVAL, "resized needs random crops, which centre excludes");
    if (o->resized != 0 && o->mean == LIBAN_MEAN_PIXEL)
        return an_error(LIBAN_EINVAL, "resized excludes mean pixel, whose image is not resized");
    if (o->jitter != 0 && o->channels == 1)
        return an_error(LIBAN_EINVAL, "jitter is of colours: grey images have none");
    return LIBAN_OK;
}

static int take_image(an_sample_options *to, const liban_dataset *dataset, const liban_loader_options *o)
{
    int rc = check_image(o);
    if (rc)
        return rc;
    to->random_crop = !o->centre;
    to->area_min = o->resized;
    to->flip = o->mirror;
    to->jitter = o->jitter;
    to->mixup = o->mixup;
    to->cutmix = o->cutmix;
    to->scale = 1;
    rc = take_format(&to->format, o);
    if (rc)
        return rc;
    rc = take_mean(to, o);
    if (rc)
        return rc;
    return take_deviation(to, dataset, o);
}

/* ---- how it works ----------------------------------------------------------------------------------------------- */

static const char *engine_at(size_t i)
{
    return an_reader_engine_names[i];
}

static int take_engine(an_loader_options *to, const char *name)
{
    to->engine = AN_READER_AUTO;
    for (size_t i = 0; name && i < an_reader_engine_count(); i++)
        if (!strcmp(an_reader_engine_names[i], name)) {
            to->engine = (an_reader_engine)i;
            return LIBAN_OK;
        }
    if (!name)
        return LIBAN_OK;
    an_name_list known = an_name_list_make(an_reader_engine_count(), engine_at);
    return an_error(LIBAN_EINVAL, "engine '%s' is unknown: choose %s", name, known.text);
}

static int take_slots(an_loader_options *to, const liban_loader_options *o)
{
    int rc = check_range("slots_max", o->slots_max, 0, INT32_MAX);
    if (rc)
        return rc;
    to->slots = o->slots;
    if (!o->slots)
        to->slots = o->slots_max && o->slots_max < SLOTS ? o->slots_max : SLOTS;
    to->slots_max = o->slots_max;
    if (!o->slots_max)
        to->slots_max = to->slots > SLOTS_MAX ? to->slots : SLOTS_MAX;
    if (to->slots_max < to->slots)
        return an_error(LIBAN_EINVAL, "slots_max %d is below slots %d", to->slots_max, to->slots);
    return LIBAN_OK;
}

static int take_work(an_loader_options *to, const liban_loader_options *o)
{
    int rc = check_range("threads", o->threads, 0, THREADS_MAX);
    if (rc)
        return rc;
    to->threads = o->threads ? o->threads : an_thread_cpu_count();
    if (to->threads > THREADS_MAX)
        to->threads = THREADS_MAX;
    to->depth = o->depth ? o->depth : DEPTH;
    to->verify = o->verify;
    rc = take_engine(to, o->engine);
    if (rc)
        return rc;
    return take_slots(to, o);
}

static int take_memory(an_lib_run_options *to, const liban_loader_options *o)
{
    if (o->device)
        return an_error(LIBAN_EUNSUPPORTED, "device '%s': this library loads to the host only", o->device);
    if (!o->memory_alloc != !o->memory_free)
        return an_error(LIBAN_EINVAL, "memory_alloc and memory_free must be given together");
    to->memory_alloc = o->memory_alloc;
    to->memory_free = o->memory_free;
    to->memory_context = o->memory_context;
    return LIBAN_OK;
}

int an_lib_loader_translate(liban_loader *l, const liban_loader_options *options)
{
    an_lib_run_options *to = &l->run_options;
    to->process = l->process;
    to->loader.dataset = an_lib_dataset_inner(l->dataset);
    int rc = take_order(&to->loader, options);
    if (rc)
        return rc;
    rc = take_records(l, options);
    if (rc)
        return rc;
    rc = take_crops(l, options);
    if (rc)
        return rc;
    rc = take_image(&to->loader.sample, l->dataset, options);
    if (rc)
        return rc;
    rc = take_work(&to->loader, options);
    if (rc)
        return rc;
    return take_memory(to, options);
}
