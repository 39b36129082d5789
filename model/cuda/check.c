#include "model/cuda/check.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define ATTEMPT_MAX 512

static int report(int code, const char *reason, const char *format, va_list args)
{
    char attempt[ATTEMPT_MAX];
    vsnprintf(attempt, sizeof attempt, format, args);
    return an_error(code, "cannot %s: %s", attempt, reason);
}

static int cuda_code(cudaError_t status)
{
    switch (status) {
    case cudaErrorMemoryAllocation:
        return AN_ENOMEM;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
    case cudaErrorNoKernelImageForDevice:
        return AN_EUNSUPPORTED;
    default:
        return AN_EINTERNAL;
    }
}

/* CUDA's own words, with the remedy where there is a usual one. */
static const char *cuda_reason(cudaError_t status)
{
    switch (status) {
    case cudaErrorNoDevice:
        return "no CUDA device found; is the NVIDIA driver loaded, and does CUDA_VISIBLE_DEVICES hide it?";
    case cudaErrorInsufficientDriver:
        return "the NVIDIA driver is missing or older than this build's CUDA runtime; update the driver";
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorDevicesUnavailable:
        return "the device failed and is lost to this process; look into the system's log, then go on with --resume "
               "auto";
    case cudaErrorNoKernelImageForDevice:
        return "this build has no code for the device; it needs compute capability 7.5 or later";
    default:
        return cudaGetErrorString(status);
    }
}

int an_cuda_check(cudaError_t status, const char *format, ...)
{
    if (status == cudaSuccess)
        return AN_OK;
    va_list args;
    va_start(args, format);
    int rc = report(cuda_code(status), cuda_reason(status), format, args);
    va_end(args);
    return rc;
}

/* cuDNN keeps a sentence about the last failure of the thread. */
static const char *cudnn_reason(cudnnStatus_t status, char *text, size_t size)
{
    char last[256] = "";
    cudnnGetLastErrorString(last, sizeof last);
    last[strcspn(last, "\n")] = '\0';
    snprintf(text, size, "%s%s%s", cudnnGetErrorString(status), *last ? ", " : "", last);
    return text;
}

int an_cudnn_check(cudnnStatus_t status, const char *format, ...)
{
    char reason[384];
    if (status == CUDNN_STATUS_SUCCESS)
        return AN_OK;
    bool lacking = status >= CUDNN_STATUS_NOT_SUPPORTED && status < CUDNN_STATUS_INTERNAL_ERROR;
    int code = status == CUDNN_STATUS_ALLOC_FAILED ? AN_ENOMEM : lacking ? AN_EUNSUPPORTED : AN_EINTERNAL;
    va_list args;
    va_start(args, format);
    int rc = report(code, cudnn_reason(status, reason, sizeof reason), format, args);
    va_end(args);
    return rc;
}

int an_cublas_check(cublasStatus_t status, const char *format, ...)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return AN_OK;
    int code = status == CUBLAS_STATUS_ALLOC_FAILED    ? AN_ENOMEM
               : status == CUBLAS_STATUS_NOT_SUPPORTED ? AN_EUNSUPPORTED
                                                       : AN_EINTERNAL;
    va_list args;
    va_start(args, format);
    int rc = report(code, cublasLtGetStatusString(status), format, args);
    va_end(args);
    return rc;
}
