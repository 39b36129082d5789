#include "store/image/planes/kernels.h"

const an_planes_kernels *an_planes_kernels_get(an_simd_tier tier)
{
    switch (tier) {
    case AN_SIMD_AVX512:
        return an_planes_kernels_avx512();
    case AN_SIMD_AVX2:
        return an_planes_kernels_avx2();
    case AN_SIMD_SCALAR:
        break;
    }
    return an_planes_kernels_vectors();
}
