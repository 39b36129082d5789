/* A fast hash of numbers, for asking whether two processes hold the same. Only for that: it is no protection against
 * intent, and it is not written to files.
 *
 * For a given hash each value leads to another result, and for a given value each hash does. So two sequences of one
 * length that differ in a single value never have the same hash. Any thread may call this. */
#ifndef AN_MODEL_HASH_H
#define AN_MODEL_HASH_H

#include <stdint.h>

/* Appends a value to the sequence that hash stands for; the hash of an empty one is any number that all agree about.
 * The product moves each bit upwards, the shift brings the upper half down for the next product. */
static inline uint64_t an_hash_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xc6a4a7935bd1e995U;
    return hash ^ hash >> 32;
}

#endif
