/* Weighted sampling with replacement: draws of numbers 0..n-1, each as often as its weight says. A draw is a pure
 * function of (seed, epoch, its place in the epoch), so draws can be made in any order, by any number of threads.
 *
 * It is an alias table: Walker, "An efficient method for generating discrete random variables with general
 * distributions", ACM TOMS 3, 1977; made in linear time as by Vose, "A linear algorithm for generating random numbers
 * with a given distribution", IEEE Transactions on Software Engineering 17, 1991. A table takes 12 bytes a number, and
 * 12 more while it is made. Probabilities have 64 bits.
 *
 * The caller owns the table. It never changes, so threads can share it. */
#ifndef AN_AUGMENT_ORDER_WEIGHTED_H
#define AN_AUGMENT_ORDER_WEIGHTED_H

#include <stdint.h>

typedef struct an_weighted an_weighted;

/* weights: count of them, finite, 0 or more, not all 0; only their ratios matter. A number of weight 0 is never drawn.
 * They are not kept. AN_EINVAL names the first weight that is impossible, or a count above 2^32 - 1; AN_ENOMEM. */
int an_weighted_create(an_weighted **out, const double *weights, uint64_t count);
void an_weighted_free(an_weighted *weighted); /* NULL is fine */

/* The number that is drawn at a place of the epoch. */
uint64_t an_weighted_at(const an_weighted *weighted, uint64_t seed, uint64_t epoch, uint64_t place);

#endif
