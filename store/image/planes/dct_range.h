/* Whether 16-bit arithmetic holds a block's inverse DCT. Internal to store. */
#ifndef AN_STORE_IMAGE_PLANES_DCT_RANGE_H
#define AN_STORE_IMAGE_PLANES_DCT_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* A block whose products with the quantisation table sum up to at most this, absolutely, is in range: sums of two in
 * either pass stay below this * 4 (the first pass's scale) * 1.39 (the largest gain), which is below 32768. */
enum { AN_DCT_SAFE_WEIGHT = 5800 };

/* SIMD inverse DCTs, libjpeg-turbo's among them, keep products with the quantisation table, sums of two, and the result
 * of the first pass in 16 bits. True when all of them fit for this block, so that every implementation gives the same
 * samples; an encoder's output always does. Both arrays are row-major. */
bool an_dct_in_range(const int16_t block[64], const uint16_t quantisation[64]);

#endif
