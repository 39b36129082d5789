#include "store/coef_pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/bytes.h"
#include "store/coef_format.h"

enum {
    MAX_VALUES = 63,
    /* bytes of each stream for a block at most, rounded up */
    MAX_CRUMBS = 16,
    MAX_NIBBLES = 32,
    MAX_BLOCK = 1 + 1 + 8 + MAX_CRUMBS + MAX_NIBBLES + MAX_VALUES + 2 + 2 * MAX_VALUES
};

/* natural (row-major) position -> zigzag position */
static const uint8_t zigzag_position[64] = {
    0,  1,  5,  6,  14, 15, 27, 28, 2,  4,  7,  13, 16, 26, 29, 42, 3,  8,  12, 17, 25, 30,
    41, 43, 9,  11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38,
    46, 51, 55, 60, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63,
};

void an_coef_packer_free(an_coef_packer *packer)
{
    free(packer->memory);
    *packer = (an_coef_packer){0};
}

static uint8_t *take(uint8_t **at, size_t size)
{
    uint8_t *taken = *at;
    *at += size;
    return taken;
}

static int reserve(an_coef_packer *p, size_t blocks)
{
    if (blocks <= p->blocks)
        return AN_OK;
    uint8_t *memory = malloc(blocks * MAX_BLOCK);
    if (!memory)
        return an_error(AN_ENOMEM, "cannot allocate %zu bytes", blocks * MAX_BLOCK);
    an_coef_packer_free(p);
    p->memory = memory;
    p->blocks = blocks;
    p->dc = take(&memory, blocks);
    p->lengths = take(&memory, blocks);
    p->maps = take(&memory, 8 * blocks);
    p->crumbs = take(&memory, MAX_CRUMBS * blocks);
    p->nibbles = take(&memory, MAX_NIBBLES * blocks);
    p->bytes = take(&memory, MAX_VALUES * blocks);
    p->dc_words = take(&memory, 2 * blocks);
    p->words = take(&memory, 2 * MAX_VALUES * blocks);
    return AN_OK;
}

int an_coef_packer_start(an_coef_packer *packer, size_t blocks)
{
    int rc = reserve(packer, blocks);
    packer->block = packer->map_bytes = packer->crumb = packer->nibble = packer->byte = 0;
    packer->dc_word = packer->word = 0;
    packer->previous_dc = 0;
    return rc;
}

/* Entries of less than a byte fill it from the low end. */
static void put_part(uint8_t *stream, size_t index, unsigned bits, unsigned value)
{
    size_t per_byte = 8 / bits, shift = bits * (index % per_byte);
    unsigned below = shift == 0 ? 0 : stream[index / per_byte];
    stream[index / per_byte] = (uint8_t)(below | value << shift);
}

static void put_word(uint8_t *stream, size_t *index, int value)
{
    stream[(*index)++] = (uint8_t)value;
    stream[(*index)++] = (uint8_t)(value >> 8);
}

static void put_dc(an_coef_packer *p, int16_t dc)
{
    int16_t difference = (int16_t)(dc - p->previous_dc);
    p->previous_dc = dc;
    if (difference > AN_COEF_WIDE && difference <= 127) {
        p->dc[p->block] = (uint8_t)difference;
        return;
    }
    p->dc[p->block] = (uint8_t)AN_COEF_WIDE;
    put_word(p->dc_words, &p->dc_word, difference);
}

static void put_value(an_coef_packer *p, int value)
{
    int size = abs(value);
    unsigned crumb = size == 1 ? (value > 0 ? AN_COEF_PLUS_ONE : AN_COEF_MINUS_ONE)
                               : (size <= 9 ? AN_COEF_NIBBLE : AN_COEF_BYTE);
    put_part(p->crumbs, p->crumb++, 2, crumb);
    if (crumb == AN_COEF_NIBBLE)
        put_part(p->nibbles, p->nibble++, 4, (unsigned)(size - 2 + (value < 0 ? 8 : 0)));
    if (crumb != AN_COEF_BYTE)
        return;
    bool wide = size > 127;
    p->bytes[p->byte++] = (uint8_t)(wide ? AN_COEF_WIDE : value);
    if (wide)
        put_word(p->words, &p->word, value);
}

/* Bit i: coefficient i in zigzag order is not zero. */
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

void an_coef_packer_block(an_coef_packer *p, const int16_t *block)
{
    put_dc(p, block[0]);
    uint64_t map = map_of(block) >> 1;
    size_t length = map == 0 ? 0 : (64 - (size_t)__builtin_clzll(map) + 7) / 8;
    put_part(p->lengths, p->block++, 4, (unsigned)length);
    for (size_t i = 0; i < length; i++)
        p->maps[p->map_bytes++] = (uint8_t)(map >> 8 * i);
    for (; map != 0; map &= map - 1)
        put_value(p, block[an_coef_zigzag[__builtin_ctzll(map) + 1]]);
}

size_t an_coef_packer_size(const an_coef_packer *p)
{
    return p->block + (p->block + 1) / 2 + p->map_bytes + (p->crumb + 3) / 4 + (p->nibble + 1) / 2 + p->byte +
           p->dc_word + p->word;
}

int an_coef_packer_finish(const an_coef_packer *p, an_buffer *out)
{
    struct {
        const uint8_t *data;
        size_t size;
    } streams[] = {
        {p->dc, p->block},   {p->lengths, (p->block + 1) / 2},  {p->maps, p->map_bytes}, {p->crumbs, (p->crumb + 3) / 4},
        {p->nibbles, (p->nibble + 1) / 2}, {p->bytes, p->byte}, {p->dc_words, p->dc_word}, {p->words, p->word},
    };
    int rc = an_buffer_reserve(out, out->size + an_coef_packer_size(p));
    for (size_t i = 0; rc == AN_OK && i < sizeof streams / sizeof *streams; i++)
        rc = an_buffer_append(out, streams[i].data, streams[i].size);
    return rc;
}
