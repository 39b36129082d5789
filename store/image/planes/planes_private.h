/* The decoder's handle, shared by planes.c (memory, the loop over MCU rows) and planes_rows.c (from the coefficients of
 * an MCU row to rows of pixels). */
#ifndef AN_STORE_IMAGE_PLANES_PLANES_PRIVATE_H
#define AN_STORE_IMAGE_PLANES_PLANES_PRIVATE_H

#include "store/image/planes/kernels.h"
#include "store/image/planes/planes.h"

enum { AN_PLANES_ALIGNMENT = 64, AN_PLANES_SLOTS = 18 };

/* The samples of a component in one MCU row: a slot for each row of samples. Slot 0 is the last row of the MCU row
 * above; behind the image's last row of chroma comes a copy of it. */
typedef struct {
    uint32_t first, end; /* columns of blocks that the window needs */
    size_t stride;       /* bytes between slots */
    uint8_t *samples;    /* slot 0 at the first sample of block `first`; the 64 bytes before a slot may be written */
    int16_t quantisation[64]; /* row-major */
} an_plane;

struct an_planes {
    const an_planes_kernels *kernels;
    void *memory; /* holds all of the following, for the present image and window */
    size_t capacity;
    int16_t *coefficients; /* AN_BLOCKS_MCU_ROWS rows of blocks */
    size_t row_size;       /* coefficients of each */
    uint8_t *chroma[2];    /* Cb and Cr of a row of pixels, upsampled */
    uint8_t *row;          /* a row of pixels, for sinks that are functions */
    an_plane plane[3];

    an_blocks blocks;
    an_window window;
};

/* Transform the wanted rows of an MCU row into slots 1 and on. AN_AGAIN: a block is out of range; `in_range` says that
 * none can be. */
int an_planes_transform(an_planes *planes, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS], bool in_range);

/* Give the sink the rows of pixels that this MCU row completes, and keep the samples that the next one needs. */
void an_planes_emit(an_planes *planes, uint32_t mcu_row, const an_planes_sink *sink);

#endif
