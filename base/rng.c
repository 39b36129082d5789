#include "base/rng.h"

#include <math.h>

#define ROUNDS 10
#define TWO_PI 6.283185307179586476925

static void philox_round(uint32_t c[4], uint32_t key0, uint32_t key1)
{
    uint64_t p0 = (uint64_t)0xD2511F53 * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57 * c[2];
    uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
    c[3] = (uint32_t)p0;
}

void an_rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t key0 = key[0], key1 = key[1];
    for (int i = 0; i < ROUNDS; i++) {
        philox_round(c, key0, key1);
        key0 += 0x9E3779B9; /* golden ratio */
        key1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

an_rng an_rng_make(uint64_t seed, an_rng_purpose purpose, uint64_t epoch, uint64_t index)
{
    return (an_rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                    .counter = {0, (uint32_t)purpose << 24 | (uint32_t)(epoch & 0xFFFFFF), (uint32_t)index,
                                (uint32_t)(index >> 32) ^ (uint32_t)(epoch >> 24)},
                    .used = 4};
}

uint32_t an_rng_u32(an_rng *rng)
{
    if (rng->used == 4) {
        an_rng_philox(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high word of a product, redrawn when the low word
 * falls into the remainder that would favour some results. */
uint32_t an_rng_below(an_rng *rng, uint32_t bound)
{
    uint64_t product = (uint64_t)an_rng_u32(rng) * bound;
    if ((uint32_t)product < bound) {
        uint32_t remainder = -bound % bound;
        while ((uint32_t)product < remainder)
            product = (uint64_t)an_rng_u32(rng) * bound;
    }
    return (uint32_t)(product >> 32);
}

double an_rng_uniform(an_rng *rng)
{
    return an_rng_u32(rng) * 0x1p-32;
}

double an_rng_normal(an_rng *rng)
{
    double radius = sqrt(-2.0 * log((an_rng_u32(rng) + 1.0) * 0x1p-32)); /* (0, 1]: the logarithm is finite */
    return radius * cos(TWO_PI * an_rng_uniform(rng));
}

/* Positive: the logarithm is finite. */
static double log_uniform(an_rng *rng)
{
    return log((an_rng_u32(rng) + 1.0) * 0x1p-32);
}

/* The logarithm of a number from Gamma(shape), shape 1 or more. */
static double log_gamma_large(an_rng *rng, double shape)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = an_rng_normal(rng), root = 1 + c * x;
        if (root <= 0)
            continue;
        double v = root * root * root;
        if (log_uniform(rng) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v);
    }
}

/* If X is from Gamma(shape + 1) and U uniform, X U^(1 / shape) is from Gamma(shape). */
static double log_gamma(an_rng *rng, double shape)
{
    if (shape >= 1)
        return log_gamma_large(rng, shape);
    double larger = log_gamma_large(rng, shape + 1);
    return larger + log_uniform(rng) / shape;
}

double an_rng_beta(an_rng *rng, double alpha)
{
    double x = log_gamma(rng, alpha), y = log_gamma(rng, alpha);
    return 1 / (1 + exp(y - x));
}
