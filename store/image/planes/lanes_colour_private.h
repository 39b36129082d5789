/* Upsampling and colour conversion within 128-bit lanes: the same text for AVX2 and AVX-512. Before including it,
 * define VECTOR (the type), VEC(operation) (the operation's name with its prefix) and VEC_LOAD(p), and include
 * lanes_dct_private.h. */
#ifndef AN_STORE_IMAGE_PLANES_LANES_COLOUR_PRIVATE_H
#define AN_STORE_IMAGE_PLANES_LANES_COLOUR_PRIVATE_H

/* a * weight_a + b * weight_b, byte by byte, in 16 bits: of the low and of the high half of each lane. */
static inline void an_planes_lanes_weigh(VECTOR a, VECTOR b, int weight_a, int weight_b, VECTOR out[2])
{
    const VECTOR weights = VEC(set1_epi16)((short)(weight_a | weight_b << 8));
    out[0] = VEC(maddubs_epi16)(VEC(unpacklo_epi8)(a, b), weights);
    out[1] = VEC(maddubs_epi16)(VEC(unpackhi_epi8)(a, b), weights);
}

/* Interpolation between two rows and two columns: (9 near + 3 near's neighbour + 3 far + far's neighbour + bias) / 16.
 * The neighbour is `side` samples to the right. */
static inline void an_planes_lanes_between_rows(const uint8_t *near, const uint8_t *far, ptrdiff_t side, int bias,
                                                VECTOR out[2])
{
    const VECTOR round = VEC(set1_epi16)((short)bias);
    VECTOR a[2], b[2];
    an_planes_lanes_weigh(VEC_LOAD(near), VEC_LOAD(near + side), 9, 3, a);
    an_planes_lanes_weigh(VEC_LOAD(far), VEC_LOAD(far + side), 3, 1, b);
    for (int i = 0; i < 2; i++)
        out[i] = VEC(srli_epi16)(VEC(add_epi16)(VEC(add_epi16)(a[i], b[i]), round), 4);
}

/* Interpolation between two columns: (3 near + its neighbour + bias) / 4. */
static inline void an_planes_lanes_between_columns(const uint8_t *near, ptrdiff_t side, int bias, VECTOR out[2])
{
    const VECTOR round = VEC(set1_epi16)((short)bias);
    VECTOR a[2];
    an_planes_lanes_weigh(VEC_LOAD(near), VEC_LOAD(near + side), 3, 1, a);
    for (int i = 0; i < 2; i++)
        out[i] = VEC(srli_epi16)(VEC(add_epi16)(a[i], round), 2);
}

/* Fancy upsampling of one vector of samples: the even and odd results interleaved, of the low and of the high half of
 * each lane. */
static inline void an_planes_lanes_upsample(const uint8_t *near, const uint8_t *far, VECTOR out[2])
{
    VECTOR even[2], odd[2];
    if (far) {
        an_planes_lanes_between_rows(near, far, -1, 8, even);
        an_planes_lanes_between_rows(near, far, 1, 7, odd);
    } else {
        an_planes_lanes_between_columns(near, -1, 1, even);
        an_planes_lanes_between_columns(near, 1, 2, odd);
    }
    for (int i = 0; i < 2; i++)
        out[i] = even[i] | VEC(slli_epi16)(odd[i], 8);
}

/* Twice the signed values of the even or the odd bytes. */
static inline VECTOR an_planes_lanes_even_doubled(VECTOR v)
{
    return VEC(srai_epi16)(VEC(slli_epi16)(v, 8), 7);
}

static inline VECTOR an_planes_lanes_odd_doubled(VECTOR v)
{
    return VEC(slli_epi16)(VEC(srai_epi16)(v, 8), 1);
}

/* -0.34414 Cb - 0.71414 Cr. The values come doubled, so the weights are half the constants, in 16 fractional bits. */
static inline VECTOR an_planes_lanes_green(VECTOR cb, VECTOR cr)
{
    const VECTOR weights = an_dct_lanes_pair(-11277, -23401), half = VEC(set1_epi32)(32768);
    VECTOR low = VEC(madd_epi16)(VEC(unpacklo_epi16)(cb, cr), weights);
    VECTOR high = VEC(madd_epi16)(VEC(unpackhi_epi16)(cb, cr), weights);
    low = VEC(srai_epi32)(VEC(add_epi32)(low, half), 16);
    high = VEC(srai_epi32)(VEC(add_epi32)(high, half), 16);
    return VEC(packs_epi32)(low, high);
}

/* YCbCr to R, G, B; in each lane the even pixels come first, then the odd ones. Multiplying by 1.402 and 1.772 in 14
 * fractional bits with rounding gives what jdcolor.c's tables hold for each of the 256 values. */
static inline void an_planes_lanes_colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, VECTOR rgb[3])
{
    const VECTOR centre = VEC(set1_epi8)((char)0x80);
    const VECTOR red = VEC(set1_epi16)(22970), blue = VEC(set1_epi16)(29033);
    VECTOR blues = VEC_LOAD(cb) ^ centre, reds = VEC_LOAD(cr) ^ centre, luma = VEC_LOAD(y);
    VECTOR y0 = luma & VEC(set1_epi16)(255), y1 = VEC(srli_epi16)(luma, 8);
    VECTOR cb0 = an_planes_lanes_even_doubled(blues), cb1 = an_planes_lanes_odd_doubled(blues);
    VECTOR cr0 = an_planes_lanes_even_doubled(reds), cr1 = an_planes_lanes_odd_doubled(reds);
    rgb[0] = VEC(packus_epi16)(VEC(add_epi16)(y0, VEC(mulhrs_epi16)(cr0, red)),
                               VEC(add_epi16)(y1, VEC(mulhrs_epi16)(cr1, red)));
    rgb[1] = VEC(packus_epi16)(VEC(add_epi16)(y0, an_planes_lanes_green(cb0, cr0)),
                               VEC(add_epi16)(y1, an_planes_lanes_green(cb1, cr1)));
    rgb[2] = VEC(packus_epi16)(VEC(add_epi16)(y0, VEC(mulhrs_epi16)(cb0, blue)),
                               VEC(add_epi16)(y1, VEC(mulhrs_epi16)(cb1, blue)));
}

#endif
