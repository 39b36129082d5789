/* Steps and epochs: how a training set's order is cut into steps, and when an epoch is over. The loader delivers by
 * this arithmetic and the trainer counts by it. Functions of their arguments alone, for any thread; none can fail.
 *
 * An epoch shows every image once. A step takes the next `batch` images of the order. What becomes of an epoch's rest,
 * fewer images than a batch, is the user's choice. Images that fill an epoch's last step and are shown again are not
 * counted. Steps and epochs are counted from 0. */
#ifndef AN_BASE_EPOCHS_EPOCHS_H
#define AN_BASE_EPOCHS_EPOCHS_H

#include <stdint.h>

typedef enum {
    AN_LAST_DROP,  /* it is left out: every epoch is a whole number of whole steps */
    AN_LAST_SHORT, /* it is a smaller step of its own */
    AN_LAST_CARRY, /* a step takes it together with the first images of the next epoch: steps are whole, epochs follow
                      each other without a gap, and every image is seen equally often */
    /* For callers of the loader; trainings count with the three above. Both give all ranks equally many batches. */
    AN_LAST_EVEN, /* it is a smaller step of its own, of the same size for all ranks: where it cannot be divided, the
                     epoch's first images, fewer than there are ranks, are shown again */
    AN_LAST_PAD   /* it is a whole step, filled with the epoch's first images, which are shown again */
} an_last_kind;

typedef struct {
    uint64_t images; /* of an epoch, at most 2^62 */
    uint64_t batch;  /* images of a step, of all ranks together, at most 2^62; with AN_LAST_CARRY not more than images,
                        so a step ends one epoch at most */
    an_last_kind last;
} an_epochs;

/* Epochs that are over after so many steps. That is also the number of the epoch which the next step begins in. 0 where
 * an epoch has no step. */
uint64_t an_epochs_done(const an_epochs *epochs, uint64_t steps);

/* The fewest steps after which so many epochs are over: the last of them takes the last image that is taken of an
 * epoch. With AN_LAST_CARRY that step goes on into the next epoch unless the epochs end with it. That is also the
 * number of the first step that begins in the epoch of the number `count`. UINT64_MAX: more than can be counted. */
uint64_t an_epochs_steps(const an_epochs *epochs, uint64_t count);

/* Place in its epoch's order of the first image that a step takes. */
uint64_t an_epochs_offset(const an_epochs *epochs, uint64_t step);

/* Epochs that so many steps make, as a number with a fraction. */
double an_epochs_at(const an_epochs *epochs, uint64_t steps);

/* Steps of an epoch. With AN_LAST_CARRY that is a mean, with a fraction. */
double an_epochs_each(const an_epochs *epochs);

#endif
