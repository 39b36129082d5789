/* Statuses of the CUDA libraries as errors of ours. The text before the reason says what was attempted, with sizes. */
#ifndef AN_MODEL_CUDA_LIBRARY_CHECK_H
#define AN_MODEL_CUDA_LIBRARY_CHECK_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

int an_cuda_check(cudaError_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int an_cudnn_check(cudnnStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int an_cublas_check(cublasStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
