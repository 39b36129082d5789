/* Plain arithmetic on matrices and images in fp32, rounded to the stored type at the end. */
#ifndef AN_TESTS_EMU_MATH_H
#define AN_TESTS_EMU_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

float *emu_floats(const void *from, bool bf16, size_t count); /* the caller frees */
void emu_floats_store(void *to, bool bf16, const float *values, size_t count);

/* Row by row, rows lead values apart; turned: the columns are meant. */
typedef struct {
    float *at;
    int lead;
    bool turned;
} emu_matrix;
emu_matrix emu_turned(emu_matrix matrix);
/* to (m x n) += a (m x k) b (k x n). split: the sums in two halves, which rounds otherwise. */
void emu_product(emu_matrix a, emu_matrix b, emu_matrix to, int m, int n, int k, bool split);

#endif
