#include "store/coef/unpack.h"

an_coef_unpack *an_coef_unpack_get(an_simd_tier tier)
{
    switch (tier) {
    case AN_SIMD_AVX512:
        return an_coef_unpack_avx512;
    case AN_SIMD_AVX2:
        return an_coef_unpack_avx2;
    case AN_SIMD_SCALAR:
        break;
    }
    return an_coef_unpack_scalar;
}
