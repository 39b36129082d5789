/* Unpacking rows of blocks in portable C: the reference for the other tiers. */
#include <string.h>

#include "store/coef/row_private.h"
#include "store/coef/unpack.h"

/* Tables from a byte of a stream to values: to the four values of its crumbs, taking each for +1 or -1, and to the two
 * values of its nibbles. */
#define SMALL(byte, i) ((byte) >> 2 * (i)&1 ? -1 : 1)
#define FOUR(byte)                                                                                                     \
    {                                                                                                                  \
        SMALL(byte, 0), SMALL(byte, 1), SMALL(byte, 2), SMALL(byte, 3)                                                 \
    }
#define MEDIUM(nibble) ((nibble) < 8 ? (nibble) + 2 : 6 - (nibble))
#define TWO(byte)                                                                                                      \
    {                                                                                                                  \
        MEDIUM((byte)&15), MEDIUM((byte) >> 4)                                                                         \
    }
#define TIMES_4(f, byte) f(byte), f(byte + 1), f(byte + 2), f(byte + 3)
#define TIMES_16(f, byte) TIMES_4(f, byte), TIMES_4(f, byte + 4), TIMES_4(f, byte + 8), TIMES_4(f, byte + 12)
#define TIMES_64(f, byte) TIMES_16(f, byte), TIMES_16(f, byte + 16), TIMES_16(f, byte + 32), TIMES_16(f, byte + 48)
static const int8_t small_values[256][4] = {TIMES_64(FOUR, 0), TIMES_64(FOUR, 64), TIMES_64(FOUR, 128),
                                            TIMES_64(FOUR, 192)};
static const int8_t medium_values[256][2] = {TIMES_64(TWO, 0), TIMES_64(TWO, 64), TIMES_64(TWO, 128),
                                             TIMES_64(TWO, 192)};

/* The values of the blocks asked for, one after the other; those of more than a byte are AN_COEF_WIDE. Which kind of
 * value comes next cannot be predicted, so there is no branch on it: 32 values are made as if all were +1 or -1, then
 * the larger ones replace those in their places. */
static void take_values(const an_coef_row_streams *s, int8_t *out)
{
    const uint8_t *nibbles = s->nibbles, *bytes = s->bytes;
    size_t nibble = s->nibble;
    for (size_t i = 0, count = 0; i < s->values; i += count, out += count) {
        size_t at = s->crumb + i;
        count = 32 - at % 4 < s->values - i ? 32 - at % 4 : s->values - i;
        uint64_t crumbs = an_bytes_u64(s->crumbs + at / 4) >> 2 * (at % 4);
        for (size_t k = 0; k < count; k += 4)
            memcpy(out + k, small_values[crumbs >> 2 * k & 255], 4);
        uint64_t high = an_coef_low_bits(crumbs >> 1 & 0x5555555555555555u, 2 * count);
        for (uint64_t left = high & ~crumbs; left != 0; left &= left - 1, nibble++)
            out[__builtin_ctzll(left) / 2] = medium_values[nibbles[nibble / 2]][nibble % 2];
        for (uint64_t left = high & crumbs; left != 0; left &= left - 1)
            out[__builtin_ctzll(left) / 2] = (int8_t)*bytes++;
    }
}

/* Put the AC coefficients of a block in their places. */
static void place_values(uint64_t map, const int8_t *value, int16_t *out)
{
    for (; map != 0; map &= map - 1)
        out[an_blocks_zigzag[__builtin_ctzll(map)]] = *value++;
}

/* The bits of the map whose values are AN_COEF_WIDE. */
static uint64_t find_wide(uint64_t map, const int8_t *value)
{
    uint64_t wide = 0;
    for (; map != 0; map &= map - 1)
        wide |= *value++ == AN_COEF_WIDE ? map & -map : 0;
    return wide;
}

bool an_coef_unpack_scalar(const uint8_t *row, size_t size, size_t blocks, size_t first, size_t end,
                           const an_coef_work *work)
{
    an_coef_row_streams s;
    if (!an_coef_row_locate(&s, row, size, blocks, first, end))
        return false;
    an_coef_row_dc(&s, end, work->dc);
    take_values(&s, work->values);
    bool wide = memchr(work->values, AN_COEF_WIDE & 255, s.values) != NULL;
    const int8_t *value = work->values;
    int16_t *out = work->coefficients;
    uint64_t seen = 0;
    memset(out, 0, (end - first) * 64 * sizeof *out);
    for (size_t b = first; b < end; b++, out += 64) {
        size_t length = an_coef_row_map_length(&s, b);
        uint64_t bits = an_coef_map(s.maps, length), map = bits << 1;
        seen |= bits;
        s.maps += length;
        out[0] = work->dc[b];
        place_values(map, value, out);
        if (wide && !an_coef_row_patch(&s, find_wide(map, value), out))
            return false;
        value += an_coef_popcount(map);
    }
    return an_coef_maps_valid(seen);
}
