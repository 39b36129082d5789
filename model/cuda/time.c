/* Times on a device's own clock: those of the ops between their marks, and how long the device stands idle before a
 * batch. On its compute stream lie, one behind the other, `done` (all that was queued before), `asked` (the host has
 * queued the next batch) and, behind the wait for the images, `begun`: from done to asked it waits for the host, from
 * asked to begun for the copy. */
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

/* The host has seen what came behind the batch, so all of them have happened. */
static int count(an_backend *cuda)
{
    if (!cuda->measured)
        return AN_OK;
    cuda->measured = false;
    int rc = elapsed(cuda, cuda->done, cuda->begun, &cuda->time.idle);
    if (!rc)
        rc = elapsed(cuda, cuda->asked, cuda->begun, &cuda->time.copy);
    return rc ? rc : elapsed(cuda, cuda->before, cuda->begun, &cuda->time.total);
}

int an_cuda_time_ask(an_backend *cuda)
{
    int rc = count(cuda);
    return rc ? rc : an_cuda_record(cuda->asked, cuda->compute);
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
    return rc ? rc : an_cuda_record(cuda->done, cuda->compute);
}

int an_cuda_time_get(an_backend *cuda, an_device_time *out)
{
    int rc = count(cuda);
    *out = cuda->time;
    cuda->time = (an_device_time){0};
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
