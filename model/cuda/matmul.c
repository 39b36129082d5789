/* Making and running products of matrices through cuBLASLt. */
#include "model/cuda/matmul.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/tune.h"

static cudaDataType_t type_of(an_stored stored)
{
    return stored == AN_STORED_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t compute_of(an_cuda_precision precision)
{
    return precision == AN_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
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

int an_matmul_bias_set(an_matmul *matmul, const void *bias)
{
    return attribute(matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

static int operation_make(an_matmul *matmul, an_cuda_precision precision)
{
    const an_matmul_spec *spec = &matmul->spec;
    cublasOperation_t a = spec->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = spec->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = spec->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    int rc = an_cublas_check(cublasLtMatmulDescCreate(&matmul->operation, compute_of(precision), CUDA_R_32F),
                             "describe %s", matmul->subject);
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
    return an_matmul_bias_set(matmul, spec->bias);
}

void an_matmul_take(an_matmul *matmul, const an_algorithm *algorithm)
{
    matmul->algorithm = algorithm->words;
    matmul->workspace = algorithm->workspace;
}

static int algorithm_choose(an_matmul *matmul, an_backend *cuda)
{
    const an_product product = {.handle = cuda->blas,
                                .operation = matmul->operation,
                                .a = matmul->a,
                                .b = matmul->b,
                                .d = matmul->d,
                                .compute = compute_of(cuda->precision),
                                .type = type_of(cuda->stored),
                                .type_d = type_of(matmul->spec.stored_d),
                                .workspace = AN_MATMUL_WORKSPACE,
                                .subject = matmul->subject};
    int rc = an_tune_matmul(cuda, matmul, &product);
    if (rc)
        return an_error_prefix(rc, "%s", matmul->subject);
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
