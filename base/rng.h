/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). Everything random in the project is a pure function of (seed, epoch, index, purpose). */
#ifndef AN_BASE_RNG_H
#define AN_BASE_RNG_H

#include <stdint.h>

/* What a stream of numbers is for. Values are part of the reproducibility contract: append, never renumber. */
typedef enum {
    AN_RNG_ORDER = 1,   /* order of an epoch */
    AN_RNG_CROP = 2,    /* crop position */
    AN_RNG_FLIP = 3,    /* horizontal flip */
    AN_RNG_JITTER = 4,  /* PCA colour jitter */
    AN_RNG_INIT = 5,    /* initial weights; index = parameter tensor */
    AN_RNG_DROPOUT = 6, /* dropout masks; epoch = step, index = layer */
    AN_RNG_INGEST = 7,  /* order of records in a dataset */
    AN_RNG_SPLIT = 8,   /* choice of samples, mixed codecs */
    AN_RNG_TEST = 9,
    AN_RNG_MIXUP = 10,   /* share of mixup */
    AN_RNG_CUTMIX = 11,  /* area and centre of CutMix's box */
    AN_RNG_MIX = 12,     /* which of the two, where both are on */
    AN_RNG_WEIGHTED = 13 /* weighted sampling; index = place in the epoch */
} an_rng_purpose;

/* One block: 128-bit counter and 64-bit key to 128 random bits. */
void an_rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A stream of random numbers, addressed by (seed, purpose, epoch, index). A plain value that needs no freeing; a copy
 * goes on independently. Key = seed; counter = {block number, purpose << 24 | epoch bits 0..23, index low, index high ^
 * epoch bits 24..}. */
typedef struct {
    uint32_t key[2], counter[4], block[4];
    uint32_t used; /* words of block consumed, 4 = refill */
} an_rng;

an_rng an_rng_make(uint64_t seed, an_rng_purpose purpose, uint64_t epoch, uint64_t index);
uint32_t an_rng_u32(an_rng *rng);
uint32_t an_rng_below(an_rng *rng, uint32_t bound); /* uniform in [0, bound), unbiased (Lemire); bound >= 1 */
double an_rng_uniform(an_rng *rng);                 /* [0, 1), 32 bits */
double an_rng_normal(an_rng *rng);                  /* N(0, 1) by Box-Muller; consumes two words per call */

/* Beta(alpha, alpha), alpha above 0: X / (X + Y) of two numbers from Gamma(alpha), by Marsaglia and Tsang ("A simple
 * method for generating gamma variables", ACM TOMS 26, 2000), whose remark for shapes below 1 is used in logarithms,
 * so that small shapes do not underflow. Exact but for the 32 bits of the uniform numbers. Like an_rng_normal it calls
 * log, cos and exp: the numbers are the same on machines whose mathematics library rounds these alike. */
double an_rng_beta(an_rng *rng, double alpha);

#endif
