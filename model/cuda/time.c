/* Times on a device's own clock: how long ops take between their marks, and how long the device is idle before a batch.
 *
 * Three events are recorded on the compute stream in this order: `done` after all work of a batch, `asked` when the
 * host has queued the next batch, and `begun` after the wait for that batch's images. From done to asked the device
 * waits for the host, from asked to begun for the copy of the images. */
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

/* Adds the times of the last batch. Its events have all happened: the host has since waited for something that was
 * queued after them. */
static int count(an_backend *cuda)
{
    if (!cuda->measured)
        return AN_OK;
    cuda->measured = false;
    int rc = elapsed(cuda, cuda->done, cuda->begun, &cuda->time.idle);
    if (!rc)
        rc = elapsed(cuda, cuda->asked, cuda->begun, &cuda->time.copy);
    if (rc)
        return rc;
    return elapsed(cuda, cuda->before, cuda->begun, &cuda->time.total);
}

int an_cuda_time_ask(an_backend *cuda)
{
    int rc = count(cuda);
    if (rc)
        return rc;
    return an_cuda_record(cuda->asked, cuda->compute);
}

int an_cuda_time_begin(an_backend *cuda)
{
    cudaEvent_t begun = cuda->before;
    cuda->before = cuda->begun;
    cuda->begun = begun;
    cuda->begins += cuda->begins < 2;
    cuda->measured = cuda->ended && cuda->begins == 2;
    cuda->ended = false;
    return an_cuda_record(begun, cuda->compute);
}

int an_cuda_time_end(an_backend *cuda)
{
    int rc = count(cuda);
    cuda->ended = true;
    if (rc)
        return rc;
    return an_cuda_record(cuda->done, cuda->compute);
}

int an_cuda_time_get(an_backend *cuda, an_device_time *out)
{
    int rc = count(cuda);
    *out = cuda->time;
    cuda->time = (an_device_time){0};
    return rc;
}

void an_cuda_time_pause(an_backend *cuda)
{
    cuda->ended = false;
}

int an_cuda_mark(an_op *op, int mark)
{
    int rc = an_cuda_use(op->cuda);
    if (!rc && !op->marks[mark])
        rc = an_cuda_event_timed(op->cuda, &op->marks[mark]);
    if (rc)
        return rc;
    return an_cuda_record(op->marks[mark], op->cuda->compute);
}

int an_cuda_between(an_op *op, int from, int to, double *seconds)
{
    *seconds = 0;
    return elapsed(op->cuda, op->marks[from], op->marks[to], seconds);
}
