/* Vectors of 16 floats, and their conversion from and to bf16. Functions with AN_SIMD_TARGET may be called only if
 * an_cpu_bf16() is true or, if they do not use bf16, if an_cpu_simd() is AVX-512. */
#ifndef AN_MODEL_CPU_KERNELS_SIMD_PRIVATE_H
#define AN_MODEL_CPU_KERNELS_SIMD_PRIVATE_H

#include <immintrin.h>

#define AN_SIMD_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define AN_SIMD_INLINE static inline __attribute__((always_inline)) AN_SIMD_TARGET
#define AN_SIMD_LANES 16
#define AN_SIMD_UNROLL _Pragma("GCC unroll 16")

AN_SIMD_INLINE __m512 an_simd_widen(__m256i values)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}

AN_SIMD_INLINE __m256i an_simd_narrow(__m512 values)
{
    return (__m256i)_mm512_cvtneps_pbh(values);
}

#endif
