/* From the options of liban to those of augment/: images, and how the loader works. Everything is checked here that
 * they call by another name. What an epoch is stands in loader_epochs.c. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/text/name_list.h"
#include "base/thread.h"
#include "liban/common_private.h"
#include "liban/dataset_private.h"
#include "liban/loader_private.h"
#include "store/reader/reader.h"

_Static_assert((int)LIBAN_U8 == AN_DTYPE_U8 && (int)LIBAN_F32 == AN_DTYPE_F32 && (int)LIBAN_BF16 == AN_DTYPE_BF16 &&
                   (int)LIBAN_F16 == AN_DTYPE_F16 && (int)LIBAN_NHWC == AN_LAYOUT_NHWC &&
                   (int)LIBAN_NCHW == AN_LAYOUT_NCHW,
               "formats have the same numbers");

#define SLOTS 4
#define SLOTS_MAX 64
#define SLOTS_LIMIT 4096 /* of augment/; on devices, too */
#define DEPTH 32
#define THREADS_MAX 1024

/* ---- the image -------------------------------------------------------------------------------------------------- */

static int take_mean(an_sample_options *to, const liban_loader_options *o)
{
    static const an_mean_kind means[] = {AN_MEAN_NONE, AN_MEAN_GIVEN, AN_MEAN_CHANNEL, AN_MEAN_PIXEL};
    int rc = an_lib_check_range("mean", o->mean, LIBAN_MEAN_NONE, LIBAN_MEAN_PIXEL);
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
    int rc = an_lib_check_range("deviation", o->deviation, LIBAN_DEVIATION_NONE, LIBAN_DEVIATION_DATASET);
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
    int rc = an_lib_check_range("dtype", o->dtype, LIBAN_U8, LIBAN_F16);
    if (rc)
        return rc;
    rc = an_lib_check_range("layout", o->layout, LIBAN_NHWC, LIBAN_NCHW);
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
    int rc = o->slots_max ? an_lib_check_range("slots_max", o->slots_max, 2, SLOTS_LIMIT) : LIBAN_OK;
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
    int rc = an_lib_check_range("threads", o->threads, 0, THREADS_MAX);
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

static int take_device(liban_loader *l, const liban_loader_options *o)
{
    if (!o->device)
        return LIBAN_OK;
    if (o->memory_alloc || o->memory_free)
        return an_error(LIBAN_EINVAL, "memory_alloc gives memory on the host, but batches lie on device '%s'",
                        o->device);
    l->device = strdup(o->device);
    l->run_options.device = l->device;
    return l->device ? LIBAN_OK : an_error(LIBAN_ENOMEM, "out of memory for the device's name");
}

static int take_memory(an_lib_run_options *to, const liban_loader_options *o)
{
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
    int rc = an_lib_loader_take_epochs(l, options);
    if (rc)
        return rc;
    rc = take_image(&to->loader.sample, l->dataset, options);
    if (rc)
        return rc;
    rc = take_work(&to->loader, options);
    if (rc)
        return rc;
    rc = take_device(l, options);
    if (rc)
        return rc;
    return take_memory(to, options);
}
