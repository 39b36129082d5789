/* What replicas ask of this backend: where gradients lie, a hash of the parameters, and the stream on which gradients
 * are added up.
 *
 * DESIGN. The stream `reduce` is made when it is first asked for, so that who trains alone has none. Its priority is
 * the highest: a reduction keeps other devices waiting, and occupies few processors of its own. For each bucket
 * `ripe` is recorded on the compute stream and waited for by reduce. Behind the last one `reduced` is recorded on
 * reduce and waited for by the compute stream, so that all that is queued there later (the norm, the update, and the
 * next backward or gather, which write the gradients anew) finds the sums. Within a capture the first of these waits
 * brings reduce into it and the last one ends its part, as with the streams of recording.c. */
#include "base/error.h"
#include "model/cuda/cuda.h"
#include "model/hash.h"

static uint64_t layout_add(uint64_t hash, const an_cuda_weights *weights)
{
    const int sizes[] = {weights->o, weights->h, weights->w, weights->i, weights->stored_i};
    for (int i = 0; i < 5; i++)
        hash = an_hash_mix(hash, (uint64_t)sizes[i]);
    return hash;
}

int an_cuda_gradients(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout)
{
    const an_cuda_weights *const both[] = {&op->weights, &op->bias};
    *layout = 1;
    for (*count = 0; *count < 2; ++*count) {
        const an_cuda_weights *weights = both[*count];
        an_stored stored;
        void *values = an_cuda_weights_gradient(weights, &stored);
        out[*count] = (an_gradient){values, weights->items, stored == AN_STORED_F32 ? AN_DTYPE_F32 : AN_DTYPE_BF16};
        *layout = layout_add(*layout, weights);
    }
    return AN_OK;
}

/* The hash of a tensor is the sum of a digest's parts, which the device makes side by side. */
#define PART 64          /* values of which at least a part is made */
#define PARTS_MAX 32768U /* of a tensor */

static uint64_t parts_of(const an_cuda_weights *weights)
{
    uint64_t parts = (weights->items + PART - 1) / PART;
    return parts < PARTS_MAX ? parts : PARTS_MAX;
}

/* Weights and bias of each op of the device that has them, frozen or not. */
static uint64_t parts_all(const an_backend *cuda)
{
    uint64_t all = 0;
    for (const an_op *op = cuda->ops; op; op = op->next)
        if (op->node.has_weights)
            all += parts_of(&op->weights) + parts_of(&op->bias);
    return all;
}

static int digests_make(an_backend *cuda)
{
    void *place, *host;
    size_t size = (parts_all(cuda) + 1) * sizeof(an_proof_digest);
    if (cuda->digests_host)
        return AN_OK;
    int rc = an_cuda_alloc(cuda, &place, size, "checksums of weights");
    if (rc)
        return rc;
    rc = an_cuda_alloc_pinned(cuda, &host, size, "checksums of weights");
    if (rc)
        return rc;
    cuda->digests = place;
    cuda->digests_host = host;
    return AN_OK;
}

static int digest(const an_backend *cuda, const an_op *op, const an_cuda_weights *weights, an_proof_digest **place)
{
    an_proof_digest_args args = {.at = {.out = {*place}, .in = {weights->master}, .items = parts_of(weights)},
                                 .values = weights->items,
                                 .stored = AN_STORED_F32};
    *place += parts_of(weights);
    return an_cuda_launched(an_kernel_proof_digest(&args, cuda->compute), op, "proof_digest");
}

static uint64_t parts_sum(const an_cuda_weights *weights, const an_proof_digest **place)
{
    uint64_t sum = 0, parts = parts_of(weights);
    for (uint64_t i = 0; i < parts; i++)
        sum += (*place)[i].sum;
    *place += parts;
    return sum;
}

static int digests_fetch(an_backend *cuda)
{
    an_proof_digest *place = cuda->digests;
    int rc = an_cuda_use(cuda);
    for (const an_op *op = cuda->ops; op && !rc; op = op->next) {
        if (!op->node.has_weights)
            continue;
        rc = digest(cuda, op, &op->weights, &place);
        if (!rc)
            rc = digest(cuda, op, &op->bias, &place);
    }
    if (rc)
        return rc;
    return an_cuda_fetch(cuda, cuda->digests_host, cuda->digests, parts_all(cuda) * sizeof(an_proof_digest));
}

int an_cuda_checksum(an_backend *cuda, uint64_t *out)
{
    int rc = digests_make(cuda);
    if (!rc)
        rc = digests_fetch(cuda);
    if (rc)
        return rc;
    const an_proof_digest *place = cuda->digests_host;
    *out = 1;
    for (const an_op *op = cuda->ops; op; op = op->next) {
        if (!op->node.has_weights)
            continue;
        *out = an_hash_mix(*out, parts_sum(&op->weights, &place));
        *out = an_hash_mix(*out, parts_sum(&op->bias, &place));
    }
    return AN_OK;
}

static int stream_make(an_backend *cuda)
{
    int least = 0, greatest = 0;
    if (cuda->reduce)
        return AN_OK;
    int rc = an_cuda_event(cuda, &cuda->ripe);
    if (!rc)
        rc = an_cuda_event(cuda, &cuda->reduced);
    if (!rc)
        rc = an_cuda_check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "ask for the priorities of cuda:%d",
                           cuda->device);
    if (rc)
        return rc;
    return an_cuda_check(cudaStreamCreateWithPriority(&cuda->reduce, cudaStreamNonBlocking, greatest),
                         "make a stream on cuda:%d", cuda->device);
}

int an_cuda_reduce_begin(an_backend *cuda, void **stream)
{
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = stream_make(cuda);
    if (rc)
        return rc;
    rc = an_cuda_record(cuda->ripe, cuda->compute);
    if (rc)
        return rc;
    *stream = cuda->reduce;
    return an_cuda_wait(cuda->reduce, cuda->ripe);
}

int an_cuda_reduce_end(an_backend *cuda)
{
    int rc = an_cuda_use(cuda);
    if (rc)
        return rc;
    rc = an_cuda_record(cuda->reduced, cuda->reduce);
    if (rc)
        return rc;
    return an_cuda_wait(cuda->compute, cuda->reduced);
}
