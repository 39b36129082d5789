/* Choosing the algorithm of a product: the one chosen before for the same operation, or the fastest of those that the
 * heuristic proposes. They run on memory of their own. */
#include <stdio.h>

#include "base/error.h"
#include "model/cuda/matmul.h"
#include "model/cuda/tune.h"

enum { A, B, D, BIAS, ROOM }; /* the parts of the scratch memory */

typedef struct {
    an_backend *cuda;
    an_matmul *matmul; /* its algorithm is that of the candidate on trial */
    an_product product;
    an_tune_scratch scratch;
    an_tune_contest contest;
    an_algorithm algorithms[AN_TUNE_CANDIDATES]; /* those that passed, and one on trial */
    int count;                                   /* that passed */
} field;

static const char *algorithm_name(const void *context, int candidate)
{
    return ((const field *)context)->algorithms[candidate].name;
}

static int algorithm_run(void *context, int candidate)
{
    const field *f = context;
    void *const *parts = f->scratch.parts;
    an_matmul_take(f->matmul, &f->algorithms[candidate]);
    return an_matmul_run_on(f->matmul, f->cuda,
                            &(an_matmul_places){parts[A], parts[B], parts[D], f->scratch.workspace});
}

static void operation_write(field *f)
{
    const an_matmul_spec *spec = &f->matmul->spec;
    snprintf(f->contest.operation, sizeof f->contest.operation, "a %s product of %lld x %lld x %lld%s%s%s%s%s into %s",
             an_cuda_precision_name(f->cuda->precision), (long long)spec->m, (long long)spec->n, (long long)spec->k,
             spec->turn_a ? ", first turned" : "", spec->turn_b ? ", second turned" : "", spec->bias ? ", bias" : "",
             spec->relu ? ", rectified" : "", spec->accumulate ? ", added" : "",
             spec->stored_d == AN_STORED_BF16 ? "bf16" : "f32");
}

static int scratch_make(field *f)
{
    const an_matmul_spec *spec = &f->matmul->spec;
    size_t value = an_stored_size(f->cuda->stored), value_d = an_stored_size(spec->stored_d);
    const size_t sizes[AN_TUNE_PARTS] = {[A] = (size_t)(spec->m * spec->k) * value,
                                         [B] = (size_t)(spec->k * spec->n) * value,
                                         [D] = (size_t)(spec->m * spec->n) * value_d,
                                         [BIAS] = spec->bias ? (size_t)spec->m * value_d : 0,
                                         [ROOM] = AN_PROOF_ROOM};
    return an_tune_scratch_make(&f->scratch, f->cuda, sizes, f->contest.operation);
}

/* Names the operation and begins the proof of its candidates. */
static int field_begin(field *f)
{
    const an_matmul_spec *spec = &f->matmul->spec;
    void *const *parts = f->scratch.parts;
    f->contest = (an_tune_contest){.library = "cuBLASLt", .name = algorithm_name, .run = algorithm_run, .context = f};
    operation_write(f);
    int rc = an_tune_key(f->cuda, &f->contest);
    if (rc)
        return rc;
    rc = scratch_make(f);
    if (rc)
        return rc;
    rc = spec->bias ? an_matmul_bias_set(f->matmul, parts[BIAS]) : AN_OK;
    if (rc)
        return rc;
    f->contest.proof = (an_proof){.stream = f->cuda->compute, .room = parts[ROOM]};
    return an_proof_product(&f->contest.proof, &(an_proof_matrices){.m = spec->m,
                                                                    .n = spec->n,
                                                                    .k = spec->k,
                                                                    .turn_a = spec->turn_a,
                                                                    .turn_b = spec->turn_b,
                                                                    .relu = spec->relu,
                                                                    .adds = spec->accumulate,
                                                                    .precision = f->cuda->precision,
                                                                    .stored_d = spec->stored_d,
                                                                    .a = parts[A],
                                                                    .b = parts[B],
                                                                    .bias = parts[BIAS],
                                                                    .d = parts[D]});
}

/* Tries the algorithm behind those that passed. */
static int algorithm_prove(field *f)
{
    bool passed = false;
    int rc = an_tune_scratch_reserve(&f->scratch, f->cuda, f->algorithms[f->count].workspace, f->contest.operation);
    if (!rc)
        rc = an_tune_prove(f->cuda, &f->contest, f->count, &passed);
    f->count += passed;
    return rc;
}

/* The algorithm that was chosen before, if it can still be made and passes. */
static int kept_try(field *f, double *microseconds)
{
    const an_choice *kept = an_tune_kept(f->cuda, &f->contest);
    if (!kept)
        return AN_OK;
    *microseconds = kept->microseconds;
    int rc = an_algorithm_make(&f->product, kept->name, &f->algorithms[0]);
    if (rc && rc != AN_EUNSUPPORTED)
        return rc;
    rc = rc ? AN_OK : algorithm_prove(f);
    if (rc || f->count)
        return rc;
    return an_tune_kept_tell(f->cuda, &f->contest, kept);
}

/* Collects up to enough algorithms that pass, in the heuristic's order. */
static int algorithms_try(field *f, int enough)
{
    an_algorithm proposals[AN_TUNE_CANDIDATES];
    int found;
    int rc = an_algorithms_propose(&f->product, proposals, AN_TUNE_CANDIDATES, &found);
    for (int i = 0; i < found && f->count < enough && f->contest.stale < AN_TUNE_STALE && !rc; i++) {
        f->algorithms[f->count] = proposals[i];
        rc = algorithm_prove(f);
    }
    if (rc)
        return rc;
    return f->count ? AN_OK : an_tune_none(&f->contest);
}

static int choose(field *f)
{
    double microseconds = 0;
    int winner = 0;
    int rc = kept_try(f, &microseconds);
    bool measures = f->cuda->choices && !f->count;
    if (!rc && measures)
        rc = an_tune_clock_make(f->cuda, &f->contest);
    if (!rc && !f->count)
        rc = algorithms_try(f, measures ? AN_TUNE_CANDIDATES : 1);
    if (!rc && measures)
        rc = an_tune_decide(f->cuda, &f->contest, f->count, &winner, &microseconds);
    if (rc)
        return rc;
    an_matmul_take(f->matmul, &f->algorithms[winner]);
    f->matmul->microseconds = microseconds;
    return AN_OK;
}

int an_tune_matmul(an_backend *cuda, an_matmul *matmul, const an_product *product)
{
    field f = {.cuda = cuda, .matmul = matmul, .product = *product};
    int rc = field_begin(&f);
    if (!rc)
        rc = choose(&f);
    an_tune_clock_free(&f.contest);
    an_tune_scratch_free(&f.scratch, cuda);
    if (rc)
        return rc;
    return matmul->spec.bias ? an_matmul_bias_set(matmul, matmul->spec.bias) : AN_OK;
}
