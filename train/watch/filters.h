/* The first layer's filters as a picture for TensorBoard, large enough to be looked at there. */
#ifndef AN_TRAIN_WATCH_FILTERS_H
#define AN_TRAIN_WATCH_FILTERS_H

#include <stdint.h>

typedef struct {
    uint8_t *rgb; /* height rows of width * 3 bytes; freed by the caller */
    uint32_t width, height;
} an_filter_sheet;

/* Filters side by side in white gaps, each scaled for itself: grey where a weight is 0, black and full colour at the
 * filter's largest magnitude. A weight is a square of several pixels. weights: filters x 3 x side x side. On failure
 * and on AN_END (a weight is not finite) *out is empty. */
int an_filter_sheet_draw(an_filter_sheet *out, const float *weights, int filters, int side);

#endif
