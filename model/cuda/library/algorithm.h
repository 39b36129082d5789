/* cuBLASLt's algorithms for a product, by name. The library hands them out as words that hold leftover bits of memory
 * and so differ from process to process. A name consists of what the library tells about an algorithm: its number and
 * its settings (tile, stages, parts of the sum and how they are put together...), "66 1=15 2=1 3=0" with the numbers of
 * cublasLtMatmulAlgoConfigAttributes_t. From these the same algorithm is made again.
 *
 * The descriptors are the caller's. Failures: AN_EUNSUPPORTED if there is no such algorithm. */
#ifndef AN_MODEL_CUDA_LIBRARY_ALGORITHM_H
#define AN_MODEL_CUDA_LIBRARY_ALGORITHM_H

#include <cublasLt.h>

/* The product that an algorithm is for. */
typedef struct {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, d;
    cublasComputeType_t compute;
    cudaDataType_t type, type_d; /* of A and B; of D */
    size_t workspace;            /* the most that an algorithm may need */
    const char *subject;         /* for messages */
} an_product;

#define AN_ALGORITHM_NAME 160
typedef struct {
    cublasLtMatmulAlgo_t words;
    size_t workspace;
    char name[AN_ALGORITHM_NAME];
} an_algorithm;

/* Up to room different deterministic algorithms that the heuristic proposes, best first. Each is made again from its
 * name if that is possible, so that it is the same as the one that its name makes later. */
int an_algorithms_propose(const an_product *product, an_algorithm *out, int room, int *count);
/* The algorithm of that name: made from it or, where the library does not make it, found among the proposals. Earlier
 * versions of this program named algorithms by their words in hexadecimal ("414e.0.1f..."); these are read, too. */
int an_algorithm_make(const an_product *product, const char *name, an_algorithm *out);

#endif
