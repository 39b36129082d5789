/* How long a device stands idle before a batch, by its own clock: from the end of what it had to do to the moment at
 * which it takes up the next batch, waiting for the host and for the copy of the images included. */
#include "base/error.h"
#include "model/cuda/cuda.h"

static int elapsed(const an_backend *cuda, cudaEvent_t from, cudaEvent_t to, double *sum)
{
    float milliseconds = 0;
    int rc = an_cuda_check(cudaEventElapsedTime(&milliseconds, from, to), "read the clock of cuda:%d", cuda->device);
    if (!rc)
        *sum += (double)milliseconds * 1e-3;
    return rc;
}

int an_cuda_time_begin(an_backend *cuda)
{
    cuda->fed = true;
    return an_cuda_record(cuda->begun, cuda->compute);
}

int an_cuda_time_end(an_backend *cuda)
{
    return an_cuda_record(cuda->done, cuda->compute);
}

int an_cuda_time_take(an_backend *cuda)
{
    int rc = AN_OK;
    if (cuda->started && cuda->fed)
        rc = elapsed(cuda, cuda->before, cuda->begun, &cuda->idle);
    if (!rc && cuda->started)
        rc = elapsed(cuda, cuda->before, cuda->done, &cuda->total);
    cudaEvent_t done = cuda->done;
    cuda->done = cuda->before;
    cuda->before = done;
    cuda->started = true;
    cuda->fed = false;
    return rc;
}

int an_cuda_time_get(an_backend *cuda, double *idle, double *total)
{
    *idle = cuda->idle;
    *total = cuda->total;
    cuda->idle = cuda->total = 0;
    return AN_OK;
}
