/* One product of matrices through cuBLASLt: D = op(A) op(B) (+ D), column-major, as cuBLAS counts. */
#ifndef AN_MODEL_CUDA_MATMUL_H
#define AN_MODEL_CUDA_MATMUL_H

#include "model/cuda/cuda.h"

typedef struct {
    int64_t m, n, k;
    bool turn_a, turn_b;
    const void *a, *b;
    void *d;
    const void *bias; /* of length m, added before the rectifier; NULL: none */
    bool relu;        /* with bias */
    bool accumulate;
    an_stored stored_d; /* of d and bias; a and b are as the backend computes */
} an_matmul_spec;

typedef struct {
    an_matmul_spec spec;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
    double microseconds; /* as measured; 0: it was not */
    char subject[96];
} an_matmul;

#define AN_MATMUL_WORKSPACE ((size_t)32 << 20) /* NVIDIA's advice for Hopper; more than enough elsewhere */

int an_matmul_make(an_matmul *matmul, an_backend *cuda, const an_matmul_spec *spec, const char *layer);
/* Elsewhere than where the spec says, for trials. */
typedef struct {
    const void *a, *b;
    void *d, *workspace;
} an_matmul_places;
int an_matmul_run_on(const an_matmul *matmul, const an_backend *cuda, const an_matmul_places *at);
/* tune_matmul.c: which of the heuristic's results was chosen before, or is fastest now. */
int an_tune_matmul(an_backend *cuda, an_matmul *matmul, const cublasLtMatmulHeuristicResult_t *results, int count,
                   int *chosen);
int an_matmul_run(const an_matmul *matmul, const an_backend *cuda);
void an_matmul_free(an_matmul *matmul);

#endif
