/* The arithmetic of every kernel, written once in the common subset of C and CUDA: an_body_NAME does the work of one
 * item of the kernel NAME. Shapes, layouts and formulas are stated with the argument structs in kernels.h.
 *
 * The including file defines
 *   - AN_BODY: the storage class and attributes of a function;
 *   - AN_LANES and AN_LANE: how many lanes (threads of a warp) work on an item, and the number of this one. Only the
 *     kernels declared with WARP use more than one: lane l takes values l, l + AN_LANES, l + 2 AN_LANES...;
 *   - AN_LANES_SUM(x) and AN_LANES_MAX(x): the sum (in double precision) and the maximum of x over the lanes, the same
 *     in every lane. All lanes must reach each of them, in the same order;
 *   - AN_TOUCH(address, size), if it wants to be told of every access (values.h).
 * Nothing here allocates, synchronizes or fails. The order of every sum is fixed, so every run gives the same bits. */
#ifndef AN_MODEL_CUDA_KERNELS_BODIES_H
#define AN_MODEL_CUDA_KERNELS_BODIES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/cuda/kernels/canonical.h"
#include "model/cuda/kernels/kernels.h"
#include "model/cuda/kernels/lrn.h"
#include "model/cuda/kernels/pool.h"

/* activation is an an_activation: 0 none, 1 ReLU, 2 tanh, 3 sigmoid. ReLU passes NaN on, so that a diverged network is
 * noticed. */
AN_BODY float an_activation_value(int activation, float x)
{
    switch (activation) {
    case 1:
        return x < 0 ? 0 : x;
    case 2:
        return tanhf(x);
    case 3:
        return 1 / (1 + expf(-x));
    default:
        return x;
    }
}

/* The derivative of an activation, computed from its result y. */
AN_BODY float an_activation_slope(int activation, float y)
{
    switch (activation) {
    case 1:
        return y > 0 ? 1.0F : 0.0F;
    case 2:
        return 1 - y * y;
    case 3:
        return y * (1 - y);
    default:
        return 1;
    }
}

AN_BODY void an_body_activate(const an_activate_args *a, uint64_t i)
{
    an_store(a->at.out[0], a->stored, i, an_activation_value(a->activation, an_load(a->at.out[0], a->stored, i)));
}

AN_BODY void an_body_slope(const an_slope_args *a, uint64_t i)
{
    uint64_t channels = (uint64_t)a->channels, channel = i % channels, first = i / channels * (uint64_t)a->chunk;
    uint64_t end = first + (uint64_t)a->chunk;
    float sum = 0;
    for (uint64_t row = first; row < end && row < a->rows; row++) {
        uint64_t place = row * channels + channel;
        float slope = an_load(a->at.out[0], a->stored, place);
        if (a->activation) {
            slope *= an_activation_slope(a->activation, an_load(a->at.in[0], a->stored, place));
            an_store(a->at.out[0], a->stored, place, slope);
        }
        sum += slope;
    }
    an_store(a->at.out[1], AN_STORED_F32, i, sum);
}

AN_BODY void an_body_bias(const an_bias_args *a, uint64_t i)
{
    float sum = 0;
    for (int chunk = AN_LANE; chunk < a->chunks; chunk += AN_LANES)
        sum += an_load(a->at.in[0], AN_STORED_F32, (uint64_t)chunk * (uint64_t)a->channels + i);
    sum = (float)AN_LANES_SUM(sum);
    if (AN_LANE == 0)
        an_store(a->at.out[0], a->stored, i, sum);
}

/* Where the mean of pixel y, x of an image begins: one colour for all pixels, or the pixel of the mean image that lies
 * below it, mirrored if the image is. */
AN_BODY const float *an_convert_mean(const an_convert_args *a, const an_image_draw *draw, int y, int x)
{
    const float *mean = (const float *)a->at.in[2];
    if (a->mean_side == 1)
        return mean;
    uint64_t row = (uint64_t)y + (draw ? draw->y : 0);
    uint64_t column = draw ? draw->x + (uint64_t)(draw->flip ? a->w - 1 - x : x) : (uint64_t)x;
    return mean + (row * (uint64_t)a->mean_side + column) * 3;
}

/* Performs the operations of augment/pixels.c in the same order, without fused multiply-add, so both give the same
 * bits. */
AN_BODY void an_body_convert(const an_convert_args *a, uint64_t i)
{
    int values = a->stored == AN_STORED_F32 ? 2 : 4, words = a->channels / values;
    int first = (int)(i % (uint64_t)words) * values;
    uint64_t pixel = i / (uint64_t)words, word = 0;
    an_place p = an_place_of(pixel, a->h, a->w, 1);
    const an_image_draw *draw = a->at.in[1] ? (const an_image_draw *)a->at.in[1] + p.n : 0;
    if (draw)
        AN_TOUCH(draw, sizeof *draw);
    const uint8_t *bytes = (const uint8_t *)a->at.in[0] + pixel * 3;
    const float *mean = an_convert_mean(a, draw, p.y, p.x);
    for (int k = 0; k < values && first + k < 3; k++) {
        int c = first + k;
        AN_TOUCH(&bytes[c], sizeof *bytes);
        AN_TOUCH(&mean[c], sizeof *mean);
        float value = (((float)bytes[c] - mean[c]) + (draw ? draw->shift[c] : 0.0F)) * a->scale;
        word |= (uint64_t)an_stored_bits(a->stored, value) << (k * (64 / values));
    }
    AN_TOUCH((uint64_t *)a->at.out[0] + i, 8);
    ((uint64_t *)a->at.out[0])[i] = word;
}

AN_BODY void an_body_numbers(const an_numbers_args *a, uint64_t i)
{
    AN_TOUCH((uint32_t *)a->at.out[0] + i, 4);
    ((uint32_t *)a->at.out[0])[i] = a->words[i];
}

/* One of the four words of a block of Philox4x32-10 (Salmon et al. 2011), as base/rng.c computes it. counter is that of
 * layer 0's block 0. */
AN_BODY uint32_t an_philox_word(const uint32_t *counter, uint32_t layer, const uint32_t key[2], uint32_t block,
                                unsigned word)
{
    uint32_t c0 = block, c1 = an_load_word(counter, 1), c2 = layer, c3 = an_load_word(counter, 3), k0 = key[0],
             k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0, p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
}

AN_BODY void an_body_dropout(const an_dropout_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->channels;
    uint64_t place = row * a->layer_channels + a->channel_offset + i % (uint64_t)a->channels;
    uint32_t word = a->threshold ? an_philox_word((const uint32_t *)a->at.in[1], a->layer, a->key,
                                                  (uint32_t)(place / 4), (unsigned)(place % 4))
                                 : 0;
    int kept = word >= a->threshold;
    an_store(a->at.out[0], a->to, i, kept ? an_load(a->at.in[0], a->from, i) * a->scale : 0);
    an_store_byte(a->at.out[1], i, (uint8_t)kept);
}

AN_BODY void an_body_dropout_back(const an_dropout_back_args *a, uint64_t i)
{
    int kept = an_load_byte(a->at.in[1], i);
    float slope = kept ? an_load(a->at.in[0], a->stored, i) * a->scale : 0;
    an_put(a->at.out[0], a->stored, i, slope, a->accumulate);
}

/* Softmax, cross entropy and rank (by the rule of exec.h) of one row, in double precision as the CPU does it. */
AN_BODY void an_body_loss(const an_loss_args *a, uint64_t row)
{
    uint64_t start = row * (uint64_t)a->classes;
    float *probability = (float *)a->at.out[0] + start, most = an_load(a->at.in[0], a->stored, start);
    double sum = 0;
    for (int i = AN_LANE; i < a->classes; i += AN_LANES) {
        float value = an_load(a->at.in[0], a->stored, start + (uint64_t)i);
        most = value > most ? value : most;
    }
    most = AN_LANES_MAX(most);
    for (int i = AN_LANE; i < a->classes; i += AN_LANES) {
        double power = exp((double)an_load(a->at.in[0], a->stored, start + (uint64_t)i) - most);
        sum += power;
        an_store(probability, AN_STORED_F32, (uint64_t)i, (float)power);
    }
    sum = AN_LANES_SUM(sum);
    for (int i = AN_LANE; i < a->classes; i += AN_LANES)
        an_store(probability, AN_STORED_F32, (uint64_t)i,
                 an_load(probability, AN_STORED_F32, (uint64_t)i) * (float)(1 / sum));
    if (!a->at.in[1])
        return;
    uint32_t label = an_load_word(a->at.in[1], row);
    float truth = an_load(a->at.in[0], a->stored, start + label);
    /* Each lane reads only probabilities that it wrote; the label's reaches the others through the sum. */
    double own = 0, rank = 0;
    for (int i = AN_LANE; i < a->classes; i += AN_LANES)
        own += i == (int)label ? an_load(probability, AN_STORED_F32, (uint64_t)i) : 0;
    own = AN_LANES_SUM(own);
    for (int i = AN_LANE; i < a->classes; i += AN_LANES) {
        double p = an_load(probability, AN_STORED_F32, (uint64_t)i);
        rank += p > own || (p == own && i < (int)label);
    }
    rank = AN_LANES_SUM(rank);
    an_row_result *result = (an_row_result *)a->at.out[1] + row;
    if (AN_LANE == 0) {
        AN_TOUCH(result, sizeof *result);
        result->loss = (float)(most + log(sum) - truth);
        result->rank = (uint32_t)rank;
    }
}

AN_BODY void an_body_loss_back(const an_loss_back_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->classes;
    float slope = 0, share = 1.0F / (float)a->count;
    if (row < a->count) {
        int truth = an_load_word(a->at.in[1], row) == i % (uint64_t)a->classes;
        slope = (an_load(a->at.in[0], AN_STORED_F32, i) - (truth ? 1.0F : 0.0F)) * share;
    }
    an_put(a->at.out[0], a->stored, i, slope, a->accumulate);
}

AN_BODY void an_body_window(const an_window_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->channels, channel = i % (uint64_t)a->channels;
    uint64_t from = row * (uint64_t)a->from_channels + (uint64_t)a->from_offset + channel;
    uint64_t to = row * (uint64_t)a->to_channels + (uint64_t)a->to_offset + channel;
    an_put(a->at.out[0], a->to, to, an_load(a->at.in[0], a->from, from), a->accumulate);
}

/* The tensor that an item belongs to: the last one whose first item is not greater. */
AN_BODY const an_sgd_tensor *an_sgd_tensor_of(const an_sgd_args *a, uint64_t i)
{
    int low = 0, high = a->count;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (a->tensors[middle].first <= i)
            low = middle;
        else
            high = middle;
    }
    return &a->tensors[low];
}

AN_BODY void an_body_sgd(const an_sgd_args *a, uint64_t item)
{
    const an_sgd_tensor *t = an_sgd_tensor_of(a, item);
    uint64_t i = item - t->first;
    float *w = (float *)t->at.out[0] + i, *v = (float *)t->at.out[1] + i;
    AN_TOUCH(w, sizeof *w);
    AN_TOUCH(v, sizeof *v);
    *v = a->momentum * *v - t->shrink * *w - t->rate * an_load(t->at.in[0], t->gradient, i);
    *w += *v;
    if (t->at.out[2])
        an_store(t->at.out[2], t->stored, i, *w);
}

#endif
