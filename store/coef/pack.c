#include "store/coef/pack_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/format.h"
#include "store/coef/row_private.h"
#include "store/image/planes/dct_range.h"

enum {
    MAX_VALUES = 63,
    OVERHANG = 64 /* bytes behind each stream that kernels may write */
};

/* for each row-major position the zigzag one */
static const uint8_t zigzag_position[64] = {
    0,  1,  5,  6,  14, 15, 27, 28, 2,  4,  7,  13, 16, 26, 29, 42, 3,  8,  12, 17, 25, 30,
    41, 43, 9,  11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38,
    46, 51, 55, 60, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63,
};

void an_coef_packer_init(an_coef_packer *packer, an_simd_tier tier)
{
    *packer = (an_coef_packer){0};
    packer->kernels = tier == AN_SIMD_AVX512 ? an_coef_pack_avx512() : an_coef_pack_scalar();
}

void an_coef_packer_free(an_coef_packer *packer)
{
    free(packer->memory);
    packer->memory = NULL;
    packer->blocks = 0;
}

static void *take(uint8_t **at, size_t size)
{
    uint8_t *taken = *at;
    *at += size + OVERHANG;
    return taken;
}

static int reserve(an_coef_packer *p, size_t blocks)
{
    if (blocks <= p->blocks)
        return AN_OK;
    size_t values = MAX_VALUES * blocks, size = 6 * values + 12 * blocks + 10 * OVERHANG;
    uint8_t *memory = malloc(size);
    if (!memory)
        return an_error(AN_ENOMEM, "cannot allocate %zu bytes", size);
    an_coef_packer_free(p);
    p->memory = memory;
    p->blocks = blocks;
    p->dc = take(&memory, blocks);
    p->lengths = take(&memory, blocks);
    p->maps = take(&memory, 8 * blocks);
    p->values = take(&memory, values);
    p->streams.crumbs = take(&memory, values);
    p->streams.nibbles = take(&memory, values);
    p->streams.bytes = take(&memory, values);
    p->dc_words = take(&memory, 2 * blocks);
    p->words = take(&memory, 2 * values);
    return AN_OK;
}

int an_coef_packer_start(an_coef_packer *packer, size_t blocks)
{
    int rc = reserve(packer, blocks);
    packer->block = packer->map_bytes = packer->value = packer->dc_word = packer->word = 0;
    packer->streams.nibble = packer->streams.byte = 0;
    packer->previous_dc = 0;
    return rc;
}

static void put_word(uint8_t *stream, size_t *index, int value)
{
    stream[(*index)++] = (uint8_t)value;
    stream[(*index)++] = (uint8_t)(value >> 8);
}

static void put_dc(an_coef_packer *p, int16_t dc)
{
    int16_t difference = (int16_t)(dc - p->previous_dc);
    bool wide = difference <= AN_COEF_WIDE || difference > 127;
    p->previous_dc = dc;
    p->dc[p->block] = (uint8_t)(wide ? AN_COEF_WIDE : difference);
    if (wide)
        put_word(p->dc_words, &p->dc_word, difference);
}

static void put_wide(an_coef_packer *p, const int16_t block[64], uint64_t map)
{
    for (; map != 0; map &= map - 1) {
        int value = block[an_blocks_zigzag[__builtin_ctzll(map)]];
        if (abs(value) > 127)
            put_word(p->words, &p->word, value);
    }
}

static void add_block(an_coef_packer *p, int16_t dc, uint64_t map)
{
    put_dc(p, dc);
    map >>= 1;
    size_t length = map == 0 ? 0 : (64 - (size_t)__builtin_clzll(map) + 7) / 8;
    p->value += an_coef_popcount(map);
    p->lengths[p->block++] = (uint8_t)length;
    an_bytes_put_u64(p->maps + p->map_bytes, map);
    p->map_bytes += length;
}

bool an_coef_packer_block(an_coef_packer *p, const int16_t block[64], const uint16_t quantisation[64])
{
    an_coef_block found = p->kernels->collect(block, quantisation, p->values + p->value);
    if (found.weight > AN_DCT_SAFE_WEIGHT && !an_dct_in_range(block, quantisation))
        return false;
    if (found.wide)
        put_wide(p, block, found.map & ~(uint64_t)1);
    add_block(p, block[0], found.map);
    return true;
}

/* Join two nibbles to a byte, the first in the lower half, in place; returns the number of bytes. */
static size_t join_nibbles(uint8_t *nibbles, size_t n)
{
    nibbles[n] = 0;
    for (size_t i = 0; i < n; i += 2)
        nibbles[i / 2] = (uint8_t)(nibbles[i] | nibbles[i + 1] << 4);
    return (n + 1) / 2;
}

int an_coef_packer_finish(an_coef_packer *p, an_buffer *out, size_t *size)
{
    p->kernels->divide(p->values, p->value, &p->streams);
    const struct {
        const uint8_t *data;
        size_t size;
    } streams[] = {
        {p->dc, p->block},
        {p->lengths, join_nibbles(p->lengths, p->block)},
        {p->maps, p->map_bytes},
        {p->streams.crumbs, (p->value + 3) / 4},
        {p->streams.nibbles, join_nibbles(p->streams.nibbles, p->streams.nibble)},
        {p->streams.bytes, p->streams.byte},
        {p->dc_words, p->dc_word},
        {p->words, p->word},
    };
    const size_t before = out->size;
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < sizeof streams / sizeof *streams; i++)
        rc = an_buffer_append(out, streams[i].data, streams[i].size);
    *size = out->size - before;
    return rc;
}

static uint64_t map_of(const int16_t *block)
{
    uint64_t map = 0;
    for (size_t i = 0; i < 64; i += 4) {
        uint64_t four;
        memcpy(&four, block + i, sizeof four);
        for (size_t j = i; four != 0 && j < i + 4; j++)
            map |= (uint64_t)(block[j] != 0) << zigzag_position[j];
    }
    return map;
}

static an_coef_block collect(const int16_t block[64], const uint16_t quantisation[64], int8_t *values)
{
    an_coef_block found = {.map = map_of(block), .weight = (uint32_t)(abs(block[0]) * quantisation[0])};
    for (uint64_t map = found.map & ~(uint64_t)1; map != 0; map &= map - 1) {
        size_t at = an_blocks_zigzag[__builtin_ctzll(map)];
        int value = block[at], size = abs(value);
        found.weight += (uint32_t)(size * quantisation[at]);
        found.wide |= size > 127;
        *values++ = (int8_t)(size > 127 ? AN_COEF_WIDE : value);
    }
    return found;
}

/* Each value is written to every stream, but only those that it belongs to advance: a branch could not be predicted. */
static void divide(const int8_t *values, size_t n, an_coef_value_streams *out)
{
    memset(out->crumbs, 0, (n + 3) / 4);
    for (size_t i = 0; i < n; i++) {
        int value = values[i], size = abs(value);
        unsigned longer = size > 9, crumb = size == 1 ? (value < 0) : AN_COEF_NIBBLE + longer;
        out->crumbs[i / 4] |= (uint8_t)(crumb << 2 * (i % 4));
        out->nibbles[out->nibble] = (uint8_t)((size - 2 + (value < 0 ? 8 : 0)) & 15);
        out->bytes[out->byte] = (uint8_t)value;
        out->nibble += crumb == AN_COEF_NIBBLE;
        out->byte += crumb == AN_COEF_BYTE;
    }
}

const an_coef_pack_kernels *an_coef_pack_scalar(void)
{
    static const an_coef_pack_kernels kernels = {collect, divide};
    return &kernels;
}
