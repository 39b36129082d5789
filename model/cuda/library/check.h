/* Turns a status of a CUDA library into an error of ours. Success is 0. Otherwise the message is "cannot ATTEMPT:
 * REASON", where the format states the attempt, with sizes, and the code is AN_ENOMEM (no device memory),
 * AN_EUNSUPPORTED (this device, driver or library cannot do it) or AN_EINTERNAL. Each thread has its own message. */
#ifndef AN_MODEL_CUDA_LIBRARY_CHECK_H
#define AN_MODEL_CUDA_LIBRARY_CHECK_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

int an_cuda_check(cudaError_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int an_cudnn_check(cudnnStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int an_cublas_check(cublasStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
