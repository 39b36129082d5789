/* A histogram with TensorFlow's buckets: their limits grow by a tenth from 1e-12 to about 1e20, mirrored around zero.
 */
#ifndef AN_TRAIN_WATCH_HISTOGRAM_H
#define AN_TRAIN_WATCH_HISTOGRAM_H

#include <stdint.h>

/* 1e-12 * 1.1^775 is about 1e20. The bucket in the middle holds what is nearer to zero than 1e-12. */
enum { AN_HISTOGRAM_POSITIVE = 776, AN_HISTOGRAM_BUCKETS = 2 * AN_HISTOGRAM_POSITIVE + 1 };

typedef struct {
    double min, max, sum, squares; /* of the finite values */
    uint64_t finite;               /* how many are finite; the others are left out */
    uint64_t counts[AN_HISTOGRAM_BUCKETS + 1];
} an_histogram;

void an_histogram_fill(an_histogram *histogram, const float *values, uint64_t count);

int an_histogram_bucket(double value); /* the bucket that it falls into */
double an_histogram_limit(int bucket); /* its upper limit */

#endif
