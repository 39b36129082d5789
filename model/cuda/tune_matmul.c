/* Choosing the algorithm of a product: the one chosen before for the same operation, or the fastest one now. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/matmul_private.h"
#include "model/cuda/tune_private.h"

#define ALGORITHM_WORDS (sizeof((cublasLtMatmulAlgo_t *)NULL)->data / sizeof(uint64_t))

typedef struct {
    an_backend *cuda;
    an_matmul *matmul; /* its algorithm is that of the candidate on trial */
    const cublasLtMatmulHeuristicResult_t *results;
    an_matmul_places at;
    char name[ALGORITHM_WORDS * 17 + 1];
} trial;

/* Names an algorithm by its words in hexadecimal. NVIDIA documents that they may be stored and used again with the same
 * version of the library. */
static const char *algorithm_name(char *text, const cublasLtMatmulAlgo_t *algorithm)
{
    char *at = text;
    for (size_t i = 0; i < ALGORITHM_WORDS; i++)
        at += sprintf(at, "%s%llx", i ? "." : "", (unsigned long long)algorithm->data[i]);
    return text;
}

static const char *trial_name(const void *context, int candidate)
{
    trial *t = (trial *)context;
    return algorithm_name(t->name, &t->results[candidate].algo);
}

static int trial_run(void *context, int candidate)
{
    trial *t = context;
    t->matmul->algorithm = t->results[candidate].algo;
    t->matmul->workspace = t->results[candidate].workspaceSize;
    return an_matmul_run_on(t->matmul, t->cuda, &t->at);
}

static int key_make(const an_backend *cuda, const an_matmul_spec *spec, char key[AN_TUNE_KEY])
{
    char operation[192];
    snprintf(operation, sizeof operation, "a %s product of %lld x %lld x %lld%s%s%s%s%s into %s",
             an_cuda_precision_name(cuda->precision), (long long)spec->m, (long long)spec->n, (long long)spec->k,
             spec->turn_a ? ", first turned" : "", spec->turn_b ? ", second turned" : "", spec->bias ? ", bias" : "",
             spec->relu ? ", rectified" : "", spec->accumulate ? ", added" : "",
             spec->stored_d == AN_STORED_BF16 ? "bf16" : "f32");
    return an_tune_key(cuda, key, operation);
}

static int measure(trial *t, int count, const char *key, int *chosen)
{
    const an_matmul_spec *spec = &t->matmul->spec;
    size_t value = an_stored_size(t->cuda->stored), workspace = 1;
    an_tune_contest contest = {.key = key, .count = count, .name = trial_name, .run = trial_run, .context = t};
    an_tune_scratch scratch;
    void *parts[AN_TUNE_PARTS];
    for (int i = 0; i < count; i++)
        if (t->results[i].workspaceSize > workspace)
            workspace = t->results[i].workspaceSize;
    const size_t sizes[AN_TUNE_PARTS] = {(size_t)(spec->m * spec->k) * value, (size_t)(spec->k * spec->n) * value,
                                         (size_t)(spec->m * spec->n) * an_stored_size(spec->stored_d), workspace};
    int rc = an_tune_scratch_make(&scratch, t->cuda, sizes, parts, t->matmul->subject);
    t->at = (an_matmul_places){parts[0], parts[1], parts[2], parts[3]};
    if (!rc)
        rc = an_tune_decide(t->cuda, &contest, chosen, &t->matmul->microseconds);
    an_tune_scratch_free(&scratch);
    return rc;
}

int an_tune_matmul(an_backend *cuda, an_matmul *matmul, const cublasLtMatmulHeuristicResult_t *results, int count,
                   int *chosen)
{
    char key[AN_TUNE_KEY];
    trial t = {.cuda = cuda, .matmul = matmul, .results = results};
    int rc = key_make(cuda, &matmul->spec, key);
    if (rc)
        return rc;
    const an_choice *kept = an_choices_find(cuda->choices, key);
    for (int i = 0; i < count && kept; i++)
        if (!strcmp(kept->name, algorithm_name(t.name, &results[i].algo))) {
            *chosen = i;
            matmul->microseconds = kept->microseconds;
            return AN_OK;
        }
    return measure(&t, count, key, chosen);
}
