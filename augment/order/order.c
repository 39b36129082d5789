#include "augment/order/order.h"

#include <stdbool.h>

#include "base/rng.h"

/* Four rounds already make a Feistel network a pseudorandom permutation (Luby, Rackoff 1988). There are more because
 * small datasets leave the round function only a few bits. */
#define ROUNDS 8
#define BITS_MIN 6

typedef struct {
    uint64_t count, key;
    unsigned half; /* bits of each half */
} permutation;

/* Of count numbers. stream tells the permutations of an epoch apart: 0 is that of all records, or of the blocks; 1 + b
 * is that of the records within block b. */
static permutation permutation_make(const an_order *order, uint64_t stream, uint64_t count)
{
    an_rng rng = an_rng_make(order->seed, AN_RNG_ORDER, order->epoch, stream);
    uint64_t high = an_rng_u32(&rng);
    unsigned bits = BITS_MIN;
    while (count > UINT64_C(1) << bits)
        bits += 2;
    return (permutation){.count = count, .key = high << 32 | an_rng_u32(&rng), .half = bits / 2};
}

/* splitmix64's output function (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t round_value(const permutation *p, unsigned round, uint64_t half)
{
    uint64_t key = mix(p->key + (round + 1) * UINT64_C(0x9e3779b97f4a7c15));
    return mix(key ^ half) >> (64 - p->half);
}

static uint64_t network(const permutation *p, uint64_t value, bool inverse)
{
    uint64_t left = value >> p->half, right = value & ((UINT64_C(1) << p->half) - 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t old = inverse ? left : right;
        uint64_t fresh = inverse ? right ^ round_value(p, ROUNDS - 1 - i, left) : left ^ round_value(p, i, right);
        left = inverse ? fresh : old;
        right = inverse ? old : fresh;
    }
    return left << p->half | right;
}

/* The permutation of the power of two, restricted to numbers below count: go on along its cycle until one is met. */
static uint64_t permute(const permutation *p, uint64_t value, bool inverse)
{
    do {
        value = network(p, value, inverse);
    } while (value >= p->count);
    return value;
}

static uint64_t block_at(const an_order *order, uint64_t position)
{
    uint64_t k = order->block, rest = order->count % k, blocks = order->count / k + (rest != 0);
    permutation among = permutation_make(order, 0, blocks);
    /* The short block may stand anywhere. Positions behind it are shifted by the records that it lacks. */
    uint64_t place = position / k, within = position % k;
    uint64_t shorter = rest ? permute(&among, blocks - 1, true) : blocks;
    if (position >= shorter * k + rest) {
        place = (position - rest) / k + 1;
        within = (position - rest) % k;
    }
    uint64_t block = permute(&among, place, false);
    permutation inside = permutation_make(order, 1 + block, block == blocks - 1 && rest ? rest : k);
    return block * k + permute(&inside, within, false);
}

uint64_t an_order_at(const an_order *order, uint64_t position)
{
    if (order->kind == AN_ORDER_SEQUENTIAL)
        return position;
    if (order->kind == AN_ORDER_BLOCK)
        return block_at(order, position);
    permutation all = permutation_make(order, 0, order->count);
    return permute(&all, position, false);
}
