/* Other ways to run kernels of a step, which gpu_kernels.c times beside those that are used. */
#include "model/cuda/kernels/launch.h"
#include "tests/model/gpu/peaks_parts.h"

AN_BODY void an_body_lrn_peaks_narrow(const an_peaks_args *a, uint64_t i)
{
    an_body_lrn_peaks(a, i);
}

AN_BODY void an_body_lrn_peaks_back_rows(const an_peaks_back_args *a, uint64_t i)
{
    an_parts_back(a, i, 1, 2, 1);
}

AN_BODY void an_body_lrn_peaks_back_one(const an_peaks_back_args *a, uint64_t i)
{
    an_parts_back(a, i, 1, 1, 1);
}

AN_BODY void an_body_lrn_peaks_back_narrow(const an_peaks_back_args *a, uint64_t i)
{
    an_parts_back(a, i, 1, 2, 1);
}

KERNEL_OF(3, lrn_peaks_narrow, an_peaks_args)
KERNEL_OF(2, lrn_peaks_back_rows, an_peaks_back_args)
KERNEL_OF(3, lrn_peaks_back_one, an_peaks_back_args)
KERNEL_OF(3, lrn_peaks_back_narrow, an_peaks_back_args)

/* Images to blocks of 4 x 4 pixels: a block of threads works on a row of them. Each thread reads four values one below
 * the other, its neighbours those to the right of them; the values are written by way of shared memory, so that
 * neighbours also write what is neighbouring. */
#define STAGED_THREADS 192
#define STAGED_COLUMNS 64 /* the most blocks in a row */
#define BLOCK_VALUES (4 * AN_BLOCK_LINE)

AN_BODY void staged_load(const an_convert_args *a, const an_convert_image *image, int top, int v, float out[4][AN_RUN])
{
    float mean[4][AN_RUN];
    uint32_t bytes[4];
    AN_UNROLL for (int dy = 0; dy < 4; dy++)
    {
        int f = image->mean_first + (top + dy) * a->mean_side * 3 + v, copy = f & 3;
        bytes[dy] = an_convert_bytes(image->bytes + ((top + dy) * a->row + v), 1);
        an_group_load(image->mean, AN_STORED_F32, (uint64_t)copy * a->mean_plane + (uint64_t)(f - copy), AN_RUN,
                      mean[dy]);
    }
    AN_UNROLL for (int i = 0; i < 4 * AN_RUN; i++)
    {
        int dy = i / AN_RUN, k = i % AN_RUN;
        out[dy][k] = ((an_byte_float(bytes[dy], k) - mean[dy][k]) + image->shift[k % 3]) * a->scale;
    }
}

AN_BODY void staged_run(const an_convert_args *a, uint32_t n, int top, uint32_t run, uint2 *to)
{
    uint32_t column = run / 3, part = run % 3;
    an_convert_image image = an_convert_image_of(a, n, part);
    int left = ((int)column * 4 - a->pad) * 3, v = left + (int)part * AN_RUN;
    float values[4][AN_RUN];
    if (top >= 0 && top + 4 <= a->h && v >= 0 && v + AN_RUN <= a->row)
        staged_load(a, &image, top, v, values);
    else
        for (uint32_t dy = 0; dy < 4; dy++) {
            an_convert_place place = {dy, part * AN_RUN};
            an_convert_run(a, &image, top, left, place, 0, 1, values[dy]);
        }
    AN_UNROLL for (uint32_t dy = 0; dy < 4; dy++)
    {
        to[(column * BLOCK_VALUES + dy * AN_BLOCK_LINE) / AN_RUN + part] =
            make_uint2(an_bf16_pair(values[dy][0], values[dy][1]), an_bf16_pair(values[dy][2], values[dy][3]));
    }
}

extern "C" __global__ void __launch_bounds__(STAGED_THREADS)
    an_device_convert_staged(const __grid_constant__ an_convert_args args)
{
    __shared__ uint4 staged[STAGED_COLUMNS * BLOCK_VALUES / 8];
    uint32_t line = blockIdx.x, n = an_divide(line, args.rows), row = line - n * args.rows.by;
    uint32_t columns = args.columns.by, pieces = columns * BLOCK_VALUES / 8;
    for (uint32_t run = threadIdx.x; run < columns * 3; run += STAGED_THREADS)
        staged_run(&args, n, (int)row * 4 - args.pad, run, (uint2 *)staged);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < pieces; i += STAGED_THREADS)
        ((uint4 *)args.at.out[0])[(uint64_t)line * pieces + i] = staged[i];
}

/* Items: blocks of 4 x 4 pixels, as many in each row as fit. */
extern "C" cudaError_t an_kernel_convert_staged(const an_convert_args *args, cudaStream_t stream)
{
    void *list[] = {const_cast<an_convert_args *>(args)};
    if (args->columns.by > STAGED_COLUMNS)
        return cudaErrorInvalidValue;
    return cudaLaunchKernel((const void *)an_device_convert_staged, dim3((unsigned)(args->at.items / args->columns.by)),
                            dim3(STAGED_THREADS), list, 0, stream);
}
