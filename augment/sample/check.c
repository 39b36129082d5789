#include <float.h>
#include <math.h>

#include "augment/sample/sample_private.h"
#include "base/error.h"

static int check_format(const an_format *format)
{
    if (format->channels != 1 && format->channels != AN_SAMPLE_COLOURS && format->channels != AN_SAMPLE_COLOURS + 1)
        return an_error(AN_EINVAL, "%d channels: images are stored with 3 or 4, or with 1 if they are grey",
                        format->channels);
    if (format->layout != AN_LAYOUT_NHWC && format->layout != AN_LAYOUT_NCHW)
        return an_error(AN_EINVAL, "unknown image layout %d", (int)format->layout);
    if ((int)format->dtype < AN_DTYPE_U8 || format->dtype > AN_DTYPE_F16)
        return an_error(AN_EINVAL, "unknown image type %d", (int)format->dtype);
    return AN_OK;
}

/* Whether a training set's mean is subtracted. */
static bool of_statistics(const an_sample_options *o)
{
    return o->mean == AN_MEAN_CHANNEL || o->mean == AN_MEAN_PIXEL;
}

static int check_values(const an_sample_options *o)
{
    int colours = an_sample_colours(o);
    bool divides = false;
    for (int c = 0; c < colours; c++) {
        if (o->mean == AN_MEAN_GIVEN && !(fabs(o->mean_given[c]) <= FLT_MAX))
            return an_error(AN_EINVAL, "mean %g is impossible: give a number from 0 to 255", o->mean_given[c]);
        divides |= o->deviation[c] != 0;
    }
    for (int c = 0; c < colours && divides; c++)
        if (!an_value_scale_possible(o->scale, o->deviation[c]))
            return an_error(AN_EINVAL, "deviation %g is impossible: give numbers above 0, or 0 for all colours",
                            o->deviation[c]);
    if (divides && o->format.dtype == AN_DTYPE_U8)
        return an_error(AN_EINVAL, "u8 images are delivered as decoded: no deviation, or another type");
    return AN_OK;
}

int an_sample_check(const an_sample_options *o, uint32_t side, const an_statistics *statistics)
{
    bool bytes = o->format.dtype == AN_DTYPE_U8;
    int rc = check_format(&o->format);
    if (rc)
        return rc;
    if (o->crop < 1 || o->crop > side)
        return an_error(AN_EINVAL, "crop %u does not fit the records of %u pixels", o->crop, side);
    if (!isfinite(o->jitter) || o->jitter < 0)
        return an_error(AN_EINVAL, "colour jitter %g is not a deviation: give 0 or more", o->jitter);
    if (o->jitter > 0 && an_sample_colours(o) == 1)
        return an_error(AN_EINVAL, "colour jitter needs colours: grey images have none");
    if (!isfinite(o->scale) || o->scale <= 0)
        return an_error(AN_EINVAL, "scale %g is impossible: give a number above 0", o->scale);
    if (bytes && (o->mean != AN_MEAN_NONE || o->scale != 1))
        return an_error(AN_EINVAL, "u8 images are delivered as decoded: no mean and scale 1, or another type");
    if ((int)o->mean < AN_MEAN_NONE || o->mean > AN_MEAN_GIVEN)
        return an_error(AN_EINVAL, "unknown kind of mean %d", (int)o->mean);
    if ((of_statistics(o) || o->jitter > 0) && !statistics)
        return an_error(AN_EINVAL, "mean and colour jitter need the statistics of a training set");
    if (!isfinite(o->area_min) || o->area_min < 0 || o->area_min > 1)
        return an_error(AN_EINVAL, "area %g of resized crops is not a share: give 0 to 1", o->area_min);
    if (o->area_min > 0 && (!o->random_crop || o->mean == AN_MEAN_PIXEL))
        return an_error(AN_EINVAL, "resized crops go with random crops and the channel mean only");
    rc = check_values(o);
    if (rc)
        return rc;
    rc = an_sample_check_mix(o);
    if (rc)
        return rc;
    if (o->mean == AN_MEAN_PIXEL && statistics->side != side)
        return an_error(AN_EINVAL, "the mean image has %u pixels a side, the records %u: use the channel mean",
                        statistics->side, side);
    return AN_OK;
}
