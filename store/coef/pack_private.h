/* Packing one row of blocks into its streams: the reverse of row_private.h. A packer is part of the encoder, owns its
 * memory and belongs to one thread at a time. */
#ifndef AN_STORE_COEF_PACK_PRIVATE_H
#define AN_STORE_COEF_PACK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cpu.h"

/* What a block contains. */
typedef struct {
    uint64_t map;    /* bit i: coefficient i in zigzag order is not zero; bit 0 undefined */
    uint32_t weight; /* as AN_DCT_SAFE_WEIGHT (store/image/planes/dct_range.h) defines it */
    bool wide;       /* AN_COEF_WIDE is among the values */
} an_coef_block;

/* The streams of a row's values. A nibble still takes a whole byte here. */
typedef struct {
    uint8_t *crumbs; /* four to a byte already */
    uint8_t *nibbles, *bytes;
    size_t nibble, byte; /* entries */
} an_coef_value_streams;

typedef struct {
    /* The AC coefficients of a row-major block that are not zero, in zigzag order, a byte each; those that need more
     * than a byte become AN_COEF_WIDE. There must be room for 64 values. */
    an_coef_block (*collect)(const int16_t block[64], const uint16_t quantisation[64], int8_t *values);
    /* Divide n values among the streams. Up to 63 entries may be written beyond the end of each. */
    void (*divide)(const int8_t *values, size_t n, an_coef_value_streams *out);
} an_coef_pack_kernels;

const an_coef_pack_kernels *an_coef_pack_scalar(void);
const an_coef_pack_kernels *an_coef_pack_avx512(void);

/* A row's streams while blocks are added. */
typedef struct {
    const an_coef_pack_kernels *kernels;
    uint8_t *memory;
    size_t blocks; /* that there is room for */
    uint8_t *dc, *lengths, *maps, *dc_words, *words;
    int8_t *values;
    an_coef_value_streams streams;
    size_t block, map_bytes, value, dc_word, word; /* how much of each is used so far */
    int16_t previous_dc;
} an_coef_packer;

void an_coef_packer_init(an_coef_packer *packer, an_simd_tier tier);
void an_coef_packer_free(an_coef_packer *packer);

/* Begin a row of blocks. */
int an_coef_packer_start(an_coef_packer *packer, size_t blocks);

/* Add the next block: 64 coefficients, row-major as is its quantisation table. False when 16-bit arithmetic is not
 * enough for its inverse DCT (an_dct_in_range). */
bool an_coef_packer_block(an_coef_packer *packer, const int16_t block[64], const uint16_t quantisation[64]);

/* Append the row to out; *size is its length. */
int an_coef_packer_finish(an_coef_packer *packer, an_buffer *out, size_t *size);

#endif
