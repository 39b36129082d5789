/* Statuses of the CUDA libraries as errors of ours. */
#include "model/cuda/library/check.h"

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
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
        return AN_EUNSUPPORTED;
    default:
        return AN_EINTERNAL;
    }
}

#define REASON_MAX 384

/* What happened, with the remedy where there is a usual one. */
static const char *cuda_reason(cudaError_t status)
{
    switch (status) {
    case cudaErrorNoDevice:
        return "no CUDA device found; is the NVIDIA driver loaded, and does CUDA_VISIBLE_DEVICES hide it?";
    case cudaErrorInsufficientDriver:
        return "the NVIDIA driver is missing or older than this build's CUDA runtime; update the driver";
    case cudaErrorSystemDriverMismatch:
    case cudaErrorUnsupportedPtxVersion:
        return "the NVIDIA driver is older than its libraries or than this build; update the driver, or restart after "
               "an update";
    case cudaErrorDevicesUnavailable:
        return "another process holds the device for itself, or it is being set up; nvidia-smi tells which";
    case cudaErrorSystemNotReady:
        return "the links between the GPUs are not up yet; is nvidia-fabricmanager running?";
    case cudaErrorNoKernelImageForDevice:
        return "this build has no code for the device; it needs compute capability 7.5 or later";
    default:
        return cudaGetErrorString(status);
    }
}

/* Whether the device is lost to this process: every later call fails. */
static bool is_lost(cudaError_t status)
{
    switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
        return true;
    default:
        return false;
    }
}

static const char *lost_reason(cudaError_t status, char *text, size_t size)
{
    snprintf(text, size,
             "the device failed and is lost to this process (%s); look into the system's log, then go on with --resume "
             "auto",
             cudaGetErrorString(status));
    return text;
}

/* Whether the runtime remembers that the device was lost. A library that fails for this reason only says that it
 * failed. Asking clears any other error that the runtime remembers, which is as it should be: it has been reported
 * already. */
static bool device_lost(char *text, size_t size)
{
    cudaError_t last = cudaGetLastError();
    if (is_lost(last))
        lost_reason(last, text, size);
    return is_lost(last);
}

int an_cuda_check(cudaError_t status, const char *format, ...)
{
    if (status == cudaSuccess)
        return AN_OK;
    char lost[REASON_MAX];
    va_list args;
    va_start(args, format);
    int rc = report(cuda_code(status), is_lost(status) ? lost_reason(status, lost, sizeof lost) : cuda_reason(status),
                    format, args);
    va_end(args);
    return rc;
}

/* cuDNN keeps a message about the last failure in each thread. */
static const char *cudnn_reason(cudnnStatus_t status, char *text, size_t size)
{
    char last[256] = "";
    if (device_lost(text, size))
        return text;
    cudnnGetLastErrorString(last, sizeof last);
    last[strcspn(last, "\n")] = '\0';
    snprintf(text, size, "%s%s%s", cudnnGetErrorString(status), *last ? ", " : "", last);
    return text;
}

int an_cudnn_check(cudnnStatus_t status, const char *format, ...)
{
    char reason[REASON_MAX];
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
    char lost[REASON_MAX];
    va_list args;
    va_start(args, format);
    int rc = report(code, device_lost(lost, sizeof lost) ? lost : cublasLtGetStatusString(status), format, args);
    va_end(args);
    return rc;
}
