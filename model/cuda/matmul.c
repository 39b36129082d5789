/* Making and running products of matrices through cuBLASLt. */
#include "model/cuda/matmul_private.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/tune_private.h"

static cudaDataType_t type_of(an_stored stored)
{
    return stored == AN_STORED_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static int layout(cublasLtMatrixLayout_t *out, const an_matmul *matmul, cudaDataType_t type, bool turned, int64_t rows,
                  int64_t columns)
{
    int64_t lead = turned ? columns : rows;
    return an_cublas_check(
        cublasLtMatrixLayoutCreate(out, type, (uint64_t)lead, (uint64_t)(turned ? rows : columns), lead),
        "describe a matrix of %s", matmul->subject);
}

static int attribute(const an_matmul *matmul, cublasLtMatmulDescAttributes_t name, const void *value, size_t size)
{
    return an_cublas_check(cublasLtMatmulDescSetAttribute(matmul->operation, name, value, size), "describe %s",
                           matmul->subject);
}

static int operation_make(an_matmul *matmul, an_cuda_precision precision)
{
    const an_matmul_spec *spec = &matmul->spec;
    cublasComputeType_t compute = precision == AN_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasOperation_t a = spec->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = spec->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = spec->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    int rc = an_cublas_check(cublasLtMatmulDescCreate(&matmul->operation, compute, CUDA_R_32F), "describe %s",
                             matmul->subject);
    if (rc)
        return rc;
    rc = attribute(matmul, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
    if (rc)
        return rc;
    rc = attribute(matmul, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
    if (rc)
        return rc;
    if (!spec->bias)
        return AN_OK;
    rc = attribute(matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (rc)
        return rc;
    return attribute(matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &spec->bias, sizeof spec->bias);
}

/* Keeps the results that the heuristic has not marked as failed, and returns their number. */
static int valid_keep(cublasLtMatmulHeuristicResult_t *results, int found)
{
    int kept = 0;
    for (int i = 0; i < found; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS)
            results[kept++] = results[i];
    return kept;
}

/* Asks the heuristic for algorithms, best first. Reductions whose order depends on timing are excluded, so every run
 * gives the same bits. */
static int algorithms_ask(const an_matmul *matmul, const an_backend *cuda, int room,
                          cublasLtMatmulHeuristicResult_t *results, int *found)
{
    cublasLtMatmulPreference_t preference;
    size_t workspace = AN_MATMUL_WORKSPACE;
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    *found = 0;
    int rc = an_cublas_check(cublasLtMatmulPreferenceCreate(&preference), "describe %s", matmul->subject);
    if (rc)
        return rc;
    cublasStatus_t status = cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                                 &workspace, sizeof workspace);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                                                      sizeof schemes);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulAlgoGetHeuristic(cuda->blas, matmul->operation, matmul->a, matmul->b, matmul->d,
                                                matmul->d, preference, room, results, found);
    rc = an_cublas_check(status, "find an algorithm for %s", matmul->subject);
    *found = rc ? 0 : valid_keep(results, *found);
    cublasStatus_t destroyed = cublasLtMatmulPreferenceDestroy(preference);
    if (!rc)
        rc = an_cublas_check(destroyed, "describe %s", matmul->subject);
    if (!rc && !*found)
        rc = an_error(AN_EUNSUPPORTED, "cuBLASLt has no algorithm for %s", matmul->subject);
    return rc;
}

static int algorithm_choose(an_matmul *matmul, an_backend *cuda)
{
    cublasLtMatmulHeuristicResult_t results[AN_TUNE_CANDIDATES];
    int found, chosen = 0;
    int rc = algorithms_ask(matmul, cuda, AN_TUNE_CANDIDATES, results, &found);
    if (!rc && cuda->choices)
        rc = an_tune_matmul(cuda, matmul, results, found, &chosen);
    if (rc)
        return rc;
    matmul->algorithm = results[chosen].algo;
    matmul->workspace = results[chosen].workspaceSize;
    if (matmul->workspace > cuda->workspace_size)
        cuda->workspace_size = matmul->workspace;
    return AN_OK;
}

int an_matmul_make(an_matmul *matmul, an_backend *cuda, const an_matmul_spec *spec, const char *layer)
{
    cudaDataType_t type = type_of(cuda->stored);
    matmul->spec = *spec;
    snprintf(matmul->subject, sizeof matmul->subject, "%s's %s product of %lld x %lld x %lld on cuda:%d", layer,
             an_cuda_precision_name(cuda->precision), (long long)spec->m, (long long)spec->n, (long long)spec->k,
             cuda->device);
    int rc = operation_make(matmul, cuda->precision);
    if (rc)
        return rc;
    rc = layout(&matmul->a, matmul, type, spec->turn_a, spec->m, spec->k);
    if (rc)
        return rc;
    rc = layout(&matmul->b, matmul, type, spec->turn_b, spec->k, spec->n);
    if (rc)
        return rc;
    rc = layout(&matmul->d, matmul, type_of(spec->stored_d), false, spec->m, spec->n);
    if (rc)
        return rc;
    return algorithm_choose(matmul, cuda);
}

int an_matmul_run(const an_matmul *matmul, const an_backend *cuda)
{
    return an_matmul_run_on(matmul, cuda,
                            &(an_matmul_places){matmul->spec.a, matmul->spec.b, matmul->spec.d, cuda->workspace});
}

int an_matmul_run_on(const an_matmul *matmul, const an_backend *cuda, const an_matmul_places *at)
{
    float one = 1, beta = matmul->spec.accumulate ? 1 : 0;
    return an_cublas_check(cublasLtMatmul(cuda->blas, matmul->operation, &one, at->a, matmul->a, at->b, matmul->b,
                                          &beta, at->d, matmul->d, at->d, matmul->d, &matmul->algorithm, at->workspace,
                                          matmul->workspace, cuda->compute),
                           "run %s", matmul->subject);
}

/* Descriptors are host memory; a failure to free one is ignored. */
void an_matmul_free(an_matmul *matmul)
{
    if (matmul->operation)
        (void)cublasLtMatmulDescDestroy(matmul->operation);
    cublasLtMatrixLayout_t layouts[] = {matmul->a, matmul->b, matmul->d};
    for (int i = 0; i < 3; i++)
        if (layouts[i])
            (void)cublasLtMatrixLayoutDestroy(layouts[i]);
    memset(matmul, 0, sizeof *matmul);
}
