/* The portable tier as processors without SSE2 get it, for test_coef_kernels.c. */
#define AN_COEF_PLAIN_VECTORS
#define an_coef_kernels_vectors an_coef_kernels_plain_vectors
#include "store/coef/vectors.c"
