/* The inverse DCT within 128-bit lanes, one block a lane: the same text for the compiler's vectors (one lane), AVX2
 * (two) and AVX-512 (four). Before including it, define VECTOR (the type), VEC(operation) (the operation's name with
 * its prefix) and VEC_ZERO.
 *
 * Where jidctint.c shares a product between two sums, here one multiply-add computes z2 * a + z3 * b. That changes no
 * result, as nothing is rounded in between. libjpeg-turbo's SIMD code does the same, so overflow is the same, too. */
#ifndef AN_STORE_IMAGE_PLANES_LANES_DCT_PRIVATE_H
#define AN_STORE_IMAGE_PLANES_LANES_DCT_PRIVATE_H

/* The constant pair (a, b), for multiplication with interleaved (x, y). */
static inline VECTOR an_dct_lanes_pair(int a, int b)
{
    return VEC(set1_epi32)((int)((unsigned)(a & 0xffff) | (unsigned)b << 16));
}

/* The even half: sums for four outputs in 32 bits, the low and the high half of each lane apart. Half of what the later
 * shift by `bits` drops is added already, so that the shift rounds. */
static inline void an_dct_lanes_even(const VECTOR in[8], int bits, VECTOR low[4], VECTOR high[4])
{
    const VECTOR round = VEC(set1_epi32)(1 << (bits - 1)), zero = VEC_ZERO;
    VECTOR sum = VEC(add_epi16)(in[0], in[4]), difference = VEC(sub_epi16)(in[0], in[4]);
    const VECTOR three = an_dct_lanes_pair(F_0_541 + F_0_765, F_0_541),
                 two = an_dct_lanes_pair(F_0_541, F_0_541 - F_1_847);
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

/* The odd half, in the order of an_dct_lanes_even: element 0 belongs to output rows 0 and 7, and so on. */
static inline void an_dct_lanes_odd(const VECTOR in[8], VECTOR low[4], VECTOR high[4])
{
    VECTOR s3 = VEC(add_epi16)(in[7], in[3]), s4 = VEC(add_epi16)(in[5], in[1]);
    for (int half = 0; half < 2; half++) {
        VECTOR *out = half ? high : low;
        VECTOR z = half ? VEC(unpackhi_epi16)(s3, s4) : VEC(unpacklo_epi16)(s3, s4);
        VECTOR o71 = half ? VEC(unpackhi_epi16)(in[7], in[1]) : VEC(unpacklo_epi16)(in[7], in[1]);
        VECTOR o53 = half ? VEC(unpackhi_epi16)(in[5], in[3]) : VEC(unpacklo_epi16)(in[5], in[3]);
        VECTOR z3 = VEC(madd_epi16)(z, an_dct_lanes_pair(F_1_175 - F_1_961, F_1_175));
        VECTOR z4 = VEC(madd_epi16)(z, an_dct_lanes_pair(F_1_175, F_1_175 - F_0_390));
        VECTOR o0 = VEC(madd_epi16)(o71, an_dct_lanes_pair(F_0_298 - F_0_899, -F_0_899));
        VECTOR o1 = VEC(madd_epi16)(o53, an_dct_lanes_pair(F_2_053 - F_2_562, -F_2_562));
        VECTOR o2 = VEC(madd_epi16)(o53, an_dct_lanes_pair(-F_2_562, F_3_072 - F_2_562));
        VECTOR o3 = VEC(madd_epi16)(o71, an_dct_lanes_pair(-F_0_899, F_1_501 - F_0_899));
        out[0] = VEC(add_epi32)(o3, z4);
        out[1] = VEC(add_epi32)(o2, z3);
        out[2] = VEC(add_epi32)(o1, z4);
        out[3] = VEC(add_epi32)(o0, z3);
    }
}

/* One dimension of the inverse DCT, in place. Vector r holds row r of the block in each lane. */
static inline void an_dct_lanes_inverse(VECTOR rows[8], int bits)
{
    VECTOR even_low[4], even_high[4], odd_low[4], odd_high[4];
    an_dct_lanes_even(rows, bits, even_low, even_high);
    an_dct_lanes_odd(rows, odd_low, odd_high);
    for (int i = 0; i < 4; i++) {
        VECTOR low = VEC(srai_epi32)(VEC(add_epi32)(even_low[i], odd_low[i]), bits);
        VECTOR high = VEC(srai_epi32)(VEC(add_epi32)(even_high[i], odd_high[i]), bits);
        rows[i] = VEC(packs_epi32)(low, high);
        low = VEC(srai_epi32)(VEC(sub_epi32)(even_low[i], odd_low[i]), bits);
        high = VEC(srai_epi32)(VEC(sub_epi32)(even_high[i], odd_high[i]), bits);
        rows[7 - i] = VEC(packs_epi32)(low, high);
    }
}

/* Transpose the block in each lane. */
static inline void an_dct_lanes_transpose(VECTOR v[8])
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
static inline void an_dct_lanes_samples(const VECTOR columns[8], VECTOR out[4])
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

#endif
