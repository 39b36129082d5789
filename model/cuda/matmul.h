/* One product of matrices through cuBLASLt: D = activation(op(A) op(B) + bias), or D += op(A) op(B). Matrices are
 * column-major, as cuBLAS counts, without gaps between columns. The matrices are the caller's; the descriptors belong
 * to the product until an_matmul_free. It runs on the backend's compute stream. AN_EUNSUPPORTED: cuBLASLt has no
 * deterministic algorithm. */
#ifndef AN_MODEL_CUDA_MATMUL_H
#define AN_MODEL_CUDA_MATMUL_H

#include "model/cuda/cuda.h"
#include "model/cuda/library/algorithm.h"

typedef struct {
    int64_t m, n, k;     /* D is m x n, op(A) m x k, op(B) k x n */
    bool turn_a, turn_b; /* op transposes */
    const void *a, *b;
    void *d;
    const void *bias;   /* m values, added to every column; NULL: none */
    bool relu;          /* after the bias; without a bias it is ignored */
    bool accumulate;    /* add to D */
    an_stored stored_d; /* the type of D and bias; A and B have the type that the backend computes with */
} an_matmul_spec;

typedef struct {
    an_matmul_spec spec;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;    /* bytes that the algorithm needs */
    double microseconds; /* as measured when the algorithm was chosen; 0: it was not measured */
    char subject[96];
} an_matmul;

#define AN_MATMUL_WORKSPACE ((size_t)32 << 20) /* the most; NVIDIA recommends it for Hopper */

/* layer names the product in error messages. After a failure an_matmul_free is still to be called. */
int an_matmul_make(an_matmul *matmul, an_backend *cuda, const an_matmul_spec *spec, const char *layer);
/* Runs it with other matrices and another workspace than the spec's, to measure it. */
typedef struct {
    const void *a, *b;
    void *d, *workspace;
} an_matmul_places;
int an_matmul_run_on(const an_matmul *matmul, const an_backend *cuda, const an_matmul_places *at);
int an_matmul_run(const an_matmul *matmul, const an_backend *cuda);
void an_matmul_free(an_matmul *matmul);                                /* a zeroed one is fine */
void an_matmul_take(an_matmul *matmul, const an_algorithm *algorithm); /* sets the algorithm */
int an_matmul_bias_set(an_matmul *matmul, const void *bias);           /* takes the bias from there */
/* tune_matmul.c. Sets the algorithm: the one that was chosen before, or is fastest now. AN_EUNSUPPORTED if none passes
 * its proof. */
int an_tune_matmul(an_backend *cuda, an_matmul *matmul, const an_product *product);

#endif
