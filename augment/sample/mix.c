/* Draws of mixup and CutMix. */
#include <math.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"
#include "base/rng.h"

int an_sample_check_mix(const an_sample_options *o)
{
    if (!(isfinite(o->mixup) && o->mixup >= 0 && isfinite(o->cutmix) && o->cutmix >= 0))
        return an_error(AN_EINVAL, "mixup %g, cutmix %g: alpha must be 0 or more", o->mixup, o->cutmix);
    if (o->cutmix > 0 && o->crop > UINT16_MAX)
        return an_error(AN_EINVAL, "cutmix takes crops of at most %d pixels, not %u", UINT16_MAX, o->crop);
    return AN_OK;
}

static void draw_mixup(double alpha, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out)
{
    an_rng rng = an_rng_make(seed, AN_RNG_MIXUP, epoch, index);
    out->share = (float)an_rng_beta(&rng, alpha);
}

/* The pixels of a row of side that a stretch of width pixels around centre covers. */
static void stretch(uint32_t side, uint32_t width, uint32_t centre, uint16_t *from, uint16_t *to)
{
    uint32_t before = width / 2, end = centre + width - before;
    *from = (uint16_t)(centre > before ? centre - before : 0);
    *to = (uint16_t)(end < side ? end : side);
}

/* A square of area 1 - lambda whose centre is uniform in the image, cut off where the image ends. */
static void draw_cutmix(double alpha, uint32_t side, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out)
{
    an_rng rng = an_rng_make(seed, AN_RNG_CUTMIX, epoch, index);
    double lambda = an_rng_beta(&rng, alpha);
    uint32_t width = (uint32_t)rint(sqrt(1 - lambda) * side);
    uint32_t x = an_rng_below(&rng, side), y = an_rng_below(&rng, side);
    if (!width)
        return;
    stretch(side, width, x, &out->box[0], &out->box[2]);
    stretch(side, width, y, &out->box[1], &out->box[3]);
    double taken = (double)(out->box[2] - out->box[0]) * (out->box[3] - out->box[1]);
    out->share = (float)(1 - taken / ((double)side * side));
}

void an_sample_draw_mix(const an_sample_options *o, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out)
{
    bool cut = o->cutmix > 0;
    if (cut && o->mixup > 0) {
        an_rng rng = an_rng_make(seed, AN_RNG_MIX, epoch, index);
        cut = an_rng_u32(&rng) >> 31;
    }
    if (cut)
        draw_cutmix(o->cutmix, o->crop, seed, epoch, index, out);
    else if (o->mixup > 0)
        draw_mixup(o->mixup, seed, epoch, index, out);
}
