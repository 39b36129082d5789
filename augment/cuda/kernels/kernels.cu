/* The kernels on a device, and their launches: a thread or a warp for each item. */
#define AN_BODY static __device__ __forceinline__
#define AN_CONSTANT const
#define AN_WIDTH 1
#define AN_EACH(w) for (int w = 0; w < 1; w++)
#define AN_LANE(w) ((uint32_t)threadIdx.x & 31)
#define AN_SYNC() __syncwarp()
#define AN_FENCE() __threadfence_system()
#define AN_LEAST(at, value) atomicMin((unsigned long long *)(at), (unsigned long long)(value))

#include <stdint.h>

#define WHOLE_WARP 0xFFFFFFFFu

static __device__ __forceinline__ uint32_t an_lanes_sum(const uint32_t v[1])
{
#if __CUDA_ARCH__ >= 800
    return __reduce_add_sync(WHOLE_WARP, v[0]);
#else
    uint32_t sum = v[0];
    for (int away = 16; away; away /= 2)
        sum += __shfl_xor_sync(WHOLE_WARP, sum, away);
    return sum;
#endif
}

static __device__ __forceinline__ int an_lanes_any(const uint32_t v[1])
{
    return __any_sync(WHOLE_WARP, v[0] != 0);
}

static __device__ __forceinline__ uint32_t an_lanes_before(const uint32_t v[1], uint32_t before[1])
{
    uint32_t sum = v[0], lane = threadIdx.x & 31;
    for (unsigned away = 1; away < 32; away *= 2) {
        uint32_t other = __shfl_up_sync(WHOLE_WARP, sum, away);
        sum += lane >= away ? other : 0;
    }
    uint32_t all = __shfl_sync(WHOLE_WARP, sum, 31);
    before[0] = sum - v[0];
    return all;
}

#include "augment/cuda/kernels/bodies.h"
#include "augment/cuda/kernels/launch.h"

#define ROW_THREADS 128
#define PIXEL_THREADS 256

static cudaError_t launch(const void *function, const void *args, uint64_t threads, unsigned block, cudaStream_t stream)
{
    void *list[] = {const_cast<void *>(args)};
    unsigned grid = (unsigned)((threads + block - 1) / block); /* items are below 2^31 */
    return grid ? cudaLaunchKernel(function, dim3(grid), dim3(block), list, 0, stream) : cudaSuccess;
}

/* Eight blocks of warps fit on a processor: of their 64 registers a thread, and of their memory. */
#define ROW_BLOCKS 8
#define NUMBER (blockIdx.x * blockDim.x + threadIdx.x)

#define WARP(name, type)                                                                                               \
    extern "C" __global__ void __launch_bounds__(ROW_THREADS, ROW_BLOCKS)                                              \
        an_decode_##name(const __grid_constant__ type args)                                                            \
    {                                                                                                                  \
        __shared__ an_decode_room rooms[ROW_THREADS / 32];                                                             \
        uint32_t item = NUMBER / 32;                                                                                   \
        if (item < args.at.items)                                                                                      \
            an_body_##name(&args, item, &rooms[threadIdx.x / 32]);                                                     \
    }                                                                                                                  \
    extern "C" cudaError_t an_decode_launch_##name(const type *args, cudaStream_t stream)                              \
    {                                                                                                                  \
        return launch((const void *)an_decode_##name, args, args->at.items * 32, ROW_THREADS, stream);                 \
    }

#define THREAD(name, type)                                                                                             \
    extern "C" __global__ void __launch_bounds__(PIXEL_THREADS) an_decode_##name(const __grid_constant__ type args)    \
    {                                                                                                                  \
        if (NUMBER < args.at.items)                                                                                    \
            an_body_##name(&args, NUMBER);                                                                             \
    }                                                                                                                  \
    extern "C" cudaError_t an_decode_launch_##name(const type *args, cudaStream_t stream)                              \
    {                                                                                                                  \
        return launch((const void *)an_decode_##name, args, args->at.items, PIXEL_THREADS, stream);                    \
    }

AN_DECODE_KERNELS(WARP, THREAD)
