/* The kernels that decode a batch of coef payloads. This header states their arguments and what an item is; bodies.h
 * computes one item of each, and kernels.cu runs the items on a device.
 *
 *     rows      a warp for each row of blocks that a sample's crop needs: from the payload to samples of Y, Cb and Cr
 *     pixels    a thread for a patch of a crop, eight pixels wide: from the samples to RGB bytes
 *     values    the same for all other formats
 *
 * The samples of a batch stay in the L2 cache of a large device between the two launches.
 *
 * launch.h starts them on a device, host.h computes the same on a host. */
#ifndef AN_AUGMENT_CUDA_KERNELS_KERNELS_H
#define AN_AUGMENT_CUDA_KERNELS_KERNELS_H

#include <stdint.h>

#include "augment/payload.h"
#include "base/format.h"

/* A function for the host and for devices. */
#ifdef __CUDACC__
#define AN_DECODE_BOTH static inline __host__ __device__
#else
#define AN_DECODE_BOTH static inline
#endif

/* The first member of all arguments: the memory that a kernel touches. Memory in out is written and may be read as
 * well; memory in in is only read. Unused places are NULL. The work is divided into items. */
typedef struct {
    void *out[4];
    const void *in[4];
    uint64_t items;
} an_decode_places;

/* What is wrong with a sample: the code and two numbers for the message. */
typedef enum {
    AN_DECODE_PLACE = 1,  /* the payload leaves the block */
    AN_DECODE_KIND,       /* an unknown kind of payload */
    AN_DECODE_CROP,       /* the crop leaves the picture */
    AN_DECODE_BYTES,      /* pixels of another size: first bytes where second are wanted */
    AN_DECODE_TRUNCATED,  /* first: bytes */
    AN_DECODE_VERSION,    /* first: the version */
    AN_DECODE_HEADER,     /* impossible values in the header */
    AN_DECODE_IMPOSSIBLE, /* first x second pixels */
    AN_DECODE_OTHER_SIDE, /* first x second pixels, which is not the side */
    AN_DECODE_LENGTHS,    /* rows of first bytes where second are announced */
    AN_DECODE_STREAMS     /* streams of a row of blocks do not fit it */
} an_decode_code;

typedef struct {
    uint32_t first, second;
} an_decode_detail;

AN_DECODE_BOTH uint32_t an_decode_type_size(an_dtype dtype)
{
    return dtype == AN_DTYPE_U8 ? 1 : dtype == AN_DTYPE_F32 ? 4 : 2;
}

/* A damaged sample as one number, of which the smallest counts: its position in the batch, then the code. */
#define AN_DECODE_NONE UINT64_MAX
AN_DECODE_BOTH uint64_t an_decode_fault(uint32_t sample, uint32_t code)
{
    return (uint64_t)sample << 32 | code;
}

/* What the host reads of it: in pinned memory, which pixels and values write when they find a fault. */
typedef struct {
    uint64_t fault; /* AN_DECODE_NONE: none */
    an_decode_detail detail;
} an_decode_report;

/* The most blocks that a crop of so many pixels touches in a row or a column, chroma's neighbours included. */
AN_DECODE_BOTH uint32_t an_decode_span(uint32_t crop)
{
    uint32_t blocks = (crop + 14) / 8;
    return blocks > 2 ? blocks : 2;
}

enum {
    AN_RUN = 8,            /* pixels in a row of a thread's patch */
    AN_PATCH = 8,          /* rows of a patch */
    AN_PLANES_MARGIN = 32, /* bytes in front of all planes and behind them, which may be read */
};

/* What both steps know of a batch. A plane has span x 8 rows of stride samples. It begins with the first block that the
 * crop needs; each sample has three, one after the other. */
typedef struct {
    uint64_t size;         /* bytes of the block */
    uint32_t places;       /* from the block's beginning to its an_payload */
    uint32_t count;        /* samples */
    uint32_t side, crop;   /* pixels */
    uint32_t span, stride; /* an_decode_span; bytes of a row of samples */
} an_decode_batch;

/* Items: count x rows. in[0] is the block (augment/payload.h). out[0]: the planes. out[1]: the smallest fault so far, a
 * uint64_t. out[2]: a detail for each sample. */
typedef struct {
    an_decode_places at;
    an_decode_batch batch;
    uint32_t rows; /* of blocks that a sample has at most: 3 x span */
} an_decode_rows_args;

/* Items: count x patches x runs. in[0], in[1]: the block, the planes. in[2]: mean image or colour, of one float a pixel
 * if samples are grey, or NULL. in[3]: the details. out[0]: the samples. out[1]: the smallest fault, which the first
 * item reports and clears. out[2]: the an_decode_report. Both pixels and values take these arguments; pixels writes RGB
 * bytes, N x H x W x 3. */
typedef struct {
    an_decode_places at;
    an_decode_batch batch;
    uint32_t runs, patches; /* AN_RUN pixels, AN_PATCH rows: how many the crop has, the last ones perhaps smaller */
    an_format format;
    uint32_t mean_side; /* side, or 1 */
    float scale[3];     /* an_value_scale of each colour */
} an_decode_pixels_args;

/* The list of kernels: of those that a warp works on, and of those that a thread does. */
#define AN_DECODE_KERNELS(WARP, THREAD)                                                                                \
    WARP(rows, an_decode_rows_args)                                                                                    \
    THREAD(pixels, an_decode_pixels_args)                                                                              \
    THREAD(values, an_decode_pixels_args)

#endif
