/* The order of an epoch as a pure function from position to record, without a table: a keyed permutation of 0..n-1. It
 * is a Feistel network over the next even power of two, applied again to its own result until that is below n. */
#ifndef AN_AUGMENT_ORDER_ORDER_H
#define AN_AUGMENT_ORDER_ORDER_H

#include <stdint.h>

typedef enum {
    AN_ORDER_GLOBAL,    /* uniform permutation of everything */
    AN_ORDER_BLOCK,     /* blocks of K neighbours in random order, shuffled within: for disks */
    AN_ORDER_SEQUENTIAL /* as stored */
} an_order_kind;

typedef struct {
    an_order_kind kind;
    uint64_t count; /* records, at most 2^62 */
    uint64_t block; /* K >= 1, for AN_ORDER_BLOCK; the last block may be shorter */
    uint64_t seed, epoch;
} an_order;

/* The record at a position in [0, count) of the epoch. A bijection for every (kind, seed, epoch). */
uint64_t an_order_at(const an_order *order, uint64_t position);

#endif
