/* How a body of bodies.h becomes a kernel on a device, and its launch. A grid-stride loop distributes the items over
 * the threads, or over the warps for WARP kernels.
 *
 * Sums and maxima over the lanes of a warp are butterflies: each lane adds the value of the lane 16 away (lane number
 * XOR 16), then that of the lane 8, 4, 2 and 1 away. The order is fixed, so every run gives the same bits, and all
 * lanes end with the same result. tests/emu/emulator/emu_bodies.c repeats this order on the host. */
#ifndef AN_MODEL_CUDA_KERNELS_LAUNCH_H
#define AN_MODEL_CUDA_KERNELS_LAUNCH_H

#define AN_BODY static __device__ __forceinline__
#define AN_LANES 32
#define AN_LANE ((int)(threadIdx.x & 31))
#define AN_LANES_SUM(x) lanes_sum(x)
#define AN_LANES_MAX(x) lanes_max(x)

static __device__ __forceinline__ double lanes_sum(double x)
{
    for (int away = 16; away; away /= 2)
        x += __shfl_xor_sync(0xFFFFFFFFu, x, away);
    return x;
}

static __device__ __forceinline__ float lanes_max(float x)
{
    for (int away = 16; away; away /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, away));
    return x;
}

#include "model/cuda/kernels/bodies.h"

#define THREADS 256
#define BLOCKS_MAX 65536

static cudaError_t launch(const void *function, const void *args, uint64_t threads, cudaStream_t stream)
{
    uint64_t blocks = (threads + THREADS - 1) / THREADS;
    void *list[] = {const_cast<void *>(args)};
    if (!blocks)
        return cudaSuccess;
    unsigned grid = (unsigned)(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX);
    return cudaLaunchKernel(function, dim3(grid), dim3(THREADS), list, 0, stream);
}

#define FIRST ((uint64_t)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((uint64_t)gridDim.x * blockDim.x)

/* So many blocks of the kernel fit on a processor at once, which bounds the registers of a thread: 128 with two. */
#define KERNEL_OF(blocks, name, type)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) an_device_##name(const __grid_constant__ type args)  \
    {                                                                                                                  \
        const uint64_t items = ((const an_kernel_places *)&args)->items;                                               \
        for (uint64_t i = FIRST; i < items; i += STEP)                                                                 \
            an_body_##name(&args, i);                                                                                  \
    }                                                                                                                  \
    extern "C" cudaError_t an_kernel_##name(const type *args, cudaStream_t stream)                                     \
    {                                                                                                                  \
        return launch((const void *)an_device_##name, args, ((const an_kernel_places *)args)->items, stream);          \
    }

#define KERNEL(name, type) KERNEL_OF(2, name, type)

#define WARP(name, type)                                                                                               \
    extern "C" __global__ void an_device_##name(const __grid_constant__ type args)                                     \
    {                                                                                                                  \
        for (uint64_t i = FIRST / 32; i < args.at.items; i += STEP / 32)                                               \
            an_body_##name(&args, i);                                                                                  \
    }                                                                                                                  \
    extern "C" cudaError_t an_kernel_##name(const type *args, cudaStream_t stream)                                     \
    {                                                                                                                  \
        return launch((const void *)an_device_##name, args, args->at.items * 32, stream);                              \
    }

#endif
