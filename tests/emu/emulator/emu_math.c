#include "tests/emu/emulator/emu_math.h"

#include <cblas.h>
#include <string.h>

#include "tests/emu/emulator/emu_private.h"

float *emu_floats(const void *from, bool bf16, size_t count)
{
    float *out = emu_new(count * sizeof *out);
    if (!bf16) {
        memcpy(out, from, count * sizeof *out);
        return out;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
    return out;
}

static uint16_t rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void emu_floats_store(void *to, bool bf16, const float *values, size_t count)
{
    if (!bf16) {
        memcpy(to, values, count * sizeof *values);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ((uint16_t *)to)[i] = rounded(values[i]);
}

emu_matrix emu_turned(emu_matrix matrix)
{
    matrix.turned = !matrix.turned;
    return matrix;
}

static float *moved(const emu_matrix *matrix, int row, int column)
{
    size_t lead = (size_t)matrix->lead;
    return matrix->at + (matrix->turned ? (size_t)column * lead + (size_t)row : (size_t)row * lead + (size_t)column);
}

void emu_product(emu_matrix a, emu_matrix b, emu_matrix to, int m, int n, int k, bool split)
{
    int half = split ? k / 2 : 0;
    for (int from = 0, upto = half ? half : k; from < k; from = upto, upto = k)
        cblas_sgemm(CblasRowMajor, a.turned ? CblasTrans : CblasNoTrans, b.turned ? CblasTrans : CblasNoTrans, m, n,
                    upto - from, 1, moved(&a, 0, from), a.lead, moved(&b, from, 0), b.lead, 1, to.at, to.lead);
}

/* One BLAS thread: each stream has a thread already, and one thread always sums in the same order. */
__attribute__((constructor)) static void start(void)
{
    openblas_set_num_threads(1);
}
