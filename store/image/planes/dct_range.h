/* Whether 16-bit arithmetic is enough for a block's inverse DCT.
 *
 * SIMD implementations, libjpeg-turbo's among them, keep three things in 16 bits: the products of coefficients and
 * quantisation table, sums of two of these, and the results of the first pass. Where one does not fit, implementations
 * differ. An encoder's output always fits; a damaged or made-up file may not. */
#ifndef AN_STORE_IMAGE_PLANES_DCT_RANGE_H
#define AN_STORE_IMAGE_PLANES_DCT_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* The weight of a block is the sum of the absolute values of its products with the quantisation table. A block of at
 * most this weight is in range: the sums of two in either pass are at most the weight * 4 (the first pass's scale) *
 * 1.39 (its largest gain), which is below 32768. */
enum { AN_DCT_SAFE_WEIGHT = 5800 };

/* The exact check: whether all that is kept in 16 bits fits. Both arrays are row-major. */
bool an_dct_in_range(const int16_t block[64], const uint16_t quantisation[64]);

#endif
