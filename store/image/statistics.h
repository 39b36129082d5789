/* Statistics of a dataset's pixels: mean, deviation, covariance, mean image. Sums are kept in integers, so they are
 * exact and the same for any order of images and any number of threads. Each thread adds to sums of its own, which are
 * merged afterwards. The sums and the results own their memory. */
#ifndef AN_STORE_IMAGE_STATISTICS_H
#define AN_STORE_IMAGE_STATISTICS_H

#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"

typedef struct {
    uint32_t side;
    uint64_t images;
    uint64_t sum[3];     /* per channel over all pixels, 0..255 scale */
    uint64_t product[6]; /* sums of RR, RG, RB, GG, GB, BB */
    uint64_t *pixel_sum; /* side x side x 3; does not contain the recent images */
    uint16_t *recent;    /* the same over the last `pending` images, in a quarter of the memory */
    uint32_t pending;    /* at most AN_STATISTICS_RECENT */
} an_statistics_sums;

#define AN_STATISTICS_RECENT 257 /* 257 * 255 = 65535, the largest 16-bit number */

int an_statistics_sums_init(an_statistics_sums *sums, uint32_t side);
void an_statistics_sums_free(an_statistics_sums *sums);
int an_statistics_sums_add(an_statistics_sums *sums, const an_image *image);             /* image is side x side */
void an_statistics_sums_merge(an_statistics_sums *into, const an_statistics_sums *from); /* of the same side */
void an_statistics_sums_clear(an_statistics_sums *sums);                                 /* as after init */

/* Append the sums as bytes, from which an interrupted ingest goes on. docs/record-format.md specifies them. */
int an_statistics_sums_pack(const an_statistics_sums *sums, an_buffer *out);
/* The reverse, into sums that were initialised for the same side. AN_ECORRUPT when the numbers cannot come from images;
 * the sums are then unchanged. */
int an_statistics_sums_unpack(an_statistics_sums *sums, const uint8_t *data, size_t size);

typedef struct {
    uint32_t side;
    uint64_t images;
    double mean[3], deviation[3]; /* 0..255 scale */
    double covariance[3][3];      /* of RGB over all pixels */
    double eigenvalue[3];         /* descending */
    double eigenvector[3][3];     /* eigenvector[i] belongs to eigenvalue[i], unit length, first non-zero
                                     component positive */
    float *mean_image;            /* side x side x 3, HWC, 0..255 */
} an_statistics;

/* Without any image all values are 0 and the eigenvectors are those of the identity. Eigenvectors are computed by the
 * cyclic Jacobi method. */
int an_statistics_compute(const an_statistics_sums *sums, an_statistics *out);
void an_statistics_free(an_statistics *statistics);

#endif
