/* Samples: one record becomes one input of a network. It is decoded, cropped, mirrored, colour-jittered, the mean is
 * subtracted, the result scaled and divided by a deviation, and written once, in the wanted format.
 *
 * The caller owns samplers and scratches and frees them. A sampler never changes, so that threads can share it; a
 * scratch belongs to one thread at a time. Failures are codes with a message set (base/error.h). */
#ifndef AN_AUGMENT_SAMPLE_H
#define AN_AUGMENT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"
#include "store/codec.h"
#include "store/image/statistics.h"

typedef enum { AN_MEAN_NONE, AN_MEAN_CHANNEL, AN_MEAN_PIXEL, AN_MEAN_GIVEN } an_mean_kind;

typedef struct {
    uint32_t crop;      /* side of the output, at most that of the records */
    bool random_crop;   /* crop at a random place; else the centre */
    double area_min;    /* above 0: random resized crops, as in Inception, which cover at least this share of the image
                           (0.08 in that paper) and have an aspect ratio of 3/4 to 4/3. They need random_crop and exclude
                           AN_MEAN_PIXEL. 0: off */
    bool flip;          /* mirror each image with probability 1/2 */
    double jitter;      /* standard deviation of alpha in the PCA colour jitter; 0.1 in the AlexNet paper; 0: off */
    bool jitter_scaled; /* multiply what is left when the mean is subtracted and the jitter added by 1 / (1 + jitter),
                           as the AlexNet authors' program does */
    uint64_t jitter_epochs; /* jitter, and its scaling, end after so many epochs; 0: never */
    double mixup, cutmix; /* alpha of mixup and of CutMix; 0: off. With both, each image draws one of them. Samples are
                             drawn so and not mixed: an_image_draw says who does that */
    an_mean_kind mean;    /* subtracted. AN_MEAN_PIXEL: the mean image, cropped like the image, then mirrored with it */
    double mean_given[3]; /* AN_MEAN_GIVEN: RGB, 0 to 255; grey images: the first */
    double scale;         /* above 0; multiplies after mean and jitter; 1 leaves the paper's range of 0 to 255 */
    double deviation[3];  /* RGB, on the scale of bytes, above 0: divides after the same; grey images: the first. All 0:
                             nothing is divided */
    an_format format;     /* with AN_DTYPE_U8 the bytes are delivered as decoded: mean must be AN_MEAN_NONE, scale 1,
                             deviation 0, and the jitter is drawn but not applied: that is left to whoever converts the
                             bytes. Grey images (1 channel) have no jitter, and the grey value of the training set's
                             means as theirs (augment/pixels/values.h); resized crops become grey once they are resized */
} an_sample_options;

/* What was drawn for one sample: a pure function of (seed, epoch, index). */
typedef struct {
    uint32_t x, y;
    uint32_t width, height; /* of the window that becomes the crop; 0: as large as the crop, so nothing is resized */
    bool flip;
    float shift[3];  /* RGB, added before scale: sum over i of p_i alpha_i sqrt(lambda_i) */
    float factor;    /* scale is multiplied with it; 1: none */
    float share;     /* an_image_draw's; samplers draw it and do not apply it */
    uint16_t box[4]; /* likewise */
} an_sample_draw;

/* A draw of which only the named members differ from doing nothing. */
#define AN_SAMPLE_DRAW(...) ((an_sample_draw){.factor = 1, .share = 1, __VA_ARGS__})

typedef struct an_sampler an_sampler; /* options and tables; shared by threads, read-only */

/* statistics: of the training set, copied as far as needed; NULL if mean is AN_MEAN_NONE and jitter 0. side: pixels of
 * the records. AN_EINVAL names an impossible option. */
int an_sampler_create(an_sampler **out, const an_sample_options *options, uint32_t side,
                      const an_statistics *statistics);
void an_sampler_free(an_sampler *sampler);
const an_sample_options *an_sampler_options(const an_sampler *sampler);
size_t an_sampler_bytes(const an_sampler *sampler); /* of one sample */

/* What is subtracted, in the form of an_batch_decoder_options: *mean is allocated and the caller frees it; NULL: there
 * is nothing to subtract. */
int an_sampler_mean(const an_sampler *sampler, float **mean, uint32_t *mean_side);

/* The deviations of a training set's pixels, for an_sample_options of a format with so many channels: of each colour,
 * or in the first place that of the grey value. */
void an_sample_deviation(const an_statistics *statistics, int channels, double deviation[3]);

void an_sampler_draw(const an_sampler *sampler, uint64_t seed, uint64_t epoch, uint64_t index, an_sample_draw *out);

/* What a batch tells of a sample's draw. */
an_image_draw an_sample_image_draw(const an_sample_draw *draw);

/* The ten crops of the paper's test: the four corners and the centre, then the same mirrored. No jitter. */
#define AN_SAMPLE_TEN 10
void an_sampler_ten_crop(const an_sampler *sampler, an_sample_draw out[AN_SAMPLE_TEN]);

typedef struct an_sample_scratch an_sample_scratch; /* a thread's decoder and buffers */
int an_sample_scratch_create(an_sample_scratch **out, const an_sampler *sampler);
void an_sample_scratch_free(an_sample_scratch *scratch);

/* Write a sample, an_sampler_bytes long, to out, which is aligned for its type. The draw may be any that stays within
 * the record, not only one from an_sampler_draw; else AN_EINVAL. A record of another size or with a damaged payload is
 * AN_ECORRUPT. */
int an_sampler_make(const an_sampler *sampler, an_sample_scratch *scratch, const an_record *record,
                    const an_sample_draw *draw, void *out);

#endif
