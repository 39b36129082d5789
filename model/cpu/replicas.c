/* What replicas ask of this backend: where gradients lie, and a hash of the parameters. */
#include <omp.h>
#include <string.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

int an_cpu_gradient_alloc(an_backend *cpu, void **out, size_t size)
{
    const an_reducer *reducer = cpu->reducer;
    if (!reducer || !reducer->alloc)
        return an_cpu_alloc(cpu, out, size);
    cpu->memory += size;
    return reducer->alloc(reducer->context, size, out);
}

int an_cpu_gradients(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout)
{
    *count = 0;
    *layout = 0;
    for (int i = 0; i < 2 * op->parts; i++) {
        const an_cpu_weights *weights = i % 2 ? &op->biases[i / 2] : &op->weights[i / 2];
        out[(*count)++] = (an_gradient){an_cpu_weights_gradient(weights), weights->floats, AN_DTYPE_F32};
        *layout = an_hash_mix(*layout, an_desc_hash(&weights->master));
    }
    return AN_OK;
}

/* The values of a tensor are hashed in pieces, each by several sequences that the processor works on side by side. The
 * sum of the pieces' hashes does not depend on who hashed which one. */
#define PIECE ((size_t)1 << 18) /* floats; 1 MiB */
#define SEQUENCES 8             /* two floats each at a time */

static uint64_t piece_hash(const float *values, size_t count, uint64_t place)
{
    uint64_t hashes[SEQUENCES] = {0}, words[SEQUENCES], hash = place;
    size_t i = 0, block = 2 * (size_t)SEQUENCES;
    for (; i + block <= count; i += block) {
        memcpy(words, values + i, sizeof words);
        for (int k = 0; k < SEQUENCES; k++)
            hashes[k] = an_hash_mix(hashes[k], words[k]);
    }
    for (; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        hashes[0] = an_hash_mix(hashes[0], bits);
    }
    for (int k = 0; k < SEQUENCES; k++)
        hash = an_hash_mix(hash, hashes[k]);
    return hash;
}

/* place: how many pieces were hashed before. */
static uint64_t tensor_hash(const an_cpu_weights *weights, uint64_t *place)
{
    size_t pieces = (weights->floats + PIECE - 1) / PIECE;
    uint64_t sum = 0, first = *place;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < pieces; i++) {
        size_t left = weights->floats - i * PIECE;
        sum += piece_hash(weights->data + i * PIECE, left < PIECE ? left : PIECE, first + i);
    }
    *place += pieces;
    return sum;
}

int an_cpu_checksum(an_backend *cpu, uint64_t *out)
{
    uint64_t place = 1;
    omp_set_num_threads(cpu->threads);
    *out = 0;
    for (int i = 0; i < cpu->weighted_count; i++)
        for (int part = 0; part < cpu->weighted[i]->parts; part++) {
            *out += tensor_hash(&cpu->weighted[i]->weights[part], &place);
            *out += tensor_hash(&cpu->weighted[i]->biases[part], &place);
        }
    return AN_OK;
}
