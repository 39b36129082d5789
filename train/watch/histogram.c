#include "train/watch/histogram.h"

#include <math.h>

enum { POSITIVE = AN_HISTOGRAM_POSITIVE };

int an_histogram_bucket(double value)
{
    double magnitude = fabs(value);
    if (!(magnitude > 1e-12))
        return POSITIVE;
    int step = (int)ceil(log(magnitude / 1e-12) / log(1.1));
    if (step > POSITIVE - 1)
        step = POSITIVE - 1;
    return value > 0 ? POSITIVE + 1 + step : POSITIVE - 1 - step;
}

double an_histogram_limit(int bucket)
{
    if (bucket < POSITIVE)
        return -1e-12 * pow(1.1, POSITIVE - 1 - bucket - 1);
    if (bucket == POSITIVE)
        return 1e-12;
    return 1e-12 * pow(1.1, bucket - POSITIVE - 1);
}

void an_histogram_fill(an_histogram *h, const float *values, uint64_t count)
{
    *h = (an_histogram){.min = HUGE_VAL, .max = -HUGE_VAL};
    for (uint64_t i = 0; i < count; i++) {
        double v = (double)values[i];
        if (!isfinite(v))
            continue;
        h->min = fmin(h->min, v);
        h->max = fmax(h->max, v);
        h->sum += v;
        h->squares += v * v;
        h->finite++;
        h->counts[an_histogram_bucket(v)]++;
    }
}
