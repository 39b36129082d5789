#include "model/init.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/rng.h"

static void values_fill(const an_parameter *p, an_init_kind kind, uint64_t seed, float *out)
{
    double deviation = kind == AN_INIT_HE ? sqrt(2.0 / (double)p->fan_in) : p->init_deviation;
    double bias = kind == AN_INIT_HE ? 0 : p->init_bias;
    an_rng rng = an_rng_make(seed, AN_RNG_INIT, 0, (uint64_t)p->layer);
    for (uint64_t i = 0; i < p->size; i++)
        out[i] = (float)(p->bias ? bias : deviation * an_rng_normal(&rng));
}

int an_init_parameters(an_exec *exec, an_init_kind kind, uint64_t seed)
{
    for (int i = 0; i < an_exec_parameter_count(exec); i++) {
        const an_parameter *p = an_exec_parameter(exec, i);
        float *values = malloc(p->size * sizeof *values);
        if (!values)
            return an_error(AN_ENOMEM, "%s: out of memory", p->name);
        values_fill(p, kind, seed, values);
        int rc = an_exec_parameter_set(exec, i, AN_PARAMETER_VALUE, values);
        free(values);
        if (rc)
            return rc;
    }
    return AN_OK;
}
