/* Own kernels: what no library has, or has not for bf16 in this layout. bodies.h states each once, as the work
 * for one item; kernels.cu runs the items on a device. Every argument struct begins with the places it touches. */
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

/* Unused places are NULL. What is in out is written and may be read as well. */
typedef struct {
    void *out[AN_KERNEL_OUT];
    const void *in[AN_KERNEL_IN];
    uint64_t items;
} an_kernel_places;

typedef enum { AN_STORED_F32, AN_STORED_BF16 } an_stored; /* how values lie in memory; they are computed in fp32 */

/* Images h x w of RGB bytes in[0]; their draws in[1] (an_image_draw; may be NULL); the mean in[2], mean_side x
 * mean_side x 3 floats. out[0]: ((byte - mean) + shift) * scale, channels of each pixel, those beyond 3 zero. A pixel's
 * channels fill whole words of 8 bytes. Items: such words. */
typedef struct {
    an_kernel_places at;
    int h, w, channels;
    int mean_side; /* 1: one colour */
    float scale;
    an_stored stored;
} an_convert_args;

/* out[0] = activation(out[0]). */
typedef struct {
    an_kernel_places at;
    int activation; /* an_activation */
    an_stored stored;
} an_activate_args;

/* out[0]: gradient of the output (in[0]), turned in place into that before the activation; out[1]: sums of it over each
 * chunk of rows, chunks x channels floats. Items: chunks x channels. */
typedef struct {
    an_kernel_places at;
    uint64_t rows;
    int channels, chunk; /* rows in a chunk */
    int activation;
    an_stored stored;
} an_slope_args;

/* out[0]: channels values, the sums over chunks of in[0]. Items: channels. */
typedef struct {
    an_kernel_places at;
    int channels, chunks;
    an_stored stored;
} an_bias_args;

/* How many values beside each other a thread takes, of runs of that many channels: 16 bytes, or 1 where runs are no
 * multiples of that. */
static inline int an_kernel_group(an_stored stored, int channels)
{
    int values = stored == AN_STORED_F32 ? 4 : 8;
    return channels % values ? 1 : values;
}

/* x in[0], y out[0], taken position in the window out[1] (bytes; may be NULL; not of an average). Items: groups of
 * values of y.
 */
typedef struct {
    an_kernel_places at;
    int channels, h, w, oh, ow;
    int window, stride, pad, average;
    int group; /* of an_kernel_group, or 1 */
    an_stored stored;
} an_pool_args;

/* gradient of y in[0], taken in[1]; gradient of x out[0], added if accumulate. Items: groups of values of x. */
typedef struct {
    an_pool_args pool;
    int accumulate;
} an_pool_back_args;

/* x in[0], y out[0], k + alpha / size * sum x^2 out[1] (floats; may be NULL). Items: groups of values. */
typedef struct {
    an_kernel_places at;
    int channels, width, size; /* width: channels that are normalised together */
    int group;                 /* of an_kernel_group, or 1; only 1 for sizes above 5 */
    float alpha, beta, k;      /* alpha already divided by size */
    an_stored stored;
} an_lrn_args;

/* x in[0], sums in[1], gradient of y in[2]; gradient of x out[0]. */
typedef struct {
    an_lrn_args lrn;
    int accumulate;
} an_lrn_back_args;

/* Four words to out[0]: what differs from step to step, for kernels that are launched with the same arguments each
 * time. Items: 4. */
typedef struct {
    an_kernel_places at;
    uint32_t words[4];
} an_numbers_args;

/* x in[0], y out[0], kept out[1] (bytes). Items: values. threshold 0: keeps all, unscaled if scale is 1. in[1]: counter
 * of layer 0's stream of numbers in this step, 4 words. */
typedef struct {
    an_kernel_places at;
    uint32_t key[2], layer;
    int channels;
    uint64_t layer_channels, channel_offset;
    uint32_t threshold;
    float scale;
    an_stored from, to;
} an_dropout_args;

/* gradient of y in[0], kept in[1], gradient of x out[0]. */
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

/* logits in[0], labels in[1] (uint32, may be NULL), probabilities out[0] (floats), results out[1]. Items: rows. */
typedef struct {
    an_kernel_places at;
    int classes;
    an_stored stored;
} an_loss_args;

/* probabilities in[0], labels in[1], gradient of the logits out[0]. Items: values. */
typedef struct {
    an_kernel_places at;
    int classes;
    uint32_t count; /* rows beyond get zero */
    int accumulate;
    an_stored stored;
} an_loss_back_args;

/* Channels from_offset.. of each row of in[0] to channels to_offset.. of out[0]. Items: rows x channels. */
typedef struct {
    an_kernel_places at;
    int channels, from_channels, from_offset, to_channels, to_offset;
    int accumulate;
    an_stored from, to;
} an_window_args;

/* v <- momentum v - shrink w - rate g; w <- w + v, and the copy that the layer computes with. w out[0], v out[1], copy
 * out[2] (NULL: w itself), g in[0]. */
typedef struct {
    an_kernel_places at;
    uint64_t first; /* item of the launch that is this tensor's first weight */
    float shrink, rate;
    an_stored stored, gradient; /* of the copy; of g */
} an_sgd_tensor;

/* Many tensors in one launch; the table travels with the arguments. Items: all weights. */
#define AN_SGD_TENSORS 32
typedef struct {
    an_kernel_places at; /* of its own it touches nothing */
    an_sgd_tensor tensors[AN_SGD_TENSORS];
    int count;
    float momentum;
} an_sgd_args;

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
    KERNEL(sgd, an_sgd_args)

/* cudaError_t an_kernel_pool(const an_pool_args *args, cudaStream_t stream): queues it. The device function is called
 * an_device_pool. */
#define AN_KERNEL_DECLARE(name, type) cudaError_t an_kernel_##name(const type *args, cudaStream_t stream);
AN_KERNELS(AN_KERNEL_DECLARE, AN_KERNEL_DECLARE)

#ifdef __cplusplus
}
#endif

#endif
