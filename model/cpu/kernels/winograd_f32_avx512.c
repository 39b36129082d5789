/* Winograd's convolutions in fp32 with AVX-512: 24 sums, 3 vectors and a value in 32 registers. */
#include <immintrin.h>

#define TIER an_winograd_f32_avx512
#define LANES 16
#define ROWS 8
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define RELU(v) ((vec)_mm512_max_ps(_mm512_setzero_ps(), (__m512)(v)))

#include "model/cpu/kernels/winograd_f32_body_private.h"
