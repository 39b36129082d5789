/* One record to one network input: decode, crop, flip, colour jitter, mean, scale, written once in the wanted format.
 */
#ifndef AN_AUGMENT_SAMPLE_H
#define AN_AUGMENT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"
#include "store/codec.h"
#include "store/image/statistics.h"

typedef enum { AN_MEAN_NONE, AN_MEAN_CHANNEL, AN_MEAN_PIXEL } an_mean_kind;

typedef struct {
    uint32_t crop;     /* output side, at most the records' */
    bool random_crop;  /* else centre */
    double area_min;   /* > 0: random resized crops (Inception) of at least this share of the image, 0.08 there, and an
                          aspect of 3/4 to 4/3; with random_crop, not with AN_MEAN_PIXEL. 0 = off */
    bool flip;         /* each image with probability 1/2 */
    double jitter;     /* deviation of alpha in the PCA jitter; 0.1 in the paper, 0 = off */
    an_mean_kind mean; /* subtracted; AN_MEAN_PIXEL crops the mean image with the image, before the flip */
    double scale;      /* > 0; multiplies after mean and jitter; 1 = the paper's 0..255 scale */
    an_format format;  /* AN_DTYPE_U8: bytes as decoded; takes neither mean nor scale, and jitter is drawn but left to
                          whoever turns the bytes into numbers */
} an_sample_options;

/* What was drawn for one sample: a pure function of (seed, epoch, index). */
typedef struct {
    uint32_t x, y;
    uint32_t width, height; /* of the window that becomes the crop; 0: as large as the crop, so nothing is resized */
    bool flip;
    float shift[3]; /* RGB, added before scale: sum over i of p_i alpha_i sqrt(lambda_i) */
} an_sample_draw;

typedef struct an_sampler an_sampler; /* options and tables; shared by threads, read-only */

/* statistics are those of the training set; may be NULL when mean is NONE and jitter 0. The caller frees; statistics
 * are copied as far as needed. side: of the records. */
int an_sampler_create(an_sampler **out, const an_sample_options *options, uint32_t side,
                      const an_statistics *statistics);
void an_sampler_free(an_sampler *sampler);
const an_sample_options *an_sampler_options(const an_sampler *sampler);
size_t an_sampler_bytes(const an_sampler *sampler); /* of one sample */

void an_sampler_draw(const an_sampler *sampler, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out);

/* The ten crops of the paper's test: the four corners and the centre, then the same mirrored. No jitter. */
#define AN_SAMPLE_TEN 10
void an_sampler_ten_crop(const an_sampler *sampler, an_sample_draw out[AN_SAMPLE_TEN]);

typedef struct an_sample_scratch an_sample_scratch; /* per thread: decoder and row buffers */
int an_sample_scratch_create(an_sample_scratch **out, const an_sampler *sampler);
void an_sample_scratch_free(an_sample_scratch *scratch);

/* Write an_sampler_bytes bytes to out (aligned for the type). A record of another size or a damaged payload is
 * AN_ECORRUPT. The draw need not come from an_sampler_draw: any crop inside the record will do. */
int an_sampler_make(const an_sampler *sampler, an_sample_scratch *scratch, const an_record *record,
                    const an_sample_draw *draw, void *out);

#endif
