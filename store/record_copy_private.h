/* Copying bytes and taking their XXH3-64 on the way, with each SIMD tier. record_copy.c chooses. */
#ifndef AN_STORE_RECORD_COPY_PRIVATE_H
#define AN_STORE_RECORD_COPY_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

int an_record_damaged(void); /* AN_ECORRUPT, and the message for a payload whose checksum differs */

/* XXH3-64 has another formula for up to 240 bytes. These are for longer inputs alone. */
#define AN_RECORD_COPY_SHORT 240

/* What is copied, and what the caller will read next. */
typedef struct {
    const uint8_t *src;
    size_t size;
    const uint8_t *next; /* fetched into the second-level cache meanwhile: a record of 24 kB takes 0.4 us less */
    size_t next_size;
} an_record_span;

/* Copy a span to out, which does not overlap it, and return XXH3_64bits(src, size). More than AN_RECORD_COPY_SHORT
 * bytes. Where out is aligned to 64 bytes the stores bypass the caches, and are complete on return for other threads
 * and devices. */
typedef uint64_t an_record_copy_kernel(uint8_t *out, const an_record_span *span);
an_record_copy_kernel an_record_copy_avx2, an_record_copy_avx512;

/* The same for any size. The tier must be one that the processor has. */
uint64_t an_record_copy_bytes(an_simd_tier tier, uint8_t *out, const an_record_span *span);

/* The algorithm's constants (the XXH3 specification). It keeps eight sums of 64 bits and adds the input to them in
 * stripes of 64 bytes. A stripe is combined with 64 bytes of the secret, which begin 8 bytes later for each stripe; a
 * block is as many stripes as the secret has room for, and after each one the sums are scrambled. The last 64 bytes of
 * the input are a stripe of their own, whether or not they were part of another. */
enum {
    AN_XXH3_STRIPE = 64,
    AN_XXH3_SECRET = 192,
    AN_XXH3_STEP = 8,                                                   /* of the secret, for each stripe */
    AN_XXH3_STRIPES = (AN_XXH3_SECRET - AN_XXH3_STRIPE) / AN_XXH3_STEP, /* of a block */
    AN_XXH3_SCRAMBLE = AN_XXH3_SECRET - AN_XXH3_STRIPE,                 /* where the secret of scrambling begins */
    AN_XXH3_LAST = AN_XXH3_SECRET - AN_XXH3_STRIPE - 7                  /* and that of the last stripe */
};
#define AN_XXH3_PRIME32_1 UINT32_C(0x9E3779B1)

extern const uint8_t an_xxh3_secret[AN_XXH3_SECRET];
extern const uint64_t an_xxh3_start[8]; /* what the sums begin with */
/* From the sums to the hash. */
uint64_t an_xxh3_finish(const uint64_t sums[8], size_t size);

#endif
