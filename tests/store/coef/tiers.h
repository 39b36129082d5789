/* An encoder and the decoder of each SIMD tier, for the tests of the coefficient codec. The functions are set-up and
 * tear-down of a group. */
#ifndef AN_TESTS_STORE_COEF_TIERS_H
#define AN_TESTS_STORE_COEF_TIERS_H

#include "store/coef/coef.h"

enum { COEF_TIERS = 3 };

extern an_coef_encoder *coef_encoder;
extern an_coef_decoder *coef_decoders[COEF_TIERS]; /* NULL: not on this processor */

int coef_set_up(void **state);
int coef_tear_down(void **state);

#endif
