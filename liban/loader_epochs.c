/* From the options of liban to those of augment/: what an epoch is. Its records, their order, the size of its crops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/error.h"
#include "liban/common_private.h"
#include "liban/loader_private.h"

_Static_assert((int)LIBAN_ORDER_GLOBAL == AN_ORDER_GLOBAL && (int)LIBAN_ORDER_BLOCK == AN_ORDER_BLOCK &&
                   (int)LIBAN_ORDER_SEQUENTIAL == AN_ORDER_SEQUENTIAL,
               "orders have the same numbers");

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
    bool some = false;
    if (o->weight_count != l->records)
        return an_error(LIBAN_EINVAL, "%llu weights for %llu records", (unsigned long long)o->weight_count,
                        (unsigned long long)l->records);
    if (o->order != LIBAN_ORDER_GLOBAL)
        return an_error(LIBAN_EINVAL, "weights need order global");
    for (uint64_t i = 0; i < o->weight_count; i++) {
        if (!isfinite(o->weights[i]) || o->weights[i] < 0)
            return an_error(LIBAN_EINVAL, "weights: number %llu is %g, but must be finite and 0 or more",
                            (unsigned long long)i, o->weights[i]);
        some |= o->weights[i] > 0;
    }
    return some ? LIBAN_OK : an_error(LIBAN_EINVAL, "weights are all 0: nothing can be drawn");
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
    int rc = an_lib_check_range("order", o->order, LIBAN_ORDER_GLOBAL, LIBAN_ORDER_SEQUENTIAL);
    if (rc)
        return rc;
    rc = an_lib_check_range("last", o->last, LIBAN_LAST_DROP, LIBAN_LAST_PAD);
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
    int rc = an_lib_check_range("crop", o->crop, 1, side);
    if (rc)
        return rc;
    if (o->crop_change_count > 0 && !o->crop_changes)
        return an_error(LIBAN_EINVAL, "crop_changes is NULL, but crop_change_count %zu", o->crop_change_count);
    for (size_t i = 0; i < o->crop_change_count; i++) {
        rc = an_lib_check_range("crop_changes: crop", o->crop_changes[i].crop, 1, side);
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

int an_lib_loader_take_epochs(liban_loader *l, const liban_loader_options *options)
{
    int rc = take_order(&l->run_options.loader, options);
    if (rc)
        return rc;
    rc = take_records(l, options);
    if (rc)
        return rc;
    return take_crops(l, options);
}
