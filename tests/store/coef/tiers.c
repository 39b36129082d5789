#include "tests/store/coef/tiers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"

an_coef_encoder *coef_encoder;
an_coef_decoder *coef_decoders[COEF_TIERS];

int coef_set_up(void **state)
{
    (void)state;
    for (int t = 0; t < COEF_TIERS; t++)
        if (an_coef_decoder_create_tier(&coef_decoders[t], (an_simd_tier)t))
            assert_true((an_simd_tier)t > an_cpu_simd_best());
    return an_coef_encoder_create(&coef_encoder);
}

int coef_tear_down(void **state)
{
    (void)state;
    for (int t = 0; t < COEF_TIERS; t++)
        an_coef_decoder_free(coef_decoders[t]);
    an_coef_encoder_free(coef_encoder);
    return 0;
}
