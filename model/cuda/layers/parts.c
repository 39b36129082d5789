/* How the outputs of layers lie in memory: in one part, or each half of the channels in a part of its own.
 *
 * An output can lie in two parts if the layer that writes it and all that read it are convolutions in two groups,
 * poolings, activations, or normalisations within groups. The kernels of the latter three read and write either way, so
 * they may have parts on one side only. A convolution that reads one such output and writes another ties them together,
 * since its passes are fastest where the halves of both lie apart. Outputs tied together form a chain.
 *
 * Each chain lies apart or together, whichever makes the sum of the passes of all convolutions that read or write it
 * faster; conv_ways.c asks for their times. These are what the backend's choices keep, so a run with the same choices
 * arranges its outputs in the same way. Without choices a chain lies apart.
 *
 * Called by the thread that makes the network, once all ops are known and before their outputs are made. */
#include <math.h>

#include "base/error.h"
#include "model/cuda/layers/conv_private.h"

#define CLEARLY 0.98 /* as in conv_ways.c */
#define VECTOR 16    /* bytes that kernels read at once: a group of channels lies within one part */

/* A pooling that computes the normalisation before it (peaks.c) cannot write parts if that is over all channels. */
static bool takes_parts(const an_op *op)
{
    switch (op->node.kind) {
    case AN_OP_CONV:
        return an_conv_splits(op);
    case AN_OP_LRN:
        return op->node.groups == 2;
    case AN_OP_ACTIVATION:
        return true;
    case AN_OP_POOL:
        return op->input->node.kind != AN_OP_LRN || op->input->node.groups == 2;
    default:
        return false;
    }
}

static bool can_part(const an_backend *cuda, const an_op *op)
{
    const an_cuda_tensor *y = &op->output;
    int readers = 0;
    if (!takes_parts(op) || y->stored_c != y->c || y->c % 2)
        return false;
    if ((size_t)(y->c / 2) * an_stored_size(y->stored) % VECTOR)
        return false;
    for (const an_op *reader = cuda->ops; reader; reader = reader->next)
        readers += reader->input == op && takes_parts(reader);
    return readers == op->readers;
}

/* The op that writes the first output of a chain, to which an output belongs; NULL: it cannot lie in two parts. */
static const an_op *chain_of(const an_backend *cuda, const an_op *op)
{
    if (!can_part(cuda, op))
        return NULL;
    while (an_conv_splits(op) && can_part(cuda, op->input))
        op = op->input;
    return op;
}

/* The time of all convolutions that read or write outputs of the chain, which lie in that many parts. tied: how many
 * these are. */
static int chain_time(const an_backend *cuda, const an_op *chain, int parts, double *microseconds, int *tied)
{
    *microseconds = *tied = 0;
    for (an_op *op = cuda->ops; op; op = op->next) {
        an_conv_way ways[AN_CONV_PASSES];
        double time;
        if (!an_conv_splits(op))
            continue;
        bool reads = chain_of(cuda, op->input) == chain, writes = chain_of(cuda, op) == chain;
        if (!reads && !writes)
            continue;
        int rc = an_conv_fastest((an_conv_op *)op, reads ? parts : 1, writes ? parts : 1, ways, &time);
        if (rc)
            return an_error_prefix(rc, "%s", op->node.name);
        *microseconds += time;
        ++*tied;
    }
    return AN_OK;
}

static int parts_choose(const an_backend *cuda, const an_op *chain, int *parts)
{
    double apart, together;
    int tied;
    *parts = 1;
    int rc = chain_time(cuda, chain, 2, &apart, &tied);
    if (rc || !tied)
        return rc;
    *parts = 2;
    if (!cuda->choices && isfinite(apart))
        return AN_OK;
    rc = chain_time(cuda, chain, 1, &together, &tied);
    if (!rc && together < CLEARLY * apart)
        *parts = 1;
    return rc;
}

int an_cuda_parts_choose(an_backend *cuda)
{
    for (const an_op *chain = cuda->ops; chain; chain = chain->next) {
        int parts;
        if (chain_of(cuda, chain) != chain)
            continue;
        int rc = parts_choose(cuda, chain, &parts);
        if (rc)
            return rc;
        for (an_op *op = cuda->ops; op; op = op->next)
            if (chain_of(cuda, op) == chain)
                op->output.parts = parts;
    }
    return AN_OK;
}
