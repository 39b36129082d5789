/* Part of bodies.h: activations, the gradient before them, and the sums of which a bias's gradient is made. */
#ifndef AN_MODEL_CUDA_KERNELS_SLOPE_H
#define AN_MODEL_CUDA_KERNELS_SLOPE_H

#include "model/cuda/kernels/values.h"

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

#define AN_SLOPE_ROWS 4 /* rows whose values a thread asks for at once */

/* The rows of one step of a chunk: adds their slopes to sums. Beyond the last row, the first is read again. */
AN_BODY void an_slope_rows(const an_slope_args *a, uint64_t row, int c, an_stored stored, int count, int activation,
                           float *sums)
{
    float y[AN_SLOPE_ROWS][8], slope[AN_SLOPE_ROWS][8];
    AN_UNROLL for (int r = 0; r < AN_SLOPE_ROWS; r++)
    {
        uint64_t each = row + (uint64_t)r * a->chunks, place = an_rows_index(&a->y, each < a->rows ? each : row, c);
        an_values_load(a->at.out[0], stored, place, count, slope[r]);
        AN_UNROLL for (int k = 0; k < count; k++) y[r][k] = 1;
        if (activation)
            an_values_load(a->at.in[0], stored, place, count, y[r]);
    }
    AN_UNROLL for (int r = 0; r < AN_SLOPE_ROWS; r++)
    {
        uint64_t each = row + (uint64_t)r * a->chunks;
        if (each >= a->rows)
            return;
        AN_UNROLL for (int k = 0; k < count; k++)
        {
            if (activation)
                slope[r][k] *= an_activation_slope(activation, y[r][k]);
            sums[k] += slope[r][k];
        }
        if (activation)
            an_values_store(a->at.out[0], stored, an_rows_index(&a->y, each, c), count, slope[r]);
    }
}

AN_BODY void an_slope_group(const an_slope_args *a, uint64_t i, an_stored stored, int count, int activation)
{
    uint32_t groups = (uint32_t)(a->channels / count), chunk = (uint32_t)i / groups;
    int c = (int)((uint32_t)i % groups) * count;
    float sums[8];
    AN_UNROLL for (int k = 0; k < count; k++) sums[k] = 0;
    for (uint64_t row = chunk; row < a->rows; row += (uint64_t)AN_SLOPE_ROWS * a->chunks)
        an_slope_rows(a, row, c, stored, count, activation, sums);
    an_sums_store(a->at.out[1], (uint64_t)chunk * (uint64_t)a->channels + (uint64_t)c, count, sums);
}

AN_BODY void an_body_slope(const an_slope_args *a, uint64_t i)
{
    if (a->group == 4 && a->activation == 1)
        an_slope_group(a, i, AN_STORED_F32, 4, 1);
    else if (a->group == 8 && a->activation == 1)
        an_slope_group(a, i, AN_STORED_BF16, 8, 1);
    else if (a->group == 4)
        an_slope_group(a, i, AN_STORED_F32, 4, a->activation);
    else if (a->group == 8)
        an_slope_group(a, i, AN_STORED_BF16, 8, a->activation);
    else
        an_slope_group(a, i, a->stored, 1, a->activation);
}

/* Sums over the chunks of a slice: a lane takes every 32nd in fp32, then the lanes' sums are added in fp64. */
AN_BODY void an_bias_group(const an_bias_args *a, uint64_t i, int count)
{
    uint32_t groups = (uint32_t)(a->channels / count), slice = (uint32_t)i / groups;
    uint64_t c = (uint64_t)((uint32_t)i % groups) * (uint64_t)count;
    int each = (a->chunks + a->slices - 1) / a->slices, first = (int)slice * each;
    int end = first + each < a->chunks ? first + each : a->chunks;
    float values[4], sums[4];
    AN_UNROLL for (int k = 0; k < count; k++) sums[k] = 0;
    for (int chunk = first + AN_LANE; chunk < end; chunk += AN_LANES) {
        an_values_load(a->at.in[0], AN_STORED_F32, (uint64_t)chunk * (uint64_t)a->channels + c, count, values);
        AN_UNROLL for (int k = 0; k < count; k++) sums[k] += values[k];
    }
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        float sum = (float)AN_LANES_SUM(sums[k]);
        if (AN_LANE == 0)
            an_store(a->at.out[0], a->stored, (uint64_t)slice * (uint64_t)a->channels + c + (uint64_t)k, sum);
    }
}

AN_BODY void an_body_bias(const an_bias_args *a, uint64_t i)
{
    if (a->channels % 4)
        an_bias_group(a, i, 1);
    else
        an_bias_group(a, i, 4);
}

#endif
