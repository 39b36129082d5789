/* Which instructions of the processor the kernels use: the SIMD tier, chosen at run time. Any thread; cannot fail. */
#ifndef AN_BASE_CPU_H
#define AN_BASE_CPU_H

#include <stdbool.h>

typedef enum {
    AN_SIMD_SCALAR,
    AN_SIMD_AVX2,   /* AVX2, FMA, F16C, BMI2 */
    AN_SIMD_AVX512, /* AVX-512 F, BW, VL, DQ, VBMI, VBMI2 */
} an_simd_tier;

/* The best tier of this processor, or the one that AN_SIMD=scalar|avx2|avx512 forces. A forced tier that the processor
 * lacks, or an unknown word, falls back to the best available one; an_cpu_simd_refused tells programs to warn. */
an_simd_tier an_cpu_simd(void);
an_simd_tier an_cpu_simd_best(void);   /* ignoring AN_SIMD */
const char *an_cpu_simd_refused(void); /* the word in AN_SIMD that could not be honoured, or NULL */
const char *an_cpu_simd_name(an_simd_tier tier);

/* Whether the tier is AVX-512 and the processor multiplies bf16 with sums in fp32 (AVX-512 BF16). */
bool an_cpu_bf16(void);

/* "AMD EPYC 9R14, 2 threads, avx512": for reports. */
const char *an_cpu_describe(void);

#endif
