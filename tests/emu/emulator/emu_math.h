/* Arithmetic of the emulated libraries: matrices in fp32, which are read from and rounded to fp32 or bf16. */
#ifndef AN_TESTS_EMU_EMULATOR_EMU_MATH_H
#define AN_TESTS_EMU_EMULATOR_EMU_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

float *emu_floats(const void *from, bool bf16, size_t count); /* the caller frees */
void emu_floats_store(void *to, bool bf16, const float *values, size_t count);

/* A row-major matrix whose rows begin lead values apart; turned: it is the transpose of what is in memory. */
typedef struct {
    float *at;
    int lead;
    bool turned;
} emu_matrix;
emu_matrix emu_turned(emu_matrix matrix);
/* to (m x n) += a (m x k) b (k x n). split: sums in two halves, which rounds differently. */
void emu_product(emu_matrix a, emu_matrix b, emu_matrix to, int m, int n, int k, bool split);

#endif
