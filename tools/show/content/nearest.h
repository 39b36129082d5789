/* The nearest rows of a file of features by Euclidean distance. Memory does not grow with the file: it is read in
 * blocks, and one matrix product (OpenBLAS) compares a block with all queries. */
#ifndef AN_TOOLS_SHOW_CONTENT_NEAREST_H
#define AN_TOOLS_SHOW_CONTENT_NEAREST_H

#include "tools/show/content/features.h"

typedef struct {
    uint64_t index; /* row */
    double distance;
} an_neighbor;

/* For each of count queries (rows of units floats) the wanted nearest rows, nearest first, in out (count x wanted);
 * equal ones by row. wanted is at most the file's rows. Products in float choose a few more rows than wanted; their
 * distances, and so the order, are then computed in double from the rows themselves. threads: 0 for all processors. */
int an_nearest_find(const an_features *base, const float *queries, uint32_t count, uint32_t wanted, int threads,
                    an_neighbor *out);

#endif
