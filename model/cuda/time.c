/* Times on a device's own clock: those of the ops between their marks, and how long the device stands idle before a
 * batch: from the end of what it had to do to the moment at which it takes up the next batch, waiting for the host and
 * for the copy of the images included. */
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

/* The host has seen what came behind the batch, so all three have happened. */
static int count(an_backend *cuda)
{
    bool measured = cuda->measured;
    cuda->measured = false;
    int rc = measured ? elapsed(cuda, cuda->done, cuda->begun, &cuda->idle) : AN_OK;
    return rc || !measured ? rc : elapsed(cuda, cuda->before, cuda->begun, &cuda->total);
}

int an_cuda_time_begin(an_backend *cuda)
{
    int rc = count(cuda);
    cudaEvent_t begun = cuda->before;
    cuda->before = cuda->begun;
    cuda->begun = begun;
    cuda->begins += cuda->begins < 2;
    cuda->measured = cuda->ended && cuda->begins == 2;
    cuda->ended = false;
    return rc ? rc : an_cuda_record(begun, cuda->compute);
}

int an_cuda_time_end(an_backend *cuda)
{
    int rc = count(cuda);
    cuda->ended = true;
    return rc ? rc : an_cuda_record(cuda->done, cuda->compute);
}

int an_cuda_time_get(an_backend *cuda, double *idle, double *total)
{
    int rc = count(cuda);
    *idle = cuda->idle;
    *total = cuda->total;
    cuda->idle = cuda->total = 0;
    return rc;
}

int an_cuda_mark(an_op *op, int mark)
{
    int rc = an_cuda_use(op->cuda);
    if (!rc && !op->marks[mark])
        rc = an_cuda_event_timed(op->cuda, &op->marks[mark]);
    return rc ? rc : an_cuda_record(op->marks[mark], op->cuda->compute);
}

int an_cuda_between(an_op *op, int from, int to, double *seconds)
{
    *seconds = 0;
    return elapsed(op->cuda, op->marks[from], op->marks[to], seconds);
}
