/* Plain arithmetic on matrices and images in fp32, rounded to the stored type at the end. */
#ifndef AN_TESTS_EMU_MATH_H
#define AN_TESTS_EMU_MATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

float *emu_floats(const void *from, bool bf16, size_t count); /* the caller frees */
void emu_floats_store(void *to, bool bf16, const float *values, size_t count);
float emu_dot(const float *a, const float *b, size_t count);
void emu_add_scaled(float *to, const float *from, float scale, size_t count);

#endif
