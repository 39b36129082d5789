/* Whether 16-bit arithmetic holds a block's inverse DCT. Internal to store. */
#ifndef AN_STORE_COEF_RANGE_H
#define AN_STORE_COEF_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* SIMD inverse DCTs, libjpeg-turbo's among them, keep products with the quantisation table, sums of two, and the result of
 * the first pass in 16 bits. True when all of them fit for this block, so that every implementation gives the same samples;
 * an encoder's output always does. Both arrays are row-major. */
bool an_coef_in_range(const int16_t block[64], const uint16_t quantisation[64]);

#endif
