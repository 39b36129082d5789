/* Part of bodies.h: the inverse DCT, libjpeg-turbo's "islow". What the host's SIMD tiers keep in 16 bits
 * (store/image/planes/lanes_dct_private.h) is kept in 16 bits here, too: so blocks that no encoder makes give the same
 * samples as well. Eight lanes do a block: first a column each, then a row each. */
#ifndef AN_AUGMENT_CUDA_KERNELS_DCT_H
#define AN_AUGMENT_CUDA_KERNELS_DCT_H

#include "augment/cuda/kernels/unpack.h"
#include "store/image/planes/dct_constants.h"

AN_BODY uint32_t an_dct_rotate(int32_t a, int32_t x, int32_t b, int32_t y)
{
    return (uint32_t)(a * x) + (uint32_t)(b * y);
}

/* One dimension: eight results with 13 more fractional bits, plus round. */
AN_BODY void an_dct_eight(const int32_t *v, uint32_t round, uint32_t *out)
{
    uint32_t sum = ((uint32_t)(int16_t)(v[0] + v[4]) << 13) + round;
    uint32_t difference = ((uint32_t)(int16_t)(v[0] - v[4]) << 13) + round;
    uint32_t e3 = an_dct_rotate(v[2], F_0_541 + F_0_765, v[6], F_0_541);
    uint32_t e2 = an_dct_rotate(v[2], F_0_541, v[6], F_0_541 - F_1_847);
    int32_t s3 = (int16_t)(v[7] + v[3]), s4 = (int16_t)(v[5] + v[1]);
    uint32_t z3 = an_dct_rotate(s3, F_1_175 - F_1_961, s4, F_1_175);
    uint32_t z4 = an_dct_rotate(s3, F_1_175, s4, F_1_175 - F_0_390);
    uint32_t o0 = an_dct_rotate(v[7], F_0_298 - F_0_899, v[1], -F_0_899) + z3;
    uint32_t o1 = an_dct_rotate(v[5], F_2_053 - F_2_562, v[3], -F_2_562) + z4;
    uint32_t o2 = an_dct_rotate(v[5], -F_2_562, v[3], F_3_072 - F_2_562) + z3;
    uint32_t o3 = an_dct_rotate(v[7], -F_0_899, v[1], F_1_501 - F_0_899) + z4;
    uint32_t a0 = sum + e3, a1 = difference + e2, a2 = difference - e2, a3 = sum - e3;
    out[0] = a0 + o3;
    out[1] = a1 + o2;
    out[2] = a2 + o1;
    out[3] = a3 + o0;
    out[4] = a3 - o0;
    out[5] = a2 - o1;
    out[6] = a1 - o2;
    out[7] = a0 - o3;
}

/* Eight values of 16 bits, one from every row of a block: column c of what lies there. */
AN_BODY void an_dct_load(const uint32_t *block, uint32_t c, int32_t *v)
{
    const an_decode_value *values = (const an_decode_value *)(const void *)block;
    AN_UNROLL for (uint32_t r = 0; r < 8; r++) v[r] = values[8 * r + c];
}

/* The first pass, of column c. The results become row c, so that the second pass reads as the first one does. */
AN_BODY void an_dct_column(const int32_t *v, uint32_t *block, uint32_t c)
{
    uint32_t out[8];
    an_dct_eight(v, 1u << 10, out);
    AN_UNROLL for (uint32_t r = 0; r < 8; r += 2) block[4 * c + r / 2] =
        an_two_shorts((int32_t)out[r] >> 11, (int32_t)out[r + 1] >> 11);
}

/* The second pass: row r of the block becomes eight samples, in two words. */
AN_BODY void an_dct_row(const int32_t *v, uint32_t *block, uint32_t r)
{
    uint32_t o[8];
    an_dct_eight(v, 1u << 17, o);
    AN_UNROLL for (int k = 0; k < 8; k++) o[k] = (uint32_t)((int32_t)o[k] >> 18);
    block[4 * r] = an_four_centred((int32_t)o[0], (int32_t)o[1], (int32_t)o[2], (int32_t)o[3]);
    block[4 * r + 1] = an_four_centred((int32_t)o[4], (int32_t)o[5], (int32_t)o[6], (int32_t)o[7]);
}

/* Transforms blocks begin to end - 1 of the room, four at once: eight lanes each. Up to three blocks behind them, which
 * mean nothing, are transformed as well. */
AN_BODY void an_room_transform(an_decode_room *room, uint32_t begin, uint32_t end)
{
    uint32_t quarter = (end - begin + 3) / 4;
    int32_t v[AN_WIDTH][8];
    AN_ROLLED for (uint32_t step = begin; step < begin + quarter; step++)
    {
        AN_UNROLL for (int pass = 0; pass < 2; pass++)
        {
            AN_EACH(w)
            {
                an_dct_load(room->words + (step + quarter * (AN_LANE(w) / 8)) * AN_ROOM_BLOCK, AN_LANE(w) % 8, v[w]);
            }
            AN_SYNC();
            AN_EACH(w)
            {
                uint32_t *block = room->words + (step + quarter * (AN_LANE(w) / 8)) * AN_ROOM_BLOCK;
                if (pass)
                    an_dct_row(v[w], block, AN_LANE(w) % 8);
                else
                    an_dct_column(v[w], block, AN_LANE(w) % 8);
            }
            if (!pass)
                AN_SYNC();
        }
    }
    AN_SYNC();
}

/* Writes the samples of blocks begin to end - 1 of the room. to: the first row's sample of block `begin`. */
AN_BODY void an_room_write(const an_decode_room *room, uint32_t begin, uint32_t end, uint8_t *to, uint32_t stride)
{
    AN_EACH(w)
    {
        uint32_t slot = begin + AN_LANE(w);
        const uint32_t *block = room->words + slot * AN_ROOM_BLOCK;
        if (slot < end)
            AN_UNROLL for (uint32_t r = 0; r < 8; r++)
                an_put_eight(to + r * stride + 8 * AN_LANE(w), block[4 * r], block[4 * r + 1]);
    }
}

#endif
