/* The backend's own kernels: what no library offers, or not for bf16 in this layout. This header states each kernel's
 * arguments, shapes and formula; bodies.h computes one item of each, and kernels.cu runs the items on a device.
 *
 * Tensors lie N x H x W x C in memory, C innermost and without gaps, as fp32 or bf16. All arithmetic is in fp32 unless
 * stated otherwise. A row is the C values of one pixel of one sample.
 *
 * Each an_kernel_NAME queues one launch on a stream of the current device and returns whether it could be started. The
 * arguments are copied by the call; the memory that they point to belongs to the caller and must stay until the stream
 * is done. Nothing is allocated. Every run gives the same bits, as all sums have a fixed order. */
#ifndef AN_MODEL_CUDA_KERNELS_KERNELS_H
#define AN_MODEL_CUDA_KERNELS_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "base/format.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AN_KERNEL_OUT 4
#define AN_KERNEL_IN 4

/* The first member of all arguments: the memory that a kernel touches. Memory in out is written and may be read as
 * well; memory in in is only read. Unused places are NULL. The work is divided into items, one thread (or warp) each.
 */
typedef struct {
    void *out[AN_KERNEL_OUT];
    const void *in[AN_KERNEL_IN];
    uint64_t items;
} an_kernel_places;

typedef enum { AN_STORED_F32, AN_STORED_BF16 } an_stored; /* the type of values in memory */

/* Images from bytes to inputs of the network: y = ((byte - mean) + shift) * scale, as in augment/pixels.c.
 *   in[0]   images, N x h x w x 3 bytes, RGB
 *   in[1]   N an_image_draw: the crop's place in the mean image, mirroring, and colour shift;
 *           NULL: crops at 0, 0, not mirrored, no shift
 *   in[2]   the mean, mean_side x mean_side x 3 floats
 *   out[0]  y, N x h x w x channels; channels beyond 3 are zero; a pixel fills whole words of 8 bytes
 * Items: words of 8 bytes of y. */
typedef struct {
    an_kernel_places at;
    int h, w, channels;
    int mean_side; /* 1: one colour for all pixels */
    float scale;
    an_stored stored;
} an_convert_args;

/* y = activation(y), in place.
 *   out[0]  y, any shape
 * Items: values. */
typedef struct {
    an_kernel_places at;
    int activation; /* an_activation */
    an_stored stored;
} an_activate_args;

/* The gradient before an activation, dy activation'(y), and its sums over chunks of rows, which bias adds up.
 *   in[0]   y, rows x channels, the activation's result; not read if activation is 0
 *   out[0]  dy, rows x channels, replaced in place
 *   out[1]  sums, chunks x channels floats, where chunks = rows / chunk rounded up
 * Items: chunks x channels. */
typedef struct {
    an_kernel_places at;
    uint64_t rows;
    int channels, chunk; /* rows in a chunk */
    int activation;
    an_stored stored;
} an_slope_args;

/* The gradient of a bias: for each channel the sum over all chunks.
 *   in[0]   sums, chunks x channels floats
 *   out[0]  channels values
 * Items: channels, one warp each: a lane sums every 32nd chunk in fp32, then the lanes' sums are added in fp64. */
typedef struct {
    an_kernel_places at;
    int channels, chunks;
    an_stored stored;
} an_bias_args;

/* How many neighbouring channels one thread works on: as many as 16 bytes hold, or 1 if the channels do not divide into
 * such groups. */
static inline int an_kernel_group(an_stored stored, int channels)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    return channels % values ? 1 : values;
}

/* Maximum or average pooling over windows of window x window pixels. Pixels in the padding do not count.
 *   in[0]   x, N x h x w x channels
 *   out[0]  y, N x oh x ow x channels
 *   out[1]  for each value of y one byte: where in its window the maximum was, row * window + column;
 *           NULL: not wanted, or an average
 * Items: groups of values of y. */
#define AN_POOL_WINDOW_MAX 16 /* positions in a window of 16 x 16 fit into a byte */
typedef struct {
    an_kernel_places at;
    int channels, h, w, oh, ow;
    int window, stride, pad, average; /* pad: rows above and columns to the left; average: else the maximum */
    int group;                        /* values of an item: an_kernel_group, or 1 */
    an_stored stored;
} an_pool_args;

/* The gradient of pooling.
 *   in[0]   gradient of y, N x oh x ow x channels
 *   in[1]   positions of the maxima as pool wrote them; NULL for an average
 *   out[0]  gradient of x, N x h x w x channels; added to what is there if accumulate
 * Items: groups of values of x. */
typedef struct {
    an_pool_args pool;
    int accumulate;
} an_pool_back_args;

/* Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3, with alpha divided by size):
 *   s_i = k + alpha / size * sum_j x_j^2,  y_i = x_i s_i^-beta
 * where j runs over the size channels around i, as far as they are normalised together with i.
 *   in[0]   x, rows x channels
 *   out[0]  y, rows x channels
 *   out[1]  s, rows x channels floats; may be NULL
 * Items: groups of values. */
typedef struct {
    an_kernel_places at;
    int channels;         /* of a row */
    int width;            /* how many neighbouring channels are normalised together: all, or those of a group */
    int size;             /* of a window */
    int group;            /* values of an item: an_kernel_group of width, or 1; 1 if size is above 5 */
    float alpha, beta, k; /* alpha already divided by size */
    an_stored stored;
} an_lrn_args;

/* The gradient of local response normalisation (formula: lrn.h).
 *   in[0]   x; in[1]  s, floats; in[2]  gradient of y: all rows x channels
 *   out[0]  gradient of x, rows x channels; added to what is there if accumulate
 * Items: groups of values. */
typedef struct {
    an_lrn_args lrn;
    int accumulate;
} an_lrn_back_args;

/* Writes four words to device memory. A recorded graph launches its kernels with the same arguments in each step; what
 * differs between steps they read from there.
 *   out[0]  4 words
 * Items: 4. */
typedef struct {
    an_kernel_places at;
    uint32_t words[4];
} an_numbers_args;

/* Dropout (Srivastava et al. 2014): y = x * scale where a value is kept, else 0. A value is kept if its random word is
 * at least threshold. The words are those of the CPU backend, from Philox4x32-10; a value's word is numbered by its
 * place in the whole layer, all devices' channels counted.
 *   in[0]   x, rows x channels, of type from
 *   in[1]   the counter of layer 0 in this step, 4 words; not read if threshold is 0, which keeps all
 *   out[0]  y, rows x channels, of type to
 *   out[1]  rows x channels bytes: 1 if the value was kept
 * Items: values. */
typedef struct {
    an_kernel_places at;
    uint32_t key[2], layer;
    int channels;
    uint64_t layer_channels, channel_offset; /* of the whole layer; of this part's first channel in it */
    uint32_t threshold;                      /* the rate of dropped values times 2^32 */
    float scale;
    an_stored from, to;
} an_dropout_args;

/* The gradient of dropout: dx = dy * scale where the value was kept, else 0.
 *   in[0]   dy; in[1]  bytes as dropout wrote them
 *   out[0]  dx; added to what is there if accumulate
 * Items: values. */
typedef struct {
    an_kernel_places at;
    float scale;
    int accumulate;
    an_stored stored;
} an_dropout_back_args;

typedef struct {
    float loss;
    uint32_t rank; /* of the true class, by the rule of exec.h */
} an_row_result;

/* Softmax p_i = exp(x_i - max x) / sum_j exp(x_j - max x), cross entropy -log p_label and rank of the label, of each
 * sample. The sum is in fp64.
 *   in[0]   logits x, items x classes
 *   in[1]   labels, items uint32 below classes; NULL: probabilities only
 *   out[0]  probabilities p, items x classes floats
 *   out[1]  items an_row_result; not written without labels
 * Items: samples, one warp each: a lane sums every 32nd class, then the lanes' sums are added. */
typedef struct {
    an_kernel_places at;
    int classes;
    an_stored stored;
} an_loss_args;

/* The gradient of the mean cross entropy over count samples: dx_i = (p_i - [i is the label]) / count.
 *   in[0]   probabilities p, floats; in[1]  labels, uint32
 *   out[0]  dx, rows x classes; added to what is there if accumulate
 * Items: values. */
typedef struct {
    an_kernel_places at;
    int classes;
    uint32_t count; /* samples; further rows of dx get zero */
    int accumulate;
    an_stored stored;
} an_loss_back_args;

/* Copies a range of channels of each row, and converts between types.
 *   in[0]   rows x from_channels; channels from from_offset on are read
 *   out[0]  rows x to_channels; channels from to_offset on are written, or added to if accumulate
 * Items: rows x channels. */
typedef struct {
    an_kernel_places at;
    int channels, from_channels, from_offset, to_channels, to_offset;
    int accumulate;
    an_stored from, to;
} an_window_args;

/* SGD with momentum and weight decay (Krizhevsky et al. 2012, section 5), of one tensor:
 *   v <- momentum v - shrink w - rate g,  w <- w + v
 *   in[0]   gradient g
 *   out[0]  weights w, floats; out[1]  velocity v, floats
 *   out[2]  the copy of w that the layer computes with; NULL: it computes with w */
typedef struct {
    an_kernel_places at;
    uint64_t first;             /* the item of the launch that is this tensor's first weight */
    float shrink, rate;         /* shrink: rate times weight decay */
    an_stored stored, gradient; /* types of the copy and of g */
} an_sgd_tensor;

/* Up to AN_SGD_TENSORS tensors in one launch, in ascending order of first, without gaps. Items: all weights. */
#define AN_SGD_TENSORS 32
typedef struct {
    an_kernel_places at; /* only items; the places are the tensors' */
    an_sgd_tensor tensors[AN_SGD_TENSORS];
    int count;
    float momentum;
} an_sgd_args;

/* Copies weights and their momentum from the order in memory to canonical order.
 *   in[0]   weights, O x h x w x stored_i floats, of which i channels are wanted; in[1]  momentum, likewise
 *   out[0]  weights, O x i x h x w floats; out[1]  momentum, likewise. They may be memory of the host that the device
 *           can write
 * Items: values of out[0]. i x h x w fits into 32 bits. */
typedef struct {
    an_kernel_places at;
    int i, h, w, stored_i;
} an_canonical_args;

/* All kernels with their arguments. WARP: a warp of 32 threads works on each item; KERNEL: one thread does. */
#define AN_KERNELS(KERNEL, WARP)                                                                                       \
    KERNEL(convert, an_convert_args)                                                                                   \
    KERNEL(activate, an_activate_args)                                                                                 \
    KERNEL(slope, an_slope_args)                                                                                       \
    WARP(bias, an_bias_args)                                                                                           \
    KERNEL(pool, an_pool_args)                                                                                         \
    KERNEL(pool_back, an_pool_back_args)                                                                               \
    KERNEL(lrn, an_lrn_args)                                                                                           \
    KERNEL(lrn_back, an_lrn_back_args)                                                                                 \
    KERNEL(numbers, an_numbers_args)                                                                                   \
    KERNEL(dropout, an_dropout_args)                                                                                   \
    KERNEL(dropout_back, an_dropout_back_args)                                                                         \
    WARP(loss, an_loss_args)                                                                                           \
    KERNEL(loss_back, an_loss_back_args)                                                                               \
    KERNEL(window, an_window_args)                                                                                     \
    KERNEL(sgd, an_sgd_args)                                                                                           \
    KERNEL(canonical, an_canonical_args)

/* For instance cudaError_t an_kernel_pool(const an_pool_args *args, cudaStream_t stream), which launches the device
 * function an_device_pool. */
#define AN_KERNEL_DECLARE(name, type) cudaError_t an_kernel_##name(const type *args, cudaStream_t stream);
AN_KERNELS(AN_KERNEL_DECLARE, AN_KERNEL_DECLARE)

#ifdef __cplusplus
}
#endif

#endif
