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

#include "model/cuda/kernels/arrange.h"
#include "model/cuda/kernels/canonical.h"
#include "model/cuda/kernels/convert.h"
#include "model/cuda/kernels/kernels.h"
#include "model/cuda/kernels/lrn.h"
#include "model/cuda/kernels/peaks.h"
#include "model/cuda/kernels/peaks_back.h"
#include "model/cuda/kernels/pool.h"
#include "model/cuda/kernels/sgd.h"
#include "model/cuda/kernels/slope.h"

AN_BODY void an_body_activate(const an_activate_args *a, uint64_t i)
{
    an_store(a->at.out[0], a->stored, i, an_activation_value(a->activation, an_load(a->at.out[0], a->stored, i)));
}

/* The first value of group i in the layouts of x and of y. */
AN_BODY void an_activation_places(const an_activation_args *a, uint64_t i, int count, uint64_t *x, uint64_t *y)
{
    uint64_t groups = (uint64_t)(a->channels / count), row = i / groups;
    int c = (int)(i % groups) * count;
    *x = an_rows_index(&a->from, row, c);
    *y = an_rows_index(&a->to, row, c);
}

AN_BODY void an_activation_group(const an_activation_args *a, uint64_t i, an_stored stored, int count)
{
    float values[8];
    uint64_t x, y;
    an_activation_places(a, i, count, &x, &y);
    an_values_load(a->at.in[0], stored, x, count, values);
    AN_UNROLL for (int k = 0; k < count; k++) values[k] = an_activation_value(a->activation, values[k]);
    an_values_store(a->at.out[0], stored, y, count, values);
}

AN_BODY void an_activation_back_group(const an_activation_back_args *args, uint64_t i, an_stored stored, int count)
{
    const an_activation_args *a = &args->forward;
    float values[8], slope[8];
    uint64_t x, y;
    an_activation_places(a, i, count, &x, &y);
    an_values_load(a->at.in[0], stored, y, count, values);
    an_values_load(a->at.in[1], stored, y, count, slope);
    AN_UNROLL for (int k = 0; k < count; k++) slope[k] *= an_activation_slope(a->activation, values[k]);
    if (count == 1)
        an_put(a->at.out[0], stored, x, slope[0], args->accumulate);
    else
        an_group_put(a->at.out[0], stored, x, count, slope, args->accumulate);
}

AN_BODY void an_body_activation(const an_activation_args *a, uint64_t i)
{
    if (a->group == 4)
        an_activation_group(a, i, AN_STORED_F32, 4);
    else if (a->group == 8)
        an_activation_group(a, i, AN_STORED_BF16, 8);
    else
        an_activation_group(a, i, a->stored, 1);
}

AN_BODY void an_body_activation_back(const an_activation_back_args *a, uint64_t i)
{
    if (a->forward.group == 4)
        an_activation_back_group(a, i, AN_STORED_F32, 4);
    else if (a->forward.group == 8)
        an_activation_back_group(a, i, AN_STORED_BF16, 8);
    else
        an_activation_back_group(a, i, a->forward.stored, 1);
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
    uint64_t row = i / (uint64_t)a->channels, channel = a->channel_offset + i % (uint64_t)a->channels;
    uint64_t first = a->threshold ? an_load_word(a->at.in[1], 0) : 0,
             place = (first + row) * a->layer_channels + channel;
    if (a->pixels > 1) {
        uint64_t pixels = (uint64_t)a->pixels;
        place = ((first + row / pixels) * a->layer_channels + channel) * pixels + row % pixels;
    }
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

AN_BODY const an_target_row *an_target_row_of(const void *targets, uint64_t row)
{
    const an_target_row *target = (const an_target_row *)targets + row;
    AN_TOUCH(target, sizeof *target);
    return target;
}

AN_BODY float an_class_weight(const void *weights, uint64_t i)
{
    return weights ? an_load(weights, AN_STORED_F32, i) : 1.0F;
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
    const an_target_row *target = an_target_row_of(a->at.in[1], row);
    uint32_t label = target->label;
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
    double smoothed = 0, log_sum = most + log(sum);
    for (int i = AN_LANE; target->smooth > 0 && i < a->classes; i += AN_LANES)
        smoothed += an_class_weight(a->at.in[2], (uint64_t)i) *
                    (log_sum - an_load(a->at.in[0], a->stored, start + (uint64_t)i));
    smoothed = target->smooth * AN_LANES_SUM(smoothed);
    an_row_result *result = (an_row_result *)a->at.out[1] + row;
    if (AN_LANE == 0) {
        AN_TOUCH(result, sizeof *result);
        result->loss = (float)(target->own * (log_sum - truth) + smoothed +
                               target->rest * (log_sum - an_load(a->at.in[0], a->stored, start + target->other)));
        result->rank = (uint32_t)rank;
    }
}

AN_BODY void an_body_loss_back(const an_loss_back_args *a, uint64_t i)
{
    uint64_t row = i / (uint64_t)a->classes;
    float slope = 0;
    if (row < a->count) {
        const an_target_row *target = an_target_row_of(a->at.in[1], row);
        uint32_t number = (uint32_t)(i - row * (uint64_t)a->classes);
        slope = an_load(a->at.in[0], AN_STORED_F32, i) * target->sum - (number == target->label ? target->own : 0.0F);
        slope -= number == target->other ? target->rest : 0.0F;
        if (target->smooth > 0)
            slope -= target->smooth * an_class_weight(a->at.in[2], number);
        slope *= target->scale;
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

/* Uses the activations from above. */
#include "model/cuda/kernels/proof.h"

#endif
