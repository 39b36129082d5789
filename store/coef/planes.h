/* What the two halves of the coef decoder share: coef_decode.c (memory, the way through an image) and coef_planes.c
 * (from coefficients to rows of pixels). Internal to store. */
#ifndef AN_STORE_COEF_PLANES_H
#define AN_STORE_COEF_PLANES_H

#include "store/coef/format.h"
#include "store/coef/kernels.h"
#include "store/jpeg/scan.h"

enum { AN_COEF_ALIGNMENT = 64, AN_COEF_SLOTS = 18 };

/* The samples of a component in one MCU row: slots, one a sample row; slot 0 is the last row of the MCU row above. */
typedef struct {
    uint32_t first, end; /* columns of blocks that the window needs */
    size_t stride;
    uint8_t *samples; /* slot 0, at the first sample of block first; AN_COEF_ALIGNMENT bytes before each slot may be
                         written */
    int16_t quantisation[64]; /* row-major */
} an_coef_plane;

struct an_coef_decoder {
    const an_coef_kernels *kernels;
    void *memory;
    size_t capacity;
    an_coef_work work; /* in memory, for one image; as are: */
    uint8_t *chroma[2], *row;
    an_coef_layout layout;
    an_coef_window window;
    an_coef_plane planes[3];
    const uint8_t *next_row, *next_length; /* of a payload */
    an_coef_scan *scan;                    /* or NULL */
    size_t scan_row;                       /* coefficients between its rows of blocks */
};

/* Where rows go: into the caller's image, or one by one to a function. */
typedef struct {
    uint8_t *rgb;
    size_t stride;
    an_coef_row *row;
    void *context;
} an_coef_sink;

/* Whether chroma has half as many columns, rows. */
static inline bool an_coef_halved_wide(const an_coef_decoder *d)
{
    return d->layout.info.sampling == AN_COEF_422 || d->layout.info.sampling == AN_COEF_420;
}

static inline bool an_coef_halved_high(const an_coef_decoder *d)
{
    return d->layout.info.sampling == AN_COEF_420;
}

/* Fill the slots of the next MCU row from 1 on, or only step over it: from the payload's bytes, or from the scan of a
 * JPEG (AN_AGAIN: leave it to libjpeg-turbo). */
int an_coef_planes_from_payload(an_coef_decoder *decoder, uint32_t mcu_row, bool wanted);
int an_coef_planes_from_scan(an_coef_decoder *decoder, uint32_t mcu_row, bool wanted);

/* The rows of pixels that are complete with this MCU row; keeps what the next one needs. */
void an_coef_planes_rows(an_coef_decoder *decoder, uint32_t mcu_row, const an_coef_sink *to);

#endif
