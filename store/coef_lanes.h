/* Arithmetic within 128-bit lanes, the same text for AVX2 and AVX-512: the inverse DCT on several blocks side by side,
 * one a lane, upsampling and colour. Before including, define VECTOR, VEC(operation) with its prefix, VEC_ZERO and
 * VEC_LOAD(p). Internal to store.
 *
 * Inverse DCT: products of two are summed by one multiply-add: z2 * a + z3 * b in place of the original's shared
 * product, which changes no result, as nothing is rounded between. This is libjpeg-turbo's way, so overflow, too, is
 * the same. */

/* The constant pair (a, b), for multiplication with interleaved (x, y). */
static inline VECTOR an_lanes_pair(int a, int b)
{
    return VEC(set1_epi32)((int)((unsigned)(a & 0xffff) | (unsigned)b << 16));
}

/* Sums of the even half: the low and high halves of four outputs in 32 bits, with the rounding of the descale added. */
static inline void an_lanes_even(const VECTOR in[8], int bits, VECTOR low[4], VECTOR high[4])
{
    const VECTOR round = VEC(set1_epi32)(1 << (bits - 1)), zero = VEC_ZERO;
    VECTOR sum = VEC(add_epi16)(in[0], in[4]), difference = VEC(sub_epi16)(in[0], in[4]);
    const VECTOR three = an_lanes_pair(F_0_541 + F_0_765, F_0_541), two = an_lanes_pair(F_0_541, F_0_541 - F_1_847);
    for (int half = 0; half < 2; half++) {
        VECTOR *out = half ? high : low;
        VECTOR s = half ? VEC(unpackhi_epi16)(zero, sum) : VEC(unpacklo_epi16)(zero, sum);
        VECTOR d = half ? VEC(unpackhi_epi16)(zero, difference) : VEC(unpacklo_epi16)(zero, difference);
        VECTOR z = half ? VEC(unpackhi_epi16)(in[2], in[6]) : VEC(unpacklo_epi16)(in[2], in[6]);
        VECTOR e3 = VEC(madd_epi16)(z, three), e2 = VEC(madd_epi16)(z, two);
        s = VEC(add_epi32)(VEC(srai_epi32)(s, 3), round);
        d = VEC(add_epi32)(VEC(srai_epi32)(d, 3), round);
        out[0] = VEC(add_epi32)(s, e3);
        out[1] = VEC(add_epi32)(d, e2);
        out[2] = VEC(sub_epi32)(d, e2);
        out[3] = VEC(sub_epi32)(s, e3);
    }
}

/* Of the odd half, in the order of an_lanes_even's outputs: out[0] belongs to rows 0 and 7, and so on. */
static inline void an_lanes_odd(const VECTOR in[8], VECTOR low[4], VECTOR high[4])
{
    VECTOR s3 = VEC(add_epi16)(in[7], in[3]), s4 = VEC(add_epi16)(in[5], in[1]);
    for (int half = 0; half < 2; half++) {
        VECTOR *out = half ? high : low;
        VECTOR z = half ? VEC(unpackhi_epi16)(s3, s4) : VEC(unpacklo_epi16)(s3, s4);
        VECTOR o71 = half ? VEC(unpackhi_epi16)(in[7], in[1]) : VEC(unpacklo_epi16)(in[7], in[1]);
        VECTOR o53 = half ? VEC(unpackhi_epi16)(in[5], in[3]) : VEC(unpacklo_epi16)(in[5], in[3]);
        VECTOR z3 = VEC(madd_epi16)(z, an_lanes_pair(F_1_175 - F_1_961, F_1_175));
        VECTOR z4 = VEC(madd_epi16)(z, an_lanes_pair(F_1_175, F_1_175 - F_0_390));
        VECTOR o0 = VEC(madd_epi16)(o71, an_lanes_pair(F_0_298 - F_0_899, -F_0_899));
        VECTOR o1 = VEC(madd_epi16)(o53, an_lanes_pair(F_2_053 - F_2_562, -F_2_562));
        VECTOR o2 = VEC(madd_epi16)(o53, an_lanes_pair(-F_2_562, F_3_072 - F_2_562));
        VECTOR o3 = VEC(madd_epi16)(o71, an_lanes_pair(-F_0_899, F_1_501 - F_0_899));
        out[0] = VEC(add_epi32)(o3, z4);
        out[1] = VEC(add_epi32)(o2, z3);
        out[2] = VEC(add_epi32)(o1, z4);
        out[3] = VEC(add_epi32)(o0, z3);
    }
}

/* One dimension: eight rows of a block in each lane, in place. */
static inline void an_lanes_inverse(VECTOR rows[8], int bits)
{
    VECTOR even_low[4], even_high[4], odd_low[4], odd_high[4];
    an_lanes_even(rows, bits, even_low, even_high);
    an_lanes_odd(rows, odd_low, odd_high);
    for (int i = 0; i < 4; i++) {
        VECTOR low = VEC(srai_epi32)(VEC(add_epi32)(even_low[i], odd_low[i]), bits);
        VECTOR high = VEC(srai_epi32)(VEC(add_epi32)(even_high[i], odd_high[i]), bits);
        rows[i] = VEC(packs_epi32)(low, high);
        low = VEC(srai_epi32)(VEC(sub_epi32)(even_low[i], odd_low[i]), bits);
        high = VEC(srai_epi32)(VEC(sub_epi32)(even_high[i], odd_high[i]), bits);
        rows[7 - i] = VEC(packs_epi32)(low, high);
    }
}

static inline void an_lanes_transpose(VECTOR v[8])
{
    VECTOR a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = VEC(unpacklo_epi16)(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = VEC(unpackhi_epi16)(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        b[4 * i] = VEC(unpacklo_epi32)(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = VEC(unpackhi_epi32)(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = VEC(unpacklo_epi32)(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = VEC(unpackhi_epi32)(a[4 * i + 1], a[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = VEC(unpacklo_epi64)(b[i], b[i + 4]);
        v[2 * i + 1] = VEC(unpackhi_epi64)(b[i], b[i + 4]);
    }
}

/* Columns of samples to bytes: each lane of out[i] holds rows 2 i and 2 i + 1 of its block. */
static inline void an_lanes_samples(const VECTOR columns[8], VECTOR out[4])
{
    const VECTOR centre = VEC(set1_epi8)((char)0x80);
    VECTOR q[4];
    for (int i = 0; i < 4; i++)
        q[i] = VEC(packs_epi16)(columns[i], columns[i + 4]) ^ centre;
    VECTOR a02 = VEC(unpacklo_epi8)(q[0], q[2]), a46 = VEC(unpackhi_epi8)(q[0], q[2]);
    VECTOR a13 = VEC(unpacklo_epi8)(q[1], q[3]), a57 = VEC(unpackhi_epi8)(q[1], q[3]);
    VECTOR left_top = VEC(unpacklo_epi8)(a02, a13), left_bottom = VEC(unpackhi_epi8)(a02, a13);
    VECTOR right_top = VEC(unpacklo_epi8)(a46, a57), right_bottom = VEC(unpackhi_epi8)(a46, a57);
    out[0] = VEC(unpacklo_epi32)(left_top, right_top);
    out[1] = VEC(unpackhi_epi32)(left_top, right_top);
    out[2] = VEC(unpacklo_epi32)(left_bottom, right_bottom);
    out[3] = VEC(unpackhi_epi32)(left_bottom, right_bottom);
}

/* Interleaved bytes of a and b times the interleaved weights, summed in pairs: the low and the high half of each lane.
 */
static inline void an_lanes_weigh(VECTOR a, VECTOR b, int weight_a, int weight_b, VECTOR out[2])
{
    const VECTOR weights = VEC(set1_epi16)((short)(weight_a | weight_b << 8));
    out[0] = VEC(maddubs_epi16)(VEC(unpacklo_epi8)(a, b), weights);
    out[1] = VEC(maddubs_epi16)(VEC(unpackhi_epi8)(a, b), weights);
}

/* Between two rows and two columns: (9 near + 3 near's neighbour + 3 far + far's neighbour + bias) / 16. */
static inline void an_lanes_between_rows(const uint8_t *near, const uint8_t *far, ptrdiff_t side, int bias,
                                         VECTOR out[2])
{
    const VECTOR round = VEC(set1_epi16)((short)bias);
    VECTOR a[2], b[2];
    an_lanes_weigh(VEC_LOAD(near), VEC_LOAD(near + side), 9, 3, a);
    an_lanes_weigh(VEC_LOAD(far), VEC_LOAD(far + side), 3, 1, b);
    for (int i = 0; i < 2; i++)
        out[i] = VEC(srli_epi16)(VEC(add_epi16)(VEC(add_epi16)(a[i], b[i]), round), 4);
}

/* Between two columns: (3 near + its neighbour + bias) / 4. */
static inline void an_lanes_between_columns(const uint8_t *near, ptrdiff_t side, int bias, VECTOR out[2])
{
    const VECTOR round = VEC(set1_epi16)((short)bias);
    VECTOR a[2];
    an_lanes_weigh(VEC_LOAD(near), VEC_LOAD(near + side), 3, 1, a);
    for (int i = 0; i < 2; i++)
        out[i] = VEC(srli_epi16)(VEC(add_epi16)(a[i], round), 2);
}

/* Fancy upsampling of one vector: even and odd results interleaved, the low and the high half of each lane. */
static inline void an_lanes_upsample(const uint8_t *near, const uint8_t *far, VECTOR out[2])
{
    VECTOR even[2], odd[2];
    if (far) {
        an_lanes_between_rows(near, far, -1, 8, even);
        an_lanes_between_rows(near, far, 1, 7, odd);
    } else {
        an_lanes_between_columns(near, -1, 1, even);
        an_lanes_between_columns(near, 1, 2, odd);
    }
    for (int i = 0; i < 2; i++)
        out[i] = even[i] | VEC(slli_epi16)(odd[i], 8);
}

/* Twice the signed values of the even or the odd bytes. */
static inline VECTOR an_lanes_even_doubled(VECTOR v)
{
    return VEC(srai_epi16)(VEC(slli_epi16)(v, 8), 7);
}

static inline VECTOR an_lanes_odd_doubled(VECTOR v)
{
    return VEC(slli_epi16)(VEC(srai_epi16)(v, 8), 1);
}

/* -0.34414 Cb - 0.71414 Cr: the constants' exact halves times the doubled values. */
static inline VECTOR an_lanes_green(VECTOR cb, VECTOR cr)
{
    const VECTOR weights = an_lanes_pair(-11277, -23401), half = VEC(set1_epi32)(32768);
    VECTOR low = VEC(madd_epi16)(VEC(unpacklo_epi16)(cb, cr), weights);
    VECTOR high = VEC(madd_epi16)(VEC(unpackhi_epi16)(cb, cr), weights);
    low = VEC(srai_epi32)(VEC(add_epi32)(low, half), 16);
    high = VEC(srai_epi32)(VEC(add_epi32)(high, half), 16);
    return VEC(packs_epi32)(low, high);
}

/* YCbCr to R, G, B; in each lane the even pixels come first, then the odd ones. Multiplying by 1.402 and 1.772 in 14
 * fractional bits with rounding gives what jdcolor.c's tables hold for each of the 256 values. */
static inline void an_lanes_colour(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, VECTOR rgb[3])
{
    const VECTOR centre = VEC(set1_epi8)((char)0x80);
    const VECTOR red = VEC(set1_epi16)(22970), blue = VEC(set1_epi16)(29033);
    VECTOR blues = VEC_LOAD(cb) ^ centre, reds = VEC_LOAD(cr) ^ centre, luma = VEC_LOAD(y);
    VECTOR y0 = luma & VEC(set1_epi16)(255), y1 = VEC(srli_epi16)(luma, 8);
    VECTOR cb0 = an_lanes_even_doubled(blues), cb1 = an_lanes_odd_doubled(blues);
    VECTOR cr0 = an_lanes_even_doubled(reds), cr1 = an_lanes_odd_doubled(reds);
    rgb[0] = VEC(packus_epi16)(VEC(add_epi16)(y0, VEC(mulhrs_epi16)(cr0, red)),
                               VEC(add_epi16)(y1, VEC(mulhrs_epi16)(cr1, red)));
    rgb[1] =
        VEC(packus_epi16)(VEC(add_epi16)(y0, an_lanes_green(cb0, cr0)), VEC(add_epi16)(y1, an_lanes_green(cb1, cr1)));
    rgb[2] = VEC(packus_epi16)(VEC(add_epi16)(y0, VEC(mulhrs_epi16)(cb0, blue)),
                               VEC(add_epi16)(y1, VEC(mulhrs_epi16)(cb1, blue)));
}
