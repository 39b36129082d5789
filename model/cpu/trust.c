/* LARS (an_sgd.trust): the sums of squares of the weights of a device's layers, and the factors of their rates. The
 * sums are in fp64 and the same for any number of threads. */
#include <omp.h>

#include "base/error.h"
#include "model/cpu/cpu_private.h"

int an_cpu_trust(an_backend *cpu, const an_sgd *sgd, double factor)
{
    omp_set_num_threads(cpu->threads);
    for (int i = 0; i < cpu->learning_count; i++) {
        an_op *op = cpu->learning[i];
        op->squares.weights = 0;
        for (int part = 0; part < op->parts; part++)
            op->squares.weights += an_cpu_weights_value_squares(&op->weights[part]);
        op->trust = an_trust_factor(sgd, &op->squares, factor == AN_FACTOR_OWN ? cpu->factor : factor);
    }
    return AN_OK;
}

int an_cpu_trust_squares(an_backend *cpu, an_trust_squares *layers)
{
    for (int i = 0; i < cpu->learning_count; i++) {
        const an_op *op = cpu->learning[i];
        layers[op->node.layer].weights += op->squares.weights;
        layers[op->node.layer].gradient += op->squares.gradient;
    }
    return AN_OK;
}

int an_cpu_trust_set(an_backend *cpu, const double *layers)
{
    for (int i = 0; i < cpu->learning_count; i++)
        cpu->learning[i]->trust = layers[cpu->learning[i]->node.layer];
    return AN_OK;
}
