/* The matrix product of Winograd's convolutions, at the speed of VDPBF16PS: 8 rows of up to 3 vectors stay in
 * registers, and each vector that is loaded meets 8 values, each value that is loaded up to 3 vectors. */
#include "model/cpu/kernels/winograd_bf16_private.h"

#define ROWS AN_WINOGRAD_ROWS

typedef __m512 sums[ROWS][AN_WINOGRAD_PANEL];

AN_SIMD_INLINE void start(const an_winograd_product *p, int width, sums sum)
{
    AN_SIMD_UNROLL
    for (int r = 0; r < ROWS; r++)
        AN_SIMD_UNROLL
    for (int j = 0; j < width; j++)
        sum[r][j] = p->add ? _mm512_load_ps(p->c + (size_t)r * p->c_row + j * AN_SIMD_LANES) : _mm512_setzero_ps();
}

AN_SIMD_INLINE void finish(const an_winograd_product *p, int width, sums sum)
{
    AN_SIMD_UNROLL
    for (int r = 0; r < ROWS; r++)
        AN_SIMD_UNROLL
    for (int j = 0; j < width; j++)
        _mm512_store_ps(p->c + (size_t)r * p->c_row + j * AN_SIMD_LANES, sum[r][j]);
}

AN_SIMD_INLINE void multiply(const an_winograd_product *p, int width)
{
    const uint16_t *a = p->a, *b = p->b;
    size_t a_row = p->a_row, a_pair = p->a_pair, b_vector = p->b_vector, b_pair = p->b_pair;
    sums sum;
    start(p, width, sum);
    for (size_t i = p->pairs; i > 0; i--, a += a_pair, b += b_pair) {
        __m512bh vector[AN_WINOGRAD_PANEL];
        AN_SIMD_UNROLL
        for (int j = 0; j < width; j++)
            vector[j] = (__m512bh)_mm512_load_si512(b + (size_t)j * b_vector);
        AN_SIMD_UNROLL
        for (int r = 0; r < ROWS; r++) {
            int value;
            __builtin_memcpy(&value, a + (size_t)r * a_row, sizeof value);
            __m512bh spread = (__m512bh)_mm512_set1_epi32(value);
            AN_SIMD_UNROLL
            for (int j = 0; j < width; j++)
                sum[r][j] = _mm512_dpbf16_ps(sum[r][j], spread, vector[j]);
        }
    }
    finish(p, width, sum);
}

AN_SIMD_TARGET void an_winograd_multiply(const an_winograd_product *product, int width)
{
    if (width == 3)
        multiply(product, 3);
    else if (width == 2)
        multiply(product, 2);
    else
        multiply(product, 1);
}
