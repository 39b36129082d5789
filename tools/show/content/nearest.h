/* The nearest rows of a file of features by Euclidean distance. The file is read in blocks, so memory does not grow
 * with it; one matrix product (OpenBLAS) compares a block with all queries. */
#ifndef AN_TOOLS_SHOW_CONTENT_NEAREST_H
#define AN_TOOLS_SHOW_CONTENT_NEAREST_H

#include "tools/show/content/features.h"

typedef struct {
    uint64_t index; /* row */
    double distance;
} an_neighbor;

/* For each of count queries (rows of units floats), write the wanted nearest rows to out (count x wanted), nearest
 * first, and of equally near ones the lower row first. wanted is at most the number of rows. Float products choose a
 * few more rows than wanted; the distances of these, and so their order, are then computed in double. threads: 0 for
 * all processors. AN_ECORRUPT if features or queries are not finite or so large that float products overflow. */
int an_nearest_find(const an_features *base, const float *queries, uint32_t count, uint32_t wanted, int threads,
                    an_neighbor *out);

#endif
