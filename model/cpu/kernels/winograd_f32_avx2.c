/* Winograd's convolutions in fp32 with AVX2 and FMA: 12 sums, 3 vectors and a value in 16 registers. */
#include <immintrin.h>

#define TIER an_winograd_f32_avx2
#define LANES 8
#define ROWS 4
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define RELU(v) ((vec)_mm256_max_ps(_mm256_setzero_ps(), (__m256)(v)))

#include "model/cpu/kernels/winograd_f32_body_private.h"
