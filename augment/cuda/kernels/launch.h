/* Launches of the kernels. Each an_decode_launch_NAME queues one launch on a stream of the current device and returns
 * whether it could be started. The arguments are copied by the call; the memory that they point to belongs to the
 * caller and must stay until the stream is done. */
#ifndef AN_AUGMENT_CUDA_KERNELS_LAUNCH_H
#define AN_AUGMENT_CUDA_KERNELS_LAUNCH_H

#include <cuda_runtime_api.h>

#include "augment/cuda/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AN_DECODE_DECLARE(name, type) cudaError_t an_decode_launch_##name(const type *args, cudaStream_t stream);
AN_DECODE_KERNELS(AN_DECODE_DECLARE, AN_DECODE_DECLARE)

#ifdef __cplusplus
}
#endif

#endif
