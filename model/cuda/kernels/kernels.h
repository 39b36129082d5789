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

/* How a tensor of rows x C values lies in memory: in one part, or in two parts behind each other, each with half of the
 * channels of all rows. The value of row r and channel c lies at r * channels + c, and by second further if c is at
 * least channels. */
typedef struct {
    uint64_t second; /* (rows - 1) * channels */
    int channels;    /* of a part */
} an_rows;

static inline an_rows an_rows_of(uint64_t rows, int channels, int parts)
{
    an_rows lie = {0, channels / parts};
    lie.second = (rows - 1) * (uint64_t)lie.channels;
    return lie;
}

/* Division of a number below 2^31 by one that is known at the launch, by a multiplication (Granlund and Montgomery
 * 1994): with 2^(s-1) < by <= 2^s and factor = floor(2^(31+s) / by) + 1, n / by = n factor / 2^(31+s), rounded down. */
typedef struct {
    uint32_t by, factor, shift;
} an_divisor;

static inline an_divisor an_divisor_of(uint32_t by)
{
    uint32_t shift = 0;
    while (((uint64_t)1 << shift) < by)
        shift++;
    an_divisor divisor = {by, (uint32_t)((((uint64_t)1 << 31) << shift) / by + 1), shift};
    return divisor;
}

/* Images from bytes to inputs of the network: y = ((byte - mean) + shift) * (scale * factor), as in
 * augment/pixels/pixels.c. They are written as blocks of side x side pixels, the first of which begins pad pixels above
 * and to the left of the image:
 *   y[n][row][column][(dy * side + dx) * 3 + c] = colour c of pixel (row * side + dy - pad, column * side + dx - pad)
 * of image n, or 0 outside of the image. side 1 and pad 0: pixel by pixel.
 *   in[0]   images, N x h x w x 3 bytes, RGB
 *   in[1]   N an_image_draw: the crop's place in the mean image, mirroring, colour shift and factor;
 *           NULL: crops at 0, 0, not mirrored, no shift, factor 1
 *   in[2]   copies of the mean image, mean_plane floats each. Copy k holds the image from its value number k on, so
 *           that four neighbouring values begin on 16 bytes in one of the first four copies. Copies 4 to 7 are the same
 *           of the image mirrored left to right. If all pixels have one mean, the image is a row of w pixels, and there
 *           are four copies
 *   out[0]  y, N x rows x columns x values of a block; values beyond side * side * 3 are zero
 * Items: of convert groups of 16 bytes of y, of convert_pairs two rows of a block; below 2^31. convert_pairs is for
 * images of which an_convert_suits_pairs says so. convert_mixed is convert for batches in which images are mixed with
 * their partners (an_image_draw); the others look at the first members of a draw only. */
typedef struct {
    an_kernel_places at;
    int h, w, row;        /* row: values in a row of an image, 3 w */
    uint32_t image_bytes; /* of an image, 3 h w */
    int side, pad;
    an_divisor rows, columns; /* of blocks in an image */
    an_divisor groups;        /* of 16 bytes in a block */
    an_divisor line;          /* values in a row of a block, 3 side */
    int mean_side;            /* of the mean image; 0: one mean for all pixels */
    uint32_t mean_plane;
    int words; /* runs of four values that begin at multiples of four values of a block's row lie at multiples of four
                  bytes of the images */
    float scale;
    uint32_t images; /* in the batch */
    an_stored stored;
} an_convert_args;

/* Blocks of 4 x 4 pixels that hold nothing beside them, with bytes that can be read four at a time. */
static inline int an_convert_suits_pairs(const an_convert_args *a)
{
    return a->words && a->side == 4 && (int)a->groups.by == (a->stored == AN_STORED_F32 ? 12 : 6);
}

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
 *   out[0]  dy, rows x channels, replaced in place; it lies as y does
 *   out[1]  sums, chunks x channels floats: chunk k sums the rows k, k + chunks, k + 2 chunks...
 * Items: chunks x groups of channels. */
typedef struct {
    an_kernel_places at;
    uint64_t rows;
    int channels;
    uint32_t chunks;
    int group; /* values of an item: an_kernel_group, or 1 */
    an_rows y;
    int activation;
    an_stored stored;
} an_slope_args;

/* The gradient of a bias: for each channel the sum over all chunks. Where there are many, a first launch sums slices
 * of them, and a second one the slices.
 *   in[0]   sums, chunks x channels floats
 *   out[0]  slices x channels values; slice k is the sum of chunks / slices (rounded up) of them from its k-fold on
 * Items: slices x channels if channels is not a multiple of 4, else x groups of 4 channels. One warp each: a lane sums
 * every 32nd chunk in fp32, then the lanes' sums are added in fp64. */
typedef struct {
    an_kernel_places at;
    int channels, chunks, slices;
    an_stored stored;
} an_bias_args;

/* How many neighbouring channels one thread works on: as many as 16 bytes hold, or 1 if the channels do not divide into
 * such groups. A group must lie within one part of each tensor: channels are those of a part. */
static inline int an_kernel_group(an_stored stored, int channels)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    return channels % values ? 1 : values;
}

/* An activation that is a layer of its own.
 *   in[0]   x, rows x channels
 *   out[0]  y = activation(x), rows x channels
 * Items: groups of values. */
typedef struct {
    an_kernel_places at;
    int channels;
    int group;        /* values of an item: an_kernel_group, or 1 */
    int activation;   /* an_activation */
    an_rows from, to; /* of x; of y */
    an_stored stored;
} an_activation_args;

/* Its gradient, dy activation'(y).
 *   in[0]   y; in[1]  gradient of y: both rows x channels
 *   out[0]  gradient of x, rows x channels; added to what is there if accumulate
 * Items: groups of values. */
typedef struct {
    an_activation_args forward;
    int accumulate;
} an_activation_back_args;

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
    an_rows from, to;                 /* of x; of y and the positions */
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
 * where j runs over the size channels around i, as far as they are normalised together with i. Channels that are
 * normalised together must lie in one part.
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
    an_rows from, to;     /* of x; of y and s */
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

/* Local response normalisation (size 5, beta 3/4) and maximum pooling in one: windows of 3 x 3 pixels, stride 2. The
 * normalised values are not kept. Without normalisation it is the same pooling.
 *   in[0]   x, N x h x w x channels
 *   out[0]  y, N x oh x ow x channels
 *   out[1]  positions of the maxima as pool writes them; NULL: not wanted
 * Items: N x oh / 2 (rounded up) x ow / across (rounded up) x groups of channels. */
typedef struct {
    an_kernel_places at;
    int n, channels, h, w, oh, ow;
    int pad;        /* rows above and columns to the left: 0 to 2 */
    int across;     /* columns of y that an item makes, of two rows */
    int width;      /* as in an_lrn_args; not used without normalisation */
    float alpha, k; /* alpha already divided by size */
    an_rows from, to;
    int group; /* an_kernel_group of width; not 1 */
} an_peaks_args;

/* The gradient of both, and of the activation before them. The s of an_lrn_args are computed again.
 *   in[0]   x; not read without normalisation and activation
 *   in[1]   gradient of y; in[2]  positions
 *   out[0]  gradient of x, or before the activation that x is the result of; added to what is there if accumulate
 *   out[1]  sums of out[0] over pixels, chunks x channels floats, which bias adds up; NULL: not wanted, or accumulate
 * A block is 2 x 2 pixels of x, which begin where windows do. Chunk k sums the blocks k, k + chunks, k + 2 chunks...
 * Items: chunks x groups of channels. */
typedef struct {
    an_peaks_args peaks;
    uint32_t chunks;
    int activation; /* an_activation: ReLU, or none */
    int accumulate;
} an_peaks_back_args;

/* How many blocks there are. */
static inline uint64_t an_peaks_blocks(const an_peaks_args *a)
{
    return (uint64_t)a->n * (uint64_t)((a->h + 1 + a->pad) / 2) * (uint64_t)((a->w + 1 + a->pad) / 2);
}

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
 * place in the whole layer and batch in canonical order, all devices' channels counted.
 *   in[0]   x, rows x channels, of type from
 *   in[1]   the counter of layer 0 in this step, 4 words, the first of which is the place of the first sample in the
 * batch instead; not read if threshold is 0, which keeps all out[0]  y, rows x channels, of type to out[1]  rows x
 * channels bytes: 1 if the value was kept Items: values. */
typedef struct {
    an_kernel_places at;
    uint32_t key[2], layer;
    int channels, pixels;                    /* of a row; rows of a sample */
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

/* What a sample's outputs are compared with (an_target in model/targets.h): own at the label, rest at the other label,
 * and smooth times the class's weight everywhere. */
typedef struct {
    uint32_t label, other; /* below classes */
    float own, rest, smooth, sum;
    float scale; /* of gradients: 1 / total */
    uint32_t zero;
} an_target_row;

/* Softmax p_i = exp(x_i - max x) / sum_j exp(x_j - max x), cross entropy and rank of the label, of each sample:
 *   own (-log p_label) + rest (-log p_other) + smooth sum_i w_i (-log p_i)
 * Sums are in fp64.
 *   in[0]   logits x, items x classes
 *   in[1]   items an_target_row; NULL: probabilities only
 *   in[2]   weights w of the classes, floats; NULL: all 1
 *   out[0]  probabilities p, items x classes floats
 *   out[1]  items an_row_result; not written without labels
 * Items: samples, one warp each: a lane sums every 32nd class, then the lanes' sums are added. */
typedef struct {
    an_kernel_places at;
    int classes;
    an_stored stored;
} an_loss_args;

/* The gradient of the sum of these over count samples, each by its scale:
 *   dx_i = (p_i sum - own [i = label] - rest [i = other] - smooth w_i) scale
 *   in[0]   probabilities p, floats; in[1], in[2]  as above
 *   out[0]  dx, rows x classes; added to what is there if accumulate
 * Items: values. */
typedef struct {
    an_kernel_places at;
    int classes;
    uint32_t count; /* samples; further rows of dx get zero */
    float share;    /* 1 / the samples that the mean is over */
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

/* Copies a tensor into a frame, a larger tensor with rows and columns of zeros around it, or its gradient back. What
 * lies around the tensor in a frame is neither written nor read.
 *   in[0]   x, N x h x w x channels; with back: gradient of the frame, N x frame_h x frame_w x channels
 *   out[0]  the frame; with back: gradient of x, added to what is there if accumulate
 * Pixel (y, x) of the tensor is pixel (y + pad, x + pad) of the frame. Items: groups of values of x. */
typedef struct {
    an_kernel_places at;
    int h, w, pad, frame_h, frame_w, channels;
    int group; /* values of an item: an_kernel_group */
    int back, accumulate;
    an_stored stored;
} an_frame_args;

/* The form in which a convolution computes with its weights. Masters, momentum and the gradient that updates read lie
 * in plain order, O x h x w x channels, where channels are those that one output reads. Other forms hold the same
 * weights at other places, and zeros between them:
 *   - blocks, side above 1: a convolution of stride `side` over pixels becomes one of stride 1 over blocks of side x
 *     side pixels. Weight o, y, x, c lies in row y / side, column x / side and channel ((y % side) * side + x % side) *
 *     channels + c;
 *   - dense, groups above 1: a grouped convolution becomes one that reads all channels. Weight o, y, x, c lies in row
 * y, column x and channel g * channels + c, where g is the group of output o. A form has h / side x w / side places
 * (rounded up) of `channels` values for each output. All zero: plain order. */
typedef struct {
    int side, groups; /* one of them is above 1, the other is 1 */
    int channels;     /* values of a place in memory: those that the formulas need, or more, which are zero */
} an_form;

/* arrange: weights from plain order into a form, with all zeros.
 *   in[0]   masters, O x h x w x channels floats
 *   out[0]  the form, O x rows x columns x form.channels
 * Items: values of the form.
 *
 * restore: the gradient from a form into plain order. Zeros that the form added have no place there, so they are never
 * updated, decayed or carried on by momentum, and stay zero.
 *   in[0]   gradient in the form, O x rows x columns x form.channels
 *   out[0]  gradient in plain order, O x h x w x channels, of the same type
 * Items: values in plain order. */
typedef struct {
    an_kernel_places at;
    an_form form;
    int h, w, channels, rows, columns;
    int group_outputs; /* outputs of a group */
    an_stored stored;  /* of values in the form */
} an_arrange_args;

/* SGD with momentum and weight decay (Krizhevsky et al. 2012, section 5), of one tensor:
 *   v <- momentum v - shrink w - rate g,  w <- w + v
 *   in[0]   gradient g
 *   out[0]  weights w, floats; out[1]  velocity v, floats
 *   out[2]  the copy of w that the layer computes with; NULL: it computes with w
 * sgd_more does the same with what can be wanted besides, by the formulas of an_sgd in exec.h:
 *   d = shrink w + rate f g,  v <- momentum v - d,  w <- w + v or, for Nesterov's, w + momentum v - d
 *   out[3]  averages a, floats: a <- a + share (w - a) with the new w; NULL: none are kept
 * sgd_trust does the same with d = t (shrink w + rate f g):
 *   in[1]   an_trust_result, which holds t; NULL: t is 1 */
typedef struct {
    an_kernel_places at;
    uint64_t first;             /* the item of the launch that is this tensor's first weight */
    float shrink, rate;         /* shrink: rate times weight decay */
    an_stored stored, gradient; /* types of the copy and of g */
} an_sgd_tensor;

/* Up to AN_SGD_TENSORS tensors in one launch, in ascending order of first, without gaps. Items: all weights. */
#define AN_SGD_TENSORS 32
typedef struct {
    an_kernel_places at; /* items; of sgd_more and sgd_trust in[0]: an_norm_result, which holds f; NULL: f is factor.
                            All other places are the tensors' */
    an_sgd_tensor tensors[AN_SGD_TENSORS];
    int count;
    float momentum;
    float factor, share; /* from here on sgd_more and sgd_trust only */
    int nesterov;
} an_sgd_args;

/* Sums of squares of gradients or of weights. A tensor is divided into chunks of AN_NORM_CHUNK values, the last of
 * which may be shorter. in[0]  the tensor, items values of type stored */
typedef struct {
    an_kernel_places at;
    uint64_t first; /* the item of the launch that is this tensor's first chunk */
    an_stored stored;
} an_norm_tensor;

/* Up to AN_SGD_TENSORS tensors in one launch, in ascending order of first, without gaps. All sums are in fp64.
 *   out[0]  items doubles: the sum of each chunk
 * Items: all chunks, a warp each. */
#define AN_NORM_CHUNK 8192
typedef struct {
    an_kernel_places at; /* in is unused: the tensors have their own */
    an_norm_tensor tensors[AN_SGD_TENSORS];
    int count;
} an_norm_args;

/* The sum of all chunks' sums, and what gradients are multiplied with to clip their norm (an_clip_factor in backend.h).
 *   in[0]   sums, doubles
 *   out[0]  an_norm_result
 * Items: 1, one warp: a lane adds every 32nd sum, then the lanes' sums are added. */
typedef struct {
    double squares;
    float factor;
} an_norm_result;
typedef struct {
    an_kernel_places at;
    uint64_t sums;
    double clip; /* 0: the factor is 1 */
} an_norm_total_args;

/* LARS (an_trust_factor in backend.h): by what the rates of tensors of weights are multiplied.
 *   in[0]   sums of chunks, doubles
 *   in[1]   an_norm_result, which holds the factor of the gradient; NULL: it is factor
 *   out[0]  items an_trust_result
 * Items: all tensors, up to AN_SGD_TENSORS, a warp each: a lane adds every 32nd sum, then the lanes' sums are added. */
typedef struct {
    double weights, gradient; /* sums of squares */
    float trust;
} an_trust_result;
typedef struct {
    uint64_t weights, gradient; /* numbers of the first sums of a tensor and of its gradient */
    uint64_t count;             /* of the sums of either */
} an_trust_tensor;
typedef struct {
    an_kernel_places at;
    an_trust_tensor tensors[AN_SGD_TENSORS];
    double factor, trust, decay;
} an_trust_args;

/* Exchanges weights and their averages.
 *   out[0]  weights, floats; out[1]  averages, floats
 *   out[2]  the copy of the weights that the layer computes with; NULL: it computes with the weights
 * Items: weights. */
typedef struct {
    an_kernel_places at;
    an_stored stored; /* of the copy */
} an_exchange_args;

/* Random numbers, uniform between -scale and scale: value i is a function of seed and i alone.
 *   out[0]  any number of values
 * Items: values. */
typedef struct {
    an_kernel_places at;
    uint32_t seed;
    float scale;
    an_stored stored;
} an_fill_args;

/* What a library's kernel should have computed, at one place of its result. */
typedef struct {
    uint64_t index; /* of the value in memory */
    double value;
    double spread;  /* how far a sum of so many random products is from 0: each one's root mean square times the root of
                       their number */
    double rounded; /* the sum of the magnitudes of what is rounded to the result's type */
} an_proof_point;

/* One result of a convolution at each of many places, summed directly in fp64. Coordinates are drawn from seed: a
 * quarter of each are the first, a quarter the last, so that borders, corners, the first and the last sample and the
 * last channel of every group are among the places.
 *   in[0]   x, n x h x w pixels of c channels; in[1]  weights, k x kernel x kernel x c / groups
 *   in[2]   gradient of y, n x oh x ow pixels of k channels; in[3]  bias, k values
 *   out[0]  items an_proof_point
 * proof_conv computes y = activation(x * weights + bias) or, if data, the gradient of x, and proof_weights the gradient
 * of the weights. The tensor that is the result is not read.
 * Items: places; of proof_weights one warp each. */
typedef struct {
    an_kernel_places at;
    int n, c, h, w, k, oh, ow, kernel, stride, pad, groups; /* pad: rows above and columns to the left */
    int x_row, y_row;                                       /* values from one pixel to the next */
    int data, activation;
    uint32_t seed;
    float each; /* the root mean square of a product */
    an_stored stored;
} an_proof_conv_args;

/* The same for a product of column-major matrices: D = op(A) op(B) + bias, rectified if relu; or D += op(A) op(B).
 *   in[0]   A, m x k, or k x m if turn_a; in[1]  B, k x n, or n x k if turn_b
 *   in[2]   bias, m values; NULL: none; in[3]  D, to which the product is added; NULL: to nothing
 *   out[0]  items an_proof_point; where the product is added to D, it may be rounded to D's type before, so rounded is
 *           |product| + |value| there
 * Items: places, one warp each. */
typedef struct {
    an_kernel_places at;
    int64_t m, n, k;
    int turn_a, turn_b, relu;
    uint32_t seed;
    float each;                 /* as above */
    an_stored stored, stored_d; /* of A and B; of D and bias */
} an_proof_product_args;

/* How far results are from what they should be: |result - value| / (rounding rounded + growth spread + slack), which is
 * not a number if the result is none.
 *   in[0]   the result, values values; in[1]  items an_proof_point
 *   out[0]  items floats
 * Items: places. */
typedef struct {
    an_kernel_places at;
    uint64_t values;
    float rounding, growth, slack;
    an_stored stored;
} an_proof_compare_args;

/* A digest of all bits of a tensor, in parts: item t takes values t, t + items, t + 2 items...
 *   in[0]   values values
 *   out[0]  items an_proof_digest
 * Items: parts. */
typedef struct {
    uint64_t sum;  /* of the values' bits, each times an odd number that depends on its place */
    uint64_t lost; /* values that are infinite or no numbers */
} an_proof_digest;
typedef struct {
    an_kernel_places at;
    uint64_t values;
    an_stored stored;
} an_proof_digest_args;
/* Copies weights, their momentum and their averages from the order in memory to canonical order.
 *   in[0]   weights, O x h x w x stored_i floats, of which i channels are wanted; in[1]  momentum, likewise;
 *   in[2]   averages, likewise; NULL: none are kept
 *   out[0]  weights, O x i x h x w floats; out[1]  momentum, out[2]  averages, likewise. They may be memory of the host
 *           that the device can write
 * Items: values of out[0]. i x h x w fits into 32 bits. */
typedef struct {
    an_kernel_places at;
    int i, h, w, stored_i;
} an_canonical_args;

/* All kernels with their arguments. WARP: a warp of 32 threads works on each item; KERNEL: one thread does. */
#define AN_KERNELS(KERNEL, WARP)                                                                                       \
    KERNEL(convert, an_convert_args)                                                                                   \
    KERNEL(convert_pairs, an_convert_args)                                                                             \
    KERNEL(convert_mixed, an_convert_args)                                                                             \
    KERNEL(activate, an_activate_args)                                                                                 \
    KERNEL(activation, an_activation_args)                                                                             \
    KERNEL(activation_back, an_activation_back_args)                                                                   \
    KERNEL(slope, an_slope_args)                                                                                       \
    WARP(bias, an_bias_args)                                                                                           \
    KERNEL(pool, an_pool_args)                                                                                         \
    KERNEL(pool_back, an_pool_back_args)                                                                               \
    KERNEL(lrn, an_lrn_args)                                                                                           \
    KERNEL(lrn_back, an_lrn_back_args)                                                                                 \
    KERNEL(peaks, an_peaks_args)                                                                                       \
    KERNEL(peaks_back, an_peaks_back_args)                                                                             \
    KERNEL(lrn_peaks, an_peaks_args)                                                                                   \
    KERNEL(lrn_peaks_back, an_peaks_back_args)                                                                         \
    KERNEL(numbers, an_numbers_args)                                                                                   \
    KERNEL(dropout, an_dropout_args)                                                                                   \
    KERNEL(dropout_back, an_dropout_back_args)                                                                         \
    WARP(loss, an_loss_args)                                                                                           \
    KERNEL(loss_back, an_loss_back_args)                                                                               \
    KERNEL(window, an_window_args)                                                                                     \
    KERNEL(sgd, an_sgd_args)                                                                                           \
    KERNEL(sgd_more, an_sgd_args)                                                                                      \
    KERNEL(sgd_trust, an_sgd_args)                                                                                     \
    WARP(norm, an_norm_args)                                                                                           \
    WARP(norm_total, an_norm_total_args)                                                                               \
    WARP(trust, an_trust_args)                                                                                         \
    KERNEL(exchange, an_exchange_args)                                                                                 \
    KERNEL(canonical, an_canonical_args)                                                                               \
    KERNEL(arrange, an_arrange_args)                                                                                   \
    KERNEL(restore, an_arrange_args)                                                                                   \
    KERNEL(frame, an_frame_args)                                                                                       \
    KERNEL(fill, an_fill_args)                                                                                         \
    KERNEL(proof_conv, an_proof_conv_args)                                                                             \
    WARP(proof_weights, an_proof_conv_args)                                                                            \
    WARP(proof_product, an_proof_product_args)                                                                         \
    KERNEL(proof_compare, an_proof_compare_args)                                                                       \
    KERNEL(proof_digest, an_proof_digest_args)

/* For instance cudaError_t an_kernel_pool(const an_pool_args *args, cudaStream_t stream), which launches the device
 * function an_device_pool. */
#define AN_KERNEL_DECLARE(name, type) cudaError_t an_kernel_##name(const type *args, cudaStream_t stream);
AN_KERNELS(AN_KERNEL_DECLARE, AN_KERNEL_DECLARE)

#ifdef __cplusplus
}
#endif

#endif
